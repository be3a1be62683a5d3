/* What the files of enforce/ share: the netlink link and the batch (netlink.c), the names of our
 * nftables objects and the kinds of sets (nft_skeleton.c), elements (nft_elements.c), orders
 * (nft_orders.c), exemptions (exempt.c), what others change (nft_watch.c), the machine's own
 * addresses (own.c), cutting (cut.c) and other tables (others.c). Nobody outside this folder
 * includes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "enforce/enforce.h"

#define TABLE_NAME "hauberk"
#define CHAIN_NAME "guard"
#define EXEMPT_4 "exempt4"
#define EXEMPT_6 "exempt6"

enum {
    SET_NAME_MAX = SCOPE_NAME_MAX + 8, /* scope, longest suffix, NUL */
    MESSAGE_ROOM_BYTES = 72 * 1024,    /* no message of ours is longer: an attribute is <= 64 KiB */
    BATCH_ROOM_BYTES = 4 * 1024 * 1024,
    BATCH_ORDERS_MOST = 2000,
    EXEMPT_MOST = 4096, /* of each origin */
    DUMP_TRIES = 8,
};

/* ---- netlink.c: one socket to one part of the kernel ------------------------------------- */

struct netlink {
    struct mnl_socket *socket;
    uint32_t port, sequence;
    uint32_t send_most_bytes; /* longest packet the socket takes */
};

/* Called for each message of an answer; a negative errno becomes the answer's. */
typedef int netlink_message_fn(void *context, const struct nlmsghdr *message);

/* `groups` is a bit mask of multicast groups 1-32. */
must_use int netlink_open(struct netlink *link, int bus, uint32_t groups, struct why *reterr_why);
void netlink_close(struct netlink *link);
void netlink_want_buffers(struct netlink *link, int bytes);

/* Starts a message in `into`. */
struct nlmsghdr *netlink_message(void *into, uint16_t type, uint16_t flags);
struct nlmsghdr *nftables_message(void *into, uint8_t command, uint16_t flags);

/* Sends one request (a dump if NLM_F_DUMP is among its flags) and hands over the answer. All of it
 * is there when sendto() is back, so nothing waits. -EINTR: the dump was not consistent because
 * something changed meanwhile; the caller forgets what it was given and asks again. */
must_use int netlink_ask(struct netlink *link, struct nlmsghdr *request, netlink_message_fn *each,
                         void *context);

/* Messages and attributes begin at multiples of four bytes. (MNL_ALIGN is an int.) */
static inline size_t netlink_align(size_t bytes) {
    return (bytes + 3) & ~(size_t)3;
}

/* Walks attributes: behind the head of a message, inside a nest, or in plain bytes. (libmnl's
 * macros for it narrow pointer differences to int.) What is cut short ends the walk. */
struct attributes {
    const uint8_t *at;
    size_t left;
};
struct attributes attributes_of(const struct nlmsghdr *message, size_t head_bytes);
struct attributes attributes_in(const struct nlattr *nest);
const struct nlattr *attribute_next(struct attributes *attributes);
#define for_each_attribute(attribute, where)              \
    for (struct attributes attribute##_walk_ = (where);   \
         ((attribute) = attribute_next(&attribute##_walk_)) != NULL;)

/* One transaction of nf_tables: either all of its messages happen or none. */
struct batch {
    uint8_t *at; /* BATCH_ROOM_BYTES, owned */
    size_t length;
    size_t last; /* where the last message starts, 0 if there is none yet */
    uint32_t sequence;
    uint32_t commits; /* transactions that happened so far */
};

void batch_begin(struct batch *batch);
/* The next message, whose attributes the caller appends; then batch_add() keeps it. */
struct nlmsghdr *batch_next(struct batch *batch, uint8_t command, uint16_t flags);
void batch_add(struct batch *batch, const struct nlmsghdr *message);
must_use int batch_send(struct batch *batch, struct netlink *link);

/* ---- nft_skeleton.c: table, sets, chain and rules ---------------------------------------- */

enum set_kind { SET_4, SET_6, SET_6_64, SET_4_NETS, SET_6_NETS, SET_KINDS };

struct set_kind_info {
    const char *suffix;
    bool is_v4, is_interval;
    uint8_t length; /* of every prefix in it; 0: any */
};
extern const struct set_kind_info set_kinds[SET_KINDS];

enum set_kind set_kind_of(const struct prefix *prefix);
const char *set_name(char into[SET_NAME_MAX], const struct scope *scope, enum set_kind kind);

/* A named set of table inet hauberk as the kernel has it. */
struct kernel_set {
    char name[NFT_SET_MAXNAMELEN];
    uint32_t flags, key_type, key_bytes;
};
struct kernel_sets {
    struct kernel_set *at; /* owned */
    uint32_t count, room;
};
void kernel_sets_free(struct kernel_sets *sets);
#define cleanup_kernel_sets at_scope_end(kernel_sets_free)

/* The named sets of our table; none if there is no table. */
must_use int kernel_sets_read(struct netlink *link, struct kernel_sets *ret_sets);
const struct kernel_set *kernel_sets_find(const struct kernel_sets *sets, const char *name);
/* The length of every prefix in it, 0 for interval sets. */
uint8_t kernel_set_length(const struct kernel_set *set);
/* False for the sets of exemptions and for foreign ones whose keys are no addresses. */
bool kernel_set_holds_bans(const struct kernel_set *set);

must_use int skeleton_put(struct enforce *enforce, const struct scope *scopes, uint32_t count,
                          struct why *reterr_why);
must_use int table_exists(struct netlink *link); /* 1, 0 or -errno */

/* ---- nft_elements.c: what is in the sets ------------------------------------------------- */

struct range { /* of addresses of one family, both ends inclusive */
    struct address first, last;
};

struct range range_of(const struct prefix *prefix);

/* Adds elements to one set of a batch, as many messages as that takes. */
struct element_writer {
    struct batch *batch;
    const char *set;
    uint32_t set_id; /* of a set made in the same batch, else 0 */
    uint8_t command;
    bool is_exclusive; /* adding what is there already is an error */
    struct nlmsghdr *message; /* NULL: none begun */
    struct nlattr *list;
    unsigned count;
};
void elements_begin(struct element_writer *writer, struct batch *batch, uint8_t command,
                    const char *set);
void elements_key(struct element_writer *writer, const void *key, uint16_t key_bytes, bool is_end,
                  uint64_t timeout_ms);
/* A whole interval: its start and, unless it reaches the top of the space, its end. */
void elements_range(struct element_writer *writer, const struct range *range, uint64_t timeout_ms);
void elements_prefix(struct element_writer *writer, const struct prefix *prefix, bool is_interval,
                     uint64_t timeout_ms);
void elements_end(struct element_writer *writer);

typedef void prefix_fn(void *context, const struct prefix *prefix, int64_t expires_us,
                       uint64_t packets);
/* Names one element of one set, for a message that asks for it. */
void element_name_one(struct nlmsghdr *message, const char *table, const char *set, const void *key,
                      uint16_t bytes);
/* The one element with exactly that key of a hash set; -ENOENT when it is not there. */
must_use int element_get(struct netlink *link, const struct kernel_set *set,
                         const struct prefix *prefix, prefix_fn *each, void *context);
/* Every element of one set, intervals as prefixes and those in ascending order. */
must_use int elements_read(struct netlink *link, const struct kernel_set *set, prefix_fn *each,
                           void *context);
/* 1 if it was there and is out now, 0 if it was not there. */
must_use int element_drop(struct enforce *enforce, const char *set, const struct prefix *prefix,
                          bool is_interval);

/* ---- nft_orders.c: from orders to elements ----------------------------------------------- */

must_use int orders_apply(struct enforce *enforce, const struct enforce_order *orders,
                          uint32_t count, int *results, struct why *reterr_why);

/* ---- exempt.c: who is never banned ------------------------------------------------------- */

enum exempt_origin {
    EXEMPT_ALWAYS,
    EXEMPT_OWN,
    EXEMPT_GIVEN,
    EXEMPT_FOUND,
    EXEMPT_SPARED,
    EXEMPT_ORIGINS
};

struct exemption {
    struct prefix prefix;
    int64_t until_us;
};
struct exempt {
    struct {
        struct exemption *at; /* owned */
        uint32_t count;
    } lists[EXEMPT_ORIGINS];
    struct {
        struct range *at; /* owned; sorted, not overlapping */
        uint32_t count;
    } ranges[2]; /* IPv4, IPv6 */
};

must_use int exempt_open(struct exempt *exempt);
void exempt_close(struct exempt *exempt);
/* Replaces the list of one origin. Returns 1 if that changed anything, 0 if it was so already. */
must_use int exempt_replace(struct exempt *exempt, enum exempt_origin origin,
                            const struct prefix *prefixes, uint32_t count);
/* Likewise; longer wins over an earlier sparing of the same prefix. */
must_use int exempt_spare(struct exempt *exempt, const struct prefix *prefix, int64_t until_us);
/* Likewise; drops the sparing of that prefix. */
must_use int exempt_unspare(struct exempt *exempt, const struct prefix *prefix);
/* Likewise; drops the sparings that are over. */
must_use int exempt_tidy(struct exempt *exempt, int64_t now_us);
bool exempt_touches(const struct exempt *exempt, const struct prefix *prefix, int64_t now_us);
/* Into a batch: both sets emptied and filled again. */
void exempt_fill(const struct exempt *exempt, struct batch *batch);

/* ---- own.c, nft_watch.c, cut.c ----------------------------------------------------------- */

/* Addresses of all interfaces and next hops of the main table, EXEMPT_MOST of them at most;
 * *ret_prefixes is the caller's. */
must_use int own_read(struct netlink *link, struct prefix **ret_prefixes, uint32_t *ret_count);

struct watch {
    struct netlink tables, routes;
    int missed; /* an eventfd: somebody changed something while we were not listening */
    int fd;     /* an epoll of all three */
};
must_use int watch_open(struct watch *watch, uint32_t own_port, struct why *reterr_why);
void watch_close(struct watch *watch);

/* Around many transactions of our own: does not listen meanwhile. */
struct watch_pause {
    uint32_t generation, commits;
    bool is_paused;
};
struct watch_pause watch_pause(struct enforce *enforce);
void watch_resume(struct enforce *enforce, const struct watch_pause *pause);

struct cut_target {
    struct prefix prefix;
    uint32_t scopes; /* bit mask */
};
/* Sorts and merges `targets`. Returns the number of connections ended. */
must_use int cut_targets(struct enforce *enforce, struct cut_target *targets, uint32_t count,
                         struct why *reterr_why);

/* ---- enforce.c --------------------------------------------------------------------------- */

struct enforce {
    struct netlink netfilter, route, diag;
    struct watch watch;
    struct batch batch;
    struct exempt exempt;
    struct scope scopes[SCOPES_MAX];
    uint32_t scope_count;
    bool has_skeleton; /* as far as we know: the exempt sets exist */
    /* What of many hosts put at once the sets hold already; see nft_orders.c. */
    enum put_guess { NONE_IS_THERE, ALL_ARE_THERE, ANY_MAY_BE_THERE } put_guess;
};
