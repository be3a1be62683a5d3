/* Which system this is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "probe/probe.h"
#include "probe/words.h"

void probe_host(struct look *look) {
    cleanup_text struct text text = {0};
    char value[100];
    int error = look_file("/etc/os-release", &text);
    if (error < 0) {
        look_say_not(look, NULL, "/etc/os-release: %s", strerror(-error));
        return;
    }
    look_say_text(look, "release", "",
                  shell_value(text_span(&text), "VERSION_ID", value, sizeof(value)) ? value
                                                                                    : "none");
    look_say_text(look, "distribution", "",
                  shell_value(text_span(&text), "ID", value, sizeof(value)) ? value : "none");
}
