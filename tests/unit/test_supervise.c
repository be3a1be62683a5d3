/* What of hauberkd needs no processes: the newest rotated siblings, the lines that killed, and the
 * copying of a configuration.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "supervise/in_force.c"
#include "supervise/logs.c"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/hauberk-supervise-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

static const char *inside(const char *name) {
    static char path[4][300];
    static unsigned next;
    char *into = path[next++ % 4];
    snprintf(into, 300, "%s/%s", folder, name);
    return into;
}

static void write_file(const char *path, const void *bytes, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

/* ---- siblings ---- */

static void the_newest_siblings_are_listed_whatever_the_order(void **state) {
    (void)state;
    enum { FILES = 300 };
    struct log_file *file = calloc(1, sizeof(*file));
    assert_non_null(file);
    snprintf(file->path, sizeof(file->path), "%s", inside("auth.log"));
    for (int i = 0; i < FILES; i++) {
        char name[40];
        int age = i * 7919 % FILES; /* no order that readdir(3) could have */
        snprintf(name, sizeof(name), "auth.log.%d", i);
        write_file(inside(name), "x", 1);
        struct timespec times[2] = {{.tv_sec = 1790000000 - age}, {.tv_sec = 1790000000 - age}};
        assert_int_equal(utimensat(AT_FDCWD, inside(name), times, 0), 0);
    }
    write_file(inside("auth.log"), "x", 1);
    write_file(inside("mail.log.1"), "x", 1);
    for (int again = 0; again < 2; again++) {
        list_siblings(NULL, file);
        assert_int_equal(file->sibling_count, SIBLINGS_MAX);
        for (int i = 0; i < SIBLINGS_MAX; i++)
            assert_int_equal(file->siblings[i].modified_us, (1790000000 - i) * SECOND_US);
    }
    free(file);
}

/* ---- poison ---- */

static void poison_is_remembered_by_path_and_ordinal(void **state) {
    (void)state;
    struct poisons poisons = {0};
    struct poisons loaded;
    poison_remember(&poisons, "/var/log/auth.log", 106);
    poison_remember(&poisons, "/var/log/mail.log", 106);
    poison_remember(&poisons, "/var/log/auth.log", 107);
    poison_remember(&poisons, "/var/log/auth.log", 106);
    assert_int_equal(poisons.count, 3);
    assert_int_equal(poisons.at[0].deaths, 2);
    poisons.at[0].is_told = true;
    assert_int_equal(poison_save(&poisons, folder), 0);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(loaded.at[i].path, poisons.at[i].path);
        assert_int_equal(loaded.at[i].ordinal, poisons.at[i].ordinal);
        assert_int_equal(loaded.at[i].deaths, poisons.at[i].deaths);
        assert_int_equal(loaded.at[i].is_told, poisons.at[i].is_told);
    }
}

static void the_oldest_poison_is_forgotten(void **state) {
    (void)state;
    struct poisons poisons = {0};
    for (uint64_t i = 1; i <= POISON_MAX + 10; i++)
        poison_remember(&poisons, "/var/log/auth.log", i);
    assert_int_equal(poisons.count, POISON_MAX);
    assert_int_equal(poisons.at[0].ordinal, 11);
    assert_int_equal(poisons.at[POISON_MAX - 1].ordinal, POISON_MAX + 10);
}

/* The folder is the decider's: what stands there instead of our file is not believed. */
static void a_strange_poison_file_is_no_memory(void **state) {
    (void)state;
    struct poisons poisons = {0};
    struct poisons loaded;
    char path[300];
    static char bytes[32 << 10];
    snprintf(path, sizeof(path), "%s", inside("poison"));
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 0);
    poison_remember(&poisons, "/var/log/auth.log", 106);
    assert_int_equal(poison_save(&poisons, folder), 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, bytes, sizeof(bytes));
    close(fd);
    assert_true(length > 300 && length < (ssize_t)sizeof(bytes));

    bytes[8] = 65; /* more records than there are */
    write_file(path, bytes, (size_t)length);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 0);
    bytes[8] = 1;
    memset(bytes + 32, 'x', 264); /* a path without an end */
    write_file(path, bytes, (size_t)length);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 0);

    assert_int_equal(poison_save(&poisons, folder), 0);
    assert_int_equal(truncate(path, length - 1), 0);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 0);

    assert_int_equal(poison_save(&poisons, folder), 0);
    assert_int_equal(rename(path, inside("elsewhere")), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(inside("elsewhere"), path), 0);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(inside("elsewhere"), path), 0);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 1);
    assert_int_equal(chmod(path, 0622), 0);
    poison_load(&loaded, folder);
    assert_int_equal(loaded.count, 0);
}

/* ---- the copy ---- */

static bool is_there(const char *name) {
    return access(inside(name), F_OK) == 0;
}

static void a_configuration_is_copied_in_bounds(void **state) {
    (void)state;
    static char large[COPY_FILE_MOST_BYTES + 1];
    mkdir(inside("data"), 0755);
    mkdir(inside("data/jails"), 0755);
    mkdir(inside("data/other"), 0755);
    write_file(inside("data/jails/sshd.conf"), "j", 1);
    write_file(inside("data/other/secret"), "s", 1);
    mkdir(inside("conf"), 0755);
    mkdir(inside("conf/hauberk.d"), 0755);
    mkdir(inside("conf/.git"), 0755);
    write_file(inside("conf/.git/object"), "g", 1);
    write_file(inside("conf/hauberk.conf"), "abc", 3);
    write_file(inside("conf/hauberk.d/one.conf"), "1", 1);
    write_file(inside("conf/large"), large, sizeof(large));
    assert_int_equal(mkfifo(inside("conf/pipe"), 0600), 0);
    assert_int_equal(symlink("hauberk.conf", inside("conf/linked.conf")), 0);
    assert_int_equal(symlink(".", inside("conf/round")), 0); /* has no end */
    struct supervise_options options = {.config_folder = inside("conf"),
                                        .data_folder = inside("data")};
    char copy[300];
    snprintf(copy, sizeof(copy), "%s", inside("copy"));
    char config_folder[300];
    snprintf(config_folder, sizeof(config_folder), "%s", options.config_folder);
    options.config_folder = config_folder;
    char data_folder[300];
    snprintf(data_folder, sizeof(data_folder), "%s", inside("data"));
    options.data_folder = data_folder;
    assert_int_equal(make_copy(&options, copy), 0);
    assert_true(is_there("copy/config/hauberk.conf") && is_there("copy/config/hauberk.d/one.conf"));
    assert_true(is_there("copy/config/linked.conf") && is_there("copy/data/jails/sshd.conf"));
    assert_true(is_there("copy/data/filters"));
    assert_false(is_there("copy/config/.git") || is_there("copy/config/large"));
    assert_false(is_there("copy/config/pipe") || is_there("copy/data/other"));
    struct stat status;
    assert_int_equal(lstat(inside("copy/config/linked.conf"), &status), 0);
    assert_true(S_ISREG(status.st_mode) && status.st_size == 3 && (status.st_mode & 0777) == 0600);

    options.config_folder = "/nonexistent"; /* is an empty configuration */
    assert_int_equal(make_copy(&options, copy), 0);
    assert_true(is_there("copy/config") && !is_there("copy/config/hauberk.conf"));

    options.config_folder = config_folder;
    for (int i = 0; i < COPY_MOST_FILES; i++) {
        char name[40];
        snprintf(name, sizeof(name), "conf/hauberk.d/%d.conf", i);
        write_file(inside(name), "", 0);
    }
    assert_int_equal(make_copy(&options, copy), -E2BIG);
}

/* ---- deaths ---- */

static void the_owner_is_told_of_deaths(void **state) {
    static const struct {
        int64_t at_sec;
        bool is_tried, is_sent;
    } cases[] = {
        {10}, {20}, {30}, {1200}, {2400}, {3000},
        {3611}, /* the seventh, and the first is over an hour ago */
        {3612, true, false}, /* 20 to 3612: within an hour */
        {3620}, {4211}, {4212, true, true}, /* tried anew after ten minutes */
        {4213}, {5000}, {6000}, {6001}, {6002}, {6003}, {6004},
        {90000}, {90610}, {90611}, {90612}, {90613}, {90614},
        {90615, true, true}, /* a day later, at the seventh again */
        {90616},
    };
    (void)state;
    struct deaths deaths = {0};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        bool is_tried = deaths_count(&deaths, cases[i].at_sec * SECOND_US);
        if (is_tried != cases[i].is_tried)
            fail_msg("at %lld s", (long long)cases[i].at_sec);
        if (cases[i].is_sent)
            deaths_were_told(&deaths, cases[i].at_sec * SECOND_US);
    }
}

static void only_a_name_of_ours_is_followed(void **state) {
    (void)state;
    assert_true(is_copy_name("config-0123456789abcdef0123456789abcdef"));
    assert_false(is_copy_name("config-0123456789abcdef0123456789abcde/"));
    assert_false(is_copy_name("config-0123456789abcdef0123456789abcdef0"));
    assert_false(is_copy_name("../../0123456789abcdef0123456789abcdef"));
    assert_false(is_copy_name("config-in-force"));
    assert_false(is_copy_name(""));
}

int main(void) {
    hash_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_siblings_are_listed_whatever_the_order,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(poison_is_remembered_by_path_and_ordinal, make_folder,
                                        remove_folder),
        cmocka_unit_test(the_oldest_poison_is_forgotten),
        cmocka_unit_test_setup_teardown(a_strange_poison_file_is_no_memory, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_configuration_is_copied_in_bounds, make_folder,
                                        remove_folder),
        cmocka_unit_test(the_owner_is_told_of_deaths),
        cmocka_unit_test(only_a_name_of_ours_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
