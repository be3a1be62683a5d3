/* Which TCP ports this machine listens on, and how to reach them from here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "base/text.h"

/* Reads /proc/net/tcp and tcp6 into `table`. False: neither can be read. */
must_use bool listeners_read(struct text *table);
/* Does anything listen there, and at which address of ours is it reached? Loopback where that is
 * enough. */
bool listeners_find(struct span table, uint16_t port, struct address *ret_address);
