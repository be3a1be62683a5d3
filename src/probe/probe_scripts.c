/* What runs by itself, and what administrators have written: cron's files and tables, units of this
 * machine's own, scripts in the usual places. Read for what guides tell people to put there; and
 * histories, for passwords that were typed where a password does not belong. Of those only the
 * place is said.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdio.h>

#include "base/clock.h"
#include "probe/found.h"
#include "probe/words.h"

enum { FILES_MOST = 20000, TARGETS_MOST = 50 };
#define LOOKING_MOST_US (6 * SECOND_US)

struct scripts {
    struct found loose, piped, passphrase, lost_archive, open_backup, erases_account, password;
    int64_t until_us; /* people may have put any number of files into their folders */
    unsigned files;
    char cut[400]; /* what was left out, and why; "": nothing */
};

static void cut_at(struct scripts *scripts, const char *path, const char *why) {
    if (!scripts->cut[0])
        snprintf(scripts->cut, sizeof(scripts->cut), "%.250s: %s", path, why);
}

/* May another file be read? */
static bool goes_on(struct scripts *scripts, const char *path) {
    if (scripts->files++ < FILES_MOST && clock_monotonic_us() < scripts->until_us)
        return true;
    cut_at(scripts, path, "gave up here, there are too many files");
    return false;
}

static bool has(struct span text, const char *what) {
    return memmem(text.at, text.length, what, strlen(what)) != NULL;
}

/* ---- text ---- */

/* "curl … | sh": what another machine says is run here. */
static bool is_piped(struct span line) {
    if (!has(line, "curl ") && !has(line, "wget "))
        return false;
    const char *bar = memchr(line.at, '|', line.length);
    while (bar) {
        struct span rest = span_trim(span_skip(line, (size_t)(bar - line.at) + 1));
        struct span word = span_word(&rest);
        if (span_is(word, "sudo"))
            word = span_word(&rest);
        if (span_is(word, "sh") || span_is(word, "bash") || span_is(word, "/bin/sh") ||
            span_is(word, "/bin/bash") || span_is(word, "python3") || span_is(word, "perl"))
            return true;
        bar = rest.length ? memchr(rest.at, '|', rest.length) : NULL;
        line = rest;
    }
    return false;
}

/* "--passphrase WORD", not --passphrase-file and not a variable. */
static bool tells_passphrase(struct span line) {
    const char *at = memmem(line.at, line.length, "--passphrase", 12);
    if (at && line.at + line.length > at + 12 && (at[12] == ' ' || at[12] == '=')) {
        struct span rest = span_trim(span_skip(line, (size_t)(at - line.at) + 13));
        return rest.length > 0 && rest.at[0] != '$' &&
               !(rest.length > 1 && rest.at[0] == '"' && rest.at[1] == '$');
    }
    at = memmem(line.at, line.length, "RESTIC_PASSWORD=", 16);
    if (!at)
        at = memmem(line.at, line.length, "BORG_PASSPHRASE=", 16);
    if (!at)
        return false;
    struct span value = span_skip(line, (size_t)(at - line.at) + 16);
    while (value.length > 0 && (value.at[0] == '"' || value.at[0] == '\''))
        value = span_skip(value, 1);
    return value.length > 0 && value.at[0] != '$' && !isspace((unsigned char)value.at[0]);
}

/* How the lines but `line` name the target: is it made, and is it put to any use? */
static bool is_lost(struct span text, struct span line, struct span target) {
    struct span other;
    bool is_made = false;
    while (next_line(&text, &other)) {
        if (!memmem(other.at, other.length, target.at, target.length) ||
            span_equals(other, line))
            continue;
        struct span words = other;
        bool has_more = has(other, "&&") || has(other, "|") || has(other, ";");
        if (!span_is(span_word(&words), "tar") || has_more)
            return false;
        is_made = true;
    }
    return is_made;
}

/* An archive that is made ("tar -czf X"), is removed ("rm X"), and of which nothing else is ever
 * made: the word X stands in no other line. */
static void look_for_lost(struct scripts *scripts, const char *path, struct span text) {
    struct span lines = text;
    struct span line;
    unsigned targets = 0;
    if (!has(text, "tar "))
        return;
    while (next_line(&lines, &line)) {
        struct span rest = line;
        if (!span_is(span_word(&rest), "rm"))
            continue;
        for (struct span target; (target = span_word(&rest)).length > 0;) {
            if (target.at[0] == '-' || target.length < 5)
                continue;
            if (targets++ == TARGETS_MOST) {
                cut_at(scripts, path, "it removes too many files to look for each");
                return;
            }
            if (is_lost(text, line, target))
                found_one(&scripts->lost_archive, path, "%.*s", SPAN_FORMAT(line));
        }
    }
}

/* A folder that a backup script names and that everybody may look into or write to. */
static void look_for_open_backup(struct scripts *scripts, const char *path, struct span line) {
    char folder[200];
    char words[MODE_WORDS_MAX];
    struct stat status;
    struct span value = line;
    struct span name = span_trim(span_cut(&value, '='));
    if (!value.at || !has(name, "BACKUP"))
        return;
    value = span_trim(value);
    while (value.length > 0 && (value.at[0] == '"' || value.at[0] == '\''))
        value = span_skip(value, 1);
    size_t length = 0;
    while (length < value.length && !strchr("\"' ;\t", value.at[length]))
        length++;
    snprintf(folder, sizeof(folder), "%.*s", (int)(length < 190 ? length : 190), value.at);
    if (folder[0] == '/' && stat(folder, &status) == 0 && S_ISDIR(status.st_mode) &&
        (status.st_mode & (S_IROTH | S_IXOTH | S_IWOTH)))
        found_one(&scripts->open_backup, folder, "%s, written by %s", mode_words(&status, words),
                  path);
}

static void look_at_text(struct scripts *scripts, const char *path) {
    cleanup_text struct text text = {0};
    struct span line;
    if (!goes_on(scripts, path))
        return;
    read_quietly(path, &text);
    if (text.length == 0 || memchr(text.at, '\0', text.length))
        return; /* a program */
    struct span rest = text_span(&text);
    for (unsigned number = 1; rest.length > 0; number++) {
        line = span_trim(span_cut(&rest, '\n'));
        if (!line.at || line.length == 0 || line.at[0] == '#')
            continue;
        if (is_piped(line)) /* not the line itself: addresses hold passwords and tokens */
            found_one(&scripts->piped, path, "line %u", number);
        if (tells_passphrase(line))
            found_one(&scripts->passphrase, path, "a passphrase stands in it");
        if (has(line, "setup email del "))
            found_one(&scripts->erases_account, path, "%.*s", SPAN_FORMAT(line));
        look_for_open_backup(scripts, path, line);
    }
    look_for_lost(scripts, path, text_span(&text));
}

/* What root runs by itself must be written by nobody else. */
static void take_run_by_root(void *context, const char *path) {
    struct scripts *scripts = context;
    char why[300];
    if (writable_by_others(path, 0, why))
        found_one(&scripts->loose, path, "%s", why);
    look_at_text(scripts, path);
}

static void take_script(void *context, const char *path) {
    look_at_text(context, path);
}

/* Is that a program, or a script that an interpreter before it runs? */
static bool is_run(const char *path) {
    static const char *const endings[] = {".sh", ".php", ".py", ".pl", ".rb"};
    const char *dot = strrchr(path, '.');
    struct stat status;
    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return false;
    for (size_t i = 0; dot && i < ELEMENTS_OF(endings); i++)
        if (strcmp(dot, endings[i]) == 0)
            return true;
    return (status.st_mode & S_IXUSR) != 0;
}

static void look_at_command(struct scripts *scripts, const char *path, struct span command) {
    char program[300];
    char why[300];
    for (struct span word; (word = span_word(&command)).length > 0;) {
        if (memchr(word.at, '>', word.length))
            (void)span_word(&command); /* what it writes to, it does not run */
        snprintf(program, sizeof(program), "%.*s",
                 (int)(word.length < 299 ? word.length : 299), word.at);
        if (program[0] == '/' && is_run(program) && writable_by_others(program, 0, why))
            found_one(&scripts->loose, program, "%s; %s runs it", why, path);
    }
}

/* What root's tables run: "m h d M w root COMMAND" or "@daily root COMMAND"; a user's own table has
 * no name of a user. */
static void take_lines(struct scripts *scripts, const char *path, bool names_user) {
    cleanup_text struct text text = {0};
    struct span line;
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        struct span command = line;
        struct span first = span_word(&command);
        if (memchr(first.at, '=', first.length))
            continue; /* NAME=value */
        for (int i = first.at[0] == '@' ? 0 : 4; i > 0; i--)
            (void)span_word(&command);
        if (!names_user || span_is(span_word(&command), "root"))
            look_at_command(scripts, path, command);
    }
}

static void take_table(void *context, const char *path) {
    take_lines(context, path, true);
}

static void take_users_table(void *context, const char *path) {
    const char *name = strrchr(path, '/') + 1;
    look_at_text(context, path);
    if (strcmp(name, "root") == 0)
        take_lines(context, path, false);
}

/* ---- histories ---- */

static bool shows_password(struct span line) {
    static const char *const patterns[] = {
        "*mysql* -p[!a ]*",         "*mysqladmin* -p[!a ]*", "*sshpass -p *",
        "*IDENTIFIED BY '*",        "*curl * -u *:*@*",      "*--password=[!$]*",
        "*PASSWORD('*",             "echo *:* | *chpasswd*", "*doveadm pw *-p *",
        "*BORG_PASSPHRASE=[!$]*",   "*RESTIC_PASSWORD=[!$]*", "*PGPASSWORD=[!$]*",
    };
    char copy[1000];
    snprintf(copy, sizeof(copy), "%.*s", (int)(line.length < 999 ? line.length : 999), line.at);
    for (size_t i = 0; i < ELEMENTS_OF(patterns); i++)
        if (fnmatch(patterns[i], copy, 0) == 0)
            return true;
    return false;
}

static void take_history(struct scripts *scripts, const char *path) {
    cleanup_text struct text text = {0};
    if (!goes_on(scripts, path))
        return;
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    for (unsigned number = 1; rest.length > 0; number++)
        if (shows_password(span_cut(&rest, '\n'))) {
            found_one(&scripts->password, path, "a password in line %u", number);
            return;
        }
}

static void take_home(struct scripts *scripts, const char *home) {
    static const char *const histories[] = {".bash_history", ".zsh_history", ".mysql_history",
                                            ".psql_history", ".history"};
    static const char *const own[] = {"*.sh", "bin/*"};
    char path[400];
    for (size_t i = 0; i < ELEMENTS_OF(histories); i++) {
        snprintf(path, sizeof(path), "%.300s/%s", home, histories[i]);
        take_history(scripts, path);
    }
    for (size_t i = 0; i < ELEMENTS_OF(own); i++) {
        snprintf(path, sizeof(path), "%.300s/%s", home, own[i]);
        if (!each_path(path, take_script, scripts))
            cut_at(scripts, path, "gave up here, the folder holds too many files");
    }
}

void probe_scripts(struct look *look) {
    static const char *const by_root[] = {"/etc/cron.hourly/*", "/etc/cron.daily/*",
                                          "/etc/cron.weekly/*", "/etc/cron.monthly/*",
                                          "/etc/cron.d/*", "/etc/crontab", "/etc/rc.local"};
    static const char *const tables[] = {"/etc/cron.d/*", "/etc/crontab"};
    static const char *const scripts_of_people[] = {
        "/usr/local/sbin/*", "/usr/local/bin/*", "/opt/*.sh", "/opt/*/*.sh", "/srv/*.sh",
        "/etc/systemd/system/*.service"};
    struct scripts scripts = {
        .loose = {look, "loose", 0},
        .piped = {look, "piped", 0},
        .passphrase = {look, "passphrase", 0},
        .lost_archive = {look, "lost_archive", 0},
        .open_backup = {look, "open_backup", 0},
        .erases_account = {look, "erases_account", 0},
        .password = {look, "history_password", 0},
        .until_us = clock_monotonic_us() + LOOKING_MOST_US,
    };
    for (size_t i = 0; i < ELEMENTS_OF(by_root); i++)
        each_path(by_root[i], take_run_by_root, &scripts);
    for (size_t i = 0; i < ELEMENTS_OF(tables); i++)
        each_path(tables[i], take_table, &scripts);
    each_path("/var/spool/cron/crontabs/*", take_users_table, &scripts);
    for (size_t i = 0; i < ELEMENTS_OF(scripts_of_people); i++)
        each_path(scripts_of_people[i], take_script, &scripts);
    const struct passwd *user;
    setpwent();
    while ((user = getpwent()))
        if (may_log_in(user->pw_shell) && strlen(user->pw_dir) > 1)
            take_home(&scripts, user->pw_dir);
    endpwent();
    struct found *const all[] = {&scripts.piped,          &scripts.passphrase,
                                 &scripts.lost_archive,   &scripts.open_backup,
                                 &scripts.erases_account, &scripts.password};
    found_end_of_root(&scripts.loose);
    for (size_t i = 0; i < ELEMENTS_OF(all); i++) {
        found_end_of_root(all[i]);
        if (scripts.cut[0])
            look_say_not(look, all[i]->key, "%s", scripts.cut);
    }
}
