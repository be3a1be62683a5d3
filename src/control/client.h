/* The control socket's asking side, for the command line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/why.h"
#include "control/json.h"

enum { CLIENT_PATIENCE_SEC = 5 }; /* until a question should have been taken */

/* Connects to RUNTIME/control. -ENOENT or -ECONNREFUSED: no hauberkd runs there; -EACCES: not
 * allowed; -EAGAIN: it runs, and so many questions wait there already that ours finds no place. */
must_use int client_open(const char *runtime_folder, int *ret_fd);

/* The two halves of client_ask(), for who waits in a loop of its own. */
must_use int client_send(int fd, const char *word, js *args); /* takes args */
/* One packet that has come, {"row": …} or {"end": …}, made safe for a terminal; NULL when it makes
 * no sense. -EAGAIN: none has come; -ECONNRESET: hauberkd has gone. */
must_use int client_take(int fd, js **ret_packet);

/* Asks; calls `each` for every row (NULL: rows are ignored) until the end comes. Returns the
 * answer's exit (0-3) and its text, or -errno. -EBUSY: after CLIENT_PATIENCE_SEC the question still
 * lies there as it was sent, because no decider runs or it is busy; `on_wait` may say so and return
 * true to wait on (NULL: not). An answer that takes long is another matter. A row callback that
 * returns false stops early with exit 0. seconds < 0: wait for ever. */
must_use int client_ask(int fd, const char *word, js *args, int seconds,
                        bool (*each)(void *context, const js *row), void *context,
                        bool (*on_wait)(void *context), struct text *text,
                        struct why *reterr_why); /* takes args */
