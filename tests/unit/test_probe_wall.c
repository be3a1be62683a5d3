/* What the probe of the firewall makes of a listed ruleset: what becomes of a packet that no rule
 * knows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/probe_wall.c"

static const struct {
    const char *rules;
    bool drops_4, drops_6;
} cases[] = {
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
    {"table inet f {\nchain last {\ncounter packets 0 bytes 0 drop\n}\nchain input {\n"
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
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct span rest = span_of(cases[i].rules);
        struct span line;
        struct wall wall = {.chains = calloc(CHAINS_MOST, sizeof(struct chain))};
        while (next_line(&rest, &line))
            take_line(&wall, line);
        for (size_t j = 0; j < wall.count; j++)
            judge_chain(&wall, &wall.chains[j]);
        free(wall.chains);
        if (wall.has_4 != cases[i].drops_4 || wall.has_6 != cases[i].drops_6)
            fail_msg("%s", cases[i].rules);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_no_rule_knows_is_dropped_or_not)};
    int failed = cmocka_run_group_tests_name("probe_wall", tests, NULL, NULL);
    text_free(&said);
    return failed;
}
