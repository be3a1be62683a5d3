/* Known-good memory: see known.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/known.h"

#include "base/hash.h"
#include "base/keys.h"
#include "base/table.h"
#include "ledger/account.h"

struct known {
    struct table *table;
    struct key_list dirty;
    uint32_t addresses;
};

struct known *known_new(uint32_t most) {
    struct known *known = calloc(1, sizeof(*known));
    must(known);
    known->table = table_new(sizeof(struct known_entry), sizeof(struct known_key), most);
    known->dirty.key_size = sizeof(struct known_key);
    known->dirty.is_unordered = true;
    return known;
}

void known_store_nothing(struct known *known) {
    known->dirty.is_unread = true;
}

struct known *known_free(struct known *known) {
    if (!known)
        return NULL;
    table_free(known->table);
    key_list_free(&known->dirty);
    free(known);
    return NULL;
}

uint32_t known_count_addresses(const struct known *known) {
    return known->addresses;
}

static struct known_key key_of(const struct address *address, enum known_kind kind,
                               uint64_t account) {
    struct known_key key = {*address, 0, kind};
    if (kind == KNOWN_PAIR)
        key.account = account;
    bool is_by_net = kind != KNOWN_ADDRESS && !address_is_v4(address);
    if (is_by_net)
        key.address = prefix_cut(address, 64).address;
    return key;
}

/* The pair of a user in some domain. */
static uint64_t any_domain(const struct account *account) {
    return account->user ^ UINT64_C(0x616e7920646f6d61);
}

static void mark(struct known *known, struct known_entry *entry) {
    if (entry->is_dirty)
        return;
    entry->is_dirty = true;
    key_list_add(&known->dirty, &entry->key);
}

static void drop(struct known *known, struct known_entry *entry) {
    if (entry->key.kind == KNOWN_ADDRESS)
        known->addresses--;
    mark(known, entry);
    table_remove(known->table, entry);
}

static void evict_one(struct known *known) {
    struct known_entry *oldest = NULL;
    for (int i = 0; i < 16; i++) {
        uint32_t place = (uint32_t)(random_u64() % table_most(known->table));
        struct known_entry *one = table_next(known->table, &place);
        if (one && (!oldest || one->last_us < oldest->last_us))
            oldest = one;
    }
    if (oldest)
        drop(known, oldest);
}

static void add(struct known *known, const struct known_key *key, int64_t at_us) {
    bool is_new;
    struct known_entry *entry = table_add(known->table, key, &is_new);
    if (!entry) {
        evict_one(known);
        entry = table_add(known->table, key, &is_new);
    }
    if (!entry)
        return;
    if (is_new) {
        entry->first_us = at_us;
        entry->last_us = at_us;
        known->addresses += key->kind == KNOWN_ADDRESS;
    }
    if (at_us < entry->first_us)
        entry->first_us = at_us;
    if (at_us > entry->last_us)
        entry->last_us = at_us;
    entry->successes++;
    mark(known, entry);
}

void known_add(struct known *known, const struct address *address, struct span account,
               int64_t at_us) {
    struct account named = account_of(account);
    struct known_key pair = key_of(address, KNOWN_PAIR, named.whole);
    struct known_key any = key_of(address, KNOWN_PAIR, any_domain(&named));
    struct known_key host = key_of(address, KNOWN_ADDRESS, 0);
    add(known, &pair, at_us);
    if (named.has_domain)
        add(known, &any, at_us);
    add(known, &host, at_us);
    if (!address_is_v4(address)) {
        struct known_key net = key_of(address, KNOWN_NET64, 0);
        add(known, &net, at_us);
    }
}

void known_add_delivery(struct known *known, const struct address *address, int64_t at_us) {
    struct known_key key = key_of(address, KNOWN_DELIVERER, 0);
    add(known, &key, at_us);
}

static bool is_fresh(const struct known_entry *entry, int64_t now_us) {
    return entry && now_us - entry->last_us <= KNOWN_LIFE_US;
}

static bool has_pair(const struct known *known, const struct address *address, uint64_t account,
                     int64_t now_us) {
    struct known_key key = key_of(address, KNOWN_PAIR, account);
    return is_fresh(table_find(known->table, &key), now_us);
}

bool known_has_account(const struct known *known, const struct address *address,
                       const struct account *account, int64_t now_us) {
    uint64_t looser = account->has_domain ? account->user : any_domain(account);
    return account->user != 0 && (has_pair(known, address, account->whole, now_us) ||
                                  has_pair(known, address, looser, now_us));
}

bool known_delivers(const struct known *known, const struct prefix *id, int64_t now_us) {
    struct known_key key = key_of(&id->address, KNOWN_DELIVERER, 0);
    return is_fresh(table_find(known->table, &key), now_us);
}

/* What is known of the addresses of a prefix as one record: first and last login, all successes. */
static bool gather(const struct known *known, const struct prefix *prefix, int64_t now_us,
                   struct known_entry *ret_entry) {
    struct known_entry all = {.key = {prefix->address, 0, KNOWN_ADDRESS}};
    uint32_t place = 0;
    for (const struct known_entry *one; (one = table_next(known->table, &place));) {
        if (one->key.kind != KNOWN_ADDRESS || !is_fresh(one, now_us) ||
            !prefix_holds(prefix, &one->key.address))
            continue;
        if (!ret_entry)
            return true;
        if (all.successes == 0 || one->first_us < all.first_us)
            all.first_us = one->first_us;
        if (all.successes == 0 || one->last_us > all.last_us)
            all.last_us = one->last_us;
        all.successes += one->successes;
    }
    if (all.successes == 0)
        return false;
    *ret_entry = all;
    return true;
}

bool known_has_prefix(const struct known *known, const struct prefix *prefix, int64_t now_us,
                      struct known_entry *ret_entry) {
    bool is_net64 = !prefix_is_v4(prefix) && prefix->length == 64;
    if (!prefix_is_host(prefix) && !is_net64)
        return gather(known, prefix, now_us, ret_entry); /* a person's ban: rare enough to walk */
    struct known_key key =
        key_of(&prefix->address, is_net64 ? KNOWN_NET64 : KNOWN_ADDRESS, 0);
    const struct known_entry *entry = table_find(known->table, &key);
    if (!is_fresh(entry, now_us))
        return false;
    if (ret_entry)
        *ret_entry = *entry;
    return true;
}

bool known_restore(struct known *known, const struct known_entry *entry) {
    bool is_new;
    struct known_entry *place = table_add(known->table, &entry->key, &is_new);
    if (!place)
        return false;
    *place = *entry;
    place->is_dirty = false;
    known->addresses += is_new && entry->key.kind == KNOWN_ADDRESS;
    return true;
}

void known_sweep(struct known *known, int64_t now_us) {
    uint32_t place = 0;
    for (struct known_entry *one; (one = table_next(known->table, &place));)
        if (!is_fresh(one, now_us))
            drop(known, one);
}

void known_forget_prefix(struct known *known, const struct prefix *prefix) {
    uint32_t place = 0;
    for (struct known_entry *one; (one = table_next(known->table, &place));) {
        bool is_net = one->key.kind != KNOWN_ADDRESS && !address_is_v4(&one->key.address);
        struct prefix id = is_net ? prefix_cut(&one->key.address, 64)
                                  : prefix_of(&one->key.address);
        if (prefix_overlaps(prefix, &id))
            drop(known, one);
    }
}

void known_forget_account(struct known *known, struct span account) {
    struct account named = account_of(account);
    uint64_t any = any_domain(&named);
    uint32_t place = 0;
    for (struct known_entry *one; (one = table_next(known->table, &place));)
        if (one->key.kind == KNOWN_PAIR &&
            (one->key.account == named.whole || one->key.account == any))
            drop(known, one);
}

bool known_take_dirty(struct known *known, struct known_key *ret_key) {
    if (!key_list_take(&known->dirty, ret_key))
        return false;
    struct known_entry *entry = table_find(known->table, ret_key);
    if (entry)
        entry->is_dirty = false;
    return true;
}

const struct known_entry *known_find(const struct known *known, const struct known_key *key) {
    return table_find(known->table, key);
}
