/* The files Postfix acts by: its configuration, its keys and every lookup table its parameters name
 * (TYPE:PATH), with who may read and write them, and whether a compiled table is as new as what it
 * was made from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "probe/permissions.h"
#include "probe/postconf.h"
#include "probe/words.h"

enum { PATH_MOST = 300, TABLES_MOST = 300 };

/* What is compiled by postmap(1), and the ending of the result. */
static const char *compiled_ending(struct span type) {
    static const struct {
        const char *type, *ending;
    } known[] = {{"hash", ".db"}, {"btree", ".db"}, {"lmdb", ".lmdb"},
                 {"cdb", ".cdb"}, {"dbm", ".dir"},  {"sdbm", ".dir"}};
    for (size_t i = 0; i < ELEMENTS_OF(known); i++)
        if (span_is(type, known[i].type))
            return known[i].ending;
    return NULL;
}

static bool is_file_type(struct span type) {
    static const char *const types[] = {"texthash", "cidr",  "pcre",   "regexp",
                                        "mysql",    "pgsql", "sqlite", "ldap"};
    for (size_t i = 0; i < ELEMENTS_OF(types); i++)
        if (span_is(type, types[i]))
            return true;
    return compiled_ending(type) != NULL;
}

/* The password of a server is in them, or those of our users' accounts elsewhere. */
static bool holds_secret(struct span parameter, struct span type) {
    return span_is(type, "mysql") || span_is(type, "pgsql") || span_is(type, "ldap") ||
           span_is(parameter, "smtp_sasl_password_maps") ||
           span_is(parameter, "lmtp_sasl_password_maps");
}

/* These list tables that other parameters name. */
static bool is_list_of_others(struct span parameter) {
    return span_is(parameter, "proxy_read_maps") || span_is(parameter, "proxy_write_maps");
}

/* Postfix makes and compiles these itself; as defaults they are named and not used. */
static bool is_cache(struct span parameter) {
    return span_is(parameter, "address_verify_map") || span_is(parameter, "postscreen_cache_map") ||
           memmem(parameter.at, parameter.length, "_session_cache_", 15) != NULL;
}

/* "missing", "older than its source", "current" */
static void say_compiled(struct look *look, const char *path, const char *compiled) {
    struct stat source;
    struct stat result;
    bool has_source = stat(path, &source) == 0;
    if (stat(compiled, &result) < 0) {
        if (errno == ENOENT)
            look_say_text(look, "compiled", path, "missing");
        else
            look_say_not(look, "compiled", "%s: %s", compiled, strerror(errno));
        return;
    }
    look_say_text(look, "compiled", path,
                  has_source && source.st_mtime > result.st_mtime ? "older than its source"
                                                                  : "current");
}

/* What other programs keep for Postfix is theirs to write. */
static void say_place(struct look *look, const char *path) {
    look_say_text(look, "file.place", path,
                  strncmp(path, "/etc/", 5) == 0 ? "configuration" : "elsewhere");
}

static void say_file(struct look *look, const char *path, bool is_secret) {
    int error = say_permissions(look, "file", path);
    say_place(look, path);
    look_say_text(look, "file.is_there", path, error == -ENOENT ? "no" : "yes");
    if (error == 0)
        look_say_text(look, "file.secret", path, is_secret ? "yes" : "no");
}

static void say_table(struct look *look, struct span parameter, struct span type,
                      struct span place) {
    char path[PATH_MOST];
    char compiled[PATH_MOST + 10];
    const char *ending = compiled_ending(type);
    bool is_secret = holds_secret(parameter, type);
    snprintf(path, sizeof(path), "%.*s", SPAN_FORMAT(place));
    look_say(look, "type", path, type);
    if (is_cache(parameter))
        return;
    if (!ending) {
        say_file(look, path, is_secret);
        return;
    }
    snprintf(compiled, sizeof(compiled), "%s%s", path, ending);
    say_compiled(look, path, compiled);
    struct stat status;
    if (stat(path, &status) == 0)
        say_file(look, path, is_secret);
    if (stat(compiled, &status) == 0)
        say_file(look, compiled, is_secret);
}

struct seen {
    struct span at[TABLES_MOST];
    size_t count;
};

static bool is_new(struct seen *seen, struct span path) {
    for (size_t i = 0; i < seen->count; i++)
        if (span_equals(seen->at[i], path))
            return false;
    if (seen->count == TABLES_MOST)
        return false;
    seen->at[seen->count++] = path;
    return true;
}

static void say_tables(struct look *look, struct span set, struct span parameter, struct span value,
                       struct seen *seen) {
    struct span word;
    if (is_list_of_others(parameter) || (is_cache(parameter) && !postconf_value(set, parameter).at))
        return;
    while (postconf_next_word(&value, &word)) {
        while (span_starts_with(word, SPAN("proxy:")))
            word = span_skip(word, strlen("proxy:"));
        struct span type = span_cut(&word, ':');
        if (word.at && word.length > 1 && word.at[0] == '/' && is_file_type(type) &&
            is_new(seen, word))
            say_table(look, parameter, type, word);
    }
}

static void say_keys(struct look *look, struct span main_cf) {
    static const char *const names[] = {"smtpd_tls_key_file", "smtpd_tls_eckey_file",
                                        "smtpd_tls_chain_files", "smtp_tls_key_file",
                                        "smtp_tls_chain_files"};
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        struct span list = postconf_value(main_cf, span_of(names[i]));
        struct span word;
        while (postconf_next_word(&list, &word)) {
            char path[PATH_MOST];
            snprintf(path, sizeof(path), "%.*s", SPAN_FORMAT(word));
            if (path[0] == '/')
                say_file(look, path, true);
        }
    }
}

void probe_tables(struct look *look) {
    static const char *const own[] = {"/etc/postfix", "/etc/postfix/main.cf",
                                      "/etc/postfix/master.cf", "/etc/aliases"};
    cleanup_text struct text main_cf = {0};
    cleanup_text struct text overrides = {0};
    cleanup_text struct text set = {0};
    bool is_there = look_has_program("/usr/sbin/postconf");
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (!is_there || postconf_ask(look, "-x", &main_cf, NULL) != 0 ||
        postconf_ask(look, "-n", &set, NULL) != 0 ||
        postconf_ask(look, "-Px", &overrides, NULL) != 0)
        return;
    struct seen seen = {.count = 0};
    const struct span all[] = {text_span(&main_cf), text_span(&overrides)};
    for (size_t i = 0; i < ELEMENTS_OF(all); i++) {
        struct span lines = all[i];
        struct span line;
        while (next_line(&lines, &line)) {
            struct span name = cut_key(&line);
            say_tables(look, text_span(&set), name, line, &seen);
        }
    }
    say_keys(look, text_span(&main_cf));
    for (size_t i = 0; i < ELEMENTS_OF(own); i++)
        if (is_new(&seen, span_of(own[i])) &&
            say_permissions(look, "file", own[i]) != -ENOENT) /* no aliases are no fault */
            say_place(look, own[i]);
}
