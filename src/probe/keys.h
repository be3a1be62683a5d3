/* Keys and certificates as published in the DNS and as they lie on the disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/dns_records.h"

enum { KEY_BYTES_MOST = 4096 };

struct key {
    uint8_t
        at[KEY_BYTES_MOST]; /* as DKIM publishes it: SubjectPublicKeyInfo, or 32 bytes of Ed25519 */
    size_t length;
};

/* How many bits a published DKIM key has; -EINVAL when it is none of its type. */
must_use int key_bits(const uint8_t *bytes, size_t length, bool is_ed25519);

/* The public half of a private key in PEM. -errno of reading; -EINVAL: there is none in it. */
must_use int key_of_file(const char *path, struct key *ret_key);

/* Does the first certificate of a PEM file (its issuers, for usage 2) match the record? 1, 0;
 * -errno of reading; -EINVAL: there is no certificate in it. */
must_use int certificate_matches(const char *path, const struct tlsa *tlsa);
