/* Would port 25 carry mail from strangers to strangers?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "probe/probe.h"

enum relay_heard { RELAY_HEARD, RELAY_NOT_HEARD, RELAY_NOBODY_THERE };

/* Asks as a stranger from `own`, and says `relay` of `subject`. domains: names that this machine
 * takes mail for, a line each. is_stranger: nothing in the server's settings may name that
 * address; else what is carried tells nothing. Returns whether strangers are heard at all;
 * nothing is said when nobody listens there. */
enum relay_heard relay_look(struct look *look, const char *subject, const struct address *own,
                struct span domains, bool is_stranger, int64_t until_us);
