/* Where failures come from: who makes most of them, however many there are, and who hides others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "bans/origins.h"
#include "base/clock.h"

#define BEGIN_US (INT64_C(1790000000) * SECOND_US)

static struct address A(const char *text) {
    struct address address;
    assert_true(address_parse(span_of(text), &address) >= 0);
    return address;
}

/* `count` failures of it, a minute apart, on `accounts` accounts. */
static void fail_from(struct origins *origins, const char *text, unsigned count, unsigned accounts,
                 int64_t from_us) {
    struct address address = A(text);
    for (unsigned i = 0; i < count; i++)
        origins_note(origins, 1, &address, 1 + i % accounts, from_us + i * MINUTE_US);
}

static void everybody_by_the_bridge_is_hidden(void **state) {
    (void)state;
    static const struct {
        const char *address;
        unsigned failures, accounts, minutes_apart;
        bool is_found, hides;
    } cases[] = {
        {"172.18.0.1", 20, 5, 1, true, true},   {"172.18.0.1", 19, 5, 1, false, false},
        {"172.18.0.1", 20, 4, 1, true, false},  {"172.18.0.1", 20, 5, 0, true, false},
        {"172.15.0.1", 20, 5, 1, true, false},  {"172.32.0.1", 20, 5, 1, true, false},
        {"192.168.9.9", 40, 30, 1, true, true}, {"10.0.2.2", 20, 5, 1, true, true},
        {"100.64.0.1", 20, 5, 1, true, true},   {"fd00::1", 20, 5, 1, true, true},
        {"2001:db8::1", 20, 5, 1, true, false}, {"203.0.113.9", 20, 5, 1, true, false},
        {"127.0.0.1", 20, 5, 1, true, false},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct origins *origins = origins_new(2);
        struct address address = A(cases[i].address);
        struct origin origin;
        for (unsigned k = 0; k < cases[i].failures; k++)
            origins_note(origins, 1, &address, 1 + k % cases[i].accounts,
                         BEGIN_US + k * cases[i].minutes_apart * MINUTE_US);
        bool is_found = origins_most(origins, 1, &origin);
        assert_int_equal(is_found, cases[i].is_found);
        assert_int_equal(is_found && origin_hides_others(&origin), cases[i].hides);
        assert_false(origins_most(origins, 0, &origin));
        if (is_found)
            assert_int_equal(origin.failures, cases[i].failures);
        origins_free(origins);
    }
}

static void another_address_shows_that_nothing_is_hidden(void **state) {
    (void)state;
    struct origins *origins = origins_new(2);
    struct origin origin;
    fail_from(origins, "172.18.0.1", 40, 8, BEGIN_US);
    assert_true(origins_most(origins, 1, &origin) && origin_hides_others(&origin));
    fail_from(origins, "203.0.113.1", 1, 1, BEGIN_US);
    assert_true(origins_most(origins, 1, &origin) && !origin_hides_others(&origin));
    assert_int_equal(origin.failures, 40);
    assert_int_equal(origin.of, 41);
    /* Most no longer: others have as many. */
    fail_from(origins, "203.0.113.2", 39, 1, BEGIN_US);
    assert_false(origins_most(origins, 1, &origin));
    origins_free(origins);
}

/* Whoever makes six in ten is found among a million others, and nobody is who does not. */
static void the_crowd_hides_nobody(void **state) {
    (void)state;
    for (unsigned of_ten = 3; of_ten <= 6; of_ten += 3) {
        struct origins *origins = origins_new(2);
        struct address one = A("172.18.0.1");
        struct origin origin;
        for (unsigned i = 0; i < 200000; i++) {
            struct address other = A("10.0.0.0");
            memcpy(other.at + 13, &i, 3);
            origins_note(origins, 1, i % 10 < of_ten ? &one : &other, i, BEGIN_US + i);
        }
        assert_int_equal(origins_most(origins, 1, &origin), of_ten == 6);
        if (of_ten == 6) {
            assert_memory_equal(&origin.address, &one, sizeof(one));
            assert_true(origin.failures <= 120000 && !origin.is_only);
        }
        origins_free(origins);
    }
}

static void what_was_mended_is_forgotten(void **state) {
    (void)state;
    struct origins *origins = origins_new(2);
    struct origin origin;
    fail_from(origins, "172.18.0.1", 64, 8, BEGIN_US);
    for (int i = 1; i <= 10; i++)
        fail_from(origins, "203.0.113.1", 4, 1, BEGIN_US + i * 12 * HOUR_US);
    assert_false(origins_most(origins, 1, &origin));
    fail_from(origins, "203.0.113.1", 30, 1, BEGIN_US + 121 * HOUR_US);
    assert_true(origins_most(origins, 1, &origin) && origin.is_only);
    struct address now = A("203.0.113.1");
    assert_memory_equal(&origin.address, &now, sizeof(now));
    origins_free(origins);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_by_the_bridge_is_hidden),
        cmocka_unit_test(another_address_shows_that_nothing_is_hidden),
        cmocka_unit_test(the_crowd_hides_nobody),
        cmocka_unit_test(what_was_mended_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
