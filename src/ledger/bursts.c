/* Bursts: see bursts.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/bursts.h"

#include "base/clock.h"
#include "base/keys.h"
#include "base/table.h"

enum { MOST_BURSTS = 255, DRAWN = 16 };
#define FULL_SWEEP_US (5 * SECOND_US) /* a flood would walk all records with each event */

/* How many failures the first, second and any later burst holds. */
static const uint32_t room_of_burst[] = {5, 2, 1};
enum { ROOM_WITHOUT_NAME = 2 };

struct bursts {
    struct table *table;
    uint64_t folds, firsts; /* what for, in keys */
    int64_t memory_us;
    int64_t full_us; /* log time when it was full and was swept last */
    uint64_t evicted;
    struct key_list dirty;
};

struct bursts *bursts_new(uint32_t most, int64_t memory_us) {
    struct bursts *bursts = calloc(1, sizeof(*bursts));
    must(bursts);
    bursts->table = table_new(sizeof(struct burst), sizeof(struct burst_key), most);
    bursts->folds = hash_named(SPAN("fold"));
    bursts->firsts = hash_named(SPAN("first"));
    bursts->memory_us = memory_us > BURST_MEMORY_US ? memory_us : BURST_MEMORY_US;
    bursts->dirty.key_size = sizeof(struct burst_key);
    return bursts;
}

void bursts_store_nothing(struct bursts *bursts) {
    bursts->dirty.is_unread = true;
}

struct bursts *bursts_free(struct bursts *bursts) {
    if (!bursts)
        return NULL;
    table_free(bursts->table);
    key_list_free(&bursts->dirty);
    free(bursts);
    return NULL;
}

uint32_t bursts_count(const struct bursts *bursts) {
    return table_count(bursts->table);
}

uint64_t bursts_evicted(const struct bursts *bursts) {
    return bursts->evicted;
}

static void mark(struct bursts *bursts, struct burst *burst) {
    if (burst->is_dirty)
        return;
    burst->is_dirty = true;
    key_list_add(&bursts->dirty, &burst->key);
}

static void drop(struct bursts *bursts, struct burst *burst) {
    mark(bursts, burst);
    table_remove(bursts->table, burst);
}

void bursts_sweep(struct bursts *bursts, int64_t log_time_us) {
    uint32_t place = 0;
    for (struct burst *one; (one = table_next(bursts->table, &place));)
        if (log_time_us - one->last_us > bursts->memory_us)
            drop(bursts, one);
}

static struct burst_key key_of(uint64_t what_for, struct span asker, const struct address *address,
                               uint64_t account) {
    return (struct burst_key){*address, account, what_for ^ hash_named(asker)};
}

/* The oldest of some: what was not asked for lately matters least, and a mistake is over in
 * seconds. */
static void evict_one(struct bursts *bursts) {
    struct burst *oldest = NULL;
    for (int i = 0; i < DRAWN || !oldest; i++) {
        uint32_t place = (uint32_t)(random_u64() % table_most(bursts->table));
        struct burst *one = table_next(bursts->table, &place);
        if (one && (!oldest || one->last_us < oldest->last_us))
            oldest = one;
    }
    drop(bursts, oldest);
    bursts->evicted++;
}

/* NULL: out of memory; it is counted in full. */
static struct burst *find_or_add(struct bursts *bursts, uint64_t what_for, struct span asker,
                                 const struct address *address, uint64_t account, int64_t at_us,
                                 int64_t life_us, bool *ret_is_new) {
    struct burst_key key = key_of(what_for, asker, address, account);
    struct burst *burst = table_add(bursts->table, &key, ret_is_new);
    if (!burst && clock_is_apart(&bursts->full_us, at_us, FULL_SWEEP_US)) {
        bursts_sweep(bursts, at_us);
        burst = table_add(bursts->table, &key, ret_is_new);
    }
    if (!burst && bursts_count(bursts) == table_most(bursts->table)) {
        evict_one(bursts);
        burst = table_add(bursts->table, &key, ret_is_new);
    }
    if (burst && !*ret_is_new && at_us - burst->last_us > life_us) {
        *ret_is_new = true;
        burst->bursts = burst->failures = 0;
        burst->began_us = burst->last_us = 0;
    }
    if (burst)
        mark(bursts, burst);
    return burst;
}

static uint32_t room_of(const struct burst *burst, uint64_t account) {
    size_t place = burst->bursts <= ELEMENTS_OF(room_of_burst) ? burst->bursts - 1
                                                               : ELEMENTS_OF(room_of_burst) - 1;
    uint32_t room = room_of_burst[place];
    return account == 0 && room > ROOM_WITHOUT_NAME ? ROOM_WITHOUT_NAME : room;
}

bool bursts_fold(struct bursts *bursts, struct span service, const struct address *address,
                 uint64_t account, int64_t at_us) {
    bool is_new = false;
    struct burst *burst =
        find_or_add(bursts, bursts->folds, service, address, account, at_us, BURST_MEMORY_US,
                    &is_new);
    if (!burst)
        return false;
    int64_t apart_us = at_us > burst->began_us ? at_us - burst->began_us : burst->began_us - at_us;
    if (at_us > burst->last_us)
        burst->last_us = at_us;
    if (is_new || apart_us > BURST_US) {
        burst->began_us = at_us > burst->began_us ? at_us : burst->began_us;
        burst->bursts += burst->bursts < MOST_BURSTS;
        burst->failures = 1;
        return false;
    }
    return ++burst->failures <= room_of(burst, account);
}

bool bursts_did_fold(const struct bursts *bursts, struct span service,
                     const struct address *address, uint64_t account) {
    struct burst_key key = key_of(bursts->folds, service, address, account);
    const struct burst *burst = table_find(bursts->table, &key);
    return burst && burst->failures > 1 && burst->failures <= room_of(burst, account);
}

bool bursts_is_first(struct bursts *bursts, struct span what, const struct address *address,
                     uint64_t account, int64_t at_us, int64_t life_us) {
    bool is_new = false;
    struct burst *burst =
        find_or_add(bursts, bursts->firsts, what, address, account, at_us, life_us, &is_new);
    if (burst && at_us > burst->last_us)
        burst->last_us = at_us;
    return !burst || is_new;
}

bool bursts_restore(struct bursts *bursts, const struct burst *burst) {
    bool is_new;
    struct burst *place = table_add(bursts->table, &burst->key, &is_new);
    if (!place)
        return false;
    *place = *burst;
    place->is_dirty = false;
    return true;
}

bool bursts_take_dirty(struct bursts *bursts, struct burst_key *ret_key) {
    if (!key_list_take(&bursts->dirty, ret_key))
        return false;
    struct burst *burst = table_find(bursts->table, ret_key);
    if (burst)
        burst->is_dirty = false;
    return true;
}

const struct burst *bursts_find(const struct bursts *bursts, const struct burst_key *key) {
    return table_find(bursts->table, key);
}
