/* What is followed: a log file, or the entries of the systemd journal that match some fields. One
 * face for both, so that the sensor does not know which it drives.
 *
 * A source has a name: a path, or "journal: " and the match. It gives out whole lines with their
 * ordinals, and for every ordinal it told an identity (at most 256 bytes, opaque to all others) by
 * which the place is found again after a restart.
 *
 * Descriptors come from hauberkd, which alone may open: source_calls.ask_open and ask_list,
 * answered by source_opened() and source_listed(). Everything else happens here, without a loop and
 * without rights, so that a test can play hauberkd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"
#include "wire/wire.h"

enum { SOURCE_TURN_BYTES = 256 << 10 };

struct source;

struct source_calls {
    /* Please open the path (0) or entry n of the last list; source_opened() answers. */
    void (*ask_open)(void *context, uint16_t sibling, uint32_t ticket);
    void (*ask_list)(void *context); /* source_listed() answers */
    /* First sight: commit this mark; source_sighted() answers. */
    void (*tell_sight)(void *context, uint64_t mark, uint64_t start, struct span identity);
    /* Whole lines, the last byte is a newline. `start`: ordinal of the first byte. */
    void (*tell_lines)(void *context, struct span lines, uint64_t start);
    /* All lines of this turn were told: say so downstream. */
    void (*tell_turn)(void *context);
};

/* Is that the name of a match in the journal, and not a path? */
bool source_is_journal(struct span name);

/* What must be done before the sandbox closes, for all sources that may come. */
void source_prepare(void);

/* `is_fresh`: the log appeared while we ran, so its mark is 0 and all of it counts. */
struct source *source_new(struct span name, bool is_fresh, const struct source_calls *calls,
                          void *context);
struct source *source_free(struct source *source);

/* Where to begin: what the decider has committed. Starts the asking. */
void source_start(struct source *source, const struct wire_position *position);

void source_opened(struct source *source, const struct wire_opened *opened, int fd); /* takes fd */
void source_listed(struct source *source, const struct wire_sibling *siblings, uint32_t count);
void source_sighted(struct source *source);

/* Something happened to the file or its folder: what was read from an inotify descriptor. */
void source_notice(struct source *source, const char *inotify_events, size_t length);

/* Reads one turn of at most SOURCE_TURN_BYTES. True: there is more to read at once. */
bool source_turn(struct source *source);

/* How long until source_turn() should be called again without news, -1 for never. */
int64_t source_patience_us(const struct source *source, int64_t now_monotonic_us);

/* The identity that belongs to an ordinal that was told, for positions. */
struct span source_identity_at(const struct source *source, uint64_t ordinal);

/* Committed up to there: what is older may be let go. */
void source_committed(struct source *source, uint64_t ordinal);

/* Gone since last asked: bytes of a file, entries of the journal. */
uint64_t source_take_lost(struct source *source);
uint64_t source_lag(const struct source *source); /* bytes there and not yet read */
enum source_state_kind source_state(const struct source *source);
uint64_t source_done(const struct source *source); /* ordinal read up to */
