/* Why something failed, in words for a person: what happened, where, and what to do. Filled by
 * functions whose last parameter is `struct why *reterr_why`; may be passed NULL by callers who do
 * not care. Fixed size, nothing to free.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/compiler.h"

struct why {
    char file[256]; /* "" when no file is to blame */
    int line;       /* 0 when no line is to blame */
    char text[512];
};

/* Fills *why and returns `error`, so that callers may write `return why_set(...)`. */
int why_set(struct why *why, int error, const char *file, int line, const char *format, ...)
    prints(5, 6);

/* "file:line: text" into a fixed array; returns it. */
const char *why_format(const struct why *why, char *into, size_t room);
