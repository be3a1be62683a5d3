/* Dovecot, as doveconf says it would act. 2.3 and 2.4 name many settings differently: what was
 * renamed is said under 2.4's name and in 2.4's words, so that one rule is for both
 * (https://doc.dovecot.org/latest/installation/upgrade/2.3-to-2.4.html).
 *
 * What it says of passwords is which schemes a passwd-file has, never a hash.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <strings.h>

#include "probe/dovecot_listeners.h"
#include "probe/dovecot_passwords.h"
#include "probe/permissions.h"
#include "probe/probe.h"
#include "probe/words.h"

enum { DEEP = 6, HEADER_MOST = 200, LIST_MOST = 400 };

struct dovecot {
    struct look *look;
    bool is_old; /* 2.3 */
    struct span lines;
    char header[DEEP][HEADER_MOST];
    size_t depth;
    struct dovecot_listeners listeners;
    char protocols[LIST_MOST], listen[LIST_MOST];
    char list[LIST_MOST]; /* of a { name = yes } block that is being read */
    struct {
        char driver[40], name[60], path[300], scheme[40];
        bool is_master, is_proxy;
    } database; /* the passdb or userdb that is being read */
};

/* ---- names and words of 2.4 ---- */

/* %n, %d and %u, with or without modifiers, as 2.4 writes them; and blanks around | taken away. */
static void write_variables(struct text *text, struct span value) {
    for (size_t i = 0; i < value.length; i++) {
        size_t next = i + 1;
        while (value.at[i] == '%' && next < value.length && strchr("LUH", value.at[next]))
            next++;
        char letter = value.at[i] == '%' && next < value.length ? value.at[next] : '\0';
        const char *name = letter == 'n'   ? "%{user|username}"
                           : letter == 'd' ? "%{user|domain}"
                           : letter == 'u' ? "%{user}"
                                           : NULL;
        bool is_padding = value.at[i] == ' ' && ((i + 1 < value.length && value.at[i + 1] == '|') ||
                                                 (i > 0 && value.at[i - 1] == '|'));
        if (name) {
            text_add_string(text, name);
            i = next;
        } else if (!is_padding) {
            text_add_char(text, value.at[i]);
        }
    }
}

/* A file's name is said, what a setting holds itself is not. */
static void say_file_setting(struct look *look, const char *key, const char *subject,
                             struct span value) {
    if (span_starts_with(value, SPAN("<")))
        value = span_trim(span_skip(value, 1));
    look_say(look, key, subject, value.length && value.at[0] == '/' ? value : SPAN("(inline)"));
}

/* "maildir:~/Maildir:LAYOUT=fs" */
static void say_location(struct look *look, const char *subject, struct span value) {
    cleanup_text struct text path = {0};
    struct span rest = value;
    struct span driver = span_cut(&rest, ':');
    look_say(look, "mail_driver", subject, driver);
    write_variables(&path, span_cut(&rest, ':'));
    look_say(look, "mail_path", subject, path.length ? text_span(&path) : SPAN(""));
}

/* Does a block give what the top level has by default? "ssl_server { key_file = … }" is
 * ssl_server_key_file, "mail_plugins { quota = yes }" is a list. */
static bool is_given_in_block(struct span lines, struct span key) {
    struct span line;
    size_t depth = 0;
    struct span rest = {0}; /* of the key, behind the block's name */
    while (next_line(&lines, &line)) {
        if (line.at[line.length - 1] == '{') {
            struct span name = span_trim((struct span){line.at, line.length - 1});
            if (depth == 0 && span_equals(name, key))
                return true; /* a list */
            bool is_head = depth++ == 0 && key.length > name.length + 1 &&
                           span_starts_with(key, name) && key.at[name.length] == '_';
            rest = is_head ? span_skip(key, name.length + 1) : (struct span){0};
        } else if (span_is(line, "}")) {
            depth -= depth > 0;
            rest = (struct span){0};
        } else if (depth == 1 && rest.length && span_equals(cut_key(&line), rest)) {
            return true;
        }
    }
    return false;
}

static void say_setting(struct dovecot *dovecot, struct span key, const char *subject,
                        struct span value) {
    static const struct {
        const char *old, *name;
        bool is_file;
    } renamed[] = {
        {"ssl_cert", "ssl_server_cert_file", true},
        {"ssl_key", "ssl_server_key_file", true},
        {"ssl_dh", "ssl_server_dh_file", true},
        {"ssl_ca", "ssl_server_ca_file", true},
        {"auth_default_realm", "auth_default_domain", false},
        {"ssl_verify_client_cert", "ssl_server_request_client_cert", false},
    };
    struct look *look = dovecot->look;
    char name[READING_NAME_MAX];
    cleanup_text struct text written = {0};
    if (key.length >= sizeof(name) || memmem(value.at, value.length, "# hidden", 8))
        return;
    snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(key));
    for (size_t i = 0; i < ELEMENTS_OF(renamed); i++)
        if (strcmp(name, renamed[i].old) == 0) {
            if (value.length && renamed[i].is_file)
                say_file_setting(look, renamed[i].name, subject, value);
            else
                look_say(look, renamed[i].name, subject, value);
            return;
        }
    if (strcmp(name, "disable_plaintext_auth") == 0)
        look_say_text(look, "auth_allow_cleartext", subject, span_is(value, "no") ? "yes" : "no");
    else if (strcmp(name, "ssl_prefer_server_ciphers") == 0)
        look_say_text(look, "ssl_server_prefer_ciphers", subject,
                      span_is(value, "yes") ? "server" : "client");
    else if (strcmp(name, "mail_location") == 0)
        say_location(look, subject, value);
    else {
        write_variables(&written, value);
        if (strcmp(name, "ssl_server_key_file") == 0 && written.length && written.at[0] == '/')
            (void)!say_permissions(look, "key", written.at);
        /* A key, for one. */
        bool is_inline = span_starts_with(text_span(&written), SPAN("inline:"));
        look_say(look, name, subject,
                 is_inline        ? SPAN("(inline)")
                 : written.length ? text_span(&written)
                                  : SPAN(""));
    }
}

/* ---- blocks ---- */

static bool is_list(const char *name) {
    static const char *const lists[] = {"protocols",
                                        "listen",
                                        "auth_mechanisms",
                                        "mail_plugins",
                                        "login_trusted_networks",
                                        "sieve_extensions",
                                        "sieve_global_extensions",
                                        "sieve_plugins"};
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++)
        if (strcmp(name, lists[i]) == 0)
            return true;
    return false;
}

static void note_list(struct dovecot *dovecot, const char *name, struct span value) {
    char *into = strcmp(name, "protocols") == 0 ? dovecot->protocols
                 : strcmp(name, "listen") == 0  ? dovecot->listen
                                                : NULL;
    if (into)
        snprintf(into, LIST_MOST, "%.*s", SPAN_FORMAT(value));
}

/* The listener whose block is being read; NULL: none, or one too many. */
static struct dovecot_listener *listener_here(struct dovecot *dovecot) {
    struct span service = span_of(dovecot->header[0]);
    struct span name = span_of(dovecot->header[1]);
    (void)span_word(&service);
    (void)span_word(&name);
    return dovecot_listener_find(&dovecot->listeners, span_trim(service), span_trim(name));
}

static void note_database(struct dovecot *dovecot, struct span key, struct span value) {
    if (span_is(key, "driver"))
        snprintf(dovecot->database.driver, sizeof(dovecot->database.driver), "%.*s",
                 SPAN_FORMAT(value));
    if (span_is(key, "master"))
        dovecot->database.is_master = span_is(value, "yes");
    if (span_is(key, "passwd_file_path"))
        snprintf(dovecot->database.path, sizeof(dovecot->database.path), "%.*s",
                 SPAN_FORMAT(value));
    if (span_is(key, "default_password_scheme"))
        snprintf(dovecot->database.scheme, sizeof(dovecot->database.scheme), "%.*s",
                 SPAN_FORMAT(value));
    /* Whoever is sent on to another server shows his password there. */
    if (span_is(key, "proxy") || span_is(key, "proxy_maybe"))
        dovecot->database.is_proxy = true;
    while (span_is(key, "args") && value.length > 0) {
        struct span word = span_word(&value);
        struct span name = word;
        name = span_cut(&name, '=');
        if (span_is(name, "proxy") || span_is(name, "proxy_maybe"))
            dovecot->database.is_proxy = true;
        if (span_starts_with(word, SPAN("scheme=")))
            snprintf(dovecot->database.scheme, sizeof(dovecot->database.scheme), "%.*s",
                     SPAN_FORMAT(span_skip(word, 7)));
        else if (word.length && word.at[0] == '/')
            snprintf(dovecot->database.path, sizeof(dovecot->database.path), "%.*s",
                     SPAN_FORMAT(word));
    }
}

/* kind: "passdb" or "userdb" */
static void say_database(struct dovecot *dovecot, const char *kind, struct span name) {
    char key[40];
    char subject[400];
    const char *path = dovecot->database.path;
    if (!dovecot->database.driver[0])
        snprintf(dovecot->database.driver, sizeof(dovecot->database.driver), "%.*s",
                 SPAN_FORMAT(name));
    snprintf(subject, sizeof(subject), "%.40s%s%.300s", dovecot->database.driver,
             path[0] ? " " : "", path);
    snprintf(key, sizeof(key), "%s.driver", kind);
    look_say_text(dovecot->look, key, subject,
                  dovecot->database.is_proxy ? "proxy" : dovecot->database.driver);
    if (strcmp(kind, "passdb") == 0) {
        look_say_text(dovecot->look, "passdb.master", subject,
                      dovecot->database.is_master ? "yes" : "no");
        if (path[0] == '/' && !strchr(path, '%')) {
            (void)!say_permissions(dovecot->look, "passdb.file", path);
            if (strcmp(dovecot->database.driver, "passwd-file") == 0)
                say_password_schemes(dovecot->look, path, dovecot->database.scheme);
        }
    }
    memset(&dovecot->database, 0, sizeof(dovecot->database));
}

static void open_block(struct dovecot *dovecot, struct span header) {
    if (dovecot->depth < DEEP)
        snprintf(dovecot->header[dovecot->depth], HEADER_MOST, "%.*s",
                 SPAN_FORMAT(span_trim(header)));
    dovecot->depth++;
    struct span kind = span_of(dovecot->header[1]);
    if (dovecot->depth == 2 && strncmp(dovecot->header[0], "service ", 8) == 0 &&
        span_is(span_word(&kind), "inet_listener"))
        (void)listener_here(dovecot); /* with nothing in it it is there as well */
}

static void close_block(struct dovecot *dovecot) {
    if (dovecot->depth == 0)
        return;
    if (--dovecot->depth > 0)
        return;
    struct span name = span_of(dovecot->header[0]);
    struct span kind = span_word(&name);
    name = span_trim(name);
    if (span_is(kind, "passdb") || span_is(kind, "userdb"))
        say_database(dovecot, span_is(kind, "passdb") ? "passdb" : "userdb", name);
    else if (is_list(dovecot->header[0])) {
        note_list(dovecot, dovecot->header[0], span_of(dovecot->list));
        look_say_text(dovecot->look, dovecot->header[0], "", dovecot->list);
    }
    dovecot->list[0] = '\0';
}

static void note_in_list(struct dovecot *dovecot, struct span key, struct span value) {
    size_t length = strlen(dovecot->list);
    if (span_is(value, "yes"))
        snprintf(dovecot->list + length, sizeof(dovecot->list) - length, "%s%.*s",
                 length ? " " : "", SPAN_FORMAT(key));
}

static void note_in_service(struct dovecot *dovecot, struct span service, struct span key,
                            struct span value) {
    char name[60];
    snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(service));
    size_t length = strlen(name);
    bool is_login = length > 6 && strcmp(name + length - 6, "-login") == 0;
    if (dovecot->depth == 1 && is_login &&
        (span_is(key, "service_count") || span_is(key, "restart_request_count")))
        look_say(dovecot->look, "login.restart_request_count", name, value);
    if (dovecot->depth != 2)
        return;
    struct span path = span_of(dovecot->header[1]);
    struct span kind = span_word(&path);
    path = span_trim(path);
    struct dovecot_listener *listener = span_is(kind, "inet_listener") ? listener_here(dovecot)
                                                                     : NULL;
    if (listener)
        dovecot_listener_note(listener, key, value);
    /* The sockets that somebody made for other programs; Dovecot's own lie in its own folder. */
    if (span_is(kind, "unix_listener") && span_is(key, "mode") && path.length &&
        path.at[0] == '/') {
        char subject[HEADER_MOST];
        snprintf(subject, sizeof(subject), "%.*s", SPAN_FORMAT(path));
        look_say(dovecot->look, "socket.mode", subject, value);
    }
}

static void note(struct dovecot *dovecot, struct span key, struct span value) {
    struct span name = span_of(dovecot->header[0]);
    struct span kind = span_word(&name);
    char whole[READING_NAME_MAX];
    name = span_trim(name);
    if (dovecot->depth == 0) {
        snprintf(whole, sizeof(whole), "%.*s", SPAN_FORMAT(key));
        note_list(dovecot, whole, value);
        if (dovecot->is_old || !is_given_in_block(dovecot->lines, key))
            say_setting(dovecot, key, "", value);
    } else if (span_is(kind, "service")) {
        note_in_service(dovecot, name, key, value);
    } else if (span_is(kind, "passdb") || span_is(kind, "userdb")) {
        note_database(dovecot, key, value);
    } else if (dovecot->depth > 1) {
        /* local_name mail.example.org { ssl_server { key_file = … } } */
        if (dovecot->depth > 2 || strcmp(dovecot->header[1], "ssl_server") != 0)
            return;
        int length = snprintf(whole, sizeof(whole), "ssl_server_%.*s", SPAN_FORMAT(key));
        if ((size_t)length < sizeof(whole))
            say_setting(dovecot, span_of(whole), dovecot->header[0], value);
    } else if (span_is(kind, "plugin")) {
        say_setting(dovecot, key, "", value);
    } else if (span_is(kind, "protocol") || span_is(kind, "local") || span_is(kind, "remote") ||
               span_is(kind, "local_name")) {
        say_setting(dovecot, key, dovecot->header[0], value);
    } else if (is_list(dovecot->header[0])) {
        note_in_list(dovecot, key, value);
    } else if (name.length == 0) {
        int length = snprintf(whole, sizeof(whole), "%.*s_%.*s", SPAN_FORMAT(kind),
                              SPAN_FORMAT(key)); /* ssl_server { key_file } */
        if ((size_t)length < sizeof(whole))
            say_setting(dovecot, span_of(whole), "", value);
    }
}

static void read_lines(struct dovecot *dovecot, struct span lines) {
    struct span line;
    while (next_line(&lines, &line)) {
        if (line.at[line.length - 1] == '{')
            open_block(dovecot, (struct span){line.at, line.length - 1});
        else if (span_is(line, "}"))
            close_block(dovecot);
        else {
            struct span value = line;
            struct span key = span_cut(&value, '=');
            if (value.at)
                note(dovecot, span_trim(key), span_trim(value));
        }
    }
}

/* ---- what doveconf does not print ---- */

/* 2.3 shows the private keys' files only when told to, as "<PATH": the one of all, and those of
 * names and addresses. */
static void say_key_files(struct look *look) {
    static const char *const ask[] = {"doveconf", "-P", "-n", NULL};
    cleanup_text struct text output = {0};
    struct span line;
    bool is_first = true;
    if (look_run(look, ask, &output, NULL) != 0)
        return;
    struct span lines = text_span(&output);
    while (next_line(&lines, &line)) {
        char path[300];
        struct span key = cut_key(&line);
        bool is_key = span_is(key, "ssl_key") || span_is(key, "ssl_alt_key");
        if (!is_key || !span_starts_with(line, SPAN("</")) || line.length >= sizeof(path))
            continue;
        snprintf(path, sizeof(path), "%.*s", SPAN_FORMAT(span_skip(line, 1)));
        if (is_first)
            look_say_text(look, "ssl_server_key_file", "", path);
        is_first = false;
        (void)!say_permissions(look, "key", path);
    }
}

/* 2.4 leaves it out of what it prints of all. */
static void say_greeting(struct look *look) {
    static const char *const ask[] = {"doveconf", "-h", "login_greeting", NULL};
    cleanup_text struct text value = {0};
    if (look_run(look, ask, &value, NULL) == 0)
        look_say(look, "login_greeting", "", text_span(&value));
}

/* What somebody wrote although it is the default tells what he believed. */
static void say_written(struct look *look) {
    static const char name[] = "auth_cache_negative_ttl";
    glob_t found = {0};
    if (glob("/etc/dovecot/*.conf", 0, NULL, &found) == 0)
        (void)glob("/etc/dovecot/conf.d/*.conf", GLOB_APPEND, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        cleanup_text struct text file = {0};
        struct span line;
        if (look_file(found.gl_pathv[i], &file) < 0)
            continue;
        struct span lines = text_span(&file);
        while (next_line(&lines, &line)) {
            struct span value = line;
            if (span_is(span_trim(span_cut(&value, '=')), name) && value.at)
                look_say(look, "written.auth_cache_negative_ttl", found.gl_pathv[i], value);
        }
    }
    globfree(&found);
}

/* "# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf" */
static void say_version(struct dovecot *dovecot, struct span lines) {
    struct span first = span_cut(&lines, '\n');
    (void)span_cut(&first, ' ');
    struct span version = span_word(&first);
    dovecot->is_old = span_starts_with(version, SPAN("2.3")) ||
                      span_starts_with(version, SPAN("2.2"));
    look_say(dovecot->look, "version", "", version);
}

void probe_dovecot(struct look *look) {
    static const char *const all[] = {"doveconf", "-a", NULL};
    cleanup_text struct text lines = {0};
    cleanup_text struct text complaint = {0};
    struct dovecot dovecot = {.look = look};
    bool is_there = look_has_program("/usr/sbin/dovecot") || look_has_program("doveconf");
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (!is_there)
        return;
    int status = look_run(look, all, &lines, &complaint);
    if (status != 0) {
        look_say_not(look, NULL, "doveconf -a: %.300s",
                     status < 0         ? strerror(-status)
                     : complaint.length ? complaint.at
                                        : "it failed without a word");
        if (status > 0 && geteuid() == 0)
            look_say(look, "configuration", "", text_span(&complaint));
        return;
    }
    look_say_text(look, "configuration", "", "read");
    say_version(&dovecot, text_span(&lines));
    look_say_warnings(look, text_span(&complaint), "doveconf: Warning: ");
    dovecot.lines = text_span(&lines);
    read_lines(&dovecot, dovecot.lines);
    dovecot_listeners_say(look, &dovecot.listeners, dovecot.protocols, dovecot.listen);
    if (dovecot.is_old)
        say_key_files(look);
    else
        say_greeting(look);
    say_written(look);
}
