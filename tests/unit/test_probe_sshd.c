/* What the probes make of sshd's Match blocks and of sudoers with what they include.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/probe_sudo.c"
#include "probe/sshd_match.h"
#include "scratch.h"

static void read_written(const char *text, struct sshd_match *match) {
    char path[300];
    write_file("sshd/sshd_config", text);
    snprintf(path, sizeof(path), "%s/sshd/sshd_config", scratch_folder);
    sshd_match_read(path, match);
}

static void blocks_tell_users_apart_or_not(void **state) {
    static const struct {
        const char *text;
        bool is_there, asks_user, is_unclear;
        size_t patterns;
    } cases[] = {
        {"PermitRootLogin no\n# Match User x\n", false, false, false, 0},
        {"Match Address 10.0.0.0/8,192.168.0.0/16\nX11Forwarding yes\n", true, false, false, 0},
        {"match all\n", true, false, false, 0},
        {"Match LocalPort 2222 User anna,!bert,c*\n", true, true, false, 3},
        {"Match User=anna # comment\n", true, true, false, 1},
        {"Match Group \"staff,wheel\"\nMatch User \"anna\"\n", true, true, false, 3},
        {"Match Invalid-User yes\n", true, true, true, 0},
        {"Include more/*.conf\n", true, true, false, 1},
        {"Include \"more/own.conf\" nowhere\n", true, true, false, 1},
        {"Include sshd_config\nMatch User x\n", true, true, true, 17}, /* itself, again and again */
    };
    (void)state;
    write_file("sshd/more/own.conf", "Match User include*\nPermitTTY no\n");
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct sshd_match match;
        read_written(cases[i].text, &match);
        if (match.is_there != cases[i].is_there || match.asks_user != cases[i].asks_user ||
            match.is_unclear != cases[i].is_unclear || match.pattern_count != cases[i].patterns)
            fail_msg("%s: %zu", cases[i].text, match.pattern_count);
        sshd_match_free(&match);
    }
}

static void more_patterns_than_bits_make_it_unclear(void **state) {
    cleanup_text struct text text = {0};
    struct sshd_match match;
    (void)state;
    text_add_string(&text, "Match User ");
    for (int i = 0; i < 70; i++)
        text_add_format(&text, "u%d,", i);
    read_written(text.at, &match);
    assert_true(match.is_unclear);
    assert_int_equal(match.pattern_count, SSHD_PATTERNS_MOST);
    sshd_match_free(&match);
}

static void users_of_one_kind_are_alike(void **state) {
    struct sshd_match match;
    (void)state;
    read_written("Match User *,!anna\nX11Forwarding yes\nMatch Group root\nPermitTTY no\n", &match);
    assert_int_equal(sshd_match_kind(&match, "bert", 12345), 1);
    assert_int_equal(sshd_match_kind(&match, "cleo", 12345), 1);
    assert_int_equal(sshd_match_kind(&match, "anna", 12345), 3);
    assert_int_equal(sshd_match_kind(&match, "bert", 0), 5); /* group root */
    assert_string_equal(match.words.at, "x11forwarding\npermittty\n");
    sshd_match_free(&match);
}

/* ---- sudoers ---- */

static void names_of_included_files_are_read_as_sudo_does(void **state) {
    static const struct {
        const char *line, *path;
    } cases[] = {
        {"/etc/sudoers.d", "/etc/sudoers.d"},
        {"\"/etc/in clude\" # why", "/etc/in clude"},
        {"in\\ clude more", "/etc/in clude"},
        {"rel.d", "/etc/rel.d"},
        {"/etc/%h/%%h", "/etc/mail/%mail"},
        {"\"te\\\"st\"", "/etc/te\"st"},
        {"quoted\"x\"", "/etc/quoted\"x\""},
        {"b\\\\b", "/etc/b\\b"},
        {"tail\\", "/etc/tail\\"},
        {"", NULL},
        {"\"\"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char path[PATH_MAX] = "";
        bool is_one = read_name(span_of(cases[i].line), "/etc/sudoers", "mail", path);
        if (is_one != (cases[i].path != NULL) || (is_one && strcmp(path, cases[i].path) != 0))
            fail_msg("%s: %s", cases[i].line, path);
    }
}

static void who_is_asked_no_password_is_seen(void **state) {
    static const struct {
        const char *line;
        bool is_one;
    } cases[] = {
        {"anna ALL=(ALL) NOPASSWD: ALL", true},
        {"anna ALL=(ALL) NOPASSWD : NOEXEC: ALL", true},
        {"anna ALL=NOPASSWD: /bin/ls, ALL", true},
        {"#1000 ALL=NOPASSWD:ALL # why", true},
        {"anna ALL=NOPASSWD: /bin/ls, PASSWD: ALL", false},
        {"anna ALL=NOPASSWD: !ALL", false},
        {"anna ALL=NOPASSWD: /bin/ls", false},
        {"anna ALL=(ALL) ALL # NOPASSWD: ALL", false},
        {"# anna ALL=NOPASSWD: ALL", false},
        {"anna ALL=NOPASSWD", false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        if (asks_no_password(without_comment(span_of(cases[i].line))) != cases[i].is_one)
            fail_msg("%s", cases[i].line);
}

/* Itself, nothing, a folder in quotes. */
static void what_includes_itself_is_read_once(void **state) {
    char path[300];
    struct sudoers sudoers = {.no_password = {NULL, "no_password", 0}, .loose = {NULL, "loose", 0}};
    (void)state;
    text_clear(&said);
    write_file("sudo/sudoers", "@include missing\n@include sudoers\n@includedir \"a [dir].d\"\n"
                               "anna ALL=NOPASSWD: ALL\n");
    write_file("sudo/a [dir].d/one", "@include ../sudoers\nbert ALL=NOPASSWD: \\\n ALL\n");
    write_file("sudo/a [dir].d/inner/file", "dora ALL=NOPASSWD: ALL\n");
    write_file("sudo/a [dir].d/left.out", "cleo ALL=NOPASSWD: ALL\n");
    snprintf(path, sizeof(path), "%s/sudo/sudoers", scratch_folder);
    read_sudoers(&sudoers, path);
    assert_int_equal(sudoers.files, 2);
    assert_int_equal(sudoers.no_password.count, 2);
    assert_null(strstr(said.at, "NOT"));
    assert_null(strstr(said.at, "cleo"));
    assert_null(strstr(said.at, "dora"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_tell_users_apart_or_not),
        cmocka_unit_test(more_patterns_than_bits_make_it_unclear),
        cmocka_unit_test(users_of_one_kind_are_alike),
        cmocka_unit_test(names_of_included_files_are_read_as_sudo_does),
        cmocka_unit_test(who_is_asked_no_password_is_seen),
        cmocka_unit_test(what_includes_itself_is_read_once),
    };
    int failed = cmocka_run_group_tests(tests, scratch_make, scratch_remove);
    text_free(&said);
    return failed;
}
