/* Digests and randomness, by libsodium. Table keys are chosen by attackers, so every table hashes
 * with SipHash under a key drawn at start-up; identities and configurations are named by BLAKE2b,
 * which costs several times as much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

void hash_open(void); /* once per process, before any other call; draws the key */

uint64_t hash_keyed(const void *bytes, size_t length); /* differs from process to process */

#define DIGEST_BYTES 16
struct digest {
    uint8_t at[DIGEST_BYTES];
};

uint64_t hash_named(struct span bytes); /* 64 bits, the same everywhere and always */

struct digest digest_of(struct span bytes); /* the same everywhere and always */

/* Differs from process to process: for keys that are not stored. */
struct digest digest_keyed(struct span bytes);

/* Of a part of what `whole` stands for, the same everywhere and always: SipHash keyed by it. Who
 * knows the whole and takes great pains could make two parts look alike, so it is for parts of his
 * own. */
struct digest digest_within(const struct digest *whole, struct span part);

/* For a digest of several parts; the length of each part is part of the digest. */
struct digest_state {
    _Alignas(64) uint8_t opaque[384];
};
void digest_begin(struct digest_state *state);
void digest_add(struct digest_state *state, struct span part);
struct digest digest_end(struct digest_state *state);

bool digest_equals(const struct digest *a, const struct digest *b);
#define DIGEST_TEXT_MAX (2 * DIGEST_BYTES + 1)
const char *digest_format(const struct digest *digest, char into[DIGEST_TEXT_MAX]);

uint64_t random_u64(void);
