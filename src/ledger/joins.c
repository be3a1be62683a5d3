/* Joins: see joins.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/joins.h"

#include "base/keys.h"
#include "base/table.h"

struct joins {
    struct table *table;
    struct key_list dirty;
};

struct joins *joins_new(uint32_t most) {
    struct joins *joins = calloc(1, sizeof(*joins));
    must(joins);
    joins->table = table_new(sizeof(struct join), sizeof(struct digest), most);
    joins->dirty.key_size = sizeof(struct digest);
    joins->dirty.is_unordered = true;
    return joins;
}

struct joins *joins_free(struct joins *joins) {
    if (!joins)
        return NULL;
    table_free(joins->table);
    key_list_free(&joins->dirty);
    free(joins);
    return NULL;
}

static void mark(struct joins *joins, struct join *join) {
    if (join->is_dirty)
        return;
    join->is_dirty = true;
    key_list_add(&joins->dirty, &join->key);
}

static void drop(struct joins *joins, struct join *join) {
    mark(joins, join);
    table_remove(joins->table, join);
}

void joins_sweep(struct joins *joins, int64_t log_time_us) {
    uint32_t place = 0;
    for (struct join *one; (one = table_next(joins->table, &place));)
        if (log_time_us - one->last_us > JOIN_LIFE_US)
            drop(joins, one);
}

static struct digest key_of(struct span service, struct span session,
                            const struct address *address) {
    struct digest_state state;
    digest_begin(&state);
    digest_add(&state, service);
    digest_add(&state, session);
    digest_add(&state, (struct span){(const char *)address->at, sizeof(address->at)});
    return digest_end(&state);
}

static struct join *find_or_add(struct joins *joins, const struct digest *key, int64_t at_us) {
    bool is_new;
    struct join *join = table_add(joins->table, key, &is_new);
    if (!join) { /* a flood of sessions: what is over goes; else this one is not joined */
        joins_sweep(joins, at_us);
        join = table_add(joins->table, key, &is_new);
    }
    if (join && !is_new && at_us - join->last_us > JOIN_LIFE_US)
        join->counted = 0;
    return join;
}

uint32_t joins_weigh(struct joins *joins, struct span service, struct span session,
                     const struct address *address, int64_t at_us, uint32_t attempts) {
    uint32_t whole = attempts > JOIN_MOST_ATTEMPTS ? JOIN_MOST_ATTEMPTS : attempts;
    if (session.length == 0)
        return attempts ? whole : 1;
    struct digest key = key_of(service, session, address);
    struct join *join = find_or_add(joins, &key, at_us);
    if (!join)
        return attempts ? whole : 1;
    uint32_t left = whole > join->counted ? whole - join->counted : 0;
    uint32_t weight = attempts ? left : 1;
    join->counted += weight;
    if (at_us > join->last_us)
        join->last_us = at_us;
    mark(joins, join);
    return weight;
}

uint32_t joins_take_back(struct joins *joins, struct span service, struct span session,
                         const struct address *address, int64_t at_us) {
    if (session.length == 0)
        return 0;
    struct digest key = key_of(service, session, address);
    struct join *join = table_find(joins->table, &key);
    if (!join || join->counted == 0 || at_us - join->last_us > JOIN_LIFE_US)
        return 0;
    join->counted--;
    mark(joins, join);
    return 1;
}

bool joins_restore(struct joins *joins, const struct join *join) {
    bool is_new;
    struct join *place = table_add(joins->table, &join->key, &is_new);
    if (!place)
        return false;
    *place = *join;
    place->is_dirty = false;
    return true;
}

bool joins_take_dirty(struct joins *joins, struct digest *ret_key) {
    if (!key_list_take(&joins->dirty, ret_key))
        return false;
    struct join *join = table_find(joins->table, ret_key);
    if (join)
        join->is_dirty = false;
    return true;
}

const struct join *joins_find(const struct joins *joins, const struct digest *key) {
    return table_find(joins->table, key);
}
