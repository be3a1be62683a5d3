/* A growing list of fixed-size keys: which records changed since the store was last told.
 *
 * A record that goes and comes again is named twice. Where their order says nothing
 * (`is_unordered`), keys named twice are dropped before the list takes more memory, so that it is
 * at most twice as long as there are different keys, however long the disk is stuck. Where nothing
 * is stored (`is_unread`), the list stays empty.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

struct key_list {
    uint8_t *at;
    size_t key_size, count, room;
    bool is_unordered, is_unread;
};

static inline int key_list_compare(const void *a, const void *b, void *key_size) {
    return memcmp(a, b, *(const size_t *)key_size);
}

static inline void key_list_drop_doubles(struct key_list *list) {
    size_t kept = 0;
    qsort_r(list->at, list->count, list->key_size, key_list_compare, &list->key_size);
    for (size_t i = 0; i < list->count; i++) {
        const uint8_t *key = list->at + i * list->key_size;
        if (kept > 0 && memcmp(list->at + (kept - 1) * list->key_size, key, list->key_size) == 0)
            continue;
        memmove(list->at + kept++ * list->key_size, key, list->key_size);
    }
    list->count = kept;
}

static inline void key_list_add(struct key_list *list, const void *key) {
    if (list->is_unread)
        return;
    bool has_dropped = list->is_unordered && list->count == list->room && list->count >= 4096;
    if (has_dropped)
        key_list_drop_doubles(list);
    /* Half of it is to be free after dropping, or it would be sorted again and again. */
    bool is_full = list->count == list->room;
    if (is_full || (has_dropped && list->count > list->room / 2)) {
        size_t room = list->room ? list->room * 2 : 64;
        uint8_t *more = realloc(list->at, room * list->key_size);
        must(more);
        list->at = more;
        list->room = room;
    }
    memcpy(list->at + list->count++ * list->key_size, key, list->key_size);
}

static inline bool key_list_take(struct key_list *list, void *ret_key) {
    if (list->count == 0) {
        if (list->room > 4096) { /* a flood is over: give the memory back */
            free(list->at);
            list->at = NULL;
            list->room = 0;
        }
        return false;
    }
    memcpy(ret_key, list->at + --list->count * list->key_size, list->key_size);
    return true;
}

static inline void key_list_free(struct key_list *list) {
    free(list->at);
    *list = (struct key_list){.key_size = list->key_size, .is_unordered = list->is_unordered,
                              .is_unread = list->is_unread};
}
