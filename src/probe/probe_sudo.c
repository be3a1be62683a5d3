/* Who may become root: sudoers(5) with what it includes. Read line by line, continued lines joined,
 * comments cut off, aliases not expanded: a rule is told as it was written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "probe/found.h"
#include "probe/words.h"

enum { FILES_MOST = 500, DEPTH_MOST = 128 /* sudo's own */, HOST_MAX = 65 };

struct sudoers {
    struct look *look;
    struct found no_password, loose, unasked, everybody, everybody_some, environment;
    char host[HOST_MAX]; /* its short name, %h */
    struct {
        dev_t device;
        ino_t inode;
    } seen[FILES_MOST]; /* what includes itself is read once */
    unsigned files, depth;
};

static bool has(struct span text, const char *what) {
    return memmem(text.at, text.length, what, strlen(what)) != NULL;
}

/* A tag before a command holds for those behind it as well: "NOPASSWD: /bin/ls, NOEXEC: ALL". */
static bool frees_all(struct span commands) {
    while (commands.length > 0) {
        struct span command = span_trim(span_cut(&commands, ','));
        for (const char *colon; command.length > 0 &&
                                (colon = memchr(command.at, ':', command.length));) {
            struct span tag = span_trim((struct span){command.at, (size_t)(colon - command.at)});
            if (span_is(tag, "PASSWD"))
                return false;
            command = span_trim(span_skip(command, (size_t)(colon - command.at) + 1));
        }
        if (span_is(command, "ALL"))
            return true;
    }
    return false;
}

/* "NOPASSWD: ALL", also with blanks before the colon. */
static bool asks_no_password(struct span line) {
    while (line.length > 0) {
        const char *tag = memmem(line.at, line.length, "NOPASSWD", 8);
        if (!tag)
            return false;
        line = span_trim(span_skip(line, (size_t)(tag - line.at) + 8));
        if (line.length > 0 && line.at[0] == ':' && frees_all(span_skip(line, 1)))
            return true;
    }
    return false;
}

/* "ALL=(ALL:ALL) NOPASSWD: /bin/ls, ALL": is everything among the commands? */
static bool gives_all(struct span rule) {
    (void)span_cut(&rule, '=');
    while (rule.length > 0) {
        struct span command = span_trim(span_cut(&rule, ','));
        if (command.length > 0 && command.at[0] == '(')
            (void)span_cut(&command, ')');
        const char *colon;
        while (command.length > 0 && (colon = memchr(command.at, ':', command.length)))
            command = span_skip(command, (size_t)(colon - command.at) + 1);
        if (span_is(span_trim(command), "ALL"))
            return true;
    }
    return false;
}

static void look_at_line(struct sudoers *sudoers, const char *where, struct span line) {
    struct span rest = line;
    struct span who = span_word(&rest);
    if (span_starts_with(who, SPAN("Defaults"))) {
        if (has(rest, "!authenticate"))
            found_one(&sudoers->unasked, where, "%.*s", SPAN_FORMAT(line));
        if (has(rest, "env_keep") &&
            (has(rest, "LD_") || has(rest, "PYTHON") || has(rest, "PERL5")))
            found_one(&sudoers->environment, where, "%.*s", SPAN_FORMAT(line));
        return;
    }
    if (who.length > 6 && memcmp(who.at + who.length - 6, "_Alias", 6) == 0)
        return;
    if (asks_no_password(line))
        found_one(&sudoers->no_password, where, "%.*s", SPAN_FORMAT(line));
    if (span_is(who, "ALL"))
        found_one(gives_all(rest) ? &sudoers->everybody : &sudoers->everybody_some, where, "%.*s",
                  SPAN_FORMAT(line));
}

static void read_sudoers(struct sudoers *sudoers, const char *path);

static void include(void *context, const char *path) {
    const char *name = strrchr(path, '/') + 1;
    size_t length = strlen(name);
    if (!strchr(name, '.') && length > 0 && name[length - 1] != '~')
        read_sudoers(context, path);
}

/* ---- what is included ---- */

/* The name of a file: in quotes, or to a blank, with \ before what should stand for itself; %h is
 * this host's short name. The others, which stand beside the file they are included from, get its
 * folder. False when there is none, or no such path could be. */
static bool read_name(struct span line, const char *from, const char *host, char into[PATH_MAX]) {
    const char *slash = strrchr(from, '/');
    bool is_quoted = line.length > 0 && line.at[0] == '"';
    size_t length = 0;
    if (is_quoted)
        line = span_skip(line, 1);
    if (line.length > 0 && line.at[0] != '/' && slash)
        length = (size_t)snprintf(into, PATH_MAX, "%.*s", (int)(slash - from) + 1, from);
    size_t begin = length;
    for (size_t i = 0; i < line.length && length + HOST_MAX < PATH_MAX; i++) {
        char next = i + 1 < line.length ? line.at[i + 1] : '\0';
        if (is_quoted ? line.at[i] == '"' : isspace((unsigned char)line.at[i]))
            break;
        if (line.at[i] == '%' && next == 'h') {
            length += (size_t)snprintf(into + length, PATH_MAX - length, "%s", host);
            i++;
        } else {
            i += line.at[i] == '\\' && next && (!is_quoted || next == '"');
            into[length++] = line.at[i];
        }
    }
    into[length < PATH_MAX ? length : PATH_MAX - 1] = '\0';
    return length > begin && length + HOST_MAX < PATH_MAX;
}

/* The pattern of all files in a folder whose name may hold what patterns are made of. */
static void pattern_of(const char *folder, char *into, size_t room) {
    size_t length = 0;
    for (; *folder && length + 5 < room; folder++) {
        if (strchr("*?[\\", *folder))
            into[length++] = '\\';
        into[length++] = *folder;
    }
    snprintf(into + length, room - length, "/*");
}

/* "@includedir /etc/sudoers.d", also in the old way with a # before it. */
static bool follow(struct sudoers *sudoers, const char *from, struct span line) {
    char path[PATH_MAX];
    char pattern[2 * PATH_MAX];
    struct span word = span_word(&line);
    bool is_folder = span_is(word, "@includedir") || span_is(word, "#includedir");
    if (!is_folder && !span_is(word, "@include") && !span_is(word, "#include"))
        return false;
    if (!read_name(span_trim(line), from, sudoers->host, path))
        return true;
    if (is_folder) {
        pattern_of(path, pattern, sizeof(pattern));
        each_path(pattern, include, sudoers);
    } else {
        read_sudoers(sudoers, path);
    }
    return true;
}

/* ---- lines ---- */

/* Up to a # that begins a comment: one before a digit is a user's number (#1000), one behind a
 * backslash or in quotes stands for itself. */
static struct span without_comment(struct span line) {
    bool is_quoted = false;
    for (size_t i = 0; i < line.length; i++) {
        bool is_number = i + 1 < line.length && isdigit((unsigned char)line.at[i + 1]);
        if (line.at[i] == '\\')
            i++;
        else if (line.at[i] == '"')
            is_quoted = !is_quoted;
        else if (line.at[i] == '#' && !is_quoted && !is_number)
            return span_trim((struct span){line.at, i});
    }
    return line;
}

/* The next line with those that a backslash continues. */
static struct span cut_whole_line(struct span *text, struct text *joined) {
    struct span line = span_cut(text, '\n');
    text_clear(joined);
    while (line.length > 0 && line.at[line.length - 1] == '\\') {
        text_add(joined, (struct span){line.at, line.length - 1});
        line = span_cut(text, '\n');
    }
    text_add(joined, line);
    return span_trim(text_span(joined));
}

static void read_lines(struct sudoers *sudoers, const char *path, struct span text) {
    cleanup_text struct text joined = {0};
    while (text.length > 0) {
        struct span line = cut_whole_line(&text, &joined);
        if (line.length == 0 || follow(sudoers, path, line))
            continue;
        line = without_comment(line);
        if (line.length > 0)
            look_at_line(sudoers, path, line);
    }
}

/* True the first time. */
static bool is_new(struct sudoers *sudoers, const struct stat *status) {
    for (unsigned i = 0; i < sudoers->files; i++)
        if (sudoers->seen[i].device == status->st_dev && sudoers->seen[i].inode == status->st_ino)
            return false;
    sudoers->seen[sudoers->files].device = status->st_dev;
    sudoers->seen[sudoers->files++].inode = status->st_ino;
    return true;
}

/* One that is named and is not there, and what is no file, is passed over, as sudo does. */
static void read_sudoers(struct sudoers *sudoers, const char *path) {
    cleanup_text struct text text = {0};
    struct stat status;
    char why[300];
    if (stat(path, &status) < 0 ? errno == ENOENT || errno == ENOTDIR : !S_ISREG(status.st_mode))
        return;
    if (sudoers->files == FILES_MOST || sudoers->depth == DEPTH_MOST) {
        look_say_not(sudoers->look, NULL, "%s: more than %d files include each other", path,
                     sudoers->files == FILES_MOST ? FILES_MOST : DEPTH_MOST);
        return;
    }
    int error = look_file(path, &text);
    if (error < 0) {
        look_say_not(sudoers->look, NULL, "%s: %s", path, strerror(-error));
        return;
    }
    if (!is_new(sudoers, &status))
        return;
    if (writable_by_others(path, 0, why))
        found_one(&sudoers->loose, path, "%s", why);
    sudoers->depth++;
    read_lines(sudoers, path, text_span(&text));
    sudoers->depth--;
}

void probe_sudo(struct look *look) {
    struct sudoers sudoers = {
        .look = look,
        .no_password = {look, "no_password", 0},
        .loose = {look, "loose", 0},
        .unasked = {look, "unasked", 0},
        .everybody = {look, "everybody", 0},
        .everybody_some = {look, "everybody_some", 0},
        .environment = {look, "environment", 0},
    };
    bool is_there = access("/etc/sudoers", F_OK) == 0 || errno != ENOENT;
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (!is_there)
        return;
    if (gethostname(sudoers.host, sizeof(sudoers.host) - 1) < 0)
        sudoers.host[0] = '\0';
    sudoers.host[strcspn(sudoers.host, ".")] = '\0';
    read_sudoers(&sudoers, "/etc/sudoers");
    found_end(&sudoers.no_password);
    found_end(&sudoers.loose);
    found_end(&sudoers.unasked);
    found_end(&sudoers.everybody);
    found_end(&sudoers.everybody_some);
    found_end(&sudoers.environment);
}
