/* Would port 25 carry mail from strangers to strangers?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "probe/probe.h"

/* Asks as a stranger from `own`, and says `relay` of `subject`. domains: names that this machine takes
 * mail for, a line each. is_stranger: nothing in the server's settings may name that address; else
 * what is carried tells nothing. False: strangers are not heard at all. */
bool relay_look(struct look *look, const char *subject, const struct address *own,
                struct span domains, bool is_stranger, int64_t until_us);
