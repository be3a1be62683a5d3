/* Where the probe of the machine's upkeep sees a backup: in lines of cron, units, and the scripts
 * that they start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"
#include "scratch.h"

#include "probe/probe_upkeep.c"

static bool is_seen(const char *text) {
    struct upkeep upkeep = {0};
    bool is_it = names_backup(&upkeep, span_of(text), "here", 0);
    assert_int_equal(upkeep.backup_count, is_it);
    text_free(&upkeep.backups);
    return is_it;
}

static void what_makes_a_backup_is_known_by_its_name(void **state) {
    static const struct {
        const char *text;
        bool is_it;
    } cases[] = {
        {"3 3 * * * root restic backup /srv", true},
        {"ExecStart=/usr/bin/borg create ::{now} /srv", true},
        {"# 3 3 * * * root restic backup /srv", false},
        {"3 3 * * * root /usr/local/sbin/restic-mail", true},
        {"3 3 * * * root cyborgs", false},
        {"0 1 * * * root rsync -a --delete /srv/mail/ backup@vault.example.org:mail/", true},
        {"0 1 * * * root rsync -a /srv/mail/ rsync://vault.example.org/mail/", true},
        {"0 1 * * * root rsync -a /srv/mail/ /mnt/mail/", false},
        {"0 1 * * * root rsync -e 'ssh -p 2222' /srv/a:b /mnt", false},
        {"rsync", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        if (is_seen(cases[i].text) != cases[i].is_it)
            fail_msg("%s", cases[i].text);
}

static void scripts_that_are_started_are_read(void **state) {
    char line[200];
    (void)state;
    write_file("inner", "#!/bin/sh\nexec restic backup /srv\n");
    snprintf(line, sizeof(line), "#!/bin/sh\n%s/inner && echo done\n", scratch_folder);
    write_file("outer", line);
    snprintf(line, sizeof(line), "#!/bin/sh\n%s/loop\n", scratch_folder);
    write_file("loop", line);
    write_file("program", "\177ELF restic");
    snprintf(line, sizeof(line), "ExecStart=-%s/inner --all", scratch_folder);
    assert_true(is_seen(line));
    snprintf(line, sizeof(line), "3 3 * * * root \"%s/outer\" >/dev/null 2>&1", scratch_folder);
    assert_true(is_seen(line));
    snprintf(line, sizeof(line), "3 3 * * * root (%s/inner)", scratch_folder);
    assert_true(is_seen(line));
    snprintf(line, sizeof(line), "3 3 * * * root %s/loop", scratch_folder);
    assert_false(is_seen(line));
    snprintf(line, sizeof(line), "3 3 * * * root %s/program", scratch_folder);
    assert_false(is_seen(line));
    snprintf(line, sizeof(line), "3 3 * * * root %s/none", scratch_folder);
    assert_false(is_seen(line));
    assert_false(is_seen("3 3 * * * root /etc/"));
}

/* Each names itself a thousand times: two deep that would be a billion. */
static void tables_that_name_too_much_are_left(void **state) {
    cleanup_text struct text table = {0};
    char path[300];
    struct upkeep upkeep = {0};
    (void)state;
    snprintf(path, sizeof(path), "%s/many", scratch_folder);
    text_add_string(&table, "#!/bin/sh\n");
    for (int i = 0; i < 1000; i++)
        text_add_format(&table, "%s\n", path);
    write_file("many", table.at);
    assert_false(names_backup(&upkeep, text_span(&table), "table", 0));
    assert_in_range(upkeep.effort, EFFORT_MOST, 2 * EFFORT_MOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_a_backup_is_known_by_its_name),
        cmocka_unit_test(scripts_that_are_started_are_read),
        cmocka_unit_test(tables_that_name_too_much_are_left),
    };
    int failed = cmocka_run_group_tests_name("probe_upkeep", tests, scratch_make, scratch_remove);
    text_free(&said);
    return failed;
}
