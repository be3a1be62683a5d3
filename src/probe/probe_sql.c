/* SQL servers, as their files say: MariaDB and MySQL through my_print_defaults, PostgreSQL's
 * postgresql.conf and pg_hba.conf of each cluster.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <glob.h>
#include <stdio.h>

#include "probe/hosts.h"
#include "probe/probe.h"
#include "probe/words.h"

static bool is_off(struct span value) {
    return span_is(value, "0") || span_is(value, "OFF") || span_is(value, "off") ||
           span_is(value, "FALSE") || span_is(value, "false") || span_is(value, "no");
}

static const char *reach_of(struct span addresses) {
    bool is_loopback = addresses.length > 0;
    while (addresses.length > 0) {
        struct span one = span_trim(span_cut(&addresses, ','));
        is_loopback &= host_is_loopback(one);
    }
    return is_loopback ? "loopback" : "net";
}

/* "--bind-address=127.0.0.1", with - or _ in names; the last one holds. */
static void say_mysql(struct look *look) {
    static const char *const ask[] = {"my_print_defaults", "mysqld",         "server", "mariadb",
                                      "mariadbd",          "mariadb-server", NULL};
    cleanup_text struct text options = {0};
    const char *reach = "net"; /* without bind-address it listens everywhere */
    bool takes_files = true;
    bool has_old_syntax = false;
    struct span line;
    int status = look_run(look, ask, &options, NULL);
    if (status != 0) {
        look_say_not(look, "mysql.reach", "my_print_defaults: %s",
                     status < 0 ? strerror(-status) : "it failed");
        return;
    }
    struct span lines = text_span(&options);
    while (next_line(&lines, &line)) {
        char name[60];
        struct span value = line;
        struct span key = span_skip(span_cut(&value, '='), 2);
        snprintf(name, sizeof(name), "%.*s", key.length < 50 ? (int)key.length : 50, key.at);
        for (char *at = name; *at; at++)
            if (*at == '_')
                *at = '-';
        if (strcmp(name, "bind-address") == 0)
            reach = reach_of(value);
        else if (strcmp(name, "skip-networking") == 0 && !(value.at && is_off(value)))
            reach = "no port";
        else if (strcmp(name, "local-infile") == 0)
            takes_files = !(value.at && is_off(value));
        else if (strcmp(name, "skip-local-infile") == 0)
            takes_files = false;
        else if (strcmp(name, "set-variable") == 0)
            has_old_syntax = true;
    }
    look_say_text(look, "mysql.reach", "", reach);
    look_say_text(look, "mysql.local_infile", "", takes_files ? "on" : "off");
    look_say_text(look, "mysql.set_variable", "", has_old_syntax ? "yes" : "no");
}

/* "local all all trust", "host all all 0.0.0.0/0 trust" */
static void say_rights(struct look *look, const char *path) {
    cleanup_text struct text file = {0};
    unsigned count = 0;
    struct span line;
    int error = look_file(path, &file);
    if (error < 0) {
        look_say_not(look, "postgres.method", "%s: %s", path, strerror(-error));
        return;
    }
    struct span lines = text_span(&file);
    while (next_line(&lines, &line)) {
        char subject[300];
        struct span rest = line;
        struct span kind = span_word(&rest);
        struct span method = {0};
        size_t fields = span_is(kind, "local") ? 3 : 4;
        for (size_t i = 0; i < fields; i++)
            method = span_word(&rest);
        struct span next = rest;
        struct span mask = method; /* an address and a mask instead of a prefix */
        if (fields == 4 && mask.length && mask.at[0] >= '0' && mask.at[0] <= '9')
            method = span_word(&next);
        snprintf(subject, sizeof(subject), "%.200s line %u", path, ++count);
        /* "If ident is specified for a local connection, peer will be used instead", it says. */
        if (span_is(kind, "local") && span_is(method, "ident"))
            method = SPAN("peer");
        look_say(look, "postgres.method", subject, method);
    }
}

static void say_postgres(struct look *look, const char *path) {
    cleanup_text struct text file = {0};
    char reach[12] = "loopback"; /* its default is localhost */
    struct span line;
    if (look_file(path, &file) < 0)
        return;
    struct span lines = text_span(&file);
    while (next_line(&lines, &line)) {
        struct span key = cut_key(&line);
        struct span value = span_cut(&line, '#');
        value = span_trim(value);
        if (value.length >= 2 && value.at[0] == '\'')
            value = (struct span){value.at + 1, value.length - 2};
        if (span_is(key, "listen_addresses"))
            snprintf(reach, sizeof(reach), "%s", value.length ? reach_of(value) : "no port");
    }
    look_say_text(look, "postgres.reach", path, reach);
}

void probe_sql(struct look *look) {
    glob_t found = {0};
    bool has_mysql = look_has_program("/usr/sbin/mariadbd") || look_has_program("/usr/sbin/mysqld");
    if (has_mysql)
        say_mysql(look);
    (void)glob("/etc/postgresql/*/*/postgresql.conf", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++)
        say_postgres(look, found.gl_pathv[i]);
    look_say_text(look, "there", "", has_mysql || found.gl_pathc ? "yes" : "no");
    globfree(&found);
    found = (glob_t){0};
    (void)glob("/etc/postgresql/*/*/pg_hba.conf", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++)
        say_rights(look, found.gl_pathv[i]);
    globfree(&found);
}
