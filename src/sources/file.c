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
#include "sources/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sources/earlier.h"
#include "sources/identity.h"
#include "sources/siblings.h"
#include "sources/stream.h"

_Static_assert(SIBLINGS_MAX <= 64, "a bit for each in file_source.tried");

enum phase { PHASE_IDLE, PHASE_LOOKING, PHASE_SEARCHING, PHASE_LISTING, PHASE_SIGHTING,
             PHASE_EARLIER, PHASE_READING, PHASE_ABSENT };
enum { SEGMENTS_MAX = 16, FINISHED_KEPT = 8, RELISTS_MAX = 8 };
#define WRITER_PATIENCE_US SECOND_US

/* A file of which something was told, oldest first. */
struct segment {
    struct identity identity;
    uint64_t end; /* ordinal; of the last one: so far */
};

struct file_source {
    struct source_calls calls;
    void *context;
    enum phase phase;
    uint32_t ticket;          /* of the open that is awaited; others are stale */
    bool is_looking;          /* the path was asked for and no answer has come */
    bool look_pending;        /* the path is to be looked at again when the present look is over */
    struct identity wanted;   /* what to find */
    uint64_t wanted_ordinal;  /* where to go on in it */
    struct identity done_in;  /* at the start: the file that holds `done` */
    uint64_t known_done;
    bool is_sibling;          /* the file being read was found among the siblings */
    bool is_final;            /* … and nobody writes to it any more */
    struct earlier earlier;   /* first sight: what is read before it */
    bool goes_on_earlier;     /* a start that was ended amid that; what it was for is asked again */

    struct stream *stream;    /* being read */
    uint64_t offset;
    bool is_in_long_line;

    struct stream *next;      /* found at the path while the old one is being finished */
    struct wire_opened next_facts;
    int64_t rotated_at_us;    /* monotonic */
    bool old_was_closed;

    struct siblings siblings;
    uint32_t relists;
    uint64_t tried;           /* bit n: sibling n was opened */
    bool is_fresh;            /* appeared while hauberkd ran: everything in it counts */
    int64_t gone_us;          /* the file we wanted is gone; it was modified then */
    bool is_moving_on;        /* the search is for the next file, not for `wanted` */

    struct segment segments[SEGMENTS_MAX];
    uint32_t segment_count;
    struct identity finished[FINISHED_KEPT]; /* of older ones, lest they be taken for new */
    uint32_t finished_next;
    uint64_t lost;
    char buffer[SOURCE_TURN_BYTES];
};

static void look_at_path(struct file_source *file);

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

/* Of the file being read: there is one whenever the phase is READING. */
static struct segment *current(struct file_source *file) {
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

static void add_segment(struct file_source *file, const struct identity *identity) {
    if (file->segment_count == SEGMENTS_MAX)
        forget_oldest_segments(file, 1);
    file->segments[file->segment_count++] =
        (struct segment){*identity, identity->base + file->offset};
}

/* ---- opening and finding ---- */

static void ask_open(struct file_source *file, uint16_t sibling) {
    file->calls.ask_open(file->context, sibling, ++file->ticket);
}

/* An empty file has no head to be known by; its inode must do. */
static bool wants_file(const struct file_source *file) {
    return file->wanted.head_length > 0 || file->wanted.inode != 0;
}

static bool is_wanted(const struct file_source *file, struct stream *stream,
                      const struct wire_opened *opened) {
    if (file->wanted.head_length > 0)
        return identity_fits(&file->wanted, stream);
    return opened->inode == file->wanted.inode && opened->device == file->wanted.device;
}

static bool is_next(const struct file_source *file, uint64_t device, uint64_t inode) {
    return file->next && inode == file->next_facts.inode && device == file->next_facts.device;
}

static void look_at_path(struct file_source *file) {
    if (file->phase != PHASE_READING && file->phase != PHASE_ABSENT) {
        file->look_pending = true;
        return;
    }
    file->look_pending = false;
    if (file->phase != PHASE_READING)
        file->phase = PHASE_LOOKING;
    file->is_looking = true;
    ask_open(file, 0);
}

static void start_search(struct file_source *file, bool is_moving_on) {
    file->phase = PHASE_SEARCHING;
    file->is_moving_on = is_moving_on;
    file->siblings.count = file->relists = 0;
    if (file->is_looking) { /* that answer would come amid the search: look again afterwards */
        file->is_looking = false;
        file->look_pending = true;
        file->ticket++;
    }
    file->calls.ask_list(file->context);
}

static void begin_reading(struct file_source *file, struct stream *stream,
                          const struct identity *identity, uint64_t offset) {
    stream_free(file->stream);
    file->stream = stream;
    file->offset = offset;
    file->is_in_long_line = false;
    file->is_sibling = file->is_final = false;
    file->gone_us = 0;
    file->phase = PHASE_READING;
    add_segment(file, identity);
    log_debug("reading inode %llu from offset %llu, which is ordinal %llu",
              (unsigned long long)identity->inode, (unsigned long long)offset,
              (unsigned long long)(identity->base + offset));
    if (file->look_pending)
        look_at_path(file);
}

/* A file from its beginning, behind everything read so far. */
static void begin_new_file(struct file_source *file, struct stream *stream, uint64_t device,
                           uint64_t inode) {
    uint64_t base = file_source_done(file);
    bool is_last = !file->is_moving_on; /* the path's: no other file comes in between */
    bool holds_done = identity_fits(&file->done_in, stream);
    if (is_last && !holds_done && file->done_in.version && base < file->known_done) {
        /* The file that held `done` is gone:
         * what was read of it must not be counted in this one. */
        uint64_t end = file->done_in.base + file->done_in.seen_size;
        file->lost += end > file->known_done ? end - file->known_done : 0;
        base = file->known_done;
    }
    struct identity identity = {.version = IDENTITY_VERSION, .base = base, .device = device,
                                .inode = inode};
    identity_read_head(&identity, stream);
    /* Where a restart left `done` in this very file, its base is the one noted then. */
    if (holds_done)
        identity.base = file->done_in.base;
    if (holds_done || is_last)
        file->done_in = (struct identity){0};
    begin_reading(file, stream, &identity, 0);
}

/* Going on in the file we wanted. If it is shorter than what was read of it, with its head
 * unchanged, its tail was lost in a power cut: `done` is then at its end, and the ordinals of what
 * is left move so that they still end at what was done. A session may have begun in a file that is
 * gone: then all of this one is read again for it. */
static void begin_wanted_file(struct file_source *file, struct stream *stream, uint64_t device,
                              uint64_t inode) {
    struct identity identity = file->wanted;
    bool holds_done = !file->done_in.version || identity_equals(&identity, &file->done_in);
    uint64_t ordinal = holds_done ? file->known_done : file->wanted_ordinal;
    uint64_t end = ordinal > identity.base ? ordinal - identity.base : 0;
    uint64_t offset = file->wanted_ordinal > identity.base ? file->wanted_ordinal - identity.base
                                                           : 0;
    uint64_t size = 0;
    char before = '\n';
    identity.device = device;
    identity.inode = inode;
    if (stream_is_plain(stream) && stream_size(stream, &size) >= 0 && size < end) {
        file->lost += end - size;
        identity.base = ordinal - size;
        identity.seen_size = size;
        offset = offset < size ? offset : size;
        if (size < identity.head_length)
            identity_read_head(&identity, stream);
    } else if (offset > 0) {
        (void)!stream_read(stream, offset - 1, &before, 1);
    }
    if (holds_done)
        file->done_in = (struct identity){0};
    file->wanted = (struct identity){0};
    begin_reading(file, stream, &identity, offset);
    file->is_in_long_line = before != '\n'; /* `done` lies within a line too long to be told */
}

static void give_up_search(struct file_source *file) {
    bool knows_another = !file->is_moving_on && file->done_in.head_length &&
                         !digest_equals(&file->done_in.head, &file->wanted.head);
    if (knows_another) { /* where sessions began is gone; where we had read to may be there */
        file->wanted = file->done_in;
        file->wanted_ordinal = file->known_done;
        stream_free(take_pointer(file->next));
        file->phase = PHASE_ABSENT;
        look_at_path(file);
        return;
    }
    if (!file->is_moving_on && file->wanted.head_length) {
        const struct identity *last = file->done_in.head_length ? &file->done_in : &file->wanted;
        uint64_t end = last->base + last->seen_size;
        uint64_t gone = end > file->known_done ? end - file->known_done : 0;
        file->lost += gone;
        int64_t modified_us = last->modified_us;
        log_warning("the log read before is gone (%llu bytes of it unread); going on with "
                    "the next one",
                    (unsigned long long)gone);
        file->wanted = (struct identity){0};
        file->done_in = (struct identity){0};
        file->segment_count = 0;
        file->gone_us = modified_us;
        if (modified_us) { /* but what was rotated after it may be there */
            start_search(file, true);
            return;
        }
    }
    file->is_moving_on = false;
    file->phase = PHASE_ABSENT;
    if (file->next) {
        struct stream *next = take_pointer(file->next);
        begin_new_file(file, next, file->next_facts.device, file->next_facts.inode);
    } else {
        look_at_path(file);
    }
}

static bool was_read(const struct file_source *file, struct stream *stream) {
    for (uint32_t i = 0; i < file->segment_count; i++)
        if (identity_fits(&file->segments[i].identity, stream))
            return true;
    for (uint32_t i = 0; i < FINISHED_KEPT; i++)
        if (identity_fits(&file->finished[i], stream))
            return true;
    return false;
}

/* It is no longer what the path names: that is to be looked at again. */
static void drop_next(struct file_source *file) {
    file->next = stream_free(file->next);
    file->look_pending = true;
}

/* The file that was read last, as the list names it. */
static struct wire_sibling finished_sibling(struct file_source *file) {
    if (file->gone_us)
        return (struct wire_sibling){.modified_us = file->gone_us};
    const struct identity *identity = &current(file)->identity;
    return siblings_find(&file->siblings, identity->device, identity->inode,
                         stream_modified_us(file->stream));
}

/* The next sibling worth opening, -1 for none: all of them when looking for an identity (newest
 * first); when moving on, those rotated after the file just finished, oldest first. */
static int choose_sibling(struct file_source *file) {
    int chosen = -1;
    struct wire_sibling here = file->is_moving_on ? finished_sibling(file)
                                                  : (struct wire_sibling){0};
    for (uint32_t i = 0; i < file->siblings.count; i++) {
        const struct wire_sibling *one = &file->siblings.at[i];
        if (file->tried >> i & 1)
            continue;
        if (!file->is_moving_on && !sibling_is_half_made(&file->siblings, one))
            return (int)i;
        if (file->is_moving_on && sibling_is_later(&file->siblings, one, &here) &&
            (chosen < 0 || sibling_is_newer(&file->siblings.at[chosen], one)))
            chosen = (int)i;
    }
    return chosen;
}

static void ask_next_sibling(struct file_source *file) {
    int chosen = choose_sibling(file);
    if (chosen < 0) {
        give_up_search(file);
        return;
    }
    file->tried |= UINT64_C(1) << chosen;
    ask_open(file, (uint16_t)(chosen + 1));
}

static void search_listed(struct file_source *file) {
    const struct wire_sibling *siblings = file->siblings.at;
    file->tried = 0;
    for (uint32_t i = 0; file->is_moving_on && i < file->siblings.count; i++)
        if (is_next(file, siblings[i].device, siblings[i].inode))
            drop_next(file); /* rotated meanwhile: its turn comes in the row */
    ask_next_sibling(file);
}

/* Is it another one than the list says? An inode alone does not tell: that of a file just
 * compressed is free for the next one. */
static bool was_renamed(const struct wire_sibling *sibling, const struct wire_opened *opened,
                        const struct stream *stream) {
    return opened->error || opened->inode != sibling->inode ||
           (stream && stream_modified_us(stream) != sibling->modified_us);
}

static void sibling_opened(struct file_source *file, const struct wire_opened *opened, int fd) {
    const struct wire_sibling *sibling = &file->siblings.at[opened->sibling - 1];
    struct stream *stream = NULL;
    if (fd >= 0 &&
        stream_open(fd, compressed_ending(wire_bytes(sibling->path)) > 0, &stream) < 0)
        stream = NULL;
    if (was_renamed(sibling, opened, stream) &&
        file->relists < RELISTS_MAX) { /* rotated under our hands: list again */
        stream_free(stream);
        file->relists++;
        file->calls.ask_list(file->context);
        return;
    }
    if (!stream) {
        ask_next_sibling(file);
        return;
    }
    bool is_it = file->is_moving_on
                     ? !was_read(file, stream) && !is_next(file, opened->device, opened->inode)
                     : is_wanted(file, stream, opened);
    if (!is_it) {
        stream_free(stream);
        ask_next_sibling(file);
        return;
    }
    if (file->is_moving_on && file->next && streams_have_same_head(file->next, stream))
        drop_next(file); /* it was rotated and compressed meanwhile: this is it */
    if (file->is_moving_on)
        begin_new_file(file, stream, opened->device, opened->inode);
    else
        begin_wanted_file(file, stream, opened->device, opened->inode);
    file->is_sibling = true;
    file->is_final = !stream_is_plain(stream) || siblings_have_later(&file->siblings, sibling);
    file->is_moving_on = false;
}

/* ---- first sight ---- */

/* The mark is where the file ends now; a bounded part before it is read for memory, and of a log
 * that is not new what was rotated before we came. */
static void tell_sight(struct file_source *file) {
    struct identity *identity = &file->wanted;
    uint64_t size = file->is_fresh ? 0 : identity->seen_size;
    uint64_t start = size > EARLIER_BYTES ? size - EARLIER_BYTES : 0;
    file->offset = start;
    if (!earlier_is_over(&file->earlier)) {
        identity->base = EARLIER_ROOM;
        start = earlier_ordinal(&file->earlier);
    }
    file->wanted_ordinal = identity->base + file->offset;
    file->phase = PHASE_SIGHTING;
    file->calls.tell_sight(file->context, identity->base + size, start,
                           (struct span){(const char *)identity, sizeof(*identity)});
}

static void sight(struct file_source *file, struct stream *stream,
                  const struct wire_opened *opened) {
    struct identity identity = {.version = IDENTITY_VERSION};
    uint64_t size = 0;
    if (stream && stream_size(stream, &size) >= 0) {
        identity.device = opened->device;
        identity.inode = opened->inode;
        identity.seen_size = size;
        identity.modified_us = stream_modified_us(stream);
        identity_read_head(&identity, stream);
    }
    file->wanted = identity;
    stream_free(file->stream);
    file->stream = stream;
    if (file->is_fresh) {
        tell_sight(file);
        return;
    }
    file->phase = PHASE_LISTING;
    file->calls.ask_list(file->context);
}

/* Now the log itself. */
static void begin_sighted(struct file_source *file) {
    struct stream *stream = take_pointer(file->stream);
    struct identity identity = file->wanted;
    uint64_t start = file->wanted_ordinal - identity.base;
    file->wanted = (struct identity){0};
    file->segment_count = 0;
    if (stream) {
        begin_reading(file, stream, &identity, start);
        file->is_in_long_line = start > 0; /* begin with a whole line */
        return;
    }
    add_segment(file, &identity);
    file->phase = PHASE_ABSENT;
    if (file->look_pending)
        look_at_path(file);
}

/* All of them were read: `done` moves to where the log itself begins. */
static void end_earlier(struct file_source *file) {
    earlier_end(&file->earlier);
    file->calls.tell_turn(file->context);
    if (!file->goes_on_earlier) {
        begin_sighted(file);
        return;
    }
    file->goes_on_earlier = false;
    if (file->wanted.head_length > 0)
        file->segment_count = 0;
    file->phase = PHASE_ABSENT;
    look_at_path(file);
}

static void open_earlier(struct file_source *file) {
    for (; !earlier_is_over(&file->earlier); earlier_next(&file->earlier)) {
        int entry = earlier_find(&file->earlier, &file->siblings);
        if (entry >= 0) {
            ask_open(file, (uint16_t)(entry + 1));
            return;
        }
        log_notice("%.*s is gone before it could be looked at",
                   SPAN_FORMAT(earlier_path(&file->earlier)));
    }
    end_earlier(file);
}

static void earlier_opened(struct file_source *file, const struct wire_opened *opened, int fd) {
    const struct wire_sibling *sibling = &file->siblings.at[opened->sibling - 1];
    struct stream *stream = NULL;
    int error = fd < 0 ? -(int)opened->error
                       : stream_open(fd, compressed_ending(wire_bytes(sibling->path)) > 0, &stream);
    if (was_renamed(sibling, opened, stream) && file->relists < RELISTS_MAX) {
        stream_free(stream);
        file->relists++;
        file->calls.ask_list(file->context);
        return;
    }
    if (stream && identity_fits(&file->wanted, stream)) { /* compressed since we sighted it */
        stream_free(stream);
        end_earlier(file);
        return;
    }
    if (stream) {
        log_debug("looking back into %.*s", SPAN_FORMAT(earlier_path(&file->earlier)));
        earlier_begin(&file->earlier, stream);
        return;
    }
    log_warning("%.*s cannot be looked at: %s", SPAN_FORMAT(earlier_path(&file->earlier)),
                fd < 0 ? strerror(-error) : "it is damaged");
    earlier_next(&file->earlier);
    open_earlier(file);
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
        tell_sight(file);
    else if (file->phase == PHASE_EARLIER)
        open_earlier(file);
    else
        search_listed(file);
}

void file_sighted(struct file_source *file) {
    if (file->phase != PHASE_SIGHTING)
        return;
    if (earlier_is_over(&file->earlier)) {
        begin_sighted(file);
        return;
    }
    add_segment(file, &file->wanted); /* all that is told until then is in front of it */
    file->phase = PHASE_EARLIER;
    file->relists = 0;
    open_earlier(file);
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
            is_next(file, opened->device, opened->inode)) {
            stream_free(stream);
            return;
        }
        stream_free(file->next); /* a third one: the second is among the siblings by now */
        set_next(file, stream, opened);
        return;
    }
    if (wants_file(file) && (!stream || (!is_wanted(file, stream, opened) &&
                                         !identity_fits_cut(&file->wanted, stream)))) {
        stream_free(file->next);
        set_next(file, stream, opened);
        start_search(file, false);
        return;
    }
    if (!stream) {
        file->phase = PHASE_ABSENT;
        if (file->look_pending) /* something came while the answer was on its way */
            look_at_path(file);
        return;
    }
    if (wants_file(file))
        begin_wanted_file(file, stream, opened->device, opened->inode);
    else
        begin_new_file(file, stream, opened->device, opened->inode);
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
        sight(file, stream, opened);
    } else if (file->phase == PHASE_SEARCHING && opened->sibling > 0) {
        sibling_opened(file, opened, fd);
    } else if (file->phase == PHASE_EARLIER && opened->sibling > 0) {
        earlier_opened(file, opened, fd);
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
        ask_open(file, 0);
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
        add_segment(file, &(struct identity){.version = IDENTITY_VERSION,
                                             .base = file->known_done});
    if (file->goes_on_earlier) {
        if (file->wanted.head_length > 0)
            add_segment(file, &file->wanted);
        file->phase = PHASE_EARLIER;
        file->calls.ask_list(file->context);
        return;
    }
    file->phase = PHASE_ABSENT;
    look_at_path(file);
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
    struct segment *segment = current(file);
    segment->end = segment->identity.base + file->offset;
    uint64_t size = 0;
    if (stream_size(file->stream, &size) >= 0 && segment->identity.seen_size < size)
        segment->identity.seen_size = size;
    segment->identity.modified_us = stream_modified_us(file->stream);
}

/* Gives out the whole lines of a block; what is behind the last newline stays in the file. */
static size_t tell_block(struct file_source *file, struct span block, uint64_t start,
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
    const struct identity *identity = &current(file)->identity;
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
    struct segment *segment = current(file);
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
        start_search(file, false);
    } else {
        struct stream *next = take_pointer(file->next);
        begin_new_file(file, next, file->next_facts.device, file->next_facts.inode);
    }
}

/* The tail of a file whose head still stands was lost while we were reading it. */
static void note_lost_tail(struct file_source *file) {
    uint64_t size = 0;
    if (!stream_is_plain(file->stream) || stream_size(file->stream, &size) < 0 ||
        size >= file->offset)
        return;
    struct segment *segment = current(file);
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
        start_search(file, true);
}

/* What is damaged, or far too long, ends that file and no more than that. */
static bool earlier_turn(struct file_source *file) {
    struct earlier *earlier = &file->earlier;
    if (!earlier->stream)
        return false;
    bool is_endless = earlier->offset + sizeof(file->buffer) > EARLIER_FILE_ROOM;
    ssize_t got = is_endless ? -EFBIG
                             : stream_read(earlier->stream, earlier->offset, file->buffer,
                                           sizeof(file->buffer));
    if (got < 0)
        log_warning("%.*s cannot be read to its end (%s); %llu bytes of it were",
                    SPAN_FORMAT(earlier_path(earlier)),
                    got == -EFBIG ? "it is too long" : "it is damaged",
                    (unsigned long long)earlier->offset);
    size_t used = got > 0 ? tell_block(file, (struct span){file->buffer, (size_t)got},
                                       earlier_ordinal(earlier), &earlier->is_in_long_line)
                          : 0;
    earlier->offset += used;
    if (used > 0) {
        file->calls.tell_turn(file->context);
        return true;
    }
    earlier_next(earlier);
    open_earlier(file);
    return file->phase == PHASE_READING;
}

bool file_source_turn(struct file_source *file) {
    if (file->phase == PHASE_EARLIER)
        return earlier_turn(file);
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
    identity_lengthen_head(&current(file)->identity, file->stream, file->offset + (uint64_t)got);
    size_t used = got > 0 ? tell_block(file, (struct span){file->buffer, (size_t)got},
                                       current(file)->identity.base + file->offset,
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
        look_at_path(file);
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
