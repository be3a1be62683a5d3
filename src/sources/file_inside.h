/* Inside of a followed file (file.h): its state, and what its parts ask of each other.
 *
 *   file.c         the life: what was read, what the path names, reading on
 *   file_search.c  finding a file by its identity, and beginning to read it
 *   file_sight.c   first sight, and what was rotated before it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "sources/earlier.h"
#include "sources/file.h"
#include "sources/identity.h"
#include "sources/siblings.h"
#include "sources/stream.h"

enum phase { PHASE_IDLE, PHASE_LOOKING, PHASE_SEARCHING, PHASE_LISTING, PHASE_SIGHTING,
             PHASE_EARLIER, PHASE_READING, PHASE_ABSENT };
enum { SEGMENTS_MAX = 16, FINISHED_KEPT = 8, RELISTS_MAX = 8 };

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

/* ---- file.c ---- */

/* Of the file being read: there is one whenever the phase is READING. */
struct segment *file_current(struct file_source *file);
void file_add_segment(struct file_source *file, const struct identity *identity);
/* Tells the lines of a block that begins at ordinal `start`; how many bytes that were. */
size_t file_tell_block(struct file_source *file, struct span block, uint64_t start,
                       bool *is_in_long_line);

/* ---- file_search.c ---- */

void file_ask_open(struct file_source *file, uint16_t sibling);
/* Asks for what the path names now, or as soon as that is of use. */
void file_look_at_path(struct file_source *file);
/* Is a certain file to be found? An empty one has no head to be known by; its inode must do. */
bool file_wants(const struct file_source *file);
bool file_is_wanted(const struct file_source *file, struct stream *stream,
                    const struct wire_opened *opened);
/* Is it the one that was found at the path, and waits? */
bool file_is_next(const struct file_source *file, uint64_t device, uint64_t inode);
/* Among the siblings: for the wanted file, or for the one that comes behind what was read. */
void file_start_search(struct file_source *file, bool is_moving_on);
void file_search_listed(struct file_source *file);
void file_sibling_opened(struct file_source *file, const struct wire_opened *opened, int fd);
bool file_was_renamed(const struct wire_sibling *sibling, const struct wire_opened *opened,
                      const struct stream *stream);
void file_begin_reading(struct file_source *file, struct stream *stream,
                        const struct identity *identity, uint64_t offset);
void file_begin_new(struct file_source *file, struct stream *stream, uint64_t device,
                    uint64_t inode);
void file_begin_wanted(struct file_source *file, struct stream *stream, uint64_t device,
                       uint64_t inode);

/* ---- file_sight.c ---- */

void file_sight(struct file_source *file, struct stream *stream, const struct wire_opened *opened);
void file_tell_sight(struct file_source *file);
void file_open_earlier(struct file_source *file);
void file_earlier_opened(struct file_source *file, const struct wire_opened *opened, int fd);
bool file_earlier_turn(struct file_source *file);
