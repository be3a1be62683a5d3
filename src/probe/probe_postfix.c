/* Postfix, as its own postconf(1) says it would act. A parameter of an smtpd service is what
 * master.cf's -o gives it, else main.cf's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/probe.h"
#include "probe/words.h"

enum { NAME_MAX_BYTES = 100 };

/* False after saying why not. */
static bool ask(struct look *look, const char *what, struct text *output) {
    cleanup_text struct text complaint = {0};
    const char *const arguments[] = {"postconf", what, NULL};
    int status = look_run(look, arguments, output, &complaint);
    if (status < 0)
        look_say_not(look, NULL, "postconf %s: %s", what, strerror(-status));
    else if (status > 0)
        look_say_not(look, NULL, "postconf %s: %.300s", what,
                     complaint.length ? complaint.at : "it failed without a word");
    return status == 0;
}

static void say_parameter(struct look *look, const char *family, struct span name,
                          const char *subject, struct span value) {
    char key[READING_NAME_MAX];
    if ((size_t)snprintf(key, sizeof(key), "%s.%.*s", family, SPAN_FORMAT(name)) < sizeof(key))
        look_say(look, key, subject, value);
}

/* The value master.cf gives a service ("smtp/inet/NAME = VALUE" in `overrides`). */
static bool find_override(struct span overrides, const char *service, struct span name,
                          struct span *ret_value) {
    struct span line;
    while (next_line(&overrides, &line)) {
        struct span key = cut_key(&line);
        size_t length = strlen(service);
        if (key.length == length + 1 + name.length && memcmp(key.at, service, length) == 0 &&
            key.at[length] == '/' && span_equals(span_skip(key, length + 1), name)) {
            *ret_value = line;
            return true;
        }
    }
    return false;
}

static void say_service(struct look *look, const char *service, struct span main_cf,
                        struct span overrides) {
    struct span line;
    while (next_line(&main_cf, &line)) {
        struct span name = cut_key(&line);
        struct span value = line;
        (void)find_override(overrides, service, name, &value);
        say_parameter(look, "smtpd", name, service, value);
    }
}

/* "smtp inet n - y - - smtpd -o …" */
static void say_services(struct look *look, struct span services, struct span main_cf,
                         struct span overrides) {
    struct span line;
    while (next_line(&services, &line)) {
        enum { NAME, TYPE, COMMAND = 7, FIELDS };
        char service[NAME_MAX_BYTES];
        struct span fields[FIELDS];
        for (size_t i = 0; i < FIELDS; i++)
            fields[i] = span_word(&line);
        snprintf(service, sizeof(service), "%.*s/%.*s", SPAN_FORMAT(fields[NAME]),
                 SPAN_FORMAT(fields[TYPE]));
        if (span_is(fields[COMMAND], "smtpd"))
            say_service(look, service, main_cf, overrides);
    }
}

void probe_postfix(struct look *look) {
    cleanup_text struct text main_cf = {0};
    cleanup_text struct text services = {0};
    cleanup_text struct text overrides = {0};
    struct span line;
    if (!look_has_program("/usr/sbin/postconf")) {
        look_say_text(look, "there", "", "no");
        return;
    }
    look_say_text(look, "there", "", "yes");
    if (!ask(look, "-x", &main_cf) || !ask(look, "-M", &services) || !ask(look, "-Px", &overrides))
        return;
    struct span rest = text_span(&main_cf);
    while (next_line(&rest, &line)) {
        struct span name = cut_key(&line);
        if (span_is(name, "mail_version"))
            look_say(look, "version", "", line);
        say_parameter(look, "main", name, "", line);
    }
    say_services(look, text_span(&services), text_span(&main_cf), text_span(&overrides));
}
