/* Speaking to this machine's own services as somebody does whom they do not know. Postfix and
 * Dovecot trust networks they were told of, and Dovecot whoever comes from the very address it
 * answers at: what they say to those, they say to nobody else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/socket.h>

#include "base/address.h"

enum { OWN_ADDRESSES_MOST = 64 };

/* The addresses of this machine's interfaces, less loopback and what counts on one link only. How
 * many; 0 also when they cannot be listed. */
size_t own_addresses(struct address into[OWN_ADDRESSES_MOST]);

/* Is it in a list of networks like "127.0.0.0/8, [::1]/128"? A network as wide as a part of the
 * internet makes nobody a friend. What is no network (a table, a file, a "!") says nothing here,
 * which *ret_is_sure tells. */
bool networks_hold(struct span networks, const struct address *address, bool *ret_is_sure);

/* An address of this machine from which `to` is spoken to as by a stranger: of its family, another
 * one, and not in `trusted`. Loopback's second serves where there is no better. False: none. */
bool stranger_to(const struct address *to, struct span trusted, struct address *ret_from);

/* False: of another family than those of the internet. */
bool address_of_socket(const struct sockaddr *socket_address, struct address *ret_address);
