/* Keys of SSH as they lie in files: what kind, how long.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

/* Decodes base64 (RFC 4648), blanks and line ends are passed over. The number of bytes, or -EINVAL,
 * -E2BIG. */
int base64_decode(struct span text, uint8_t *into, size_t room);

enum { KEY_WORD_MAX = 64, KEY_BLOB_MOST_BYTES = 8192 };

struct public_key {
    char type[KEY_WORD_MAX]; /* "ssh-ed25519" */
    unsigned bits;           /* 0: not known */
    struct span options;     /* before the key, in an authorized_keys line */
    struct span blob;        /* the key in base64: equal texts are equal keys */
    struct span comment;
};

/* Reads a line of authorized_keys or of a .pub file: [options] type base64 [comment]. The spans
 * point into the line. False: it is none. */
bool public_key_read(struct span line, struct public_key *ret_key);

/* How a private key in PEM is locked: "none", "DES-EDE3" (three rounds of DES), another cipher's
 * name, or "yes"; NULL when the text is no private key. */
const char *private_key_lock(struct span pem, char into[KEY_WORD_MAX]);
