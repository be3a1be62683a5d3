/* Where the failures of each jail come from, as far as one address matters: does one of them make
 * most of all failures, and is there any other? That tells a proxy or a container's bridge that
 * hides everybody behind one address, and an exempt address that fails day and night.
 *
 * A few addresses are followed in each jail; a rarer one is given up for a newcomer (the "space
 * saving" of Metwally, Agrawal and El Abbadi, 2005), so that who makes most is among them however
 * many there are. Every twelve hours of log time all counts are halved: what was mended is
 * forgotten. Kept in memory only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

struct origins;

/* What one address does in one jail. */
struct origin {
    struct address address;
    uint32_t failures, of; /* at least so many, of all */
    uint32_t accounts;     /* different ones, counted up to ORIGIN_ACCOUNTS */
    int64_t first_us, last_us;
    bool is_only; /* no other address failed */
};

enum { ORIGIN_ACCOUNTS = 8, ORIGIN_FAILURES_LEAST = 20 };

struct origins *origins_new(uint32_t jails);
struct origins *origins_free(struct origins *origins);

/* `account` is its identity (ledger/account.h), 0 when none is told. */
void origins_note(struct origins *origins, uint16_t jail, const struct address *address,
                  uint64_t account, int64_t at_us);

/* The address that more than half of at least ORIGIN_FAILURES_LEAST failures come from; false:
 * there is none. */
bool origins_most(const struct origins *origins, uint16_t jail, struct origin *ret_origin);

/* Does it look as if everybody came by this one address? A private one, the jail's only one,
 * failing on five accounts or more over ten minutes or more. */
bool origin_hides_others(const struct origin *origin);
