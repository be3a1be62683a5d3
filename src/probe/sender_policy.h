/* An SPF record (RFC 7208) as its terms. What it means needs the DNS and is probe/dns_spf.c's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "base/why.h"

enum { SPF_TERMS_MOST = 128, SPF_TARGET_MAX = 256 };

enum spf_what {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_REDIRECT,
};

struct spf_term {
    enum spf_what what;
    char qualifier;              /* + - ~ ? */
    char target[SPF_TARGET_MAX]; /* a domain; "" is the record's own */
    bool has_macro;              /* in it, so that it is another one for every mail */
    struct prefix prefix;        /* of IP4 and IP6 */
    uint8_t v4_bits, v6_bits;    /* of A and MX */
};

struct spf {
    struct spf_term terms[SPF_TERMS_MOST];
    size_t count;
};

/* Is that text an SPF record at all, or another's TXT? */
bool spf_is_one(struct span text);

/* -EINVAL with what is wrong in it. */
must_use int spf_read(struct span text, struct spf *ret_spf, struct why *reterr_why);

/* Whether it costs one of the ten questions a receiver asks at most (RFC 7208, 4.6.4). */
bool spf_term_asks(const struct spf_term *term);

/* The qualifier of its "all", '>' when it ends in a redirect, 0 when in neither (which is '?'). */
char spf_all(const struct spf *spf);
