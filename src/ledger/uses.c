/* Which account uses which service: see uses.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/uses.h"

#include <string.h>

#include "base/hash.h"
#include "base/keys.h"
#include "base/table.h"
#include "ledger/account.h"

enum { DRAWN = 16 };

struct uses {
    struct table *table;
    struct key_list dirty;
};

struct uses *uses_new(uint32_t most) {
    struct uses *uses = calloc(1, sizeof(*uses));
    must(uses);
    uses->table = table_new(sizeof(struct use), sizeof(struct use_key), most);
    uses->dirty.key_size = sizeof(struct use_key);
    uses->dirty.is_unordered = true;
    return uses;
}

struct uses *uses_free(struct uses *uses) {
    if (!uses)
        return NULL;
    table_free(uses->table);
    key_list_free(&uses->dirty);
    free(uses);
    return NULL;
}

void uses_store_nothing(struct uses *uses) {
    uses->dirty.is_unread = true;
}

static void mark(struct uses *uses, struct use *use) {
    if (use->is_dirty)
        return;
    use->is_dirty = true;
    key_list_add(&uses->dirty, &use->key);
}

static void drop(struct uses *uses, struct use *use) {
    mark(uses, use);
    table_remove(uses->table, use);
}

static void evict_one(struct uses *uses) {
    struct use *oldest = NULL;
    for (int i = 0; i < DRAWN; i++) {
        uint32_t place = (uint32_t)(random_u64() % table_most(uses->table));
        struct use *one = table_next(uses->table, &place);
        if (one && (!oldest || one->last_us < oldest->last_us))
            oldest = one;
    }
    if (oldest)
        drop(uses, oldest);
}

static void copy(char *into, size_t room, struct span text) {
    if (text.length)
        memcpy(into, text.at, text.length < room ? text.length : room - 1);
}

static void add_one(uint32_t *number) {
    if (*number < UINT32_MAX)
        ++*number;
}

void uses_add(struct uses *uses, struct span account, struct span service, enum secrecy secrecy,
              int64_t at_us) {
    struct use_key key = {{0}, {0}};
    bool is_new;
    if (account.length == 0)
        return;
    copy(key.account, sizeof(key.account), account);
    copy(key.service, sizeof(key.service), service);
    struct use *use = table_add(uses->table, &key, &is_new);
    if (!use) {
        evict_one(uses);
        use = table_add(uses->table, &key, &is_new);
    }
    if (!use)
        return;
    if (is_new || at_us < use->first_us)
        use->first_us = at_us;
    if (is_new || at_us > use->last_us)
        use->last_us = at_us;
    add_one(&use->logins);
    if (secrecy == SECRECY_UNTOLD)
        add_one(&use->untold);
    if (secrecy == SECRECY_CLEAR) {
        add_one(&use->clear);
        if (at_us > use->clear_us)
            use->clear_us = at_us;
    }
    mark(uses, use);
}

const struct use *uses_next(const struct uses *uses, uint32_t *place) {
    return table_next(uses->table, place);
}

bool uses_restore(struct uses *uses, const struct use *use) {
    bool is_new;
    struct use *place = table_add(uses->table, &use->key, &is_new);
    if (!place)
        return false;
    *place = *use;
    place->is_dirty = false;
    return true;
}

void uses_sweep(struct uses *uses, int64_t now_us) {
    uint32_t place = 0;
    for (struct use *one; (one = table_next(uses->table, &place));)
        if (now_us - one->last_us > USE_LIFE_US)
            drop(uses, one);
}

void uses_forget_account(struct uses *uses, struct span account) {
    uint64_t wanted = account_of(account).whole;
    uint32_t place = 0;
    for (struct use *one; (one = table_next(uses->table, &place));)
        if (account_of(span_of(one->key.account)).whole == wanted)
            drop(uses, one);
}

bool uses_take_dirty(struct uses *uses, struct use_key *ret_key) {
    if (!key_list_take(&uses->dirty, ret_key))
        return false;
    struct use *use = table_find(uses->table, ret_key);
    if (use)
        use->is_dirty = false;
    return true;
}

const struct use *uses_find(const struct uses *uses, const struct use_key *key) {
    return table_find(uses->table, key);
}
