/* Following a log file: see file.h.
 *
 * The states:
 *
 *   LOOKING   the path was asked for; is it the file we want?
 *   SEARCHING it was not: its rotated siblings are opened one after the other and their heads
 *             compared with the identity we want
 *   LISTING   first sight: which rotated siblings are there?
 *   SIGHTING  … waiting for the mark to be committed
 *   EARLIER   … reading those siblings, for memory (earlier.h)
 *   READING   a file is open; reading what it has and what comes
 *   ABSENT    there is no file (yet); the folder will tell
 *
 * Moving on. When the path names another file than the one being read (rotation), the old one is
 * read to its end. It is left when the new one holds something and either a writer has closed the
 * old or one second has passed: a syslog daemon closes the old file before it writes to the new, a
 * program with many writers may not. Files in between (two rotations at once) are looked for among
 * the siblings: rotated after the old one by their names, or else by their modification times.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/file_inside.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

_Static_assert(SIBLINGS_MAX <= 64, "a bit for each in file_source.tried");

#define WRITER_PATIENCE_US SECOND_US

struct file_source *file_source_new(const struct source_calls *calls, bool is_fresh,
                                    void *context) {
    struct file_source *file = calloc(1, sizeof(*file));
    must(file);
    file->calls = *calls;
    file->context = context;
    file->is_fresh = is_fresh;
    return file;
}

struct file_source *file_source_free(struct file_source *file) {
    if (!file)
        return NULL;
    earlier_end(&file->earlier);
    stream_free(file->stream);
    stream_free(file->next);
    free(file);
    return NULL;
}

/* ---- what was read ---- */

struct segment *file_current(struct file_source *file) {
    must(file->segment_count > 0 && file->segment_count <= SEGMENTS_MAX);
    return &file->segments[file->segment_count - 1];
}

struct span file_source_identity_at(const struct file_source *file, uint64_t ordinal) {
    for (uint32_t i = file->segment_count; i-- > 0;) {
        const struct segment *segment = &file->segments[i];
        if (ordinal >= segment->identity.base || i == 0)
            return (struct span){(const char *)&segment->identity, sizeof(segment->identity)};
    }
    return (struct span){NULL, 0};
}

static void forget_oldest_segments(struct file_source *file, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        file->finished[file->finished_next++ % FINISHED_KEPT] = file->segments[i].identity;
    memmove(file->segments, file->segments + count,
            (file->segment_count - count) * sizeof(*file->segments));
    file->segment_count -= count;
}

void file_add_segment(struct file_source *file, const struct identity *identity) {
    if (file->segment_count == SEGMENTS_MAX)
        forget_oldest_segments(file, 1);
    file->segments[file->segment_count++] =
        (struct segment){*identity, identity->base + file->offset};
}

void file_listed(struct file_source *file, const struct wire_sibling *siblings, uint32_t count) {
    bool is_first = file->phase == PHASE_LISTING;
    bool is_again = file->phase == PHASE_EARLIER && file->goes_on_earlier &&
                    earlier_is_over(&file->earlier);
    if (!is_first && file->phase != PHASE_SEARCHING && file->phase != PHASE_EARLIER)
        return;
    file->siblings.count = count < SIBLINGS_MAX ? count : SIBLINGS_MAX;
    memcpy(file->siblings.at, siblings, file->siblings.count * sizeof(*siblings));
    if (is_first || is_again)
        earlier_choose(&file->earlier, &file->siblings, &file->wanted, file->wanted.seen_size,
                       clock_now_us());
    if (is_first)
        file_tell_sight(file);
    else if (file->phase == PHASE_EARLIER)
        file_open_earlier(file);
    else
        file_search_listed(file);
}

/* ---- opened ---- */

static bool is_same_file(const struct file_source *file, const struct wire_opened *opened) {
    const struct segment *segment =
        file->segment_count ? &file->segments[file->segment_count - 1] : NULL;
    return segment && !file->is_sibling && segment->identity.device == opened->device &&
           segment->identity.inode == opened->inode;
}

static void set_next(struct file_source *file, struct stream *stream,
                     const struct wire_opened *opened) {
    file->next = stream;
    file->next_facts = *opened;
    file->rotated_at_us = clock_monotonic_us();
    file->old_was_closed = false;
}

static void path_opened(struct file_source *file, const struct wire_opened *opened, int fd) {
    struct stream *stream = NULL;
    if (fd >= 0 && stream_open(fd, false, &stream) < 0)
        stream = NULL;
    if (file->phase == PHASE_READING) {
        if (!stream || is_same_file(file, opened) ||
            file_is_next(file, opened->device, opened->inode)) {
            stream_free(stream);
            return;
        }
        stream_free(file->next); /* a third one: the second is among the siblings by now */
        set_next(file, stream, opened);
        return;
    }
    if (file_wants(file) && (!stream || (!file_is_wanted(file, stream, opened) &&
                                         !identity_fits_cut(&file->wanted, stream)))) {
        stream_free(file->next);
        set_next(file, stream, opened);
        file_start_search(file, false);
        return;
    }
    if (!stream) {
        file->phase = PHASE_ABSENT;
        if (file->look_pending) /* something came while the answer was on its way */
            file_look_at_path(file);
        return;
    }
    if (file_wants(file))
        file_begin_wanted(file, stream, opened->device, opened->inode);
    else
        file_begin_new(file, stream, opened->device, opened->inode);
}

void file_opened(struct file_source *file, const struct wire_opened *opened, int fd) {
    bool is_first_look = file->phase == PHASE_IDLE;
    if (opened->ticket != file->ticket) {
        cleanup_close_fd(&fd);
        return;
    }
    if (is_first_look) {
        struct stream *stream = NULL;
        if (fd >= 0 && stream_open(fd, false, &stream) < 0)
            stream = NULL;
        file_sight(file, stream, opened);
    } else if (file->phase == PHASE_SEARCHING && opened->sibling > 0) {
        file_sibling_opened(file, opened, fd);
    } else if (file->phase == PHASE_EARLIER && opened->sibling > 0) {
        file_earlier_opened(file, opened, fd);
    } else if (opened->sibling == 0) {
        file->is_looking = false;
        path_opened(file, opened, fd);
    } else {
        cleanup_close_fd(&fd);
    }
}

void file_source_start(struct file_source *file, const struct wire_position *position) {
    if (!position->is_known) {
        file->phase = PHASE_IDLE;
        file_ask_open(file, 0);
        return;
    }
    struct identity done = identity_from(wire_bytes(position->done_identity));
    file->wanted = identity_from(wire_bytes(position->resume_identity));
    file->wanted_ordinal = position->resume;
    file->known_done = position->done;
    file->goes_on_earlier = position->mark >= EARLIER_ROOM && position->done < EARLIER_ROOM;
    if (file->goes_on_earlier) /* the log itself from its beginning, but that is for later */
        file->wanted_ordinal = file->known_done = EARLIER_ROOM;
    if (file->wanted.head_length == 0) { /* there was no file, or an empty one */
        file->wanted = done;
        file->wanted_ordinal = file->known_done;
    }
    file->done_in = done;
    if (file->wanted.head_length == 0)
        file_add_segment(file,
                         &(struct identity){.version = IDENTITY_VERSION, .base = file->known_done});
    if (file->goes_on_earlier) {
        if (file->wanted.head_length > 0)
            file_add_segment(file, &file->wanted);
        file->phase = PHASE_EARLIER;
        file->calls.ask_list(file->context);
        return;
    }
    file->phase = PHASE_ABSENT;
    file_look_at_path(file);
}

/* ---- reading ---- */

uint64_t file_source_done(const struct file_source *file) {
    if (file->phase == PHASE_EARLIER)
        return earlier_ordinal(&file->earlier);
    if (!file->segment_count)
        return file->known_done;
    return file->segments[file->segment_count - 1].end;
}

static void advance(struct file_source *file, uint64_t bytes) {
    file->offset += bytes;
    struct segment *segment = file_current(file);
    segment->end = segment->identity.base + file->offset;
    uint64_t size = 0;
    if (stream_size(file->stream, &size) >= 0 && segment->identity.seen_size < size)
        segment->identity.seen_size = size;
    segment->identity.modified_us = stream_modified_us(file->stream);
}

/* Gives out the whole lines of a block; what is behind the last newline stays in the file. */
size_t file_tell_block(struct file_source *file, struct span block, uint64_t start,
                       bool *is_in_long_line) {
    if (*is_in_long_line) {
        const char *newline = memchr(block.at, '\n', block.length);
        if (!newline)
            return block.length;
        *is_in_long_line = false;
        return (size_t)(newline - block.at) + 1;
    }
    const char *last = memrchr(block.at, '\n', block.length);
    if (!last) {
        if (block.length < sizeof(file->buffer))
            return 0; /* an incomplete line waits */
        *is_in_long_line = true;
        return block.length;
    }
    size_t length = (size_t)(last - block.at) + 1;
    file->calls.tell_lines(file->context, (struct span){block.at, length}, start);
    return length;
}

/* Was the file cut and written anew under our hands? Size 0 or another head says so. */
static bool was_truncated(struct file_source *file) {
    uint64_t size = 0;
    if (!stream_is_plain(file->stream) || file->is_sibling ||
        stream_size(file->stream, &size) < 0)
        return false;
    const struct identity *identity = &file_current(file)->identity;
    if (file->offset == 0 && identity->head_length == 0)
        return false;
    if (size == 0 && file->offset > 0)
        return true;
    return identity->head_length > 0 && !identity_fits(identity, file->stream) &&
           !identity_fits_cut(identity, file->stream);
}

/* What was written between our last look and the cut may survive in a copy (copytruncate): look
 * for the old identity among the siblings, then go on with the new content. */
static void search_copy(struct file_source *file) {
    struct segment *segment = file_current(file);
    file->wanted = segment->identity;
    file->wanted_ordinal = segment->end;
    file->known_done = segment->end;
    file->done_in = segment->identity;
    struct wire_opened facts = {.device = segment->identity.device,
                                .inode = segment->identity.inode};
    file->look_pending = file->look_pending || file->next; /* that one comes after this */
    stream_free(file->next);
    set_next(file, take_pointer(file->stream), &facts);
    file->segment_count--;
    if (file->wanted.head_length) {
        file_start_search(file, false);
    } else {
        struct stream *next = take_pointer(file->next);
        file_begin_new(file, next, file->next_facts.device, file->next_facts.inode);
    }
}

/* The tail of a file whose head still stands was lost while we were reading it. */
static void note_lost_tail(struct file_source *file) {
    uint64_t size = 0;
    if (!stream_is_plain(file->stream) || stream_size(file->stream, &size) < 0 ||
        size >= file->offset)
        return;
    struct segment *segment = file_current(file);
    file->lost += file->offset - size;
    segment->identity.base += file->offset - size;
    segment->identity.seen_size = size;
    file->offset = size;
    if (size < segment->identity.head_length)
        identity_read_head(&segment->identity, file->stream);
}

static bool may_leave_old(struct file_source *file) {
    if (!file->next)
        return false;
    uint64_t size = 0;
    if (stream_size(file->next, &size) < 0 || size == 0)
        return false;
    return file->old_was_closed ||
           clock_monotonic_us() - file->rotated_at_us >= WRITER_PATIENCE_US;
}

/* At the end of what there is. A compressed sibling will not grow, nor one rotated twice; every
 * other file is left only for a newer one. Before it goes on, a look for files in between. */
static void at_end(struct file_source *file) {
    if (file->is_final || may_leave_old(file))
        file_start_search(file, true);
}

bool file_source_turn(struct file_source *file) {
    if (file->phase == PHASE_EARLIER)
        return file_earlier_turn(file);
    if (file->phase != PHASE_READING)
        return false;
    if (was_truncated(file)) {
        search_copy(file);
        return file->phase == PHASE_READING;
    }
    note_lost_tail(file);
    ssize_t got = stream_read(file->stream, file->offset, file->buffer, sizeof(file->buffer));
    if (got < 0) {
        log_warning("a log cannot be read any further: %s", strerror((int)-got));
        got = 0;
    }
    /* Before anything of the new bytes is told: no position goes out under an empty head. */
    identity_lengthen_head(&file_current(file)->identity, file->stream,
                           file->offset + (uint64_t)got);
    size_t used = got > 0 ? file_tell_block(file, (struct span){file->buffer, (size_t)got},
                                            file_current(file)->identity.base + file->offset,
                                            &file->is_in_long_line)
                          : 0;
    if (used == 0) {
        at_end(file);
        return false;
    }
    advance(file, used);
    file->calls.tell_turn(file->context);
    return true;
}

void file_source_notice(struct file_source *file, struct file_news news) {
    if (news.was_closed)
        file->old_was_closed = true;
    if (news.name_changed)
        file_look_at_path(file);
}

int64_t file_source_patience_us(const struct file_source *file, int64_t now_monotonic_us) {
    if (file->phase != PHASE_READING || !file->next)
        return -1;
    int64_t left = file->rotated_at_us + WRITER_PATIENCE_US - now_monotonic_us;
    return left > 0 ? left : 0;
}

void file_source_committed(struct file_source *file, uint64_t ordinal) {
    uint32_t gone = 0;
    while (gone + 1 < file->segment_count && file->segments[gone].end < ordinal &&
           file->segments[gone + 1].identity.base <= ordinal)
        gone++;
    forget_oldest_segments(file, gone);
}

uint64_t file_source_take_lost(struct file_source *file) {
    uint64_t lost = file->lost;
    file->lost = 0;
    return lost;
}

uint64_t file_source_lag(const struct file_source *file) {
    uint64_t size = 0;
    uint64_t lag = 0;
    if (file->stream && stream_size(file->stream, &size) >= 0 && size > file->offset)
        lag = size - file->offset;
    if (file->next && stream_size(file->next, &size) >= 0)
        lag += size;
    return lag + earlier_left(&file->earlier);
}

enum source_state_kind file_source_state(const struct file_source *file) {
    return file->phase == PHASE_ABSENT ? SOURCE_WAITING : SOURCE_READING;
}
