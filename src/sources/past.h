/* What the journal holds, from a time on, as lines: for replay. The same lines as the live source
 * gives out, and nothing is remembered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"
#include "sources/row.h"

struct past;

/* Takes the descriptors of *row, whatever comes. -errno. */
must_use int past_open(struct row *row, const char *name, int64_t since_us,
                       struct past **ret_past);
struct past *past_free(struct past *past);

/* Whole lines into `into`, which must have room for one (ENTRY_LINE_MAX); 0 at the end, -errno. */
ssize_t past_read(struct past *past, char *into, size_t most);
