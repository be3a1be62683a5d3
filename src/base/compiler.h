/* The closed list of compiler extensions used in hauberk, and what is made of them.
 *
 * Ownership is visible at the declaration: a variable marked cleanup_free or cleanup_close gives
 * up what it holds at the end of its scope; take_pointer() and take_fd() hand it on instead.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define must_use __attribute__((warn_unused_result))
#define prints(text, first) __attribute__((format(printf, text, first)))
#define never_returns __attribute__((noreturn))
#define may_be_unused __attribute__((unused))
#define at_scope_end(function) __attribute__((cleanup(function)))

#define ELEMENTS_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline void cleanup_free_pointer(void *at) {
    void **pointer = at;
    free(*pointer);
    *pointer = NULL;
}

static inline void cleanup_close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

#define cleanup_free at_scope_end(cleanup_free_pointer)
#define cleanup_close at_scope_end(cleanup_close_fd)

#define take_pointer(variable)               \
    ({                                       \
        __typeof__(variable) taken_ = (variable); \
        (variable) = NULL;                   \
        taken_;                              \
    })

static inline int take_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* What cannot happen. Logs role, file and line and aborts: the supervisor restarts the role and
 * the kernel keeps the bans. Never on a value that came over a wire or out of a log. */
#define must(expression)                                    \
    do {                                                    \
        if (!(expression))                                  \
            must_failed(#expression, __FILE__, __LINE__);   \
    } while (0)

never_returns void must_failed(const char *expression, const char *file, int line);
