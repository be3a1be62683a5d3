/* Runs programs to their end, side by side, each within a time and a size: no shell, no terminal, a
 * clean environment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"

struct run {
    const char *path;             /* absolute */
    const char *const *arguments; /* [0] is what it is told it is called; NULL ends them */
    int64_t limit_us;             /* from its own start */
    size_t most_bytes;            /* of output, and of complaint */

    struct text output, complaint; /* what it said, and on standard error; the caller's to free */
    int status; /* its exit status (128 + the signal's number when one killed it), or -errno:
                   -ETIMEDOUT and -EFBIG after killing it and all it had started */

    /* while it runs */
    pid_t pid;
    int fds[3]; /* output, complaint, the process itself */
    int64_t until_us;
};

/* Returns when all have ended; at most `at_once` run at a time, begun in their order. */
void run_all(struct run *runs, size_t count, size_t at_once);
