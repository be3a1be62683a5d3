/* hauberkd's letter box: what the decider wrote to the owner is handed to sendmail(1), or to the
 * owner's command, by a child with the decider's user and nothing more.
 *
 * The decider may run no program, so it writes the whole into sealed memory, and here it is passed
 * on unread. One child runs at a time, for at most 30 seconds. A decider that was taken over could
 * write what it likes to whom it likes; so there are at most MAILS_AN_HOUR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/loop.h"
#include "wire/wire.h"

enum { MAILS_WAITING_MOST = 8, MAILS_AN_HOUR = 40 };

struct mails;

typedef void mails_done_fn(void *context, const struct wire_mailed *mailed);

struct mails *mails_new(struct loop *loop, uid_t uid, gid_t gid, mails_done_fn *done,
                        void *context);

/* Takes the descriptor. `done` is called for every mail, later or at once when it cannot be sent.
 * `command`: the one in force, "" none. -EPROTO: what came is no sealed memory of that size. */
must_use int mails_take(struct mails *mails, const struct wire_mail *mail, int fd,
                        const char *command);
