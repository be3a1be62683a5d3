/* The journal followed through everything that happens to journals. systemd-journal-remote writes
 * real files from random deeds: entries of ours and of others, rotation, vacuuming, a new boot; a
 * small decider takes what is told, commits some of it, and forgets the rest at every restart, as
 * kill -9 would make it.
 *
 * The promise: every entry of ours that still exists is told exactly once and in order, and what
 * was deleted unread is counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "beside.h"
#include "chance.h"
#include "scratch.h"
#include "sources/journal.c" /* NOLINT */

#define REMOTE "/lib/systemd/systemd-journal-remote"
#define NAME \
    "journal: _SYSTEMD_UNIT=ssh.service _SYSTEMD_UNIT=sshd.service + " \
    "_UID=0 SYSLOG_IDENTIFIER=sshd"

enum { ENTRIES = 4000, FILES = 24 };

/* ---- the world ---- */

static struct world {
    pid_t writer;
    int writer_fd;
    uint32_t boot, archived, archives[FILES], archive_count; /* archives: their numbers */
    uint64_t monotonic_us;
    int64_t realtime_us;

    uint32_t count;                /* entries of ours written */
    uint32_t file_of[ENTRIES];     /* the archive it ended in */
    bool is_gone[ENTRIES];

    bool has_news;
    struct journal_source *journal;

    uint32_t told[ENTRIES * 2], told_count, committed_count;
    uint32_t frame[ENTRIES * 2], frame_count;
    uint64_t frame_ends[ENTRIES * 2];
} w;

static void failed(const char *what, uint32_t number) {
    print_error("%s\n%s: entry %u\n", trail, what, number);
    fail();
}

static const char *path_of(const char *name, char into[PATH_MAX]) {
    snprintf(into, PATH_MAX, "%s/%s", scratch_folder, name);
    return into;
}

static void start_writer(void) {
    char path[PATH_MAX];
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    w.writer = fork();
    assert_true(w.writer >= 0);
    if (w.writer == 0) {
        char option[PATH_MAX + 16];
        int nothing = open("/dev/null", O_WRONLY);
        dup2(ends[0], 0);
        dup2(nothing, 2);
        snprintf(option, sizeof(option), "--output=%s", path_of("system.journal", path));
        execl(REMOTE, REMOTE, option, "--split-mode=none", "--compress=yes", "-", NULL);
        _exit(127);
    }
    close(ends[0]);
    w.writer_fd = ends[1];
    w.has_news = true;
}

/* Until the journal holds its newest entry: journal-remote says nothing when it is done. */
static void await_entry(const char *mark) {
    char path[PATH_MAX];
    for (int tries = 0; tries < 5000; tries++) {
        sd_journal *reader = NULL;
        int fd = open(path_of("system.journal", path), O_RDONLY | O_CLOEXEC);
        bool is_there = false;
        if (fd >= 0 && sd_journal_open_files_fd(&reader, &fd, 1, 0) >= 0) {
            (void)sd_journal_add_match(reader, mark, 0);
            is_there = sd_journal_next(reader) > 0;
        }
        sd_journal_close(reader);
        cleanup_close_fd(&fd);
        if (is_there)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("journal-remote wrote nothing");
}

static void stop_writer(void) {
    close(w.writer_fd);
    assert_int_equal(waitpid(w.writer, NULL, 0), w.writer);
    w.writer = 0;
}

/* `ours`: entries that match, numbered; the others do not. */
static void write_entries(uint32_t count, bool ours) {
    static uint64_t serial;
    cleanup_text struct text text = {0};
    for (uint32_t i = 0; i < count && w.count < ENTRIES - 1; i++) {
        w.monotonic_us += 1 + chance(400000);
        w.realtime_us += 1 + chance(400000);
        text_add_format(&text,
                        "__REALTIME_TIMESTAMP=%lld\n__MONOTONIC_TIMESTAMP=%llu\n"
                        "_BOOT_ID=%032x\n_HOSTNAME=mx\nSERIAL=%llu\n",
                        (long long)w.realtime_us, (unsigned long long)w.monotonic_us, w.boot,
                        (unsigned long long)++serial);
        if (!ours)
            text_add_string(&text, chance(2) ? "_SYSTEMD_UNIT=cron.service\n"
                                             : "_UID=1000\nSYSLOG_IDENTIFIER=sshd\n");
        else
            text_add_string(&text, chance(2) ? "_SYSTEMD_UNIT=ssh.service\n"
                                             : "_UID=0\nSYSLOG_IDENTIFIER=sshd\n");
        text_add_format(&text, "MESSAGE=%u of ours%0*u\n\n", ours ? w.count : UINT_MAX,
                        1 + (int)chance(chance(9) ? 60 : 3000), 0);
        if (ours)
            w.file_of[w.count++] = w.archived;
    }
    assert_false(text.error);
    struct span left = text_span(&text);
    while (left.length > 0) {
        ssize_t put = write(w.writer_fd, left.at, left.length);
        assert_true(put > 0);
        left = span_skip(left, (size_t)put);
    }
    char mark[64];
    snprintf(mark, sizeof(mark), "SERIAL=%llu", (unsigned long long)serial);
    if (count)
        await_entry(mark);
    note("write(%u%s) ", count, ours ? "" : " others");
}

static void rotate(bool new_boot) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    char name[64];
    if (w.archive_count == FILES - 1)
        return;
    write_entries(1, false); /* an empty file has no place in a row */
    stop_writer();
    snprintf(name, sizeof(name), "system@%04u.journal", w.archived);
    assert_int_equal(rename(path_of("system.journal", from), path_of(name, to)), 0);
    w.archives[w.archive_count++] = w.archived++;
    if (new_boot) {
        w.boot++;
        w.monotonic_us = 1000;
    }
    start_writer();
    write_entries(1, false);
    note("rotate(%u%s) ", w.archived - 1, new_boot ? " boot" : "");
}

static bool hear_news(void);
static bool serve_request(void);

static void vacuum(void) {
    char path[PATH_MAX];
    char name[64];
    if (w.archive_count == 0)
        return;
    /* Who runs has asked for a file long before it is the oldest. */
    (void)hear_news();
    while (serve_request())
        ;
    snprintf(name, sizeof(name), "system@%04u.journal", w.archives[0]);
    assert_int_equal(unlink(path_of(name, path)), 0);
    for (uint32_t i = 0; i < w.count; i++)
        w.is_gone[i] = w.is_gone[i] || w.file_of[i] == w.archives[0];
    note("vacuum(%u) ", w.archives[0]);
    memmove(w.archives, w.archives + 1, --w.archive_count * sizeof(w.archives[0]));
    w.has_news = true;
}

/* ---- hauberkd ---- */

static void list_files(void) {
    DIR *folder = opendir(scratch_folder);
    beside.listed_count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[PATH_MAX];
        struct stat status;
        if (strncmp(entry->d_name, "system", 6) != 0 ||
            stat(path_of(entry->d_name, path), &status) < 0)
            continue;
        struct wire_sibling *one = &beside.listed[beside.listed_count++];
        *one = (struct wire_sibling){.device = status.st_dev, .inode = status.st_ino,
                                     .modified_us = status.st_mtim.tv_sec * SECOND_US +
                                                    status.st_mtim.tv_nsec / 1000};
        wire_set_bytes(one->path, span_of(path));
    }
    closedir(folder);
    beside_sort_listed();
}

static bool serve_request(void) {
    struct request request;
    if (!beside_next_request(&request))
        return false;
    if (request.is_list) {
        list_files();
        journal_listed(w.journal, beside.listed, beside.listed_count);
        return true;
    }
    char path[PATH_MAX];
    struct stat status = {0};
    assert_true(request.sibling > 0 && request.sibling <= beside.listed_count);
    snprintf(path, sizeof(path), "%.*s",
             SPAN_FORMAT(wire_bytes(beside.listed[request.sibling - 1].path)));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        assert_int_equal(fstat(fd, &status), 0);
    struct wire_opened opened = {.sibling = request.sibling, .ticket = request.ticket,
                                 .error = fd < 0 ? ENOENT : 0, .device = status.st_dev,
                                 .inode = status.st_ino};
    journal_opened(w.journal, &opened, fd);
    return true;
}

static bool hear_news(void) {
    if (!w.has_news)
        return false;
    w.has_news = false;
    journal_files_changed(w.journal);
    return true;
}

/* ---- the sensor's side and the decider ---- */

static void tell_lines_call(void *context, struct span lines, uint64_t start) {
    (void)context;
    assert_true(lines.length > 0 && lines.at[lines.length - 1] == '\n');
    while (lines.length > 0) {
        const char *newline = memchr(lines.at, '\n', lines.length);
        size_t taken = (size_t)(newline - lines.at) + 1;
        char text[128];
        unsigned number = UINT_MAX;
        snprintf(text, sizeof(text), "%.*s", (int)(taken < 120 ? taken : 120), lines.at);
        const char *message = strstr(text, ": ");
        if (!message || sscanf(message, ": %u of ours", &number) != 1 || number >= w.count)
            failed(text, number);
        beside_note_start(start);
        start += taken;
        assert_true(w.frame_count < ELEMENTS_OF(w.frame));
        w.frame_ends[w.frame_count] = start;
        w.frame[w.frame_count++] = number;
        lines = span_skip(lines, taken);
    }
}

/* Frames end at any line of the turn. */
static void tell_frame(uint32_t from, uint32_t until, uint64_t last) {
    for (uint32_t i = from; i < until; i++)
        if (w.frame_ends[i] > beside.position.done)
            w.told[w.told_count++] = w.frame[i];
    if (last <= beside.position.done)
        return;
    uint64_t resume = last;
    for (uint32_t i = 0; chance(2) && i < beside.start_count; i++)
        if (beside.starts[i] <= last && chance(3) == 0)
            resume = beside.starts[i];
    beside.position.done = last;
    beside.position.resume = resume;
    struct span done_in = journal_source_identity_at(w.journal, last);
    assert_true(done_in.length > 0 && done_in.length <= 256);
    assert_int_equal(place_from(done_in).ordinal, last);
    wire_set_bytes(beside.position.done_identity, done_in);
    wire_set_bytes(beside.position.resume_identity, journal_source_identity_at(w.journal, resume));
}

static void tell_turn_call(void *context) {
    (void)context;
    beside.lost += journal_source_take_lost(w.journal);
    uint32_t cut = w.frame_count ? chance(w.frame_count) : 0;
    if (cut)
        tell_frame(0, cut, w.frame_ends[cut - 1]);
    tell_frame(cut, w.frame_count, journal_source_done(w.journal));
    w.frame_count = 0;
}

static const struct source_calls calls = {beside_ask_open, beside_ask_list,
                                          beside_tell_sight, tell_lines_call, tell_turn_call};

static void commit(void) {
    w.committed_count = w.told_count;
    if (beside_commit())
        journal_sighted(w.journal);
    else if (beside.position.is_known)
        journal_source_committed(w.journal, beside.position.resume);
}

static void start_sensor(void) {
    w.journal = journal_source_new(SPAN(NAME), &calls, NULL);
    beside_restart();
    w.told_count = w.committed_count;
    w.frame_count = 0;
    w.has_news = false;
    journal_source_start(w.journal, &beside.position);
}

static void restart(void) {
    note("RESTART ");
    w.journal = journal_source_free(w.journal);
    start_sensor();
}

static void settle(void) {
    for (uint32_t quiet = 0, steps = 0; quiet < 3; steps++) {
        assert_true(steps < 100000);
        bool more = hear_news();
        more = serve_request() || more;
        if (beside.sight_is_due) {
            commit();
            more = true;
        }
        more = journal_source_turn(w.journal) || more;
        quiet = more ? 0 : quiet + 1;
    }
    note("settled ");
}

static void begin_world(void) {
    memset(&w, 0, sizeof(w));
    assert_int_equal(scratch_make(NULL), 0);
    w.boot = 1;
    w.monotonic_us = 1000;
    w.realtime_us = clock_now_us() - HOUR_US / 2;
    beside_begin();
    start_writer();
}

static void end_world(void) {
    w.journal = journal_source_free(w.journal);
    stop_writer();
    (void)scratch_remove(NULL);
}

/* The promise. */
static void check_promise(void) {
    bool some_unread = false;
    uint32_t at = 0;
    for (uint32_t i = 1; i < w.told_count; i++)
        if (w.told[i - 1] >= w.told[i])
            failed("told twice or out of order", w.told[i]);
    for (uint32_t i = 0; i < w.count; i++) {
        bool is_told = at < w.told_count && w.told[at] == i;
        if (!is_told && !w.is_gone[i])
            failed("never told", i);
        some_unread = some_unread || !is_told;
        at += is_told;
    }
    if (some_unread && beside.lost == 0)
        failed("deleted unread and not counted", 0);
}

static void random_deed(void) {
    switch (chance(24)) {
    case 0:
        rotate(chance(4) == 0);
        break;
    case 1:
        if (chance(2))
            vacuum();
        break;
    case 2:
    case 3:
        write_entries(1 + chance(40), false);
        break;
    case 4:
    case 5:
    case 6:
        write_entries(1 + chance(chance(6) ? 8 : 200), true);
        break;
    case 7:
    case 8:
        restart();
        break;
    case 9:
        settle();
        break;
    case 10:
    case 11:
    case 12:
        commit();
        break;
    case 13:
    case 14:
        (void)hear_news();
        break;
    case 15:
    case 16:
    case 17:
    case 18:
        (void)serve_request();
        break;
    default:
        (void)journal_source_turn(w.journal);
        break;
    }
}

static void play(uint64_t number) {
    uint32_t deeds = 20 + (uint32_t)(number % 120);
    chance_begin(number * UINT64_C(0x9e3779b97f4a7c15) + 1);
    begin_world();
    note("seed %llu: ", (unsigned long long)number);
    write_entries(1, false); /* a journal is never empty */
    start_sensor();
    if (chance(2))
        write_entries(chance(20), true);
    settle();
    commit();
    /* What the first sight counted is there. */
    assert_true(beside.position.done == beside.position.mark);
    for (uint32_t i = 0; i < deeds; i++)
        random_deed();
    write_entries(2, true);
    settle();
    check_promise();
    commit();
    restart();
    settle();
    check_promise();
    end_world();
}

static bool is_missing(void) {
    if (access(REMOTE, X_OK) == 0)
        return false;
    print_message("# SKIP needs %s (package systemd-journal-remote)\n", REMOTE);
    return true;
}

static void entries_are_told_once_whatever_happens(void **state) {
    (void)state;
    if (is_missing())
        skip();
    play_all(40, play);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_told_once_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
