/* Stamps, by a table: forms, zones, leap days, the turn of the year, summer time, and what is no
 * stamp. Then random bytes: nothing is read beyond the line, and what is found stands in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "match/stamp.h"

static int64_t utc(int year, int month, int day, int hour, int minute, int second) {
    return clock_days(year, month, day) * DAY_US + hour * HOUR_US + minute * MINUTE_US +
           second * SECOND_US;
}

static void set_zone(const char *zone) {
    setenv("TZ", zone, 1);
    tzset();
    (void)clock_from_local(1971, 1, 1, 0, 0, 0); /* forgets the hour known in the other zone */
    (void)clock_local_year(0);
}

/* A stamp as text, how long it is with what stands before it, and its time as UTC. */
struct sample {
    const char *line;
    uint32_t before, end;
    int year, month, day, hour, minute, second;
    int64_t fraction_us;
};

static void check(const struct sample *samples, size_t count, int64_t now_us) {
    for (size_t i = 0; i < count; i++) {
        const struct sample *s = &samples[i];
        struct stamp stamp = {0};
        if (!stamp_read(span_of(s->line), now_us, &stamp))
            fail_msg("no stamp: %s", s->line);
        int64_t at_us = utc(s->year, s->month, s->day, s->hour, s->minute, s->second) +
                        s->fraction_us;
        if (stamp.at_us != at_us || stamp.before != s->before || stamp.end != s->end)
            fail_msg("%s: %lld us off, before %u, end %u", s->line,
                     (long long)(stamp.at_us - at_us), stamp.before, stamp.end);
    }
}

/* clang-format off */
static const struct sample in_utc[] = {
    {"2026-11-21T03:13:03.475286+00:00 mx sshd[1]: x", 0, 32, 2026, 11, 21, 3, 13, 3, 475286},
    {"2026-11-21T03:13:03.475286Z mx",                 0, 27, 2026, 11, 21, 3, 13, 3, 475286},
    {"2026-11-21T03:13:03+02:00 mx",                   0, 25, 2026, 11, 21, 1, 13, 3, 0},
    {"2026-11-21T03:13:03-0530 mx",                    0, 24, 2026, 11, 21, 8, 43, 3, 0},
    {"2026-11-21T03:13:03+05:45 mx",                   0, 25, 2026, 11, 20, 21, 28, 3, 0},
    {"2026-11-21T00:13:03+14 mx",                      0, 22, 2026, 11, 20, 10, 13, 3, 0},
    {"2026-11-21 03:13:03 mx",                         0, 19, 2026, 11, 21, 3, 13, 3, 0},
    {"2026-11-21 03:13:03,475 mx",                     0, 23, 2026, 11, 21, 3, 13, 3, 475000},
    {"2026-11-21 03:13:03.1234567891 mx",              0, 30, 2026, 11, 21, 3, 13, 3, 123456},
    {"2026-11-21 03:13:03.123 +0100 mx",               0, 29, 2026, 11, 21, 2, 13, 3, 123000},
    {"2026-11-21 03:13:03 -05:30 mx",                  0, 26, 2026, 11, 21, 8, 43, 3, 0},
    {"2026-11-21 03:13:03 +02: x",                     0, 23, 2026, 11, 21, 1, 13, 3, 0},
    {"[2026-11-21 03:13:03 +0100] x",                  1, 26, 2026, 11, 21, 2, 13, 3, 0},
    {"2026-11-21 03:13:03,5 Z mx",                     0, 23, 2026, 11, 21, 3, 13, 3, 500000},
    {"2026-11-21T03:13:03 Z",                          0, 21, 2026, 11, 21, 3, 13, 3, 0},
    {"2026/11/21 03:13:03 mx",                         0, 19, 2026, 11, 21, 3, 13, 3, 0},
    {"2026.11.21 03:13:03 mx",                         0, 19, 2026, 11, 21, 3, 13, 3, 0},
    {"[2026-11-21T03:13:03Z] x",                       1, 21, 2026, 11, 21, 3, 13, 3, 0},
    {" [2026-11-21T03:13:03Z] x",                      2, 22, 2026, 11, 21, 3, 13, 3, 0},
    {"2026-11-21T03:13:03",                            0, 19, 2026, 11, 21, 3, 13, 3, 0},
    {"2026-11-21T03:13:03. x",                         0, 19, 2026, 11, 21, 3, 13, 3, 0},
    {"2026-11-21T03:13:03, x",                         0, 19, 2026, 11, 21, 3, 13, 3, 0},
    {"2026-11-21T03:13:03-x",                          0, 19, 2026, 11, 21, 3, 13, 3, 0},
    {"2026-12-31T23:59:60Z x",                         0, 20, 2027, 1, 1, 0, 0, 0, 0},
    {"2024-02-29T12:00:00Z x",                         0, 20, 2024, 2, 29, 12, 0, 0, 0},
    {"2000-02-29T12:00:00Z x",                         0, 20, 2000, 2, 29, 12, 0, 0, 0},
    {"1970-01-01T00:00:00+01:00 x",                    0, 25, 1969, 12, 31, 23, 0, 0, 0},
    {"Nov 21 03:18:24 mx",                             0, 15, 2026, 11, 21, 3, 18, 24, 0},
    {"Nov  1 03:18:24 mx",                             0, 15, 2026, 11, 1, 3, 18, 24, 0},
    {"Nov 01 03:18:24 mx",                             0, 15, 2026, 11, 1, 3, 18, 24, 0},
    {"nov 21 03:18:24.5 mx",                           0, 17, 2026, 11, 21, 3, 18, 24, 500000},
    {"<Nov 21 03:18:24> mx",                           1, 16, 2026, 11, 21, 3, 18, 24, 0},
    {"Nov 22 14:59:59 mx",                             0, 15, 2026, 11, 22, 14, 59, 59, 0}, /* < a day ahead */
    {"Nov 22 15:00:01 mx",                             0, 15, 2025, 11, 22, 15, 0, 1, 0},
    {"Dec 31 23:59:59 mx",                             0, 15, 2025, 12, 31, 23, 59, 59, 0},
    {"Feb 29 10:00:00 mx",                             0, 15, 2024, 2, 29, 10, 0, 0, 0}, /* the latest */
    {"[21-Nov-2026 03:22:55 +0000]: x",                1, 27, 2026, 11, 21, 3, 22, 55, 0},
    {"[21-Nov-2026 03:22:55.123456 +0100]: x",         1, 34, 2026, 11, 21, 2, 22, 55, 123456},
    {"21/Nov/2026 03:22:55 x",                         0, 20, 2026, 11, 21, 3, 22, 55, 0},
    {"21-Nov-2026 03:22:55",                           0, 20, 2026, 11, 21, 3, 22, 55, 0},
    {"21-Nov-2026 03:22:55 -1",                        0, 20, 2026, 11, 21, 3, 22, 55, 0},
    {"[Sat Nov 21 03:19:55.962074 2026] [x]",          1, 32, 2026, 11, 21, 3, 19, 55, 962074},
    {"[Sat Nov  1 03:19:55 2026] [x]",                 1, 25, 2026, 11, 1, 3, 19, 55, 0},
    {"Sun Feb 29 00:00:00.1 2024",                     0, 26, 2024, 2, 29, 0, 0, 0, 100000},
};

static const struct sample after_new_year[] = {
    {"Dec 31 23:59:59 mx", 0, 15, 2027, 12, 31, 23, 59, 59, 0},
    {"Jan  1 00:00:01 mx", 0, 15, 2028, 1, 1, 0, 0, 1, 0},
    {"Feb 29 10:00:00 mx", 0, 15, 2024, 2, 29, 10, 0, 0, 0}, /* 2028's lies ahead */
};

static const struct sample before_new_year[] = { /* a clock that runs ahead */
    {"Dec 31 23:59:58 mx", 0, 15, 2027, 12, 31, 23, 59, 58, 0},
    {"Jan  1 00:00:01 mx", 0, 15, 2027, 1, 1, 0, 0, 1, 0},
};

static const struct sample in_berlin[] = {
    {"2026-07-01 12:00:00 mx",       0, 19, 2026, 7, 1, 10, 0, 0, 0},
    {"2026-01-01 12:00:00 mx",       0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01T12:00:00+00:00 mx", 0, 25, 2026, 1, 1, 12, 0, 0, 0},
    {"2026-03-29 01:59:59 mx",       0, 19, 2026, 3, 29, 0, 59, 59, 0},
    {"2026-03-29 03:00:00 mx",       0, 19, 2026, 3, 29, 1, 0, 0, 0},
    {"2026-10-25 01:59:59 mx",       0, 19, 2026, 10, 24, 23, 59, 59, 0},
    {"2026-10-25 03:00:00 mx",       0, 19, 2026, 10, 25, 2, 0, 0, 0},
    {"2026-01-01 12:00:00 +0000 mx", 0, 25, 2026, 1, 1, 12, 0, 0, 0},
    {"2026-01-01 12:00:00.5 Z mx",   0, 23, 2026, 1, 1, 12, 0, 0, 500000},
    {"21-Nov-2026 12:00:00 Z mx",    0, 22, 2026, 11, 21, 12, 0, 0, 0},
    /* What only begins like a zone is text, and the time is this machine's. */
    {"2026-01-01 12:00:00 Zoe",      0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 Z-mail sshd", 0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 -12.5 x",  0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 +01@x",    0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 +01000",   0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 -1 x",     0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 +9900 x",  0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00  +0000 x", 0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 ",         0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"2026-01-01 12:00:00 +",        0, 19, 2026, 1, 1, 11, 0, 0, 0},
    {"Jul  1 12:00:00 mx",           0, 15, 2026, 7, 1, 10, 0, 0, 0},
    {"Nov 21 00:30:00 mx",           0, 15, 2026, 11, 20, 23, 30, 0, 0},
};

static const char *const none[] = {
    "", " ", "  ", "x", "[", "2026", "2026-11-21", "2026-11-21T03:13", "2026-11-21T03:13:0",
    "2026-11-21_03:13:03 x", "2026-11/21 03:13:03 x", "2026-13-21 03:13:03 x",
    "2026-00-21 03:13:03 x", "2026-11-31 03:13:03 x", "2026-11-00 03:13:03 x",
    "2026-02-29 03:13:03 x", "2100-02-29 03:13:03 x", "2026-11-21 24:13:03 x",
    "2026-11-21 03:60:03 x", "2026-11-21 03:13:61 x", "1969-11-21 03:13:03 x",
    "2201-11-21 03:13:03 x", "2026-1-21  03:13:03 x", "2026-11-21 03-13-03 x",
    "+026-11-21 03:13:03 x", "2026-11-21 -3:13:03 x", "2026-11-21T03:13:03x", "2026-11-21T03:13:034",
    "2026-11-21T03:13:03Zulu", "Nov 21 03:18:24mx", "Nov 21 03:18:2", "Nov 21 03:18", "Nov21 03:18:24 x",
    "Nov 32 03:18:24 x", "Nov  0 03:18:24 x", "Foo 21 03:18:24 x", "Feb 30 03:18:24 x", "Nov -1 03:18:24 x",
    "Nov 21 24:18:24 x", "\x0eOV 21 03:18:24 x", "((( 2026-11-21T03:13:03Z x", "at 2026-11-21T03:13:03Z",
    ("\xff" "2026-11-21T03:13:03Z x"), "21-Nov/2026 03:22:55 x", "31-Nov-2026 03:22:55 x",
    "21-Foo-2026 03:22:55 x", "21-Nov-2026_03:22:55 x", "21-Nov-2026 03:22:55x", "1-Nov-2026 03:22:55 x",
    "21-Nov-1969 03:22:55 x", "[Sat Nov 21 03:19:55.962074] x", "[Sat Nov 31 03:19:55 2026] x",
    "[Tag Nov 21 03:19:55 2026] x", "[Sat Nov 21 03:19:55 202] x", "[Sat Nov 21 03:19:55 20266] x",
    "[Sat Nov 21 03:19:55", "[Sat Nov 21 03:19:55.", "[Sat Nov 21 03:19:55. 2026] x",
};
/* clang-format on */

static void stamps_by_table(void **state) {
    (void)state;
    set_zone("UTC");
    check(in_utc, ELEMENTS_OF(in_utc), utc(2026, 11, 21, 15, 0, 0));
    check(after_new_year, ELEMENTS_OF(after_new_year), utc(2028, 1, 1, 0, 10, 0));
    check(before_new_year, ELEMENTS_OF(before_new_year), utc(2027, 12, 31, 23, 59, 59));
    set_zone("Europe/Berlin");
    check(in_berlin, ELEMENTS_OF(in_berlin), utc(2026, 11, 21, 15, 0, 0));
    set_zone("UTC");
}

static void what_is_no_stamp(void **state) {
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(none); i++) {
        struct stamp stamp;
        if (stamp_read(span_of(none[i]), utc(2026, 11, 21, 15, 0, 0), &stamp))
            fail_msg("a stamp in '%s'", none[i]);
    }
}

/* Every head of a good line and every change of one byte, in memory that ends with the line. */
static void cut_and_changed_stamps(void **state) {
    (void)state;
    int64_t now_us = utc(2026, 11, 21, 15, 0, 0);
    uint32_t seed = 1;
    for (size_t i = 0; i < ELEMENTS_OF(in_utc); i++) {
        size_t full = strlen(in_utc[i].line);
        for (unsigned round = 0; round < 4000; round++) {
            seed = seed * 1664525 + 1013904223;
            size_t length = (seed >> 8) % (full + 1);
            char *copy = malloc(length ? length : 1);
            assert_non_null(copy);
            memcpy(copy, in_utc[i].line, length);
            if (length && round % 2)
                copy[(seed >> 16) % length] = (char)(seed >> 24);
            struct stamp stamp = {0};
            if (stamp_read((struct span){copy, length}, now_us, &stamp)) {
                assert_true(stamp.before <= 2);
                assert_true(stamp.end >= stamp.before + 15 && stamp.end <= length);
            }
            free(copy);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_by_table),
        cmocka_unit_test(what_is_no_stamp),
        cmocka_unit_test(cut_and_changed_stamps),
    };
    return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
