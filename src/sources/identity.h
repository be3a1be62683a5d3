/* Which file is it? A log file is known by the digest of its first bytes, at most 1 KiB of them and
 * how many there were; device and inode are hints. It travels in positions, opaque to everybody but
 * file.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/hash.h"
#include "sources/stream.h"

enum { FILE_HEAD_BYTES = 1024, IDENTITY_VERSION = 2, HEAD_STEPS = 4 };

struct identity {
    uint32_t version;
    uint32_t head_length;
    struct digest head;
    uint64_t base; /* ordinal of the file's first byte */
    uint64_t device, inode;
    uint64_t seen_size;  /* of the file when this was made: tells what was lost */
    int64_t modified_us; /* then: whatever was rotated later was modified later */
    uint64_t steps[HEAD_STEPS]; /* of the first 64, 128, … bytes: a cut file is still known */
};
_Static_assert(sizeof(struct identity) <= 256, "fits a position");

/* Out of a position; all zero when it is none of this version. */
struct identity identity_from(struct span bytes);
bool identity_equals(const struct identity *a, const struct identity *b);

/* Takes the head as the stream has it now. */
void identity_read_head(struct identity *identity, struct stream *stream);
/* A longer head says more: taken again from a file of that size, if it stands behind the one we
 * know, for the file may be cut and written anew at any moment. */
void identity_lengthen_head(struct identity *identity, struct stream *stream, uint64_t size);

bool identity_fits(const struct identity *identity, struct stream *stream);
/* That file, cut so short that its whole head is no longer there. */
bool identity_fits_cut(const struct identity *identity, struct stream *stream);
bool streams_have_same_head(struct stream *a, struct stream *b);
