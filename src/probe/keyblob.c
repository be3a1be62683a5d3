/* A public key in SSH's wire form (RFC 4253, 6.6): strings with a length of four bytes before each:
 * the type, then numbers. RSA's length is its second number's, DSA's its first's.
 *
 * A private key in PEM tells its lock in three ways: OpenSSL's old header "DEK-Info: NAME,…";
 * PKCS#8's "ENCRYPTED PRIVATE KEY", where the cipher is an object identifier in the data (RFC 8018;
 * des-EDE3-CBC is 1.2.840.113549.3.7); OpenSSH's own form, where the cipher's name is the first
 * string behind the magic "openssh-key-v1" (PROTOCOL.key of OpenSSH).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/keyblob.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

int base64_decode(struct span text, uint8_t *into, size_t room) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned held = 0;
    size_t length = 0;
    for (size_t i = 0; i < text.length && text.at[i] != '='; i++) {
        const char *digit = text.at[i] ? strchr(digits, text.at[i]) : NULL;
        if (isspace((unsigned char)text.at[i]))
            continue;
        if (!digit)
            return -EINVAL;
        bits = (bits << 6) | (uint32_t)(digit - digits);
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (length == room)
            return -E2BIG;
        into[length++] = (uint8_t)(bits >> held);
    }
    return (int)length;
}

/* Cuts one string off; false at the end or when its length lies. */
static bool cut_string(struct span *blob, struct span *ret_string) {
    const uint8_t *at = (const uint8_t *)blob->at;
    if (blob->length < 4)
        return false;
    size_t length = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (length > blob->length - 4)
        return false;
    *ret_string = (struct span){blob->at + 4, length};
    *blob = span_skip(*blob, 4 + length);
    return true;
}

static unsigned bits_of(struct span number) {
    while (number.length > 0 && number.at[0] == 0)
        number = span_skip(number, 1);
    unsigned bits = (unsigned)number.length * 8;
    for (unsigned top = number.length ? (uint8_t)number.at[0] : 128; top < 128; top <<= 1)
        bits--;
    return bits;
}

static unsigned key_bits(struct span type, struct span rest) {
    struct span first;
    struct span second;
    if (span_is(type, "ssh-rsa"))
        return cut_string(&rest, &first) && cut_string(&rest, &second) ? bits_of(second) : 0;
    if (span_is(type, "ssh-dss"))
        return cut_string(&rest, &first) ? bits_of(first) : 0;
    if (span_is(type, "ecdsa-sha2-nistp384"))
        return 384;
    return span_is(type, "ecdsa-sha2-nistp521") ? 521 : 256;
}

/* The first word that is not in quotes. */
static struct span cut_options(struct span *line) {
    bool is_quoted = false;
    size_t length = 0;
    for (; length < line->length; length++) {
        char c = line->at[length];
        if (c == '"' && (length == 0 || line->at[length - 1] != '\\'))
            is_quoted = !is_quoted;
        if (!is_quoted && (c == ' ' || c == '\t'))
            break;
    }
    struct span options = {line->at, length};
    *line = span_trim(span_skip(*line, length));
    return options;
}

static bool is_type(struct span word) {
    return span_starts_with(word, SPAN("ssh-")) || span_starts_with(word, SPAN("ecdsa-")) ||
           span_starts_with(word, SPAN("sk-"));
}

bool public_key_read(struct span line, struct public_key *ret_key) {
    uint8_t bytes[KEY_BLOB_MOST_BYTES];
    struct span type;
    *ret_key = (struct public_key){0};
    line = span_trim(line);
    struct span rest = line;
    if (!is_type(span_word(&rest)))
        ret_key->options = cut_options(&line);
    rest = line;
    if (!is_type(span_word(&rest)))
        return false;
    ret_key->blob = span_word(&rest);
    ret_key->comment = span_trim(rest);
    int length = base64_decode(ret_key->blob, bytes, sizeof(bytes));
    struct span blob = {(const char *)bytes, length > 0 ? (size_t)length : 0};
    if (!cut_string(&blob, &type) || type.length == 0 || type.length >= sizeof(ret_key->type))
        return false;
    memcpy(ret_key->type, type.at, type.length);
    ret_key->bits = key_bits(type, blob);
    return true;
}

static bool contains(struct span text, const void *what, size_t length) {
    return memmem(text.at, text.length, what, length) != NULL;
}

static struct span body_of(struct span pem) {
    struct span body = {0};
    while (pem.length > 0) {
        struct span line = span_trim(span_cut(&pem, '\n'));
        if (span_starts_with(line, SPAN("-----BEGIN "))) {
            body = pem;
            continue;
        }
        if (body.at && span_starts_with(line, SPAN("-----END "))) {
            body.length = (size_t)(line.at - body.at);
            return body;
        }
    }
    return (struct span){0};
}

static const char *word_of(struct span word, char into[KEY_WORD_MAX]) {
    snprintf(into, KEY_WORD_MAX, "%.*s", (int)(word.length < 60 ? word.length : 60), word.at);
    return into;
}

const char *private_key_lock(struct span pem, char into[KEY_WORD_MAX]) {
    static const uint8_t triple_des[] = {0x06, 0x08, 0x2a, 0x86, 0x48,
                                         0x86, 0xf7, 0x0d, 0x03, 0x07};
    static const char magic[] = "openssh-key-v1";
    uint8_t bytes[16384];
    struct span cipher;
    const char *begin = memmem(pem.at, pem.length, "-----BEGIN ", 11);
    if (!begin || !contains(pem, "PRIVATE KEY-----", 16))
        return NULL;
    const char *info = memmem(pem.at, pem.length, "DEK-Info: ", 10);
    if (info) {
        struct span rest = span_skip(pem, (size_t)(info - pem.at) + 10);
        struct span line = span_cut(&rest, '\n');
        struct span name = span_trim(span_cut(&line, ','));
        return span_starts_with(name, SPAN("DES-EDE3")) ? "DES-EDE3" : word_of(name, into);
    }
    int length = base64_decode(body_of(pem), bytes, sizeof(bytes));
    struct span blob = {(const char *)bytes, length > 0 ? (size_t)length : 0};
    if (contains(pem, "BEGIN ENCRYPTED PRIVATE KEY", 27))
        return contains(blob, triple_des, sizeof(triple_des)) ? "DES-EDE3" : "yes";
    if (span_starts_with(blob, (struct span){magic, sizeof(magic)})) {
        blob = span_skip(blob, sizeof(magic));
        return cut_string(&blob, &cipher) ? word_of(cipher, into) : "yes";
    }
    return "none";
}
