/* Formats: RFC 1035 section 3.3 (names, MX, TXT), RFC 6698 section 2.1 (TLSA), RFC 8659 section 4.1
 * (CAA). libunbound hands names out uncompressed; a pointer is therefore a fault here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/dns_records.h"

#include <ctype.h>

static uint8_t byte_at(struct span record, size_t i) {
    return (uint8_t)record.at[i];
}

bool record_name(struct span record, size_t offset, char into[DNS_NAME_MAX]) {
    char name[DNS_NAME_MAX];
    size_t length = 0;
    if (offset + 255 < record.length)
        return false; /* RFC 1035, 3.1 */
    while (offset < record.length && byte_at(record, offset) != 0) {
        size_t label = byte_at(record, offset++);
        if (label > 63 || offset + label >= record.length || length + label + 2 > sizeof(name))
            return false;
        if (length > 0)
            name[length++] = '.';
        for (size_t i = 0; i < label; i++) {
            int c = tolower(byte_at(record, offset + i));
            name[length++] = (char)(isalnum(c) || c == '-' || c == '_' || c == '*' ? c : '?');
        }
        offset += label;
    }
    if (offset + 1 != record.length)
        return false;
    if (length == 0)
        name[length++] = '.';
    memcpy(into, name, length);
    into[length] = '\0';
    return true;
}

bool record_address(struct span record, struct address *ret_address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (record.length == 4) {
        memcpy(ret_address->at, mapped, sizeof(mapped));
        memcpy(&ret_address->at[12], record.at, 4);
    } else if (record.length == 16) {
        memcpy(ret_address->at, record.at, 16);
    }
    return record.length == 4 || record.length == 16;
}

bool record_mx(struct span record, unsigned *ret_preference, char ret_host[DNS_NAME_MAX]) {
    if (record.length < 3 || !record_name(record, 2, ret_host))
        return false;
    *ret_preference = (unsigned)byte_at(record, 0) << 8 | byte_at(record, 1);
    return true;
}

bool record_txt(struct span record, struct text *text) {
    size_t at = 0;
    while (at < record.length) {
        size_t length = byte_at(record, at++);
        if (at + length > record.length)
            return false;
        text_add(text, (struct span){record.at + at, length});
        at += length;
    }
    return at > 0;
}

bool record_tlsa(struct span record, struct tlsa *ret_tlsa) {
    if (record.length < 4)
        return false;
    *ret_tlsa = (struct tlsa){byte_at(record, 0), byte_at(record, 1), byte_at(record, 2),
                              span_skip(record, 3)};
    return true;
}

bool tlsa_is_usable(const struct tlsa *tlsa) {
    bool is_whole = tlsa->matching == 0 || (tlsa->matching == 1 && tlsa->data.length == 32) ||
                    (tlsa->matching == 2 && tlsa->data.length == 64);
    return (tlsa->usage == 2 || tlsa->usage == 3) && tlsa->selector <= 1 && is_whole;
}

bool record_caa(struct span record, struct text *text) {
    if (record.length < 3)
        return false;
    size_t tag = byte_at(record, 1);
    if (tag == 0 || 2 + tag > record.length)
        return false;
    text_add_format(text, "%u ", byte_at(record, 0));
    text_add_safe(text, (struct span){record.at + 2, tag});
    text_add_string(text, " \"");
    text_add_safe(text, span_skip(record, 2 + tag));
    text_add_char(text, '"');
    return true;
}
