/* A log file followed through everything that happens to log files: random deeds in a world of them
 * (file_world.h), and a sensor that forgets at every restart, as kill -9 would make it.
 *
 * The promise: every complete line that still exists somewhere is told exactly once and in order,
 * and of what is gone the bytes that were known are counted. test_sources_cases.c has the cases
 * that chance seldom finds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chance.h"
#include "file_world.h"

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

static void play(uint64_t number) {
    uint32_t deeds = 20 + (uint32_t)(number % 160);
    chance_begin(number * UINT64_C(0x9e3779b97f4a7c15) + 1);
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
    play_all(1500, play);
    forget_all();
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_told_once_whatever_happens),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
