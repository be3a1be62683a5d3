/* By OpenSSL's libcrypto. The DNS's bytes are only given to its decoders, never to anything that
 * signs or runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/keys.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/files.h"

enum { PEM_MOST_BYTES = 1 << 20, CHAIN_MOST = 10, ED25519_BYTES = 32, ED25519_BITS = 256 };

int key_bits(const uint8_t *bytes, size_t length, bool is_ed25519) {
    const uint8_t *at = bytes;
    if (is_ed25519)
        return length == ED25519_BYTES ? ED25519_BITS : -EINVAL;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)length);
    int bits = key && EVP_PKEY_base_id(key) == EVP_PKEY_RSA ? EVP_PKEY_bits(key) : -EINVAL;
    EVP_PKEY_free(key);
    return bits > 0 ? bits : -EINVAL;
}

/* A passphrase is never asked for. */
static int no_passphrase(char *into, int room, int writes, void *context) {
    (void)into;
    (void)room;
    (void)writes;
    (void)context;
    return 0;
}

static int open_pem(const char *path, struct text *text, BIO **ret_bio) {
    int error = file_read(path, PEM_MOST_BYTES, text);
    if (error < 0)
        return error;
    *ret_bio = BIO_new_mem_buf(text->at ? text->at : "", (int)text->length);
    return *ret_bio ? 0 : -ENOMEM;
}

int key_of_file(const char *path, struct key *ret_key) {
    cleanup_text struct text text = {0};
    BIO *bio;
    int error = open_pem(path, &text, &bio);
    if (error < 0)
        return error;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ret_key->length = sizeof(ret_key->at);
    error = -EINVAL;
    if (key && EVP_PKEY_base_id(key) == EVP_PKEY_ED25519) {
        if (EVP_PKEY_get_raw_public_key(key, ret_key->at, &ret_key->length) == 1)
            error = 0;
    } else if (key) {
        uint8_t *at = ret_key->at;
        int length = i2d_PUBKEY(key, NULL);
        if (length > 0 && length <= KEY_BYTES_MOST && i2d_PUBKEY(key, &at) == length) {
            ret_key->length = (size_t)length;
            error = 0;
        }
    }
    EVP_PKEY_free(key);
    BIO_free(bio);
    if (text.at)
        OPENSSL_cleanse(text.at, text.length);
    return error;
}

static bool one_matches(X509 *certificate, const struct tlsa *tlsa) {
    uint8_t *der = NULL;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    int length = tlsa->selector == 0 ? i2d_X509(certificate, &der)
                                     : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    struct span what = {(const char *)der, length > 0 ? (size_t)length : 0};
    if (length > 0 && tlsa->matching != 0 &&
        EVP_Digest(der, (size_t)length, digest, &digest_length,
                   tlsa->matching == 1 ? EVP_sha256() : EVP_sha512(), NULL) == 1)
        what = (struct span){(const char *)digest, digest_length};
    bool is_equal = what.length > 0 && span_equals(what, tlsa->data);
    OPENSSL_free(der);
    return is_equal;
}

int certificate_matches(const char *path, const struct tlsa *tlsa) {
    cleanup_text struct text text = {0};
    BIO *bio;
    int result = open_pem(path, &text, &bio);
    if (result < 0)
        return result;
    result = -EINVAL;
    for (int i = 0; i < CHAIN_MOST && result != 1; i++) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        if (!certificate)
            break;
        /* 3: the server's own; 2: one that issued it. */
        result = (i == 0) == (tlsa->usage == 3) && one_matches(certificate, tlsa);
        X509_free(certificate);
    }
    BIO_free(bio);
    if (text.at)
        OPENSSL_cleanse(text.at, text.length);
    return result;
}
