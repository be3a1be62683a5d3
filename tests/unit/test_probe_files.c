/* What the probes make of files with passwords in them and of who may write a
 * file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/found.c"
#include "probe/probe_files.c"
#include "probe/probe_kernel.c"
#include "scratch.h"

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

static void what_packages_brought_is_known_by_either_path(void **state) {
    struct files *files = calloc(1, sizeof(*files));
    (void)state;
    must(files);
    for (size_t i = 0; i < SET_MOST; i++) {
        char path[40];
        const struct stat status = {.st_mode = S_IFREG | 04755};
        const struct walk_entry entry = {.path = path, .status = &status};
        snprintf(path, sizeof(path), "/usr/bin/tool%04zu", i);
        look_for_set_id(files, &entry);
        if (i == SET_MOST - 1)
            for (int j = 0; j < 3; j++)
                look_for_set_id(files, &entry);
    }
    assert_int_equal(files->set_count, SET_MOST);
    assert_int_equal(files->set_more, 3);
    qsort(files->set, files->set_count, sizeof(*files->set), compare_paths);
    know_line(files, SPAN("/usr/bin/tool0007"));
    know_line(files, SPAN("/bin/tool4999"));
    know_line(files, SPAN("/bin/tool"));
    know_line(files, SPAN(""));
    unsigned known = 0;
    for (size_t i = 0; i < files->set_count; i++) {
        known += files->set[i].is_known;
        free(files->set[i].path);
    }
    assert_int_equal(known, 2);
    free(files);
}

static void keys_are_known_by_name_and_not_those_for_show(void **state) {
    static const struct {
        const char *path;
        bool is_asked;
    } cases[] = {
        {"/home/anna/id_ed25519", true},
        {"/srv/www/Server.KEY", true},
        {"/opt/app/tests/server.key", false},
        {"/home/anna/app/node_modules/x/server.pem", false},
        {"/usr/share/x/server.pem", false},
        {"/usr/local/etc/server.pem", true},
        {"/etc/postfix/mail.key", false}, /* tls_key tells of it */
        {"/etc/postfix/keys/mail.key", true},
        {"/etc/ssl/private/any", false},
        {"/srv/notes.txt", false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        const char *path = cases[i].path;
        bool is_asked = is_named_like_key(strrchr(path, '/') + 1) && !is_for_show(path) &&
                        !is_told_elsewhere(path);
        if (is_asked != cases[i].is_asked)
            fail_msg("%s", path);
    }
}

static void the_table_of_mounts_is_read(void **state) {
    static struct mount mounts[MOUNTS_MOST];
    (void)state;
    size_t count = mounts_read(SPAN("/dev/sda1 / ext4 rw,relatime 0 0\n"
                                    "server:/x /srv/with\\040blank\\134 nfs4 ro 0 0\n"
                                    "a /mnt fuse.sshfs rw 0 0\n"
                                    "/dev/sdb1 /mnt xfs rw 0 0\n"
                                    "broken\n"),
                               mounts);
    assert_int_equal(count, 5);
    assert_string_equal(mounts[1].path, "/srv/with blank\\");
    assert_true(mount_is_on_disk(mounts_find(mounts, count, "/")));
    assert_false(mount_is_on_disk(&mounts[1]));
    assert_true(mount_is_on_disk(mounts_find(mounts, count, "/mnt"))); /* what is seen there */
    assert_null(mounts_find(mounts, count, "/home"));
}

/* /sys as the kernel makes it: a folder for each number. */
static void swap_is_as_safe_as_what_lies_below(void **state) {
    static const struct {
        const char *file, *text;
    } files[] = {
        {"dev/block/253:0/dev", "253:0\n"},
        {"dev/block/253:0/dm/uuid", "CRYPT-LUKS2-0123-sda2_crypt\n"},
        {"dev/block/253:1/dm/uuid", "LVM-abc\n"}, /* on dm-crypt */
        {"dev/block/253:1/slaves/dm-0/dev", "253:0\n"},
        {"dev/block/253:2/dm/uuid", "LVM-def\n"}, /* on a bare disk */
        {"dev/block/253:2/slaves/sdb/dev", "8:16\n"},
        {"dev/block/9:0/slaves/dm-0/dev", "253:0\n"}, /* a RAID of one of either */
        {"dev/block/9:0/slaves/sdb/dev", "8:16\n"},
        {"dev/block/8:16/dev", "8:16\n"},
        {"dev/block/254:0/disksize", "1073741824\n"},
        {"dev/block/254:0/backing_dev", "none\n"},
        {"dev/block/254:1/disksize", "1073741824\n"},
        {"dev/block/254:1/backing_dev", "/dev/sdb\n"},
        {"dev/block/253:9/slaves/self/dev", "253:9\n"},
        {"class/block/dm-0/dev", "253:0\n"},
        {"class/block/sdb/dev", "8:16\n"},
    };
    static const struct {
        const char *number, *kind;
    } cases[] = {{"253:0", "encrypted"}, {"253:1", "encrypted"}, {"253:2", "plain"},
                 {"9:0", "plain"},       {"8:16", "plain"},      {"254:0", "memory"},
                 {"254:1", "plain"},     {"253:9", "plain"},     {"7:7", "plain"}};
    char sys[200];
    char target[300];
    char link[300];
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        snprintf(sys, sizeof(sys), "sys/%s", files[i].file);
        write_file(sys, files[i].text);
    }
    /* A partition of an encrypted device: its folder lies in the other's. */
    write_file("sys/dev/block/253:0/part1/partition", "1\n");
    snprintf(sys, sizeof(sys), "%s/sys", scratch_folder);
    snprintf(target, sizeof(target), "%s/dev/block/253:0/part1", sys);
    snprintf(link, sizeof(link), "%s/dev/block/259:1", sys);
    assert_int_equal(symlink(target, link), 0);
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        if (strcmp(kind_of_number(sys, cases[i].number), cases[i].kind) != 0)
            fail_msg("%s: %s", cases[i].number, kind_of_number(sys, cases[i].number));
    assert_string_equal(kind_of_number(sys, "259:1"), "encrypted");
    /* Devices that are not to be seen here, as in a container. */
    assert_string_equal(kind_of_swap(sys, "/nowhere/dm-0"), "encrypted");
    assert_string_equal(kind_of_swap(sys, "/nowhere/sdb"), "plain");
    assert_string_equal(kind_of_swap(sys, "/nowhere/zram0"), "memory");
    assert_string_equal(kind_of_swap(sys, "/nowhere/else"), "plain");
    assert_null(kind_of_swap(sys, "/proc/self/status")); /* a number that is no device's */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_told_from_what_is_about_passwords),
        cmocka_unit_test(a_group_of_nobody_else_is_the_owner),
        cmocka_unit_test(what_packages_brought_is_known_by_either_path),
        cmocka_unit_test(keys_are_known_by_name_and_not_those_for_show),
        cmocka_unit_test(the_table_of_mounts_is_read),
        cmocka_unit_test(swap_is_as_safe_as_what_lies_below),
    };
    int failed = cmocka_run_group_tests(tests, scratch_make, scratch_remove);
    text_free(&said);
    return failed;
}
