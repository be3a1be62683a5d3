/* Addresses: see address.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static void address_from_v4(const uint8_t v4[4], struct address *ret_address) {
    memset(ret_address->at, 0, 10);
    ret_address->at[10] = ret_address->at[11] = 0xff;
    memcpy(ret_address->at + 12, v4, 4);
}

int address_parse(struct span text, struct address *ret_address) {
    if (text.length >= 2 && text.at[0] == '[' && text.at[text.length - 1] == ']')
        text = (struct span){text.at + 1, text.length - 2};
    char copy[INET6_ADDRSTRLEN + 1];
    if (text.length == 0 || text.length >= sizeof(copy) || memchr(text.at, '\0', text.length))
        return -EINVAL;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    uint8_t bytes[16];
    if (inet_pton(AF_INET, copy, bytes) == 1)
        address_from_v4(bytes, ret_address);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        memcpy(ret_address->at, bytes, sizeof(bytes));
    else
        return -EINVAL;
    return 0;
}

/* How many of an address's 128 bits a prefix fixes. */
static unsigned fixed_bits(const struct prefix *prefix) {
    return prefix->length + (prefix_is_v4(prefix) ? 96u : 0u);
}

static void clear_bits(uint8_t at[16], unsigned from) {
    for (unsigned byte = 0; byte < 16; byte++) {
        if (from >= 8 * (byte + 1))
            continue;
        unsigned kept = from <= 8 * byte ? 0 : 0xff00u >> (from - 8 * byte);
        at[byte] = (uint8_t)(at[byte] & kept);
    }
}

static bool equal_bits(const uint8_t a[16], const uint8_t b[16], unsigned bits) {
    unsigned whole = bits / 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) & (uint8_t)(0xff00u >> rest)) == 0;
}

int prefix_parse(struct span text, struct prefix *ret_prefix) {
    struct span address_text = span_cut(&text, '/');
    struct address address;
    int error = address_parse(address_text, &address);
    if (error < 0)
        return error;
    int64_t length = address_is_v4(&address) ? 32 : 128;
    if (text.at) {
        error = span_to_integer(text, 0, length, &length);
        if (error < 0)
            return error;
    }
    *ret_prefix = prefix_cut(&address, (uint8_t)length);
    return 0;
}

struct prefix prefix_of(const struct address *address) {
    return (struct prefix){*address, address_is_v4(address) ? 32 : 128};
}

struct prefix prefix_cut(const struct address *address, uint8_t length) {
    struct prefix prefix = {*address, length};
    clear_bits(prefix.address.at, fixed_bits(&prefix));
    return prefix;
}

bool prefix_is_v4(const struct prefix *prefix) {
    return address_is_v4(&prefix->address);
}

bool prefix_is_host(const struct prefix *prefix) {
    return prefix->length == (prefix_is_v4(prefix) ? 32 : 128);
}

bool prefix_holds(const struct prefix *prefix, const struct address *address) {
    return prefix_is_v4(prefix) == address_is_v4(address) &&
           equal_bits(prefix->address.at, address->at, fixed_bits(prefix));
}

bool prefix_contains(const struct prefix *outer, const struct prefix *inner) {
    return outer->length <= inner->length && prefix_holds(outer, &inner->address);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b) {
    return prefix_contains(a, b) || prefix_contains(b, a);
}

bool prefix_equals(const struct prefix *a, const struct prefix *b) {
    return a->length == b->length && memcmp(a->address.at, b->address.at, 16) == 0;
}

const char *address_format(const struct address *address, char into[PREFIX_TEXT_MAX]) {
    if (address_is_v4(address))
        inet_ntop(AF_INET, address->at + 12, into, PREFIX_TEXT_MAX);
    else
        inet_ntop(AF_INET6, address->at, into, PREFIX_TEXT_MAX);
    return into;
}

const char *prefix_format(const struct prefix *prefix, char into[PREFIX_TEXT_MAX]) {
    address_format(&prefix->address, into);
    if (!prefix_is_host(prefix)) {
        size_t length = strlen(into);
        snprintf(into + length, PREFIX_TEXT_MAX - length, "/%u", prefix->length);
    }
    return into;
}
