/* Necessary literals. A table says what is found in typical patterns; then the promise itself: no
 * text that a pattern matches lacks all of them. It is tried on the shipped filters with their
 * samples, and on random patterns with a text made for each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>

#include "base/files.h"
#include "match/match.h"
#include "match/rules.h"
#include "match/stamp.h"

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "." /* meson names it; by hand, run from the root of the tree */
#endif

static bool equals_at(const char *at, const struct literal *literal) {
    for (size_t i = 0; i < literal->length; i++)
        if (literal->folds_case
                ? tolower((unsigned char)at[i]) != tolower((unsigned char)literal->at[i])
                : at[i] != literal->at[i])
            return false;
    return true;
}

static bool holds_one(struct span text, const struct literal_set *set) {
    for (uint32_t i = 0; i < set->count; i++)
        for (size_t at = 0; at + set->at[i].length <= text.length; at++)
            if (equals_at(text.at + at, &set->at[i]))
                return true;
    return false;
}

/* --- by table ------------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
    const char *pattern, *literals; /* joined by '|'; "" none; /…/ folded */
} known[] = {
    {"^Failed password for .* from",          "Failed password for "},
    {"ab",                                    ""},
    {"abc?def",                               "def"},
    {"abc*def",                               "def"},
    {"abcd{0,3}efg",                          "abc"},
    {"abcd{2}e",                              "abcd"},
    {"abcd+efghi",                           "efghi"},
    {"(?:abc|def)x",                          "abcx|defx"},
    {"(?:abc|de)xyz",                         "abcxyz|dexyz"},
    {"(?:abc|de)xy",                          "abcxy|dexy"},
    {"(?:abc)?xy",                            ""},
    {"(?:abc){0}xy",                          ""},
    {"(?P<user>abc)xy",                       "abcxy"},
    {"(?<user>abc)xy",                        "abcxy"},
    {"x(?:ab|c(?:d|e))(?P<f>y)z",              "xabyz|xcdyz|xceyz"},
    {"x(?:abc)+yzw",                          "xabc"},
    {"x(?:abc)?yzw",                          "yzw"},
    {"x(?:ab.|cd)yzw",                        "yzw"},
    {"x(?:ab$|cd)yzw",                        "yzw"},
    {"x(?:ab|)yzw",                           "yzw"},
    {"x(?:ab|cd*)yzw",                        "yzw"},
    {"x(?:ab|c(?i:d))yzw",                    "yzw"},
    {"x(?:(?i)ab|cd)yzwv",                    "yzwv"},
    {"xyz(?=ab)cdef",                         "cdef"},
    {"(?:ab|cd)(?:ef|gh)",                    "abef|abgh|cdef|cdgh"},
    {"long enough by itself(?: ab| cd)",      "long enough by itself"},
    {"(?=abcd)xy",                            ""},
    {"(?!abcd)xyz",                           "xyz"},
    {"(?<=abcd)xyz",                          "xyz"},
    {"(?<!abcd)xyz",                          "xyz"},
    {"(?i)abc",                               "/abc/"},
    {"abcd(?i)efg",                           "abcd"},
    {"(?:(?i)ab)cdef",                        "cdef"},
    {"(?i:abc)",                              "/abc/"},
    {"a(?i)x|bcdef",                          ""},
    {"abc|def|abc",                           "abc|def"},
    {"abc|",                                  ""},
    {"a\\.b\\[c",                             "a.b[c"},
    {"abc\\ddef",                             "abc"},
    {"abc.def",                               "abc"},
    {"abc\\bdefg",                            "defg"},
    {"[abc]def[^]x]ghij[\\]]k",               "ghij"},
    {"[[:alpha:]]abc",                        ""},
    {"abc\\x41def",                           ""},
    {"\\Qa.c\\E",                             ""},
    {"(abc)\\1",                              ""},
    {"(?>abc)",                               ""},
    {"(?|abc|def)",                           ""},
    {"(?(1)abc|def)",                         ""},
    {"(?-i)abc",                              ""},
    {"(?x)a b c",                             ""},
    {"(*UTF)abc",                             ""},
    {"(?#abc)def",                            ""},
    {"a{,3}bcd",                              "bcd"},
    {"abc{def",                               "abc{def"},
    {"a$bc^def",                              "def"},
    {"warning: x SASL y authentication failed", "warning: x SASL y authentication failed"},
};
/* clang-format on */

static void literals_by_table(void **state) {
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(known); i++) {
        struct literal_set set = literals_of(span_of(known[i].pattern), false);
        cleanup_text struct text text = {0};
        for (uint32_t k = 0; k < set.count; k++) {
            const char *around = set.at[k].folds_case ? "/" : "";
            text_add_format(&text, "%s%s%.*s%s", k ? "|" : "", around, (int)set.at[k].length,
                            set.at[k].at, around);
        }
        text_add_char(&text, '\0');
        if (strcmp(text.at, known[i].literals) != 0)
            fail_msg("%s: '%s', not '%s'", known[i].pattern, text.at, known[i].literals);
    }
}

static void what_touches_the_date_is_left_out(void **state) {
    (void)state;
    struct literal_set set = literals_of(SPAN(" \\[] vm: x"), true);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.at[0].length, 5);
    assert_memory_equal(set.at[0].at, "vm: x", 5);
    assert_int_equal(literals_of(SPAN(": [ab"), true).count, 0);
}

static void too_much_is_none(void **state) {
    (void)state;
    cleanup_text struct text text = {0};
    for (unsigned i = 0; i <= LITERALS_MAX; i++)
        text_add_format(&text, "%sabc%u", i ? "|" : "", i);
    assert_int_equal(literals_of(text_span(&text), false).count, 0);
    text_clear(&text);
    for (unsigned i = 0; i < 40; i++)
        text_add_string(&text, "(?:");
    text_add_string(&text, "abc");
    for (unsigned i = 0; i < 40; i++)
        text_add_string(&text, ")");
    assert_int_equal(literals_of(text_span(&text), false).count, 0);
    assert_int_equal(literals_of(SPAN("(abc"), false).count, 0);
    assert_int_equal(literals_of(SPAN("abc)"), false).count, 0);
    assert_int_equal(literals_of(SPAN("[abc"), false).count, 0);
}

/* --- the shipped filters -------------------------------------------------------------------- */

/* Whatever a pattern matches: the raw line holds one of its literals. */
static unsigned check_line(const struct filter_rules *rules, struct span line) {
    static char scratch[1 << 16];
    struct stamp stamp;
    struct rule_match prefix;
    unsigned matches = 0;
    if (!stamp_read(line, INT64_C(1798760400000000), &stamp))
        return 0;
    memcpy(scratch, line.at, stamp.before);
    memcpy(scratch + stamp.before, line.at + stamp.end, line.length - stamp.end);
    struct span text = {scratch, stamp.before + line.length - stamp.end};
    if (rules->prefix && rule_match(rules->prefix, text, &prefix) != 1)
        return 0;
    if (rules->prefix)
        text = prefix.groups[GROUP_CONTENT];
    for (uint32_t i = 0; i < rules->fail_count + rules->success_count; i++) {
        const struct rule *rule = i < rules->fail_count ? rules->fail[i]
                                                        : rules->success[i - rules->fail_count];
        struct literal_set set = literals_of(rule_expanded(rule), true);
        assert_true(set.count > 0);
        if (rule_match(rule, text, NULL) != 1)
            continue;
        matches++;
        if (!holds_one(line, &set) || !holds_one(line, &rules->literals))
            fail_msg("none of its literals: %.*s", SPAN_FORMAT(line));
    }
    return matches;
}

static void check_samples(const struct config_filter *filter) {
    struct why why;
    struct filter_rules *rules = filter_rules_new(filter, &why);
    cleanup_text struct text samples = {0};
    cleanup_text struct text path = {0};
    unsigned matches = 0;
    uint32_t seed = 7;
    assert_non_null(rules);
    text_add_format(&path, SOURCE_ROOT "/filters/%s.samples", filter->name);
    assert_true(file_read(path.at, 4 << 20, &samples) >= 0);
    for (struct span left = text_span(&samples); left.at && left.length;) {
        struct span line = span_cut(&left, '\n');
        matches += check_line(rules, line);
        for (unsigned round = 0; line.length && round < 20; round++) {
            char copy[4096];
            size_t length = line.length < sizeof(copy) ? line.length : sizeof(copy);
            memcpy(copy, line.at, length);
            seed = seed * 1664525 + 1013904223;
            copy[(seed >> 8) % length] ^= (char)(1u << (seed >> 29));
            check_line(rules, (struct span){copy, length});
        }
    }
    assert_true(matches >= 25);
    filter_rules_free(rules);
}

static void filters_need_their_literals(void **state) {
    (void)state;
    struct config *config = NULL;
    struct why why;
    assert_true(config_read("/nonexistent", SOURCE_ROOT, &config, &why) >= 0);
    for (uint32_t i = 0; i < config->filter_count; i++)
        check_samples(&config->filters[i]);
    config_free(config);
}

/* --- random patterns ------------------------------------------------------------------------ */

/* Writes a pattern and, beside it, a text it matches. */
struct maker {
    uint64_t seed;
    struct text pattern, subject;
    bool folds_case;
};

static unsigned draw(struct maker *maker, unsigned below) {
    maker->seed ^= maker->seed << 13;
    maker->seed ^= maker->seed >> 7;
    maker->seed ^= maker->seed << 17;
    return (unsigned)(maker->seed >> 33) % below;
}

static void make_sequence(struct maker *maker, unsigned depth, bool lives);

static void make_text(struct maker *maker, char c, bool lives) {
    if (lives)
        text_add_char(&maker->subject,
                      maker->folds_case && draw(maker, 2) ? (char)toupper((unsigned char)c) : c);
}

static void make_alternation(struct maker *maker, unsigned depth, bool lives) {
    unsigned branches = 1 + draw(maker, 3);
    unsigned chosen = draw(maker, branches);
    for (unsigned i = 0; i < branches; i++) {
        if (i)
            text_add_char(&maker->pattern, '|');
        make_sequence(maker, depth, lives && i == chosen);
    }
}

static void make_group(struct maker *maker, unsigned depth, bool lives) {
    static const char *const heads[] = {"(", "(?:", "(?i:", "(?=", "(?!"};
    unsigned head = draw(maker, ELEMENTS_OF(heads));
    bool folded = maker->folds_case;
    if (head >= 3) { /* what is looked for ahead is not there to be matched: it must not matter */
        text_add_string(&maker->pattern, head == 3 ? "(?=|" : "(?!zzz|");
        text_add_string(&maker->pattern, head == 3 ? "abcdef)" : "yyyz)");
        return;
    }
    maker->folds_case = folded || head == 2;
    text_add_string(&maker->pattern, heads[head]);
    unsigned repeat = draw(maker, 4);
    make_alternation(maker, depth + 1, lives && repeat != 0);
    text_add_char(&maker->pattern, ')');
    if (repeat == 0)
        text_add_string(&maker->pattern, draw(maker, 2) ? "*" : "{0,2}");
    else if (repeat == 1)
        text_add_string(&maker->pattern, draw(maker, 2) ? "+" : "?");
    maker->folds_case = folded;
}

static void make_character(struct maker *maker, bool lives) {
    static const char plain[] = "abcde f:=";
    static const char special[] = ".[]()*+?{}|^$\\";
    char c = plain[draw(maker, sizeof(plain) - 1)];
    bool is_special = draw(maker, 5) == 0;
    if (is_special) {
        c = special[draw(maker, sizeof(special) - 1)];
        text_add_char(&maker->pattern, '\\');
    }
    text_add_char(&maker->pattern, c);
    unsigned repeat = draw(maker, 12);
    unsigned times = 1;
    if (repeat == 0) {
        text_add_string(&maker->pattern, "*");
        times = draw(maker, 3);
    } else if (repeat == 1) {
        text_add_string(&maker->pattern, "?");
        times = draw(maker, 2);
    } else if (repeat == 2) {
        text_add_string(&maker->pattern, "{2,3}");
        times = 2 + draw(maker, 2);
    } else if (repeat == 3) {
        text_add_string(&maker->pattern, "+?");
        times = 1 + draw(maker, 3);
    }
    for (unsigned i = 0; i < times; i++)
        make_text(maker, c, lives);
}

static void make_sequence(struct maker *maker, unsigned depth, bool lives) {
    static const char *const classes[] = {"\\d", "[0-9]", "[^]\\]x]", "\\w"};
    unsigned items = 1 + draw(maker, 10);
    for (unsigned i = 0; i < items; i++) {
        unsigned kind = draw(maker, 14);
        if (kind == 0 && depth < 4) {
            make_group(maker, depth, lives);
        } else if (kind == 1) {
            text_add_string(&maker->pattern, classes[draw(maker, ELEMENTS_OF(classes))]);
            make_text(maker, '7', lives);
        } else if (kind == 2) {
            text_add_string(&maker->pattern, ".*");
        } else {
            make_character(maker, lives);
        }
    }
}

static void random_patterns(void **state) {
    (void)state;
    unsigned useful = 0;
    unsigned matched = 0;
    struct maker maker = {.seed = 20261121};
    for (unsigned round = 0; round < 20000; round++) {
        text_clear(&maker.pattern);
        text_clear(&maker.subject);
        if (draw(&maker, 4) == 0)
            make_alternation(&maker, 0, true);
        else
            make_sequence(&maker, 0, true);
        text_add_char(&maker.pattern, '\0');
        struct config_pattern pattern = {.text = maker.pattern.at};
        struct why why;
        struct rule *rule = rule_new(&pattern, RULE_FAIL, &why);
        if (!rule)
            fail_msg("%s: %s", maker.pattern.at, why.text);
        struct span subject = text_span(&maker.subject);
        struct literal_set set = literals_of(span_of(maker.pattern.at), false);
        bool matches = rule_match(rule, subject, NULL) == 1;
        matched += matches;
        useful += matches && set.count > 0;
        if (matches && set.count > 0 && !holds_one(subject, &set))
            fail_msg("%s matches '%.*s' without '%.*s'", maker.pattern.at, SPAN_FORMAT(subject),
                     (int)set.at[0].length, set.at[0].at);
        rule_free(rule);
    }
    text_free(&maker.pattern);
    text_free(&maker.subject);
    assert_true(matched > 15000); /* the maker is right mostly, … */
    assert_true(useful > 4000);   /* … and the promise was put to the test */
}

/* --- random filters ------------------------------------------------------------------------- */

enum { RANDOM_FILTERS = 6, RANDOM_PATTERNS = 14 }; /* more than 64 patterns: bits are shared */

struct random_filter {
    struct config_filter config;
    struct config_pattern patterns[RANDOM_PATTERNS];
    struct filter_rules *rules;
};

/* One whose needed set is small, so that its filter's patterns can be told apart. */
static char *make_useful_pattern(struct maker *maker, struct text *log) {
    for (;;) {
        text_clear(&maker->pattern);
        text_clear(&maker->subject);
        text_add_string(&maker->pattern, "^ ");
        make_sequence(maker, 0, true);
        uint32_t count = literals_of(text_span(&maker->pattern), true).count;
        text_add_string(&maker->pattern, "(?: from)? <HOST>$");
        if (count == 0 || count > 2)
            continue;
        text_add_format(log, "2026-11-21T08:00:00Z %.*s 203.0.113.%u\n",
                        SPAN_FORMAT(text_span(&maker->subject)), draw(maker, 250));
        return text_take(&maker->pattern);
    }
}

struct told {
    struct digest_state digest;
    uint32_t count;
};

static void note_event(void *context, const struct wire_event *event) {
    struct told *told = context;
    const uint64_t facts[] = {event->line_end, event->filter, event->pattern,
                              event->address.at[15]};
    digest_add(&told->digest, (struct span){(const char *)facts, sizeof(facts)});
    told->count++;
}

static struct digest read_with(struct filter_rules *const *rules, struct span log,
                               bool without_prefilter, uint32_t *ret_count) {
    static const uint16_t numbers[RANDOM_FILTERS] = {0, 1, 2, 3, 4, 5};
    struct why why;
    struct told told = {0};
    struct match *match = match_new(rules, numbers, RANDOM_FILTERS, without_prefilter, &why);
    assert_non_null(match);
    digest_begin(&told.digest);
    match_feed(match, log, 0, INT64_C(1795248000) * 1000000, note_event, &told);
    match_free(match);
    *ret_count = told.count;
    return digest_end(&told.digest);
}

/* Which patterns a line is tried on must not matter, whosever literals it holds. */
static void random_filters_read_alike(void **state) {
    (void)state;
    static struct random_filter filters[RANDOM_FILTERS];
    struct maker maker = {.seed = 20261122};
    unsigned sorted = 0;
    unsigned told = 0;
    for (unsigned round = 0; round < 15; round++) {
        cleanup_text struct text log = {0};
        struct filter_rules *rules[RANDOM_FILTERS];
        for (unsigned f = 0; f < RANDOM_FILTERS; f++) {
            struct random_filter *filter = &filters[f];
            struct why why;
            *filter = (struct random_filter){.config.name = (char *)(uintptr_t) "random"};
            filter->config.service = filter->config.name;
            filter->config.fail.at = filter->patterns;
            filter->config.fail.count = 1 + draw(&maker, RANDOM_PATTERNS);
            for (uint32_t i = 0; i < filter->config.fail.count; i++)
                filter->patterns[i].text = make_useful_pattern(&maker, &log);
            rules[f] = filter->rules = filter_rules_new(&filter->config, &why);
            assert_non_null(rules[f]);
            sorted += rules[f]->literals_of_each != NULL;
        }
        uint32_t with = 0;
        uint32_t without = 0;
        struct digest a = read_with(rules, text_span(&log), false, &with);
        struct digest b = read_with(rules, text_span(&log), true, &without);
        assert_int_equal(with, without);
        assert_true(digest_equals(&a, &b));
        told += with;
        for (unsigned f = 0; f < RANDOM_FILTERS; f++) {
            filter_rules_free(rules[f]);
            for (uint32_t i = 0; i < filters[f].config.fail.count; i++)
                free(filters[f].patterns[i].text);
        }
    }
    text_free(&maker.pattern);
    text_free(&maker.subject);
    assert_true(sorted > 80 && told > 500); /* patterns were told apart, and matched */
}

int main(void) {
    hash_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_by_table),
        cmocka_unit_test(what_touches_the_date_is_left_out),
        cmocka_unit_test(too_much_is_none),
        cmocka_unit_test(filters_need_their_literals),
        cmocka_unit_test(random_patterns),
        cmocka_unit_test(random_filters_read_alike),
    };
    return cmocka_run_group_tests_name("literals", tests, NULL, NULL);
}
