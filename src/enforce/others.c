/* Who else refuses an address: sets of other tables (fail2ban, CrowdSec, a firewall of one's own)
 * that hold it and that a rule of theirs drops or rejects by. The kernel is asked for the one
 * address, so the size of a set does not matter. What is refused otherwise is not seen: by rules
 * that name addresses themselves (iptables), by sets without names or of several keys, or outside
 * of this machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <stdio.h>

#include "enforce/private.h"

enum { OTHERS_MOST = 512 };

struct other_set {
    uint8_t family;
    char table[NFT_TABLE_MAXNAMELEN], name[NFT_SET_MAXNAMELEN];
    bool holds_it, refuses;
};

struct others {
    struct other_set *at; /* owned */
    uint32_t count;
    uint8_t key_bytes;
};

static void others_free(struct others *others) {
    free(others->at);
}

static void set_drop(struct nftnl_set **set) {
    if (*set)
        nftnl_set_free(*set);
}

static void rule_drop(struct nftnl_rule **rule) {
    if (*rule)
        nftnl_rule_free(*rule);
}

static void expressions_drop(struct nftnl_expr_iter **iterator) {
    if (*iterator)
        nftnl_expr_iter_destroy(*iterator);
}

static uint8_t family_of(const struct nlmsghdr *message) {
    const struct nfgenmsg *head = mnl_nlmsg_get_payload(message);
    return head->nfgen_family;
}

static struct nlmsghdr *ask_family(void *into, uint8_t command, uint16_t flags, uint8_t family) {
    struct nlmsghdr *message = nftables_message(into, command, flags);
    struct nfgenmsg *head = mnl_nlmsg_get_payload(message);
    head->nfgen_family = family;
    return message;
}

static int take_set(void *context, const struct nlmsghdr *message) {
    struct others *others = context;
    at_scope_end(set_drop) struct nftnl_set *set = nftnl_set_alloc();
    if (!set)
        return -ENOMEM;
    if (nftnl_set_nlmsg_parse(message, set) < 0)
        return -EBADMSG;
    const char *table = nftnl_set_get_str(set, NFTNL_SET_TABLE);
    const char *name = nftnl_set_get_str(set, NFTNL_SET_NAME);
    uint32_t flags = nftnl_set_get_u32(set, NFTNL_SET_FLAGS);
    bool is_ours = table && family_of(message) == NFPROTO_INET && strcmp(table, TABLE_NAME) == 0;
    if (!table || !name || is_ours || others->count == OTHERS_MOST ||
        (flags & (NFT_SET_ANONYMOUS | NFT_SET_MAP | NFT_SET_OBJECT | NFT_SET_CONCAT)) ||
        nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN) != others->key_bytes)
        return 0;
    struct other_set *into = &others->at[others->count++];
    *into = (struct other_set){.family = family_of(message)};
    snprintf(into->table, sizeof(into->table), "%s", table);
    snprintf(into->name, sizeof(into->name), "%s", name);
    return 0;
}

static int ignore_message(void *context, const struct nlmsghdr *message) {
    (void)context;
    (void)message;
    return 0;
}

static bool is_held(struct netlink *link, const struct other_set *set, const void *key,
                    uint16_t bytes) {
    uint8_t request[1024];
    struct nlmsghdr *message = ask_family(request, NFT_MSG_GETSETELEM, NLM_F_ACK, set->family);
    element_name_one(message, set->table, set->name, key, bytes);
    return netlink_ask(link, message, ignore_message, NULL) == 0;
}

static struct other_set *find_held(const struct others *others, uint8_t family, const char *table,
                                   const char *name) {
    for (uint32_t i = 0; table && name && i < others->count; i++)
        if (others->at[i].holds_it && others->at[i].family == family &&
            strcmp(others->at[i].table, table) == 0 && strcmp(others->at[i].name, name) == 0)
            return &others->at[i];
    return NULL;
}

/* A rule that looks the address up, and drops or rejects what it finds. */
static int take_rule(void *context, const struct nlmsghdr *message) {
    struct others *others = context;
    at_scope_end(rule_drop) struct nftnl_rule *rule = nftnl_rule_alloc();
    if (!rule || nftnl_rule_nlmsg_parse(message, rule) < 0)
        return 0; /* of a kernel that is newer than the library: it tells nothing */
    at_scope_end(expressions_drop) struct nftnl_expr_iter *iterator =
        nftnl_expr_iter_create(rule);
    const char *table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE);
    struct other_set *looked_up = NULL;
    struct nftnl_expr *one;
    while (iterator && (one = nftnl_expr_iter_next(iterator))) {
        const char *name = nftnl_expr_get_str(one, NFTNL_EXPR_NAME);
        if (!name)
            continue;
        if (strcmp(name, "lookup") == 0 && nftnl_expr_get_u32(one, NFTNL_EXPR_LOOKUP_FLAGS) == 0)
            looked_up = find_held(others, family_of(message), table,
                                  nftnl_expr_get_str(one, NFTNL_EXPR_LOOKUP_SET));
        bool refuses = strcmp(name, "reject") == 0 ||
                       (strcmp(name, "immediate") == 0 &&
                        nftnl_expr_is_set(one, NFTNL_EXPR_IMM_VERDICT) &&
                        nftnl_expr_get_u32(one, NFTNL_EXPR_IMM_VERDICT) == NF_DROP);
        if (looked_up && refuses)
            looked_up->refuses = true;
    }
    return 0;
}

static int dump(struct netlink *link, uint8_t command, netlink_message_fn *each,
                struct others *others, uint32_t *count) {
    int error = -EINTR;
    for (unsigned i = 0; i < DUMP_TRIES && error == -EINTR; i++) {
        uint8_t request[256];
        struct nlmsghdr *message = ask_family(request, command, NLM_F_DUMP, NFPROTO_UNSPEC);
        if (count)
            *count = 0;
        error = netlink_ask(link, message, each, others);
    }
    return error;
}

int enforce_list_others(struct enforce *enforce, const struct address *address,
                        enforce_other_fn *each, void *context, struct why *reterr_why) {
    at_scope_end(others_free) struct others others = {
        .at = calloc(OTHERS_MOST, sizeof(struct other_set)),
        .key_bytes = address_is_v4(address) ? 4 : 16};
    if (!others.at)
        return why_set(reterr_why, -ENOMEM, NULL, 0, "no memory for the kernel's sets");
    const uint8_t *key = address->at + sizeof(address->at) - others.key_bytes;
    uint32_t held = 0;
    int error = dump(&enforce->netfilter, NFT_MSG_GETSET, take_set, &others, &others.count);
    for (uint32_t i = 0; error == 0 && i < others.count; i++) {
        others.at[i].holds_it = is_held(&enforce->netfilter, &others.at[i], key, others.key_bytes);
        held += others.at[i].holds_it;
    }
    if (error == 0 && held > 0)
        error = dump(&enforce->netfilter, NFT_MSG_GETRULE, take_rule, &others, NULL);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "the kernel's other tables cannot be read: %s",
                       strerror(-error));
    for (uint32_t i = 0; i < others.count; i++)
        if (others.at[i].refuses)
            each(context, others.at[i].table, others.at[i].name);
    return 0;
}
