/* Asking the kernel over netlink, see private.h. The kernel answers a request, be it a dump or a
 * batch, inside our sendto() or recv(): nothing needs to be waited for, and an empty queue where an
 * answer is due is an error rather than a reason to sleep. Batches are the transactions of
 * nfnetlink (NFNL_MSG_BATCH_BEGIN ... END, linux/netfilter/nfnetlink.h); only the last message asks
 * for an acknowledgement, because errors are reported unasked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <sys/socket.h>

#include "enforce/private.h"

enum { ANSWER_BYTES = 64 * 1024 }; /* a dump's packets are at most 32 KiB */

int netlink_open(struct netlink *link, int bus, uint32_t groups, struct why *reterr_why) {
    *link = (struct netlink){.socket = mnl_socket_open2(bus, SOCK_CLOEXEC)};
    if (!link->socket || mnl_socket_bind(link->socket, groups, MNL_SOCKET_AUTOPID) < 0) {
        int error = -errno;
        netlink_close(link);
        return why_set(reterr_why, error, NULL, 0, "cannot open a netlink socket (bus %d): %s%s",
                       bus, strerror(-error), error == -EPERM ? "; CAP_NET_ADMIN is needed" : "");
    }
    link->port = mnl_socket_get_portid(link->socket);
    /* An error would otherwise carry our whole message back. */
    mnl_socket_setsockopt(link->socket, NETLINK_CAP_ACK, &(int){1}, sizeof(int));
    netlink_want_buffers(link, 0);
    return 0;
}

void netlink_close(struct netlink *link) {
    if (link->socket)
        mnl_socket_close(link->socket);
    link->socket = NULL;
}

static void want_buffer(int fd, int forced, int polite, int bytes) {
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) < 0)
        setsockopt(fd, SOL_SOCKET, polite, &bytes, sizeof(bytes));
}

/* What we get may be less: net.core.wmem_max binds those without the right. */
void netlink_want_buffers(struct netlink *link, int bytes) {
    int fd = mnl_socket_get_fd(link->socket);
    if (bytes > 0) {
        want_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
        want_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
    }
    int room = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &(socklen_t){sizeof(room)}) < 0 || room < 64)
        room = 64;
    link->send_most_bytes = (uint32_t)room - 32; /* what netlink_sendmsg() takes off */
}

struct nlmsghdr *netlink_message(void *into, uint16_t type, uint16_t flags) {
    struct nlmsghdr *message = mnl_nlmsg_put_header(into);
    message->nlmsg_type = type;
    message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    return message;
}

static struct nlmsghdr *nfnetlink_message(void *into, uint16_t type, uint16_t flags, uint8_t family,
                                          uint16_t resource) {
    struct nlmsghdr *message = netlink_message(into, type, flags);
    struct nfgenmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
    *head = (struct nfgenmsg){family, NFNETLINK_V0, htons(resource)};
    return message;
}

struct nlmsghdr *nftables_message(void *into, uint8_t command, uint16_t flags) {
    return nfnetlink_message(into, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | command), flags,
                             NFPROTO_INET, 0);
}

struct attributes attributes_of(const struct nlmsghdr *message, size_t head_bytes) {
    size_t skipped = sizeof(struct nlmsghdr) + netlink_align(head_bytes);
    size_t length = message->nlmsg_len;
    return (struct attributes){(const uint8_t *)message + skipped,
                               length > skipped ? length - skipped : 0};
}

struct attributes attributes_in(const struct nlattr *nest) {
    return (struct attributes){mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest)};
}

const struct nlattr *attribute_next(struct attributes *attributes) {
    const struct nlattr *attribute = (const void *)attributes->at;
    if (attributes->left < sizeof(*attribute) || attribute->nla_len < sizeof(*attribute) ||
        attribute->nla_len > attributes->left)
        return NULL;
    size_t step = netlink_align(attribute->nla_len);
    step = step < attributes->left ? step : attributes->left;
    attributes->at += step;
    attributes->left -= step;
    return attribute;
}

static int send_all(const struct netlink *link, const void *bytes, size_t length) {
    return mnl_socket_sendto(link->socket, bytes, length) < 0 ? -errno : 0;
}

/* One packet from the kernel itself; -EAGAIN when there is none. */
static int receive(const struct netlink *link, void *into, size_t room) {
    for (;;) {
        struct sockaddr_nl from;
        ssize_t got = recvfrom(mnl_socket_get_fd(link->socket), into, room,
                               MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from,
                               &(socklen_t){sizeof(from)});
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (from.nl_pid != 0)
            continue;
        return (size_t)got > room ? -EMSGSIZE : (int)got;
    }
}

static int error_in(const struct nlmsghdr *message) {
    const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
    return mnl_nlmsg_get_payload_len(message) < sizeof(error->error) ? -EBADMSG : error->error;
}

static void forget_pending(const struct netlink *link, void *into, size_t room) {
    int got;
    do
        got = receive(link, into, room);
    while (got >= 0 || got == -ENOBUFS || got == -EMSGSIZE);
}

int netlink_ask(struct netlink *link, struct nlmsghdr *request, netlink_message_fn *each,
                void *context) {
    if (!(request->nlmsg_flags & NLM_F_DUMP))
        request->nlmsg_flags |= NLM_F_ACK;
    request->nlmsg_seq = ++link->sequence;
    int error = send_all(link, request, request->nlmsg_len);
    if (error < 0)
        return error;
    _Alignas(8) uint8_t answer[ANSWER_BYTES];
    bool is_consistent = true;
    int result = 0;
    for (;;) {
        int left = receive(link, answer, sizeof(answer));
        if (left < 0) {
            if (left != -EAGAIN)
                forget_pending(link, answer, sizeof(answer));
            return left == -EAGAIN ? -EIO : left;
        }
        const struct nlmsghdr *message = (const struct nlmsghdr *)answer;
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_seq != link->sequence)
                continue;
            if (message->nlmsg_flags & NLM_F_DUMP_INTR)
                is_consistent = false;
            if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
                error = error_in(message);
                return error < 0 ? error : !is_consistent ? -EINTR : result;
            }
            if (each && result == 0)
                result = each(context, message);
        }
    }
}

void batch_begin(struct batch *batch) {
    batch->last = batch->length = 0;
    struct nlmsghdr *begin = nfnetlink_message(batch->at, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC,
                                               NFNL_SUBSYS_NFTABLES);
    begin->nlmsg_seq = batch->sequence++;
    batch->length = begin->nlmsg_len;
}

struct nlmsghdr *batch_next(struct batch *batch, uint8_t command, uint16_t flags) {
    must(batch->length + 2 * MESSAGE_ROOM_BYTES <= BATCH_ROOM_BYTES);
    return nftables_message(batch->at + batch->length, command, flags);
}

void batch_add(struct batch *batch, const struct nlmsghdr *message) {
    must((const uint8_t *)message == batch->at + batch->length);
    must(message->nlmsg_len <= MESSAGE_ROOM_BYTES);
    ((struct nlmsghdr *)message)->nlmsg_seq = batch->sequence++;
    batch->last = batch->length;
    batch->length += netlink_align(message->nlmsg_len);
}

/* The first error among the answers, 0 if the last message was acknowledged. */
static int batch_result(const struct netlink *link, uint32_t last_sequence) {
    _Alignas(8) uint8_t answer[ANSWER_BYTES];
    int result = 0;
    bool is_acknowledged = false;
    for (;;) {
        int left = receive(link, answer, sizeof(answer));
        if (left == -EAGAIN)
            return result < 0 ? result : is_acknowledged ? 0 : -EIO;
        if (left < 0) {
            result = result < 0 ? result : left;
            continue;
        }
        const struct nlmsghdr *message = (const struct nlmsghdr *)answer;
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_type != NLMSG_ERROR)
                continue;
            if (error_in(message) < 0)
                result = result < 0 ? result : error_in(message);
            else if (message->nlmsg_seq == last_sequence)
                is_acknowledged = true;
        }
    }
}

int batch_send(struct batch *batch, struct netlink *link) {
    if (batch->last == 0)
        return 0;
    struct nlmsghdr *last = (void *)(batch->at + batch->last);
    last->nlmsg_flags |= NLM_F_ACK;
    struct nlmsghdr *end = nfnetlink_message(batch->at + batch->length, NFNL_MSG_BATCH_END, 0,
                                             AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end->nlmsg_seq = batch->sequence++;
    batch->length += end->nlmsg_len;
    int error = send_all(link, batch->at, batch->length);
    if (error == 0)
        error = batch_result(link, last->nlmsg_seq);
    batch->commits += error == 0 ? 1 : 0;
    return error;
}
