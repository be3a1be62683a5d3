/* Which account a name means, for counting: 8 bytes of hash, the same on every machine and day, so
 * it can be stored and holds no name.
 *
 * People and their programs write one account in several ways: `Alice`, `alice@example.org`,
 * `EXAMPLE\alice` (set-up assistants try all of them). So letters are folded to lower case, and only
 * what stands before `@` and behind `\` counts. Two people of one name in two domains are one
 * account here: the price is a little too much patience with them, never a ban.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "base/span.h"

/* 0: no name. */
uint64_t account_identity(struct span name);
