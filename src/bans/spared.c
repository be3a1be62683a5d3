/* The list of the spared: see spared.h. Mostly a handful, asked with every failure: a plain array
 * is the fastest thing there is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/spared.h"

#include "base/keys.h"

struct spared_list {
    struct spared *at[SPARED_MOST];
    uint32_t count;
    struct key_list dirty;
};

struct spared_list *spared_new(void) {
    struct spared_list *list = calloc(1, sizeof(*list));
    must(list);
    list->dirty.key_size = sizeof(struct spared_key);
    return list;
}

struct spared_list *spared_free(struct spared_list *list) {
    if (!list)
        return NULL;
    for (uint32_t i = 0; i < list->count; i++)
        free(list->at[i]);
    key_list_free(&list->dirty);
    free(list);
    return NULL;
}

bool spared_is_over(const struct spared *entry, int64_t now_us) {
    return entry->until_us != UNTIL_PERMANENT && entry->until_us <= now_us;
}

static bool keys_are_equal(const struct spared_key *a, const struct spared_key *b) {
    return a->kind == b->kind && prefix_equals(&a->prefix, &b->prefix);
}

struct spared *spared_find(const struct spared_list *list, const struct spared_key *key) {
    for (uint32_t i = 0; i < list->count; i++)
        if (keys_are_equal(&list->at[i]->key, key))
            return list->at[i];
    return NULL;
}

static void mark(struct spared_list *list, struct spared *entry) {
    if (entry->is_dirty || entry->key.kind == SPARED_SESSION)
        return;
    entry->is_dirty = true;
    key_list_add(&list->dirty, &entry->key);
}

void spared_remove(struct spared_list *list, struct spared *entry) {
    mark(list, entry);
    for (uint32_t i = 0; i < list->count; i++)
        if (list->at[i] == entry)
            list->at[i] = list->at[--list->count];
    free(entry);
}

static void evict_one(struct spared_list *list) {
    struct spared *first = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        struct spared *one = list->at[i];
        if (one->key.kind != SPARED_TRUSTED && (!first || one->until_us < first->until_us))
            first = one;
    }
    if (first)
        spared_remove(list, first);
}

static struct spared *find_or_add(struct spared_list *list, const struct spared_key *key) {
    struct spared *entry = spared_find(list, key);
    if (entry)
        return entry;
    if (list->count == SPARED_MOST)
        evict_one(list);
    if (list->count == SPARED_MOST)
        return NULL;
    entry = calloc(1, sizeof(*entry));
    if (entry)
        list->at[list->count++] = entry;
    return entry;
}

struct spared *spared_put(struct spared_list *list, const struct spared *wanted) {
    struct spared *entry = find_or_add(list, &wanted->key);
    if (!entry)
        return NULL;
    bool was_dirty = entry->is_dirty;
    *entry = *wanted;
    entry->is_dirty = was_dirty;
    mark(list, entry);
    return entry;
}

bool spared_restore(struct spared_list *list, const struct spared *stored) {
    struct spared *entry = find_or_add(list, &stored->key);
    if (!entry)
        return false;
    *entry = *stored;
    entry->is_dirty = false;
    return true;
}

const struct spared *spared_touching(const struct spared_list *list, const struct prefix *prefix,
                                     int64_t now_us) {
    const struct spared *found = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct spared *one = list->at[i];
        if (prefix_overlaps(&one->key.prefix, prefix) && !spared_is_over(one, now_us) &&
            (!found || one->key.kind < found->key.kind))
            found = one;
    }
    return found;
}

int64_t spared_until(const struct spared_list *list, const struct prefix *prefix, int64_t now_us) {
    int64_t until_us = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct spared *one = list->at[i];
        if (!prefix_equals(&one->key.prefix, prefix) || spared_is_over(one, now_us))
            continue;
        if (one->until_us == UNTIL_PERMANENT)
            return UNTIL_PERMANENT;
        if (one->until_us > until_us)
            until_us = one->until_us;
    }
    return until_us;
}

struct spared *spared_next(const struct spared_list *list, uint32_t *place) {
    return *place < list->count ? list->at[(*place)++] : NULL;
}

bool spared_take_dirty(struct spared_list *list, struct spared_key *ret_key) {
    if (!key_list_take(&list->dirty, ret_key))
        return false;
    struct spared *entry = spared_find(list, ret_key);
    if (entry)
        entry->is_dirty = false;
    return true;
}
