/* The list of the spared, what was forgiven, and the administrators' names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "bans/pardons.h"
#include "bans/spared.h"
#include "config/admins.h"

static struct prefix P(const char *text) {
    struct prefix prefix;
    assert_true(prefix_parse(span_of(text), &prefix) >= 0);
    return prefix;
}

static struct spared entry_of(const char *prefix, enum spared_kind kind, int64_t until_us) {
    struct spared entry = {.key = {P(prefix), (uint8_t)kind}, .until_us = until_us};
    snprintf(entry.why, sizeof(entry.why), "%s", prefix);
    return entry;
}

static void a_thousand_pardons_hold(void **state) {
    (void)state;
    struct pardons *pardons = pardons_new();
    struct prefix id = P("198.51.0.0");
    for (uint32_t i = 0; i < 2000; i++) { /* somebody's script lets them in, one by one */
        id.address.at[14] = (uint8_t)(i >> 8);
        id.address.at[15] = (uint8_t)i;
        pardons_add(pardons, &id, i % 2 ? -1 : 3, 1000 + i);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        id.address.at[14] = (uint8_t)(i >> 8);
        id.address.at[15] = (uint8_t)i;
        assert_true(pardons_cover(pardons, 3, &id, 1000 + i));
        assert_false(pardons_cover(pardons, 3, &id, 1001 + i));
        assert_int_equal(pardons_cover(pardons, 4, &id, 1000 + i), i % 2);
    }
    struct prefix net = P("198.51.7.0/24");
    struct prefix host = P("198.51.7.255");
    pardons_add(pardons, &net, -1, 500); /* later known, but earlier said */
    assert_true(pardons_cover(pardons, 9, &host, 500));
    assert_false(pardons_cover(pardons, 9, &host, 501));
    pardons_free(pardons);
}

static void the_oldest_pardons_make_room(void **state) {
    (void)state;
    struct pardons *pardons = pardons_new();
    struct prefix first = P("203.0.113.1");
    struct prefix other = P("203.0.113.2");
    struct prefix last = P("203.0.113.3");
    pardons_add(pardons, &first, -1, 1);
    for (uint32_t i = 1; i < PARDONS_MOST; i++)
        pardons_add(pardons, &other, -1, 1 + i);
    assert_true(pardons_cover(pardons, 0, &first, 1));
    pardons_add(pardons, &last, -1, 1 + PARDONS_MOST);
    assert_false(pardons_cover(pardons, 0, &first, 1));
    assert_true(pardons_cover(pardons, 0, &other, PARDONS_MOST) &&
                pardons_cover(pardons, 0, &last, 1 + PARDONS_MOST));
    pardons_free(pardons);
}

static void entries_hold_for_their_time(void **state) {
    (void)state;
    struct spared_list *list = spared_new();
    struct spared trusted = entry_of("203.0.113.0/24", SPARED_TRUSTED, 1000);
    struct spared key = entry_of("203.0.113.7", SPARED_KEY, 5000);
    struct spared ever = entry_of("2001:db8::/32", SPARED_TRUSTED, UNTIL_PERMANENT);
    assert_non_null(spared_put(list, &trusted));
    assert_non_null(spared_put(list, &key));
    assert_non_null(spared_put(list, &ever));
    struct prefix host = P("203.0.113.7"), wide = P("203.0.112.0/20"), other = P("203.0.114.7");
    struct prefix six = P("2001:db8:9::1");
    assert_int_equal(spared_touching(list, &host, 999)->key.kind, SPARED_TRUSTED);
    assert_int_equal(spared_touching(list, &host, 1000)->key.kind, SPARED_KEY);
    assert_int_equal(spared_touching(list, &wide, 4999)->key.kind, SPARED_KEY);
    assert_null(spared_touching(list, &host, 5000));
    assert_null(spared_touching(list, &other, 0));
    assert_non_null(spared_touching(list, &six, INT64_MAX));
    assert_int_equal(spared_until(list, &host, 0), 5000);
    struct spared longer = entry_of("203.0.113.7", SPARED_TRUSTED, 9000);
    assert_non_null(spared_put(list, &longer));
    assert_int_equal(spared_until(list, &host, 0), 9000);
    spared_remove(list, spared_find(list, &longer.key));
    assert_int_equal(spared_until(list, &host, 0), 5000);
    spared_free(list);
}

static void what_is_stored_is_told_once(void **state) {
    (void)state;
    struct spared_list *list = spared_new();
    struct spared_key key;
    struct spared trusted = entry_of("203.0.113.1", SPARED_TRUSTED, 1000);
    struct spared session = entry_of("203.0.113.2", SPARED_SESSION, 1000);
    struct spared restored = entry_of("203.0.113.3", SPARED_KEY, 1000);
    assert_true(spared_restore(list, &restored));
    assert_non_null(spared_put(list, &session));
    assert_non_null(spared_put(list, &trusted));
    assert_non_null(spared_put(list, &trusted));
    assert_true(spared_take_dirty(list, &key));
    assert_memory_equal(&key, &trusted.key, sizeof(key));
    assert_false(spared_take_dirty(list, &key));
    spared_remove(list, spared_find(list, &restored.key));
    assert_true(spared_take_dirty(list, &key));
    assert_memory_equal(&key, &restored.key, sizeof(key));
    assert_null(spared_find(list, &key));
    spared_free(list);
}

/* Full: logins make room for logins and for trust, trust for nothing. */
static void trust_is_never_evicted(void **state) {
    (void)state;
    struct spared_list *list = spared_new();
    for (int i = 0; i < SPARED_MOST; i++) {
        char text[32];
        snprintf(text, sizeof(text), "10.0.%d.%d", i / 256, i % 256);
        struct spared one = entry_of(text, i < 2 ? SPARED_KEY : SPARED_TRUSTED, 1000 - i);
        assert_non_null(spared_put(list, &one));
    }
    struct spared more = entry_of("192.0.2.1", SPARED_KEY, 5000);
    struct spared trust = entry_of("192.0.2.2", SPARED_TRUSTED, 5000);
    struct prefix first_to_end = P("10.0.0.1"), first = P("10.0.0.0");
    assert_non_null(spared_put(list, &more));
    assert_null(spared_touching(list, &first_to_end, 0));
    assert_non_null(spared_touching(list, &first, 0));
    assert_non_null(spared_put(list, &trust));
    trust = entry_of("192.0.2.3", SPARED_TRUSTED, 5000);
    assert_non_null(spared_put(list, &trust));
    trust = entry_of("192.0.2.4", SPARED_TRUSTED, 5000);
    assert_null(spared_put(list, &trust));
    spared_free(list);
}

static void administrators_are_known_by_name_and_number(void **state) {
    (void)state;
    char root[] = "root", none[] = "no-such-group-here";
    struct config_pattern groups[] = {{.text = root}, {.text = none}};
    struct config config = {.admin_groups = {groups, ELEMENTS_OF(groups)}};
    struct admins *admins = admins_read(&config);
    assert_true(admins_has_name(admins, SPAN("root")));
    assert_string_equal(admins_name_of(admins, 0), "root");
    assert_false(admins_has_name(admins, SPAN("")));
    assert_false(admins_has_name(admins, SPAN("nobody")));
    assert_null(admins_name_of(admins, 65534));
    admins_add(admins, "alice", 1000);
    assert_true(admins_has_name(admins, SPAN("alice")));
    assert_false(admins_has_name(admins, SPAN("alic")));
    assert_string_equal(admins_name_of(admins, 1000), "alice");
    admins_free(admins);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_hold_for_their_time),
        cmocka_unit_test(what_is_stored_is_told_once),
        cmocka_unit_test(a_thousand_pardons_hold),
        cmocka_unit_test(the_oldest_pardons_make_room),
        cmocka_unit_test(trust_is_never_evicted),
        cmocka_unit_test(administrators_are_known_by_name_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
