/* What the probes make of apt's lists on the disk and of debsecan's notes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/known_holes.c"
#include "probe/probe_packages.c"
#include "scratch.h"

static void lists_are_told_from_what_lies_beside_them(void **state) {
    static const struct {
        const char *path;
        int is_compressed; /* -1: no list */
    } cases[] = {
        {"/l/deb_dists_x_main_binary-amd64_Packages", 0},
        {"/l/deb_dists_x_main_binary-amd64_Packages.gz", 1},
        {"/l/deb_dists_x_main_binary-amd64_Packages.lz4", 1},
        {"/l/deb_dists_x_main_binary-amd64_Packages.zst", 1},
        {"/l/deb_dists_x_main_binary-amd64_Packages.diff_Index", -1},
        {"/l/deb_dists_x_main_binary-amd64_Packages.FAILED", -1},
        {"/l/_Packages_of.gz", -1},
        {"/l/P", -1},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        bool is_compressed = false;
        bool is_one = is_list(cases[i].path, &is_compressed);
        if (is_one != (cases[i].is_compressed >= 0) ||
            (is_one && is_compressed != (cases[i].is_compressed == 1)))
            fail_msg("%s", cases[i].path);
    }
}

/* There is no apt-helper here: what it should have unpacked is unread, not without updates. */
static void what_cannot_be_unpacked_is_told(void **state) {
    struct packages packages = {.pending = {NULL, "pending_security", 0},
                                .foreign = {NULL, "foreign", 0}};
    char release[300];
    (void)state;
    text_clear(&said);
    write_file("lists/security_InRelease",
               "Origin: Debian\nLabel: Debian-Security\nCodename: trixie-security\n");
    write_file("lists/security_main_binary-amd64_Packages.xz", "x");
    snprintf(release, sizeof(release), "%s/lists/security_InRelease", scratch_folder);
    take_release(&packages, release);
    assert_int_equal(packages.security_lists, 0);
    assert_string_equal(packages.unread[0],
                        "security_main_binary-amd64_Packages.xz: No such file or directory");
    assert_string_equal(packages.unread[1], "");
}

static void say_written(const char *head, int64_t days_ago, const char *rest) {
    static struct package packages[] = {
        {{"dovecot-core", 12}, {"amd64", 5}, {"1", 1}},
        {{"openssl", 7}, {"amd64", 5}, {"1", 1}},
    };
    const struct installed installed = {.at = packages, .count = ELEMENTS_OF(packages)};
    cleanup_text struct text text = {0};
    char path[300];
    text_clear(&said);
    text_add_format(&text, "%s\n%lld\n%s", head,
                    (long long)(clock_now_us() / SECOND_US - days_ago * 86400), rest);
    write_file("history", text.at);
    snprintf(path, sizeof(path), "%s/history", scratch_folder);
    known_holes_say(NULL, &installed, path);
}

static void holes_are_told_by_package(void **state) {
    static const struct {
        const char *head;
        int64_t days_ago;
        const char *rest, *said;
    } cases[] = {
        {"VERSION 1", 0, "", "known_hole\t\tnone\n"},
        {"VERSION 1", 0, "CVE-1,openssl,F\nCVE-2,gone, \n", "known_hole\t\tnone\n"},
        {"VERSION 1", 0, "CVE-1,openssl, \nCVE-2,dovecot-core, \nTEMP-3,openssl, \nx\n,,\n",
         "known_hole\tdovecot-core\tCVE-2\nknown_hole\topenssl\tCVE-1, TEMP-3\n"},
        {"VERSION 1", 0, "1,openssl, \n2,openssl, \n3,openssl, \n4,openssl, \n5,openssl, \n"
                         "6,openssl, \n7,openssl, \n",
         "known_hole\topenssl\t1, 2, 3, 4, 5 and 2 more\n"},
        {"VERSION 1", 8, "CVE-1,openssl, \n", "known_hole\t\tNOT\n"},
        {"VERSION 2", 0, "CVE-1,openssl, \n", "known_hole\t\tNOT\n"},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        say_written(cases[i].head, cases[i].days_ago, cases[i].rest);
        assert_string_equal(said.at, cases[i].said);
    }
    text_clear(&said);
    known_holes_say(NULL, NULL, "/nowhere/history");
    assert_int_equal(said.length, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_told_from_what_lies_beside_them),
        cmocka_unit_test(what_cannot_be_unpacked_is_told),
        cmocka_unit_test(holes_are_told_by_package),
    };
    int failed = cmocka_run_group_tests(tests, scratch_make, scratch_remove);
    text_free(&said);
    return failed;
}
