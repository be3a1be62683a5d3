/* A row of journal files and the reader over them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <systemd/sd-journal.h>

#include "wire/wire.h"

struct row {
    sd_journal *reader;    /* NULL: none */
    int fds[SIBLINGS_MAX]; /* that no reader owns yet */
    uint32_t count;
    int live_fd;           /* of the file that is being written; 0 none is known */
    bool lacks_live;       /* … and could not be read: journald has only just made it */
};

/* Loads the libraries that unpack long fields (libsystemd 257 looks for them when it meets the
 * first one, and behind the sandbox's wall they cannot be loaded). */
void row_prepare(void);

/* A reader over the files, and on the entries `name` matches ("journal: …"); without files, none.
 * Files that cannot be read are left out, with a warning. -errno. */
must_use int row_open(struct row *row, const char *name);
void row_close(struct row *row);

/* Adds the matches of that name, after sd_journal_flush_matches(). */
must_use int row_match(struct row *row, const char *name);
