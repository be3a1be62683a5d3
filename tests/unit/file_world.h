/* A world of log files: it plays the syslog daemon, logrotate and hauberkd on a real folder, with a
 * clock of its own, and takes what a file source tells (beside.h). Every line says which it is, and
 * the world knows of each whether it still exists.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>

#include "beside.h"
#include "scratch.h"
#include "sources/file.h"

enum { GENERATIONS = 32, LINES = 700 };

/* One run of lines between two rotations; `slot` is its place in the row of siblings. */
struct generation {
    uint32_t lines;
    uint32_t partial;       /* bytes of line number `lines` that are written already */
    char text[4200];        /* of that line */
    size_t text_length;
    bool is_gone[LINES];    /* that line exists nowhere any more */
    const char *ending;     /* ".gz" when it was compressed */
    uint64_t size;
};

struct told {
    uint32_t generation, line;
};

struct answer {
    bool is_list;
    struct wire_opened opened;
    int fd;
    struct wire_sibling siblings[SIBLINGS_MAX];
    uint32_t count;
};

extern struct world {
    uint32_t wall; /* seconds, for modification times */
    struct generation generations[GENERATIONS];
    uint32_t generation_count;
    int slots[GENERATIONS + 1]; /* generation at app.log, app.log.1, ...; -1: no file */
    uint32_t slot_count;
    int writer;                 /* the syslog daemon's descriptor of slot 0, -1 */
    int late_writer;            /* of the file rotated away last */
    uint32_t late_generation;

    /* hauberkd */
    struct answer *answers[REQUESTS];
    uint32_t answer_count;
    struct file_news news;
    bool has_news;

    /* the sensor */
    struct file_source *file;

    /* the decider */
    struct told *told, *frame;
    uint32_t told_count, told_room, committed_count;
    uint32_t frame_count, frame_room;
    uint64_t frame_ends[4096 * 4];
    bool was_deleted;
    bool half_made, has_neighbour; /* files beside, which the siblings' row does not know */
} w;

void begin_world(void); /* without a file, and without a sensor */
void end_world(void);
void forget_all(void);

/* Fails the test with all that was done before. */
void failed(const char *what, uint32_t generation, uint32_t line);

/* ---- files ---- */

const char *slot_path(uint32_t slot, const char *ending, char into[PATH_MAX]);
const char *path_of(uint32_t slot, char into[PATH_MAX]); /* as it is now, compressed or not */

/* Modification times go on by seconds, as they do between rotations outside. */
void touch(const char *path);
void touch_fd(int fd);

/* What inotify tells hauberkd of app.log. */
void news(struct file_news one);

void open_new_file(void);
void append(uint32_t lines, bool leaves_partial);
void write_part(struct generation *generation, int fd, bool whole);
void close_late_writer(void);
void delete_file(void);

/* logrotate with rename: the daemon may go on writing into the old file for a while. */
void rotate(bool creates, bool writes_late);
void copy_truncate(void);

/* As gzip, xz and zstd do: the new file gets the old one's times before that goes. */
void compress(uint32_t slot);
void write_compressed(const char *from, const char *to, uint32_t kind);

/* ---- steps; those that return bool say whether there was one to take ---- */

/* hauberkd looks now; the sensor hears of it later. */
bool serve_request(void);
bool hear_answer(void);
bool hear_news(void);

void start_sensor(void);
void stop_sensor(void);
void restart(void);
void commit(void);

/* Everything asked is answered and everything there is read. */
void settle(void);

/* Every line that still exists was told once, and in order. */
void check_promise(void);
