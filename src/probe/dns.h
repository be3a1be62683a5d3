/* Asking the DNS: many questions side by side, each asked once, validated here.
 *
 * Whoever wants to know something asks as if all were known: dns_ask() gives what is known of that
 * name and type, and begins the question when nothing is. After dns_wait() one asks all of it
 * again, until no question is new. So what is written in a row is asked side by side, as far as one
 * question does not hang on another's answer.
 *
 * Questions go to the configured resolver only; whether its answers are signed by whom they should
 * be is found out here (libunbound), so the resolver need not be trusted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "base/span.h"
#include "base/why.h"

enum {
    DNS_NAME_MAX = 256, /* as text without the last dot, with its NUL */
    DNS_RESOLVERS_MOST = 3,
    DNS_RECORDS_MOST = 100, /* of one answer; what is more is left out */
};

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_TLSA = 52,
    DNS_SPF = 99,
    DNS_CAA = 257,
};

enum dns_state {
    DNS_PENDING, /* not known yet */
    DNS_FOUND,   /* there are records */
    DNS_EMPTY,   /* the name is there, records of that type are not */
    DNS_NO_NAME, /* there is no such name */
    DNS_FAILED,  /* nobody could say: `why` */
};

enum dns_trust {
    DNS_UNKNOWN,  /* nothing can be validated here, or there is no answer */
    DNS_INSECURE, /* whose zone is not signed */
    DNS_SECURE,
    DNS_BOGUS, /* it should be signed, and is not by whom it should: `why` */
};

struct dns_answer {
    enum dns_state state;
    enum dns_trust trust;
    const char *why;
    bool is_late;               /* DNS_FAILED for want of time */
    const char *canonical;      /* the name an alias leads to, in small letters; NULL: it is none */
    const struct span *records; /* as on the wire, names in them not compressed */
    size_t count;               /* 0 but for DNS_FOUND */
};

struct dns;

/* Where it asks: addresses as "1.2.3.4" or "1.2.3.4@5353"; and the file with the keys (or digests)
 * of the root or of other zones; NULL: nothing is validated. Gives up `limit_us` from now. */
struct dns *dns_open(const char *const resolvers[], size_t count, const char *anchors,
                     int64_t limit_us, struct why *reterr_why);
struct dns *dns_close(struct dns *dns); /* returns NULL */

/* Never NULL; stays good until dns_close(). A name with bytes that no host name has is not asked
 * but DNS_FAILED, and so is everything after some hundreds of questions. */
const struct dns_answer *dns_ask(struct dns *dns, const char *name, enum dns_type type);

/* Waits until all that was asked is answered or time is up (what is open then is DNS_FAILED).
 * True when something was asked since it was last called. */
bool dns_wait(struct dns *dns);

bool dns_is_over(const struct dns *dns); /* time is up */

/* The name under which an address has its PTR record; or, with `zone`, a blocklist its answer:
 * "1.2.0.192.zone", nibbles for IPv6. */
void dns_reverse(const struct address *address, const char *zone, char into[DNS_NAME_MAX]);

/* Does that resolver itself say that the signed root is authentic? 1, 0, -errno when it does not
 * answer within a second or two. Asked directly. */
must_use int dns_resolver_validates(const char *resolver);
