/* A stranger's conversation with port 25 of this machine, from one of its own addresses to the
 * same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/dialect.h"

/* Whom a server must take mail for (RFC 5321, 4.5.1). */
#define OUTSIDER_POSTMASTER "RCPT TO:<postmaster>"

/* EHLO with that address, with which no check of names can find fault. */
void outsider_write_hello(const struct address *own, struct text *into);
/* Connects, hears the greeting and says EHLO: 250, or the code of a refusal with its text, or
 * -errno. */
must_use int outsider_begin(struct talk *talk, const struct address *own, int64_t until_us,
                            struct text *ret_text);
/* Says QUIT and hears the answer, as postscreen wants it of whom it lets in the next time. */
void outsider_end(struct talk *talk);
/* Is it a code that refuses, whatever for? */
bool outsider_is_refused(int code);
