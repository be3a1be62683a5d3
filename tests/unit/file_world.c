/* A world of log files: see file_world.h. The clock is ours, so the source is included as text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "chance.h"
#include "file_world.h"

static int64_t monotonic_us = 1000 * SECOND_US;
static int64_t our_monotonic_us(void) {
    return monotonic_us;
}
#define clock_monotonic_us our_monotonic_us
static int64_t our_now_us(void) {
    return w.wall * SECOND_US;
}
#define clock_now_us our_now_us
#include "sources/file.c" /* NOLINT */

struct world w;

void failed(const char *what, uint32_t generation, uint32_t line) {
    print_error("%s\n%s: line %u.%u\n", trail, what, generation, line);
    fail();
}

const char *slot_path(uint32_t slot, const char *ending, char into[PATH_MAX]) {
    if (slot == 0)
        snprintf(into, PATH_MAX, "%s/app.log", scratch_folder);
    else
        snprintf(into, PATH_MAX, "%s/app.log.%u%s", scratch_folder, slot, ending ? ending : "");
    return into;
}

const char *path_of(uint32_t slot, char into[PATH_MAX]) {
    const char *ending =
        slot < w.slot_count && w.slots[slot] >= 0 ? w.generations[w.slots[slot]].ending : NULL;
    return slot_path(slot, ending, into);
}

/* Modification times go on by seconds, as they do between rotations outside. */
void touch(const char *path) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = ++w.wall}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

void touch_fd(int fd) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = ++w.wall}};
    assert_int_equal(futimens(fd, times), 0);
}

static struct generation *generation_at(uint32_t slot) {
    return slot < w.slot_count && w.slots[slot] >= 0 ? &w.generations[w.slots[slot]] : NULL;
}

void news(struct file_news one) {
    w.has_news = true;
    w.news.grew |= one.grew;
    w.news.was_closed |= one.was_closed;
    w.news.name_changed |= one.name_changed;
}

void open_new_file(void) {
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

void write_part(struct generation *generation, int fd, bool whole) {
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

void append(uint32_t lines, bool leaves_partial) {
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

void close_late_writer(void) {
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
void rotate(bool creates, bool writes_late) {
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

void copy_truncate(void) {
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

void write_compressed(const char *from, const char *to, uint32_t kind) {
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
void compress(uint32_t slot) {
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

void delete_file(void) {
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
    snprintf(path, sizeof(path), "%s/app.log.%s", scratch_folder, w.half_made ? "1.gz" : "custom");
    if (w.half_made || w.has_neighbour)
        list_one(answer, path);
    memcpy(beside.listed, answer->siblings, sizeof(beside.listed));
    beside.listed_count = answer->count;
    beside_sort_listed();
    memcpy(answer->siblings, beside.listed, sizeof(beside.listed));
}

static void open_file(struct answer *answer, const struct request *request) {
    char path[PATH_MAX];
    struct stat status = {0};
    if (request->sibling == 0) {
        slot_path(0, NULL, path);
    } else {
        assert_true(request->sibling <= beside.listed_count);
        snprintf(path, sizeof(path), "%.*s",
                 SPAN_FORMAT(wire_bytes(beside.listed[request->sibling - 1].path)));
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
bool serve_request(void) {
    struct request request;
    if (!beside_next_request(&request))
        return false;
    struct answer *answer = calloc(1, sizeof(*answer));
    must(answer);
    answer->fd = -1;
    answer->is_list = request.is_list;
    if (answer->is_list)
        list_siblings(answer);
    else
        open_file(answer, &request);
    assert_true(w.answer_count < REQUESTS);
    w.answers[w.answer_count++] = answer;
    return true;
}

bool hear_answer(void) {
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

bool hear_news(void) {
    if (!w.has_news)
        return false;
    struct file_news one = w.news;
    w.news = (struct file_news){0};
    w.has_news = false;
    file_source_notice(w.file, one);
    return true;
}

/* ---- the sensor's side and the decider ---- */

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
        beside_note_start(start);
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
    beside.lost += lost;
    for (uint32_t i = 0; i < w.frame_count; i++) {
        if (w.frame_ends[i] <= beside.position.done)
            continue;
        if (w.told_count == w.told_room) {
            w.told_room = w.told_room ? w.told_room * 2 : 1024;
            w.told = realloc(w.told, w.told_room * sizeof(*w.told));
            must(w.told);
        }
        w.told[w.told_count++] = w.frame[i];
    }
    w.frame_count = 0;
    if (last <= beside.position.done && lost == 0)
        return;
    uint64_t resume = last;
    if (beside.start_count && chance(2))
        resume = beside.starts[chance(beside.start_count)];
    if (resume < beside.position.resume)
        resume = beside.position.resume < last ? beside.position.resume : last;
    if (last > beside.position.done)
        beside.position.done = last;
    beside.position.resume = resume < beside.position.done ? resume : beside.position.done;
    struct span done_in = file_source_identity_at(w.file, last);
    struct span resume_in = file_source_identity_at(w.file, beside.position.resume);
    assert_true(done_in.length > 0 && done_in.length <= 256);
    wire_set_bytes(beside.position.done_identity, done_in);
    wire_set_bytes(beside.position.resume_identity, resume_in);
}

static const struct source_calls calls = {beside_ask_open, beside_ask_list,
                                          beside_tell_sight, tell_lines_call, tell_turn_call};

void commit(void) {
    w.committed_count = w.told_count;
    if (beside_commit())
        file_sighted(w.file);
    else if (beside.position.is_known)
        file_source_committed(w.file, beside.position.done);
}

void start_sensor(void) {
    w.file = file_source_new(&calls, false, NULL);
    beside_restart();
    w.told_count = w.committed_count;
    w.frame_count = 0;
    w.has_news = false;
    w.news = (struct file_news){0};
    file_source_start(w.file, &beside.position);
}

void stop_sensor(void) {
    w.file = file_source_free(w.file);
    for (uint32_t i = 0; i < w.answer_count; i++) {
        cleanup_close_fd(&w.answers[i]->fd);
        free(w.answers[i]);
    }
    w.answer_count = 0;
}

void restart(void) {
    note("RESTART ");
    stop_sensor();
    start_sensor();
}

/* Everything asked is answered and everything there is read. */
void settle(void) {
    if (w.late_writer < 0)
        monotonic_us += 2 * SECOND_US;
    for (uint32_t quiet = 0, steps = 0; quiet < 4; steps++) {
        assert_true(steps < 100000);
        bool more = hear_news();
        more = serve_request() || more;
        more = hear_answer() || more;
        more = beside.sight_is_due || more;
        if (beside.sight_is_due)
            commit();
        more = file_source_turn(w.file) || more;
        if (!more && w.late_writer < 0)
            monotonic_us += 2 * SECOND_US;
        quiet = more ? 0 : quiet + 1;
    }
    note("settled ");
}

void begin_world(void) {
    struct told *told = w.told;
    struct told *frame = w.frame;
    uint32_t told_room = w.told_room;
    uint32_t frame_room = w.frame_room;
    memset(&w, 0, sizeof(w));
    w.told = told;
    w.frame = frame;
    w.told_room = told_room;
    w.frame_room = frame_room;
    assert_int_equal(scratch_make(NULL), 0);
    w.wall = 1700000000;
    w.writer = w.late_writer = -1;
    w.slots[0] = -1;
    w.slot_count = 1;
    beside_begin();
}

void end_world(void) {
    stop_sensor();
    cleanup_close_fd(&w.writer);
    cleanup_close_fd(&w.late_writer);
    (void)scratch_remove(NULL);
}

void forget_all(void) {
    free(w.told);
    free(w.frame);
    w.told = w.frame = NULL;
    w.told_room = w.frame_room = 0;
}

void check_promise(void) {
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
