/* Who is logged in by SSH now, as logind tells (sd-login(3)): a thin face, so that one folder knows
 * libsystemd. logind writes these files when PAM opens a session, so only for whoever has been let
 * in; the host in them is what sshd says of the connection, and counts only as a numeric address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/address.h"

#define LOGINS_FOLDER "/run/systemd/sessions" /* what logins_each() reads */

struct logins;

/* NULL: there is no logind here. */
struct logins *logins_open(void);
struct logins *logins_close(struct logins *logins);

/* Readable when a session began or ended; logins_seen() empties it. */
int logins_fd(const struct logins *logins);
void logins_seen(struct logins *logins);

/* Every open session of sshd from a numeric address. */
void logins_each(void (*each)(void *context, uid_t uid, const struct address *from),
                 void *context);
