/* Who may become root: sudoers(5) with what it includes. Read line by line, continued lines joined,
 * aliases not expanded: a rule is told as it was written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/found.h"
#include "probe/words.h"

enum { FILES_MOST = 100 };

struct sudoers {
    struct look *look;
    struct found no_password, loose, unasked, everybody, environment;
    unsigned files;
};

static bool has(struct span text, const char *what) {
    return memmem(text.at, text.length, what, strlen(what)) != NULL;
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
    const char *tag = memmem(line.at, line.length, "NOPASSWD:", 9);
    struct span commands = tag ? span_trim(span_skip(line, (size_t)(tag - line.at) + 9))
                               : (struct span){0};
    if (tag && span_is(span_trim(span_cut(&commands, ',')), "ALL"))
        found_one(&sudoers->no_password, where, "%.*s", SPAN_FORMAT(line));
    if (span_is(who, "ALL"))
        found_one(&sudoers->everybody, where, "%.*s", SPAN_FORMAT(line));
}

static void read_sudoers(struct sudoers *sudoers, const char *path);

static void include(void *context, const char *path) {
    const char *name = strrchr(path, '/') + 1;
    size_t length = strlen(name);
    if (!strchr(name, '.') && length > 0 && name[length - 1] != '~')
        read_sudoers(context, path);
}

/* "@includedir /etc/sudoers.d", also in the old way with a # before it. */
static bool follow(struct sudoers *sudoers, struct span line) {
    char pattern[400];
    struct span word = span_word(&line);
    bool is_folder = span_is(word, "@includedir") || span_is(word, "#includedir");
    if (!is_folder && !span_is(word, "@include") && !span_is(word, "#include"))
        return false;
    snprintf(pattern, sizeof(pattern), "%.*s%s", SPAN_FORMAT(span_trim(line)),
             is_folder ? "/*" : "");
    if (is_folder)
        each_path(pattern, include, sudoers);
    else
        read_sudoers(sudoers, pattern);
    return true;
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

static void read_sudoers(struct sudoers *sudoers, const char *path) {
    cleanup_text struct text text = {0};
    cleanup_text struct text joined = {0};
    char why[300];
    if (sudoers->files++ >= FILES_MOST)
        return;
    if (writable_by_others(path, 0, why))
        found_one(&sudoers->loose, path, "%s", why);
    int error = look_file(path, &text);
    if (error < 0) {
        look_say_not(sudoers->look, NULL, "%s: %s", path, strerror(-error));
        return;
    }
    struct span rest = text_span(&text);
    while (rest.length > 0) {
        struct span line = cut_whole_line(&rest, &joined);
        if (line.length > 0 && !follow(sudoers, line) && line.at[0] != '#')
            look_at_line(sudoers, path, line);
    }
}

void probe_sudo(struct look *look) {
    struct sudoers sudoers = {
        look, {look, "no_password", 0}, {look, "loose", 0}, {look, "unasked", 0},
        {look, "everybody", 0}, {look, "environment", 0}, 0};
    bool is_there = access("/etc/sudoers", F_OK) == 0 || errno != ENOENT;
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (!is_there)
        return;
    read_sudoers(&sudoers, "/etc/sudoers");
    found_end(&sudoers.no_password);
    found_end(&sudoers.loose);
    found_end(&sudoers.unasked);
    found_end(&sudoers.everybody);
    found_end(&sudoers.environment);
}
