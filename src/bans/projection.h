/* What should be in the kernel: for each (scope, prefix) the latest end of all bans there.
 *
 * A ban (jail, id, until) is not a set element: two jails may ban one address in one scope, and
 * networks may contain each other, which an interval set refuses. The projection resolves both and
 * keeps, per element, what is wanted and what the kernel has confirmed; orders are the differences.
 * Elements run out in the kernel by themselves, so an entry whose time is over is simply dropped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "enforce/enforce.h"

/* Networks that are neither single addresses nor IPv6 /64s: so many can be banned at once. */
enum { NETS_MAX = 16384 };

/* 20 bytes without padding. */
struct element_key {
    struct prefix prefix;
    uint8_t zero;
    uint16_t scope;
};

struct element {
    struct element_key key;
    int32_t error;        /* the kernel's last refusal, errno, or 0 */
    int64_t wanted_us;    /* UNTIL_PERMANENT, or 0: not wanted (any more) */
    int64_t enforced_us;  /* confirmed by a receipt; 0: not there */
    int64_t ordered_us;   /* last order sent and not yet answered; 0: none (a drop: -2) */
    uint32_t in_flight;   /* orders not yet answered: each is, once, in their order */
    bool may_remain;      /* the kernel may have something of it, although nothing confirms that */
    int64_t coming_us;    /* of a part of a network: what flattening made of it */
    bool is_dirty, cut, is_cut_coming;
    bool is_counted, is_counted_enforced, is_counted_refused;
};

struct projection;

struct projection *projection_new(uint32_t most);
struct projection *projection_free(struct projection *projection);

/* The latest end of all bans on exactly that prefix in that scope is now until_us (0: no ban).
 * False: there is no room for one more element, or network. */
must_use bool projection_want(struct projection *projection, uint16_t scope,
                              const struct prefix *prefix, int64_t until_us, bool cut);

/* There is a ban until then, maybe besides others. For loading: costs less, cuts nothing. */
must_use bool projection_restore(struct projection *projection, uint16_t scope,
                                 const struct prefix *prefix, int64_t until_us);

/* Is there room for this network among those of odd length? Always for any other prefix. */
bool projection_takes_net(const struct projection *projection, uint16_t scope,
                          const struct prefix *prefix);

/* Are there networks not flattened yet, so that the next projection_orders() has to? */
bool projection_has_stale_nets(const struct projection *projection);

/* The kernel may hold such an element that nobody wants: order its removal, whatever is known. */
void projection_drop_unknown(struct projection *projection, uint16_t scope,
                             const struct prefix *prefix);

/* Fills up to `most` orders that are due now; 0 when everything is ordered. */
uint32_t projection_orders(struct projection *projection, int64_t now_us,
                           struct enforce_order *orders, uint32_t most);

/* The kernel's answer to one order. */
void projection_receipt(struct projection *projection, uint16_t scope,
                        const struct prefix *prefix, bool was_drop, int64_t until_us, int error);

/* The kernel lost everything, or may have: order all of it again (without cutting). Receipts of
 * earlier orders are still awaited. */
void projection_order_again(struct projection *projection);

/* Drops entries whose time is over. */
void projection_sweep(struct projection *projection, int64_t now_us);

const struct element *projection_find(const struct projection *projection, uint16_t scope,
                                      const struct prefix *prefix);

/* Is all of the prefix refused by the kernel until then at least, by its own element, by one around
 * it or by the parts it was flattened into? */
bool projection_enforces(const struct projection *projection, uint16_t scope,
                         const struct prefix *prefix, int64_t until_us);

/* What is over counts until the next sweep. */
struct projection_counts {
    uint32_t wanted, enforced, refused;
    bool lacks_room; /* networks nest so oddly that not all their parts found room */
};
struct projection_counts projection_counts(const struct projection *projection);
bool projection_is_settled(const struct projection *projection); /* nothing due, nothing awaited */
