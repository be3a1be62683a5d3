/* What the probes make of sshd's Match blocks and of sudoers with what they include.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/sshd_match.c"
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_tell_users_apart_or_not),
        cmocka_unit_test(more_patterns_than_bits_make_it_unclear),
        cmocka_unit_test(users_of_one_kind_are_alike),
    };
    int failed = cmocka_run_group_tests(tests, scratch_make, scratch_remove);
    text_free(&said);
    return failed;
}
