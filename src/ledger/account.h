/* Which account a name means, as hashes of 8 bytes: the same on every machine and day, so they can
 * be stored and hold no name.
 *
 * People and their programs write one account in several ways: `Alice`, `alice@example.org`,
 * `EXAMPLE\alice` (set-up assistants try all of them). So letters are folded to lower case, what
 * stands before `\` is left out, and there are two hashes: of the user alone, by which mistakes are
 * counted, and of user and domain, by which logins are remembered: info@mine is not info@yours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct account {
    uint64_t user;  /* 0: no name */
    uint64_t whole; /* the same as `user` where no domain is named */
    bool has_domain;
};

struct account account_of(struct span name);
