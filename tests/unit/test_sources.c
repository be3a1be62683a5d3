/* A log file followed through everything that happens to log files. A world of random deeds plays
 * the syslog daemon, logrotate and hauberkd on a real folder; a small decider takes what is told,
 * commits some of it, and forgets the rest at every restart, as kill -9 would make it.
 *
 * The promise: every complete line that still exists somewhere is told exactly once and in order,
 * and of what is gone the bytes that were known are counted.
 *
 * The clock is ours, so the source is included as text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"

static int64_t monotonic_us = 1000 * SECOND_US;
static int64_t our_monotonic_us(void) {
    return monotonic_us;
}
static int64_t our_now_us(void);
#define clock_monotonic_us our_monotonic_us
#define clock_now_us our_now_us
#include "sources/file.c" /* NOLINT */

enum { GENERATIONS = 32, LINES = 700, REQUESTS = 256, STARTS = 8 };

/* ---- chance, repeatable ---- */

static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

/* ---- the world ---- */

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

struct request {
    bool is_list;
    uint16_t sibling;
    uint32_t ticket;
};

struct answer {
    bool is_list;
    struct wire_opened opened;
    int fd;
    struct wire_sibling siblings[SIBLINGS_MAX];
    uint32_t count;
};

static struct world {
    char folder[64];
    uint32_t wall; /* seconds, for modification times */
    struct generation generations[GENERATIONS];
    uint32_t generation_count;
    int slots[GENERATIONS + 1]; /* generation at app.log, app.log.1, ...; -1: no file */
    uint32_t slot_count;
    int writer;                 /* the syslog daemon's descriptor of slot 0, -1 */
    int late_writer;            /* of the file rotated away last */
    uint32_t late_generation;

    /* hauberkd */
    struct request requests[REQUESTS];
    uint32_t request_count;
    struct answer *answers[REQUESTS];
    uint32_t answer_count;
    struct wire_sibling listed[SIBLINGS_MAX];
    uint32_t listed_count;
    struct file_news news;
    bool has_news;

    /* the sensor */
    struct file_source *file;
    bool sight_is_due; /* told, not yet committed */
    uint64_t starts[STARTS]; /* of lines lately told, oldest first: what a session may hold */
    uint32_t start_count;

    /* the decider */
    struct wire_position position, committed;
    struct told *told, *frame;
    uint32_t told_count, told_room, committed_count;
    uint32_t frame_count, frame_room;
    uint64_t frame_ends[4096 * 4];
    uint64_t lost, committed_lost;
    bool was_deleted;
    bool half_made, has_neighbour; /* files beside, which the siblings' row does not know */
} w;

static int64_t our_now_us(void) {
    return w.wall * SECOND_US;
}

static char trail[1 << 16];
static size_t trail_length;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(trail + trail_length, sizeof(trail) - trail_length, format, arguments);
    va_end(arguments);
    if (added > 0 && trail_length + (size_t)added < sizeof(trail))
        trail_length += (size_t)added;
}

static void failed(const char *what, uint32_t generation, uint32_t line) {
    print_error("%s\n%s: line %u.%u\n", trail, what, generation, line);
    fail();
}

static const char *slot_path(uint32_t slot, const char *ending, char into[PATH_MAX]) {
    if (slot == 0)
        snprintf(into, PATH_MAX, "%s/app.log", w.folder);
    else
        snprintf(into, PATH_MAX, "%s/app.log.%u%s", w.folder, slot, ending ? ending : "");
    return into;
}

static const char *path_of(uint32_t slot, char into[PATH_MAX]) {
    const char *ending =
        slot < w.slot_count && w.slots[slot] >= 0 ? w.generations[w.slots[slot]].ending : NULL;
    return slot_path(slot, ending, into);
}

/* Modification times go on by seconds, as they do between rotations outside. */
static void touch(const char *path) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = ++w.wall}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void touch_fd(int fd) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = ++w.wall}};
    assert_int_equal(futimens(fd, times), 0);
}

static void settle(void);
static void commit(void);

static struct generation *generation_at(uint32_t slot) {
    return slot < w.slot_count && w.slots[slot] >= 0 ? &w.generations[w.slots[slot]] : NULL;
}

static void news(struct file_news one) {
    w.has_news = true;
    w.news.grew |= one.grew;
    w.news.was_closed |= one.was_closed;
    w.news.name_changed |= one.name_changed;
}

static void open_new_file(void) {
    char path[PATH_MAX];
    w.writer = open(path_of(0, path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(w.writer >= 0);
    touch(path);
    w.slots[0] = (int)w.generation_count++;
    w.generations[w.slots[0]] = (struct generation){0};
    if (w.slot_count == 0)
        w.slot_count = 1;
    news((struct file_news){.name_changed = true});
    note("create(%d) ", w.slots[0]);
}

static void write_part(struct generation *generation, int fd, bool whole) {
    uint32_t number = (uint32_t)(generation - w.generations);
    if (generation->partial == 0) {
        uint32_t padding = chance(8) ? chance(60) : chance(12) ? chance(900) : chance(4000);
        generation->text_length =
            (size_t)snprintf(generation->text, sizeof(generation->text),
                             "%u.%u line of a log at some time of day by somebody %0*u\n", number,
                             generation->lines, (int)padding + 1, 0);
    }
    size_t left = generation->text_length - generation->partial;
    size_t now = whole || left < 2 ? left : 1 + chance((uint32_t)left - 1);
    assert_int_equal(write(fd, generation->text + generation->partial, now), now);
    generation->size += now;
    generation->partial += (uint32_t)now;
    touch_fd(fd);
    if (generation->partial == generation->text_length) {
        generation->partial = 0;
        generation->lines++;
        assert_true(generation->lines < LINES);
    }
    news((struct file_news){.grew = true});
}

static void append(uint32_t lines, bool leaves_partial) {
    if (w.writer < 0)
        return;
    struct generation *generation = generation_at(0);
    for (uint32_t i = 0; i < lines && generation->lines < LINES - 20; i++)
        write_part(generation, w.writer, true);
    if (leaves_partial)
        write_part(generation, w.writer, false);
    note("append(%u%s) ", lines, leaves_partial ? "+" : "");
}

static void finish_partial(uint32_t slot, int fd) {
    struct generation *generation = generation_at(slot);
    if (generation && generation->partial)
        write_part(generation, fd, true);
}

static void close_late_writer(void) {
    if (w.late_writer < 0)
        return;
    if (w.generations[w.late_generation].partial)
        write_part(&w.generations[w.late_generation], w.late_writer, true);
    close(w.late_writer);
    w.late_writer = -1;
    news((struct file_news){.was_closed = true});
    note("late-close ");
}

static void shift(void) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    for (uint32_t slot = w.slot_count; slot-- > 1;)
        if (w.slots[slot] >= 0) {
            path_of(slot, from);
            slot_path(slot + 1, w.generations[w.slots[slot]].ending, to);
            assert_int_equal(rename(from, to), 0);
        }
    assert_true(w.slot_count < GENERATIONS);
    for (uint32_t slot = w.slot_count++; slot > 0; slot--)
        w.slots[slot] = w.slots[slot - 1];
}

/* logrotate with rename: the daemon may go on writing into the old file for a while. */
static void rotate(bool creates, bool writes_late) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    if (w.writer < 0 || w.late_writer >= 0)
        return;
    shift();
    slot_path(0, NULL, from);
    slot_path(1, NULL, to);
    assert_int_equal(rename(from, to), 0);
    w.slots[0] = -1;
    note("rotate(%d%s) ", w.slots[1], writes_late ? " late" : "");
    w.late_generation = (uint32_t)w.slots[1];
    w.late_writer = w.writer;
    w.writer = -1;
    news((struct file_news){.name_changed = true});
    if (!writes_late)
        close_late_writer();
    if (creates)
        open_new_file();
}

static void copy_file(const char *from, const char *to) {
    cleanup_text struct text bytes = {0};
    assert_true(file_read(from, 64 << 20, &bytes) >= 0);
    cleanup_close int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write_all(fd, text_span(&bytes)) >= 0);
}

static void copy_truncate(void) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    if (w.writer < 0 || w.late_writer >= 0)
        return;
    /* What was written and cut before anybody looked cannot be known to have been in this file. */
    if (generation_at(0)->lines == 0)
        append(1, false);
    settle();
    append(chance(4), false);
    finish_partial(0, w.writer);
    shift();
    slot_path(0, NULL, from);
    slot_path(1, NULL, to);
    copy_file(from, to);
    touch(to);
    assert_int_equal(truncate(from, 0), 0);
    touch(from);
    note("copytruncate(%d) ", w.slots[1]);
    w.slots[0] = (int)w.generation_count++;
    w.generations[w.slots[0]] = (struct generation){0};
    news((struct file_news){.grew = true, .name_changed = chance(2) == 0});
}

static void write_compressed(const char *from, const char *to, uint32_t kind) {
    cleanup_text struct text bytes = {0};
    assert_true(file_read(from, 64 << 20, &bytes) >= 0);
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    if (kind == 0)
        archive_write_add_filter_gzip(archive);
    else if (kind == 1)
        archive_write_add_filter_xz(archive);
    else
        archive_write_add_filter_zstd(archive);
    archive_write_set_format_raw(archive);
    assert_int_equal(archive_write_open_filename(archive, to), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    struct span all = text_span(&bytes);
    if (all.length)
        assert_int_equal(archive_write_data(archive, all.at, all.length), all.length);
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
    archive_entry_free(entry);
}

/* As gzip, xz and zstd do: the new file gets the old one's times before that goes. */
static void compress(uint32_t slot) {
    static const char *const endings[] = {".gz", ".xz", ".zst"};
    char from[PATH_MAX];
    char to[PATH_MAX];
    struct stat status;
    struct generation *generation = generation_at(slot);
    if (!generation || generation->ending ||
        (w.late_writer >= 0 && generation == &w.generations[w.late_generation]))
        return;
    path_of(slot, from);
    uint32_t kind = chance(3);
    slot_path(slot, endings[kind], to);
    write_compressed(from, to, kind);
    assert_int_equal(stat(from, &status), 0);
    struct timespec times[2] = {status.st_atim, status.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, to, times, 0), 0);
    assert_int_equal(unlink(from), 0);
    generation->ending = endings[kind];
    note("compress(%u %s) ", slot, endings[kind]);
}

static void delete_file(void) {
    char path[PATH_MAX];
    if (w.writer < 0 || w.late_writer >= 0)
        return;
    struct generation *generation = generation_at(0);
    /* Read at least once: a late writer of an older file must not make that one look newer. */
    append(1, false);
    settle();
    commit();
    append(chance(3), chance(2));
    for (uint32_t i = 0; i <= generation->lines; i++)
        generation->is_gone[i] = true;
    w.was_deleted = true; /* and as long as no other is known, nothing ties the next to it */
    note("delete(%d) ", w.slots[0]);
    assert_int_equal(unlink(slot_path(0, NULL, path)), 0);
    close(w.writer);
    w.writer = -1;
    w.slots[0] = -1;
    news((struct file_news){.name_changed = true, .was_closed = true});
}

/* ---- hauberkd ---- */

static int newest_first(const void *a, const void *b) {
    const struct wire_sibling *one = a;
    const struct wire_sibling *other = b;
    return one->modified_us < other->modified_us ? 1 : one->modified_us > other->modified_us ? -1 : 0;
}

static void list_one(struct answer *answer, const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    struct wire_sibling *one = &answer->siblings[answer->count++];
    one->device = status.st_dev;
    one->inode = status.st_ino;
    one->size = (uint64_t)status.st_size;
    one->modified_us = status.st_mtim.tv_sec * SECOND_US;
    wire_set_bytes(one->path, span_of(path));
}

static void list_siblings(struct answer *answer) {
    char path[PATH_MAX];
    for (uint32_t slot = 1; slot < w.slot_count; slot++)
        if (w.slots[slot] >= 0)
            list_one(answer, path_of(slot, path));
    snprintf(path, sizeof(path), "%s/app.log.%s", w.folder, w.half_made ? "1.gz" : "custom");
    if (w.half_made || w.has_neighbour)
        list_one(answer, path);
    qsort(answer->siblings, answer->count, sizeof(answer->siblings[0]), newest_first);
    memcpy(w.listed, answer->siblings, sizeof(w.listed));
    w.listed_count = answer->count;
}

static void open_file(struct answer *answer, const struct request *request) {
    char path[PATH_MAX];
    struct stat status = {0};
    if (request->sibling == 0) {
        slot_path(0, NULL, path);
    } else {
        assert_true(request->sibling <= w.listed_count);
        snprintf(path, sizeof(path), "%.*s",
                 SPAN_FORMAT(wire_bytes(w.listed[request->sibling - 1].path)));
    }
    answer->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (answer->fd >= 0)
        assert_int_equal(fstat(answer->fd, &status), 0);
    answer->opened = (struct wire_opened){.sibling = request->sibling, .ticket = request->ticket,
                                          .error = answer->fd < 0 ? ENOENT : 0,
                                          .device = status.st_dev, .inode = status.st_ino,
                                          .size = (uint64_t)status.st_size};
}

/* hauberkd looks now; the sensor hears of it later. */
static bool serve_request(void) {
    if (w.request_count == 0)
        return false;
    struct answer *answer = calloc(1, sizeof(*answer));
    must(answer);
    answer->fd = -1;
    answer->is_list = w.requests[0].is_list;
    if (answer->is_list)
        list_siblings(answer);
    else
        open_file(answer, &w.requests[0]);
    memmove(w.requests, w.requests + 1, --w.request_count * sizeof(w.requests[0]));
    assert_true(w.answer_count < REQUESTS);
    w.answers[w.answer_count++] = answer;
    return true;
}

static bool hear_answer(void) {
    if (w.answer_count == 0)
        return false;
    struct answer *answer = w.answers[0];
    memmove(w.answers, w.answers + 1, --w.answer_count * sizeof(w.answers[0]));
    if (answer->is_list)
        file_listed(w.file, answer->siblings, answer->count);
    else
        file_opened(w.file, &answer->opened, take_fd(&answer->fd));
    free(answer);
    return true;
}

static bool hear_news(void) {
    if (!w.has_news)
        return false;
    struct file_news one = w.news;
    w.news = (struct file_news){0};
    w.has_news = false;
    file_source_notice(w.file, one);
    return true;
}

static void ask_open_call(void *context, uint16_t sibling, uint32_t ticket) {
    (void)context;
    assert_true(w.request_count < REQUESTS);
    w.requests[w.request_count++] = (struct request){false, sibling, ticket};
}

static void ask_list_call(void *context) {
    (void)context;
    assert_true(w.request_count < REQUESTS);
    w.requests[w.request_count++] = (struct request){.is_list = true};
}

/* ---- the sensor's side and the decider ---- */

static void tell_sight_call(void *context, uint64_t mark, uint64_t start, struct span identity) {
    (void)context;
    (void)mark;
    assert_false(w.position.is_known);
    assert_true(identity.length <= 256);
    w.position.is_known = 1;
    w.position.mark = mark;
    w.position.done = w.position.resume = start;
    wire_set_bytes(w.position.done_identity, identity);
    wire_set_bytes(w.position.resume_identity, identity);
    w.sight_is_due = true;
}

static void tell_lines_call(void *context, struct span lines, uint64_t start) {
    (void)context;
    assert_true(lines.length > 0 && lines.at[lines.length - 1] == '\n');
    while (lines.at && lines.length) {
        size_t before = lines.length;
        struct span line = span_cut(&lines, '\n');
        size_t taken = before - (lines.at ? lines.length : 0);
        unsigned generation = UINT_MAX;
        unsigned number = UINT_MAX;
        char text[64];
        snprintf(text, sizeof(text), "%.*s", (int)(line.length < 60 ? line.length : 60), line.at);
        if (sscanf(text, "%u.%u line of", &generation, &number) != 2 ||
            generation >= GENERATIONS || number >= LINES)
            failed(text, generation, number);
        if (w.start_count == STARTS)
            memmove(w.starts, w.starts + 1, --w.start_count * sizeof(w.starts[0]));
        w.starts[w.start_count++] = start;
        start += taken;
        if (w.frame_count == w.frame_room) {
            w.frame_room = w.frame_room ? w.frame_room * 2 : 1024;
            w.frame = realloc(w.frame, w.frame_room * sizeof(*w.frame));
            must(w.frame);
        }
        assert_true(w.frame_count < ELEMENTS_OF(w.frame_ends));
        w.frame_ends[w.frame_count] = start;
        w.frame[w.frame_count++] = (struct told){generation, number};
        if (!lines.at)
            break;
    }
}

/* One frame, applied whole. What lies at or before `done` was told before. */
static void tell_turn_call(void *context) {
    (void)context;
    uint64_t last = file_source_done(w.file);
    uint64_t lost = file_source_take_lost(w.file);
    w.lost += lost;
    for (uint32_t i = 0; i < w.frame_count; i++) {
        if (w.frame_ends[i] <= w.position.done)
            continue;
        if (w.told_count == w.told_room) {
            w.told_room = w.told_room ? w.told_room * 2 : 1024;
            w.told = realloc(w.told, w.told_room * sizeof(*w.told));
            must(w.told);
        }
        w.told[w.told_count++] = w.frame[i];
    }
    w.frame_count = 0;
    if (last <= w.position.done && lost == 0)
        return;
    uint64_t resume = last;
    if (w.start_count && chance(2))
        resume = w.starts[chance(w.start_count)];
    if (resume < w.position.resume)
        resume = w.position.resume < last ? w.position.resume : last;
    if (last > w.position.done)
        w.position.done = last;
    w.position.resume = resume < w.position.done ? resume : w.position.done;
    struct span done_in = file_source_identity_at(w.file, last);
    struct span resume_in = file_source_identity_at(w.file, w.position.resume);
    assert_true(done_in.length > 0 && done_in.length <= 256);
    wire_set_bytes(w.position.done_identity, done_in);
    wire_set_bytes(w.position.resume_identity, resume_in);
}

static const struct source_calls calls = {ask_open_call, ask_list_call, tell_sight_call,
                                        tell_lines_call, tell_turn_call};

static void commit(void) {
    w.committed = w.position;
    w.committed_count = w.told_count;
    w.committed_lost = w.lost;
    if (w.sight_is_due) {
        w.sight_is_due = false;
        file_sighted(w.file);
    } else if (w.position.is_known) {
        file_source_committed(w.file, w.position.done);
    }
}

static void start_sensor(void) {
    w.file = file_source_new(&calls, false, NULL);
    w.position = w.committed;
    w.told_count = w.committed_count;
    w.lost = w.committed_lost;
    w.frame_count = w.start_count = 0;
    w.sight_is_due = false;
    w.has_news = false;
    w.news = (struct file_news){0};
    file_source_start(w.file, &w.position);
}

static void stop_sensor(void) {
    w.file = file_source_free(w.file);
    for (uint32_t i = 0; i < w.answer_count; i++) {
        cleanup_close_fd(&w.answers[i]->fd);
        free(w.answers[i]);
    }
    w.request_count = w.answer_count = 0;
}

static void restart(void) {
    note("RESTART ");
    stop_sensor();
    start_sensor();
}

/* Everything asked is answered and everything there is read. */
static void settle(void) {
    if (w.late_writer < 0)
        monotonic_us += 2 * SECOND_US;
    for (uint32_t quiet = 0, steps = 0; quiet < 4; steps++) {
        assert_true(steps < 100000);
        bool more = hear_news();
        more = serve_request() || more;
        more = hear_answer() || more;
        more = w.sight_is_due || more;
        if (w.sight_is_due)
            commit();
        more = file_source_turn(w.file) || more;
        if (!more && w.late_writer < 0)
            monotonic_us += 2 * SECOND_US;
        quiet = more ? 0 : quiet + 1;
    }
    note("settled ");
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void begin_world(void) {
    struct told *told = w.told;
    struct told *frame = w.frame;
    uint32_t told_room = w.told_room;
    uint32_t frame_room = w.frame_room;
    memset(&w, 0, sizeof(w));
    w.told = told;
    w.frame = frame;
    w.told_room = told_room;
    w.frame_room = frame_room;
    memcpy(w.folder, "/tmp/hauberk-sources-XXXXXX", sizeof("/tmp/hauberk-sources-XXXXXX"));
    assert_non_null(mkdtemp(w.folder));
    w.wall = 1700000000;
    w.writer = w.late_writer = -1;
    w.slots[0] = -1;
    w.slot_count = 1;
    trail_length = 0;
    trail[0] = '\0';
}

static void end_world(void) {
    stop_sensor();
    cleanup_close_fd(&w.writer);
    cleanup_close_fd(&w.late_writer);
    nftw(w.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void forget_all(void) {
    free(w.told);
    free(w.frame);
    w.told = w.frame = NULL;
    w.told_room = w.frame_room = 0;
}

/* The promise. */
static void check_promise(void) {
    uint32_t at = 0;
    for (uint32_t i = 1; i < w.told_count; i++) {
        const struct told *a = &w.told[i - 1];
        const struct told *b = &w.told[i];
        if (a->generation > b->generation ||
            (a->generation == b->generation && a->line >= b->line))
            failed("told twice or out of order", b->generation, b->line);
    }
    for (uint32_t g = 0; g < w.generation_count; g++)
        for (uint32_t i = 0; i < w.generations[g].lines; i++) {
            bool is_told = at < w.told_count && w.told[at].generation == g && w.told[at].line == i;
            if (!is_told && !w.generations[g].is_gone[i])
                failed("never told", g, i);
            at += is_told;
        }
    assert_int_equal(at, w.told_count);
}

/* A file nobody has seen can come and go unseen: what rotates is known by its first lines. */
static void random_deed(void) {
    uint32_t deed = chance(34);
    if (deed < 4 && deed != 2 && (w.committed_count == 0 || w.was_deleted))
        return;
    if (w.was_deleted && w.writer >= 0 && chance(8) == 0) {
        append(1, false);
        settle();
        commit();
        w.was_deleted = false;
    }
    switch (deed) {
    case 0:
        if (w.late_writer < 0 && w.slot_count < GENERATIONS - 2 &&
            w.generation_count < GENERATIONS - 2)
            rotate(chance(4) != 0, chance(3) == 0);
        break;
    case 1:
        if (w.slot_count < GENERATIONS - 2 && w.generation_count < GENERATIONS - 2)
            copy_truncate();
        break;
    case 2:
        compress(1 + chance(3));
        break;
    case 3:
        if (chance(3) == 0)
            delete_file();
        break;
    case 4:
    case 5:
        if (w.writer < 0 && w.generation_count < GENERATIONS - 2)
            open_new_file();
        break;
    case 6:
        restart();
        break;
    case 7:
        if (w.late_writer >= 0)
            close_late_writer();
        break;
    case 8:
        if (w.late_writer >= 0)
            write_part(&w.generations[w.late_generation], w.late_writer, chance(2));
        break;
    case 9:
        settle();
        break;
    case 10:
        append(chance(3) ? chance(5) : chance(60), chance(2));
        break;
    case 11:
    case 12:
        append(chance(4), chance(2));
        break;
    case 13:
    case 14:
    case 15:
        commit();
        break;
    case 16:
    case 17:
    case 18:
        (void)hear_news();
        break;
    case 19:
    case 20:
    case 21:
    case 22:
    case 23:
        (void)serve_request();
        break;
    case 24:
    case 25:
    case 26:
    case 27:
    case 28:
        (void)hear_answer();
        break;
    default:
        (void)file_source_turn(w.file);
        break;
    }
}

static void play(uint64_t number, uint32_t deeds) {
    seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    begin_world();
    note("seed %llu: ", (unsigned long long)number);
    start_sensor();
    if (chance(2)) { /* what is there before the first sight is memory, and told as well */
        open_new_file();
        append(chance(20), chance(2));
    }
    settle();
    commit();
    for (uint32_t i = 0; i < deeds; i++)
        random_deed();
    close_late_writer();
    if (w.writer < 0)
        open_new_file();
    append(1, false); /* an old file is left when the new one holds something */
    settle();
    check_promise();
    commit();
    restart();
    settle();
    check_promise();
    end_world();
}

static void lines_are_told_once_whatever_happens(void **state) {
    (void)state;
    const char *only = getenv("HAUBERK_SEED");
    const char *many = getenv("HAUBERK_PLAYS");
    int64_t first = 1;
    int64_t last = 1500;
    if (only && span_to_integer(span_of(only), 1, INT64_MAX, &first) >= 0)
        last = first;
    else if (many)
        assert_true(span_to_integer(span_of(many), 1, INT64_MAX, &last) >= 0);
    for (int64_t number = first; number <= last; number++)
        play((uint64_t)number, 20 + (uint32_t)(number % 160));
    forget_all();
}

/* ---- one by one ---- */

static void begin_with(uint32_t lines) {
    seed = 7;
    begin_world();
    open_new_file();
    start_sensor();
    settle();
    commit();
    append(lines, false);
    settle();
}

static void end_told(uint32_t told) {
    assert_int_equal(w.told_count, told);
    end_world();
    forget_all();
}

/* Cuts the file behind its first `lines` lines; returns how many bytes went. */
static uint64_t cut_to(uint32_t lines) {
    char path[PATH_MAX];
    cleanup_text struct text bytes = {0};
    slot_path(0, NULL, path);
    assert_true(file_read(path, 1 << 20, &bytes) >= 0);
    struct span left = text_span(&bytes);
    for (uint32_t i = 0; i < lines; i++)
        (void)span_cut(&left, '\n');
    size_t kept = text_span(&bytes).length - left.length;
    assert_int_equal(truncate(path, (off_t)kept), 0);
    touch(path);
    news((struct file_news){.grew = true});
    return left.length;
}

static void a_lost_tail_is_counted_and_nothing_is_told_twice(void **state) {
    (void)state;
    static const uint32_t kept[] = {2, 3, 10, 28};
    for (size_t i = 0; i < ELEMENTS_OF(kept); i++)
        for (int restarts = 0; restarts < 3; restarts++) {
            begin_with(30);
            commit();
            if (restarts == 1)
                w.position.resume = w.committed.resume = 0; /* a session from the first line on */
            uint64_t cut = cut_to(kept[i]);
            if (restarts)
                restart();
            settle();
            append(5, false);
            settle();
            assert_int_equal(w.lost, cut);
            assert_true(w.position.resume <= w.position.done);
            commit();
            restart();
            settle();
            end_told(35);
        }
}

static void an_emptied_file_is_read_from_its_beginning(void **state) {
    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        begin_with(10);
        commit();
        cut_to(0);
        if (restarts)
            restart();
        settle();
        append(3, false);
        settle();
        assert_int_equal(w.lost, 0); /* all of it had been read */
        end_told(13);
    }
}

static void unread_bytes_of_a_deleted_file_are_counted(void **state) {
    (void)state;
    char path[PATH_MAX];
    begin_with(10);
    commit();
    uint64_t done = w.position.done;
    append(3, false);
    settle();
    uint64_t known = w.position.done;
    assert_int_equal(unlink(slot_path(0, NULL, path)), 0);
    close(w.writer);
    w.writer = -1;
    restart(); /* before the three lines were committed */
    open_new_file();
    append(2, false);
    settle();
    /* The committed position knew nothing of the three yet. */
    assert_true(w.lost <= known - done);
    end_told(12);
}

static void a_file_made_while_the_answer_is_under_way_is_found(void **state) {
    (void)state;
    for (int first_sight = 0; first_sight < 2; first_sight++) {
        seed = 7;
        begin_world();
        start_sensor();
        if (!first_sight) {
            settle();
            commit();
            restart();
        }
        assert_true(serve_request()); /* there is none */
        open_new_file();
        append(3, false);
        assert_true(hear_news());
        assert_true(hear_answer());
        settle();
        end_told(3);
    }
}

/* What is read of a line too long to be told must not be told as a line of its own afterwards. */
static void the_end_of_a_long_line_is_never_a_line(void **state) {
    (void)state;
    static char filler[SOURCE_TURN_BYTES + 1000];
    begin_with(3);
    memset(filler, 'x', sizeof(filler));
    assert_int_equal(write(w.writer, filler, sizeof(filler)), sizeof(filler));
    settle();
    commit();
    restart();
    static const char forged[] = "7.7 line of a log\n";
    assert_int_equal(write(w.writer, forged, sizeof(forged) - 1), sizeof(forged) - 1);
    append(2, false);
    settle();
    assert_int_equal(w.told[3].generation, 0);
    end_told(5);
}

/* gzip writes the new file while the old one is still there: its first bytes are right, and the
 * rest is to come. */
static void a_half_made_archive_is_left_alone(void **state) {
    (void)state;
    char from[PATH_MAX];
    char half[PATH_MAX];
    struct stat status;
    begin_with(5);
    commit();
    append(660, false); /* more than one block, so that some of it can be had */
    rotate(true, false);
    append(3, false);
    path_of(1, from);
    snprintf(half, sizeof(half), "%s/app.log.1.gz", w.folder);
    write_compressed(from, half, 0);
    assert_int_equal(stat(half, &status), 0);
    assert_int_equal(truncate(half, status.st_size * 9 / 10), 0);
    touch(half);
    w.half_made = true;
    restart();
    settle();
    assert_int_equal(w.lost, 0);
    end_told(668);
}

/* copytruncate, and then the path is given to a third file before anybody looked. */
static void a_file_cut_and_then_replaced(void **state) {
    (void)state;
    char path[PATH_MAX];
    begin_with(10);
    commit();
    copy_truncate();
    uint32_t lines = w.generations[w.slots[1]].lines;
    assert_int_equal(unlink(slot_path(0, NULL, path)), 0);
    close(w.writer);
    open_new_file();
    append(3, false);
    assert_true(hear_news());
    assert_true(serve_request());
    assert_true(hear_answer()); /* the third is known before the cut is seen */
    settle();
    append(1, false);
    settle();
    end_told(lines + 4);
}

/* A sibling that is somebody else's log, newer than ours, is not read after a rotation. */
static void a_neighbour_with_a_like_name_is_left_alone(void **state) {
    (void)state;
    char path[PATH_MAX];
    begin_with(5);
    snprintf(path, sizeof(path), "%s/app.log.custom", w.folder);
    cleanup_close int other = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    w.has_neighbour = true;
    rotate(true, false);
    append(3, false);
    assert_int_equal(write(other, "9.9 line of a log\n", 18), 18);
    touch_fd(other);
    settle();
    end_told(8);
}

/* A session opened in a file that is gone must not throw the position about. */
static void a_session_older_than_its_file_is_harmless(void **state) {
    (void)state;
    begin_with(10);
    commit();
    struct wire_position first = w.committed;
    cut_to(0);
    settle();
    append(5, false);
    settle();
    commit();
    w.committed.resume = first.done / 2; /* before this file's first byte */
    restart();
    settle();
    append(2, false);
    settle();
    assert_int_equal(w.lost, 0);
    end_told(17);
}

static void where_done_was_is_gone_and_the_next_is_read_whole(void **state) {
    (void)state;
    char path[PATH_MAX];
    begin_with(10);
    commit();
    struct wire_position old = w.committed;
    rotate(true, false);
    append(8, false);
    settle();
    commit();
    w.committed.resume = old.done; /* a session began in the first file, `done` is in the second */
    wire_set_bytes(w.committed.resume_identity, wire_bytes(old.done_identity));
    assert_int_equal(unlink(slot_path(0, NULL, path)), 0);
    close(w.writer);
    open_new_file();
    append(12, false);
    restart();
    settle();
    end_told(30);
}

/* ---- what was rotated before first sight ---- */

/* Three generations: 10 lines compressed, 660 (more than one turn), and 4 that are the log. */
static void begin_with_a_past(void) {
    seed = 7;
    begin_world();
    open_new_file();
    append(10, false);
    rotate(true, false);
    append(660, false);
    rotate(true, false);
    compress(2);
    append(4, false);
    w.has_news = false;
}

/* One step of everybody; false when nothing was to be done. */
static bool step(void) {
    bool more = hear_news();
    more = serve_request() || more;
    more = hear_answer() || more;
    return file_source_turn(w.file) || more;
}

static void rotated_logs_are_memory_and_read_oldest_first(void **state) {
    (void)state;
    begin_with_a_past();
    start_sensor();
    settle();
    check_promise();
    assert_int_equal(w.told_count, 674);
    assert_int_equal(w.position.done, w.position.mark);
    append(3, false);
    settle();
    assert_true(w.position.done > w.position.mark);
    commit();
    restart();
    rotate(true, false);
    append(2, false);
    settle();
    check_promise();
    assert_int_equal(w.lost, 0);
    end_told(679);
}

static void a_look_back_that_is_killed_goes_on(void **state) {
    (void)state;
    for (uint32_t steps = 0; steps < 24; steps++)
        for (int deed = 0; deed < 3; deed++) {
            begin_with_a_past();
            start_sensor();
            for (uint32_t i = 0; i < steps; i++) {
                (void)step();
                if (w.sight_is_due && deed == 1) /* killed between mark and commit, too */
                    commit();
                else if (w.sight_is_due && i % 2)
                    commit();
            }
            if (steps % 3 || w.sight_is_due)
                commit();
            uint64_t mark = w.position.is_known ? w.position.mark : 0;
            stop_sensor();
            append(2, false);
            if (deed == 2) {
                rotate(true, false);
                append(1, false);
            }
            start_sensor();
            settle();
            append(1, false);
            settle();
            check_promise();
            assert_true(!mark || w.position.mark == mark);
            assert_true(w.position.done > w.position.mark || !mark);
            assert_int_equal(w.lost, 0);
            end_told(677 + (deed == 2));
        }
}

static void a_damaged_archive_ends_alone(void **state) {
    (void)state;
    for (off_t length = 8; length < 120; length += 16) {
        char path[PATH_MAX];
        begin_with_a_past();
        path_of(2, path);
        cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, length), 0);
        touch_fd(fd);
        start_sensor();
        settle();
        assert_true(w.told_count >= 664);
        assert_int_equal(w.told[w.told_count - 664].generation, 1);
        assert_int_equal(w.position.done, w.position.mark);
        append(1, false);
        settle();
        assert_true(w.position.done > w.position.mark);
        end_world();
        forget_all();
    }
}

static void what_is_too_old_is_not_looked_at(void **state) {
    (void)state;
    begin_with_a_past();
    w.wall += 31 * 86400;
    append(1, false);
    start_sensor();
    settle();
    assert_int_equal(w.position.done, w.generations[2].size); /* ordinals begin at 0 */
    end_told(5);
}

static void a_log_that_is_away_has_a_past_too(void **state) {
    (void)state;
    begin_with_a_past();
    rotate(false, false);
    start_sensor();
    settle();
    assert_int_equal(w.position.done, w.position.mark);
    assert_int_equal(w.told_count, 674);
    commit();
    restart();
    open_new_file();
    append(2, false);
    settle();
    check_promise();
    assert_true(w.position.done > w.position.mark);
    end_told(676);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotated_logs_are_memory_and_read_oldest_first),
        cmocka_unit_test(a_look_back_that_is_killed_goes_on),
        cmocka_unit_test(a_damaged_archive_ends_alone),
        cmocka_unit_test(what_is_too_old_is_not_looked_at),
        cmocka_unit_test(a_log_that_is_away_has_a_past_too),
        cmocka_unit_test(lines_are_told_once_whatever_happens),
        cmocka_unit_test(a_lost_tail_is_counted_and_nothing_is_told_twice),
        cmocka_unit_test(an_emptied_file_is_read_from_its_beginning),
        cmocka_unit_test(unread_bytes_of_a_deleted_file_are_counted),
        cmocka_unit_test(a_file_made_while_the_answer_is_under_way_is_found),
        cmocka_unit_test(the_end_of_a_long_line_is_never_a_line),
        cmocka_unit_test(a_half_made_archive_is_left_alone),
        cmocka_unit_test(a_file_cut_and_then_replaced),
        cmocka_unit_test(a_neighbour_with_a_like_name_is_left_alone),
        cmocka_unit_test(a_session_older_than_its_file_is_harmless),
        cmocka_unit_test(where_done_was_is_gone_and_the_next_is_read_whole),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
