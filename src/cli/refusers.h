/* Who besides hauberk refuses an address, as far as it can be known on this machine: other tables
 * of nftables, /etc/hosts.deny, and sshd's own penalties, which only its log tells. Needs root.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "control/json.h"

/* An array of sentences; empty when nobody else does, or nothing could be read. */
js *refusers_of(const struct address *address);

/* The parts that read text, for their tests. */
bool hosts_deny_holds(struct span text, const struct address *address, unsigned *ret_line);
uint32_t sshd_penalties_in(struct span log, const struct address *address);
