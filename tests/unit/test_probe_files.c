/* What the probes make of files with passwords in them and of who may write a
 * file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/found.c"
#include "probe/probe_files.c"

static void a_password_is_told_from_what_is_about_passwords(void **state) {
    static const struct {
        const char *text;
        bool is_one;
    } cases[] = {
        {"password = geheim", true},
        {"# password = geheim", false},
        {"smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd", false},
        {"passwd_file_path = /etc/dovecot/users", false},
        {"default_password_scheme = CRYPT", false},
        {"ssl_key_password = </etc/dovecot/word", false},
        {"password =", false},
        {"connect = host=localhost dbname=mail user=mail password=geheim", true},
        {"connect = host=localhost dbname=mail user=mail", false},
        {"password_query = SELECT password FROM users WHERE user = '%u'", false},
        {"export RESTIC_PASSWORD=geheim", true},
        {"RESTIC_PASSWORD_FILE=/root/word", false},
        {"$config['smtp_password'] = 'geheim';", true},
        {"$dbpass='geheim';", true},
        {"abuseipdb_apikey = 0123abcd", true},
        {"=", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        if (tells_password(span_of(cases[i].text)) != cases[i].is_one)
            fail_msg("%s", cases[i].text);
}

static void a_group_of_nobody_else_is_the_owner(void **state) {
    static const char passwd[] = "root:x:0:0::/root:/bin/bash\n"
                                 "anna:x:1000:1000::/home/anna:/bin/bash\n"
                                 "bert:x:1001:100::/home/bert:/bin/bash\n"
                                 "cleo:x:1002:100::/home/cleo:/bin/bash\n";
    static char *nobody[] = {NULL};
    static char *anna[] = {(char *)"anna", NULL};
    static char *bert[] = {(char *)"bert", NULL};
    static const struct {
        uid_t owner;
        struct group group;
        bool is_own;
    } cases[] = {
        {1000, {.gr_gid = 1000, .gr_mem = nobody}, true},
        {1000, {.gr_gid = 1000, .gr_mem = anna}, true},
        {1000, {.gr_gid = 1000, .gr_mem = bert}, false},
        {1001, {.gr_gid = 100, .gr_mem = nobody}, false}, /* cleo's as well */
        {0, {.gr_gid = 50, .gr_mem = nobody}, true},      /* staff, of /usr/local */
        {0, {.gr_gid = 50, .gr_mem = bert}, false},
        {0, {.gr_gid = 1000, .gr_mem = nobody}, false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        FILE *file = fmemopen((void *)(uintptr_t)passwd, sizeof(passwd) - 1, "r");
        assert_non_null(file);
        if (is_of_owner_alone(&cases[i].group, cases[i].owner, file) != cases[i].is_own)
            fail_msg("%zu", i);
        (void)fclose(file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_told_from_what_is_about_passwords),
        cmocka_unit_test(a_group_of_nobody_else_is_the_owner),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    text_free(&said);
    return failed;
}
