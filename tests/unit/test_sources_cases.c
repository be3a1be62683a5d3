/* A log file followed, one case after the other: what chance seldom finds (test_sources.c), and
 * what once went wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "chance.h"
#include "file_world.h"

static void begin_with(uint32_t lines) {
    chance_begin(7);
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
                /* a session from the first line on */
                beside.position.resume = beside.committed.resume = 0;
            uint64_t cut = cut_to(kept[i]);
            if (restarts)
                restart();
            settle();
            append(5, false);
            settle();
            assert_int_equal(beside.lost, cut);
            assert_true(beside.position.resume <= beside.position.done);
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
        assert_int_equal(beside.lost, 0); /* all of it had been read */
        end_told(13);
    }
}

static void unread_bytes_of_a_deleted_file_are_counted(void **state) {
    (void)state;
    char path[PATH_MAX];
    begin_with(10);
    commit();
    uint64_t done = beside.position.done;
    append(3, false);
    settle();
    uint64_t known = beside.position.done;
    assert_int_equal(unlink(slot_path(0, NULL, path)), 0);
    close(w.writer);
    w.writer = -1;
    restart(); /* before the three lines were committed */
    open_new_file();
    append(2, false);
    settle();
    /* The committed position knew nothing of the three yet. */
    assert_true(beside.lost <= known - done);
    end_told(12);
}

static void a_file_made_while_the_answer_is_under_way_is_found(void **state) {
    (void)state;
    for (int first_sight = 0; first_sight < 2; first_sight++) {
        chance_begin(7);
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
    snprintf(half, sizeof(half), "%s/app.log.1.gz", scratch_folder);
    write_compressed(from, half, 0);
    assert_int_equal(stat(half, &status), 0);
    assert_int_equal(truncate(half, status.st_size * 9 / 10), 0);
    touch(half);
    w.half_made = true;
    restart();
    settle();
    assert_int_equal(beside.lost, 0);
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
    snprintf(path, sizeof(path), "%s/app.log.custom", scratch_folder);
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
    struct wire_position first = beside.committed;
    cut_to(0);
    settle();
    append(5, false);
    settle();
    commit();
    beside.committed.resume = first.done / 2; /* before this file's first byte */
    restart();
    settle();
    append(2, false);
    settle();
    assert_int_equal(beside.lost, 0);
    end_told(17);
}

static void where_done_was_is_gone_and_the_next_is_read_whole(void **state) {
    (void)state;
    char path[PATH_MAX];
    begin_with(10);
    commit();
    struct wire_position old = beside.committed;
    rotate(true, false);
    append(8, false);
    settle();
    commit();
    /* A session began in the first file, `done` is in the second. */
    beside.committed.resume = old.done;
    wire_set_bytes(beside.committed.resume_identity, wire_bytes(old.done_identity));
    assert_int_equal(unlink(slot_path(0, NULL, path)), 0);
    close(w.writer);
    open_new_file();
    append(12, false);
    restart();
    settle();
    end_told(30);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
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
