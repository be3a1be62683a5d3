/* A growing list of fixed-size keys: which records changed since the store was last told.
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
};

static inline void key_list_add(struct key_list *list, const void *key) {
    if (list->count == list->room) {
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
    *list = (struct key_list){.key_size = list->key_size};
}
