/* What several probes need that look for things which should not be there: each that is found is a
 * reading of its own, and when nothing is, the value is `none`, so that a rule can want that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/stat.h>

#include "probe/probe.h"

struct found {
    struct look *look;
    const char *key;
    unsigned count;
};

void found_one(struct found *found, const char *subject, const char *format, ...) prints(3, 4);
/* Says `none` when nothing was found. */
void found_end(struct found *found);
/* The same where an ordinary user does not see all: to him it says that nobody but root knows. */
void found_end_of_root(struct found *found);

/* Calls `each` with every path that matches the glob(7) pattern, in their order. False: it did not
 * see all, because the folders hold too many files. */
bool each_path(const char *pattern, void (*each)(void *context, const char *path), void *context);

#define MODE_WORDS_MAX 90
/* "0640 root:shadow". */
const char *mode_words(const struct stat *status, char into[MODE_WORDS_MAX]);

/* Why others than root and `owner` may write there, or NULL: the file, and each folder above it. */
const char *writable_by_others(const char *path, uid_t owner, char into[300]);

/* A regular file's text up to 256 KiB, empty when there is none or it may not be read. */
void read_quietly(const char *path, struct text *text);
