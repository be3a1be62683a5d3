/* Joins: see joins.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/joins.h"

#include "base/clock.h"
#include "base/keys.h"
#include "base/table.h"

#define FULL_SWEEP_US (5 * SECOND_US) /* a flood would walk all records with each line */

struct joins {
    struct table *table;
    int64_t full_us; /* log time when it was full and was swept last */
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

void joins_store_nothing(struct joins *joins) {
    joins->dirty.is_unread = true;
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

static struct digest key_of_session(const struct join_line *line) {
    struct digest_state state;
    digest_begin(&state);
    digest_add(&state, line->service);
    digest_add(&state, line->session);
    digest_add(&state, (struct span){(const char *)line->address.at, sizeof(line->address.at)});
    return digest_end(&state);
}

static bool is_over(const struct join *join, int64_t at_us) {
    return at_us - join->last_us > JOIN_LIFE_US;
}

static struct join *find_or_add(struct joins *joins, const struct digest *key, int64_t at_us) {
    bool is_new;
    struct join *join = table_add(joins->table, key, &is_new);
    /* A flood of sessions: what is over goes; else this one is not joined. */
    if (!join && clock_is_apart(&joins->full_us, at_us, FULL_SWEEP_US)) {
        joins_sweep(joins, at_us);
        join = table_add(joins->table, key, &is_new);
    }
    if (join && !is_new && is_over(join, at_us))
        join->counted = join->databases = 0;
    return join;
}

static struct join *find_fresh(struct joins *joins, const struct digest *key, int64_t at_us) {
    struct join *join = table_find(joins->table, key);
    return join && join->counted > 0 && !is_over(join, at_us) ? join : NULL;
}

/* Does another database say no to the attempt that one spoke of before? */
static bool is_same_attempt(const struct join *join, const struct join_line *line) {
    if (line->database == 0 || join->databases == 0)
        return false;
    int64_t since_us = line->at_us - join->last_us;
    bool has_spoken = join->databases >> (line->database - 1) & 1;
    return since_us >= -JOIN_SAME_DATABASE_US &&
           since_us <= (has_spoken ? JOIN_SAME_DATABASE_US : JOIN_OTHER_DATABASE_US);
}

/* One attempt on one account: 1, or 0 when it was told before. */
static uint32_t weigh_attempt(struct joins *joins, const struct digest *session_key,
                              const struct join_line *line) {
    struct digest key = digest_within(session_key, line->account);
    struct join *join = find_or_add(joins, &key, line->at_us);
    if (!join)
        return 1;
    uint32_t bit = line->database ? UINT32_C(1) << (line->database - 1) : 0;
    bool is_told = is_same_attempt(join, line);
    if (is_told) {
        join->databases |= bit;
    } else {
        join->counted++;
        join->databases = bit;
        join->last_us = line->at_us;
    }
    mark(joins, join);
    return is_told ? 0 : 1;
}

uint32_t joins_weigh(struct joins *joins, const struct join_line *line) {
    bool sums_up = line->attempts > 0;
    uint32_t whole = line->attempts > JOIN_MOST_ATTEMPTS ? JOIN_MOST_ATTEMPTS : line->attempts;
    if (line->session.length == 0)
        return sums_up ? whole : 1;
    struct digest key = key_of_session(line);
    uint32_t weight = sums_up ? 0 : weigh_attempt(joins, &key, line);
    struct join *session = find_or_add(joins, &key, line->at_us);
    if (!session)
        return sums_up ? whole : weight;
    if (sums_up)
        weight = whole > session->counted ? whole - session->counted : 0;
    session->counted += weight;
    if (line->at_us > session->last_us)
        session->last_us = line->at_us;
    mark(joins, session);
    return weight;
}

uint32_t joins_take_back(struct joins *joins, const struct join_line *line) {
    if (line->session.length == 0)
        return 0;
    struct digest key = key_of_session(line);
    struct digest account_key = digest_within(&key, line->account);
    struct join *account = find_fresh(joins, &account_key, line->at_us);
    if (!account)
        return 0;
    account->counted--;
    mark(joins, account);
    struct join *session = find_fresh(joins, &key, line->at_us);
    if (session) {
        session->counted--;
        mark(joins, session);
    }
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
