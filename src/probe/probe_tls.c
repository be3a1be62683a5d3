/* TLS on the mail and web ports: a process of its own for each port that listens, side by side,
 * because a server that lets one wait must not let all wait.
 *
 * With an argument, port=PORT/DIALECT[,NAME], it is that process: for a port that is not in the
 * table as well. NAME is what clients call this host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "probe/certificate.h"
#include "probe/listeners.h"
#include "probe/served.h"
#include "probe/tls_port.h"
#include "probe/words.h"

/* A port's own time, and after which it is ended from outside: far more than a port takes, which is
 * one or two seconds, for a machine that is busy. */
#define PORT_US (12 * SECOND_US)
#define PORT_MOST_US (13 * SECOND_US)

static const struct {
    uint16_t number;
    enum dialect dialect;
} ports[] = {
    {25, DIALECT_SMTP},  {465, DIALECT_TLS},  {587, DIALECT_SMTP},
    {143, DIALECT_IMAP}, {993, DIALECT_TLS},  {110, DIALECT_POP3},
    {995, DIALECT_TLS},  {443, DIALECT_TLS},  {4190, DIALECT_SIEVE},
};

/* ---- one port ---- */

static bool read_argument(const char *argument, uint16_t *ret_number, enum dialect *ret_dialect,
                          const char **ret_name) {
    struct span rest = span_of(argument);
    int64_t number;
    if (span_to_integer(span_cut(&rest, '/'), 1, UINT16_MAX, &number) < 0)
        return false;
    struct span word = span_cut(&rest, ',');
    for (size_t i = 0; i < DIALECTS; i++)
        if (span_is(word, dialect_names[i])) {
            *ret_number = (uint16_t)number;
            *ret_dialect = (enum dialect)i;
            *ret_name = rest.at && rest.length ? rest.at : NULL;
            return true;
        }
    return false;
}

static void look_at_port(struct look *look) {
    char subject[40];
    cleanup_text struct text table = {0};
    struct tls_port port = {.subject = subject, .until_us = clock_monotonic_us() + PORT_US};
    if (!read_argument(look_argument(look, "port"), &port.number, &port.dialect, &port.name))
        look_say_not(look, NULL, "'%s' is not port=PORT/DIALECT[,NAME]",
                     look_argument(look, "port"));
    else if (!listeners_read(&table) ||
             !listeners_find(text_span(&table), port.number, &port.address))
        look_say_not(look, NULL, "nothing listens on port %u", port.number);
    else {
        snprintf(subject, sizeof(subject), "port %u", port.number);
        tls_port_look(look, &port);
    }
}

/* ---- all of them ---- */

void probe_tls(struct look *look) {
    struct look_part parts[ELEMENTS_OF(ports)];
    size_t count = 0;
    char name[256] = "";
    struct address address;
    cleanup_text struct text table = {0};
    if (look_argument(look, "port")) {
        look_at_port(look);
        return;
    }
    if (!listeners_read(&table)) {
        look_say_not(look, NULL, "/proc/net/tcp cannot be read");
        return;
    }
    bool has_name = served_host_name(look, name, sizeof(name));
    for (size_t i = 0; i < ELEMENTS_OF(ports); i++) {
        if (!listeners_find_open(text_span(&table), ports[i].number, &address))
            continue;
        struct look_part *part = &parts[count++];
        snprintf(part->name, sizeof(part->name), "port %u", ports[i].number);
        snprintf(part->argument, sizeof(part->argument), "port=%u/%s%s%s", ports[i].number,
                 dialect_names[ports[i].dialect], has_name ? "," : "", name);
    }
    look_say_text(look, "there", "", count ? "yes" : "no");
    look_run_parts(look, parts, count, PORT_MOST_US);
}
