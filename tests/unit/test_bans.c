/* The book of bans: returns and what they grow to are the decider's; here is what is remembered,
 * one scope shared by several jails, ends, sweeps, dirty keys and a full past.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bans/bans.c" /* NOLINT: how long its lists get */
#include "base/clock.h"
#include "base/hash.h"

enum { JAILS = 3, MOST = 64 };
#define BEGIN_US (INT64_C(1790000000) * SECOND_US)

static struct projection *projection;
static struct bans *bans;
static struct prefix id;

static int begin(void **state) {
    (void)state;
    projection = projection_new(30 * MOST);
    bans = bans_new(MOST, JAILS, projection);
    return prefix_parse(SPAN("203.0.113.9"), &id);
}

static int finish(void **state) {
    (void)state;
    bans = bans_free(bans);
    projection = projection_free(projection);
    return 0;
}

static struct ban *add(uint16_t jail, uint16_t scope, int64_t until_us) {
    struct ban ban = {.key = ledger_key_of(jail, &id), .scope = scope, .since_us = BEGIN_US,
                      .until_us = until_us, .returns = jail};
    return bans_add(bans, &ban, false);
}

static int64_t wanted(uint16_t scope) {
    const struct element *element = projection_find(projection, scope, &id);
    return element ? element->wanted_us : 0;
}

static void the_latest_end_of_a_scope_is_wanted(void **state) {
    (void)state;
    add(0, 1, BEGIN_US + 10);
    add(1, 1, BEGIN_US + 30);
    add(2, 2, BEGIN_US + 90);
    struct ban *by_hand = add(JAIL_BY_HAND, 1, BEGIN_US + 20);
    assert_true(wanted(1) == BEGIN_US + 30 && wanted(2) == BEGIN_US + 90);
    bans_end(bans, bans_find(bans, 1, &id, BEGIN_US), BEGIN_US);
    assert_true(wanted(1) == BEGIN_US + 20);
    bans_end(bans, by_hand, BEGIN_US);
    assert_true(wanted(1) == BEGIN_US + 10);
    bans_end(bans, bans_find(bans, 0, &id, BEGIN_US), BEGIN_US);
    assert_true(wanted(1) == 0 && wanted(2) == BEGIN_US + 90);
    assert_int_equal(bans_count(bans), 1);
}

static void a_permanent_ban_outlasts_all(void **state) {
    (void)state;
    add(0, 1, BEGIN_US + 10);
    struct ban *ever = add(JAIL_BY_HAND, 1, UNTIL_PERMANENT);
    add(1, 1, INT64_MAX);
    assert_true(wanted(1) == UNTIL_PERMANENT);
    assert_false(ban_is_over(ever, INT64_MAX));
    bans_sweep(bans, INT64_MAX - 1, NULL, NULL);
    assert_non_null(bans_find(bans, JAIL_BY_HAND, &id, INT64_MAX - 1));
    assert_null(bans_find(bans, 0, &id, INT64_MAX - 1));
}

static void prolonging_keeps_the_number_of_bans(void **state) {
    (void)state;
    struct ban *first = add(0, 1, BEGIN_US + 10);
    assert_true(first->number != 0);
    struct ban *second = add(0, 1, BEGIN_US + 50);
    assert_ptr_equal(first, second);
    assert_int_equal(bans_count(bans), 1);
    assert_true(wanted(1) == BEGIN_US + 50);
}

static void count_ended(void *context, const struct ban *ban) {
    *(int *)context += ban->key.jail == 2;
}

static void what_is_over_becomes_the_past(void **state) {
    (void)state;
    int ended = 0;
    add(2, 1, BEGIN_US + 10);
    assert_null(bans_past(bans, 2, &id));
    assert_non_null(bans_find(bans, 2, &id, BEGIN_US + 9));
    assert_null(bans_find(bans, 2, &id, BEGIN_US + 10)); /* over, though nobody has swept */
    struct ledger_key key = ledger_key_of(2, &id);
    assert_non_null(bans_record(bans, &key)); /* and still to be stored */
    bans_sweep(bans, BEGIN_US + 1000, count_ended, &ended);
    assert_int_equal(ended, 1);
    assert_null(bans_record(bans, &key));
    const struct past *past = bans_past(bans, 2, &id);
    assert_non_null(past);
    assert_true(past->ended_us == BEGIN_US + 10); /* its own end, not the sweep's */
    assert_int_equal(past->returns, 2);
    bans_sweep(bans, BEGIN_US + 10 + RETURN_US, NULL, NULL);
    assert_non_null(bans_past(bans, 2, &id));
    bans_sweep(bans, BEGIN_US + 11 + RETURN_US, NULL, NULL);
    assert_null(bans_past(bans, 2, &id));
}

static void settling_moves_only_what_is_over(void **state) {
    (void)state;
    add(1, 1, BEGIN_US + 10);
    bans_settle(bans, 1, &id, BEGIN_US + 9);
    assert_int_equal(bans_count(bans), 1);
    bans_settle(bans, 0, &id, BEGIN_US + 99);
    assert_int_equal(bans_count(bans), 1);
    bans_settle(bans, 1, &id, BEGIN_US + 10);
    assert_int_equal(bans_count(bans), 0);
    assert_true(bans_past(bans, 1, &id)->ended_us == BEGIN_US + 10);
}

static void a_lifted_ban_ended_when_it_was_lifted(void **state) {
    (void)state;
    bans_end(bans, add(1, 1, UNTIL_PERMANENT), BEGIN_US + 5);
    assert_true(bans_past(bans, 1, &id)->ended_us == BEGIN_US + 5);
    assert_true(wanted(1) == 0);
}

static void a_full_book_says_so_and_a_full_past_forgets_the_oldest(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 20 * MOST; i++) {
        id.address.at[14] = (uint8_t)(i >> 8);
        id.address.at[15] = (uint8_t)i;
        assert_non_null(add(0, 1, BEGIN_US + i + 1));
        bans_sweep(bans, BEGIN_US + i + 1, NULL, NULL);
        assert_non_null(bans_past(bans, 0, &id)); /* the newest is always there */
    }
    for (uint32_t i = 0; i < MOST; i++) {
        id.address.at[15] = (uint8_t)i;
        assert_non_null(add(1, 1, UNTIL_PERMANENT));
    }
    id.address.at[15] = MOST;
    assert_null(add(1, 1, UNTIL_PERMANENT));
    assert_int_equal(bans_count(bans), MOST);
}

static void the_least_of_a_full_book_goes(void **state) {
    (void)state;
    /* Half have returned twice, half never; the newcomers push out only the latter. */
    for (uint32_t i = 0; i < MOST; i++) {
        id.address.at[15] = (uint8_t)i;
        assert_non_null(add(i % 2 ? 2 : 0, 1, BEGIN_US + 1000 + i));
    }
    for (uint32_t i = MOST; i < MOST + MOST / 4; i++) {
        id.address.at[15] = (uint8_t)i;
        assert_non_null(add(2, 1, BEGIN_US + 5000));
        assert_true(wanted(1) == BEGIN_US + 5000);
    }
    assert_int_equal(bans_count(bans), MOST);
    assert_int_equal(bans_losses(bans).pushed_out, MOST / 4);
    uint32_t gone = 0;
    for (uint32_t i = 0; i < MOST; i++) {
        id.address.at[15] = (uint8_t)i;
        uint16_t jail = i % 2 ? 2 : 0;
        if (bans_find(bans, jail, &id, BEGIN_US))
            continue;
        gone++;
        assert_int_equal(jail, 0);
        assert_true(wanted(1) == 0);
        assert_non_null(bans_past(bans, 0, &id)); /* who comes again has returned */
    }
    assert_int_equal(gone, MOST / 4);
}

static void what_a_person_banned_is_not_pushed_out(void **state) {
    (void)state;
    for (uint32_t i = 0; i < MOST; i++) {
        id.address.at[15] = (uint8_t)i;
        assert_non_null(add(JAIL_BY_HAND, 1, BEGIN_US + 1));
    }
    id.address.at[15] = MOST;
    assert_null(add(2, 1, BEGIN_US + 1000));
    assert_int_equal(bans_losses(bans).not_made, 1);
    assert_int_equal(bans_losses(bans).pushed_out, 0);
}

static void a_stuck_disk_does_not_make_the_lists_grow(void **state) {
    (void)state;
    enum { DIFFERENT = 3000 };
    for (uint32_t i = 0; i < 100 * DIFFERENT; i++) { /* each comes and goes a hundred times */
        id.address.at[14] = (uint8_t)(i % DIFFERENT >> 8);
        id.address.at[15] = (uint8_t)(i % DIFFERENT);
        bans_end(bans, add(1, 1, BEGIN_US + 9), BEGIN_US);
        projection_receipt(projection, 1, &id, true, 0, 0);
        struct enforce_order order;
        while (projection_orders(projection, BEGIN_US, &order, 1))
            ;
    }
    assert_true(bans->dirty.room <= 4 * DIFFERENT && bans->dirty_past.room <= 4 * DIFFERENT);
    struct ledger_key key;
    uint32_t told = 0;
    static bool is_told[DIFFERENT];
    for (; bans_take_dirty(bans, &key); told++)
        is_told[key.id.address.at[14] << 8 | key.id.address.at[15]] = true;
    for (uint32_t i = 0; i < DIFFERENT; i++)
        assert_true(is_told[i]); /* and none is forgotten */
}

static void networks_have_a_bound_of_their_own(void **state) {
    (void)state;
    struct bans *many = bans_new(NETS_MAX + 10, JAILS, projection);
    id.length = 30;
    for (uint32_t i = 0; i < NETS_MAX; i++) {
        struct ban ban = {.scope = 1, .until_us = BEGIN_US + 1000};
        id.address.at[13] = (uint8_t)(i >> 14);
        id.address.at[14] = (uint8_t)(i >> 6);
        id.address.at[15] = (uint8_t)(i << 2);
        ban.key = ledger_key_of(0, &id);
        assert_non_null(bans_add(many, &ban, false));
    }
    struct prefix one_more;
    assert_int_equal(prefix_parse(SPAN("198.51.100.0/25"), &one_more), 0);
    struct ban ban = {.key = ledger_key_of(0, &one_more), .scope = 1, .until_us = BEGIN_US + 9};
    assert_false(projection_takes_net(projection, 1, &one_more));
    assert_true(projection_takes_net(projection, 1, &id)); /* that one is in already */
    assert_null(bans_add(many, &ban, false));
    assert_int_equal(bans_losses(many).not_made, 1);
    bans_free(many);
}

static void dirty_keys_tell_of_every_change(void **state) {
    (void)state;
    struct ledger_key key;
    assert_false(bans_take_dirty(bans, &key));
    struct ban *ban = add(1, 1, BEGIN_US + 10);
    assert_true(bans_take_dirty(bans, &key) && key.jail == 1);
    assert_false(bans_take_dirty(bans, &key));
    ban->after_ban++;
    bans_mark(bans, ban);
    bans_mark(bans, ban);
    assert_true(bans_take_dirty(bans, &key));
    assert_false(bans_take_dirty(bans, &key));
    bans_end(bans, ban, BEGIN_US);
    assert_true(bans_take_dirty(bans, &key));
    assert_null(bans_record(bans, &key)); /* its row is to be deleted */
    assert_true(bans_take_dirty_past(bans, &key));
    assert_non_null(bans_past(bans, key.jail, &key.id));
    assert_false(bans_take_dirty_past(bans, &key));
    /* What comes from the store is not told back to it. */
    struct ban stored = {.key = ledger_key_of(0, &id), .scope = 1, .until_us = UNTIL_PERMANENT};
    assert_true(bans_restore(bans, &stored, BEGIN_US));
    assert_false(bans_take_dirty(bans, &key));
    assert_true(wanted(1) == UNTIL_PERMANENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(the_latest_end_of_a_scope_is_wanted),
        TEST(a_permanent_ban_outlasts_all),
        TEST(prolonging_keeps_the_number_of_bans),
        TEST(what_is_over_becomes_the_past),
        TEST(settling_moves_only_what_is_over),
        TEST(a_lifted_ban_ended_when_it_was_lifted),
        TEST(a_full_book_says_so_and_a_full_past_forgets_the_oldest),
        TEST(the_least_of_a_full_book_goes),
        TEST(what_a_person_banned_is_not_pushed_out),
        TEST(networks_have_a_bound_of_their_own),
        TEST(a_stuck_disk_does_not_make_the_lists_grow),
        TEST(dirty_keys_tell_of_every_change),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
