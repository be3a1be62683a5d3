/* From lines to facts. The properties first, on the shipped filters' samples and on random
 * mutations of them: the same facts with and without the prefilter, however the bytes are split
 * into batches, and from wherever reading was taken up again at match_resume(). Then what single
 * lines do: poison, too much work, too long.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/files.h"
#include "match/match.h"
#include "matched.h"

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "." /* meson names it; by hand, run from the root of the tree */
#endif

enum { FILTERS = 3 };

static const char *const filter_names[FILTERS] = {"sshd", "dovecot", "postfix-sasl"};
static const uint16_t numbers[FILTERS] = {4, 9, 11};
static struct config *config;
static struct filter_rules *rules[FILTERS];
static struct text samples; /* the log lines of all sample files */

static void add_lines(const char *name) {
    cleanup_text struct text bytes = {0};
    cleanup_text struct text path = {0};
    text_add_format(&path, SOURCE_ROOT "/filters/%s.samples", name);
    assert_true(file_read(path.at, 4 << 20, &bytes) >= 0);
    for (struct span left = text_span(&bytes); left.at && left.length;) {
        struct span line = span_cut(&left, '\n');
        if (line.length == 0 || line.at[0] == '#' || line.at[0] == '=')
            continue;
        text_add(&samples, line);
        text_add_char(&samples, '\n');
    }
}

static int open_filters(void **state) {
    (void)state;
    struct why why = {0};
    char text[800];
    hash_open();
    setenv("TZ", "UTC", 1);
    if (config_read("/nonexistent", SOURCE_ROOT, &config, &why) < 0) {
        print_error("%s\n", why_format(&why, text, sizeof(text)));
        return -1;
    }
    for (int f = 0; f < FILTERS; f++) {
        for (uint32_t i = 0; i < config->filter_count && !rules[f]; i++)
            if (strcmp(config->filters[i].name, filter_names[f]) == 0)
                rules[f] = filter_rules_new(&config->filters[i], &why);
        if (!rules[f])
            return -1;
        add_lines(filter_names[f]);
    }
    return samples.error;
}

static int close_filters(void **state) {
    (void)state;
    for (int f = 0; f < FILTERS; f++)
        rules[f] = filter_rules_free(rules[f]);
    config = config_free(config);
    text_free(&samples);
    return 0;
}

/* --- helpers -------------------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static struct match *new_match(bool without_prefilter) {
    struct why why;
    struct match *match = match_new(rules, numbers, FILTERS, without_prefilter, &why);
    assert_non_null(match);
    if (without_prefilter)
        assert_false(match_has_prefilter(match));
    return match;
}

static size_t line_end_behind(struct span bytes, size_t at) {
    if (at >= bytes.length)
        return bytes.length;
    const char *newline = memchr(bytes.at + at, '\n', bytes.length - at);
    return newline ? (size_t)(newline - bytes.at) + 1 : bytes.length;
}

/* Feeds [from, to) in batches of up to `most` bytes (whole lines). */
static void feed(struct match *match, struct span bytes, size_t from, size_t to, size_t most,
                 struct facts *facts) {
    while (from < to) {
        size_t end = line_end_behind(bytes, from + (most > 1 ? draw(most) : 0));
        if (end > to)
            end = to;
        match_feed(match, (struct span){bytes.at + from, end - from}, from, NOW_US, add_fact,
                   facts);
        from = end;
    }
}

static bool is_same(const struct wire_event *a, const struct wire_event *b) {
    return a->line_end == b->line_end && a->at_us == b->at_us && a->kind == b->kind &&
           a->filter == b->filter && a->pattern == b->pattern && a->attempts == b->attempts &&
           a->has_address == b->has_address && a->secrecy == b->secrecy &&
           a->no_such_account == b->no_such_account &&
           memcmp(&a->address, &b->address, sizeof(a->address)) == 0 &&
           span_equals(wire_bytes(a->account), wire_bytes(b->account)) &&
           span_equals(wire_bytes(a->session), wire_bytes(b->session)) &&
           span_equals(wire_bytes(a->evidence), wire_bytes(b->evidence));
}

static void assert_same_facts(const struct wire_event *a, uint32_t a_count, const struct facts *b,
                              const char *what) {
    for (uint32_t i = 0; i < a_count && i < b->count; i++)
        if (!is_same(&a[i], &b->at[i]))
            fail_msg("%s: fact %u differs: '%.*s' and '%.*s'", what, i,
                     SPAN_FORMAT(wire_bytes(a[i].evidence)),
                     SPAN_FORMAT(wire_bytes(b->at[i].evidence)));
    if (a_count != b->count)
        fail_msg("%s: %u and %u facts", what, a_count, b->count);
}

static void assert_readings_agree(struct span bytes, const char *what) {
    struct match *whole = new_match(false);
    cleanup_facts struct facts expected = {0};
    feed(whole, bytes, 0, bytes.length, 1u << 30, &expected);
    uint64_t resume = match_resume(whole, bytes.length);
    static const size_t batches[] = {1u << 30, 1, 300, 5000};
    for (size_t i = 0; i < 2 * ELEMENTS_OF(batches); i++) {
        struct match *other = new_match(i % 2 == 1);
        cleanup_facts struct facts facts = {0};
        feed(other, bytes, 0, bytes.length, batches[i / 2], &facts);
        assert_same_facts(expected.at, expected.count, &facts, what);
        assert_int_equal(match_resume(other, bytes.length), resume);
        assert_int_equal(match_counts(other)->lines, match_counts(whole)->lines);
        match_free(other);
    }
    match_free(whole);
}

/* --- random logs ---------------------------------------------------------------------------- */

static struct span random_line(void) {
    size_t at = line_end_behind(text_span(&samples), (size_t)draw(samples.length));
    if (at >= samples.length)
        at = 0;
    return (struct span){samples.at + at, line_end_behind(text_span(&samples), at) - at - 1};
}

static void add_mutated(struct text *text, struct span line) {
    char copy[2048];
    size_t length = line.length < sizeof(copy) ? line.length : sizeof(copy);
    memcpy(copy, line.at, length);
    for (uint64_t changes = draw(3) + 1; length && changes > 0; changes--) {
        char c = "\0\r []<>:,\xff\x80\"'9a"[draw(15)];
        copy[draw(length)] = draw(2) ? c : (char)(draw(255) + 1);
        if (draw(6) == 0)
            length = (size_t)draw(length + 1);
    }
    for (size_t i = 0; i < length; i++)
        text_add_char(text, copy[i] == '\n' ? ' ' : copy[i]);
}

/* Sequences of the samples, with lines repeated, swapped, spliced, changed, and between them lines
 * of others; a clock that mostly goes on. */
static void make_log(struct text *log, unsigned lines) {
    static const char *const others[] = {
        "mx12 CRON[5]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
        "mx12 postfix/qmgr[5]: C3A6B39D: from=<a@example.org>, size=500, nrcpt=1 (queue active)",
        "mx12 postfix/smtpd[5]: connect from host.example.net[203.0.113.9]", "", " ", "\r"};
    size_t at = (size_t)draw(samples.length);
    int64_t clock_us = NOW_US - 40 * DAY_US;
    text_clear(log);
    while (lines-- > 0) {
        char stamp[CLOCK_TEXT_MAX];
        uint64_t kind = draw(24);
        if (draw(40) == 0)
            at = (size_t)draw(samples.length);
        at = line_end_behind(text_span(&samples), at);
        if (at >= samples.length)
            at = 0;
        struct span line = {samples.at + at, line_end_behind(text_span(&samples), at) - at - 1};
        clock_us += (int64_t)draw(draw(30) ? 8000000 : 400000000);
        if (draw(60) == 0)
            clock_us -= (int64_t)draw(500000000);
        clock_format_utc(clock_us, stamp);
        if (kind < 14 && line.length > 20 && line.at[4] == '-') { /* in place, with our clock */
            text_add_string(log, stamp);
            const char *rest = memchr(line.at, ' ', line.length);
            if (rest)
                text_add(log, (struct span){rest, line.length - (size_t)(rest - line.at)});
        } else if (kind < 17) {
            text_add_format(log, "%s %s", stamp, others[draw(ELEMENTS_OF(others))]);
        } else if (kind < 19) {
            add_mutated(log, line);
        } else if (kind == 19) { /* the head of one and the tail of another */
            struct span other = random_line();
            text_add(log, (struct span){line.at, (size_t)draw(line.length + 1)});
            text_add(log, span_skip(other, (size_t)draw(other.length + 1)));
        } else if (kind == 20) {
            text_add(log, random_line());
            text_add_char(log, '\r');
        } else {
            text_add(log, line);
        }
        text_add_char(log, '\n');
    }
    assert_int_equal(log->error, 0);
}

/* --- properties ----------------------------------------------------------------------------- */

static void samples_read_alike(void **state) {
    (void)state;
    seed = 1;
    struct match *match = new_match(false);
    cleanup_facts struct facts facts = {0};
#ifdef HAVE_HS
    assert_true(match_has_prefilter(match));
#endif
    feed(match, text_span(&samples), 0, samples.length, 1u << 30, &facts);
    assert_true(facts.count >= 150);
    assert_int_equal(match_counts(match)->over_limit, 0);
    if (match_has_prefilter(match)) /* or it does not earn its keep */
        assert_true(match_counts(match)->candidates < match_counts(match)->lines);
    match_free(match);
    assert_readings_agree(text_span(&samples), "samples");
}

static void random_logs_read_alike(void **state) {
    (void)state;
    cleanup_text struct text log = {0};
    char what[64];
    for (unsigned round = 1; round <= 40; round++) {
        seed = round * UINT64_C(0x9E3779B97F4A7C15);
        snprintf(what, sizeof(what), "random log %u", round);
        make_log(&log, 700);
        assert_readings_agree(text_span(&log), what);
    }
}

/* Dies at random places, each time taking up again what a decider would have committed. */
static void reading_is_taken_up_again(void **state) {
    (void)state;
    cleanup_text struct text log = {0};
    uint64_t repeated = 0;
    for (unsigned round = 1; round <= 60; round++) {
        seed = round * UINT64_C(0xD1B54A32D192ED03);
        make_log(&log, 600);
        struct span bytes = text_span(&log);
        struct match *whole = new_match(false);
        cleanup_facts struct facts expected = {0};
        feed(whole, bytes, 0, bytes.length, 4000, &expected);
        cleanup_facts struct facts facts = {0};
        size_t done = 0;
        size_t resume = 0;
        while (done < bytes.length) {
            struct match *match = new_match(draw(2) == 0);
            size_t end = line_end_behind(bytes, done + (size_t)draw(bytes.length / 4));
            facts.ignored_up_to = done;
            repeated += done - resume;
            feed(match, bytes, resume, done, 2000, &facts); /* rebuilds, tells nothing new */
            feed(match, bytes, done, end, 2000, &facts);
            done = end;
            resume = (size_t)match_resume(match, done);
            assert_true(resume <= done);
            assert_true(resume == 0 || bytes.at[resume - 1] == '\n');
            match_free(match);
        }
        assert_same_facts(expected.at, expected.count, &facts, "taken up again");
        assert_int_equal(resume, match_resume(whole, bytes.length));
        match_free(whole);
    }
    assert_true(repeated > 0);
}

/* --- single lines --------------------------------------------------------------------------- */

#define SSHD "2026-11-21T08:00:00Z h sshd[7]: "
#define FAILED SSHD "Failed password for bob from 203.0.113.1 port 9 ssh2"

static void tell_note(void *context, const struct wire_event *event) {
    volatile uint64_t *note = context;
    assert_int_equal(*note, event->line_end);
}

static void poison_is_noted_and_skipped(void **state) {
    (void)state;
    static const char log[] = FAILED "\nboring\n" FAILED "\n" FAILED "\n";
    size_t length = strlen(FAILED) + 1;
    for (int without_prefilter = 0; without_prefilter < 2; without_prefilter++) {
        struct match *match = new_match(without_prefilter);
        cleanup_facts struct facts facts = {0};
        volatile uint64_t note = 0;
        match_set_note(match, &note);
        match_feed(match, SPAN(log), 1000, NOW_US, tell_note, (void *)(uintptr_t)&note);
        assert_int_equal(note, 0);
        match_skip_line(match, 5000 + 2 * length + 7);
        match_feed(match, SPAN(log), 5000, NOW_US, add_fact, &facts);
        assert_int_equal(facts.count, 3);
        assert_int_equal(facts.at[0].line_end, 5000 + length);
        assert_int_equal(facts.at[1].kind, EVENT_SKIPPED);
        assert_false(facts.at[1].has_address);
        assert_int_equal(facts.at[1].evidence.length, strlen(FAILED));
        assert_int_equal(facts.at[2].line_end, 5000 + 3 * length + 7);
        assert_int_equal(match_counts(match)->skipped, 1);
        match_free(match);
    }
}

static void too_much_work_is_given_up(void **state) {
    (void)state;
    static const char *const fail[] = {"^ (?:a|aa|a+)+c from <HOST>$", NULL};
    static const char *const plain[] = {"^ a+ from <HOST>$", NULL};
    static const char log[] =
        "2026-11-21T08:00:00Z aaac from 203.0.113.1\n"
        "2026-11-21T08:00:00Z aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa from 203.0.113.2\n"
        "2026-11-21T08:00:00Z aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab c from 203.0.113.2\n"
        "2026-11-21T08:00:00Z aac from 203.0.113.3\n";
    struct config_filter filter;
    struct filter_rules *made = rules_with(&filter, NULL, fail, NULL);
    struct match *match = match_of(made);
    cleanup_facts struct facts facts = {0};
    match_feed(match, SPAN(log), 0, NOW_US, add_fact, &facts);
    assert_int_equal(facts.count, 2);
    assert_true(match_counts(match)->over_limit >= 1);
    match_free(match);
    filter_rules_free(made);

    /* The same in an ignoreregex: nobody is blamed for what could not be judged. */
    made = rules_with(&filter, NULL, plain, "^ (?:a|aa|a+)+[bx]");
    match = match_of(made);
    facts.count = 0;
    match_feed(match, SPAN(log), 0, NOW_US, add_fact, &facts);
    assert_int_equal(facts.count, 0);
    assert_int_equal(match_counts(match)->over_limit, 1);
    match_free(match);
    filter_rules_free(made);
}

/* A pattern that gives up and one that matches, in one filter: without the prefilter the first is
 * tried on lines that hold none of its literals, which must make no difference. */
static void what_cannot_match_does_not_give_up(void **state) {
    (void)state;
    static const char *const fail[] = {"^ (?:a|aa|a+)+c went there from <HOST>$",
                                       "^ \\S+ came here from <HOST>$", NULL};
    static const char log[] =
        "2026-11-21T08:00:00Z aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa came here from 203.0.113.1\n"
        "2026-11-21T08:00:00Z aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab c went there from 203.0.113.2\n"
        "2026-11-21T08:00:00Z aaaaac went there from 203.0.113.3\n";
    struct config_filter filter;
    struct filter_rules *made = rules_with(&filter, NULL, fail, NULL);
    for (int without_prefilter = 0; without_prefilter < 2; without_prefilter++) {
        struct why why;
        struct match *match = match_new(&made, numbers, 1, without_prefilter, &why);
        cleanup_facts struct facts facts = {0};
        match_feed(match, SPAN(log), 0, NOW_US, add_fact, &facts);
        assert_int_equal(facts.count, 2);
        assert_int_equal(facts.at[0].address.at[15], 1);
        assert_int_equal(facts.at[0].pattern, 1);
        assert_int_equal(facts.at[1].address.at[15], 3);
        assert_int_equal(match_counts(match)->over_limit, 1);
        match_free(match);
    }
    filter_rules_free(made);
}

/* One line for several filters, one of which wants to see every line. */
static void filters_share_lines(void **state) {
    (void)state;
    static const char *const one[] = {"^ one.* <HOST>$", NULL};
    static const char *const two[] = {"two.* <HOST>$", NULL};
    static const char *const any[] = {"^ \\w+.* <HOST>$", NULL};
    static const char log[] = "2026-11-21T08:00:00Z one two 203.0.113.1\n"
                              "2026-11-21T08:00:00Z two one 203.0.113.2\n"
                              "2026-11-21T08:00:00Z 3 203.0.113.3\n"
                              "2026-11-21T08:00:00Z one 203.0.113.4\n"
                              "one two 203.0.113.5\n";
    static const struct {
        unsigned filters; /* which of them there are */
        const char *facts; /* filter and last octet */
    } cases[] = {{3, "4:1 9:1 9:2 4:4 "},
                 {7, "4:1 9:1 11:1 9:2 11:2 11:3 4:4 11:4 "},
                 {4, "11:1 11:2 11:3 11:4 "}};
    static struct config_filter filters[3];
    struct filter_rules *all[3] = {rules_with(&filters[0], NULL, one, NULL)};
    all[1] = rules_with(&filters[1], NULL, two, NULL);
    all[2] = rules_with(&filters[2], NULL, any, NULL);
    assert_int_equal(all[2]->literals.count, 0);
    for (size_t i = 0; i < 2 * ELEMENTS_OF(cases); i++) {
        struct filter_rules *chosen[3];
        uint16_t chosen_numbers[3];
        uint32_t count = 0;
        for (unsigned f = 0; f < 3; f++)
            if (cases[i / 2].filters & 1u << f) {
                chosen[count] = all[f];
                chosen_numbers[count++] = numbers[f];
            }
        struct why why;
        struct match *match = match_new(chosen, chosen_numbers, count, i % 2 == 1, &why);
        cleanup_facts struct facts facts = {0};
        cleanup_text struct text text = {0};
        match_feed(match, SPAN(log), 0, NOW_US, add_fact, &facts);
        for (uint32_t k = 0; k < facts.count; k++)
            text_add_format(&text, "%u:%u ", facts.at[k].filter, facts.at[k].address.at[15]);
        assert_string_equal(text.at, cases[i / 2].facts);
        match_free(match);
    }
    for (unsigned f = 0; f < 3; f++)
        filter_rules_free(all[f]);
}

static void odd_lines(void **state) {
    (void)state;
    cleanup_text struct text log = {0};
    for (int without_prefilter = 0; without_prefilter < 2; without_prefilter++) {
        struct match *match = new_match(without_prefilter);
        cleanup_facts struct facts facts = {0};
        text_clear(&log);
        text_add_string(&log, FAILED "\r\n\n\r\n" SSHD "Failed password for ");
        for (unsigned i = 0; i < MATCH_LINE_MAX; i++)
            text_add_char(&log, 'x');
        text_add_string(&log, " from 203.0.113.1 port 9 ssh2\nFailed password for bob\n");
        text_add(&log, SPAN(SSHD "Failed password for a\0b\x1b[2J from 203.0.113.1 port 9 ssh2\n"));
        text_add_string(&log, "[2026-11-21T08:00:00Z h sshd[7]: Failed password for bob from "
                              "203.0.113.1 port 9 ssh2\n");
        match_feed(match, text_span(&log), 0, NOW_US, add_fact, &facts);
        match_feed(match, (struct span){NULL, 0}, log.length, NOW_US, add_fact, &facts);
        assert_int_equal(facts.count, 2);
        assert_true(span_is(wire_bytes(facts.at[0].evidence), FAILED));
        assert_true(span_is(wire_bytes(facts.at[1].account), "a\\x00b\\x1b[2J"));
        assert_int_equal(match_counts(match)->too_long, 1);
        assert_int_equal(match_counts(match)->undated, match_has_prefilter(match) ? 1 : 3);
        assert_int_equal(match_counts(match)->lines, 7);
        match_free(match);
    }
}

static void trials_say_how_far(void **state) {
    (void)state;
    struct match_trial trial;
    match_try(rules[0], SPAN("x"), NOW_US, &trial);
    assert_false(trial.has_stamp);
    match_try(rules[0], SPAN("2026-11-21T08:00:00Z h cron[7]: x"), NOW_US, &trial);
    assert_true(trial.has_stamp && !trial.passes_prefix && trial.matched_pattern == -1);
    assert_true(span_is(trial.text, " h cron[7]: x"));
    match_try(rules[0], SPAN(SSHD "x"), NOW_US, &trial);
    assert_true(trial.passes_prefix && trial.matched_pattern == -1);
    assert_true(span_is(trial.text, "x"));
    match_try(rules[0], SPAN(FAILED), NOW_US, &trial);
    assert_int_equal(trial.matched_pattern, 0);
    assert_true(span_is(trial.groups.groups[GROUP_USER], "bob"));
    assert_true(span_is(trial.groups.groups[GROUP_SESSION], "7"));
    struct config_filter filter;
    static const char *const fail[] = {"^x <F-ALT_USER>a?</F-ALT_USER>"
                                       "<F-ALT_USER_2>b</F-ALT_USER_2> <HOST>$", NULL};
    struct filter_rules *made = rules_with(&filter, "^ h <F-CONTENT>.*</F-CONTENT>$", fail, "b");
    match_try(made, SPAN("2026-11-21T08:00:00Z h x b [203.0.113.1]"), NOW_US, &trial);
    assert_true(trial.is_ignored && trial.matched_pattern == -1);
    filter_rules_free(made);
    made = rules_with(&filter, "^ h <F-CONTENT>.*</F-CONTENT>$", fail, NULL);
    match_try(made, SPAN("2026-11-21T08:00:00Z h x ab [203.0.113.1]"), NOW_US, &trial);
    assert_true(span_is(trial.groups.groups[GROUP_USER], "a"));
    match_try(made, SPAN("2026-11-21T08:00:00Z h x b [203.0.113.1]"), NOW_US, &trial);
    assert_true(span_is(trial.groups.groups[GROUP_USER], "b"));
    assert_true(span_is(trial.groups.groups[GROUP_IP4], "203.0.113.1"));
    filter_rules_free(made);
}

static const char *const bad_patterns[] = {"(abc", "<HOST", "<F-USER>x", "(?P<ip4>x)<HOST>",
                                           "a{2,1}", "[a"};

static void bad_patterns_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(bad_patterns); i++) {
        struct config_pattern pattern = {.text = (char *)(uintptr_t)bad_patterns[i],
                                         .origin = {"filters/x.conf", 7}};
        struct why why = {0};
        struct rule *rule = rule_new(&pattern, RULE_FAIL, &why);
        if (i == 1) { /* no tag: plain text */
            assert_non_null(rule);
            rule_free(rule);
            continue;
        }
        assert_null(rule);
        assert_string_equal(why.file, "filters/x.conf");
        assert_int_equal(why.line, 7);
        assert_true(why.text[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_read_alike),
        cmocka_unit_test(random_logs_read_alike),
        cmocka_unit_test(reading_is_taken_up_again),
        cmocka_unit_test(poison_is_noted_and_skipped),
        cmocka_unit_test(too_much_work_is_given_up),
        cmocka_unit_test(what_cannot_match_does_not_give_up),
        cmocka_unit_test(filters_share_lines),
        cmocka_unit_test(odd_lines),
        cmocka_unit_test(trials_say_how_far),
        cmocka_unit_test(bad_patterns_are_refused),
    };
    return cmocka_run_group_tests_name("match", tests, open_filters, close_filters);
}
