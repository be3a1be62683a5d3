/* A channel: one end of a SOCK_SEQPACKET pair between two roles, in a loop.
 *
 * Sending never blocks: what the socket does not take at once waits in a queue of at most
 * CHANNEL_QUEUE_MAX bytes; senders of bulk look at channel_is_clear() and go on in on_clear. A peer
 * that breaks the rules of messages.def closes the channel: on_end is called with -EPROTO and the
 * reason. EOF is on_end with 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/loop.h"
#include "wire/wire.h"

struct channel;

enum { CHANNEL_QUEUE_MAX = 8 << 20 };

struct channel_calls {
    /* A valid frame; < 0 ends the loop. message->fd is closed afterwards unless taken. */
    int (*on_message)(void *context, struct message *message);
    /* The queue has run empty (never called from within a send). May be NULL. */
    int (*on_clear)(void *context);
    /* The peer is gone (error 0, or -errno) or misbehaved (-EPROTO, what tells). The channel is
     * still to be freed by its owner, here if it likes. */
    int (*on_end)(void *context, int error, const char *what);
};

/* Takes the descriptor. Says HELLO at once and requires the peer's as its first frame. */
struct channel *channel_new(struct loop *loop, int fd, enum role me, enum role peer,
                            const struct channel_calls *calls, void *context);
struct channel *channel_free(struct channel *channel);

/* Two connected ends; 0 or -errno. */
must_use int channel_pair(int ret_ends[2]);

/* 0, or -ENOBUFS when the queue is full, -EPIPE when the peer is gone (on_end follows). */
int channel_send(struct channel *channel, enum message_type type, const void *head,
                 const void *items, uint32_t count);
/* With a descriptor, which is duplicated for the way if it must wait. */
int channel_send_fd(struct channel *channel, enum message_type type, const void *head, int fd);

bool channel_is_clear(const struct channel *channel);

/* Stops and goes on with taking frames (a reader that is busy lets its peer wait). */
void channel_pause(struct channel *channel, bool paused);
