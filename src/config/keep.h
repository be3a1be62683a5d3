/* A bag of allocations that are given back together: everything a snapshot owns lies in one, so
 * that nothing in it needs a destructor of its own. Reading a configuration is start-up and its
 * sizes are bounded, so running out of memory is must().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

struct keep {
    struct keep_block *newest; /* {0} is an empty bag */
};

void *keep_bytes(struct keep *keep, size_t size); /* zeroed */
char *keep_text(struct keep *keep, struct span text); /* a NUL-terminated copy */

/* Room for one more element behind `count` ones: `array` itself or a larger copy. The array must
 * have grown by this function alone. */
void *keep_grown(struct keep *keep, void *array, size_t count, size_t element_size);

void keep_free(struct keep *keep); /* leaves an empty bag */
#define cleanup_keep at_scope_end(keep_free)
