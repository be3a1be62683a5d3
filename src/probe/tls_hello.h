/* The first words of a TLS conversation, made and read by hand: what a server would agree to, also
 * where the library on this machine would never ask (SSL 3, RC4, export suites). No key is ever
 * made and no conversation finished.
 *
 * For TLS 1.3 the offer names groups and brings no key share, so that the server answers with a
 * HelloRetryRequest: suite and group in clear (RFC 8446, 4.1.4).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "base/text.h"
#include "probe/tls_suites.h"

struct tls_offer {
    unsigned version; /* the one version that is offered (before 1.3: the highest) */
    const uint16_t *suites, *groups, *signatures;
    size_t suite_count, group_count, signature_count;
    const char *name; /* of the server; NULL: none is sent */
};

struct tls_answer {
    unsigned version; /* 0: the server did not agree */
    unsigned suite, group, signature; /* 0: not told; the latter two are told by (EC)DHE only */
    unsigned dh_bits; /* of the server's DHE prime; 0: none */
    unsigned alert;   /* 0 or the server's refusal */
    bool compresses, has_master_secret, has_safe_renegotiation, has_tickets;
};

/* Appends the record with the ClientHello. */
void tls_offer_write(const struct tls_offer *offer, struct text *into);

/* Reads what the server has sent so far. 1: whole; 0: more must come; -EPROTO: this is no TLS. */
must_use int tls_answer_read(struct span bytes, struct tls_answer *ret_answer);
