/* A bounded hash table of fixed-size records with stable addresses.
 *
 * The key is the first `key_size` bytes of a record, compared as bytes (so keys hold no padding).
 * Hashing is keyed (base/hash.h): whoever chooses the keys cannot choose the collisions. A table
 * never holds more than `most` records: what to evict is the owner's to know, so table_add()
 * answers NULL when it is full. Memory grows by slabs of 1024 records and an index of eight bytes
 * per place; a removed record's place is used again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct table;

struct table *table_new(size_t record_size, size_t key_size, uint32_t most);
struct table *table_free(struct table *table); /* returns NULL */

uint32_t table_count(const struct table *table);
uint32_t table_most(const struct table *table);

void *table_find(const struct table *table, const void *key);

/* The record of that key, made (zeroed but for its key) if there was none. NULL: full, or out of
 * memory. */
void *table_add(struct table *table, const void *key, bool *ret_is_new);

/* Pointers to other records stay good. Removing the record a walk has just given is allowed. */
void table_remove(struct table *table, void *record);

/* Walks all records in no particular order: start with *place = 0; NULL at the end. */
void *table_next(const struct table *table, uint32_t *place);
