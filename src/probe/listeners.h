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
/* The same, of ports that others than this machine can reach: what is on loopback alone (a
 * satellite's port 25, a web mail's port 143) needs no TLS and shows strangers nothing. */
bool listeners_find_open(struct span table, uint16_t port, struct address *ret_address);
/* Would whoever connects to that address be heard? A listener on all addresses of IPv6 may hear
 * IPv4 as well. */
bool listeners_hear(struct span table, uint16_t port, const struct address *address);
