/* Line sessions: what lines of one login tell each other, step by step, and that they are bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "match/match.h"
#include "match/sessions.h"
#include "matched.h"

static const uint16_t numbers[] = {4};

static const char *const session_patterns[] = {
    "^address <HOST> <F-NOFAIL>only</F-NOFAIL>$",
    "^failed <F-USER>\\S+</F-USER>(?: from <HOST>)?$",
    "^<F-SUMMARY>sum</F-SUMMARY> from <HOST>$",
    "^sum of <F-ATTEMPTS>\\d+</F-ATTEMPTS> from <HOST>$",
    "^<F-NOUSER>nobody</F-NOUSER> <F-USER>\\S+</F-USER><F-NOFAIL> </F-NOFAIL>$",
    "^<F-MLFGAINED>let in</F-MLFGAINED> <F-USER>\\S+</F-USER>(?: from <HOST>)?$",
    "^<F-NOFAIL><F-MLFFORGET>bye</F-MLFFORGET></F-NOFAIL>(?: from <HOST>)?$",
    "^<F-AGAIN>lost</F-AGAIN>(?: from <HOST>)?$",
    "^<F-VOID><F-NOFAIL>our own fault</F-NOFAIL></F-VOID>$",
    NULL,
};

/* clang-format off */
static const struct {
    unsigned second; /* of log time */
    const char *line; /* "id: text" */
    int attempts;     /* -1: nothing is told */
    const char *account;
    int last; /* octet of the address told */
    bool is_nobody;
} steps[] = {
    {0,   "a: address 203.0.113.1 only",   -1, "", 0, false},
    {1,   "a: failed bob",                  0, "bob", 1, false},
    {2,   "a: sum from 203.0.113.1",       -1, "", 0, false},     /* was told */
    {3,   "a: failed bob",                  0, "bob", 1, false},
    {4,   "a: sum of 2 from 203.0.113.1",  -1, "", 0, false},
    {5,   "a: sum of 4 from 203.0.113.1",   4, "bob", 1, false},  /* two are new */
    {6,   "a: sum of 4 from 203.0.113.1",  -1, "", 0, false},
    {7,   "b: failed bob",                 -1, "", 0, false},     /* another one; no address yet */
    {8,   "b: failed bob",                 -1, "", 0, false},
    {9,   "b: address 203.0.113.2 only",    2, "bob", 2, false},
    {10,  "b: address 203.0.113.2 only",   -1, "", 0, false},
    {11,  "b: sum from 203.0.113.2",       -1, "", 0, false},
    {12,  "c: sum from 203.0.113.3",        1, "", 3, false},
    {13,  "d: nobody eve ",                -1, "", 0, false},
    {14,  "d: failed eve from 203.0.113.4", 0, "eve", 4, true},
    {15,  "d: failed bob",                  0, "bob", 4, false},  /* another name */
    {16,  "e: failed bob",                 -1, "", 0, false},
    {17,  "e: let in bob from 203.0.113.5",-1, "", 0, false},     /* dropped */
    {18,  "e: address 203.0.113.5 only",   -1, "", 0, false},
    {19,  "f: failed bob",                 -1, "", 0, false},
    {20,  "f: let in eve from 203.0.113.6", 1, "eve", 6, false},  /* guessed, then got in */
    {21,  "g: failed bob",                 -1, "", 0, false},
    {22,  "g: bye",                        -1, "", 0, false},
    {23,  "g: address 203.0.113.7 only",   -1, "", 0, false},
    {24,  "h: failed bob",                 -1, "", 0, false},
    {25,  "h: bye from 203.0.113.8",        1, "bob", 8, false},
    {26,  "h: sum from 203.0.113.8",        1, "", 8, false},     /* a new one of that id */
    {28,  "k: lost from 203.0.113.10",     -1, "", 0, false},     /* nothing before it */
    {29,  "k: failed bob from 203.0.113.10", 0, "bob", 10, false},
    {30,  "k: lost from 203.0.113.10",      0, "bob", 10, false}, /* one more */
    {31,  "k: sum of 2 from 203.0.113.10", -1, "", 0, false},
    {32,  "k: bye",                        -1, "", 0, false},
    {33,  "k: lost from 203.0.113.10",     -1, "", 0, false},     /* of the next session */
    {34,  "l: failed bob",                 -1, "", 0, false},
    {35,  "l: our own fault",              -1, "", 0, false},
    {36,  "l: failed bob from 203.0.113.11", -1, "", 0, false},   /* nor what waited */
    {37,  "l: bye",                        -1, "", 0, false},
    {38,  "l: sum from 203.0.113.11",      -1, "", 0, false},     /* still void */
    {100, "i: failed bob",                 -1, "", 0, false},
    {400, "i: address 203.0.113.9 only",    1, "bob", 9, false},  /* five minutes later */
    {401, "j: failed bob",                 -1, "", 0, false},
    {702, "x: of no interest",             -1, "", 0, false},
    {650, "j: address 203.0.113.9 only",    1, "bob", 9, false},  /* its own lines' times count */
    {951, "j: address 203.0.113.9 only",   -1, "", 0, false},     /* too late */
};
/* clang-format on */

static void sessions_step_by_step(void **state) {
    (void)state;
    struct config_filter filter;
    struct filter_rules *made = rules_with(
        &filter, "^ <F-MLFID>\\S+</F-MLFID>: <F-CONTENT>.*</F-CONTENT>$", session_patterns, NULL);
    for (int without_prefilter = 0; without_prefilter < 2; without_prefilter++) {
        struct why why;
        struct match *match = match_new(&made, numbers, 1, without_prefilter, &why);
        uint64_t ordinal = 0;
        for (size_t i = 0; i < ELEMENTS_OF(steps); i++) {
            char line[128];
            cleanup_facts struct facts facts = {0};
            int length = snprintf(line, sizeof(line), "2026-11-21T08:%02u:%02uZ %s\n",
                                  steps[i].second / 60, steps[i].second % 60, steps[i].line);
            match_feed(match, (struct span){line, (size_t)length}, ordinal, NOW_US, add_fact,
                       &facts);
            ordinal += (uint64_t)length;
            if (facts.count != (steps[i].attempts >= 0))
                fail_msg("%s: %u facts", steps[i].line, facts.count);
            if (facts.count == 0)
                continue;
            if (facts.at[0].attempts != steps[i].attempts ||
                facts.at[0].no_such_account != steps[i].is_nobody ||
                facts.at[0].address.at[15] != steps[i].last ||
                !span_is(wire_bytes(facts.at[0].account), steps[i].account))
                fail_msg("%s: attempts %u, account '%.*s', address …%u", steps[i].line,
                         facts.at[0].attempts, SPAN_FORMAT(wire_bytes(facts.at[0].account)),
                         facts.at[0].address.at[15]);
        }
        match_free(match);
    }
    filter_rules_free(made);
}

/* Rules of a prefix and one list of patterns each; all texts outlive them. */
static struct filter_rules *rules_with_successes(struct config_filter *filter,
                                                 struct config_pattern *patterns,
                                                 const char *prefix, const char *const *fail,
                                                 const char *const *success) {
    struct why why;
    filter_rules_free(rules_with(filter, prefix, fail, NULL));
    filter->success.at = patterns;
    for (; success[filter->success.count]; filter->success.count++)
        patterns[filter->success.count].text = (char *)(uintptr_t)success[filter->success.count];
    struct filter_rules *made = filter_rules_new(filter, &why);
    assert_non_null(made);
    return made;
}

/* A mail's sender stands in one line and its delivery in another, joined by the queue id. */
static void a_delivery_is_told_once(void **state) {
    (void)state;
    static const char *const fail[] = {
        "^<F-NOFAIL><F-MLFID>[A-Z]\\d</F-MLFID>: client=</F-NOFAIL><HOST>$", NULL};
    static const char *const success[] = {
        "^<F-MLFID>[A-Z]\\d</F-MLFID>: to \\S+, <F-DELIVERED>sent</F-DELIVERED>$", NULL};
    static const char log[] = "2026-11-21T08:00:00Z A1: client=203.0.113.1\n"
                              "2026-11-21T08:00:00Z A2: client=203.0.113.2\n"
                              "2026-11-21T08:00:01Z A3: to bob, sent\n" /* from nobody */
                              "2026-11-21T08:00:01Z A1: to bob, sent\n"
                              "2026-11-21T08:00:01Z A1: to alice, sent\n"
                              "2026-11-21T08:10:00Z A2: to bob, sent\n"; /* too late */
    struct config_filter filter;
    struct config_pattern patterns[ELEMENTS_OF(success)];
    struct filter_rules *made = rules_with_successes(
        &filter, patterns, "^ <F-CONTENT>.*</F-CONTENT>$", fail, success);
    struct match *match = match_of(made);
    cleanup_facts struct facts facts = {0};
    match_feed(match, SPAN(log), 0, NOW_US, add_fact, &facts);
    assert_int_equal(facts.count, 1);
    assert_int_equal(facts.at[0].kind, EVENT_DELIVERED);
    assert_int_equal(facts.at[0].address.at[15], 1);
    assert_int_equal(match_resume(match, 1000), 1000);
    match_free(match);
    filter_rules_free(made);
}

/* The line that says who came in need not say from where: its session may have. */
static void a_login_takes_its_address_from_its_session(void **state) {
    (void)state;
    static const char *const success[] = {"^welcome(?: <F-USER>\\S+</F-USER>)?(?: from <HOST>)?$",
                                          NULL};
    static const char log[] = "2026-11-21T08:00:00Z a: address 203.0.113.1 only\n"
                              "2026-11-21T08:00:01Z a: welcome bob\n"
                              "2026-11-21T08:00:02Z a: welcome bob\n" /* of an ended session */
                              "2026-11-21T08:00:03Z b: welcome bob\n" /* from nobody */
                              "2026-11-21T08:00:04Z b: address 203.0.113.2 only\n"
                              "2026-11-21T08:00:05Z c: address 203.0.113.3 only\n"
                              "2026-11-21T08:00:06Z c: nobody eve \n"
                              "2026-11-21T08:00:07Z c: welcome\n"
                              "2026-11-21T08:00:08Z d: nobody eve \n"
                              "2026-11-21T08:00:09Z d: nobody bob \n"
                              "2026-11-21T08:00:10Z d: address 203.0.113.4 only\n"
                              "2026-11-21T08:00:11Z d: welcome\n" /* eve or bob? */
                              "2026-11-21T08:00:12Z e: address 203.0.113.5 only\n"
                              "2026-11-21T08:00:13Z e: welcome bob from 203.0.113.6\n"
                              "2026-11-21T08:10:00Z b: welcome bob\n"; /* too late */
    static const struct {
        uint8_t last;
        const char *account;
    } logins[] = {{1, "bob"}, {3, "eve"}, {4, ""}, {6, "bob"}};
    struct config_filter filter;
    struct config_pattern patterns[ELEMENTS_OF(success)];
    struct filter_rules *made = rules_with_successes(
        &filter, patterns, "^ <F-MLFID>\\S+</F-MLFID>: <F-CONTENT>.*</F-CONTENT>$",
        session_patterns, success);
    struct match *match = match_of(made);
    cleanup_facts struct facts facts = {0};
    match_feed(match, SPAN(log), 0, NOW_US, add_fact, &facts);
    assert_int_equal(facts.count, ELEMENTS_OF(logins));
    for (uint32_t i = 0; i < facts.count; i++) {
        assert_int_equal(facts.at[i].kind, EVENT_SUCCESS);
        assert_int_equal(facts.at[i].address.at[15], logins[i].last);
        assert_true(span_is(wire_bytes(facts.at[i].account), logins[i].account));
        assert_false(facts.at[i].no_such_account);
    }
    match_free(match);
    filter_rules_free(made);
}

/* A flood of half-told connections: memory and resume stay bounded, the newest are kept. */
static void sessions_are_bounded(void **state) {
    (void)state;
    enum { FLOOD = SESSIONS_MAX + 500 };
    struct config_filter filter;
    struct filter_rules *made = rules_with(
        &filter, "^ <F-MLFID>\\S+</F-MLFID>: <F-CONTENT>.*</F-CONTENT>$", session_patterns, NULL);
    struct match *match = match_of(made);
    cleanup_text struct text log = {0};
    cleanup_facts struct facts facts = {0};
    uint64_t starts[FLOOD];
    for (unsigned i = 0; i < FLOOD; i++) {
        starts[i] = log.length;
        text_add_format(&log, "2026-11-21T08:00:%02uZ s%u: failed bob\n", i * 60 / FLOOD, i);
    }
    match_feed(match, text_span(&log), 0, NOW_US, add_fact, &facts);
    assert_int_equal(facts.count, 0);
    assert_int_equal(match_resume(match, log.length), starts[500]);
    uint64_t place = log.length;
    text_clear(&log);
    text_add_string(&log, "2026-11-21T08:00:59Z s499: address 203.0.113.1 only\n"
                          "2026-11-21T08:00:59Z s600: address 203.0.113.2 only\n");
    match_feed(match, text_span(&log), place, NOW_US, add_fact, &facts);
    assert_int_equal(facts.count, 1);
    assert_int_equal(facts.at[0].address.at[15], 2);
    place += log.length;
    text_clear(&log);
    while (log.length < 65536) /* (swept at each 64th KiB) */
        text_add_string(&log, "2026-11-21T08:06:00Z nobody's line\n");
    match_feed(match, text_span(&log), place, NOW_US, add_fact, &facts);
    assert_int_equal(match_resume(match, place + log.length), place + log.length);
    match_free(match);
    filter_rules_free(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_step_by_step),
        cmocka_unit_test(a_delivery_is_told_once),
        cmocka_unit_test(a_login_takes_its_address_from_its_session),
        cmocka_unit_test(sessions_are_bounded),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
