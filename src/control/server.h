/* The control socket's serving side: RUNTIME/control, SOCK_SEQPACKET, one JSON object a packet.
 *
 * A question is {"word": …, "args": {…}}; the answer is any number of {"row": {…}} and one
 * {"end": {"exit": 0-3, "text": …}}. Unknown keys are ignored on both sides, so a command line and
 * a daemon of different builds understand each other. Reading is for whoever may open the socket
 * (group hauberk), changing for uid 0, which SO_PEERCRED tells. Packets of at most 60 KiB; at most
 * 32 clients, each with at most 64 MiB unread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/loop.h"
#include "control/json.h"

struct control;

struct question {
    const char *word;
    const js *args;
    bool is_root;
    uint64_t client; /* answers name it; a client that has gone is no error */
};

/* Answers with control_row() and control_end(), now or later. */
typedef void control_ask_fn(void *context, const struct question *question);

/* Takes the listening descriptor. */
struct control *control_new(struct loop *loop, int fd, control_ask_fn *ask, void *context);
struct control *control_free(struct control *control);

void control_row(struct control *control, uint64_t client, js *row); /* takes row */
void control_end(struct control *control, uint64_t client, int exit, const char *format, ...)
    prints(4, 5);

/* An answer too long to be made at once: `more` is called whenever the client has read what it was
 * sent, with the client's own `cursor` (0 at first). It adds some rows and returns, or calls
 * control_end(), which ends it. Meanwhile the client's further questions wait. */
typedef void control_more_fn(void *context, uint64_t client, uint32_t *cursor);
void control_stream(struct control *control, uint64_t client, control_more_fn *more,
                    void *context);
/* Has the client read, as far as its socket tells, what it was sent? False: it has gone, too. */
bool control_is_clear(const struct control *control, uint64_t client);

/* From now on the client gets every row of control_tell(); there is no end. */
void control_watch(struct control *control, uint64_t client);
void control_tell(struct control *control, js *row); /* takes row */
unsigned control_watchers(const struct control *control); /* how many watch */
