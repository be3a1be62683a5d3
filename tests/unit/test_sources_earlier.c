/* What first sight looks back into: logs that were rotated before there was a hauberk (earlier.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/hash.h"
#include "chance.h"
#include "file_world.h"

static void end_told(uint32_t told) {
    assert_int_equal(w.told_count, told);
    end_world();
    forget_all();
}

/* Three generations: 10 lines compressed, 660 (more than one turn), and 4 that are the log. */
static void begin_with_a_past(void) {
    chance_begin(7);
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
    assert_int_equal(beside.position.done, beside.position.mark);
    append(3, false);
    settle();
    assert_true(beside.position.done > beside.position.mark);
    commit();
    restart();
    rotate(true, false);
    append(2, false);
    settle();
    check_promise();
    assert_int_equal(beside.lost, 0);
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
                if (beside.sight_is_due && deed == 1) /* killed between mark and commit, too */
                    commit();
                else if (beside.sight_is_due && i % 2)
                    commit();
            }
            if (steps % 3 || beside.sight_is_due)
                commit();
            uint64_t mark = beside.position.is_known ? beside.position.mark : 0;
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
            assert_true(!mark || beside.position.mark == mark);
            assert_true(beside.position.done > beside.position.mark || !mark);
            assert_int_equal(beside.lost, 0);
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
        assert_int_equal(beside.position.done, beside.position.mark);
        append(1, false);
        settle();
        assert_true(beside.position.done > beside.position.mark);
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
    assert_int_equal(beside.position.done, w.generations[2].size); /* ordinals begin at 0 */
    end_told(5);
}

static void a_log_that_is_away_has_a_past_too(void **state) {
    (void)state;
    begin_with_a_past();
    rotate(false, false);
    start_sensor();
    settle();
    assert_int_equal(beside.position.done, beside.position.mark);
    assert_int_equal(w.told_count, 674);
    commit();
    restart();
    open_new_file();
    append(2, false);
    settle();
    check_promise();
    assert_true(beside.position.done > beside.position.mark);
    end_told(676);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotated_logs_are_memory_and_read_oldest_first),
        cmocka_unit_test(a_look_back_that_is_killed_goes_on),
        cmocka_unit_test(a_damaged_archive_ends_alone),
        cmocka_unit_test(what_is_too_old_is_not_looked_at),
        cmocka_unit_test(a_log_that_is_away_has_a_past_too),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
