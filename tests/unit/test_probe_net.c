/* What the probes make of nft's rules and of /proc's tables and maps, and whom they take for a friend.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/listeners.h"
#include "probe/probe_processes.c"
#include "probe/probe_wall.c"
#include "probe/strangers.h"

static struct wall wall_of(const char *rules) {
    static struct chain chains[CHAINS_MOST];
    memset(chains, 0, sizeof(chains));
    struct wall wall = {.chains = chains,
                        .unbounded_log = {NULL, "unbounded_log", 0},
                        .global_limit = {NULL, "global_limit", 0}};
    struct span rest = span_of(rules);
    struct span line;
    text_clear(&said);
    while (next_line(&rest, &line))
        take_line(&wall, line);
    for (size_t i = 0; i < wall.count; i++)
        judge_chain(&wall, &chains[i]);
    return wall;
}

static void a_policy_or_a_last_rule_drops(void **state) {
    static const struct {
        const char *rules;
        bool has_4, has_6;
        unsigned logs, limits;
    } cases[] = {
        {"", false, false, 0, 0},
        {"table inet filter {\n\tset a {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 }\n\t}\n\n"
         "\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tiif \"lo\" "
         "accept\n\t}\n}\n",
         true, true, 0, 0},
        {"table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy "
         "accept;\n\t\ttcp dport 22 accept\n\t\tcounter packets 3 bytes 180 drop\n\t}\n}\n",
         true, false, 0, 0},
        {"table ip6 filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy "
         "accept;\n\t\treject with icmpv6 admin-prohibited\n\t}\n}\n",
         false, true, 0, 0},
        {"table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy "
         "accept;\n\t\tip saddr 192.0.2.1 drop\n\t}\n}\n",
         false, false, 0, 0},
        {"table inet filter {\n\tchain output {\n\t\ttype filter hook output priority filter; policy "
         "drop;\n\t}\n}\n",
         false, false, 0, 0},
        {"table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy "
         "accept;\n\t\tcounter packets 0 bytes 0 log\n\t\tlimit rate 3/minute log prefix \"x\"\n"
         "\t\ttcp dport 23 log\n\t\ttcp dport 25 limit rate 25/minute burst 100 packets counter "
         "packets 0 bytes 0 accept\n\t\ttcp dport 25 add @r { ip saddr limit rate over 5/minute } "
         "drop\n\t}\n}\n",
         false, false, 1, 1},
        {"table inet x {\n\tchain input {\n", false, false, 0, 0},
        {"}\n}\nchain\ntable\ntype filter hook input\nlog\n", false, false, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct wall wall = wall_of(cases[i].rules);
        if (wall.has_4 != cases[i].has_4 || wall.has_6 != cases[i].has_6 ||
            wall.unbounded_log.count != cases[i].logs || wall.global_limit.count != cases[i].limits)
            fail_msg("%s: %d %d %u %u", cases[i].rules, wall.has_4, wall.has_6,
                     wall.unbounded_log.count, wall.global_limit.count);
    }
}

static const struct {
    const char *rules;
    bool drops_4, drops_6;
} rulesets[] = {
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy drop;\ntcp dport 22 "
     "accept\n}\n}\n",
     true, true},
    {"table ip f {\nchain input {\ntype filter hook input priority 0; policy drop;\n}\n}\n", true,
     false},
    {"table inet f {\nchain output {\ntype filter hook output priority 0; policy drop;\n}\n}\n",
     false, false},
    /* The last rule drops, past what only counts and logs. */
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\ntcp dport "
     "22 accept\n"
     "log prefix \"what is it: drop \" group 1 counter packets 0 bytes 0 reject with icmpx "
     "admin-prohibited\n}\n}\n",
     true, true},
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\n"
     "log prefix \"drop\" level debug flags all\n}\n}\n",
     false, false},
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\nip saddr "
     "192.0.2.1 drop\n}\n}\n",
     false, false},
    /* Everything is let in before the policy is asked. */
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy drop;\n"
     "counter packets 1 bytes 2 accept\n}\n}\n",
     false, false},
    /* In another chain, wherever it stands. */
    {"table inet f {\nchain last {\ncounter name \"x\" drop\n}\nchain input {\n"
     "type filter hook input priority 0; policy accept;\ntcp dport 22 accept\njump last\n}\n}\n",
     true, true},
    {"table ip6 f {\nchain input {\ntype filter hook input priority 0; policy accept;\ngoto "
     "last\ndrop\n}\n"
     "chain last {\nreject\n}\n}\n",
     false, true},
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\ngoto "
     "last\ndrop\n}\n"
     "chain last {\ntcp dport 22 accept\n}\n}\n",
     false, false},
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\njump "
     "other\n}\n"
     "chain other {\nreturn\ndrop\n}\n}\n",
     false, false},
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\n"
     "tcp dport 25 jump last\n}\nchain last {\ndrop\n}\n}\n",
     false, false},
    /* A loop, which the kernel would not take; a chain of another table; an end too early. */
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy drop;\njump "
     "input\n}\n}\n",
     true, true},
    {"table inet a {\nchain last {\ndrop\n}\n}\ntable inet f {\nchain input {\n"
     "type filter hook input priority 0; policy accept;\njump last\n}\n}\n",
     false, false},
    {"table inet f {\nchain input {\ntype filter hook input priority 0; policy drop;\nlog prefix "
     "\"",
     true, true},
};

static void what_no_rule_knows_is_dropped_or_not(void **state) {
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(rulesets); i++) {
        struct wall wall = wall_of(rulesets[i].rules);
        if (wall.has_4 != rulesets[i].drops_4 || wall.has_6 != rulesets[i].drops_6)
            fail_msg("%s", rulesets[i].rules);
    }
}

static void the_own_table_is_seen(void **state) {
    (void)state;
    assert_true(wall_of("table inet hauberk {\n}\n").has_hauberk);
    assert_false(wall_of("table inet hauberk_wall {\n}\n").has_hauberk);
}

static void listeners_are_read_from_the_kernels_table(void **state) {
    static const struct {
        const char *protocol, *row, *address;
        unsigned port;
    } cases[] = {
        {"tcp", "0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1",
         "0.0.0.0", 22},
        {"tcp", "1: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 9 0 8 1",
         "127.0.0.1", 6379},
        {"tcp6",
         "2: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 0A "
         "00000000:00000000 00:00000000 00000000 0 0 9 1",
         "::1", 53},
        {"udp", "3: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 9 1",
         "0.0.0.0", 53},
        /* a connection; one that is connected by UDP; rubbish */
        {"tcp", "4: 0100007F:18EB 0100007F:9999 01 00000000:00000000 00:00000000 00000000 9 0 8 1",
         NULL, 0},
        {"udp", "5: 0100007F:0035 08080808:0035 07 00000000:00000000 00:00000000 00000000 9 0 8 1",
         NULL, 0},
        {"tcp", "6: 0000:0016 00000000:0000 0A", NULL, 0},
        {"tcp", "", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct listener listeners[2] = {{0}};
        struct processes processes = {NULL, listeners, 0, 0, {NULL, "stale", 0}};
        take_row(&processes, cases[i].protocol, span_of(cases[i].row));
        assert_int_equal(processes.count, cases[i].address ? 1 : 0);
        if (cases[i].address) {
            assert_string_equal(listeners[0].address, cases[i].address);
            assert_int_equal(listeners[0].port, cases[i].port);
        }
    }
    assert_string_equal(reach_of("127.0.0.53"), "loopback");
    assert_string_equal(reach_of("::"), "all");
    assert_string_equal(reach_of("fe80::1"), "link");
    assert_string_equal(reach_of("192.0.2.1"), "address");
    assert_string_equal(reach_of("2001:db8::1"), "address");
    assert_string_equal(reach_of("172.17.0.1"), "private");
    assert_string_equal(reach_of("fd00::1"), "private");
    assert_string_equal(reach_of("::ffff:10.0.0.1"), "private");
}

static void a_port_on_loopback_alone_is_not_open(void **state) {
    static const char table[] =
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 0100007F:0019 00000000:0000 0A 00000000:00000000\n"
        "   1: 0100007F:008F 00000000:0000 0A 00000000:00000000\n"
        "   2: 050071CB:008F 00000000:0000 0A 00000000:00000000\n"
        "   3: 00000000000000000000000000000000:03E1 00000000000000000000000000000000:0000 0A 0:0\n"
        "   4: 0100007F:006E 00000000:0000 01 00000000:00000000\n";
    static const struct {
        uint16_t port;
        bool is_there, is_open;
    } cases[] = {{25, true, false}, {143, true, true}, {993, true, true}, {110, false, false}};
    struct address address;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        assert_int_equal(listeners_find(SPAN(table), cases[i].port, &address), cases[i].is_there);
        assert_int_equal(listeners_find_open(SPAN(table), cases[i].port, &address),
                         cases[i].is_open);
    }
}

static void who_is_heard_and_who_is_a_friend(void **state) {
    static const char table[] =
        "   0: 050071CB:0019 00000000:0000 0A 00000000:00000000\n"
        "   1: 00000000000000000000000000000000:0019 00000000000000000000000000000000:0000 0A 0:0\n"
        "   2: 00000000:024B 00000000:0000 0A 00000000:00000000\n";
    static const struct {
        const char *address;
        uint16_t port;
        bool is_heard;
    } heard[] = {{"203.113.0.5", 25, true}, {"192.0.2.1", 25, true}, /* the one on :: may hear it */
                 {"2001:db8::1", 25, true}, {"192.0.2.1", 587, true}, {"2001:db8::1", 587, false},
                 {"192.0.2.1", 465, false}};
    static const struct {
        const char *networks, *address;
        bool is_held, is_sure;
    } friends[] = {
        {"127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128", "192.0.2.1", false, true},
        {"127.0.0.0/8, 192.0.2.0/24", "192.0.2.1", true, true},
        {"[::ffff:192.0.2.0]/120", "192.0.2.1", true, true},
        {"[2001:db8::]/32,::1", "2001:db8::1", true, true},
        {"0.0.0.0/0 [::]/0", "192.0.2.1", false, true}, /* that is everybody */
        {"128.0.0.0/1", "192.0.2.1", false, true},
        {"hash:/etc/postfix/networks", "192.0.2.1", false, false},
        {"!192.0.2.1 192.0.2.0/28", "192.0.2.2", true, false},
        {"", "192.0.2.1", false, true},
    };
    struct address address;
    bool is_sure;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(heard); i++) {
        assert_int_equal(address_parse(span_of(heard[i].address), &address), 0);
        if (listeners_hear(SPAN(table), heard[i].port, &address) != heard[i].is_heard)
            fail_msg("%s %u", heard[i].address, heard[i].port);
    }
    for (size_t i = 0; i < ELEMENTS_OF(friends); i++) {
        assert_int_equal(address_parse(span_of(friends[i].address), &address), 0);
        if (networks_hold(span_of(friends[i].networks), &address, &is_sure) != friends[i].is_held ||
            is_sure != friends[i].is_sure)
            fail_msg("%s in %s", friends[i].address, friends[i].networks);
    }
}

static void only_code_of_packages_is_stale(void **state) {
    static const struct {
        const char *line;
        bool is_stale;
    } cases[] = {
        {"7f00-7f01 r-xp 0000 08:01 42    /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)", true},
        {"7f00-7f01 r-xp 0000 08:01 42    /usr/lib/x86_64-linux-gnu/libssl.so.3", false},
        {"7f00-7f01 r--p 0000 08:01 42    /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)", false},
        {"7f00-7f01 rwxp 0000 00:01 42    /dev/zero (deleted)", false},
        {"7f00-7f01 r-xp 0000 00:01 42    /memfd:jit (deleted)", false},
        {"7f00-7f01 r-xp 0000 00:00 0", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct span path;
        if (is_replaced_code(span_of(cases[i].line), &path) != cases[i].is_stale)
            fail_msg("%s", cases[i].line);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_or_a_last_rule_drops),
        cmocka_unit_test(what_no_rule_knows_is_dropped_or_not),
        cmocka_unit_test(the_own_table_is_seen),
        cmocka_unit_test(listeners_are_read_from_the_kernels_table),
        cmocka_unit_test(a_port_on_loopback_alone_is_not_open),
        cmocka_unit_test(only_code_of_packages_is_stale),
        cmocka_unit_test(who_is_heard_and_who_is_a_friend),
    };
    int failed = cmocka_run_group_tests_name("probe_net", tests, NULL, NULL);
    text_free(&said);
    return failed;
}
