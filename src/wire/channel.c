/* Channels: see channel.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "wire/build.h"

enum { FRAMES_PER_TURN = 64 };

struct waiting {
    struct waiting *next;
    size_t length;
    int fd;
    uint8_t frame[];
};

struct channel {
    enum role me, peer;
    int fd;
    struct watch *watch;
    struct channel_calls calls;
    void *context;
    struct waiting *first, **last;
    size_t queued_bytes;
    bool has_met, is_paused, is_ended, is_in_call, is_freed;
    _Alignas(8) uint8_t buffer[FRAME_MAX];
};

int channel_pair(int ret_ends[2]) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    int room = 1 << 20; /* a wish: the kernel may give less, and sending copes */
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    ret_ends[0] = ends[0];
    ret_ends[1] = ends[1];
    return 0;
}

static void update_events(struct channel *channel) {
    if (!channel->watch)
        return;
    uint32_t events = (channel->is_paused ? 0 : EPOLLIN) | (channel->first ? EPOLLOUT : 0);
    watch_set_events(channel->watch, events);
}

static void drop_queue(struct channel *channel) {
    while (channel->first) {
        struct waiting *waiting = channel->first;
        channel->first = waiting->next;
        cleanup_close_fd(&waiting->fd);
        free(waiting);
    }
    channel->last = &channel->first;
    channel->queued_bytes = 0;
}

static int end_channel(struct channel *channel, int error, const char *what) {
    if (channel->is_ended)
        return 0;
    channel->is_ended = true;
    channel->watch = loop_forget(channel->watch);
    drop_queue(channel);
    return channel->calls.on_end(channel->context, error, what);
}

static int send_now(struct channel *channel, const void *frame, size_t length, int fd) {
    struct iovec part = {(void *)(uintptr_t)frame, length};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = control.room;
        header.msg_controllen = sizeof(control.room);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &fd, sizeof(int));
    }
    while (sendmsg(channel->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        if (errno != EINTR)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return 0;
}

static int queue_frame(struct channel *channel, const void *frame, size_t length, int fd) {
    if (channel->queued_bytes + length > CHANNEL_QUEUE_MAX)
        return -ENOBUFS;
    struct waiting *waiting = malloc(sizeof(*waiting) + length);
    if (!waiting)
        return -ENOMEM;
    waiting->next = NULL;
    waiting->length = length;
    waiting->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    memcpy(waiting->frame, frame, length);
    *channel->last = waiting;
    channel->last = &waiting->next;
    channel->queued_bytes += length;
    update_events(channel);
    return 0;
}

static int send_frame(struct channel *channel, enum message_type type, const void *head,
                      const void *items, uint32_t count, int fd) {
    if (channel->is_ended)
        return -EPIPE;
    _Alignas(8) static uint8_t frame[FRAME_MAX];
    size_t length = frame_build(frame, type, head, items, count);
    int error = channel->first ? -EAGAIN : send_now(channel, frame, length, fd);
    if (error == -EAGAIN || error == -ENOBUFS)
        error = queue_frame(channel, frame, length, fd);
    return error; /* a broken pipe is told by the reading side, which sees the end too */
}

int channel_send(struct channel *channel, enum message_type type, const void *head,
                 const void *items, uint32_t count) {
    return send_frame(channel, type, head, items, count, -1);
}

int channel_send_fd(struct channel *channel, enum message_type type, const void *head, int fd) {
    return send_frame(channel, type, head, NULL, 0, fd);
}

bool channel_is_clear(const struct channel *channel) {
    return !channel->first;
}

void channel_pause(struct channel *channel, bool paused) {
    channel->is_paused = paused;
    update_events(channel);
}

static int flush_queue(struct channel *channel) {
    while (channel->first) {
        struct waiting *waiting = channel->first;
        int error = send_now(channel, waiting->frame, waiting->length, waiting->fd);
        if (error == -EAGAIN)
            return 0;
        if (error == -EPIPE || error == -ECONNRESET) { /* the reading side tells, at its end */
            drop_queue(channel);
            update_events(channel);
            return 0;
        }
        if (error < 0)
            return end_channel(channel, error, "cannot send");
        channel->first = waiting->next;
        if (!channel->first)
            channel->last = &channel->first;
        channel->queued_bytes -= waiting->length;
        cleanup_close_fd(&waiting->fd);
        free(waiting);
    }
    update_events(channel);
    return channel->calls.on_clear ? channel->calls.on_clear(channel->context) : 0;
}

/* One descriptor may come with a frame; whatever else was sent along is shut. The room for one is,
 * by alignment, room for two. False: there were more. */
static bool take_one_descriptor(const struct cmsghdr *control, int *ret_fd) {
    size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
        if (*ret_fd < 0)
            *ret_fd = fd;
        else
            close(fd);
    }
    return count <= 1;
}

/* Length of the frame received (0: the peer is gone), or -errno. */
static ssize_t receive(struct channel *channel, int *ret_fd) {
    struct iovec part = {channel->buffer, sizeof(channel->buffer)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof(control.room)};
    ssize_t length;
    do
        length = recvmsg(channel->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (length < 0 && (errno == EINTR || errno == ECONNRESET)); /* reset: said once, and before
                                                                      the peer's last words */
    if (length < 0)
        return -errno;
    bool is_proper = !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            is_proper = take_one_descriptor(c, ret_fd) && is_proper;
    if (!is_proper)
        return -EPROTO;
    return length;
}

static int meet(struct channel *channel, const struct message *message) {
    const struct wire_hello *hello = message->head;
    if (message->type != SAY_HELLO)
        return end_channel(channel, -EPROTO, "spoke before HELLO");
    if (!digest_equals(&hello->build, build_digest()))
        return end_channel(channel, -EPROTO, "is another build of hauberk");
    channel->has_met = true;
    return 0;
}

static int take_message(struct channel *channel, size_t length, int fd) {
    struct message message = {.fd = fd};
    const char *what = "";
    int error = frame_check(channel->buffer, length, channel->peer, channel->me, &message, &what);
    int result;
    if (error < 0)
        result = end_channel(channel, error, what);
    else if (!channel->has_met)
        result = meet(channel, &message);
    else if (message.type == SAY_HELLO)
        result = end_channel(channel, -EPROTO, "said HELLO twice");
    else
        result = channel->calls.on_message(channel->context, &message);
    cleanup_close_fd(&message.fd);
    return result;
}

static int take_frames(struct channel *channel) {
    for (int i = 0; i < FRAMES_PER_TURN && !channel->is_ended && !channel->is_paused; i++) {
        int fd = -1;
        ssize_t length = receive(channel, &fd);
        if (length == -EAGAIN)
            return 0;
        if (length <= 0) {
            cleanup_close_fd(&fd);
            if (length == -ECONNRESET)
                length = 0;
            return end_channel(channel, (int)length,
                               length == -EPROTO ? "sent too long a frame or too many descriptors"
                               : length          ? "cannot be heard"
                                                 : "is gone");
        }
        int result = take_message(channel, (size_t)length, fd);
        if (result < 0 || channel->is_freed)
            return result;
    }
    return 0;
}

static int ready(void *context, int fd, uint32_t events) {
    (void)fd;
    struct channel *channel = context;
    channel->is_in_call = true;
    int result = 0;
    if (events & EPOLLOUT)
        result = flush_queue(channel);
    if (result >= 0 && !channel->is_ended && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        result = take_frames(channel);
    channel->is_in_call = false;
    if (channel->is_freed)
        free(channel);
    return result;
}

struct channel *channel_new(struct loop *loop, int fd, enum role me, enum role peer,
                            const struct channel_calls *calls, void *context) {
    struct channel *channel = calloc(1, sizeof(*channel));
    must(channel);
    channel->me = me;
    channel->peer = peer;
    channel->fd = fd;
    channel->calls = *calls;
    channel->context = context;
    channel->last = &channel->first;
    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    channel->watch = loop_add_fd(loop, fd, EPOLLIN, ready, channel);
    struct wire_hello hello = {*build_digest()};
    (void)channel_send(channel, SAY_HELLO, &hello, NULL, 0);
    return channel;
}

struct channel *channel_free(struct channel *channel) {
    if (!channel || channel->is_freed)
        return NULL;
    channel->is_ended = true;
    channel->watch = loop_forget(channel->watch);
    drop_queue(channel);
    cleanup_close_fd(&channel->fd);
    if (channel->is_in_call)
        channel->is_freed = true; /* freed by ready() on its way out */
    else
        free(channel);
    return NULL;
}
