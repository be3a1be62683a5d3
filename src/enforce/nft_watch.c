/* Who else changes our table, and whether our own addresses change: two netlink sockets that
 * listen, one epoll descriptor over both. What we do ourselves never reaches the queue: a classic
 * BPF program on the socket drops packets with our own port id, or else a hundred thousand
 * notifications of our own elements would overflow it and hide everybody else's. (All
 * notifications of one transaction carry its sender's port id, so the first header of a packet
 * speaks for the packet.) Even so the kernel writes every one of them as long as anybody listens,
 * in whatever namespace, which triples the time of a hundred thousand puts; so we stop listening
 * for those, and tell from the generation number of the whole rule set, which grows by one with
 * each transaction, whether anybody else's came between. Elements that expire are collected
 * without notice, or with a deletion from port 0.
 *
 * Facts: nf_tables notifications on NFNLGRP_NFTABLES carry the table's name as attribute 1 of
 * every kind of object (linux/netfilter/nf_tables.h); rtnetlink(7).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "enforce/private.h"

enum { WATCH_BUFFER_BYTES = 4 * 1024 * 1024, PACKET_BYTES = 64 * 1024 };

#define GROUP_BIT(group) (1u << ((group)-1))

static int ignore_port(const struct netlink *link, uint32_t port) {
    /* A load is in network byte order, the header in ours. */
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog filter = {ELEMENTS_OF(program), program};
    return setsockopt(mnl_socket_get_fd(link->socket), SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                      sizeof(filter)) < 0
               ? -errno
               : 0;
}

static int watch_add(const struct watch *watch, int fd) {
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(watch->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int watch_open(struct watch *watch, uint32_t own_port, struct why *reterr_why) {
    watch->fd = epoll_create1(EPOLL_CLOEXEC);
    watch->missed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->fd < 0 || watch->missed < 0)
        return why_set(reterr_why, -errno, NULL, 0, "cannot make an epoll descriptor: %s",
                       strerror(errno));
    int error = netlink_open(&watch->tables, NETLINK_NETFILTER, GROUP_BIT(NFNLGRP_NFTABLES),
                             reterr_why);
    if (error < 0)
        return error;
    error = netlink_open(&watch->routes, NETLINK_ROUTE,
                         GROUP_BIT(RTNLGRP_IPV4_IFADDR) | GROUP_BIT(RTNLGRP_IPV6_IFADDR) |
                             GROUP_BIT(RTNLGRP_IPV4_ROUTE) | GROUP_BIT(RTNLGRP_IPV6_ROUTE),
                         reterr_why);
    if (error < 0)
        return error;
    netlink_want_buffers(&watch->tables, WATCH_BUFFER_BYTES);
    error = ignore_port(&watch->tables, own_port);
    if (error == 0)
        error = watch_add(watch, mnl_socket_get_fd(watch->tables.socket));
    if (error == 0)
        error = watch_add(watch, mnl_socket_get_fd(watch->routes.socket));
    if (error == 0)
        error = watch_add(watch, watch->missed);
    return error == 0 ? 0
                      : why_set(reterr_why, error, NULL, 0, "cannot watch the firewall: %s",
                                strerror(-error));
}

void watch_close(struct watch *watch) {
    netlink_close(&watch->tables);
    netlink_close(&watch->routes);
    cleanup_close_fd(&watch->missed);
    cleanup_close_fd(&watch->fd);
}

static int read_generation(void *context, const struct nlmsghdr *message) {
    const struct nlattr *attribute;
    for_each_attribute (attribute, attributes_of(message, sizeof(struct nfgenmsg)))
        if (mnl_attr_get_type(attribute) == NFTA_GEN_ID &&
            mnl_attr_get_payload_len(attribute) == sizeof(uint32_t))
            *(uint32_t *)context = ntohl(mnl_attr_get_u32(attribute));
    return 0;
}

static int generation(struct netlink *link, uint32_t *ret_generation) {
    uint8_t request[64];
    return netlink_ask(link, nftables_message(request, NFT_MSG_GETGEN, 0), read_generation,
                       ret_generation);
}

static int listen_to_tables(const struct watch *watch, bool is_wanted) {
    return setsockopt(mnl_socket_get_fd(watch->tables.socket), SOL_NETLINK,
                      is_wanted ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP,
                      &(int){NFNLGRP_NFTABLES}, sizeof(int));
}

struct watch_pause watch_pause(struct enforce *enforce) {
    struct watch_pause pause = {.commits = enforce->batch.commits};
    if (generation(&enforce->netfilter, &pause.generation) == 0)
        pause.is_paused = listen_to_tables(&enforce->watch, false) == 0;
    return pause;
}

void watch_resume(struct enforce *enforce, const struct watch_pause *pause) {
    if (!pause->is_paused)
        return;
    uint32_t now, ours = enforce->batch.commits - pause->commits;
    bool has_missed = listen_to_tables(&enforce->watch, true) < 0 ||
                      generation(&enforce->netfilter, &now) < 0 ||
                      now - pause->generation != ours;
    if (has_missed)
        (void)!write(enforce->watch.missed, &(uint64_t){1}, sizeof(uint64_t));
}

/* Does a notification speak of table inet hauberk? */
static bool is_of_our_table(const struct nlmsghdr *message) {
    const struct nfgenmsg *head = mnl_nlmsg_get_payload(message);
    if (mnl_nlmsg_get_payload_len(message) < sizeof(*head) ||
        NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
        NFNL_MSG_TYPE(message->nlmsg_type) == NFT_MSG_NEWGEN ||
        head->nfgen_family != NFPROTO_INET)
        return false;
    _Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                       NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 &&
                       NFTA_OBJ_TABLE == 1 && NFTA_FLOWTABLE_TABLE == 1,
                   "one attribute for all");
    const struct nlattr *attribute;
    for_each_attribute (attribute, attributes_of(message, sizeof(*head))) {
        if (mnl_attr_get_type(attribute) == NFTA_TABLE_NAME)
            return mnl_attr_get_payload_len(attribute) == sizeof(TABLE_NAME) &&
                   memcmp(mnl_attr_get_payload(attribute), TABLE_NAME, sizeof(TABLE_NAME)) == 0;
    }
    return false;
}

static void see_table_change(const struct nlmsghdr *message, uint32_t own_port,
                             struct enforce_changes *changes) {
    bool is_expiry = NFNL_MSG_TYPE(message->nlmsg_type) == NFT_MSG_DELSETELEM &&
                     message->nlmsg_pid == 0;
    if (message->nlmsg_pid == own_port || !is_of_our_table(message) || is_expiry)
        return;
    changes->table_touched = true;
    changes->by_port = message->nlmsg_pid;
}

static void see_route_change(const struct nlmsghdr *message, uint32_t own_port,
                             struct enforce_changes *changes) {
    (void)own_port;
    switch (message->nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
        changes->own_addresses = true;
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
        const struct rtmsg *route = mnl_nlmsg_get_payload(message);
        if (mnl_nlmsg_get_payload_len(message) >= sizeof(*route) &&
            route->rtm_table == RT_TABLE_MAIN && !(route->rtm_flags & RTM_F_CLONED))
            changes->own_addresses = true;
        break;
    }
    default:
        break;
    }
}

typedef void see_fn(const struct nlmsghdr *message, uint32_t own_port,
                    struct enforce_changes *changes);

/* Empties one socket. 1: something was lost. */
static int drain(const struct netlink *link, see_fn *see, uint32_t own_port,
                 struct enforce_changes *changes) {
    _Alignas(8) uint8_t packet[PACKET_BYTES];
    bool has_lost = false;
    for (;;) {
        ssize_t got = recv(mnl_socket_get_fd(link->socket), packet, sizeof(packet),
                           MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return has_lost;
        if (got < 0 && errno != ENOBUFS)
            return -errno;
        if (got < 0 || (size_t)got > sizeof(packet)) {
            has_lost = true;
            continue;
        }
        int left = (int)got;
        const struct nlmsghdr *message = (const void *)packet;
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
            see(message, own_port, changes);
    }
}

int enforce_watch_fd(const struct enforce *enforce) {
    return enforce->watch.fd;
}

int enforce_read_changes(struct enforce *enforce, struct enforce_changes *ret_changes,
                         struct why *reterr_why) {
    struct enforce_changes changes = {0};
    uint32_t own_port = enforce->netfilter.port;
    int tables = drain(&enforce->watch.tables, see_table_change, own_port, &changes);
    int routes = drain(&enforce->watch.routes, see_route_change, own_port, &changes);
    int error = tables < 0 ? tables : routes < 0 ? routes : 0;
    if (read(enforce->watch.missed, &(uint64_t){0}, sizeof(uint64_t)) > 0)
        changes.table_touched = true;
    if (tables > 0 || routes > 0)
        changes.table_touched = changes.own_addresses = true;
    if (error == 0 && changes.table_touched) {
        int exists = table_exists(&enforce->netfilter);
        error = exists < 0 ? exists : 0;
        changes.table_gone = exists == 0;
        if (changes.table_gone)
            enforce->has_skeleton = false;
    }
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "cannot read what changed in the firewall: %s",
                       strerror(-error));
    *ret_changes = changes;
    return 0;
}
