/* The hash table: see table.h. Records live in slabs and carry a hidden word in front: the number
 * of the place in use (place + 1) or 0 for a free record. The index is open addressing with linear
 * probing and backward-shift deletion, at most three quarters full. It holds the hashes too, so
 * that what is probed in vain costs no look at a record: with a million of them, each is a cache
 * miss.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/table.h"

#include <string.h>

#include "base/hash.h"

enum { SLAB_RECORDS = 1024, FIRST_PLACES = 64 };

struct place {
    uint32_t entry; /* record number + 1, or 0 */
    uint32_t hash;
};

struct table {
    size_t record_size, key_size, stride;
    uint32_t most, count, used; /* used: records ever handed out of the slabs */
    uint32_t places;            /* of the index, a power of two */
    struct place *index;
    uint8_t **slabs;
    uint32_t slab_count;
    uint32_t free_head; /* record number + 1 of the first free record, chained through its body */
};

struct header {
    uint32_t in_use;
    uint32_t hash;
};

static struct header *header_at(const struct table *table, uint32_t number) {
    return (struct header *)(void *)(table->slabs[number / SLAB_RECORDS] +
                                     (size_t)(number % SLAB_RECORDS) * table->stride);
}

static void *record_at(const struct table *table, uint32_t number) {
    return header_at(table, number) + 1;
}

struct table *table_new(size_t record_size, size_t key_size, uint32_t most) {
    must(key_size <= record_size && record_size >= sizeof(uint32_t) && most > 0);
    struct table *table = calloc(1, sizeof(*table));
    must(table);
    table->record_size = record_size;
    table->key_size = key_size;
    table->stride = (sizeof(struct header) + record_size + 7) & ~(size_t)7;
    table->most = most;
    table->places = FIRST_PLACES;
    table->index = calloc(table->places, sizeof(*table->index));
    must(table->index);
    return table;
}

struct table *table_free(struct table *table) {
    if (!table)
        return NULL;
    for (uint32_t i = 0; i < table->slab_count; i++)
        free(table->slabs[i]);
    free(table->slabs);
    free(table->index);
    free(table);
    return NULL;
}

uint32_t table_count(const struct table *table) {
    return table->count;
}

uint32_t table_most(const struct table *table) {
    return table->most;
}

/* The place of the record with that key, or the free place where it would go. */
static uint32_t probe(const struct table *table, const void *key, uint32_t hash) {
    uint32_t place = hash & (table->places - 1);
    for (uint32_t entry; (entry = table->index[place].entry) != 0;
         place = (place + 1) & (table->places - 1))
        if (table->index[place].hash == hash &&
            memcmp(record_at(table, entry - 1), key, table->key_size) == 0)
            break;
    return place;
}

static uint32_t key_hash(const struct table *table, const void *key) {
    return (uint32_t)hash_keyed(key, table->key_size);
}

void *table_find(const struct table *table, const void *key) {
    if (table->count == 0) /* nobody is banned, or known: not worth a hash */
        return NULL;
    uint32_t entry = table->index[probe(table, key, key_hash(table, key))].entry;
    return entry ? record_at(table, entry - 1) : NULL;
}

static bool grow_index(struct table *table) {
    if (table->places > UINT32_MAX / 4)
        return false;
    uint32_t places = table->places * 2;
    struct place *index = calloc(places, sizeof(*index));
    if (!index)
        return false;
    for (uint32_t old = 0; old < table->places; old++) {
        if (!table->index[old].entry)
            continue;
        uint32_t place = table->index[old].hash & (places - 1);
        while (index[place].entry)
            place = (place + 1) & (places - 1);
        index[place] = table->index[old];
    }
    free(table->index);
    table->index = index;
    table->places = places;
    return true;
}

static bool take_record(struct table *table, uint32_t *ret_number) {
    if (table->free_head) {
        *ret_number = table->free_head - 1;
        memcpy(&table->free_head, record_at(table, *ret_number), sizeof(uint32_t));
        return true;
    }
    if (table->used == table->slab_count * SLAB_RECORDS) {
        uint8_t **slabs = realloc(table->slabs, (table->slab_count + 1) * sizeof(*slabs));
        if (!slabs)
            return false;
        table->slabs = slabs;
        slabs[table->slab_count] = malloc((size_t)SLAB_RECORDS * table->stride);
        if (!slabs[table->slab_count])
            return false;
        table->slab_count++;
    }
    *ret_number = table->used++;
    return true;
}

void *table_add(struct table *table, const void *key, bool *ret_is_new) {
    uint32_t hash = key_hash(table, key);
    uint32_t place = probe(table, key, hash);
    uint32_t number = 0;
    if (table->index[place].entry) {
        *ret_is_new = false;
        return record_at(table, table->index[place].entry - 1);
    }
    if (table->count >= table->most)
        return NULL;
    if (table->count + 1 > table->places / 4 * 3) {
        if (!grow_index(table))
            return NULL;
        place = probe(table, key, hash);
    }
    if (!take_record(table, &number))
        return NULL;
    struct header *header = header_at(table, number);
    header->in_use = 1;
    header->hash = hash;
    memset(header + 1, 0, table->record_size);
    memcpy(header + 1, key, table->key_size);
    table->index[place] = (struct place){number + 1, hash};
    table->count++;
    *ret_is_new = true;
    return header + 1;
}

void table_remove(struct table *table, void *record) {
    struct header *header = (struct header *)record - 1;
    must(header->in_use);
    uint32_t place = probe(table, record, header->hash);
    must(table->index[place].entry &&
         record_at(table, table->index[place].entry - 1) == record);
    uint32_t number = table->index[place].entry - 1;
    uint32_t hole = place;
    for (uint32_t next = (hole + 1) & (table->places - 1); table->index[next].entry;
         next = (next + 1) & (table->places - 1)) {
        uint32_t home = table->index[next].hash & (table->places - 1);
        if (((next - home) & (table->places - 1)) >= ((next - hole) & (table->places - 1))) {
            table->index[hole] = table->index[next];
            hole = next;
        }
    }
    table->index[hole] = (struct place){0};
    header->in_use = 0;
    memcpy(record, &table->free_head, sizeof(uint32_t));
    table->free_head = number + 1;
    table->count--;
}

void *table_next(const struct table *table, uint32_t *place) {
    while (*place < table->used) {
        struct header *header = header_at(table, (*place)++);
        if (header->in_use)
            return header + 1;
    }
    return NULL;
}
