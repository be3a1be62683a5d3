/* The bag of allocations: see keep.h. Each is a malloc of its own, not a cut from a slab, so that
 * the address sanitizer sees every overrun; a configuration has some thousand of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/keep.h"

struct keep_block {
    struct keep_block *older;
    _Alignas(16) char bytes[];
};

void *keep_bytes(struct keep *keep, size_t size) {
    struct keep_block *block = calloc(1, sizeof(*block) + size);
    must(block);
    block->older = keep->newest;
    keep->newest = block;
    return block->bytes;
}

char *keep_text(struct keep *keep, struct span text) {
    char *copy = keep_bytes(keep, text.length + 1);
    if (text.length)
        memcpy(copy, text.at, text.length);
    return copy;
}

/* The room is the power of two at or above the count, so the count alone tells when it is full. */
void *keep_grown(struct keep *keep, void *array, size_t count, size_t element_size) {
    if (count > 0 && (count & (count - 1)) != 0)
        return array;
    size_t room = 2 * count;
    void *larger = keep_bytes(keep, (room ? room : 1) * element_size);
    if (count > 0)
        memcpy(larger, array, count * element_size);
    return larger;
}

void keep_free(struct keep *keep) {
    while (keep->newest) {
        struct keep_block *block = keep->newest;
        keep->newest = block->older;
        free(block);
    }
}
