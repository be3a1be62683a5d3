/* The firewall: what the kernel's nftables hold (iptables of both releases puts its rules there
 * too, unless somebody went back to iptables-legacy), and who is said to keep it: ufw, firewalld,
 * nftables.service, hauberk.
 *
 * Read from `nft list ruleset`, whose text is nested by braces: table, chain, then a statement a
 * line. What becomes of a packet that no rule knows is told by the rules without a condition, past
 * jumps to other chains, else by the policy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "probe/found.h"
#include "probe/words.h"

enum { CHAINS_MOST = 2000, JUMPS_MOST = 16, JUMPS_DEEP = 8 };

/* What becomes of a packet that no rule with a condition takes. */
enum end { GOES_ON, ACCEPTED, DROPPED };

struct chain {
    char table[100]; /* "inet filter" */
    char name[100];
    bool is_input;      /* it sees what comes in */
    bool has_drop_policy;
    bool is_over;       /* what comes behind is never reached */
    enum end end;       /* by its own rules */
    unsigned jump_count; /* to chains that every packet goes through before that end */
    char jumps[JUMPS_MOST][100];
};

struct wall {
    struct look *look;
    char table[100];
    struct chain *chains;
    size_t count;
    bool is_in_chain;  /* the last of them is being read */
    bool has_4, has_6; /* some input chain that drops sees that family */
    bool has_hauberk;
    struct found unbounded_log, global_limit;
};

static bool has(struct span line, const char *what) {
    return memmem(line.at, line.length, what, strlen(what)) != NULL;
}

static void copy(struct span span, char into[100]) {
    snprintf(into, 100, "%.*s", (int)(span.length < 99 ? span.length : 99), span.at);
}

/* What a rule does, past what has no say in it: counters and logs. */
static struct span without_condition(struct span rule, struct span *ret_rest) {
    struct span word = span_word(&rule);
    bool is_passed_over = true;
    while (is_passed_over) {
        size_t values = 0; /* that belong to the word */
        if (span_is(word, "counter"))
            /* "name "mail"" or "packets 0 bytes 0" */
            values = span_starts_with(span_trim(rule), SPAN("name ")) ? 2 : 4;
        else if (span_is(word, "level") || span_is(word, "group") || span_is(word, "flags"))
            values = 1;
        else if (span_is(word, "prefix") || span_is(word, "comment")) {
            (void)span_cut(&rule, '"'); /* a string, which may hold blanks */
            (void)span_cut(&rule, '"');
        } else
            is_passed_over = span_is(word, "log");
        for (size_t i = 0; i < values; i++)
            (void)span_word(&rule);
        if (is_passed_over)
            word = span_word(&rule);
    }
    *ret_rest = rule;
    return word;
}

static const struct chain *find_chain(const struct wall *wall, const char *table,
                                      const char *name) {
    for (size_t i = 0; i < wall->count; i++)
        if (strcmp(wall->chains[i].table, table) == 0 && strcmp(wall->chains[i].name, name) == 0)
            return &wall->chains[i];
    return NULL;
}

static enum end end_of(const struct wall *wall, const struct chain *chain, int depth) {
    for (unsigned i = 0; chain && i < chain->jump_count && depth < JUMPS_DEEP; i++) {
        enum end end = end_of(wall, find_chain(wall, chain->table, chain->jumps[i]), depth + 1);
        if (end != GOES_ON)
            return end;
    }
    return chain ? chain->end : GOES_ON;
}

static void judge_chain(struct wall *wall, const struct chain *chain) {
    enum end end = end_of(wall, chain, 0);
    bool drops = end == DROPPED || (end == GOES_ON && chain->has_drop_policy);
    bool is_inet = strncmp(chain->table, "inet ", 5) == 0;
    if (!chain->is_input)
        return;
    look_say_format(wall->look, "input_chain", chain->table, "%s %s", chain->name,
                    drops ? "drops what it does not know" : "accepts");
    wall->has_4 = wall->has_4 || (drops && (is_inet || strncmp(chain->table, "ip ", 3) == 0));
    wall->has_6 = wall->has_6 || (drops && (is_inet || strncmp(chain->table, "ip6 ", 4) == 0));
}

/* A rule without a condition ends the chain, or sends every packet through another. */
static void note_end(struct chain *chain, struct span line) {
    struct span rest;
    struct span word = without_condition(line, &rest);
    bool is_goto = span_is(word, "goto");
    if (chain->is_over)
        return;
    if (span_is(word, "drop") || span_is(word, "reject"))
        chain->end = DROPPED;
    else if (span_is(word, "accept"))
        chain->end = ACCEPTED;
    else if ((is_goto || span_is(word, "jump")) && chain->jump_count < JUMPS_MOST)
        copy(span_word(&rest), chain->jumps[chain->jump_count++]);
    chain->is_over = chain->end != GOES_ON || is_goto || span_is(word, "return");
}

static void look_at_rule(struct wall *wall, const struct chain *chain, struct span line) {
    char subject[210];
    snprintf(subject, sizeof(subject), "%s %s", chain->table, chain->name);
    struct span rest = line;
    struct span word = span_word(&rest);
    if (span_is(word, "counter"))
        for (int i = 0; i < 5; i++)
            word = span_word(&rest);
    if (span_is(word, "log") && !has(line, "limit ") && !has(line, "group "))
        found_one(&wall->unbounded_log, subject, "%.*s", SPAN_FORMAT(line));
    bool is_mail = has(line, "dport 25 ") || has(line, "dport 587 ") || has(line, "dport 465 ") ||
                   has(line, "dport smtp ") || has(line, "dport submission ");
    /* "limit rate 25/minute accept" counts all the world together; by source stands a set. */
    if (is_mail && has(line, "limit rate ") && !has(line, "limit rate over") &&
        !has(line, "saddr") && has(line, "accept"))
        found_one(&wall->global_limit, subject, "%.*s", SPAN_FORMAT(line));
}

static void take_line(struct wall *wall, struct span line) {
    struct span rest = line;
    struct span word = span_word(&rest);
    struct chain *chain = wall->is_in_chain ? &wall->chains[wall->count - 1] : NULL;
    if (span_is(word, "table")) {
        struct span name = span_trim(span_cut(&rest, '{'));
        copy(name, wall->table);
        wall->has_hauberk = wall->has_hauberk || span_is(name, "inet hauberk");
    } else if (span_is(word, "chain") && span_trim(rest).length > 0 && wall->count < CHAINS_MOST) {
        chain = &wall->chains[wall->count++];
        memcpy(chain->table, wall->table, sizeof(chain->table));
        copy(span_word(&rest), chain->name);
        wall->is_in_chain = true;
    } else if (!chain) {
        return; /* sets and their elements */
    } else if (span_is(word, "}")) {
        wall->is_in_chain = false;
    } else if (span_is(word, "type") && has(line, " hook ")) {
        chain->is_input = has(line, " hook input ");
        chain->has_drop_policy = has(line, "policy drop");
    } else {
        look_at_rule(wall, chain, line);
        note_end(chain, line);
    }
}

/* Where IPv6 is switched off no interface has an address of it (proc(5): one a line). */
static bool has_ipv6(void) {
    cleanup_text struct text text = {0};
    read_quietly("/proc/net/if_inet6", &text);
    return text.length > 0;
}

/* Old iptables keeps rules of its own beside nftables, which nft does not list: ":INPUT DROP
 * [0:0]", "-A INPUT -j REJECT …". True when they let nothing through that they do not know. */
static bool drops_in_legacy(struct look *look, const char *key, const char *tables,
                            const char *program) {
    const char *const arguments[] = {program, "-t", "filter", NULL};
    cleanup_text struct text names = {0};
    cleanup_text struct text rules = {0};
    struct span line;
    bool is_there = false;
    bool drops = false;
    read_quietly(tables, &names);
    struct span rest = text_span(&names);
    while (next_line(&rest, &line))
        is_there = is_there || span_is(line, "filter");
    if (!is_there)
        return false;
    int status = look_run(look, arguments, &rules, NULL);
    if (status != 0)
        look_say_not(look, key, "old iptables has rules in the kernel, which %s does not tell",
                     program);
    rest = text_span(&rules);
    while (status == 0 && next_line(&rest, &line))
        drops = drops || span_starts_with(line, SPAN(":INPUT DROP")) ||
                span_starts_with(line, SPAN("-A INPUT -j DROP")) ||
                span_starts_with(line, SPAN("-A INPUT -j REJECT"));
    return drops;
}

static void say_ends(struct look *look, struct wall *wall) {
    for (size_t i = 0; i < wall->count; i++)
        judge_chain(wall, &wall->chains[i]);
    wall->has_4 = wall->has_4 || drops_in_legacy(look, "input4", "/proc/net/ip_tables_names",
                                                 "iptables-legacy-save");
    wall->has_6 = wall->has_6 || drops_in_legacy(look, "input6", "/proc/net/ip6_tables_names",
                                                 "ip6tables-legacy-save");
    look_say_text(look, "input4", "", wall->has_4 ? "drop" : "accept");
    if (wall->has_6 || has_ipv6())
        look_say_text(look, "input6", "", wall->has_6 ? "drop" : "accept");
    look_say_text(look, "hauberk", "", wall->has_hauberk ? "yes" : "no");
    found_end(&wall->unbounded_log);
    found_end(&wall->global_limit);
}

static void say_rules(struct look *look) {
    static const char *const arguments[] = {"nft", "list", "ruleset", NULL};
    static const char *const keys[] = {"input4", "input6", "hauberk", "unbounded_log",
                                       "global_limit"};
    cleanup_text struct text output = {0};
    cleanup_text struct text complaint = {0};
    struct span line;
    struct wall wall = {.look = look, .chains = calloc(CHAINS_MOST, sizeof(struct chain)),
                        .unbounded_log = {look, "unbounded_log", 0},
                        .global_limit = {look, "global_limit", 0}};
    must(wall.chains);
    int status = look_run(look, arguments, &output, &complaint);
    for (size_t i = 0; status != 0 && i < ELEMENTS_OF(keys); i++)
        look_say_not(look, keys[i], "nft list ruleset: %.200s",
                     status < 0          ? strerror(-status)
                     : complaint.length ? complaint.at
                                        : "it failed");
    struct span rest = text_span(&output);
    while (status == 0 && next_line(&rest, &line))
        take_line(&wall, line);
    if (status == 0)
        say_ends(look, &wall);
    free(wall.chains);
}

static void note(void *is_there, const char *path) {
    (void)path;
    *(bool *)is_there = true;
}

static bool is_enabled(const char *unit) {
    char pattern[200];
    bool is_there = false;
    snprintf(pattern, sizeof(pattern), "/etc/systemd/system/*.wants/%s.service", unit);
    each_path(pattern, note, &is_there);
    return is_there;
}

static void say_keepers(struct look *look) {
    cleanup_text struct text text = {0};
    cleanup_text struct text keepers = {0};
    char value[20];
    unsigned count = 0;
    read_quietly("/etc/ufw/ufw.conf", &text);
    bool has_ufw = shell_value(text_span(&text), "ENABLED", value, sizeof(value)) &&
                   strcmp(value, "yes") == 0 && look_has_program("ufw");
    const struct {
        const char *name;
        bool keeps;
    } all[] = {
        {"ufw", has_ufw},
        {"firewalld", look_has_program("firewalld") && is_enabled("firewalld")},
        {"nftables", look_has_program("nft") && is_enabled("nftables")},
        {"netfilter-persistent", is_enabled("netfilter-persistent")},
        {"shorewall", is_enabled("shorewall")},
        {"ferm", is_enabled("ferm")},
    };
    for (size_t i = 0; i < ELEMENTS_OF(all); i++)
        if (all[i].keeps)
            text_add_format(&keepers, "%s%s", count++ ? " " : "", all[i].name);
    look_say_text(look, "keepers", "", count ? keepers.at : "none");
    look_say_format(look, "keeper_count", "", "%u", count);
    read_quietly("/etc/default/ufw", &text);
    if (has_ufw)
        look_say_text(look, "ufw_ipv6", "",
                      shell_value(text_span(&text), "IPV6", value, sizeof(value)) ? value : "no");
    look_say_text(look, "hauberkd", "", look_has_program("hauberkd") ? "yes" : "no");
}

void probe_wall(struct look *look) {
    say_rules(look);
    say_keepers(look);
}
