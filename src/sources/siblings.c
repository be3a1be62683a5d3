/* Rotated siblings: see siblings.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/siblings.h"

size_t compressed_ending(struct span path) {
    static const char *const endings[] = {".gz", ".xz", ".zst", ".bz2"};
    for (size_t i = 0; i < ELEMENTS_OF(endings); i++) {
        size_t length = strlen(endings[i]);
        if (path.length > length &&
            memcmp(path.at + path.length - length, endings[i], length) == 0)
            return length;
    }
    return 0;
}

bool sibling_is_half_made(const struct siblings *siblings, const struct wire_sibling *sibling) {
    struct span path = wire_bytes(sibling->path);
    size_t ending = compressed_ending(path);
    path.length -= ending;
    for (uint32_t i = 0; ending && i < siblings->count; i++)
        if (span_equals(wire_bytes(siblings->at[i].path), path))
            return true;
    return false;
}

/* The digits at a name's end: the number of a rotation, or its date; -1 without any. */
static int64_t rotation_number(const struct wire_sibling *sibling) {
    struct span path = wire_bytes(sibling->path);
    size_t start = path.length -= compressed_ending(path);
    while (start > 0 && memchr("0123456789-_.:T", path.at[start - 1], 15))
        start--;
    int64_t number = -1;
    for (size_t i = start; i < path.length; i++)
        if (path.at[i] >= '0' && path.at[i] <= '9' && number < INT64_MAX / 16)
            number = (number < 0 ? 0 : number) * 10 + (path.at[i] - '0');
    return number;
}

/* A name says more than the modification time, which a late writer moves. */
bool sibling_is_newer(const struct wire_sibling *a, const struct wire_sibling *b) {
    enum { LEAST_DATE = 10000 };
    int64_t of_a = rotation_number(a);
    int64_t of_b = rotation_number(b);
    bool is_date = of_a >= LEAST_DATE;
    if (of_a >= 0 && of_b >= 0 && of_a != of_b && is_date == (of_b >= LEAST_DATE))
        return is_date ? of_a > of_b : of_a < of_b;
    return a->modified_us > b->modified_us;
}

bool sibling_is_rotated(const struct siblings *siblings, const struct wire_sibling *sibling) {
    return rotation_number(sibling) >= 0 && !sibling_is_half_made(siblings, sibling);
}

bool sibling_is_later(const struct siblings *siblings, const struct wire_sibling *sibling,
                      const struct wire_sibling *than) {
    return sibling_is_rotated(siblings, sibling) && sibling_is_newer(sibling, than);
}

bool siblings_have_later(const struct siblings *siblings, const struct wire_sibling *than) {
    for (uint32_t i = 0; i < siblings->count; i++)
        if (sibling_is_later(siblings, &siblings->at[i], than))
            return true;
    return false;
}

struct wire_sibling siblings_find(const struct siblings *siblings, uint64_t device, uint64_t inode,
                                  int64_t modified_us) {
    for (uint32_t i = 0; i < siblings->count; i++)
        if (siblings->at[i].inode == inode && siblings->at[i].device == device)
            return siblings->at[i];
    for (uint32_t i = 0; i < siblings->count; i++)
        if (siblings->at[i].modified_us == modified_us &&
            compressed_ending(wire_bytes(siblings->at[i].path)) > 0)
            return siblings->at[i];
    return (struct wire_sibling){.modified_us = modified_us};
}
