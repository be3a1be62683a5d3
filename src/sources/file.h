/* A log file as a source: followed through renames, truncation, late creation and restarts, with
 * positions that are exact.
 *
 * The verbs are those of source.h.
 *
 * Ordinals. A byte's ordinal is the file's *base* plus its offset. A file that follows another
 * begins where that one ended, so ordinals grow over rotations for ever and everybody but this
 * module compares ordinals only. The identity of a file is the digest of its first bytes (at most
 * 1 KiB, and how many); device and inode are hints.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "sources/source.h"

struct file_source;

/* `is_fresh`: the log appeared while we ran, so its mark is 0 and all of it counts. */
struct file_source *file_source_new(const struct source_calls *calls, bool is_fresh,
                                    void *context);
struct file_source *file_source_free(struct file_source *file);

/* Where to begin: what the decider has committed. Starts the asking. */
void file_source_start(struct file_source *file, const struct wire_position *position);

void file_opened(struct file_source *file, const struct wire_opened *opened, int fd); /* takes fd */
void file_listed(struct file_source *file, const struct wire_sibling *siblings, uint32_t count);
void file_sighted(struct file_source *file);

/* Something happened to the file or its folder (an inotify event came). */
struct file_news {
    bool grew;         /* modified */
    bool was_closed;   /* a writer closed it */
    bool name_changed; /* made, moved, deleted, attributes: look at the path again */
};
void file_source_notice(struct file_source *file, struct file_news news);

/* Reads one turn of at most SOURCE_TURN_BYTES. True: there is more to read at once. */
bool file_source_turn(struct file_source *file);

/* Waiting for the old file's last writer after a rotation: how long until file_source_turn() should
 * be called again without news, -1 for never. */
int64_t file_source_patience_us(const struct file_source *file, int64_t now_monotonic_us);

/* The identity that belongs to an ordinal that was told, for positions: at most 256 bytes. */
struct span file_source_identity_at(const struct file_source *file, uint64_t ordinal);

/* Committed up to there: older files may be let go. */
void file_source_committed(struct file_source *file, uint64_t ordinal);

uint64_t file_source_take_lost(struct file_source *file); /* bytes gone since last asked */
uint64_t file_source_lag(const struct file_source *file); /* bytes there and not yet read */
enum source_state_kind file_source_state(const struct file_source *file);
uint64_t file_source_done(const struct file_source *file); /* ordinal read up to */
