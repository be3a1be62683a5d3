/* What happens to a store when the disk hangs, is full, is damaged, or the process is killed
 * between two bytes. faulty_disk.h makes the faults; a tmpfs of one megabyte makes them for real.
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
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "chance.h"
#include "stored.h"

/* ---- a disk that hangs ---- */

static void a_hanging_disk_delays_nobody(void **state) {
    (void)state;
    struct store *store = open_store();
    struct outcome verdict = {0};
    struct asked asked = {0};
    set_gate(true, 0);
    assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
    while (!is_waited_at_the_gate())
        sched_yield();
    /* The thread stands still; every call of the main thread returns all the same. */
    assert_true(store_is_busy(store));
    struct store_batch *second = store_batch_new();
    assert_int_equal(store_commit(store, second, committed, &verdict), -EBUSY);
    store_batch_free(second);
    struct prefix prefix = prefix_from("203.0.113.9");
    int accepted = 0;
    while (accepted < 1000 && store_why(store, &prefix, SPAN(""), 1, take_answer, &asked) == 0)
        accepted++;
    assert_true(accepted > 0 && accepted < 100); /* and the queue is bounded */
    store_finished(store);
    assert_int_equal(verdict.calls, 0);
    set_gate(false, 0);
    wait_for_call(store, &verdict, 1);
    assert_int_equal(verdict.error, 0);
    assert_false(store_is_busy(store));
    store_close(store);
    store = open_store();
    load(store);
    assert_int_equal(loaded.ban_count, 1);
    store_close(store);
}

/* ---- a disk that is full ---- */

static void a_refusing_disk_is_told_and_tried_again(void **state) {
    (void)state;
    static const struct {
        int fails_with, error;
    } cases[] = {{SQLITE_FULL, -ENOSPC}, {SQLITE_IOERR_WRITE, -EIO}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct store *store = open_store();
        struct outcome verdict = {0};
        set_gate(false, cases[i].fails_with);
        assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
        wait_for_call(store, &verdict, 2); /* told each time */
        assert_int_equal(verdict.error, cases[i].error);
        assert_true(verdict.what[0] != '\0');
        assert_true(store_is_busy(store));
        set_gate(false, 0);
        while (verdict.error != 0)
            wait_for_call(store, &verdict, verdict.calls + 1);
        assert_false(store_is_busy(store));
        commit_and_wait(store, batch_of_everything());
        store_close(store);
        assert_int_equal(count_rows("history"), 2 * ((int)i + 1)); /* neither lost nor doubled */
        assert_int_equal(count_rows("ban"), 1);
    }
}

static void closing_with_a_full_disk_does_not_hang(void **state) {
    (void)state;
    struct store *store = open_store();
    struct outcome verdict = {0};
    set_gate(false, SQLITE_FULL);
    assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
    wait_for_call(store, &verdict, 1);
    store_close(store);
    set_gate(false, 0);
    store = open_store();
    load(store);
    assert_int_equal(loaded.position_count + loaded.ban_count, 0); /* all or nothing */
    store_close(store);
}

static struct store_batch *batch_of_evidence(uint32_t number) {
    struct store_batch *batch = store_batch_new();
    struct row_position *position = rows_add(&batch->positions);
    memcpy(position->source, "/a", 3);
    position->position.done = number;
    for (uint32_t i = 0; i < 200; i++) {
        struct row_evidence *row = rows_add(&batch->evidence);
        memcpy(row->source, "/a", 3);
        row->jail = "sshd";
        row->ordinal = (uint64_t)number * 1000 + i;
        memset(row->text, 'x', sizeof(row->text) - 1);
    }
    struct row_history *history = rows_add(&batch->history);
    *history = (struct row_history){.kind = "note", .jail = "", .id = prefix_from("203.0.113.9")};
    return batch;
}

/* In a child, for its mount namespace. Exit status 0: as promised; 77: no right to mount. */
static int live_on_a_small_disk(void) {
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("small", scratch_folder, "tmpfs", 0, "size=1m") < 0)
        return errno == EPERM ? 77 : 1;
    struct store *store = open_store();
    uint32_t number = 0;
    struct outcome verdict = {0};
    while (verdict.error == 0 && number < 200) {
        int calls = verdict.calls;
        if (store_commit(store, batch_of_evidence(++number), committed, &verdict) < 0)
            return 2;
        wait_for_call(store, &verdict, calls + 1);
    }
    if (verdict.error != -ENOSPC || number < 2)
        return 3;
    if (mount("small", scratch_folder, "tmpfs", MS_REMOUNT, "size=16m") < 0)
        return 4;
    while (verdict.error != 0)
        wait_for_call(store, &verdict, verdict.calls + 1);
    store_close(store);
    if (count_rows("history") != number || count_rows("evidence") != 200 * (int64_t)number)
        return 5;
    store = open_store();
    load(store);
    int result = loaded.positions[0].position.done == number ? 0 : 6;
    store_close(store);
    return result;
}

static int status_of(pid_t child) {
    int status = 0;
    must(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_really_full_disk(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(live_on_a_small_disk());
    int status = status_of(child);
    if (status == 77) {
        print_message("# a disk of one megabyte needs CAP_SYS_ADMIN for its own mount namespace\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* ---- damage ---- */

static void overwrite(const char *name, off_t offset, size_t length) {
    char path[128];
    char junk[4096];
    snprintf(path, sizeof(path), "%s/%s", scratch_folder, name);
    memset(junk, 'z', sizeof(junk));
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t done = 0; done < length; done += sizeof(junk))
        assert_int_equal(pwrite(fd, junk, sizeof(junk), offset + (off_t)done), sizeof(junk));
}

static int count_set_aside(void) {
    int count = 0;
    DIR *open_folder = opendir(scratch_folder);
    for (struct dirent *entry; open_folder && (entry = readdir(open_folder));)
        count += strstr(entry->d_name, "hauberk.db.damaged-") == entry->d_name;
    closedir(open_folder);
    return count;
}

static void a_file_that_is_no_database_is_set_aside(void **state) {
    (void)state;
    struct store *store = NULL;
    struct why why = {0};
    bool was_damaged = false;
    overwrite("hauberk.db", 0, 8192);
    assert_int_equal(store_open(scratch_folder, &store, &was_damaged, &why), 0);
    assert_true(was_damaged);
    assert_true(count_set_aside() >= 1);
    load(store);
    commit_and_wait(store, batch_of_everything());
    store_close(store);
    store = open_store();
    load(store);
    assert_int_equal(loaded.ban_count, 1);
    store_close(store);
}

static void a_damaged_page_is_found_at_the_start(void **state) {
    (void)state;
    struct store *store = open_store();
    for (uint32_t i = 1; i < 20; i++)
        commit_and_wait(store, batch_of_evidence(i));
    commit_and_wait(store, batch_of_everything());
    store_close(store);
    overwrite("hauberk.db", 4096, 16 * 4096); /* the small tables, which are all read */
    bool was_damaged = false;
    struct why why = {0};
    int error = store_open(scratch_folder, &store, &was_damaged, &why);
    if (error == 0 && !was_damaged) {
        error = load_all(store, &why);
        assert_int_equal(error, -EBADMSG);
        store_close(store);
        store = open_store(); /* the next start */
    }
    assert_true(count_set_aside() >= 1);
    load(store);
    assert_int_equal(loaded.position_count, 0);
    commit_and_wait(store, batch_of_everything());
    store_close(store);
}

static void a_newer_schema_is_left_alone(void **state) {
    (void)state;
    char path[128];
    sqlite3 *db = NULL;
    struct store *store = NULL;
    struct why why = {0};
    bool was_damaged = false;
    snprintf(path, sizeof(path), "%s/hauberk.db", scratch_folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_true(store_open(scratch_folder, &store, &was_damaged, &why) < 0);
    assert_non_null(strstr(why.text, "newer"));
    assert_int_equal(count_set_aside(), 0);
}

/* ---- killed ---- */

/* Commits as fast as it can: position, counter and history tell the same number. */
static void commit_for_ever(int tell) {
    struct store *store = open_store();
    load(store);
    uint32_t number = loaded.counter_count ? loaded.counters[0].counter.failures : 0;
    for (;;) {
        struct store_batch *batch = batch_of_evidence(++number);
        *rows_add(&batch->counters) = (struct row_counter){
            .jail = "sshd",
            .counter = {.key = {prefix_from("203.0.113.9"), 0, 0}, .failures = number}};
        struct outcome verdict = {0};
        must(store_commit(store, batch, committed, &verdict) == 0);
        while (!verdict.calls) {
            struct pollfd one = {.fd = store_fd(store), .events = POLLIN};
            (void)poll(&one, 1, PATIENCE_MS);
            store_finished(store);
        }
        if (write(tell, &number, sizeof(number)) != sizeof(number))
            _exit(0);
    }
}

static void a_kill_leaves_both_or_neither(void **state) {
    (void)state;
    uint32_t told = 0;
    for (int round = 0; round < 25; round++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            commit_for_ever(ends[1]);
        }
        close(ends[1]);
        /* Anywhere in a commit: how long one takes is measured first. */
        int64_t cycle_us = 0;
        for (uint32_t i = 0; i < 3; i++) {
            int64_t from_us = clock_monotonic_us();
            assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
            cycle_us = clock_monotonic_us() - from_us;
        }
        int64_t kill_us = clock_monotonic_us() + chance((uint32_t)cycle_us * 3 / 2 + 1);
        while (clock_monotonic_us() < kill_us)
            ;
        assert_int_equal(kill(child, SIGKILL), 0);
        (void)status_of(child);
        while (read(ends[0], &told, sizeof(told)) == sizeof(told))
            ; /* what was said to be durable before the end */
        close(ends[0]);
        struct store *store = open_store();
        load(store);
        store_close(store);
        uint32_t number = loaded.counters[0].counter.failures;
        assert_int_equal(loaded.positions[0].position.done, number);
        assert_int_equal(count_rows("history"), number);
        assert_int_equal(count_rows("evidence"), 200 * (int64_t)number);
        assert_true(number >= told && number <= told + 1);
    }
}

static void what_is_queued_is_finished_at_the_end(void **state) {
    (void)state;
    struct store *store = open_store();
    struct outcome verdict = {0};
    assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
    store_close(store);
    assert_int_equal(count_rows("ban"), 1);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(a_hanging_disk_delays_nobody),
        TEST(a_refusing_disk_is_told_and_tried_again),
        TEST(closing_with_a_full_disk_does_not_hang),
        TEST(a_really_full_disk),
        TEST(a_file_that_is_no_database_is_set_aside),
        TEST(a_damaged_page_is_found_at_the_start),
        TEST(a_newer_schema_is_left_alone),
        TEST(a_kill_leaves_both_or_neither),
        TEST(what_is_queued_is_finished_at_the_end),
    };
    hash_open();
    make_disk();
    alarm(120); /* a test that hangs is a failed one */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
