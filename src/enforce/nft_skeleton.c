/* The skeleton of table inet hauberk: sets, the chain and its rules. It is always written whole, in
 * one transaction: all rules go and come again, sets that are as they should be stay with their
 * elements, everything else in the table goes. The rules, as `nft list table inet hauberk` shows
 * them for a scope "ssh":
 *
 *     iif "lo" return
 *     ct direction original ct state established,related return
 *     ct direction reply meta l4proto != tcp return
 *     ct direction reply tcp dport 1024-65535 return
 *     ip saddr @exempt4 return
 *     ip6 saddr @exempt6 return
 *     tcp dport 22 ip saddr @ssh_4 counter drop              (and four more, one for each set)
 *     ct direction original ip saddr @all_4 counter drop     (a scope without ports)
 *                                                            (none for a shadow's sets)
 *
 * What is already connected passes the second rule; answers to our own connections come to high
 * ports and pass the fourth. The reply direction is not let through whole because of connections
 * that were cut and are then spoken on by *our* side: conntrack picks such a connection up in the
 * middle with us as its beginner, and the banned client's packets would count as answers. Several
 * ranges of ports become an anonymous set, which comes and goes with its rule.
 *
 * Facts: linux/netfilter/nf_tables.h; the key types (ipv4_addr 7, ipv6_addr 8, inet_service 13)
 * and the user data are nft's own, there so that nft prints the table as a person would write it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>

#include "enforce/private.h"

#define TABLE_COMMENT "made by hauberk; hauberk pause 1h lifts it"

enum {
    KEY_IPV4 = 7,
    KEY_IPV6 = 8,
    KEY_PORT = 13,
    BYTE_ORDER_BIG = 2, /* nft's value of NFTNL_UDATA_SET_KEYBYTEORDER for network order */
    LOOPBACK_INDEX = 1, /* of "lo" in every network namespace (include/net/flow.h) */
    HOOK_PRIORITY = -150,
    CHAINS_MOST = 64,
    WRITE_TRIES = 3,
    FIRST_HIGH_PORT = 1024,
};

const struct set_kind_info set_kinds[SET_KINDS] = {
    // clang-format off
    [SET_4]      = {"_4",      true,  false,  32},
    [SET_6]      = {"_6",      false, false, 128},
    [SET_6_64]   = {"_6_64",   false, false,  64},
    [SET_4_NETS] = {"_4_nets", true,  true,    0},
    [SET_6_NETS] = {"_6_nets", false, true,    0},
    // clang-format on
};

enum set_kind set_kind_of(const struct prefix *prefix) {
    bool is_v4 = prefix_is_v4(prefix);
    for (enum set_kind kind = 0; kind < SET_KINDS; kind++)
        if (set_kinds[kind].is_v4 == is_v4 &&
            (set_kinds[kind].length == prefix->length || set_kinds[kind].length == 0))
            return kind;
    must(false); /* the last kinds take any length */
    return SET_KINDS;
}

const char *set_name(char into[SET_NAME_MAX], const struct scope *scope, enum set_kind kind) {
    snprintf(into, SET_NAME_MAX, "%s%s", scope->name, set_kinds[kind].suffix);
    return into;
}

/* ---- what the kernel has ----------------------------------------------------------------- */

void kernel_sets_free(struct kernel_sets *sets) {
    free(sets->at);
    *sets = (struct kernel_sets){0};
}

static void nftnl_set_drop(struct nftnl_set **set) {
    if (*set)
        nftnl_set_free(*set);
}
static void nftnl_chain_drop(struct nftnl_chain **chain) {
    if (*chain)
        nftnl_chain_free(*chain);
}
static void nftnl_rule_drop(struct nftnl_rule **rule) {
    if (*rule)
        nftnl_rule_free(*rule);
}

static int kernel_sets_add(void *context, const struct nlmsghdr *message) {
    struct kernel_sets *sets = context;
    at_scope_end(nftnl_set_drop) struct nftnl_set *set = nftnl_set_alloc();
    if (!set)
        return -ENOMEM;
    if (nftnl_set_nlmsg_parse(message, set) < 0)
        return -EBADMSG;
    uint32_t flags = nftnl_set_get_u32(set, NFTNL_SET_FLAGS);
    const char *table = nftnl_set_get_str(set, NFTNL_SET_TABLE);
    const char *name = nftnl_set_get_str(set, NFTNL_SET_NAME);
    if (!table || !name || strcmp(table, TABLE_NAME) != 0 || (flags & NFT_SET_ANONYMOUS))
        return 0;
    if (sets->count == sets->room) {
        uint32_t room = sets->room ? 2 * sets->room : 64;
        struct kernel_set *at = reallocarray(sets->at, room, sizeof(*at));
        if (!at)
            return -ENOMEM;
        sets->at = at;
        sets->room = room;
    }
    struct kernel_set *into = &sets->at[sets->count++];
    snprintf(into->name, sizeof(into->name), "%s", name);
    into->flags = flags;
    into->key_type = nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE);
    into->key_bytes = nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN);
    return 0;
}

int kernel_sets_read(struct netlink *link, struct kernel_sets *ret_sets) {
    struct kernel_sets sets = {0};
    int error = -EINTR;
    for (unsigned i = 0; i < DUMP_TRIES && error == -EINTR; i++) {
        uint8_t request[256];
        struct nlmsghdr *message = nftables_message(request, NFT_MSG_GETSET, NLM_F_DUMP);
        mnl_attr_put_strz(message, NFTA_SET_TABLE, TABLE_NAME);
        sets.count = 0;
        error = netlink_ask(link, message, kernel_sets_add, &sets);
    }
    if (error == -ENOENT) /* no table: no sets */
        error = 0;
    if (error < 0) {
        kernel_sets_free(&sets);
        return error;
    }
    *ret_sets = sets;
    return 0;
}

const struct kernel_set *kernel_sets_find(const struct kernel_sets *sets, const char *name) {
    for (uint32_t i = 0; i < sets->count; i++)
        if (strcmp(sets->at[i].name, name) == 0)
            return &sets->at[i];
    return NULL;
}

bool kernel_set_holds_bans(const struct kernel_set *set) {
    return strcmp(set->name, EXEMPT_4) != 0 && strcmp(set->name, EXEMPT_6) != 0 &&
           !(set->flags & (NFT_SET_MAP | NFT_SET_OBJECT | NFT_SET_CONCAT)) &&
           ((set->key_type == KEY_IPV4 && set->key_bytes == 4) ||
            (set->key_type == KEY_IPV6 && set->key_bytes == 16));
}

uint8_t kernel_set_length(const struct kernel_set *set) {
    size_t length = strlen(set->name), tail = strlen(set_kinds[SET_6_64].suffix);
    if (set->flags & NFT_SET_INTERVAL)
        return 0;
    if (set->key_bytes == 4)
        return 32;
    return length > tail && strcmp(set->name + length - tail, set_kinds[SET_6_64].suffix) == 0
               ? 64 : 128;
}

int table_exists(struct netlink *link) {
    uint8_t request[256];
    struct nlmsghdr *message = nftables_message(request, NFT_MSG_GETTABLE, 0);
    mnl_attr_put_strz(message, NFTA_TABLE_NAME, TABLE_NAME);
    int error = netlink_ask(link, message, NULL, NULL);
    return error == -ENOENT ? 0 : error < 0 ? error : 1;
}

struct chains {
    char names[CHAINS_MOST][NFT_CHAIN_MAXNAMELEN];
    uint32_t count; /* those that have no place in our table */
};

static bool chain_is_guard(const struct nftnl_chain *chain) {
    const char *type = nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE);
    return strcmp(nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME), CHAIN_NAME) == 0 && type &&
           strcmp(type, "filter") == 0 &&
           nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM) == NF_INET_PRE_ROUTING &&
           nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO) == HOOK_PRIORITY;
}

static int chains_add(void *context, const struct nlmsghdr *message) {
    struct chains *chains = context;
    at_scope_end(nftnl_chain_drop) struct nftnl_chain *chain = nftnl_chain_alloc();
    if (!chain)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(message, chain) < 0)
        return -EBADMSG;
    const char *table = nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE);
    const char *name = nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME);
    if (!table || !name || strcmp(table, TABLE_NAME) != 0 || chain_is_guard(chain))
        return 0;
    if (chains->count == CHAINS_MOST)
        return -E2BIG;
    snprintf(chains->names[chains->count++], NFT_CHAIN_MAXNAMELEN, "%s", name);
    return 0;
}

/* What our rules have counted, by the set they look up: kept when the rules are written anew. */
struct rule_count {
    char set[SET_NAME_MAX];
    uint64_t packets, bytes;
};
struct rule_counts {
    struct rule_count at[SCOPES_MAX * SET_KINDS];
    uint32_t count;
};

static int expression_count(struct nftnl_expr *expression, void *context) {
    struct rule_count *into = context;
    const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    if (strcmp(name, "lookup") == 0) { /* the last one names the set of addresses */
        const char *set = nftnl_expr_get_str(expression, NFTNL_EXPR_LOOKUP_SET);
        snprintf(into->set, sizeof(into->set), "%s", set ? set : "");
    } else if (strcmp(name, "counter") == 0) {
        into->packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
        into->bytes = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
    }
    return 0;
}

static int rule_counts_add(void *context, const struct nlmsghdr *message) {
    struct rule_counts *counts = context;
    at_scope_end(nftnl_rule_drop) struct nftnl_rule *rule = nftnl_rule_alloc();
    if (!rule)
        return -ENOMEM;
    if (nftnl_rule_nlmsg_parse(message, rule) < 0)
        return -EBADMSG;
    struct rule_count one = {0};
    nftnl_expr_foreach(rule, expression_count, &one);
    if (one.packets > 0 && counts->count < ELEMENTS_OF(counts->at))
        counts->at[counts->count++] = one;
    return 0;
}

static int rule_counts_read(struct netlink *link, struct rule_counts *into) {
    int error = -EINTR;
    for (unsigned i = 0; i < DUMP_TRIES && error == -EINTR; i++) {
        uint8_t request[256];
        struct nlmsghdr *message = nftables_message(request, NFT_MSG_GETRULE, NLM_F_DUMP);
        mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE_NAME);
        mnl_attr_put_strz(message, NFTA_RULE_CHAIN, CHAIN_NAME);
        into->count = 0;
        error = netlink_ask(link, message, rule_counts_add, into);
    }
    return error == -ENOENT ? 0 : error;
}

static int chains_read(struct netlink *link, struct chains *into) {
    int error = -EINTR;
    for (unsigned i = 0; i < DUMP_TRIES && error == -EINTR; i++) {
        uint8_t request[256];
        struct nlmsghdr *message = nftables_message(request, NFT_MSG_GETCHAIN, NLM_F_DUMP);
        into->count = 0;
        error = netlink_ask(link, message, chains_add, into);
    }
    return error;
}

int enforce_count_refused(struct enforce *enforce, uint16_t scope, uint64_t *ret_packets,
                          struct why *reterr_why) {
    if (scope >= enforce->scope_count)
        return why_set(reterr_why, -EINVAL, NULL, 0, "there is no scope %u", scope);
    struct rule_counts counts;
    int error = rule_counts_read(&enforce->netfilter, &counts);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "cannot read the counters of table inet %s: %s",
                       TABLE_NAME, strerror(-error));
    uint64_t packets = 0;
    for (enum set_kind kind = 0; kind < SET_KINDS; kind++) {
        char name[SET_NAME_MAX];
        set_name(name, &enforce->scopes[scope], kind);
        for (uint32_t i = 0; i < counts.count; i++)
            if (strcmp(counts.at[i].set, name) == 0)
                packets += counts.at[i].packets;
    }
    *ret_packets = packets;
    return 0;
}

/* ---- expressions: one function per line of a rule ---------------------------------------- */

static struct nftnl_expr *add_expression(struct nftnl_rule *rule, const char *name) {
    struct nftnl_expr *expression = nftnl_expr_alloc(name);
    must(expression);
    nftnl_rule_add_expr(rule, expression);
    return expression;
}

static void add_compare(struct nftnl_rule *rule, uint32_t how, const void *to, uint32_t bytes) {
    struct nftnl_expr *compare = add_expression(rule, "cmp");
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, how);
    nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, to, bytes);
}

static void add_mask(struct nftnl_rule *rule, const void *mask, uint32_t bytes) {
    static const uint8_t nothing[16];
    struct nftnl_expr *bitwise = add_expression(rule, "bitwise");
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, bytes);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, mask, bytes);
    nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, nothing, bytes);
}

static void add_meta(struct nftnl_rule *rule, uint32_t key) {
    struct nftnl_expr *meta = add_expression(rule, "meta");
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void add_conntrack(struct nftnl_rule *rule, uint32_t key) {
    struct nftnl_expr *conntrack = add_expression(rule, "ct");
    nftnl_expr_set_u32(conntrack, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u32(conntrack, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

static void add_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t bytes) {
    struct nftnl_expr *payload = add_expression(rule, "payload");
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, bytes);
}

static void add_lookup(struct nftnl_rule *rule, const char *set, uint32_t set_id) {
    struct nftnl_expr *lookup = add_expression(rule, "lookup");
    nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set);
    if (set_id)
        nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SET_ID, set_id);
}

static void add_counter(struct nftnl_rule *rule, uint64_t packets, uint64_t bytes) {
    struct nftnl_expr *counter = add_expression(rule, "counter");
    nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_PACKETS, packets);
    nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_BYTES, bytes);
}

static void add_verdict(struct nftnl_rule *rule, int verdict) {
    struct nftnl_expr *immediate = add_expression(rule, "immediate");
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
}

static void add_direction(struct nftnl_rule *rule, uint8_t direction) {
    add_conntrack(rule, NFT_CT_DIRECTION);
    add_compare(rule, NFT_CMP_EQ, &direction, sizeof(direction));
}

/* Loads of a header must come behind the check that it is there: the table is of both families. */
static void add_source_address(struct nftnl_rule *rule, bool is_v4) {
    enum { SOURCE_AT_4 = 12, SOURCE_AT_6 = 8 }; /* RFC 791, RFC 8200 */
    add_meta(rule, NFT_META_NFPROTO);
    add_compare(rule, NFT_CMP_EQ, &(uint8_t){is_v4 ? NFPROTO_IPV4 : NFPROTO_IPV6}, 1);
    if (is_v4)
        add_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, SOURCE_AT_4, 4);
    else
        add_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, SOURCE_AT_6, 16);
}

static void add_tcp(struct nftnl_rule *rule, uint32_t how) {
    add_meta(rule, NFT_META_L4PROTO);
    add_compare(rule, how, &(uint8_t){IPPROTO_TCP}, 1);
}

static void add_port(struct nftnl_rule *rule) {
    enum { DESTINATION_PORT_AT = 2 }; /* RFC 9293 */
    add_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, DESTINATION_PORT_AT, 2);
}

static void add_port_range(struct nftnl_rule *rule, uint16_t first, uint16_t last) {
    uint16_t from = htons(first), to = htons(last);
    add_port(rule);
    if (first == last) {
        add_compare(rule, NFT_CMP_EQ, &from, sizeof(from));
    } else {
        add_compare(rule, NFT_CMP_GTE, &from, sizeof(from));
        add_compare(rule, NFT_CMP_LTE, &to, sizeof(to));
    }
}

/* ---- the transaction --------------------------------------------------------------------- */

struct writing {
    struct batch *batch;
    struct rule_counts counts;
    uint32_t next_set_id;
};

static struct nftnl_rule *rule_new(void) {
    struct nftnl_rule *rule = nftnl_rule_alloc();
    must(rule);
    nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE_NAME);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, CHAIN_NAME);
    return rule;
}

static void rule_write(struct writing *writing, struct nftnl_rule *rule) {
    struct nlmsghdr *message =
        batch_next(writing->batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nftnl_rule_nlmsg_build_payload(message, rule);
    batch_add(writing->batch, message);
    nftnl_rule_free(rule);
}

static void write_table(struct writing *writing) {
    struct nftnl_table *table = nftnl_table_alloc();
    struct nftnl_udata_buf *user_data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    must(table && user_data);
    must(nftnl_udata_put_strz(user_data, NFTNL_UDATA_TABLE_COMMENT, TABLE_COMMENT));
    nftnl_table_set_u32(table, NFTNL_TABLE_FAMILY, NFPROTO_INET);
    nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE_NAME);
    nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, 0); /* wakes a dormant one */
    nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(user_data),
                         nftnl_udata_buf_len(user_data));
    struct nlmsghdr *message = batch_next(writing->batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    nftnl_table_nlmsg_build_payload(message, table);
    batch_add(writing->batch, message);
    nftnl_udata_buf_free(user_data);
    nftnl_table_free(table);
}

static void delete_all_rules(struct writing *writing) {
    struct nlmsghdr *message = batch_next(writing->batch, NFT_MSG_DELRULE, 0);
    mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE_NAME);
    batch_add(writing->batch, message);
}

static void delete_set(struct writing *writing, const char *name) {
    struct nlmsghdr *message = batch_next(writing->batch, NFT_MSG_DELSET, 0);
    mnl_attr_put_strz(message, NFTA_SET_TABLE, TABLE_NAME);
    mnl_attr_put_strz(message, NFTA_SET_NAME, name);
    batch_add(writing->batch, message);
}

static void delete_chain(struct writing *writing, const char *name) {
    struct nlmsghdr *message = batch_next(writing->batch, NFT_MSG_DELCHAIN, 0);
    mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, TABLE_NAME);
    mnl_attr_put_strz(message, NFTA_CHAIN_NAME, name);
    batch_add(writing->batch, message);
}

static void write_chain(struct writing *writing) {
    struct nftnl_chain *chain = nftnl_chain_alloc();
    must(chain);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, CHAIN_NAME);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_INET_PRE_ROUTING);
    nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, HOOK_PRIORITY);
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
    struct nlmsghdr *message = batch_next(writing->batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    nftnl_chain_nlmsg_build_payload(message, chain);
    batch_add(writing->batch, message);
    nftnl_chain_free(chain);
}

static struct nftnl_expr *counter_expression(void) {
    struct nftnl_expr *counter = nftnl_expr_alloc("counter");
    must(counter);
    return counter;
}

/* Returns the id by which rules of the same transaction refer to it. */
static uint32_t write_set(struct writing *writing, const char *name, uint32_t flags,
                          uint32_t key_type, uint32_t key_bytes) {
    struct nftnl_set *set = nftnl_set_alloc();
    struct nftnl_udata_buf *user_data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    must(set && user_data);
    must(nftnl_udata_put_u32(user_data, NFTNL_UDATA_SET_KEYBYTEORDER, BYTE_ORDER_BIG));
    uint32_t id = ++writing->next_set_id;
    nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME);
    nftnl_set_set_str(set, NFTNL_SET_NAME, name);
    nftnl_set_set_u32(set, NFTNL_SET_FLAGS, flags);
    nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, key_type);
    nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, key_bytes);
    nftnl_set_set_u32(set, NFTNL_SET_ID, id);
    if (flags & NFT_SET_TIMEOUT) /* `why` tells how often a banned address was refused */
        nftnl_set_add_expr(set, counter_expression());
    nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(user_data),
                       nftnl_udata_buf_len(user_data));
    struct nlmsghdr *message = batch_next(writing->batch, NFT_MSG_NEWSET, NLM_F_CREATE);
    nftnl_set_nlmsg_build_payload(message, set);
    batch_add(writing->batch, message);
    nftnl_udata_buf_free(user_data);
    nftnl_set_free(set);
    return id;
}

struct wanted_set {
    char name[SET_NAME_MAX];
    bool is_v4;
    uint32_t flags;
};

static uint32_t wanted_sets(const struct scope *scopes, uint32_t count, struct wanted_set *into) {
    uint32_t wanted = 0;
    into[wanted++] = (struct wanted_set){EXEMPT_4, true, NFT_SET_INTERVAL};
    into[wanted++] = (struct wanted_set){EXEMPT_6, false, NFT_SET_INTERVAL};
    for (uint32_t i = 0; i < count; i++) {
        for (enum set_kind kind = 0; kind < SET_KINDS; kind++) {
            struct wanted_set *set = &into[wanted++];
            set_name(set->name, &scopes[i], kind);
            set->is_v4 = set_kinds[kind].is_v4;
            set->flags = NFT_SET_TIMEOUT | (set_kinds[kind].is_interval ? NFT_SET_INTERVAL : 0u);
        }
    }
    return wanted;
}

static bool set_is_as_wanted(const struct kernel_set *set, const struct wanted_set *wanted) {
    return strcmp(set->name, wanted->name) == 0 && set->flags == wanted->flags &&
           set->key_type == (wanted->is_v4 ? KEY_IPV4 : KEY_IPV6) &&
           set->key_bytes == (wanted->is_v4 ? 4 : 16);
}

/* Sets that are as wanted are left alone; all others in the table go, and what is missing comes. */
static void mend_sets(struct writing *writing, const struct kernel_sets *found,
                      const struct scope *scopes, uint32_t count) {
    struct wanted_set wanted[2 + SCOPES_MAX * SET_KINDS];
    bool is_there[ELEMENTS_OF(wanted)] = {false};
    uint32_t wanted_count = wanted_sets(scopes, count, wanted);
    for (uint32_t i = 0; i < found->count; i++) {
        uint32_t j = 0;
        while (j < wanted_count && !set_is_as_wanted(&found->at[i], &wanted[j]))
            j++;
        if (j < wanted_count)
            is_there[j] = true;
        else
            delete_set(writing, found->at[i].name);
    }
    for (uint32_t j = 0; j < wanted_count; j++)
        if (!is_there[j])
            write_set(writing, wanted[j].name, wanted[j].flags,
                      wanted[j].is_v4 ? KEY_IPV4 : KEY_IPV6, wanted[j].is_v4 ? 4 : 16);
}

static uint32_t write_port_set(struct writing *writing, const struct scope *scope) {
    uint32_t id = write_set(writing, "__set%d", NFT_SET_ANONYMOUS | NFT_SET_CONSTANT |
                            NFT_SET_INTERVAL, KEY_PORT, 2);
    struct element_writer writer;
    elements_begin(&writer, writing->batch, NFT_MSG_NEWSETELEM, "__set%d");
    writer.set_id = id;
    for (unsigned i = 0; i < scope->range_count; i++) {
        uint16_t first = htons(scope->ranges[i].first);
        uint16_t behind = htons((uint16_t)(scope->ranges[i].last + 1));
        elements_key(&writer, &first, sizeof(first), false, 0);
        if (behind != 0)
            elements_key(&writer, &behind, sizeof(behind), true, 0);
    }
    elements_end(&writer);
    return id;
}

static void write_scope_rule(struct writing *writing, const struct scope *scope,
                             enum set_kind kind) {
    struct nftnl_rule *rule = rule_new();
    if (scope->range_count == 0) {
        add_direction(rule, IP_CT_DIR_ORIGINAL);
    } else {
        add_tcp(rule, NFT_CMP_EQ);
        if (scope->range_count == 1) {
            add_port_range(rule, scope->ranges[0].first, scope->ranges[0].last);
        } else {
            uint32_t id = write_port_set(writing, scope);
            add_port(rule);
            add_lookup(rule, "__set%d", id);
        }
    }
    add_source_address(rule, set_kinds[kind].is_v4);
    if (kind == SET_6_64)
        add_mask(rule, (uint8_t[16]){255, 255, 255, 255, 255, 255, 255, 255}, 16);
    char name[SET_NAME_MAX];
    add_lookup(rule, set_name(name, scope, kind), 0);
    uint64_t packets = 0, bytes = 0;
    for (uint32_t i = 0; i < writing->counts.count; i++) {
        const struct rule_count *count = &writing->counts.at[i];
        if (strcmp(count->set, name) == 0) {
            packets += count->packets;
            bytes += count->bytes;
        }
    }
    add_counter(rule, packets, bytes);
    add_verdict(rule, NF_DROP);
    rule_write(writing, rule);
}

static void write_exempt_rule(struct writing *writing, bool is_v4) {
    struct nftnl_rule *rule = rule_new();
    add_source_address(rule, is_v4);
    add_lookup(rule, is_v4 ? EXEMPT_4 : EXEMPT_6, 0);
    add_verdict(rule, NFT_RETURN);
    rule_write(writing, rule);
}

static void write_rules(struct writing *writing, const struct scope *scopes, uint32_t count) {
    struct nftnl_rule *rule = rule_new();
    add_meta(rule, NFT_META_IIF);
    add_compare(rule, NFT_CMP_EQ, &(uint32_t){LOOPBACK_INDEX}, 4);
    add_verdict(rule, NFT_RETURN);
    rule_write(writing, rule);

    rule = rule_new();
    add_direction(rule, IP_CT_DIR_ORIGINAL);
    add_conntrack(rule, NFT_CT_STATE);
    add_mask(rule,
             &(uint32_t){NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED)}, 4);
    add_compare(rule, NFT_CMP_NEQ, &(uint32_t){0}, 4);
    add_verdict(rule, NFT_RETURN);
    rule_write(writing, rule);

    rule = rule_new();
    add_direction(rule, IP_CT_DIR_REPLY);
    add_tcp(rule, NFT_CMP_NEQ);
    add_verdict(rule, NFT_RETURN);
    rule_write(writing, rule);

    rule = rule_new();
    add_direction(rule, IP_CT_DIR_REPLY);
    add_tcp(rule, NFT_CMP_EQ);
    add_port_range(rule, FIRST_HIGH_PORT, UINT16_MAX);
    add_verdict(rule, NFT_RETURN);
    rule_write(writing, rule);

    write_exempt_rule(writing, true);
    write_exempt_rule(writing, false);
    for (uint32_t i = 0; i < count; i++)
        for (enum set_kind kind = 0; kind < SET_KINDS && !scopes[i].is_shadow; kind++)
            write_scope_rule(writing, &scopes[i], kind);
}

static int skeleton_try(struct enforce *enforce, const struct scope *scopes, uint32_t count) {
    struct writing writing = {.batch = &enforce->batch};
    struct chains foreign;
    cleanup_kernel_sets struct kernel_sets found = {0};
    int error = kernel_sets_read(&enforce->netfilter, &found);
    if (error >= 0)
        error = chains_read(&enforce->netfilter, &foreign);
    if (error >= 0)
        error = rule_counts_read(&enforce->netfilter, &writing.counts);
    if (error < 0)
        return error;
    batch_begin(writing.batch);
    write_table(&writing);
    delete_all_rules(&writing);
    mend_sets(&writing, &found, scopes, count);
    for (uint32_t i = 0; i < foreign.count; i++)
        delete_chain(&writing, foreign.names[i]);
    write_chain(&writing);
    exempt_fill(&enforce->exempt, writing.batch);
    write_rules(&writing, scopes, count);
    return batch_send(writing.batch, &enforce->netfilter);
}

int skeleton_put(struct enforce *enforce, const struct scope *scopes, uint32_t count,
                 struct why *reterr_why) {
    int error = 0;
    /* Whoever changes the table between our look and our transaction makes it fail; look again. */
    for (unsigned i = 0; i < WRITE_TRIES; i++) {
        error = skeleton_try(enforce, scopes, count);
        if (error != -ENOENT && error != -EEXIST && error != -EBUSY)
            break;
    }
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0,
                       "the kernel does not take table inet %s: %s%s", TABLE_NAME,
                       strerror(-error),
                       error == -EPERM ? "; CAP_NET_ADMIN is needed" : "");
    return 0;
}
