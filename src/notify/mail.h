/* A mail as RFC 5322 wants it, ready for sendmail(1).
 *
 * Headers hold nothing of a stranger's: what is not printable ASCII becomes a question mark, so no
 * header can be begun by anybody's text. The body is text that was made safe (text_add_safe), each
 * line cut to what mail allows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"

enum { MAIL_HOST_MAX = 128, MAIL_SUBJECT_MAX = 101 };

struct mail_head {
    const char *host;    /* whose mail it is */
    const char *to;
    const char *subject; /* without the host, which is put before it */
    const char *kind;    /* for X-Hauberk */
    int64_t at_us;
    uint64_t number;     /* random: names the mail */
};

/* This machine's name for mail: its host name if that has a domain, else `mailname` (the content of
 * /etc/mailname), else the host name without one. Letters, digits, `.` and `-` only. */
const char *mail_choose_host(const char *host_name, struct span mailname, char into[MAIL_HOST_MAX]);

/* "hauberk on HOST: SUBJECT", printable ASCII. */
const char *mail_subject(const char *host, const char *subject, char into[MAIL_SUBJECT_MAX]);

/* The whole: headers, an empty line, the body. */
void mail_write(const struct mail_head *head, struct span body, struct text *text);
/* The body alone, as a command gets it. */
void mail_write_body(struct span body, struct text *text);
