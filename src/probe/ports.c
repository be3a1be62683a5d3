/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/ports.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "probe/listeners.h"
#include "probe/strangers.h"

/* Both of Dovecot's releases have it; none of its networks is a name. */
static void ask_trusted(struct look *look, struct text *networks) {
    static const char *const arguments[] = {"doveconf", "-h", "login_trusted_networks", NULL};
    if (look_run(look, arguments, networks, NULL) != 0)
        text_clear(
            networks); /* no Dovecot, or not readable: then nobody more is known as a friend */
}

void ports_visit(struct look *look, const struct port ports[], size_t count, int64_t until_us,
                 int (*visit)(const struct port_visit *visit)) {
    cleanup_text struct text table = {0};
    cleanup_text struct text trusted = {0};
    bool is_there = false;
    if (!listeners_read(&table)) {
        look_say_not(look, NULL, "/proc/net/tcp cannot be read");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char subject[40];
        struct address from;
        struct port_visit one = {
            .look = look, .port = &ports[i], .subject = subject, .until_us = until_us};
        if (!listeners_find_open(text_span(&table), ports[i].number, &one.to))
            continue;
        if (!is_there)
            ask_trusted(look, &trusted);
        is_there = true;
        snprintf(subject, sizeof(subject), "port %u", ports[i].number);
        one.is_stranger = stranger_to(&one.to, text_span(&trusted), &from);
        one.from = one.is_stranger ? &from : NULL;
        int error = visit(&one);
        if (error < 0)
            look_say_not(look, NULL, "%s: %s", subject,
                         error == -EPROTO ? "it does not speak as it should" : strerror(-error));
    }
    look_say_text(look, "there", "", is_there ? "yes" : "no");
}

int port_greeted(const struct port_visit *visit, struct talk *talk, int64_t limit_us,
                 struct text *ret_banner, struct text *ret_able) {
    struct talk_wish wish = {0};
    int64_t until_us = clock_monotonic_us() + limit_us;
    int error = talk_begin(talk, visit->from, &visit->to, visit->port->number,
                           until_us < visit->until_us ? until_us : visit->until_us);
    if (error >= 0 && visit->port->is_tls)
        error = talk_secure(talk, &wish);
    if (error >= 0)
        error = dialect_greeted(talk, visit->port->dialect, ret_banner, ret_able);
    return error;
}
