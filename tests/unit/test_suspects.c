/* Lines that look like failures and match nothing: which are counted, for which filter, and that
 * the count is the same with and without the prefilter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "match/match.h"
#include "match/suspects.h"

#define NOW_US (INT64_C(1795264431) * SECOND_US)

static char sshd_fail[] = "^\\s*\\S+ sshd\\[\\d+\\]: Failed password for .* from <HOST> port \\d+$";
static char sshd_success[] =
    "^\\s*\\S+ sshd\\[\\d+\\]: Accepted \\S+ for \\S+ from <HOST> port \\d+$";
static char sshd_ignore[] = "from 192\\.0\\.2\\.1 port";
static char mail_fail[] = "^\\s*\\S+ dovecot: login: auth failed, rip=<HOST>$";
static char mail_success[] = "^\\s*\\S+ dovecot: login: Logged in, rip=<HOST>$";

static struct config_pattern pattern_of(char *text) {
    return (struct config_pattern){.text = text};
}

/* Filters 7 and 9; the patterns outlive them. */
static struct match *match_of(uint32_t count, bool without_prefilter,
                              struct filter_rules *ret_rules[2]) {
    static struct config_pattern patterns[5];
    static char names[2][8] = {"sshd", "dovecot"};
    static const uint16_t numbers[2] = {7, 9};
    char *const texts[5] = {sshd_fail, sshd_success, sshd_ignore, mail_fail, mail_success};
    struct why why = {0};
    for (size_t i = 0; i < 5; i++)
        patterns[i] = pattern_of(texts[i]);
    static struct config_filter filters[2];
    filters[0] = (struct config_filter){.name = names[0], .service = names[0], .max_lines = 1,
                                        .fail = {&patterns[0], 1}, .success = {&patterns[1], 1},
                                        .ignore = {&patterns[2], 1}};
    filters[1] = (struct config_filter){.name = names[1], .service = names[1], .max_lines = 1,
                                        .fail = {&patterns[3], 1}, .success = {&patterns[4], 1}};
    for (uint32_t i = 0; i < count; i++) {
        ret_rules[i] = filter_rules_new(&filters[i], &why);
        if (!ret_rules[i])
            fail_msg("%s", why.text);
    }
    struct match *match = match_new(ret_rules, numbers, count, without_prefilter, &why);
    assert_non_null(match);
    return match;
}

static void no_event(void *context, const struct wire_event *event) {
    (void)event;
    ++*(unsigned *)context;
}

static void unmatched_lines_are_their_services(void **state) {
    (void)state;
    static const struct {
        const char *line;
        unsigned sshd, dovecot, alone; /* counted; `alone`: where sshd's filter is the only one */
    } cases[] = {
        {"mx sshd[1]: Failed password for x from 203.0.113.5 port 5", 0, 0, 0},
        {"mx sshd[1]: Accepted password for x from 203.0.113.5 port 5", 0, 0, 0},
        {"mx sshd[1]: Failed password for x from 192.0.2.1 port 5", 0, 0, 0}, /* ignored */
        {"mx sshd-auth[1]: Failed password for x from 203.0.113.5 port 5", 1, 0, 1},
        {"mx sshd-auth[1]: FAILED PASSWORD: x", 1, 0, 1},
        {"mx sshd[1]: error: PAM: Authentication failure for x", 1, 0, 1},
        {"mx sshd[1]: Connection closed", 0, 0, 0},
        {"mx dovecot: auth failed for x", 0, 1, 1},
        {"mx backup[3]: wrong password for the archive", 0, 0, 1},
        {"mx dovecot: login: auth failed, rip=203.0.113.6", 0, 0, 1},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        for (int without = 0; without < 2; without++)
            for (uint32_t count = 1; count <= 2; count++) {
                struct filter_rules *rules[2] = {NULL};
                struct match *match = match_of(count, without, rules);
                char line[200];
                unsigned events = 0;
                unsigned counted[2] = {0};
                uint16_t number;
                snprintf(line, sizeof(line), "2026-11-21T12:33:51+00:00 %s\n", cases[i].line);
                match_feed(match, span_of(line), 0, NOW_US, no_event, &events);
                for (uint32_t lines; (lines = match_take_unmatched(match, &number)) > 0;)
                    counted[number == 9] += lines;
                if (counted[0] != (count == 1 ? cases[i].alone : cases[i].sshd) ||
                    counted[1] != (count == 1 ? 0 : cases[i].dovecot))
                    fail_msg("'%s' with %u filters, prefilter %d: %u and %u", cases[i].line, count,
                             !without, counted[0], counted[1]);
                assert_int_equal(match_take_unmatched(match, &number), 0);
                match_free(match);
                for (uint32_t k = 0; k < count; k++)
                    filter_rules_free(rules[k]);
            }
}

static void tags_begin_with_the_service(void **state) {
    (void)state;
    assert_true(suspect_is_of(SPAN(" mx sshd-session[5]: x"), SPAN("sshd")));
    assert_true(suspect_is_of(SPAN(" mx postfix/submission/smtpd[5]: x"), SPAN("postfix-sasl")));
    assert_false(suspect_is_of(SPAN(" mx su[5]: sshd"), SPAN("sshd")));
    assert_false(suspect_is_of(SPAN(" mx"), SPAN("sshd")));
    assert_false(suspect_is_of(SPAN(""), SPAN("sshd")));
    assert_false(suspect_is_of(SPAN(" mx sshd[5]: x"), SPAN("-")));
}

int main(void) {
    hash_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmatched_lines_are_their_services),
        cmocka_unit_test(tags_begin_with_the_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
