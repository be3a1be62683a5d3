/* A place in the journal: behind which entry, named by its cursor. It travels in positions, opaque
 * to everybody but journal.c.
 *
 * A cursor is journald's own text, "s=SEQUENCE;i=NUMBER;b=BOOT;m=MONOTONIC;t=REALTIME;x=HASH" in
 * hexadecimal; the format is not promised to stay, so where it cannot be taken apart the realtime
 * stamp alone decides.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <systemd/sd-journal.h>

#include "base/span.h"

enum { PLACE_VERSION = 1, PLACE_CURSOR_MAX = 208 };

struct place {
    uint32_t version;
    uint32_t cursor_length; /* 0: before the first entry */
    uint64_t ordinal;       /* of the byte behind that entry's line */
    int64_t at_us;          /* realtime stamp */
    int64_t sight_us;       /* of the newest entry at first sight; 0 none */
    char cursor[PLACE_CURSOR_MAX + 8];
};
_Static_assert(sizeof(struct place) <= 256, "fits a position");

/* Out of a position; all zero when it is none of this version. */
struct place place_from(struct span bytes);

/* The entry the journal stands at; ordinal and sight_us are left alone. -errno. */
must_use int place_take(sd_journal *journal, struct place *place);

/* The same entry, though it may have moved to another file (from /run to /var, after boot). */
bool place_is_same(const struct place *a, const struct place *b);
/* As journald puts them in order: by number within one sequence, else by the clock of one boot,
 * else by the wall clock. */
bool place_is_after(const struct place *place, const struct place *than);
/* How many entries of all services were numbered between the two; at least 1. */
uint64_t place_distance(const struct place *from, const struct place *to);
