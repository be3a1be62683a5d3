/* What first sight looks back into: the files a log was rotated into before we came.
 *
 * They are memory, as the part of the log itself that lies before its mark: read once, oldest
 * first, so that time goes forward; none that was last changed more than 30 days ago; and at most
 * EARLIER_BYTES of a log in all, the newest of them. Each gets EARLIER_FILE_ROOM ordinals below
 * EARLIER_ROOM, where those of the log itself then begin: how much a compressed file holds is not
 * known before it was read, but the mark must be told before. So a position whose mark is at or
 * above EARLIER_ROOM, and whose `done` is below, says that this is not over.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "sources/identity.h"
#include "sources/siblings.h"

#define EARLIER_BYTES (UINT64_C(512) << 20)
#define EARLIER_FILE_ROOM (UINT64_C(1) << 32)
#define EARLIER_ROOM (SIBLINGS_MAX * EARLIER_FILE_ROOM)

struct earlier {
    struct earlier_file {
        struct wire_sibling facts;
        uint64_t start; /* offset to begin at */
    } files[SIBLINGS_MAX]; /* oldest first */
    uint32_t count, at;
    struct stream *stream; /* of files[at]; NULL: not open */
    uint64_t offset;
    bool is_in_long_line;
};

/* Of the siblings, those to be read before `present`, of which `size` bytes will be read, too. */
void earlier_choose(struct earlier *earlier, const struct siblings *siblings,
                    const struct identity *present, uint64_t size, int64_t now_us);
bool earlier_is_over(const struct earlier *earlier);
/* Entry of that list which is the file whose turn it is, -1: gone. */
int earlier_find(const struct earlier *earlier, const struct siblings *siblings);
/* Takes the stream of the file whose turn it is. */
void earlier_begin(struct earlier *earlier, struct stream *stream);
/* The next one's turn. */
void earlier_next(struct earlier *earlier);
void earlier_end(struct earlier *earlier); /* of all */

/* Where reading stands. */
uint64_t earlier_ordinal(const struct earlier *earlier);
/* Bytes still to be read, guessed where files are compressed. */
uint64_t earlier_left(const struct earlier *earlier);
struct span earlier_path(const struct earlier *earlier);
