/* Which names this machine has in the mail world, as its own files say: domains it takes mail for,
 * the name it greets with, the addresses it sends from, the keys it signs with. Nothing is asked
 * of the DNS here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "base/text.h"
#include "probe/probe.h"
#include "probe/strangers.h"

enum {
    NAME_MAX_BYTES = 256,
    MAIL_DOMAINS_MOST = 40,
    MAIL_KEYS_MOST = 100,
    MAIL_CERTIFICATES_MOST = 8,
};

struct mail_domain {
    char name[NAME_MAX_BYTES];
    const char *from; /* "domains" of hauberk.conf, or Postfix's parameter */
};

struct mail_key { /* of DKIM */
    char domain[NAME_MAX_BYTES], selector[64], path[300];
};

struct mail_names {
    char host[NAME_MAX_BYTES]; /* what it calls itself in HELO; "" when it has none of the DNS */
    struct mail_domain domains[MAIL_DOMAINS_MOST];
    size_t domain_count, left_out;
    struct mail_key keys[MAIL_KEYS_MOST];
    size_t key_count, keys_left_out;
    char other_keys[300];                    /* why there may be more keys than these; "" */
    struct address own[OWN_ADDRESSES_MOST]; /* of its interfaces, what the internet can reach */
    size_t own_count;
    struct address senders[2]; /* the source of what it sends: one per family */
    size_t sender_count;
    bool has_relay; /* another machine sends for it */
    char certificates[MAIL_CERTIFICATES_MOST][300];
    size_t certificate_count;
};

/* declared: what hauberk.conf says, separated by commas; "" when nothing. */
void mail_names_find(struct look *look, struct span declared, struct mail_names *ret_names);

/* Can strangers on the internet have that address? */
bool address_is_public(const struct address *address);
/* A name that nobody may register (RFC 2606, RFC 6761, RFC 6762) or that has no dot. */
bool name_is_reserved(const char *name);
