/* Ending what is already connected: sockets of this machine by SOCK_DESTROY (sock_diag(7)), and
 * connections that are only forwarded by deleting their conntrack entries, after which their
 * packets count as new and meet the rules. Sockets first: their resets must still find the way.
 *
 * A socket is taken for accepted here, rather than for our own outgoing connection, when its local
 * port is in the scope and either something listens on that port or the scope names it and it is
 * below 1024, where no outgoing connection of ours begins. Conntrack knows who began.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/clock.h"
#include "enforce/private.h"

enum { PORTS = 65536, FIRST_EPHEMERAL_PORT = 1024, LENGTHS = 129 };

struct cutting {
    struct enforce *enforce;
    const struct cut_target *targets; /* sorted by prefix, each once */
    uint32_t count;
    int64_t now_us;
    bool has_length[2][LENGTHS]; /* is there a target of that family and length? */
    uint32_t ended;
};

/* ---- which scopes are to be cut for an address ------------------------------------------- */

static int compare_targets(const void *a, const void *b) {
    const struct cut_target *left = a, *right = b;
    return memcmp(&left->prefix, &right->prefix, sizeof(left->prefix));
}

/* None for an exempt address, should the prefix be wider than what may be banned: a flow that
 * comes from our own address is our own. */
static uint32_t scopes_cut_for(const struct cutting *cutting, const struct address *address) {
    unsigned family = address_is_v4(address) ? 0 : 1;
    uint32_t scopes = 0;
    for (unsigned length = 0; length <= (family == 0 ? 32u : 128u); length++) {
        if (!cutting->has_length[family][length])
            continue;
        struct cut_target wanted = {.prefix = prefix_cut(address, (uint8_t)length)};
        const struct cut_target *found = bsearch(&wanted, cutting->targets, cutting->count,
                                                 sizeof(wanted), compare_targets);
        scopes |= found ? found->scopes : 0;
    }
    struct prefix host = prefix_of(address);
    if (scopes != 0 && exempt_touches(&cutting->enforce->exempt, &host, cutting->now_us))
        return 0;
    return scopes;
}

static bool scope_names_port(const struct scope *scope, uint16_t port) {
    for (unsigned i = 0; i < scope->range_count; i++)
        if (port >= scope->ranges[i].first && port <= scope->ranges[i].last)
            return true;
    return false;
}

static struct address address_from(int family, const void *bytes) {
    struct address address = {{0}};
    if (family == AF_INET) {
        address.at[10] = address.at[11] = 0xff;
        memcpy(address.at + 12, bytes, 4);
    } else {
        memcpy(address.at, bytes, 16);
    }
    return address;
}

/* ---- sockets of this machine ------------------------------------------------------------- */

struct candidate {
    struct inet_diag_sockid id;
    uint8_t family;
    bool is_named_low; /* a port below 1024 that a scope to be cut names */
};

struct sockets {
    struct cutting *cutting;
    struct candidate *at; /* owned */
    size_t count, room;
    uint8_t listens[PORTS / 8];
};

static void sockets_free(struct sockets **sockets) {
    if (*sockets)
        free((*sockets)->at);
    free(*sockets);
}

static int candidate_add(struct sockets *sockets, const struct inet_diag_msg *socket) {
    struct address remote = address_from(socket->idiag_family, socket->id.idiag_dst);
    const struct cutting *cutting = sockets->cutting;
    uint32_t scopes = scopes_cut_for(cutting, &remote);
    uint16_t port = ntohs(socket->id.idiag_sport);
    bool is_in_scope = false, is_named = false;
    for (uint32_t i = 0; scopes != 0 && i < cutting->enforce->scope_count; i++) {
        if (!(scopes & 1u << i))
            continue;
        const struct scope *scope = &cutting->enforce->scopes[i];
        is_named = is_named || scope_names_port(scope, port);
        is_in_scope = is_in_scope || is_named || (scope->range_count == 0 && !scope->is_shadow);
    }
    if (!is_in_scope)
        return 0;
    if (sockets->count == sockets->room) {
        size_t room = sockets->room ? 2 * sockets->room : 64;
        struct candidate *at = reallocarray(sockets->at, room, sizeof(*at));
        if (!at)
            return -ENOMEM;
        sockets->at = at;
        sockets->room = room;
    }
    sockets->at[sockets->count++] = (struct candidate){
        socket->id, socket->idiag_family, is_named && port < FIRST_EPHEMERAL_PORT};
    return 0;
}

static int read_socket(void *context, const struct nlmsghdr *message) {
    struct sockets *sockets = context;
    const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(message);
    if (mnl_nlmsg_get_payload_len(message) < sizeof(*socket) ||
        (socket->idiag_family != AF_INET && socket->idiag_family != AF_INET6))
        return 0;
    if (socket->idiag_state != TCP_LISTEN && socket->idiag_state != TCP_CLOSE)
        return candidate_add(sockets, socket);
    uint16_t port = ntohs(socket->id.idiag_sport);
    sockets->listens[port / 8] |= (uint8_t)(1u << port % 8);
    return 0;
}

static int destroy(struct netlink *diag, uint8_t protocol, const struct candidate *candidate) {
    uint8_t request[256];
    struct nlmsghdr *message = netlink_message(request, SOCK_DESTROY, 0);
    struct inet_diag_req_v2 *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
    head->sdiag_family = candidate->family;
    head->sdiag_protocol = protocol;
    head->id = candidate->id;
    int error = netlink_ask(diag, message, NULL, NULL);
    return error == -ENOENT ? 0 : error < 0 ? error : 1; /* gone by itself meanwhile */
}

static int dump_sockets(struct sockets *sockets, uint8_t family, uint8_t protocol) {
    /* For UDP "established" is connected and "close" is not, which is its listening. */
    const uint32_t states = protocol == IPPROTO_TCP
                                ? 1u << TCP_ESTABLISHED | 1u << TCP_SYN_RECV | 1u << TCP_FIN_WAIT1 |
                                      1u << TCP_FIN_WAIT2 | 1u << TCP_CLOSE_WAIT |
                                      1u << TCP_LAST_ACK | 1u << TCP_CLOSING | 1u << TCP_LISTEN
                                : 1u << TCP_ESTABLISHED | 1u << TCP_CLOSE;
    uint8_t request[256];
    struct nlmsghdr *message = netlink_message(request, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
    struct inet_diag_req_v2 *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
    head->sdiag_family = family;
    head->sdiag_protocol = protocol;
    head->idiag_states = states;
    int error = netlink_ask(&sockets->cutting->enforce->diag, message, read_socket, sockets);
    return error == -EINTR ? 0 : error; /* sockets come and go; what we saw is what we cut */
}

static int cut_sockets(struct cutting *cutting, uint8_t protocol) {
    at_scope_end(sockets_free) struct sockets *sockets = calloc(1, sizeof(*sockets));
    if (!sockets)
        return -ENOMEM;
    sockets->cutting = cutting;
    /* Both families first: a socket of one may have been accepted by a listener of the other. */
    int error = dump_sockets(sockets, AF_INET, protocol);
    if (error == 0)
        error = dump_sockets(sockets, AF_INET6, protocol);
    for (size_t i = 0; error >= 0 && i < sockets->count; i++) {
        const struct candidate *candidate = &sockets->at[i];
        uint16_t port = ntohs(candidate->id.idiag_sport);
        if (!candidate->is_named_low && !(sockets->listens[port / 8] & 1u << port % 8))
            continue;
        error = destroy(&cutting->enforce->diag, protocol, candidate);
        cutting->ended += error > 0 ? 1 : 0;
    }
    return error < 0 ? error : 0;
}

/* ---- connections conntrack knows --------------------------------------------------------- */

struct flow {
    const struct nlattr *original; /* the tuple of its first packet */
    const struct nlattr *id, *zone;
    bool has_address, has_port, is_over;
    struct address from;
    uint16_t to_port;
};

/* A connection to be deleted after the dump. */
struct doomed {
    bool is_counted;
    _Alignas(8) uint8_t request[240];
};

struct flows {
    const struct cutting *cutting;
    struct doomed *at; /* owned */
    size_t count, room;
};

static void flows_free(struct flows *flows) {
    free(flows->at);
}

static void read_tuple_addresses(const struct nlattr *nest, struct flow *flow) {
    const struct nlattr *attribute;
    for_each_attribute (attribute, attributes_in(nest)) {
        uint16_t type = mnl_attr_get_type(attribute);
        size_t length = mnl_attr_get_payload_len(attribute);
        if ((type == CTA_IP_V4_SRC && length == 4) || (type == CTA_IP_V6_SRC && length == 16)) {
            flow->from = address_from(length == 4 ? AF_INET : AF_INET6,
                                      mnl_attr_get_payload(attribute));
            flow->has_address = true;
        }
    }
}

static void read_tuple(const struct nlattr *tuple, struct flow *flow) {
    const struct nlattr *part, *attribute;
    for_each_attribute (part, attributes_in(tuple)) {
        if (mnl_attr_get_type(part) == CTA_TUPLE_IP)
            read_tuple_addresses(part, flow);
        if (mnl_attr_get_type(part) != CTA_TUPLE_PROTO)
            continue;
        for_each_attribute (attribute, attributes_in(part)) {
            if (mnl_attr_get_type(attribute) == CTA_PROTO_DST_PORT &&
                mnl_attr_get_payload_len(attribute) == 2) {
                flow->to_port = ntohs(mnl_attr_get_u16(attribute));
                flow->has_port = true;
            }
        }
    }
}

/* Is it a TCP connection that both sides have left? Those linger for minutes, also the ones whose
 * socket we have just destroyed; deleting them ends nothing. */
static bool is_over(const struct nlattr *protocol_info) {
    const struct nlattr *protocol, *attribute;
    for_each_attribute (protocol, attributes_in(protocol_info)) {
        if (mnl_attr_get_type(protocol) != CTA_PROTOINFO_TCP)
            continue;
        for_each_attribute (attribute, attributes_in(protocol)) {
            if (mnl_attr_get_type(attribute) == CTA_PROTOINFO_TCP_STATE &&
                mnl_attr_get_payload_len(attribute) == 1)
                return mnl_attr_get_u8(attribute) == TCP_CONNTRACK_TIME_WAIT ||
                       mnl_attr_get_u8(attribute) == TCP_CONNTRACK_CLOSE;
        }
    }
    return false;
}

static struct flow read_flow(const struct nlmsghdr *message) {
    struct flow flow = {0};
    const struct nlattr *attribute;
    for_each_attribute (attribute, attributes_of(message, sizeof(struct nfgenmsg))) {
        switch (mnl_attr_get_type(attribute)) {
        case CTA_TUPLE_ORIG:
            flow.original = attribute;
            read_tuple(attribute, &flow);
            break;
        case CTA_PROTOINFO:
            flow.is_over = is_over(attribute);
            break;
        case CTA_ID:
            flow.id = attribute;
            break;
        case CTA_ZONE:
            flow.zone = attribute;
            break;
        default:
            break;
        }
    }
    return flow;
}

static bool is_to_be_cut(const struct cutting *cutting, const struct flow *flow) {
    if (!flow->has_address || !flow->id)
        return false;
    uint32_t scopes = scopes_cut_for(cutting, &flow->from);
    for (uint32_t i = 0; scopes != 0 && i < cutting->enforce->scope_count; i++) {
        const struct scope *scope = &cutting->enforce->scopes[i];
        if ((scopes & 1u << i) && !scope->is_shadow &&
            (scope->range_count == 0 ||
             (flow->has_port && scope_names_port(scope, flow->to_port))))
            return true;
    }
    return false;
}

static void copy_attribute(struct nlmsghdr *into, const struct nlattr *attribute) {
    if (attribute)
        mnl_attr_put(into, attribute->nla_type, mnl_attr_get_payload_len(attribute),
                     mnl_attr_get_payload(attribute));
}

static struct nlmsghdr *conntrack_message(void *into, uint8_t command, uint16_t flags,
                                          uint8_t family) {
    struct nlmsghdr *message =
        netlink_message(into, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | command), flags);
    struct nfgenmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
    head->nfgen_family = family;
    head->version = NFNETLINK_V0;
    return message;
}

/* The id tells this very connection from a later one between the same ends. */
static int doom(struct flows *flows, const struct flow *flow) {
    size_t attributes = mnl_attr_get_len(flow->original) + mnl_attr_get_len(flow->id) +
                        (flow->zone ? mnl_attr_get_len(flow->zone) : 0u);
    if (attributes + 64 > sizeof(flows->at->request))
        return -EMSGSIZE;
    if (flows->count == flows->room) {
        size_t room = flows->room ? 2 * flows->room : 64;
        struct doomed *at = reallocarray(flows->at, room, sizeof(*at));
        if (!at)
            return -ENOMEM;
        flows->at = at;
        flows->room = room;
    }
    struct doomed *doomed = &flows->at[flows->count++];
    doomed->is_counted = !flow->is_over;
    struct nlmsghdr *message = conntrack_message(doomed->request, IPCTNL_MSG_CT_DELETE, 0,
                                                 address_is_v4(&flow->from) ? AF_INET : AF_INET6);
    copy_attribute(message, flow->original);
    copy_attribute(message, flow->id);
    copy_attribute(message, flow->zone);
    return 0;
}

static int read_conntrack(void *context, const struct nlmsghdr *message) {
    struct flows *flows = context;
    struct flow flow = read_flow(message);
    return is_to_be_cut(flows->cutting, &flow) ? doom(flows, &flow) : 0;
}

/* Leaves it to the kernel to pick the flows of one address, which spares us a copy of a table that
 * may hold hundreds of thousands. Kernel 5.8 and later; an older one would give them all. */
static void ask_only_from(struct nlmsghdr *message, const struct address *from) {
    enum { FILTER_BY_SOURCE = 1 << 0 }; /* the kernel's CTA_FILTER_F_CTA_IP_SRC */
    bool is_v4 = address_is_v4(from);
    struct nfgenmsg *head = mnl_nlmsg_get_payload(message);
    head->nfgen_family = is_v4 ? AF_INET : AF_INET6;
    struct nlattr *tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
    struct nlattr *addresses = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    if (is_v4)
        mnl_attr_put(message, CTA_IP_V4_SRC, 4, from->at + 12);
    else
        mnl_attr_put(message, CTA_IP_V6_SRC, 16, from->at);
    mnl_attr_nest_end(message, addresses);
    mnl_attr_nest_end(message, tuple);
    struct nlattr *filter = mnl_attr_nest_start(message, CTA_FILTER);
    mnl_attr_put_u32(message, CTA_FILTER_ORIG_FLAGS, FILTER_BY_SOURCE);
    mnl_attr_nest_end(message, filter);
}

/* `only` may be NULL: everybody's. */
static int dump_flows(struct flows *flows, const struct prefix *only) {
    uint8_t request[256];
    struct nlmsghdr *message =
        conntrack_message(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
    if (only)
        ask_only_from(message, &only->address);
    int error = netlink_ask(&flows->cutting->enforce->netfilter, message, read_conntrack, flows);
    return error == -EINTR ? 0 : error;
}

static bool are_few_hosts(const struct cutting *cutting) {
    enum { FEW = 8 };
    for (uint32_t i = 0; i < cutting->count; i++)
        if (!prefix_is_host(&cutting->targets[i].prefix))
            return false;
    return cutting->count <= FEW;
}

static int cut_flows(struct cutting *cutting) {
    at_scope_end(flows_free) struct flows flows = {.cutting = cutting};
    int error = 0;
    if (are_few_hosts(cutting)) {
        for (uint32_t i = 0; error == 0 && i < cutting->count; i++)
            error = dump_flows(&flows, &cutting->targets[i].prefix);
    } else {
        error = dump_flows(&flows, NULL);
    }
    for (size_t i = 0; error >= 0 && i < flows.count; i++) {
        error = netlink_ask(&cutting->enforce->netfilter, (void *)flows.at[i].request, NULL, NULL);
        if (error == -ENOENT)
            error = 0;
        else if (error == 0 && flows.at[i].is_counted)
            cutting->ended++;
    }
    return error;
}

/* ---- both -------------------------------------------------------------------------------- */

static uint32_t merge_targets(struct cut_target *targets, uint32_t count) {
    uint32_t merged = 0;
    qsort(targets, count, sizeof(*targets), compare_targets);
    for (uint32_t i = 0; i < count; i++) {
        if (merged > 0 && prefix_equals(&targets[i].prefix, &targets[merged - 1].prefix))
            targets[merged - 1].scopes |= targets[i].scopes;
        else
            targets[merged++] = targets[i];
    }
    return merged;
}

int cut_targets(struct enforce *enforce, struct cut_target *targets, uint32_t count,
                struct why *reterr_why) {
    if (count == 0)
        return 0;
    struct cutting cutting = {
        .enforce = enforce, .targets = targets, .now_us = clock_now_us()};
    cutting.count = merge_targets(targets, count);
    for (uint32_t i = 0; i < cutting.count; i++)
        cutting.has_length[prefix_is_v4(&targets[i].prefix) ? 0 : 1][targets[i].prefix.length] =
            true;
    int tcp = cut_sockets(&cutting, IPPROTO_TCP);
    int udp = cut_sockets(&cutting, IPPROTO_UDP);
    int flows = cut_flows(&cutting);
    int error = tcp < 0 ? tcp : udp < 0 ? udp : flows;
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "cannot end what is connected: %s",
                       error == -EOPNOTSUPP ? "this kernel has no INET_DIAG_DESTROY"
                                            : strerror(-error));
    return (int)cutting.ended;
}
