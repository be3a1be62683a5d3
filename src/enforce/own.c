/* What this machine must never ban about itself: every address of every interface (and the far end
 * of a point-to-point link) and every next hop of the main routing table, also those of multipath
 * routes and of routes over IPv6 next hops. Read by two dumps of rtnetlink(7).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/log.h"
#include "enforce/private.h"

enum { OWN_ROOM = 8 };

struct own {
    struct prefix *at; /* owned */
    uint32_t count, room;
    bool is_cut_short;
};

static void own_free(struct own *own) {
    free(own->at);
}

static int own_add(struct own *own, const struct prefix *prefix) {
    for (uint32_t i = 0; i < own->count; i++)
        if (prefix_equals(&own->at[i], prefix))
            return 0;
    if (own->count == EXEMPT_MOST) {
        own->is_cut_short = true;
        return 0;
    }
    if (own->count == own->room) {
        uint32_t room = own->room ? 2 * own->room : OWN_ROOM;
        struct prefix *at = reallocarray(own->at, room, sizeof(*at));
        if (!at)
            return -ENOMEM;
        own->at = at;
        own->room = room;
    }
    own->at[own->count++] = *prefix;
    return 0;
}

static int own_add_bytes(struct own *own, int family, const void *bytes, size_t length) {
    struct address address = {{0}};
    static const uint8_t nothing[16];
    if (length != (family == AF_INET ? 4u : 16u) || memcmp(bytes, nothing, length) == 0)
        return 0;
    if (family == AF_INET)
        address.at[10] = address.at[11] = 0xff;
    memcpy(address.at + 16 - length, bytes, length);
    struct prefix prefix = prefix_of(&address);
    return own_add(own, &prefix);
}

static int own_add_attribute(struct own *own, int family, const struct nlattr *attribute) {
    return own_add_bytes(own, family, mnl_attr_get_payload(attribute),
                         mnl_attr_get_payload_len(attribute));
}

static int read_address(void *context, const struct nlmsghdr *message) {
    const struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
    if (message->nlmsg_type != RTM_NEWADDR ||
        mnl_nlmsg_get_payload_len(message) < sizeof(*head) ||
        (head->ifa_family != AF_INET && head->ifa_family != AF_INET6))
        return 0;
    const struct nlattr *attribute;
    int error = 0;
    for_each_attribute (attribute, attributes_of(message, sizeof(*head))) {
        uint16_t type = mnl_attr_get_type(attribute);
        if (type == IFA_ADDRESS || type == IFA_LOCAL)
            error = error < 0 ? error : own_add_attribute(context, head->ifa_family, attribute);
    }
    return error;
}

/* RTA_VIA: a next hop of the other family. */
static int read_via(struct own *own, const struct nlattr *attribute) {
    const struct rtvia *via = mnl_attr_get_payload(attribute);
    size_t length = mnl_attr_get_payload_len(attribute);
    if (length < sizeof(*via) || (via->rtvia_family != AF_INET && via->rtvia_family != AF_INET6))
        return 0;
    return own_add_bytes(own, via->rtvia_family, via->rtvia_addr, length - sizeof(*via));
}

static int read_next_hop(struct own *own, int family, const struct nlattr *attribute) {
    switch (mnl_attr_get_type(attribute)) {
    case RTA_GATEWAY:
        return own_add_attribute(own, family, attribute);
    case RTA_VIA:
        return read_via(own, attribute);
    default:
        return 0;
    }
}

static int read_multipath(struct own *own, int family, const struct nlattr *attribute) {
    const uint8_t *at = mnl_attr_get_payload(attribute);
    size_t left = mnl_attr_get_payload_len(attribute);
    int error = 0;
    while (error == 0 && left >= sizeof(struct rtnexthop)) {
        const struct rtnexthop *hop = (const void *)at;
        size_t length = hop->rtnh_len;
        if (length < sizeof(*hop) || length > left)
            return -EBADMSG;
        const struct nlattr *inner;
        struct attributes inside = {at + sizeof(*hop), length - sizeof(*hop)};
        for_each_attribute (inner, inside)
            error = error < 0 ? error : read_next_hop(own, family, inner);
        length = netlink_align(length) < left ? netlink_align(length) : left;
        at += length;
        left -= length;
    }
    return error;
}

static int read_route(void *context, const struct nlmsghdr *message) {
    const struct rtmsg *head = mnl_nlmsg_get_payload(message);
    if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof(*head) ||
        (head->rtm_family != AF_INET && head->rtm_family != AF_INET6) ||
        head->rtm_table != RT_TABLE_MAIN || (head->rtm_flags & RTM_F_CLONED))
        return 0;
    const struct nlattr *attribute;
    int error = 0;
    for_each_attribute (attribute, attributes_of(message, sizeof(*head))) {
        if (error < 0)
            break;
        if (mnl_attr_get_type(attribute) == RTA_MULTIPATH)
            error = read_multipath(context, head->rtm_family, attribute);
        else
            error = read_next_hop(context, head->rtm_family, attribute);
    }
    return error;
}

static int dump(struct netlink *link, uint16_t type, size_t head_bytes, netlink_message_fn *each,
                struct own *own) {
    int error = -EINTR;
    uint32_t before = own->count;
    for (unsigned i = 0; i < DUMP_TRIES && error == -EINTR; i++) {
        uint8_t request[128];
        struct nlmsghdr *message = netlink_message(request, type, NLM_F_DUMP);
        mnl_nlmsg_put_extra_header(message, head_bytes); /* zero: every family, every table */
        own->count = before;
        error = netlink_ask(link, message, each, own);
    }
    return error;
}

int own_read(struct netlink *link, struct prefix **ret_prefixes, uint32_t *ret_count) {
    at_scope_end(own_free) struct own own = {0};
    int error = dump(link, RTM_GETADDR, sizeof(struct ifaddrmsg), read_address, &own);
    if (error == 0)
        error = dump(link, RTM_GETROUTE, sizeof(struct rtmsg), read_route, &own);
    if (error < 0)
        return error;
    if (own.is_cut_short)
        log_warning("This machine has more than %d addresses and gateways; only so many of them "
                    "are exempt from bans.", EXEMPT_MOST);
    *ret_prefixes = take_pointer(own.at);
    *ret_count = own.count;
    return 0;
}
