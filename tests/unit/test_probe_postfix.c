/* What the probe of Postfix reads in text that is more than lines: restriction lists, networks,
 * services' names, lists of bad senders; and whose a resolver's address is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "probe/look.c"          /* NOLINT: what a probe says through it */
#include "probe/probe_postfix.c" /* NOLINT: its parsers */

static void a_word_of_a_list_may_be_in_braces(void **state) {
    struct span list = SPAN(
        " permit_mynetworks,check_helo_access inline:{a b=REJECT, c=OK}  reject");
    static const char *const words[] = {"permit_mynetworks", "check_helo_access",
                                        "inline:{a b=REJECT, c=OK}", "reject"};
    struct span word;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(words); i++) {
        assert_true(postconf_next_word(&list, &word));
        assert_true(span_is(word, words[i]));
    }
    assert_false(postconf_next_word(&list, &word));
    list = SPAN("{never closed, at all");
    assert_true(postconf_next_word(&list, &word));
    assert_false(postconf_next_word(&list, &word));
}

static void what_stops_a_stranger(void **state) {
    static const struct {
        const char *list, *decides;
    } cases[] = {
        {"permit_mynetworks, reject_unauth_destination", "reject_unauth_destination"},
        {"permit_mynetworks permit reject_unauth_destination", "permit"},
        {"warn_if_reject reject_unauth_destination", ""},
        {"warn_if_reject, reject_rbl_client, x, reject_unauth_destination",
         "reject_unauth_destination"},
        {"check_sender_access hash:/x, defer_unauth_destination", "defer_unauth_destination"},
        {"mine, reject", "permit"},
        {"loop, reject", "reject"},
        {"", ""},
    };
    struct postfix postfix = {0};
    (void)state;
    text_add_string(&postfix.main_cf, "smtpd_restriction_classes = mine, loop\n"
                                      "mine = permit_mynetworks, permit\nloop = loop\n");
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct span word = decides(&postfix, span_of(cases[i].list), 0);
        if (!span_is(word, cases[i].decides))
            fail_msg("%s: %.*s", cases[i].list, SPAN_FORMAT(word));
    }
    text_free(&postfix.main_cf);
}

/* What a probe's function says, for the host probe's name. */
static char *said(void (*function)(struct look *look, const void *argument), const void *argument) {
    struct text into = {0};
    struct look look = {.probe = probe_find("postfix"), .into = &into};
    function(&look, argument);
    return text_take(&into);
}

static void read_networks(struct look *look, const void *argument) {
    say_networks(look, span_of(argument));
}

static void networks_in_all_their_clothes(void **state) {
    (void)state;
    char *text = said(read_networks, "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128, !192.0.2.1 "
                                     "192.0.2.0/24 [2001:db8::]/32 10.0.0.0/8 hash:x 0.0.0.0/0");
    assert_string_equal(text, "postfix.network.kind\t127.0.0.0/8\tloopback\n"
                              "postfix.network.bits4\t127.0.0.0/8\t8\n"
                              "postfix.network.kind\t[::ffff:127.0.0.0]/104\tloopback\n"
                              "postfix.network.bits4\t[::ffff:127.0.0.0]/104\t8\n"
                              "postfix.network.kind\t[::1]/128\tloopback\n"
                              "postfix.network.bits6\t[::1]/128\t128\n"
                              "postfix.network.kind\t192.0.2.0/24\tpublic\n"
                              "postfix.network.bits4\t192.0.2.0/24\t24\n"
                              "postfix.network.kind\t[2001:db8::]/32\tpublic\n"
                              "postfix.network.bits6\t[2001:db8::]/32\t32\n"
                              "postfix.network.kind\t10.0.0.0/8\tprivate\n"
                              "postfix.network.bits4\t10.0.0.0/8\t8\n"
                              "postfix.network.kind\t0.0.0.0/0\tpublic\n"
                              "postfix.network.bits4\t0.0.0.0/0\t0\n");
    free(text);
}

static void read_list(struct look *look, const void *argument) {
    say_list(look, span_of(argument));
}

static void lists_with_filters_and_weights(void **state) {
    static const struct {
        const char *word, *zone, *filter;
    } cases[] = {{"zen.spamhaus.org=127.0.0.[2..11]*3", "zen.spamhaus.org", "127.0.0.[2..11]"},
                 {"bl.spamcop.net*1", "bl.spamcop.net", "none"},
                 {"bl.spamcop.net", "bl.spamcop.net", "none"},
                 {"x.org=127.0.0.2", "x.org", "127.0.0.2"}};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char expected[300];
        char *text = said(read_list, cases[i].word);
        snprintf(expected, sizeof(expected),
                 "postfix.dnsbl.zone\t%s\t%s\npostfix.dnsbl.filter\t%s\t%s\n", cases[i].zone,
                 cases[i].zone, cases[i].zone, cases[i].filter);
        assert_string_equal(text, expected);
        free(text);
    }
}

static void ports_by_name_and_number(void **state) {
    static const struct {
        const char *name, *host, *port;
    } cases[] = {{"smtp", "", "25"},
                 {"submissions", "", "465"},
                 {"smtps", "", "465"},
                 {"127.0.0.1:10025", "127.0.0.1", "10025"},
                 {"[::1]:smtp", "[::1]", "25"},
                 {"no-such-service", "", "0"}};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct span host;
        struct span port;
        char number[12];
        split_service(span_of(cases[i].name), &host, &port);
        write_port(port, number);
        assert_true(span_is(host, cases[i].host));
        assert_string_equal(number, cases[i].port);
    }
}

static void kinds_of_resolvers(void **state) {
    (void)state;
    assert_string_equal(resolver_kind(SPAN("8.8.8.8")), "public resolver");
    assert_string_equal(resolver_kind(SPAN("2606:4700:4700::1111")), "public resolver");
    assert_string_equal(resolver_kind(SPAN("127.0.0.53")), "loopback");
    assert_string_equal(resolver_kind(SPAN("::1")), "loopback");
    assert_string_equal(resolver_kind(SPAN("192.0.2.53")), "other");
    assert_string_equal(resolver_kind(SPAN("fe80::1%eth0")), "other");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_of_a_list_may_be_in_braces),
        cmocka_unit_test(what_stops_a_stranger),
        cmocka_unit_test(networks_in_all_their_clothes),
        cmocka_unit_test(lists_with_filters_and_weights),
        cmocka_unit_test(ports_by_name_and_number),
        cmocka_unit_test(kinds_of_resolvers),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
