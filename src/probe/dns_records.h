/* What is in a DNS record: bytes as they came, read without believing them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "base/text.h"
#include "probe/dns.h"

/* All return false when the bytes are not what they should be. */

/* The domain name that begins at `offset` and must fill the rest: small letters, without the last
 * dot, "." for the root. Bytes no host name has become '?', so that it is shown and never asked. */
bool record_name(struct span record, size_t offset, char into[DNS_NAME_MAX]);

bool record_address(struct span record, struct address *ret_address);

/* MX: how far behind, and the host. */
bool record_mx(struct span record, unsigned *ret_preference, char ret_host[DNS_NAME_MAX]);

/* TXT: its strings as one; appended. */
bool record_txt(struct span record, struct text *text);

struct tlsa {
    uint8_t usage, selector, matching; /* RFC 6698 */
    struct span data;
};
bool record_tlsa(struct span record, struct tlsa *ret_tlsa);
/* What mail servers take (RFC 7672, 3.1): usage 2 or 3, selector 0 or 1, a digest of its length. */
bool tlsa_is_usable(const struct tlsa *tlsa);

/* CAA as it is written: 0 issue "letsencrypt.org". Appended. */
bool record_caa(struct span record, struct text *text);
