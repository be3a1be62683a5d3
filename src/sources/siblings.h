/* The row of files a log was rotated into, as hauberkd lists them: which of them is compressed,
 * which was rotated after which.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"
#include "wire/wire.h"

struct siblings {
    struct wire_sibling at[SIBLINGS_MAX];
    uint32_t count;
};

/* Length of a compressed file's ending, 0 for other names. */
size_t compressed_ending(struct span path);

/* Being compressed right now: both are there, and only the plain one is whole. */
bool sibling_is_half_made(const struct siblings *siblings, const struct wire_sibling *sibling);
/* By their names: .1 was rotated after .2, -20261121 after -20261120; by the time of their last
 * change where names do not tell. */
bool sibling_is_newer(const struct wire_sibling *a, const struct wire_sibling *b);
/* One that its name calls a rotated log, and that is whole. */
bool sibling_is_rotated(const struct siblings *siblings, const struct wire_sibling *sibling);
/* A file that was rotated after `than`; mail.log.custom is none, but somebody else's. */
bool sibling_is_later(const struct siblings *siblings, const struct wire_sibling *sibling,
                      const struct wire_sibling *than);
/* Was it rotated twice, so that nobody writes to it any more? */
bool siblings_have_later(const struct siblings *siblings, const struct wire_sibling *than);
/* That file, as the list names it. Compressed since, it has another inode, but every compressor
 * keeps the time of the last change. Not there at all: then that time must do. */
struct wire_sibling siblings_find(const struct siblings *siblings, uint64_t device, uint64_t inode,
                                  int64_t modified_us);
