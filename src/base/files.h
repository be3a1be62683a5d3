/* Small files, whole: read at once, written so that a reader sees the old or the new.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/text.h"

/* Appends the whole of a regular file of at most `most` bytes. -EFBIG: larger. */
must_use int file_read(const char *path, size_t most, struct text *text);
must_use int file_read_fd(int fd, size_t most, struct text *text);

/* Writes all bytes, through short writes and EINTR. */
must_use int write_all(int fd, struct span bytes);

/* A descriptor of memory that holds these bytes, and that nobody can change any more; -errno. */
must_use int memory_seal(const char *name, struct span bytes);

/* Appends to (or makes) a file of mode 0600 and fsyncs it and its folder. Whoever renames the file
 * and then takes flock(2) on it has everything that was appended: what comes later goes to a new
 * file of the old name. */
must_use int file_append_durably(const char *path, struct span bytes);

/* Makes a folder and its missing parents; fine if it is there. */
must_use int folder_make(const char *path, mode_t mode);
