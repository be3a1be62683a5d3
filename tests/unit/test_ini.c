/* The INI dialect, by tables: what a text comes to, and what is said of a bad one. The includes
 * and `.local` files use a folder of their own under /tmp.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "config/ini.h"
#include "config/nearest.h"
#include "scratch.h"

/* --- helpers -------------------------------------------------------------------------------- */

/* The lines of an expanded value joined by "|", or the error as "LINE: text". */
static void look_up(struct ini *ini, const char *section, const char *key, char *into,
                    size_t room) {
    struct why why = {0};
    struct ini_lines lines;
    const struct ini_value *value = ini_value(ini, section, key);
    into[0] = '\0';
    if (!value) {
        snprintf(into, room, "(absent)");
        return;
    }
    if (ini_expand(ini, section, value, &lines, &why) < 0) {
        snprintf(into, room, "%d: %s", why.line, why.text);
        return;
    }
    size_t length = 0;
    for (uint32_t i = 0; i < lines.count; i++)
        length += (size_t)snprintf(into + length, room - length, "%s%s", i ? "|" : "",
                                   lines.at[i].text);
}

/* --- values --------------------------------------------------------------------------------- */

static const struct {
    const char *text, *section, *key, *wanted;
} values[] = {
    {"[a]\nx = 1\n", "a", "x", "1"},
    {"[a]\nx: 1\n", "a", "x", "1"},
    {"[a]\nx = 1", "a", "x", "1"},
    {"[a]\r\nx = 1\r\ny = 2\r\n", "a", "x", "1"},
    {"\xef\xbb\xbf[a]\nx = 1\n", "a", "x", "1"},
    {"[a]\nX.Y-z = 1\n", "a", "x.y-z", "1"},
    {"[a]\nx = a=b:c\n", "a", "x", "a=b:c"},
    {"[a]\nx : a=b\n", "a", "x", "a=b"},
    {"[a]\nx =\n", "a", "x", ""},
    {"[a]\nx=1;2\n", "a", "x", "1;2"},
    {"[a]\nx = 1 ; 2\n", "a", "x", "1"},
    {"[a]\nx = 1\t;2\n", "a", "x", "1"},
    {"[a]\nx = 1 # 2\n", "a", "x", "1 # 2"},
    {"[a] ; comment\nx = 1\n", "a", "x", "1"},
    {"# c\n ; c\n\n[a]\n# c\nx = 1\n", "a", "x", "1"},
    {"  [a]\n  x = 1\n  y = 2\n", "a", "y", "2"},
    {"[a]\nx = 1\n  2\n\t3\ny = 4\n", "a", "x", "1|2|3"},
    {"[a]\nx = 1\n # dropped\n  2\n;dropped\n  3\n", "a", "x", "1|2|3"},
    {"[a]\nx =\n  1\n  2\n", "a", "x", "|1|2"},
    {"[a]\nx = 1\n\n  2\n\n\ny = 3\n", "a", "x", "1||2"},
    {"[a]\nx = 1\n  [b]\n", "a", "x", "1|[b]"},
    {"[a]\nx = 1\n  y = 2\n", "a", "x", "1|y = 2"},
    {"[a]\n  x = 1\n y = 2\n", "a", "y", "2"},
    {"[a]\nx = 1 ; c\n  2 ; c\n", "a", "x", "1|2"},
    {"[a]\nx\xc2\xa0=\xc2\xa0" "1\xc2\xa0\n", "a", "x", "1"},
    {"[a]\nx = \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f\n", "a", "x",
     "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f"},
    /* interpolation */
    {"[a]\nx = %(y)s!\ny = 1\n", "a", "x", "1!"},
    {"[a]\nx = %(Y)s\ny = 1\n", "a", "x", "1"},
    {"[DEFAULT]\ny = 0\n[a]\nx = %(y)s\n", "a", "x", "0"},
    {"[DEFAULT]\ny = 0\n[a]\nx = %(y)s%(default/y)s\ny = 1\n", "a", "x", "10"},
    {"[a]\nx = %(b/y)s\n[b]\ny = 1\n", "a", "x", "1"},
    {"[DEFAULT]\ny = 0\n[a]\nx = %(b/y)s\n[b]\nz = 1\n", "a", "x", "0"},
    {"[a]\nx = %(b/y)s\nz = own\n[b]\ny = %(z)s\nz = other\n", "a", "x", "own"},
    {"[a]\nx = %(__name__)s\n", "a", "x", "a"},
    {"[a]\nx = 100%%\n", "a", "x", "100%"},
    {"[a]\nx = %%(y)s\n", "a", "x", "%(y)s"},
    {"[a]\nx = %(builtin)s\n", "a", "x", "from the table"},
    {"[a]\nx = %(y)s\ny = 1\n  2\n", "a", "x", "1|2"},
    {"[a]\nx = <%(y)s>\n  3\ny = 1\n  2\n", "a", "x", "<1|2>|3"},
    {"[a]\nx = %(x1)s\nx1=%(x2)s\nx2=%(x3)s\nx3=%(x4)s\nx4=%(x5)s\nx5=%(x6)s\nx6=%(x7)s\n"
     "x7=%(x8)s\nx8=%(x9)s\nx9=end\n", "a", "x", "end"},
    {"[DEFAULT]\nx = 0\n[a]\nx = %(known/x)s 1\n", "a", "x", "0 1"},
    {"[a]\nbuiltin = %(known/builtin)s, too\n", "a", "builtin", "from the table, too"},
    /* errors of interpolation */
    {"[a]\nx = 1\n  %d\n", "a", "x",
     "3: '%d' in x: a '%' begins %(name)s; write '%%' for the sign itself"},
    {"[a]\nx = %(y\n", "a", "x",
     "2: '%(y' in x: a '%' begins %(name)s; write '%%' for the sign itself"},
    {"[a]\nx = %(colour)s\ncolor = 1\n", "a", "x",
     "2: %(colour)s in x refers to nothing; did you mean 'color'?"},
    {"[a]\nx = %(b/y)s\n", "a", "x", "2: %(b/y)s in x refers to nothing"},
    {"[a]\nx = %(x)s\n", "a", "x",
     "2: %(x)s in x leads in a circle, or through too many references"},
    {"[a]\nx = %(y)s\ny = %(x)s\n", "a", "x",
     "2: %(y)s in x leads in a circle, or through too many references"},
};

static struct ini *open_on(struct keep *keep) {
    struct ini *ini = ini_open(keep, NULL, 0, NULL, NULL, NULL);
    ini_add_builtin(ini, "builtin", "from the table");
    return ini;
}

static void values_come_out(void **state) {
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(values); i++) {
        cleanup_keep struct keep keep = {0};
        struct why why = {0};
        char got[512];
        struct ini *ini = open_on(&keep);
        int error = ini_read_bytes(ini, "t", span_of(values[i].text), &why);
        if (error < 0)
            fail_msg("%s: %d: %s", values[i].text, why.line, why.text);
        look_up(ini, values[i].section, values[i].key, got, sizeof(got));
        assert_string_equal(got, values[i].wanted);
    }
}

/* --- errors --------------------------------------------------------------------------------- */

#define BYTES(literal) {(literal), sizeof(literal) - 1}

static const struct {
    struct span text;
    const char *wanted;
} errors[] = {
    {BYTES("x = 1\n"), "t:1: 'x = 1' stands before the first section; a file begins with a header "
                       "such as [DEFAULT]"},
    {BYTES("[a]\nx\n"), "t:2: 'x' is no setting: there is no '=' in it (a further line of a value "
                        "is indented deeper than its key)"},
    {BYTES("[a]\n= 1\n"), "t:2: '= 1' has no name before the '='"},
    {BYTES("[a]\nx = 1\nX = 2\n"), "t:3: 'X' is set twice in [a], first in line 2; keep one of "
                                   "them"},
    {BYTES("[a]\nx = 1\n[b]\n[a]\n"), "t:4: section [a] stands twice in this file, first in line "
                                      "1; put the two together"},
    {BYTES("[a\nx = 1\n"), "t:1: '[a' is not a section header such as [sshd]"},
    {BYTES("[a] x\n"), "t:1: '[a] x' is not a section header such as [sshd]"},
    {BYTES("[ ]\n"), "t:1: a section header without a name"},
    {BYTES("[a]\n\nx = \0\n"), "t:3: a NUL byte; this is not a text file"},
    {BYTES("[a]\nx = \xe4\n"), "t:2: byte 0xe4 is not UTF-8; save the file in that encoding"},
    {BYTES("[a]\nx = \xc0\x80\n"), "t:2: byte 0xc0 is not UTF-8; save the file in that encoding"},
    {BYTES("[a]\nx = \xed\xa0\x80\n"), "t:2: byte 0xed is not UTF-8; save the file in that "
                                       "encoding"},
    {BYTES("[a]\nx = \xf4\x90\x80\x80\n"), "t:2: byte 0xf4 is not UTF-8; save the file in that "
                                           "encoding"},
    {BYTES("[INCLUDES]\nbefor = x\n"), "t:2: unknown setting 'befor' in [INCLUDES]; it has "
                                       "'before' and 'after'"},
    {BYTES("[INCLUDES]\nbefore = x.conf\n"), "t:2: the file to include, 'x.conf', is not there"},
    {BYTES("[INCLUDES]\nbefore = ../x\n"), "t:2: '../x' is not a name of a file beside this one "
                                           "(no '/' in front, no '..')"},
    {BYTES("[INCLUDES]\nafter = /etc/x\n"), "t:2: '/etc/x' is not a name of a file beside this "
                                            "one (no '/' in front, no '..')"},
    {BYTES("[INCLUDES]\nafter = a/../../x\n"), "t:2: 'a/../../x' is not a name of a file beside "
                                               "this one (no '/' in front, no '..')"},
};

static void errors_are_told(void **state) {
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(errors); i++) {
        cleanup_keep struct keep keep = {0};
        struct why why = {0};
        char got[1024] = "";
        if (ini_read_bytes(open_on(&keep), "t", errors[i].text, &why) < 0)
            why_format(&why, got, sizeof(got));
        assert_string_equal(got, errors[i].wanted);
    }
}

static void sizes_are_bounded(void **state) {
    (void)state;
    cleanup_keep struct keep keep = {0};
    struct why why = {0};
    cleanup_text struct text text = {0};
    text_add_string(&text, "[a]\nx = ");
    for (int i = 0; i < INI_LINE_MOST_BYTES; i++)
        text_add_char(&text, 'y');
    assert_true(ini_read_bytes(open_on(&keep), "t", text_span(&text), &why) == -E2BIG);
    assert_int_equal(why.line, 2);

    while (text.length <= INI_FILE_MOST_BYTES)
        text_add_string(&text, "\n# more of it");
    assert_true(ini_read_bytes(open_on(&keep), "t", text_span(&text), &why) == -EFBIG);

    text_clear(&text);
    text_add_string(&text, "[a]\n");
    for (int i = 0; i <= INI_KEYS_MOST; i++)
        text_add_format(&text, "x%d=1\n", i);
    assert_true(ini_read_bytes(open_on(&keep), "t", text_span(&text), &why) == -E2BIG);
    assert_int_equal(why.line, INI_KEYS_MOST + 2);
}

/* Ten levels of sixteen references each: nothing at the bottom, or something. */
static void references_are_bounded(void **state) {
    (void)state;
    for (int is_something = 0; is_something < 2; is_something++) {
        cleanup_keep struct keep keep = {0};
        struct why why = {0};
        struct ini *ini = open_on(&keep);
        cleanup_text struct text text = {0};
        text_add_string(&text, "[a]\n");
        for (int level = 0; level < 8; level++) {
            text_add_format(&text, "x%d = ", level);
            for (int i = 0; i < 16; i++)
                text_add_format(&text, "%%(x%d)s", level + 1);
            text_add_string(&text, "\n");
        }
        text_add_string(&text, "x8 = ");
        for (int i = 0; is_something && i < 1000; i++)
            text_add_char(&text, 'y');
        text_add_string(&text, "\n");
        struct ini_lines lines;
        assert_true(ini_read_bytes(ini, "t", text_span(&text), &why) >= 0);
        int error = ini_expand(ini, "a", ini_value(ini, "a", "x0"), &lines, &why);
        assert_int_equal(error, is_something ? -E2BIG : -ELOOP);
    }
}

/* --- files ---------------------------------------------------------------------------------- */

static struct ini *open_files(struct keep *keep) {
    const char *folders[] = {scratch_folder};
    return ini_open(keep, folders, 1, NULL, NULL, NULL);
}

static void later_files_win(void **state) {
    (void)state;
    cleanup_keep struct keep keep = {0};
    struct why why = {0};
    char got[512];
    write_file("later/a.conf", "[INCLUDES]\nbefore = common.conf\n"
                               "[S]\nx = a\nl = a1\n  a2\n");
    write_file("later/a.local", "[S]\nx = local over %(known/x)s\nl = %(known/l)s\n  new\n");
    write_file("later/common.conf", "[S]\nx = common\nonly = common\n[DEFAULT]\nd = 1\n");
    write_file("later/common.local", "[DEFAULT]\nd = %(known/d)s, 2\n");
    struct ini *ini = open_files(&keep);
    assert_int_equal(ini_read(ini, 0, "later/a.conf", true, &why), 1);
    look_up(ini, "S", "x", got, sizeof(got));
    assert_string_equal(got, "local over a");
    look_up(ini, "S", "only", got, sizeof(got));
    assert_string_equal(got, "common");
    look_up(ini, "DEFAULT", "d", got, sizeof(got));
    assert_string_equal(got, "1, 2");

    struct ini_lines lines;
    assert_true(ini_expand(ini, "S", ini_value(ini, "S", "l"), &lines, &why) >= 0);
    assert_int_equal(lines.count, 3);
    assert_non_null(strstr(lines.at[0].file, "later/a.conf"));
    assert_int_equal(lines.at[0].line, 5);
    assert_int_equal(lines.at[1].line, 6);
    assert_non_null(strstr(lines.at[2].file, "later/a.local"));
    assert_int_equal(lines.at[2].line, 4);
}

static void own_local_in_after_is_read_once(void **state) {
    (void)state;
    cleanup_keep struct keep keep = {0};
    struct why why = {0};
    char got[512];
    write_file("once/a.conf", "[INCLUDES]\nafter = a.local\n[S]\nx = 1\n");
    write_file("once/a.local", "[S]\nx = %(known/x)s 2\n");
    struct ini *ini = open_files(&keep);
    assert_int_equal(ini_read(ini, 0, "once/a.conf", true, &why), 1);
    look_up(ini, "S", "x", got, sizeof(got));
    assert_string_equal(got, "1 2");
}

static void folders_are_read_in_order(void **state) {
    (void)state;
    cleanup_keep struct keep keep = {0};
    struct why why = {0};
    char got[512];
    write_file("all.d/20.conf", "[S]\nx = %(known/x)s 20\n");
    write_file("all.d/10.conf", "[S]\nx = 10\n");
    write_file("all.d/10.local", "[S]\nx = %(known/x)s 10l\n");
    write_file("all.d/15.local", "[S]\nx = %(known/x)s 15l\n");
    write_file("all.d/30.conf.dpkg-old", "[S]\nx = wrong\n");
    write_file("all.d/.40.conf", "[S]\nx = wrong\n");
    struct ini *ini = open_files(&keep);
    assert_int_equal(ini_read_all(ini, 0, "all.d", &why), 1);
    look_up(ini, "S", "x", got, sizeof(got));
    assert_string_equal(got, "10 10l 15l 20");
    assert_int_equal(ini_read_all(ini, 0, "nowhere.d", &why), 0);
}

static void includes_do_not_circle(void **state) {
    (void)state;
    cleanup_keep struct keep keep = {0};
    struct why why = {0};
    write_file("circle/a.conf", "[INCLUDES]\nbefore = b.conf\n");
    write_file("circle/b.conf", "[INCLUDES]\nafter = a.conf\n");
    assert_int_equal(ini_read(open_files(&keep), 0, "circle/a.conf", true, &why), -ELOOP);
    assert_non_null(strstr(why.text, "the includes lead back to"));

    for (int i = 0; i < 14; i++) {
        char name[64];
        char text[128];
        snprintf(name, sizeof(name), "deep/%d.conf", i);
        snprintf(text, sizeof(text), "[INCLUDES]\nbefore = %d.conf\n", i + 1);
        write_file(name, text);
    }
    write_file("deep/14.conf", "[S]\nx = 1\n");
    assert_int_equal(ini_read(open_files(&keep), 0, "deep/0.conf", true, &why), -ELOOP);
    assert_non_null(strstr(why.text, "included more than 10 files deep"));

    /* Every file includes the next one twice: 2^10 readings. */
    for (int i = 0; i < 10; i++) {
        char name[64];
        char text[128];
        snprintf(name, sizeof(name), "many/%d.conf", i);
        snprintf(text, sizeof(text), "[INCLUDES]\nbefore = %d.conf\nafter = %d.conf\n", i + 1,
                 i + 1);
        write_file(name, text);
    }
    write_file("many/10.conf", "[S]\nx = 1\n");
    assert_int_equal(ini_read(open_files(&keep), 0, "many/0.conf", true, &why), -E2BIG);
}

static void names_stay_inside(void **state) {
    (void)state;
    static const char *const names[] = {"../x.conf", "/etc/passwd", "a/../../x.conf", "", ".",
                                        "a//b.conf", "./a.conf",    "a\nb.conf"};
    write_file("x.conf", "[S]\nx = 1\n");
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        cleanup_keep struct keep keep = {0};
        struct why why = {0};
        assert_int_equal(ini_read(open_files(&keep), 0, names[i], true, &why), -EINVAL);
    }
}

static void odd_files_are_told(void **state) {
    (void)state;
    cleanup_keep struct keep keep = {0};
    struct why why = {0};
    char path[128];
    write_file("odd/folder.conf/x", "");
    assert_true(ini_read(open_files(&keep), 0, "odd/folder.conf", true, &why) < 0);
    snprintf(path, sizeof(path), "%s/odd/null.conf", scratch_folder);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_true(ini_read(open_files(&keep), 0, "odd/null.conf", true, &why) < 0);
    assert_string_equal(why.text, "not a regular file");
    assert_int_equal(ini_read(open_files(&keep), 0, "odd/absent.conf", true, &why), 0);
}

static void digests_tell_bytes_and_names(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
        bool is_same;
    } cases[] = {
        {"d/a.conf", "[S]\nx = 1\n", true},
        {"d/a.conf", "[S]\nx = 1 \n", false},
        {"d/b.conf", "[S]\nx = 1\n", false},
    };
    struct digest first = {{0}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_keep struct keep keep = {0};
        struct why why = {0};
        struct digest_state state_of;
        const char *folders[] = {scratch_folder};
        digest_begin(&state_of);
        write_file(cases[i].name, cases[i].text);
        struct ini *ini = ini_open(&keep, folders, 1, &state_of, NULL, NULL);
        assert_int_equal(ini_read(ini, 0, cases[i].name, true, &why), 1);
        struct digest digest = digest_end(&state_of);
        if (i == 0)
            first = digest;
        assert_int_equal(digest_equals(&first, &digest), cases[i].is_same);
    }
}

/* --- hints ---------------------------------------------------------------------------------- */

static void hints_are_near(void **state) {
    (void)state;
    static const struct {
        const char *wanted, *hint;
    } cases[] = {{"maxrety", "; did you mean 'maxretry'?"}, {"prot", "; did you mean 'port'?"},
                 {"bantimes", "; did you mean 'bantime'?"}, {"colour", ""}, {"x", ""}};
    static const char *const known[] = {"maxretry", "port", "bantime", "findtime"};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char hint[NEAREST_HINT_MAX];
        struct nearest nearest = nearest_to(span_of(cases[i].wanted));
        for (size_t k = 0; k < ELEMENTS_OF(known); k++)
            nearest_offer(&nearest, known[k]);
        assert_string_equal(nearest_hint(&nearest, hint), cases[i].hint);
    }
}

static void shown_text_is_safe_and_short(void **state) {
    (void)state;
    char into[SHOWN_MAX];
    char long_text[500];
    memset(long_text, 0x1b, sizeof(long_text));
    assert_string_equal(shown(SPAN("a\x1b[0m"), into), "a\\x1b[0m");
    for (size_t length = 0; length < sizeof(long_text); length++)
        assert_true(strlen(shown((struct span){long_text, length}, into)) < SHOWN_MAX);
    memset(long_text, 'x', sizeof(long_text));
    assert_int_equal(strlen(shown((struct span){long_text, SHOWN_MAX - 1}, into)), SHOWN_MAX - 1);
    assert_non_null(strstr(shown((struct span){long_text, SHOWN_MAX}, into), "..."));
}

int main(void) {
    hash_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_out),
        cmocka_unit_test(errors_are_told),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(references_are_bounded),
        cmocka_unit_test(later_files_win),
        cmocka_unit_test(own_local_in_after_is_read_once),
        cmocka_unit_test(folders_are_read_in_order),
        cmocka_unit_test(includes_do_not_circle),
        cmocka_unit_test(names_stay_inside),
        cmocka_unit_test(odd_files_are_told),
        cmocka_unit_test(digests_tell_bytes_and_names),
        cmocka_unit_test(hints_are_near),
        cmocka_unit_test(shown_text_is_safe_and_short),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
