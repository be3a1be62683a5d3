/* Who has logged in from where: the memory that spares one's own users. Keeps, for 30 days after
 * the last success, each (address, account) pair, each address, and each IPv6 /64; and each host
 * whose mail was accepted and delivered.
 *
 * A phone changes the lower half of its IPv6 address daily, so pairs are kept by /64 there.
 * Accounts are remembered as ledger/account.h has them. Bounded; when full the longest unused goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "ledger/account.h"

#define KNOWN_LIFE_US (30 * INT64_C(86400) * 1000000)

enum known_kind { KNOWN_PAIR, KNOWN_ADDRESS, KNOWN_NET64, KNOWN_DELIVERER };

/* 32 bytes without padding. */
struct known_key {
    struct address address;
    uint64_t account; /* 0 where the kind has none */
    uint64_t kind;
};

struct known_entry {
    struct known_key key;
    int64_t first_us, last_us;
    uint32_t successes;
    bool is_dirty;
};

struct known;

struct known *known_new(uint32_t most);
struct known *known_free(struct known *known);
void known_store_nothing(struct known *known); /* nobody will take what is dirty */
uint32_t known_count_addresses(const struct known *known);

/* A login that succeeded. Older ones than the last known are fine. */
void known_add(struct known *known, const struct address *address, struct span account,
               int64_t at_us);

/* Mail from there was delivered. */
void known_add_delivery(struct known *known, const struct address *address, int64_t at_us);
bool known_delivers(const struct known *known, const struct prefix *id, int64_t now_us);

/* A login that names no domain is known by one that did, and the other way round. */
bool known_has_account(const struct known *known, const struct address *address,
                       const struct account *account, int64_t now_us);
/* Any address of the prefix: within 30 days. ret_entry (may be NULL): of a single host or a /64 its
 * record; of any other prefix first and last login and the successes of all addresses in it. */
bool known_has_prefix(const struct known *known, const struct prefix *prefix, int64_t now_us,
                      struct known_entry *ret_entry);

bool known_restore(struct known *known, const struct known_entry *entry);
void known_sweep(struct known *known, int64_t now_us);
/* Somebody wants to be forgotten: every record of an address in the prefix (and of its /64), or
 * every pair with that account. */
void known_forget_prefix(struct known *known, const struct prefix *prefix);
void known_forget_account(struct known *known, struct span account);
bool known_take_dirty(struct known *known, struct known_key *ret_key);
const struct known_entry *known_find(const struct known *known, const struct known_key *key);
