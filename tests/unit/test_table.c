/* The hash table against a plain array: random adds, finds, removals and walks; removal of what a
 * walk has just given; a full table; and keys chosen so that their places collide, which needs the
 * hash to be ours: the source is included as text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

static unsigned hash_bits = 64; /* how many bits of a hash say anything */

static uint64_t weak_hash(const void *bytes, size_t length) {
    uint64_t hash = hash_keyed(bytes, length);
    return hash_bits == 64 ? hash : hash & ((UINT64_C(1) << hash_bits) - 1);
}
#define hash_keyed weak_hash
#include "base/table.c" /* NOLINT */
#undef hash_keyed

struct record {
    uint32_t key;
    uint32_t value;
    uint8_t more[21]; /* an odd size */
};

enum { KEYS = 3000, MOST = 2000 };

static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static struct {
    struct record *record; /* NULL: not there; addresses must never change */
    uint32_t value;
} model[KEYS];
static uint32_t model_count;

static void compare(const struct table *table) {
    uint32_t place = 0;
    uint32_t count = 0;
    assert_int_equal(table_count(table), model_count);
    for (struct record *one; (one = table_next(table, &place)); count++) {
        assert_true(one->key < KEYS && model[one->key].record == one);
        assert_int_equal(one->value, model[one->key].value);
    }
    assert_int_equal(count, model_count);
    for (uint32_t key = 0; key < KEYS; key++)
        assert_ptr_equal(table_find(table, &key), model[key].record);
}

static void add(struct table *table, uint32_t key) {
    bool is_new = false;
    struct record *record = table_add(table, &key, &is_new);
    if (model[key].record) {
        assert_false(is_new);
        assert_ptr_equal(record, model[key].record);
        return;
    }
    if (model_count == table_most(table)) {
        assert_null(record);
        return;
    }
    assert_true(record && is_new);
    assert_int_equal(record->key, key);
    assert_int_equal(record->value, 0);
    for (size_t i = 0; i < sizeof(record->more); i++)
        assert_int_equal(record->more[i], 0);
    memset(record->more, 0xff, sizeof(record->more)); /* the next one in its place is zero again */
    record->value = model[key].value = chance(1000000);
    model[key].record = record;
    model_count++;
}

static void take_out(struct table *table, uint32_t key) {
    if (!model[key].record)
        return;
    table_remove(table, model[key].record);
    model[key].record = NULL;
    model_count--;
}

static void walk_and_remove(struct table *table) {
    uint32_t place = 0;
    uint32_t seen = 0;
    uint32_t before = model_count;
    for (struct record *one; (one = table_next(table, &place)); seen++)
        if (chance(3) == 0)
            take_out(table, one->key);
    assert_int_equal(seen, before); /* nobody was passed over or met twice */
}

static void play(unsigned bits, uint32_t steps, uint32_t keys) {
    struct table *table = table_new(sizeof(struct record), sizeof(uint32_t), MOST);
    memset(model, 0, sizeof(model));
    model_count = 0;
    hash_bits = bits;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t key = chance(keys);
        if (chance(5) < 3)
            add(table, key);
        else
            take_out(table, key);
        if (chance(steps / 8) == 0)
            walk_and_remove(table);
        if (chance(steps / 8) == 0)
            compare(table);
    }
    compare(table);
    hash_bits = 64;
    table_free(table);
}

static void a_table_is_what_an_array_would_be(void **state) {
    (void)state;
    for (seed = 1; seed < 6; seed++) {
        uint64_t kept = seed;
        play(64, 40000, KEYS);
        seed = kept;
    }
}

static void collisions_change_nothing(void **state) {
    (void)state;
    static const unsigned bits[] = {0, 1, 3, 6};
    for (size_t i = 0; i < ELEMENTS_OF(bits); i++) {
        seed = i + 1;
        play(bits[i], 4000, 200);
    }
}

static void a_full_table_says_so_and_finds_on(void **state) {
    (void)state;
    struct table *table = table_new(sizeof(struct record), sizeof(uint32_t), MOST);
    memset(model, 0, sizeof(model));
    model_count = 0;
    for (uint32_t key = 0; key < KEYS; key++)
        add(table, key);
    assert_int_equal(model_count, MOST);
    compare(table);
    take_out(table, 7);
    add(table, KEYS - 1);
    assert_non_null(model[KEYS - 1].record);
    compare(table);
    table_free(table);
}

static void a_table_of_one(void **state) {
    (void)state;
    struct table *table = table_new(sizeof(uint32_t), sizeof(uint32_t), 1);
    bool is_new = false;
    for (uint32_t key = 0; key < 100; key++) {
        uint32_t other = key + 1000;
        void *record = table_add(table, &key, &is_new);
        assert_true(record && is_new);
        assert_null(table_add(table, &other, &is_new));
        table_remove(table, record);
        assert_null(table_find(table, &key));
    }
    table_free(table);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_what_an_array_would_be),
        cmocka_unit_test(collisions_change_nothing),
        cmocka_unit_test(a_full_table_says_so_and_finds_on),
        cmocka_unit_test(a_table_of_one),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
