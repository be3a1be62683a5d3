/* Whom this machine asks for names: /etc/resolv.conf.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/hosts.h"
#include "probe/probe.h"
#include "probe/words.h"

void probe_resolver(struct look *look) {
    cleanup_text struct text file = {0};
    cleanup_text struct text options = {0};
    unsigned count = 0;
    struct span line;
    int error = look_file("/etc/resolv.conf", &file);
    if (error < 0 && error != -ENOENT) {
        look_say_not(look, NULL, "/etc/resolv.conf: %s", strerror(-error));
        return;
    }
    struct span lines = text_span(&file);
    while (next_line(&lines, &line)) {
        struct span key = cut_key(&line);
        if (span_is(key, "nameserver")) {
            char subject[80];
            snprintf(subject, sizeof(subject), "%.*s", SPAN_FORMAT(line));
            look_say_text(look, "kind", subject, resolver_kind(line));
            count++;
        } else if (span_is(key, "options")) {
            text_add(&options, line);
            text_add_char(&options, ' ');
        }
    }
    if (count == 0) /* resolv.conf(5) */
        look_say_text(look, "kind", "127.0.0.1", "loopback");
    look_say(look, "options", "", options.length ? text_span(&options) : SPAN(""));
}
