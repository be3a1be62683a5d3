/* hauberkd's premises: the state and the runtime folder, a lock on each, the selftest's log and the
 * control socket. Made before the first role is started; no second hauberkd gets them meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "supervise/supervise.h"

/* Makes the folders, gives the state to the decider's user, locks both and empties the selftest's
 * log. The locks are held as long as anybody of us lives, for the roles inherit them. -EBUSY with
 * the pid in words: another hauberkd works here, and did not end within 5 s. */
must_use int premises_take(const struct supervise_options *options,
                           const struct sandbox_users *users, struct why *reterr_why);

/* Makes RUNTIME/control anew, for root and the decider's group, and listens. */
must_use int premises_listen(const struct supervise_options *options,
                             const struct sandbox_users *users, int *ret_control_fd,
                             struct why *reterr_why);

/* Removes the socket's name. */
void premises_close(const struct supervise_options *options);
