/* Where the walk over files goes, where it does not, and that it tells what it left out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "probe/walk.h"
#include "scratch.h"

static struct text seen;

static void note_entry(void *context, const struct walk_entry *entry) {
    (void)context;
    const char *path = entry->path + strlen(scratch_folder);
    text_add_format(&seen, "%s\n", path);
    if (!entry->is_open)
        text_add_format(&seen, "%s is closed\n", path);
}

static bool saw(const char *line) {
    return seen.length > 0 && memmem(seen.at, seen.length, line, strlen(line));
}

static void place(const char *name, char into[300]) {
    snprintf(into, 300, "%s/%s", scratch_folder, name);
}

static void walk_it(struct walk *walk) {
    const char *const roots[] = {scratch_folder};
    text_clear(&seen);
    walk->each = note_entry;
    walk->until_us = walk->until_us ? walk->until_us : clock_monotonic_us() + 60 * SECOND_US;
    walk->most = walk->most ? walk->most : 100000;
    assert_int_equal(chmod(scratch_folder, 0755), 0);
    walk_roots(walk, roots, 1);
}

static void links_are_not_followed(void **state) {
    char path[300];
    struct walk walk = {0};
    (void)state;
    write_file("links/inner/file", "x");
    place("links/loop", path);
    assert_int_equal(symlink("..", path), 0);
    walk_it(&walk);
    assert_true(saw("/links/inner/file\n"));
    assert_true(saw("/links/loop\n"));
    assert_false(saw("/links/loop/"));
    assert_string_equal(walk.cut, "");
}

static void mails_and_stores_are_gone_past(void **state) {
    char own[300];
    const char *more[] = {own, NULL};
    struct walk walk = {.past = more};
    (void)state;
    place("given", own);
    write_file("given/file", "x");
    write_file("box/cur/1.a:2,S", "x");
    write_file("box/new/2.a", "x");
    write_file("box/tmp/3.a", "x");
    write_file("box/.Sent/cur/4.a", "x");
    write_file("half/cur/5.a", "x"); /* no Maildir */
    write_file("var/lib/docker/overlay2/su", "x");
    write_file("anna/.local/share/containers/su", "x");
    write_file("sdbox/mailboxes/INBOX/dbox-Mails/u.1", "x");
    walk_it(&walk);
    assert_false(saw("/box/cur") || saw("/box/new") || saw("/box/tmp"));
    assert_true(saw("/box/.Sent/cur/4.a\n")); /* alone it is none */
    assert_true(saw("/half/cur/5.a\n"));
    assert_true(saw("/var/lib/docker\n"));
    assert_false(saw("overlay2") || saw("containers/su") || saw("u.1") || saw("given/file"));
}

/* Somebody but root who puts that file there hides nothing. */
static void whole_systems_of_root_are_gone_past(void **state) {
    struct walk walk = {0};
    char path[300];
    (void)state;
    write_file("chroot/etc/os-release", "ID=debian\n");
    write_file("chroot/usr/bin/su", "x");
    walk_it(&walk);
    assert_int_equal(saw("/chroot/usr/bin/su\n"), geteuid() != 0);
    place("chroot", path);
    assert_int_equal(chmod(path, 0777), 0);
    walk_it(&walk);
    assert_true(saw("/chroot/usr/bin/su\n"));
    if (geteuid() == 0) {
        assert_int_equal(chmod(path, 0755), 0);
        assert_int_equal(chown(path, 1000, 1000), 0);
        walk_it(&walk);
        assert_true(saw("/chroot/usr/bin/su\n"));
    }
}

static void what_is_behind_a_closed_folder_is_known(void **state) {
    struct walk walk = {0};
    char path[300];
    (void)state;
    write_file("private/deep/file", "x");
    place("private", path);
    assert_int_equal(chmod(path, 0700), 0);
    walk_it(&walk);
    assert_true(saw("/private\n") && !saw("/private is closed\n"));
    assert_true(saw("/private/deep is closed\n"));
    assert_true(saw("/private/deep/file is closed\n"));
}

static void what_it_did_not_come_to_is_told(void **state) {
    struct walk few = {.most = 3};
    struct walk late = {.until_us = 1};
    struct walk deep = {0};
    char name[600] = "";
    (void)state;
    for (int i = 0; i < 300; i++) {
        char file[40];
        snprintf(file, sizeof(file), "many/%d", i);
        write_file(file, "x");
    }
    walk_it(&few);
    assert_int_equal(few.entries, 3);
    assert_non_null(strstr(few.cut, "gave up after 3 files, at "));
    walk_it(&late);
    assert_true(late.entries < 600);
    assert_non_null(strstr(late.cut, "ran out of time after "));
    for (size_t i = 0; i < 110; i++)
        memcpy(name + 2 * i, "d/", 3);
    memcpy(name + 220, "file", 5);
    write_file(name, "x");
    walk_it(&deep);
    assert_non_null(strstr(deep.cut, "went no deeper after "));
    assert_true(saw("/many/299\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(mails_and_stores_are_gone_past),
        cmocka_unit_test(whole_systems_of_root_are_gone_past),
        cmocka_unit_test(what_is_behind_a_closed_folder_is_known),
        cmocka_unit_test(what_it_did_not_come_to_is_told),
    };
    int failed = cmocka_run_group_tests(tests, scratch_make, scratch_remove);
    text_free(&seen);
    return failed;
}
