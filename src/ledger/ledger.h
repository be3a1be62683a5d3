/* Who failed how often: per jail and address, a count and two times.
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
 * Weights count in tenths of an attempt. Dirty records are listed until taken for the store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

enum { WEIGHT_ONE = 10 };

/* 20 bytes without padding, so that it can be hashed and compared as bytes. */
struct ledger_key {
    struct prefix id;
    uint8_t zero;
    uint16_t jail;
};
_Static_assert(sizeof(struct ledger_key) == 20, "no padding");

static inline struct ledger_key ledger_key_of(uint16_t jail, const struct prefix *id) {
    return (struct ledger_key){*id, 0, jail};
}

struct counter {
    struct ledger_key key;
    uint32_t weight;   /* tenths, after rescaling */
    uint32_t failures; /* events counted since the record began */
    uint32_t attempts; /* what these events tell of: a line may sum up several */
    uint32_t kept;     /* lines of evidence kept for it */
    uint32_t protocols; /* by which they came: bit n for enum protocol's n */
    bool is_dirty;
    int64_t first_us, last_us; /* of the rate */
    int64_t began_us;          /* of the record */
};

struct ledger;

struct ledger *ledger_new(uint32_t most);
struct ledger *ledger_free(struct ledger *ledger);
uint32_t ledger_size(const struct ledger *ledger);
uint64_t ledger_evicted(const struct ledger *ledger); /* records that went for lack of room */

/* Counts one event and returns its record, good until the next call. find_us is the jail's. */
struct counter *ledger_count(struct ledger *ledger, uint16_t jail, const struct prefix *id,
                             int64_t at_us, uint32_t weight, int64_t find_us);

/* What is known of the events beyond their weight: how many attempts, and by which protocol. */
void ledger_describe(struct ledger *ledger, struct counter *counter, uint32_t attempts,
                     uint8_t protocol);

/* One event of that weight was none after all. */
void ledger_take_back(struct ledger *ledger, uint16_t jail, const struct prefix *id,
                      uint32_t weight);

struct counter *ledger_find(struct ledger *ledger, uint16_t jail, const struct prefix *id);
void ledger_forget(struct ledger *ledger, uint16_t jail, const struct prefix *id);
/* Forgets every record whose id lies in (or covers) the prefix; jail -1 for all. */
void ledger_forget_prefix(struct ledger *ledger, const struct prefix *prefix, int jail);

/* Puts a stored record back. False when it is full. */
bool ledger_restore(struct ledger *ledger, const struct counter *counter);

/* Drops what has run out. find_us(context, jail) gives the jail's findtime. */
void ledger_sweep(struct ledger *ledger, int64_t now_us,
                  int64_t (*find_us)(void *context, uint16_t jail), void *context);

/* Moves the next changed key out: false when none is left. The record may be gone by now: then its
 * row is to be deleted (ledger_find() answers NULL). */
bool ledger_take_dirty(struct ledger *ledger, struct ledger_key *ret_key);
