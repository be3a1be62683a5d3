/* One human mistake counts once.
 *
 * A mail program with a wrong password does not fail once: it tries PLAIN and then LOGIN, on five
 * connections, within a breath. So failures of one address on one account within three seconds are
 * one. The patience wears off, because guessing programs are fast, too: the first burst may hold
 * five failures, the next one two, later ones one, until ten quiet minutes have passed. Without an
 * account's name (Postfix before 3.9 logs none) a burst holds two.
 *
 * The same memory answers whether an address has tried that account lately at all, for jails that
 * count accounts instead of failures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/hash.h"

#define BURST_US (3 * INT64_C(1000000))
#define BURST_MEMORY_US (600 * INT64_C(1000000))

/* 32 bytes without padding. */
struct burst_key {
    struct address address;
    uint64_t account;
    uint64_t asker; /* service or jail, and what for */
};

struct burst {
    struct burst_key key;
    uint32_t bursts;   /* so far, at most 255 */
    uint32_t failures; /* in the present one */
    bool is_dirty;
    int64_t began_us, last_us;
};

struct bursts;

/* At most so many records; of a flood of accounts, the oldest make room. `memory_us`: the longest
 * life_us that will be asked for. */
struct bursts *bursts_new(uint32_t most, int64_t memory_us);
struct bursts *bursts_free(struct bursts *bursts);
uint32_t bursts_count(const struct bursts *bursts);
uint64_t bursts_evicted(const struct bursts *bursts); /* records that went for lack of room */
void bursts_store_nothing(struct bursts *bursts); /* nobody will take what is dirty */

/* True: this failure belongs to a mistake that was counted. `account`: ledger/account.h. */
bool bursts_fold(struct bursts *bursts, struct span service, const struct address *address,
                 uint64_t account, int64_t at_us);
/* What it answered last for them. */
bool bursts_did_fold(const struct bursts *bursts, struct span service,
                     const struct address *address, uint64_t account);

/* True: this address has not tried that account within life_us. `what` is the jail that asks. */
bool bursts_is_first(struct bursts *bursts, struct span what, const struct address *address,
                     uint64_t account, int64_t at_us, int64_t life_us);

bool bursts_restore(struct bursts *bursts, const struct burst *burst);
void bursts_sweep(struct bursts *bursts, int64_t log_time_us);
bool bursts_take_dirty(struct bursts *bursts, struct burst_key *ret_key);
const struct burst *bursts_find(const struct bursts *bursts, const struct burst_key *key);
