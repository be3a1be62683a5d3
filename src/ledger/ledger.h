/* Who failed how often: per jail, address and window, a count and two times.
 *
 * The arithmetic is fail2ban's: not a sliding window, but a rate. If a failure comes and the first
 * one is older than findtime, the count is rescaled to what it would be in one findtime and the
 * beginning moves to one findtime ago; then the failure is added. A record whose last failure is
 * older than findtime begins anew. An event older than the last one adds to the count and moves
 * neither time.
 *
 * Bounded. When full, eight records are drawn at random and the least worth keeping goes: first one
 * that has run out, else the one with the smallest weight, else the oldest. An offender close to
 * his limit thus outlives a flood of one-time addresses.
 *
 * Two windows: the short one is the jail's findtime, the long one a day (bans/weighing.h says what
 * is asked of each). Failures on accounts that have logged in from the same address are weighed
 * apart
 * (`own_weight`), because they are somebody's own mistakes and have a limit of their own.
 *
 * Weights count in tenths of an attempt. Dirty records are listed until taken for the store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

enum { WEIGHT_ONE = 10, COUNTER_ACCOUNTS = 3 };
enum ledger_window { WINDOW_SHORT, WINDOW_LONG };

/* 20 bytes without padding, so that it can be hashed and compared as bytes. */
struct ledger_key {
    struct prefix id;
    uint8_t window;
    uint16_t jail;
};
_Static_assert(sizeof(struct ledger_key) == 20, "no padding");

/* Of the short window, and of everything that is not counted in windows. */
static inline struct ledger_key ledger_key_of(uint16_t jail, const struct prefix *id) {
    return (struct ledger_key){*id, WINDOW_SHORT, jail};
}

/* One event to be counted. */
struct failure {
    uint32_t weight, own_weight; /* tenths; 0 and 0: noted only */
    uint32_t attempts;           /* that the line tells of */
    uint8_t protocol;            /* enum protocol */
    uint64_t account;            /* ledger/account.h; 0: none was named */
    bool is_unknown;             /* that account does not exist */
};

struct counter {
    struct ledger_key key;
    uint32_t weight, own_weight; /* tenths, after rescaling */
    uint32_t failures;           /* events counted since the record began */
    uint32_t attempts;           /* what these events tell of: a line may sum up several */
    uint32_t noted;              /* events, with those that weighed nothing */
    uint32_t unknown;            /* counted ones on accounts that do not exist */
    uint32_t kept;               /* lines of evidence kept for it */
    uint32_t protocols;          /* by which they came: bit n for enum protocol's n */
    uint64_t accounts[COUNTER_ACCOUNTS]; /* the first different ones; 0: none yet */
    bool is_dirty;
    int64_t first_us, last_us; /* of the rate */
    int64_t began_us;          /* of the record */
};

struct ledger;

struct ledger *ledger_new(uint32_t most);
struct ledger *ledger_free(struct ledger *ledger);
void ledger_store_nothing(struct ledger *ledger); /* nobody will take what is dirty */
uint32_t ledger_size(const struct ledger *ledger);
uint64_t ledger_evicted(const struct ledger *ledger); /* records that went for lack of room */

/* Counts one event and returns its record, good until the next call. find_us is the window's. */
struct counter *ledger_count(struct ledger *ledger, const struct ledger_key *key, int64_t at_us,
                             const struct failure *failure, int64_t find_us);
uint32_t counter_accounts(const struct counter *counter); /* different ones; 3 means 3 or more */

/* An event that was counted before names the protocol after all. */
void ledger_describe(struct ledger *ledger, struct counter *counter, uint8_t protocol);

/* That event was none after all, in both windows: each gives back what it had weighed there. */
void ledger_take_back(struct ledger *ledger, uint16_t jail, const struct prefix *id,
                      const struct failure *failure);

struct counter *ledger_find(struct ledger *ledger, const struct ledger_key *key);
/* Both windows. */
void ledger_forget(struct ledger *ledger, uint16_t jail, const struct prefix *id);
/* Forgets every record whose id lies in (or covers) the prefix; jail -1 for all. */
void ledger_forget_prefix(struct ledger *ledger, const struct prefix *prefix, int jail);

/* Puts a stored record back. False when it is full. */
bool ledger_restore(struct ledger *ledger, const struct counter *counter);

/* Drops what has run out. find_us(context, key) gives the window's length. */
void ledger_sweep(struct ledger *ledger, int64_t now_us,
                  int64_t (*find_us)(void *context, const struct ledger_key *key), void *context);

/* Moves the next changed key out: false when none is left. The record may be gone by now: then its
 * row is to be deleted (ledger_find() answers NULL). */
bool ledger_take_dirty(struct ledger *ledger, struct ledger_key *ret_key);
