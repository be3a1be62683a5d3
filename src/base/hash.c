/* Digests and randomness: see hash.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/hash.h"

#include <sodium.h>

static uint8_t hash_key[crypto_shorthash_KEYBYTES];

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct digest_state), "state fits");

void hash_open(void) {
    must(sodium_init() >= 0);
    randombytes_buf(hash_key, sizeof(hash_key));
}

uint64_t hash_keyed(const void *bytes, size_t length) {
    uint64_t hash;
    _Static_assert(sizeof(hash) == crypto_shorthash_BYTES, "SipHash-2-4 gives 64 bits");
    crypto_shorthash((uint8_t *)&hash, bytes, length, hash_key);
    return hash;
}

uint64_t hash_named(struct span bytes) {
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "hauberk: a name";
    uint64_t hash;
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)bytes.at, bytes.length, key);
    return hash;
}

struct digest digest_of(struct span bytes) {
    struct digest digest;
    crypto_generichash(digest.at, sizeof(digest.at), (const uint8_t *)bytes.at, bytes.length, NULL,
                       0);
    return digest;
}

_Static_assert(crypto_shorthash_siphashx24_KEYBYTES == sizeof(hash_key) &&
                   crypto_shorthash_siphashx24_KEYBYTES == DIGEST_BYTES &&
                   crypto_shorthash_siphashx24_BYTES == DIGEST_BYTES,
               "SipHash-2-4 with 128 bits");

struct digest digest_keyed(struct span bytes) {
    struct digest digest;
    crypto_shorthash_siphashx24(digest.at, (const uint8_t *)bytes.at, bytes.length, hash_key);
    return digest;
}

struct digest digest_within(const struct digest *whole, struct span part) {
    struct digest digest;
    crypto_shorthash_siphashx24(digest.at, (const uint8_t *)part.at, part.length, whole->at);
    return digest;
}

static crypto_generichash_state *inner(struct digest_state *state) {
    return (crypto_generichash_state *)(void *)state->opaque;
}

void digest_begin(struct digest_state *state) {
    crypto_generichash_init(inner(state), NULL, 0, DIGEST_BYTES);
}

void digest_add(struct digest_state *state, struct span part) {
    uint64_t length = part.length;
    crypto_generichash_update(inner(state), (const uint8_t *)&length, sizeof(length));
    crypto_generichash_update(inner(state), (const uint8_t *)part.at, part.length);
}

struct digest digest_end(struct digest_state *state) {
    struct digest digest;
    crypto_generichash_final(inner(state), digest.at, sizeof(digest.at));
    return digest;
}

bool digest_equals(const struct digest *a, const struct digest *b) {
    return memcmp(a->at, b->at, sizeof(a->at)) == 0;
}

const char *digest_format(const struct digest *digest, char into[DIGEST_TEXT_MAX]) {
    return sodium_bin2hex(into, DIGEST_TEXT_MAX, digest->at, sizeof(digest->at));
}

uint64_t random_u64(void) {
    uint64_t value;
    randombytes_buf(&value, sizeof(value));
    return value;
}
