/* The ledger: see ledger.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/ledger.h"

#include "base/hash.h"
#include "base/keys.h"
#include "base/table.h"

enum { DRAWN = 8 };

struct ledger {
    struct table *table;
    struct key_list dirty;
    uint64_t evicted;
};

struct ledger *ledger_new(uint32_t most) {
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    must(ledger);
    ledger->table = table_new(sizeof(struct counter), sizeof(struct ledger_key), most);
    ledger->dirty.key_size = sizeof(struct ledger_key);
    ledger->dirty.is_unordered = true;
    return ledger;
}

void ledger_store_nothing(struct ledger *ledger) {
    ledger->dirty.is_unread = true;
}

struct ledger *ledger_free(struct ledger *ledger) {
    if (!ledger)
        return NULL;
    table_free(ledger->table);
    key_list_free(&ledger->dirty);
    free(ledger);
    return NULL;
}

uint32_t ledger_size(const struct ledger *ledger) {
    return table_count(ledger->table);
}

uint64_t ledger_evicted(const struct ledger *ledger) {
    return ledger->evicted;
}

static void mark(struct ledger *ledger, struct counter *counter) {
    if (counter->is_dirty)
        return;
    counter->is_dirty = true;
    key_list_add(&ledger->dirty, &counter->key);
}

static void drop(struct ledger *ledger, struct counter *counter) {
    mark(ledger, counter);
    table_remove(ledger->table, counter);
}

/* find_us is of that window; what another window holds is taken to be running. */
static bool is_over(const struct counter *counter, uint8_t window, int64_t now_us,
                    int64_t find_us) {
    return counter->key.window == window && now_us - counter->last_us > find_us;
}

static bool is_less_worth(const struct counter *a, const struct counter *b, uint8_t window,
                          int64_t now_us, int64_t find_us) {
    bool a_is_over = is_over(a, window, now_us, find_us);
    bool b_is_over = is_over(b, window, now_us, find_us);
    if (a_is_over != b_is_over)
        return a_is_over;
    if (a->weight != b->weight)
        return a->weight < b->weight;
    return a->last_us < b->last_us;
}

/* Records lie in the order of their making, so eight neighbours are no draw; strides of a random
 * length are. */
static void evict_one(struct ledger *ledger, uint8_t window, int64_t now_us, int64_t find_us) {
    struct counter *worst = NULL;
    for (int i = 0; i < DRAWN; i++) {
        uint32_t place = (uint32_t)(random_u64() % table_most(ledger->table));
        struct counter *one = table_next(ledger->table, &place);
        if (one && (!worst || is_less_worth(one, worst, window, now_us, find_us)))
            worst = one;
    }
    if (!worst) {
        uint32_t place = 0;
        worst = table_next(ledger->table, &place);
    }
    drop(ledger, worst);
    ledger->evicted++;
}

static void begin(struct counter *counter, int64_t at_us) {
    struct ledger_key key = counter->key;
    bool is_dirty = counter->is_dirty; /* its key is in the list already */
    *counter = (struct counter){.key = key, .is_dirty = is_dirty, .first_us = at_us,
                                .last_us = at_us, .began_us = at_us};
}

static uint32_t rescaled(uint32_t weight, int64_t span_us, int64_t find_us) {
    uint64_t attempts = weight / WEIGHT_ONE + (weight % WEIGHT_ONE != 0);
    double rate = (double)attempts / (double)span_us * (double)find_us;
    uint32_t whole = (uint32_t)rate; /* rounded as Python does: halves to the even neighbour */
    double rest = rate - whole;
    whole += rest > 0.5 || (rest >= 0.5 && whole % 2);
    return whole * WEIGHT_ONE;
}

static void note_account(struct counter *counter, uint64_t account) {
    for (int i = 0; account && i < COUNTER_ACCOUNTS; i++) {
        if (counter->accounts[i] == account)
            return;
        if (counter->accounts[i] == 0) {
            counter->accounts[i] = account;
            return;
        }
    }
}

uint32_t counter_accounts(const struct counter *counter) {
    uint32_t count = 0;
    while (count < COUNTER_ACCOUNTS && counter->accounts[count])
        count++;
    return count;
}

struct counter *ledger_count(struct ledger *ledger, const struct ledger_key *key, int64_t at_us,
                             const struct failure *failure, int64_t find_us) {
    bool is_new = false;
    struct counter *counter = table_add(ledger->table, key, &is_new);
    if (!counter) {
        evict_one(ledger, key->window, at_us, find_us);
        counter = table_add(ledger->table, key, &is_new);
        must(counter);
    }
    if (is_new || at_us - counter->last_us > find_us)
        begin(counter, at_us);
    if (at_us - counter->first_us > find_us) {
        int64_t span_us = at_us - counter->first_us;
        counter->weight = rescaled(counter->weight, span_us, find_us);
        counter->own_weight = rescaled(counter->own_weight, span_us, find_us);
        counter->first_us = at_us - find_us;
    }
    bool is_counted = failure->weight + failure->own_weight > 0;
    counter->weight += failure->weight;
    counter->own_weight += failure->own_weight;
    counter->noted++;
    counter->failures += is_counted;
    counter->unknown += is_counted && failure->is_unknown;
    if (is_counted)
        counter->attempts += failure->attempts;
    counter->protocols |= UINT32_C(1) << failure->protocol;
    note_account(counter, failure->account);
    if (at_us > counter->last_us)
        counter->last_us = at_us;
    mark(ledger, counter);
    return counter;
}

void ledger_describe(struct ledger *ledger, struct counter *counter, uint8_t protocol) {
    counter->protocols |= UINT32_C(1) << protocol;
    mark(ledger, counter);
}

struct counter *ledger_find(struct ledger *ledger, const struct ledger_key *key) {
    return table_find(ledger->table, key);
}

static uint32_t less(uint32_t from, uint32_t what) {
    return from - (what < from ? what : from);
}

static void take_back(struct ledger *ledger, const struct ledger_key *key,
                      const struct failure *failure) {
    struct counter *counter = ledger_find(ledger, key);
    if (!counter)
        return;
    if (failure->weight + failure->own_weight > 0) {
        counter->failures = less(counter->failures, 1);
        counter->attempts = less(counter->attempts, failure->attempts);
        counter->unknown = less(counter->unknown, failure->is_unknown);
    }
    counter->weight = less(counter->weight, failure->weight);
    counter->own_weight = less(counter->own_weight, failure->own_weight);
    counter->noted = less(counter->noted, 1);
    mark(ledger, counter);
}

void ledger_take_back(struct ledger *ledger, uint16_t jail, const struct prefix *id,
                      const struct failure *failure) {
    struct ledger_key key = ledger_key_of(jail, id);
    struct failure in_long = *failure;
    take_back(ledger, &key, failure);
    key.window = WINDOW_LONG;
    in_long.weight = failure->weight > 0 ? WEIGHT_ONE : 0;
    in_long.own_weight = 0;
    take_back(ledger, &key, &in_long);
}

void ledger_forget(struct ledger *ledger, uint16_t jail, const struct prefix *id) {
    struct ledger_key key = ledger_key_of(jail, id);
    for (key.window = WINDOW_SHORT; key.window <= WINDOW_LONG; key.window++) {
        struct counter *counter = ledger_find(ledger, &key);
        if (counter)
            drop(ledger, counter);
    }
}

void ledger_forget_prefix(struct ledger *ledger, const struct prefix *prefix, int jail) {
    uint32_t place = 0;
    for (struct counter *one; (one = table_next(ledger->table, &place));)
        if ((jail < 0 || one->key.jail == jail) && prefix_overlaps(&one->key.id, prefix))
            drop(ledger, one);
}

bool ledger_restore(struct ledger *ledger, const struct counter *counter) {
    bool is_new;
    struct counter *place = table_add(ledger->table, &counter->key, &is_new);
    if (!place)
        return false;
    *place = *counter;
    place->is_dirty = false;
    return true;
}

void ledger_sweep(struct ledger *ledger, int64_t now_us,
                  int64_t (*find_us)(void *context, const struct ledger_key *key), void *context) {
    uint32_t place = 0;
    for (struct counter *one; (one = table_next(ledger->table, &place));)
        if (now_us - one->last_us > find_us(context, &one->key))
            drop(ledger, one);
}

bool ledger_take_dirty(struct ledger *ledger, struct ledger_key *ret_key) {
    if (!key_list_take(&ledger->dirty, ret_key))
        return false;
    struct counter *counter = table_find(ledger->table, ret_key);
    if (counter)
        counter->is_dirty = false;
    return true;
}
