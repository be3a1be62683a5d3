/* Internet addresses and prefixes. An address is 16 bytes, IPv4 as ::ffff:a.b.c.d; a prefix adds a
 * length counted in bits of its *family* (0-32 or 0-128). Parsed once at the border, printed by
 * one function; the bytes beyond a prefix's length are always zero, so prefixes compare by memcmp
 * and serve as hash keys.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct address {
    uint8_t at[16];
};

struct prefix {
    struct address address;
    uint8_t length;
};

#define PREFIX_TEXT_MAX 56 /* longest printed form with its NUL */

static inline bool address_is_v4(const struct address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->at, mapped, sizeof(mapped)) == 0;
}

/* Numeric address, optionally in square brackets; no name, no port, no zone id (a %zone is link-
 * local to one interface and says nothing to a firewall: -EINVAL). IPv4-mapped IPv6 is IPv4. */
must_use int address_parse(struct span text, struct address *ret_address);

/* "address" (a whole host) or "address/length"; bits beyond the length are cleared. */
must_use int prefix_parse(struct span text, struct prefix *ret_prefix);

struct prefix prefix_of(const struct address *address);            /* /32 or /128 */
struct prefix prefix_cut(const struct address *address, uint8_t length); /* length of its family */
bool prefix_is_v4(const struct prefix *prefix);
bool prefix_is_host(const struct prefix *prefix);
bool prefix_holds(const struct prefix *prefix, const struct address *address);
bool prefix_contains(const struct prefix *outer, const struct prefix *inner); /* or equal */
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
bool prefix_equals(const struct prefix *a, const struct prefix *b);

const char *address_format(const struct address *address, char into[PREFIX_TEXT_MAX]);
/* Without "/32" or "/128" for single hosts. */
const char *prefix_format(const struct prefix *prefix, char into[PREFIX_TEXT_MAX]);
