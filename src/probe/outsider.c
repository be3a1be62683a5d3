/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/outsider.h"

#include "base/clock.h"

/* For its answer to QUIT nobody waits long. */
#define QUIT_US (SECOND_US / 2)

void outsider_write_hello(const struct address *own, struct text *into) {
    char text[PREFIX_TEXT_MAX];
    text_add_format(into, "EHLO [%s%s]\r\n",
                    address_is_v4(own) ? "" : "IPv6:", address_format(own, text));
}

int outsider_begin(struct talk *talk, const struct address *own, int64_t until_us,
                   struct text *ret_text) {
    cleanup_text struct text hello = {0};
    outsider_write_hello(own, &hello);
    int code = talk_begin(talk, own, own, 25, until_us);
    if (code >= 0)
        code = smtp_answer(talk, ret_text);
    if (code != 220)
        return code;
    text_clear(ret_text);
    code = talk_say(talk, text_span(&hello));
    return code < 0 ? code : smtp_answer(talk, ret_text);
}

void outsider_end(struct talk *talk) {
    int64_t until_us = clock_monotonic_us() + QUIT_US;
    if (talk->fd >= 0 && until_us < talk->until_us)
        talk->until_us = until_us;
    if (talk->fd >= 0)
        (void)!smtp_command(talk, "QUIT", NULL);
    talk_end(talk);
}

bool outsider_is_refused(int code) {
    return code >= 400 && code < 600;
}
