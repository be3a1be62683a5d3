/* What an address in a configuration means for who can reach what.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"

/* "localhost", 127.0.0.0/8, ::1 */
bool host_is_loopback(struct span host);

/* "loopback", "private" or "public". */
const char *network_kind(const struct prefix *prefix);

/* "loopback", "public resolver" (one of the large ones that serve everybody), or "other". */
const char *resolver_kind(struct span address);
