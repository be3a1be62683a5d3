/* The firewall: what the kernel's nftables hold (iptables of both releases puts its rules there
 * too), and who is said to keep it: ufw, firewalld, nftables.service, hauberk.
 *
 * Read from `nft list ruleset`, whose text is nested by braces: table, chain, then a statement a
 * line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/found.h"
#include "probe/words.h"

struct wall {
    struct look *look;
    char table[100]; /* "inet filter" */
    char chain[100];
    bool is_input;   /* this chain sees what comes in */
    bool drops;      /* its policy, or its last rule, lets nothing through */
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

/* "drop", "counter packets 3 bytes 180 drop", "reject with icmpx …": without a condition. */
static bool drops_all(struct span line) {
    struct span rest = line;
    struct span word = span_word(&rest);
    if (span_is(word, "counter"))
        for (int i = 0; i < 5; i++)
            word = span_word(&rest);
    return span_is(word, "drop") || span_is(word, "reject");
}

static void close_chain(struct wall *wall) {
    bool is_inet = strncmp(wall->table, "inet ", 5) == 0;
    if (wall->is_input) {
        look_say_format(wall->look, "input_chain", wall->table, "%s %s", wall->chain,
                        wall->drops ? "drops what it does not know" : "accepts");
        wall->has_4 = wall->has_4 ||
                      (wall->drops && (is_inet || strncmp(wall->table, "ip ", 3) == 0));
        wall->has_6 = wall->has_6 ||
                      (wall->drops && (is_inet || strncmp(wall->table, "ip6 ", 4) == 0));
    }
    wall->chain[0] = '\0';
    wall->is_input = wall->drops = false;
}

static void look_at_rule(struct wall *wall, struct span line) {
    char subject[210];
    snprintf(subject, sizeof(subject), "%s %s", wall->table, wall->chain);
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
    if (span_is(word, "table")) {
        struct span name = span_trim(span_cut(&rest, '{'));
        copy(name, wall->table);
        wall->has_hauberk = wall->has_hauberk || span_is(name, "inet hauberk");
    } else if (span_is(word, "chain")) {
        copy(span_word(&rest), wall->chain);
    } else if (!wall->chain[0]) {
        return; /* sets and their elements */
    } else if (span_is(word, "}")) {
        close_chain(wall);
    } else if (span_is(word, "type") && has(line, " hook ")) {
        wall->is_input = has(line, " hook input ");
        wall->drops = has(line, "policy drop");
    } else {
        look_at_rule(wall, line);
        wall->drops = wall->drops || (wall->is_input && drops_all(line));
    }
}

/* Where IPv6 is switched off no interface has an address of it (proc(5): one a line). */
static bool has_ipv6(void) {
    cleanup_text struct text text = {0};
    read_quietly("/proc/net/if_inet6", &text);
    return text.length > 0;
}

static void say_rules(struct look *look) {
    static const char *const arguments[] = {"nft", "list", "ruleset", NULL};
    static const char *const keys[] = {"input4", "input6", "hauberk", "unbounded_log",
                                       "global_limit"};
    cleanup_text struct text output = {0};
    cleanup_text struct text complaint = {0};
    struct span line;
    struct wall wall = {.look = look, .unbounded_log = {look, "unbounded_log", 0},
                        .global_limit = {look, "global_limit", 0}};
    int status = look_run(look, arguments, &output, &complaint);
    for (size_t i = 0; status != 0 && i < ELEMENTS_OF(keys); i++)
        look_say_not(look, keys[i], "nft list ruleset: %.200s",
                     status < 0          ? strerror(-status)
                     : complaint.length ? complaint.at
                                        : "it failed");
    if (status != 0)
        return;
    struct span rest = text_span(&output);
    while (next_line(&rest, &line))
        take_line(&wall, line);
    look_say_text(look, "input4", "", wall.has_4 ? "drop" : "accept");
    if (wall.has_6 || has_ipv6())
        look_say_text(look, "input6", "", wall.has_6 ? "drop" : "accept");
    look_say_text(look, "hauberk", "", wall.has_hauberk ? "yes" : "no");
    found_end(&wall.unbounded_log);
    found_end(&wall.global_limit);
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
