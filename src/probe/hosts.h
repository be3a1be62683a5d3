/* What an address in a configuration means for who can reach what.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"

/* "localhost", 127.0.0.0/8, ::1 */
bool host_is_loopback(struct span host);

/* A network as main.cf and doveconf have them: "192.0.2.0/24", "[2001:db8::]/32", and IPv4 in the
 * clothes of IPv6, "[::ffff:127.0.0.0]/104". -EINVAL. */
must_use int network_parse(struct span word, struct prefix *ret_prefix);
/* "loopback", "private" or "public". */
const char *network_kind(const struct prefix *prefix);

/* "loopback", "public resolver" (one of the large ones that serve everybody), or "other". */
const char *resolver_kind(struct span address);
