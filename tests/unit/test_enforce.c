/* The table and its elements in the real kernel (firewall.h): what orders come to, what is refused
 * and what lies in the sets by other hands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "firewall.h"

/* ---- the skeleton ------------------------------------------------------------------------ */

static void test_skeleton(void **state) {
    struct enforce *enforce = ready(state);
    static char first[65536], second[65536];
    nft_list(first, sizeof(first));
    static const char *const lines[] = {
        "comment \"made by hauberk; hauberk pause 1h lifts it\"",
        "set exempt4 {",
        "127.0.0.0/8",
        "fe80::/10",
        "set ports_1f_6_nets {\n\t\ttype ipv6_addr\n\t\tflags interval,timeout\n",
        "set ssh_6_64 {\n\t\ttype ipv6_addr\n\t\tflags timeout\n",
        "type filter hook prerouting priority mangle; policy accept;",
        "iif \"lo\" return",
        "ct direction original ct state established,related return",
        "ip saddr @exempt4 return",
        "tcp dport 22 ip saddr @ssh_4 counter packets 0 bytes 0 drop",
        "tcp dport { 25, 993-995, 65535 } ip6 saddr @mail_6_nets counter",
        "ip6 saddr & ffff:ffff:ffff:ffff:: == @ssh_6_64 counter",
        "ct direction original ip saddr @all_4_nets counter",
        "tcp dport 1000-65535 ip saddr @ports_1f_4 counter",
    };
    for (size_t i = 0; i < ELEMENTS_OF(lines); i++)
        if (!strstr(first, lines[i]))
            fail_msg("not in nft's listing: %s\n%s", lines[i], first);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    nft_list(second, sizeof(second));
    assert_string_equal(first, second);
}

static void test_skeleton_is_mended(void **state) {
    struct enforce *enforce = ready(state);
    static char before[65536], after[65536];
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    nft_list(before, sizeof(before));
    static const char *const damages[] = {
        "flush chain inet hauberk guard",
        "add chain inet hauberk other; add rule inet hauberk other accept",
        "insert rule inet hauberk guard accept",
        "add chain inet hauberk other { type filter hook input priority 0; }; "
        "add rule inet hauberk other tcp dport { 1, 2 } drop",
        "delete chain inet hauberk guard",
        "delete chain inet hauberk guard; "
        "add chain inet hauberk guard { type filter hook input priority 0; policy drop; }",
        "add set inet hauberk more { type ipv4_addr; elements = { 192.0.2.7 }; }; "
        "add rule inet hauberk guard ip saddr @more drop",
        "flush chain inet hauberk guard; delete set inet hauberk mail_4; "
        "add set inet hauberk mail_4 { type ipv6_addr; }",
        "flush set inet hauberk exempt4",
        "flush set inet hauberk exempt4; add element inet hauberk exempt4 { 0.0.0.0/0 }",
        "add table inet hauberk { flags dormant; }",
        "add chain inet hauberk other; add map inet hauberk m { type ipv4_addr : verdict; "
        "elements = { 192.0.2.7 : jump other }; }",
    };
    for (size_t i = 0; i < ELEMENTS_OF(damages); i++) {
        NFT_DO(damages[i]);
        nft_list(after, sizeof(after));
        assert_string_not_equal(before, after);
        struct why why = {0};
        must_why(enforce_set_scopes(enforce, scopes, SCOPES, &why), &why);
        nft_list(after, sizeof(after));
        /* A set made anew stands behind the others. */
        if (strstr(damages[i], "mail_4"))
            memcpy(before, after, sizeof(before));
        if (strcmp(before, after) != 0)
            fail_msg("not mended after: %s\n%s", damages[i], strstr(after, "chain"));
        assert_true(is_in(enforce, SSH, "192.0.2.1"));
    }
}

static void test_scopes_change(void **state) {
    struct enforce *enforce = ready(state);
    int64_t hour = in_seconds(3600);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", hour), 0);
    assert_int_equal(put(enforce, MAIL, "192.0.2.0/24", UNTIL_PERMANENT), 0);
    struct scope fewer[2] = {scopes[MAIL], scopes[SSH]};
    fewer[1].ranges[0].first = 2;
    assert_int_equal(enforce_set_scopes(enforce, fewer, 2, NULL), 0);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 2);
    assert_expires(enforce, 1, "192.0.2.1", hour);
    assert_expires(enforce, 0, "192.0.2.0/24", UNTIL_PERMANENT);
    static char text[65536];
    nft_list(text, sizeof(text));
    assert_null(strstr(text, "all_4"));
    assert_non_null(strstr(text, "tcp dport 2-22 ip saddr @ssh_4"));
    struct enforce_order wrong = {.scope = 2, .prefix = P("192.0.2.9"), .until_us = hour};
    int result;
    assert_int_equal(enforce_apply(enforce, &wrong, 1, &result, NULL), -EINVAL);
    assert_int_equal(enforce_set_scopes(enforce, fewer, 0, NULL), 0);
    LISTED(none, enforce);
    assert_int_equal(none.count, 0);
}

static void test_most_scopes(void **state) {
    struct enforce *enforce = ready(state);
    static struct scope many[SCOPES_MAX];
    for (unsigned i = 0; i < SCOPES_MAX; i++) {
        snprintf(many[i].name, sizeof(many[i].name), "ports_%017u", i);
        many[i].range_count = SCOPE_RANGES_MAX;
        for (unsigned j = 0; j < SCOPE_RANGES_MAX; j++) {
            many[i].ranges[j].first = (uint16_t)(i + 1 + 2000 * j);
            many[i].ranges[j].last = (uint16_t)(i + 1 + 2000 * j + 1000);
        }
    }
    static struct prefix exempt[4096];
    for (uint32_t i = 0; i < ELEMENTS_OF(exempt); i++) {
        exempt[i] = P("2001:db8::1");
        exempt[i].address.at[13] = (uint8_t)(i >> 8);
        exempt[i].address.at[14] = (uint8_t)i;
    }
    struct why why = {0};
    must_why(enforce_set_exempt(enforce, exempt, ELEMENTS_OF(exempt), &why), &why);
    must_why(enforce_set_scopes(enforce, many, SCOPES_MAX, &why), &why);
    must_why(enforce_set_scopes(enforce, many, SCOPES_MAX, &why), &why);
    assert_int_equal(put(enforce, SCOPES_MAX - 1, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_true(is_in(enforce, SCOPES_MAX - 1, "192.0.2.1"));
}

static void test_a_shadow_has_sets_and_no_rules(void **state) {
    struct enforce *enforce = ready(state);
    static const struct scope two[] = {{.name = "ssh", .range_count = 1, .ranges = {{22, 22}}},
                                       {.name = "shade", .is_shadow = true}};
    struct prefix banned = P("192.0.2.1");
    uint64_t packets = 0;
    assert_int_equal(enforce_set_scopes(enforce, two, ELEMENTS_OF(two), NULL), 0);
    assert_int_equal(put(enforce, 1, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_true(is_in(enforce, 1, "192.0.2.1"));
    static char listed[65536];
    nft_list(listed, sizeof(listed));
    assert_non_null(strstr(listed, "set shade_4 {"));
    assert_non_null(strstr(listed, "@ssh_4"));
    assert_null(strstr(listed, "@shade"));
    assert_int_equal(enforce_count_refused(enforce, 1, &packets, NULL), 0);
    assert_int_equal(packets, 0);
    assert_int_equal(enforce_cut(enforce, 1, &banned, NULL), 0);
}

static void test_lift(void **state) {
    struct enforce *enforce = ready(state);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_int_equal(enforce_lift(enforce, NULL), 0);
    assert_int_equal(enforce_lift(enforce, NULL), 0);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), -ENOENT);
    assert_int_equal(enforce_set_exempt(enforce, NULL, 0, NULL), 0);
    uint64_t packets;
    assert_int_equal(enforce_count_refused(enforce, SSH, &packets, NULL), 0);
    assert_int_equal(packets, 0);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    assert_false(is_in(enforce, SSH, "192.0.2.1"));
}

/* ---- elements ---------------------------------------------------------------------------- */

static void test_put_and_drop(void **state) {
    struct enforce *enforce = ready(state);
    static const char *const texts[] = {
        "192.0.2.1",     "192.0.2.0/24",      "0.0.0.0/8",    "255.255.255.255", "224.0.0.0/8",
        "240.0.0.0/28",  "240.0.0.16/28",     "255.0.0.0/9",  "2001:db8::1",     "2001:db8::/64",
        "2001:db8::/32", "2001:db8:0:1::/65", "2400::/19",    "ffff:ffff:ffff::/48",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:fffe::/32", "ffff:fffd::/64",
    };
    int64_t hour = in_seconds(3600);
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        uint16_t scope = (uint16_t)(i % SCOPES);
        assert_int_equal(put(enforce, scope, texts[i], hour), 0);
        assert_expires(enforce, scope, texts[i], hour);
        assert_int_equal(put(enforce, scope, texts[i], UNTIL_PERMANENT), 0);
        assert_expires(enforce, scope, texts[i], UNTIL_PERMANENT);
        assert_int_equal(put(enforce, scope, texts[i], hour + 60 * SECOND_US), 0);
        assert_expires(enforce, scope, texts[i], hour + 60 * SECOND_US);
        assert_int_equal(put(enforce, scope, texts[i], hour - 1800 * SECOND_US), 0);
        assert_expires(enforce, scope, texts[i], hour - 1800 * SECOND_US);
        /* A thousand years are more than the kernel counts. */
        assert_int_equal(put(enforce, scope, texts[i], in_seconds(INT64_C(31557600000))), 0);
    }
    LISTED(rows, enforce);
    assert_int_equal(rows.count, ELEMENTS_OF(texts));
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        uint16_t scope = (uint16_t)(i % SCOPES);
        assert_int_equal(drop(enforce, (uint16_t)((i + 1) % SCOPES), texts[i]), 0);
        assert_true(is_in(enforce, scope, texts[i]));
        assert_int_equal(drop(enforce, scope, texts[i]), 0);
        assert_false(is_in(enforce, scope, texts[i]));
        assert_int_equal(drop(enforce, scope, texts[i]), 0);
    }
    LISTED(none, enforce);
    assert_int_equal(none.count, 0);
}

static void test_drop_of_a_part(void **state) {
    struct enforce *enforce = ready(state);
    assert_int_equal(put(enforce, SSH, "192.0.2.0/24", UNTIL_PERMANENT), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.64/26"), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.0.0/22"), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.0/25"), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.128/25"), 0);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 1);
    assert_true(is_in(enforce, SSH, "192.0.2.0/24"));
    assert_int_equal(put(enforce, SSH, "192.0.2.0/25", UNTIL_PERMANENT), -EEXIST);
    assert_int_equal(put(enforce, SSH, "192.0.2.128/25", UNTIL_PERMANENT), -EEXIST);
    assert_int_equal(put(enforce, SSH, "192.0.0.0/16", UNTIL_PERMANENT), -EEXIST);
    /* Replaced by its halves in one go, and back. */
    struct enforce_order orders[3] = {
        {.prefix = P("192.0.2.0/25"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.128/25"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.0/24"), .is_drop = true},
    };
    int results[3];
    assert_int_equal(enforce_apply(enforce, orders, 3, results, NULL), 0);
    assert_true(is_in(enforce, SSH, "192.0.2.0/25"));
    assert_false(is_in(enforce, SSH, "192.0.2.0/24"));
    /* Start and end of the whole are there, as those of its halves. */
    assert_int_equal(drop(enforce, SSH, "192.0.2.0/24"), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.0/24", UNTIL_PERMANENT), -EEXIST);
    assert_true(is_in(enforce, SSH, "192.0.2.0/25"));
    assert_true(is_in(enforce, SSH, "192.0.2.128/25"));
    for (unsigned i = 0; i < 3; i++) {
        orders[i].is_drop = !orders[i].is_drop;
        orders[i].until_us = UNTIL_PERMANENT;
    }
    assert_int_equal(enforce_apply(enforce, orders, 3, results, NULL), 0);
    assert_true(is_in(enforce, SSH, "192.0.2.0/24"));
    assert_false(is_in(enforce, SSH, "192.0.2.0/25"));
}

/* Networks that reach the top of the space have no end; one that begins where another does. */
static void test_top_of_the_space(void **state) {
    struct enforce *enforce = ready(state);
    static const char *const tops[][2] = {{"255.255.255.0/24", "255.255.255.0/28"},
                                          {"ffff:ffff:ffff::/48", "ffff:ffff:ffff::/56"}};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++) {
            assert_int_equal(put(enforce, SSH, tops[i][j], UNTIL_PERMANENT), 0);
            assert_int_equal(put(enforce, SSH, tops[i][!j], UNTIL_PERMANENT), -EEXIST);
            assert_int_equal(drop(enforce, SSH, tops[i][!j]), 0);
            assert_true(is_in(enforce, SSH, tops[i][j]));
            assert_int_equal(drop(enforce, SSH, tops[i][j]), 0);
            LISTED(rows, enforce);
            assert_int_equal(rows.count, 0);
        }
    }
    /* Both at once: the wider one, which comes first. */
    struct enforce_order orders[2] = {
        {.prefix = P("255.255.255.0/28"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("255.255.255.0/24"), .until_us = UNTIL_PERMANENT},
    };
    int results[2];
    assert_int_equal(enforce_apply(enforce, orders, 2, results, NULL), -EEXIST);
    assert_int_equal(results[0], -EEXIST);
    assert_int_equal(results[1], 0);
}

static void test_refusals(void **state) {
    struct enforce *enforce = ready(state);
    RUN(IP, "address", "add", "192.0.2.10/24", "dev", "lo");
    RUN(IP, "address", "add", "2001:db8::10/64", "dev", "lo");
    RUN(IP, "address", "add", "198.51.100.1", "peer", "198.51.100.2", "dev", "lo");
    RUN(IP, "link", "add", "v0", "type", "veth", "peer", "name", "v1");
    RUN(IP, "address", "add", "203.0.113.5/24", "dev", "v0");
    RUN(IP, "link", "set", "v0", "up");
    RUN(IP, "link", "set", "v1", "up");
    RUN(IP, "route", "add", "default", "via", "203.0.113.1");
    RUN(IP, "route", "add", "198.18.0.0/15", "nexthop", "via", "203.0.113.2", "dev", "v0",
        "nexthop", "via", "203.0.113.3", "dev", "v0");
    RUN(IP, "route", "add", "198.51.0.0/24", "via", "inet6", "2001:db8:7::1", "dev", "v0",
        "onlink");
    RUN(IP, "-6", "route", "add", "default", "via", "2001:db8:8::1", "dev", "v0", "onlink");
    RUN(IP, "route", "add", "198.19.0.0/24", "via", "203.0.113.9", "table", "77");
    RUN(IP, "nexthop", "add", "id", "7", "via", "203.0.113.4", "dev", "v0");
    RUN(IP, "route", "add", "198.51.1.0/24", "nhid", "7");
    struct why why = {0};
    must_why(enforce_read_own(enforce, &why), &why);
    const struct prefix given[] = {P("100.64.0.0/10"), P("100.64.5.0/24"), P("100.64.0.0/10"),
                                   P("100.128.0.0/16"), P("255.255.255.255"), P("2a00::/16")};
    must_why(enforce_set_exempt(enforce, given, ELEMENTS_OF(given), &why), &why);
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"192.0.2.10", -EPERM},       {"192.0.2.11", 0},
        {"192.0.2.8/29", -EPERM},     {"192.0.2.16/28", 0},
        {"2001:db8::10", -EPERM},     {"2001:db8::/64", -EPERM},
        {"2001:db8::11", 0},          {"2001:db8:0:1::/64", 0},
        {"198.51.100.1", -EPERM},     {"198.51.100.2", -EPERM},
        {"203.0.113.1", -EPERM},      {"203.0.113.2", -EPERM},
        {"203.0.113.3", -EPERM},      {"203.0.113.4", -EPERM},
        {"203.0.113.5", -EPERM},      {"203.0.113.6", 0},
        {"203.0.113.9", 0},           {"2001:db8:7::1", -EPERM},
        {"2001:db8:8::1", -EPERM},    {"2001:db8:8::2", 0},
        {"127.0.0.1", -EPERM},        {"127.255.255.255", -EPERM},
        {"126.255.255.255", 0},       {"128.0.0.0", 0},
        {"::1", -EPERM},              {"::2", 0},
        {"fe80::1", -EPERM},          {"febf::/64", -EPERM},
        {"fec0::1", 0},               {"100.64.0.1", -EPERM},
        {"100.127.255.255", -EPERM},  {"100.128.0.0", -EPERM},
        {"100.129.0.0", 0},           {"100.0.0.0/8", -EPERM},
        {"255.255.255.255", -EPERM},  {"255.255.255.254", 0},
        {"2a00:ffff::/32", -EPERM},   {"2a01::/32", 0},
        {"2a00::/15", -EPERM},        {"16.0.0.0/7", -EPERM},
        {"16.0.0.0/8", 0},            {"2400::/18", -EPERM},
        {"2400::/19", 0},             {"0.0.0.0/0", -EPERM},
        {"::/0", -EPERM},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct prefix prefix = P(cases[i].text);
        int result = put(enforce, ALL, cases[i].text, UNTIL_PERMANENT);
        if (result != cases[i].result)
            fail_msg("%s: %d, not %d", cases[i].text, result, cases[i].result);
        assert_int_equal(enforce_is_exempt(enforce, &prefix), cases[i].result != 0);
        assert_int_equal(is_in(enforce, ALL, cases[i].text), cases[i].result == 0);
        assert_int_equal(drop(enforce, ALL, cases[i].text), 0);
    }
    assert_int_equal(put(enforce, ALL, "192.0.2.77", clock_now_us() - 1), -ETIME);
    assert_int_equal(put(enforce, ALL, "192.0.2.77", 0), -ETIME);
    static char text[65536];
    nft_list(text, sizeof(text));
    assert_non_null(strstr(text, "100.64.0.0/10"));
    assert_non_null(strstr(text, "203.0.113.1"));
    /* The list is replaced, what is our own stays. */
    must_why(enforce_set_exempt(enforce, NULL, 0, &why), &why);
    assert_int_equal(put(enforce, ALL, "100.64.0.1", UNTIL_PERMANENT), 0);
    assert_int_equal(put(enforce, ALL, "203.0.113.1", UNTIL_PERMANENT), -EPERM);
    static struct prefix too_many[EXEMPT_MOST + 1];
    assert_int_equal(enforce_set_exempt(enforce, too_many, ELEMENTS_OF(too_many), &why), -E2BIG);
}

static void count_exempt(void *context, const struct prefix *prefix, bool is_own) {
    unsigned *counts = context;
    assert_true(prefix->length > 0);
    counts[is_own ? 1 : 0]++;
}

static void test_spare(void **state) {
    struct enforce *enforce = ready(state);
    struct prefix one = P("192.0.2.1"), net = P("192.0.2.0/24");
    static char text[65536];
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    int64_t until_us = clock_now_us() + 300 * 1000;
    assert_int_equal(enforce_spare(enforce, &one, until_us, NULL), 0);
    assert_int_equal(enforce_spare(enforce, &one, until_us - 100 * 1000, NULL), 0);
    assert_true(enforce_is_exempt(enforce, &one));
    assert_true(enforce_is_exempt(enforce, &net));
    nft_list(text, sizeof(text));
    assert_non_null(strstr(text, "elements = { 127.0.0.0/8, 192.0.2.1 }"));
    unsigned counts[2] = {0};
    enforce_each_exempt(enforce, count_exempt, counts);
    assert_int_equal(counts[0], 3); /* sparings are the decider's own, which it needs not be told */
    assert_int_equal(counts[1], 2); /* 127.0.0.1 and ::1 of lo */
    while (clock_now_us() <= until_us)
        poll(NULL, 0, 20);
    assert_false(enforce_is_exempt(enforce, &one));
    assert_int_equal(put(enforce, SSH, "192.0.2.2", UNTIL_PERMANENT), 0);
    nft_list(text, sizeof(text));
    assert_null(strstr(text, "elements = { 127.0.0.0/8, 192.0.2.1 }"));
    assert_int_equal(enforce_spare(enforce, &net, UNTIL_PERMANENT, NULL), 0);
    assert_int_equal(enforce_spare(enforce, &net, in_seconds(1), NULL), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.3", UNTIL_PERMANENT), -EPERM);
    assert_int_equal(enforce_spare(enforce, &one, 5, NULL), 0); /* long over: nothing */
    /* Ended before its time, by exactly its name. */
    assert_int_equal(enforce_unspare(enforce, &one, NULL), 0);
    assert_true(enforce_is_exempt(enforce, &one));
    assert_int_equal(enforce_unspare(enforce, &net, NULL), 0);
    assert_false(enforce_is_exempt(enforce, &one));
    nft_list(text, sizeof(text));
    assert_non_null(strstr(text, "elements = { 127.0.0.0/8 }"));
    assert_int_equal(put(enforce, SSH, "192.0.2.3", UNTIL_PERMANENT), 0);
}

static void test_keep_exempt(void **state) {
    struct enforce *enforce = ready(state);
    struct prefix given = P("192.0.2.0/24"), spared[] = {P("198.51.100.7"), P("2001:db8:7::/48")};
    static char before[65536], after[65536];
    struct why why = {0};
    must_why(enforce_set_exempt(enforce, &given, 1, &why), &why);
    for (size_t i = 0; i < ELEMENTS_OF(spared); i++)
        assert_int_equal(enforce_spare(enforce, &spared[i], UNTIL_PERMANENT, NULL), 0);
    nft_list(before, sizeof(before));
    /* Another process, which knows less: it keeps what it finds, and refuses the same. */
    struct enforce *other = NULL;
    must_why(enforce_open(&other, &why), &why);
    must_why(enforce_keep_exempt(other, &why), &why);
    must_why(enforce_set_scopes(other, enforce->scopes, enforce->scope_count, &why), &why);
    nft_list(after, sizeof(after));
    assert_string_equal(after, before);
    assert_true(enforce_is_exempt(other, &spared[0]));
    assert_true(enforce_is_exempt(other, &spared[1]));
    enforce_free(other);
}

static void test_bad_orders_stay_alone(void **state) {
    struct enforce *enforce = ready(state);
    enum { COUNT = 3000 };
    static struct enforce_order orders[COUNT];
    static int results[COUNT];
    assert_int_equal(put(enforce, SSH, "10.0.0.0/8", UNTIL_PERMANENT), 0);
    assert_int_equal(put(enforce, SSH, "20.5.0.0/17", UNTIL_PERMANENT), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.prefix = P("20.0.0.0/24"),
                                           .until_us = UNTIL_PERMANENT};
        orders[i].prefix.address.at[13] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[14] = (uint8_t)i;
    }
    orders[7].prefix = P("10.1.2.0/24");     /* inside another: the kernel refuses */
    orders[1234].prefix = P("127.0.0.0/24"); /* exempt */
    orders[2999].scope = 77;
    struct why why = {0};
    assert_int_equal(enforce_apply(enforce, orders, COUNT, results, &why), -EEXIST);
    assert_non_null(strstr(why.text, "10.1.2.0/24"));
    unsigned in_the_way = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        bool is_inside = i >= 5 * 256 && i < 5 * 256 + 128;
        in_the_way += results[i] == -EEXIST;
        int wanted = i == 7             ? -EEXIST
                     : i == 1234        ? -EPERM
                     : i == 2999        ? -EINVAL
                     : is_inside        ? -EEXIST
                                        : 0;
        if (results[i] != wanted)
            fail_msg("order %u: %d, not %d", i, results[i], wanted);
    }
    assert_int_equal(in_the_way, 129);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 2 + COUNT - 129 - 2);
    /* A set that somebody took away concerns only its own orders, and quickly. */
    NFT_DO("flush chain inet hauberk guard; delete set inet hauberk ssh_4_nets");
    orders[0] = (struct enforce_order){.scope = MAIL, .prefix = P("192.0.2.1"),
                                       .until_us = UNTIL_PERMANENT};
    assert_int_equal(enforce_apply(enforce, orders, COUNT, results, NULL), -ENOENT);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -ENOENT);
    assert_true(is_in(enforce, MAIL, "192.0.2.1"));
}

/* What only the kernel can know: a set that somebody has made small. */
static void test_kernel_refuses_some(void **state) {
    struct enforce *enforce = ready(state);
    NFT_DO("flush chain inet hauberk guard; delete set inet hauberk ssh_4; "
           "add set inet hauberk ssh_4 { type ipv4_addr; flags timeout; size 100; }");
    enum { COUNT = 700 };
    static struct enforce_order orders[COUNT];
    static int results[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.prefix = P("20.0.0.1"), .until_us = UNTIL_PERMANENT};
        orders[i].prefix.address.at[13] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[14] = (uint8_t)i;
    }
    struct why why = {0};
    assert_int_equal(enforce_apply(enforce, orders, COUNT, results, &why), -ENFILE);
    unsigned done = 0;
    LISTED(rows, enforce);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(results[i], find(&rows, SSH, &orders[i].prefix) ? 0 : -ENFILE);
        done += results[i] == 0;
    }
    assert_in_range(done, 50, 100); /* the add before the delete wants a place of its own */
    assert_int_equal(rows.count, done);
}

/* Without the right to more, a socket sends only so much at once. */
static void test_small_buffer(void **state) {
    struct enforce *enforce = ready(state);
    int fd = mnl_socket_get_fd(enforce->netfilter.socket);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){8192}, sizeof(int)), 0);
    netlink_want_buffers(&enforce->netfilter, 0);
    assert_in_range(enforce->netfilter.send_most_bytes, 1, 20000);
    enum { COUNT = 2000 };
    static struct enforce_order orders[COUNT];
    static int results[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.prefix = P("2001:db8::/40"),
                                           .until_us = UNTIL_PERMANENT};
        orders[i].prefix.address.at[3] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[4] = (uint8_t)i;
    }
    struct why why = {0};
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, COUNT);
}

static void test_same_element_twice(void **state) {
    struct enforce *enforce = ready(state);
    int64_t hour = in_seconds(3600);
    struct enforce_order orders[] = {
        {.prefix = P("192.0.2.1"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.2"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.1"), .is_drop = true},
        {.prefix = P("192.0.2.2"), .until_us = hour},
        {.prefix = P("192.0.2.1"), .until_us = hour},
        {.prefix = P("192.0.2.2"), .is_drop = true},
    };
    int results[ELEMENTS_OF(orders)];
    assert_int_equal(enforce_apply(enforce, orders, ELEMENTS_OF(orders), results, NULL), 0);
    for (size_t i = 0; i < ELEMENTS_OF(orders); i++)
        assert_int_equal(results[i], 0);
    assert_expires(enforce, 0, "192.0.2.1", hour);
    assert_false(is_in(enforce, 0, "192.0.2.2"));
}

static void test_foreign_elements_are_listed(void **state) {
    ready(state);
    NFT_DO("add element inet hauberk ssh_4_nets { 192.0.2.5-192.0.2.9, 192.0.2.16-192.0.2.17 "
           "timeout 1h }; add set inet hauberk gone_6_64 { type ipv6_addr; flags timeout; }; "
           "add element inet hauberk gone_6_64 { 2001:db8:0:5:: timeout 1h }; "
           "add set inet hauberk ports { type inet_service; elements = { 5 }; }");
    struct world *world = *state;
    struct why why = {0};
    enforce_free(world->enforce); /* as a command line without a daemon sees it */
    world->enforce = NULL;
    must_why(enforce_open(&world->enforce, &why), &why);
    LISTED(rows, world->enforce);
    assert_int_equal(rows.count, 5);
    static const char *const wanted[] = {"192.0.2.5", "192.0.2.6/31", "192.0.2.8/31",
                                         "192.0.2.16/31", "2001:db8:0:5::/64"};
    for (size_t i = 0; i < ELEMENTS_OF(wanted); i++) {
        struct prefix prefix = P(wanted[i]);
        const struct row *row = find(&rows, UINT16_MAX, &prefix);
        assert_true(row && strcmp(row->set, i < 4 ? "ssh_4_nets" : "gone_6_64") == 0);
    }
}

static void test_drop_everywhere(void **state) {
    struct enforce *enforce = ready(state);
    static const struct {
        uint16_t scope;
        const char *text;
    } puts[] = {
        {SSH, "192.0.2.1"},   {MAIL, "192.0.2.1"},      {MAIL, "192.0.2.0/24"},
        {ALL, "192.0.0.0/8"}, {ALL, "192.0.2.2"},       {SSH, "2001:db8::1"},
        {SSH, "2001:db8::/64"}, {MAIL, "2001:db8::/48"}, {ALL, "2001:db8::2"},
        {WIDE, "193.0.0.0/8"},
    };
    for (size_t i = 0; i < ELEMENTS_OF(puts); i++)
        assert_int_equal(put(enforce, puts[i].scope, puts[i].text, UNTIL_PERMANENT), 0);
    struct prefix one = P("192.0.2.1"), net = P("192.0.2.0/24"), six = P("2001:db8::1"),
                  sixty_four = P("2001:db8::/64"), none = P("198.51.100.0/24");
    assert_int_equal(enforce_drop_everywhere(enforce, &none, true, NULL), 0);
    assert_int_equal(enforce_drop_everywhere(enforce, &one, false, NULL), 2);
    assert_int_equal(enforce_drop_everywhere(enforce, &one, false, NULL), 0);
    assert_int_equal(enforce_drop_everywhere(enforce, &net, false, NULL), 1);
    assert_int_equal(enforce_drop_everywhere(enforce, &net, true, NULL), 1); /* the /8 */
    assert_true(is_in(enforce, ALL, "192.0.2.2"));
    struct world *world = *state;
    struct why why = {0};
    enforce_free(world->enforce);
    world->enforce = NULL;
    must_why(enforce_open(&world->enforce, &why), &why);
    enforce = world->enforce;
    assert_int_equal(enforce_drop_everywhere(enforce, &sixty_four, false, NULL), 1);
    assert_int_equal(put(enforce, 0, "2001:db8::/64", UNTIL_PERMANENT), -EINVAL);
    assert_int_equal(enforce_drop_everywhere(enforce, &six, true, NULL), 2);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 3);
    assert_int_equal(enforce_lift(enforce, NULL), 0);
    assert_int_equal(enforce_drop_everywhere(enforce, &six, true, NULL), 0);
}

static void test_a_hundred_thousand(void **state) {
    struct enforce *enforce = ready(state);
    enum { COUNT = 100000 };
    struct enforce_order *orders = calloc(COUNT, sizeof(*orders));
    int *results = calloc(COUNT, sizeof(*results));
    assert_non_null(orders);
    assert_non_null(results);
    int64_t until_us = in_seconds(86400);
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.scope = MAIL, .prefix = P("11.0.0.1"),
                                           .until_us = until_us};
        orders[i].prefix.address.at[13] = (uint8_t)(i >> 16);
        orders[i].prefix.address.at[14] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[15] = (uint8_t)i;
    }
    struct why why = {0};
    int64_t times[5] = {clock_monotonic_us()};
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why);
    times[1] = clock_monotonic_us();
    LISTED(rows, enforce);
    times[2] = clock_monotonic_us();
    assert_int_equal(rows.count, COUNT);
    orders[COUNT / 2].prefix = P("127.0.0.1");
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why); /* all anew */
    assert_int_equal(results[COUNT / 2], -EPERM);
    times[3] = clock_monotonic_us();
    assert_int_equal(put(enforce, MAIL, "192.0.2.1", until_us), 0);
    times[4] = clock_monotonic_us();
    assert_int_equal(poll(&(struct pollfd){.fd = enforce_watch_fd(enforce), .events = POLLIN}, 1,
                          0), 0);
    for (unsigned i = 0; i < COUNT; i++)
        orders[i].is_drop = true;
    int64_t before_drop = clock_monotonic_us();
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why);
    print_message("# 100000 addresses: put %.3f s, list %.3f s, put again %.3f s, one more %.3f "
                  "ms, drop %.3f s\n",
                  (double)(times[1] - times[0]) / 1e6, (double)(times[2] - times[1]) / 1e6,
                  (double)(times[3] - times[2]) / 1e6, (double)(times[4] - times[3]) / 1e3,
                  (double)(clock_monotonic_us() - before_drop) / 1e6);
    LISTED(few, enforce);
    assert_int_equal(few.count, 2); /* the one whose order became 127.0.0.1, and one more */
    free(orders);
    free(results);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_skeleton),
        TEST(test_skeleton_is_mended),
        TEST(test_scopes_change),
        TEST(test_most_scopes),
        TEST(test_a_shadow_has_sets_and_no_rules),
        TEST(test_lift),
        TEST(test_put_and_drop),
        TEST(test_drop_of_a_part),
        TEST(test_top_of_the_space),
        TEST(test_refusals),
        TEST(test_spare),
        TEST(test_keep_exempt),
        TEST(test_bad_orders_stay_alone),
        TEST(test_kernel_refuses_some),
        TEST(test_small_buffer),
        TEST(test_same_element_twice),
        TEST(test_foreign_elements_are_listed),
        TEST(test_drop_everywhere),
        TEST(test_a_hundred_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
