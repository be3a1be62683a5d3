/* How a service is brought to the point where it would speak TLS, and what it says of itself on the
 * way: SMTP (RFC 3207), IMAP and POP3 (RFC 2595), ManageSieve (RFC 5804).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"
#include "probe/talk.h"

enum dialect { DIALECT_TLS, DIALECT_SMTP, DIALECT_IMAP, DIALECT_POP3, DIALECT_SIEVE, DIALECTS };
extern const char *const dialect_names[DIALECTS]; /* "tls": TLS from the first byte */

/* The greeting, without its code: the first line of the banner. ManageSieve greets with what it is
 * able to do; that goes to `ret_able`, which is to be empty. */
must_use int dialect_greeted(struct talk *talk, enum dialect dialect, struct text *ret_banner,
                             struct text *ret_able);
/* Asks what it is able to do: words and lines as they come, one line each, without codes and
 * quotes. */
must_use int dialect_ask_able(struct talk *talk, enum dialect dialect, struct text *ret_able);
/* Does it offer STARTTLS, by what it is able to do? */
bool dialect_offers_tls(struct span able);
/* Asks for TLS: 0, next comes the ClientHello; -ENOTSUP: it refuses. */
must_use int dialect_start_tls(struct talk *talk, enum dialect dialect);

/* A line of `able` that begins with that word; its rest goes to ret_rest. */
bool able_has(struct span able, const char *word, struct span *ret_rest);

/* One SMTP command and its whole answer: the code, or -errno. The answer's text, of its last line,
 * goes to `ret_text` when that is not NULL. */
must_use int smtp_answer(struct talk *talk, struct text *ret_text);
must_use int smtp_command(struct talk *talk, const char *command, struct text *ret_text);
