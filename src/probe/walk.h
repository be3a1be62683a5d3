/* A walk over files: each folder below some roots, without following links, on this machine's own
 * file systems, within a number of files and a time. What it did not come to it says.
 *
 * It goes past what is not the host's own: other machines' file systems (nothing of them is even
 * asked for, so one whose server is gone does not hold it), the insides of Maildirs and of
 * Dovecot's dbox folders (millions of mails), containers' stores, and whole systems that root keeps
 * in a folder, which have packages of their own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>
#include <sys/stat.h>

#include "probe/mounts.h"

struct walk_entry {
    const char *path;
    const char *name;          /* its last part */
    const struct stat *status; /* of itself, also when it is a link */
    int folder;                /* the folder it is in, for openat(2) */
    bool is_open;              /* everybody may come to it through the folders above */
};

struct walk {
    void (*each)(void *context, const struct walk_entry *entry);
    void *context;
    const char *const *past; /* paths it goes past as well, NULL ends them */
    unsigned most;           /* files */
    int64_t until_us;        /* of the monotonic clock */

    unsigned entries; /* it has seen */
    char cut[400];    /* what it did not come to and why; "": it saw all */

    /* its own */
    struct mount *foreign;
    size_t foreign_count;
    char path[PATH_MAX];
    size_t length;
};

/* Of the roots those that are there, in their order. */
void walk_roots(struct walk *walk, const char *const *roots, size_t count);
