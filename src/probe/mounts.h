/* What is mounted where (proc(5), /proc/PID/mounts).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

enum { MOUNTS_MOST = 4000, MOUNT_PATH_MAX = 300 };

struct mount {
    char device[MOUNT_PATH_MAX], path[MOUNT_PATH_MAX];
    struct span options, type; /* point into the text that was read */
};

/* A path as the kernel's tables write it: blanks, line ends and backslashes in octal, \040. */
void mount_path(struct span word, char into[MOUNT_PATH_MAX]);

/* At most MOUNTS_MOST of that text, in its order; how many. */
size_t mounts_read(struct span text, struct mount mounts[MOUNTS_MOST]);

/* What is seen there: of those mounted at that path the last one; NULL when there is none. */
const struct mount *mounts_find(const struct mount *mounts, size_t count, const char *path);

/* That folder itself, or what lies below it. */
bool path_is_in(const char *path, const char *folder);

/* Is that a kind of file system that lies on this machine's own disks? */
bool mount_is_on_disk(const struct mount *mount);
