/* The small things everything else stands on: spans, texts and their quoting, durations, addresses
 * and prefixes, the clock, small files. Tables of cases, then random bytes against a plain model.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/text.h"

static uint64_t seed = 1;

static uint32_t chance(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

/* ---- spans ---- */

static void spans_are_cut_and_trimmed(void **state) {
    (void)state;
    struct span text = SPAN(" a b ,c,");
    assert_true(span_is(span_trim(text), "a b ,c,"));
    assert_true(span_is(span_cut(&text, ','), " a b "));
    assert_true(span_is(span_cut(&text, ','), "c"));
    assert_true(text.at && text.length == 0); /* there was a separator: an empty last field */
    assert_true(span_is(span_cut(&text, ','), ""));
    assert_null(text.at);
    assert_int_equal(span_cut(&text, ',').length, 0);
    text = SPAN("\t one\r\ntwo  ");
    assert_true(span_is(span_word(&text), "one"));
    assert_true(span_is(span_word(&text), "two"));
    assert_int_equal(span_word(&text).length, 0);
    assert_int_equal(span_skip(SPAN("abc"), 5).length, 0);
    assert_true(span_starts_with(SPAN("abc"), SPAN("")));
    assert_false(span_starts_with(SPAN("ab"), SPAN("abc")));
    assert_true(span_equals((struct span){NULL, 0}, SPAN("")));
    assert_int_equal(span_trim(SPAN(" \r\n\t ")).length, 0);
}

static void integers_fill_their_span(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t least, most;
        int error;
        int64_t value;
    } cases[] = {
        {"0", 0, 0, 0, 0},
        {"007", 0, 9, 0, 7},
        {"-5", -5, 5, 0, -5},
        {"9223372036854775807", 0, INT64_MAX, 0, INT64_MAX},
        {"9223372036854775808", 0, INT64_MAX, -ERANGE, 0},
        {"-9223372036854775807", INT64_MIN, 0, 0, -INT64_MAX},
        {"99999999999999999999999", 0, INT64_MAX, -ERANGE, 0},
        {"6", 0, 5, -ERANGE, 0},
        {"-1", 0, 5, -ERANGE, 0},
        {"", 0, 5, -EINVAL, 0},
        {"-", -5, 5, -EINVAL, 0},
        {"+1", 0, 5, -EINVAL, 0},
        {" 1", 0, 5, -EINVAL, 0},
        {"1 ", 0, 5, -EINVAL, 0},
        {"1x", 0, 5, -EINVAL, 0},
        {"0x1", 0, 5, -EINVAL, 0},
        {"--1", -5, 5, -EINVAL, 0},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        int64_t value = 42;
        int error = span_to_integer(span_of(cases[i].text), cases[i].least, cases[i].most, &value);
        if (error != cases[i].error || value != (error ? 42 : cases[i].value))
            fail_msg("%s: %d, %lld", cases[i].text, error, (long long)value);
    }
}

static void distances_are_edits(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned distance;
    } cases[] = {{"", "", 0}, {"a", "", 1}, {"bantime", "bantiem", 2}, {"findtime", "findtimes", 1},
                 {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"", "abcd", 4}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        assert_int_equal(span_distance(span_of(cases[i].a), span_of(cases[i].b)),
                         cases[i].distance);
        assert_int_equal(span_distance(span_of(cases[i].b), span_of(cases[i].a)),
                         cases[i].distance);
    }
    char longer[80];
    memset(longer, 'a', sizeof(longer));
    assert_true(span_distance((struct span){longer, 65}, SPAN("a")) >= 64);
    assert_int_equal(span_distance((struct span){longer, 64}, (struct span){longer, 64}), 0);
}

/* ---- texts ---- */

static void texts_grow_and_are_terminated(void **state) {
    (void)state;
    cleanup_text struct text text = {0};
    assert_true(text_span(&text).length == 0 && text_span(&text).at);
    for (int i = 0; i < 1000; i++)
        text_add_format(&text, "%d,", i % 10);
    text_add_char(&text, '\0');
    text_add(&text, SPAN("end"));
    assert_int_equal(text.length, 2004);
    assert_memory_equal(text.at + 2000, "\0end", 5);
    text_clear(&text);
    assert_int_equal(text_span(&text).length, 0);
    text_add_string(&text, "x");
    char *taken = text_take(&text);
    assert_string_equal(taken, "x");
    free(taken);
    assert_null(text_take(&text));
    text.error = -ENOMEM;
    text_add_string(&text, "x");
    assert_null(text_span(&text).at);
    assert_null(text_take(&text));
}

static void log_text_is_safe_to_show(void **state) {
    (void)state;
    static const struct {
        struct span bytes;
        const char *safe;
    } cases[] = {
        {SPAN("plain text, ~"), "plain text, ~"},
        {SPAN("a\\b"), "a\\x5cb"},
        {SPAN("\x1b[31mred\n\r\t\x7f"), "\\x1b[31mred\\x0a\\x0d\\x09\\x7f"},
        {SPAN("nul\0nul"), "nul\\x00nul"},
        {SPAN("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f"},
        {SPAN("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80"},
        {SPAN("\xc0\xaf"), "\\xc0\\xaf"},                     /* overlong '/' */
        {SPAN("\xe0\x80\xaf"), "\\xe0\\x80\\xaf"},            /* overlong */
        {SPAN("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf"},   /* overlong */
        {SPAN("\xed\xa0\x80"), "\\xed\\xa0\\x80"},            /* a surrogate */
        {SPAN("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"},   /* behind U+10FFFF */
        {SPAN("\xc3"), "\\xc3"},                              /* cut short */
        {SPAN("\xc3(" "\xe2\x82"), "\\xc3(\\xe2\\x82"},
        {SPAN("\xc2\x9b" "31m"), "\\xc2\\x9b31m"},            /* CSI as C1 */
        {SPAN("\xe2\x80\xae" "gpj.exe"), "\\xe2\\x80\\xaegpj.exe"}, /* right to left override */
        {SPAN("\xe2\x80\x8b\xe2\x81\xa6\xef\xbb\xbf"),
         "\\xe2\\x80\\x8b\\xe2\\x81\\xa6\\xef\\xbb\\xbf"},
        {SPAN("\xd8\x9c"), "\\xd8\\x9c"},                     /* Arabic letter mark: bidi too */
        {SPAN("\xf3\xa0\x81\x81"), "\\xf3\\xa0\\x81\\x81"}, /* a tag */
        {SPAN("\xff\xfe"), "\\xff\\xfe"},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_text struct text text = {0};
        char fixed[128];
        text_add_safe(&text, cases[i].bytes);
        if (strcmp(text.at, cases[i].safe) != 0)
            fail_msg("%s instead of %s", text.at, cases[i].safe);
        assert_int_equal(safe_copy(fixed, sizeof(fixed), cases[i].bytes), strlen(cases[i].safe));
        assert_string_equal(fixed, cases[i].safe);
    }
}

static void a_fixed_copy_is_cut_at_a_whole_piece(void **state) {
    (void)state;
    struct span bytes = SPAN("a\x01\xc3\xbc z");
    static const char *const at_room[] = {"", "a", "a", "a", "a", "a\\x01", "a\\x01",
                                          "a\\x01\xc3\xbc", "a\\x01\xc3\xbc "};
    for (size_t room = 1; room <= ELEMENTS_OF(at_room); room++) {
        cleanup_free char *into = malloc(room);
        size_t length = safe_copy(into, room, bytes);
        if (strcmp(into, at_room[room - 1]) != 0 || length != strlen(into))
            fail_msg("room %zu: %s", room, into);
    }
}

static void json_is_json(void **state) {
    (void)state;
    static const struct {
        struct span bytes;
        const char *json;
    } cases[] = {
        {SPAN(""), "\"\""},
        {SPAN("a\"b\\c/"), "\"a\\\"b\\\\c/\""},
        {SPAN("\n\x1f\x7f\0z"), "\"\\u000a\\u001f\\u007f\\u0000z\""},
        {SPAN("\xc3\xbc\xff\xc3"), "\"\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd\""},
        {SPAN("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {SPAN("\xe2\x80\xae"), "\"\xe2\x80\xae\""},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_text struct text text = {0};
        text_add_json(&text, cases[i].bytes);
        if (strcmp(text.at, cases[i].json) != 0)
            fail_msg("%s instead of %s", text.at, cases[i].json);
    }
}

/* Whatever goes in: what comes out is ASCII or well-formed, shows no control,
 * and no quote ends it. */
static void random_bytes_are_quoted(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char bytes[24];
        size_t length = chance(sizeof(bytes) + 1);
        for (size_t k = 0; k < length; k++)
            bytes[k] = chance(3) ? (char)chance(256) : "\"\\\xc3\xe2\x80\xf0\xed\n"[chance(8)];
        cleanup_free char *exact = malloc(length + 1);
        memcpy(exact, bytes, length);
        struct span span = {exact, length};
        cleanup_text struct text safe = {0};
        cleanup_text struct text json = {0};
        cleanup_text struct text again = {0};
        text_add_safe(&safe, span);
        text_add_json(&json, span);
        for (size_t k = 0; k < safe.length; k++)
            assert_true((unsigned char)safe.at[k] >= 0x20 && safe.at[k] != 0x7f);
        for (size_t k = 1; k + 1 < json.length; k++)
            if (json.at[k] == '\\')
                k++;
            else
                assert_true(json.at[k] != '"' && (unsigned char)json.at[k] >= 0x20);
        assert_true(json.at[0] == '"' && json.at[json.length - 1] == '"');
        /* JSON is well-formed UTF-8: quoted once more, nothing becomes U+FFFD. */
        text_add_json(&again, (struct span){json.at + 1, json.length - 2});
        size_t before = 0;
        size_t after = 0;
        for (size_t k = 0; k + 2 < json.length; k++)
            before += memcmp(json.at + k, "\xef\xbf\xbd", 3) == 0;
        for (size_t k = 0; k + 2 < again.length; k++)
            after += memcmp(again.at + k, "\xef\xbf\xbd", 3) == 0;
        assert_int_equal(before, after);
    }
}

/* ---- durations ---- */

static void durations_are_fail2bans(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int error;
        int64_t seconds;
    } cases[] = {
        {"600", 0, 600}, {"10m", 0, 600}, {" 10 m ", 0, 600}, {"1d 12h", 0, 129600},
        {"1d12h", 0, 129600}, {"90 minutes", 0, 5400}, {"2w", 0, 1209600}, {"-1", 0, -1},
        {"1h * 2", 0, 7200}, {"1h*2+1m", 0, 7260}, {"(1h + 1m) * 2", 0, 7320},
        {"1.5h", 0, 5400}, {"1mo", 0, 2629800}, {"1y", 0, 31557600}, {"0", 0, 0},
        {"60/2", 0, 30}, {"10m-1m", 0, 540}, {"1000y", 0, INT64_C(31557600000)},
        {"1001y", -ERANGE, 0}, {"", -EINVAL, 0}, {"m", -EINVAL, 0}, {"10x", -EINVAL, 0},
        {"10 m x", -EINVAL, 0}, {"1/0", -EINVAL, 0}, {"-2", -EINVAL, 0}, {"(1", -EINVAL, 0},
        {"1)", -EINVAL, 0}, {"1 +", -EINVAL, 0}, {".", -EINVAL, 0}, {"1e9", -EINVAL, 0},
        {"((((((((((((((((((1))))))))))))))))))", -EINVAL, 0},
        {"0/0", -EINVAL, 0},
        {"99999999999999999999999999999999999999999999999999", -ERANGE, 0},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        int64_t seconds = 42;
        int error = duration_parse(span_of(cases[i].text), &seconds);
        if (error != cases[i].error || seconds != (error ? 42 : cases[i].seconds))
            fail_msg("%s: %d, %lld", cases[i].text, error, (long long)seconds);
    }
}

/* Numbers so long that they are infinite must not become times. */
static void monstrous_durations_are_refused(void **state) {
    (void)state;
    static char digits[2000];
    int64_t seconds = 0;
    memset(digits, '9', sizeof(digits));
    assert_true(duration_parse((struct span){digits, sizeof(digits)}, &seconds) < 0);
    static const char *const tails[] = {"-", "*0 ", "/"};
    for (size_t i = 0; i < ELEMENTS_OF(tails); i++) {
        cleanup_text struct text text = {0};
        text_add(&text, (struct span){digits, 800});
        text_add_string(&text, tails[i]);
        text_add(&text, (struct span){digits, 800});
        if (duration_parse(text_span(&text), &seconds) >= 0)
            fail_msg("inf %s inf is %lld", tails[i], (long long)seconds);
    }
    assert_int_equal(seconds, 0);
}

static void durations_read_well(void **state) {
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{0, "0 s"}, {41, "41 s"}, {60, "1 m"}, {61, "1 m 1 s"}, {3600, "1 h"},
                 {7080, "1 h 58 m"}, {3601, "1 h"}, {86400, "1 d"}, {90000, "1 d 1 h"},
                 {604800, "7 d"}, {-1, "ever"}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char text[DURATION_TEXT_MAX];
        assert_string_equal(duration_format(cases[i].seconds, text), cases[i].text);
    }
    char text[DURATION_TEXT_MAX];
    assert_non_null(duration_format(INT64_MAX, text));
}

/* ---- addresses ---- */

static void addresses_are_parsed_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed; /* NULL: refused */
    } cases[] = {
        {"203.0.113.9", "203.0.113.9"}, {"[203.0.113.9]", "203.0.113.9"},
        {"::ffff:203.0.113.9", "203.0.113.9"}, {"::FFFF:cb00:7109", "203.0.113.9"},
        {"2001:DB8::1", "2001:db8::1"}, {"[2001:db8:0:0::1]", "2001:db8::1"}, {"::", "::"},
        {"::203.0.113.9", "::203.0.113.9"},
        {"203.0.113", NULL}, {"203.0.113.009", NULL}, {"203.0.113.256", NULL}, {"0x7f.1", NULL},
        {"203.0.113.9 ", NULL}, {" 203.0.113.9", NULL}, {"fe80::1%eth0", NULL}, {"", NULL},
        {"[]", NULL}, {"[203.0.113.9", NULL}, {"2001:db8:::1", NULL}, {"example.org", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL}, {"203.0.113.9:25", NULL},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct address address;
        char text[PREFIX_TEXT_MAX];
        int error = address_parse(span_of(cases[i].text), &address);
        if ((error == 0) != (cases[i].printed != NULL))
            fail_msg("%s: %d", cases[i].text, error);
        if (error == 0)
            assert_string_equal(address_format(&address, text), cases[i].printed);
    }
    struct address address;
    assert_true(address_parse((struct span){"1.2.3.4\0.5", 10}, &address) < 0);
}

static void prefixes_are_cut_to_their_length(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"203.0.113.9", "203.0.113.9"}, {"203.0.113.9/32", "203.0.113.9"},
        {"203.0.113.9/24", "203.0.113.0/24"}, {"203.0.113.255/25", "203.0.113.128/25"},
        {"203.0.113.9/0", "0.0.0.0/0"}, {"2001:db8::1/64", "2001:db8::/64"},
        {"2001:db8::1/128", "2001:db8::1"}, {"2001:db8::ffff/127", "2001:db8::fffe/127"},
        {"::/0", "::/0"}, {"::ffff:203.0.113.9/24", "203.0.113.0/24"},
        {"203.0.113.9/33", NULL}, {"2001:db8::/129", NULL}, {"203.0.113.9/", NULL},
        {"203.0.113.9/-1", NULL}, {"203.0.113.9/24/24", NULL}, {"/24", NULL},
        {"203.0.113.9/255.255.255.0", NULL},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct prefix prefix;
        char text[PREFIX_TEXT_MAX];
        int error = prefix_parse(span_of(cases[i].text), &prefix);
        if ((error == 0) != (cases[i].printed != NULL))
            fail_msg("%s: %d", cases[i].text, error);
        if (error == 0)
            assert_string_equal(prefix_format(&prefix, text), cases[i].printed);
    }
}

/* IPv6 prefixes that reach over the mapped addresses are IPv6 all the same: none holds IPv4. */
static void families_never_mix(void **state) {
    (void)state;
    struct prefix all6 = {0};
    struct prefix all4 = {0};
    struct prefix one4 = {0};
    struct prefix one6 = {0};
    assert_int_equal(prefix_parse(SPAN("::/0"), &all6), 0);
    assert_int_equal(prefix_parse(SPAN("0.0.0.0/0"), &all4), 0);
    assert_int_equal(prefix_parse(SPAN("203.0.113.9"), &one4), 0);
    assert_int_equal(prefix_parse(SPAN("2001:db8::1"), &one6), 0);
    assert_true(prefix_is_v4(&all4) && !prefix_is_v4(&all6));
    assert_false(prefix_contains(&all6, &one4) || prefix_overlaps(&one4, &all6));
    assert_false(prefix_contains(&all4, &one6) || prefix_contains(&all6, &all4));
    assert_true(prefix_contains(&all6, &one6) && prefix_contains(&all4, &one4));
}

static bool bit_of(const struct address *address, unsigned bit) {
    return address->at[bit / 8] >> (7 - bit % 8) & 1;
}

static void containment_is_that_of_bits(void **state) {
    (void)state;
    for (int i = 0; i < 50000; i++) {
        struct address a = {0};
        struct address b;
        bool is_v4 = chance(2);
        if (is_v4)
            a.at[10] = a.at[11] = 0xff;
        else
            a.at[0] = 0x20;
        unsigned offset = is_v4 ? 96 : 0;
        for (int byte = is_v4 ? 12 : 1; byte < 16; byte++)
            a.at[byte] = (uint8_t)(chance(3) ? 0 : chance(256));
        b = a;
        unsigned flip = chance(is_v4 ? 32 : 128);
        if (chance(3) && (is_v4 || flip > 7))
            b.at[(flip + offset) / 8] ^= (uint8_t)(0x80u >> flip % 8);
        uint8_t most = is_v4 ? 32 : 128;
        struct prefix outer = prefix_cut(&a, (uint8_t)chance(most + 1u));
        struct prefix inner = prefix_cut(&b, (uint8_t)chance(most + 1u));
        bool holds = true;
        for (unsigned bit = 0; bit < outer.length; bit++)
            holds = holds && bit_of(&a, bit + offset) == bit_of(&inner.address, bit + offset);
        for (unsigned bit = outer.length; bit < most; bit++)
            assert_false(bit_of(&outer.address, bit + offset));
        assert_int_equal(prefix_contains(&outer, &inner), holds && outer.length <= inner.length);
        assert_int_equal(prefix_holds(&outer, &inner.address), holds);
        assert_int_equal(prefix_overlaps(&outer, &inner),
                         prefix_contains(&outer, &inner) || prefix_contains(&inner, &outer));
        char text[PREFIX_TEXT_MAX];
        struct prefix again;
        assert_int_equal(prefix_parse(span_of(prefix_format(&outer, text)), &again), 0);
        assert_true(prefix_equals(&outer, &again));
    }
}

/* ---- the clock ---- */

static void days_are_gregorian(void **state) {
    (void)state;
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day_number = clock_days(1899, 12, 31);
    assert_true(clock_days(1970, 1, 1) == 0);
    for (int year = 1900; year < 2500; year++)
        for (int month = 1; month <= 12; month++) {
            bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            int days = lengths[month - 1] + (month == 2 && is_leap);
            for (int day = 1; day <= days; day++)
                if (clock_days(year, month, day) != ++day_number)
                    fail_msg("%d-%d-%d", year, month, day);
        }
}

static void set_zone(const char *zone) {
    setenv("TZ", zone, 1);
    tzset();
    (void)clock_from_local(1971, 1, 1, 0, 0, 0);
    (void)clock_local_year(0);
}

static void times_are_formatted(void **state) {
    (void)state;
    char text[CLOCK_TEXT_MAX];
    int64_t at_us = (clock_days(2026, 11, 21) * 86400 + 12 * 3600 + 33 * 60 + 51) * SECOND_US;
    assert_string_equal(clock_format_utc(at_us + 999999, text), "2026-11-21T12:33:51Z");
    assert_string_equal(clock_format_utc(-1, text), "1969-12-31T23:59:59Z");
    set_zone("Europe/Berlin");
    assert_string_equal(clock_format_local(at_us, at_us + HOUR_US, text), "13:33:51");
    assert_string_equal(clock_format_local(at_us, at_us + DAY_US, text), "21 Nov 13:33:51");
    assert_string_equal(clock_format_local(at_us, at_us + 365 * DAY_US, text), "21 Nov 13:33:51");
    set_zone("UTC");
    (void)clock_format_utc(INT64_MAX, text);
    (void)clock_format_utc(INT64_MIN, text);
    (void)clock_format_local(INT64_MIN, INT64_MAX, text);
}

static void local_hours_around_summer_time(void **state) {
    (void)state;
    set_zone("Europe/Berlin");
    int64_t day_us = clock_days(2026, 3, 29) * DAY_US;
    assert_true(clock_from_local(2026, 3, 29, 1, 59, 59) ==
                day_us + 59 * MINUTE_US + 59 * SECOND_US);
    assert_true(clock_from_local(2026, 3, 29, 3, 0, 0) == day_us + HOUR_US);
    assert_int_equal(clock_local_year(clock_days(2027, 1, 1) * DAY_US - HOUR_US), 2027);
    assert_int_equal(clock_local_year(clock_days(2027, 1, 1) * DAY_US - HOUR_US - 1), 2026);
    set_zone("Asia/Kathmandu"); /* +05:45: an hour of local time is not one of UTC */
    assert_true(clock_from_local(2026, 11, 21, 5, 44, 59) ==
                clock_days(2026, 11, 20) * DAY_US + 24 * HOUR_US - SECOND_US);
    assert_int_equal(clock_local_year(clock_days(2026, 12, 31) * DAY_US + 18 * HOUR_US +
                                      15 * MINUTE_US), 2027);
    assert_int_equal(clock_local_year(clock_days(2026, 12, 31) * DAY_US + 18 * HOUR_US +
                                      14 * MINUTE_US), 2026);
    set_zone("UTC");
}

/* ---- files and digests ---- */

static void small_files(void **state) {
    (void)state;
    char folder[] = "/tmp/hauberk-base-XXXXXX";
    char path[64];
    char deep[96];
    cleanup_text struct text text = {0};
    struct stat status;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/f", folder);
    assert_int_equal(file_read(path, 10, &text), -ENOENT);
    assert_int_equal(file_append_durably(path, SPAN("12345")), 0);
    assert_int_equal(file_append_durably(path, SPAN("67890")), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(file_read(path, 10, &text), 0);
    assert_true(span_is(text_span(&text), "1234567890"));
    text_clear(&text);
    assert_int_equal(file_read(path, 9, &text), -EFBIG);
    assert_int_equal(file_read(folder, 10, &text), -EINVAL);
    snprintf(deep, sizeof(deep), "%s/a/b/c", folder);
    assert_int_equal(folder_make(deep, 0700), 0);
    assert_int_equal(folder_make(deep, 0700), 0);
    assert_int_equal(stat(deep, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    snprintf(deep, sizeof(deep), "%s/link", folder);
    assert_int_equal(symlink(path, deep), 0);
    assert_int_equal(file_append_durably(deep, SPAN("x")), -ELOOP);
    unlink(deep);
    unlink(path);
    for (const char *const *tail = (const char *const[]){"/a/b/c", "/a/b", "/a", "", NULL}; *tail;
         tail++) {
        snprintf(deep, sizeof(deep), "%s%s", folder, *tail);
        assert_int_equal(rmdir(deep), 0);
    }
}

static void digests_know_where_parts_end(void **state) {
    (void)state;
    struct digest_state digest_state;
    digest_begin(&digest_state);
    digest_add(&digest_state, SPAN("ab"));
    digest_add(&digest_state, SPAN("c"));
    struct digest one = digest_end(&digest_state);
    digest_begin(&digest_state);
    digest_add(&digest_state, SPAN("a"));
    digest_add(&digest_state, SPAN("bc"));
    struct digest other = digest_end(&digest_state);
    assert_false(digest_equals(&one, &other));
    char text[DIGEST_TEXT_MAX];
    struct digest empty = digest_of(SPAN(""));
    /* BLAKE2b-128 of nothing: identities must be the same on every machine and day. */
    assert_string_equal(digest_format(&empty, text), "cae66941d9efbd404e4d88758ea67670");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_cut_and_trimmed),
        cmocka_unit_test(integers_fill_their_span),
        cmocka_unit_test(distances_are_edits),
        cmocka_unit_test(texts_grow_and_are_terminated),
        cmocka_unit_test(log_text_is_safe_to_show),
        cmocka_unit_test(a_fixed_copy_is_cut_at_a_whole_piece),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(random_bytes_are_quoted),
        cmocka_unit_test(durations_are_fail2bans),
        cmocka_unit_test(monstrous_durations_are_refused),
        cmocka_unit_test(durations_read_well),
        cmocka_unit_test(addresses_are_parsed_strictly),
        cmocka_unit_test(prefixes_are_cut_to_their_length),
        cmocka_unit_test(families_never_mix),
        cmocka_unit_test(containment_is_that_of_bits),
        cmocka_unit_test(days_are_gregorian),
        cmocka_unit_test(times_are_formatted),
        cmocka_unit_test(local_hours_around_summer_time),
        cmocka_unit_test(small_files),
        cmocka_unit_test(digests_know_where_parts_end),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
