/* What the probes make of scripts, tables of cron, histories and patterns of unattended-upgrades.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "looked.h"

#include "probe/probe_scripts.c"
#include "probe/probe_updates.c"

struct case_of {
    const char *line;
    bool is_it;
};

static void check(const struct case_of *cases, size_t count, bool (*asks)(struct span line)) {
    for (size_t i = 0; i < count; i++)
        if (asks(span_of(cases[i].line)) != cases[i].is_it)
            fail_msg("%s", cases[i].line);
}

static void what_is_fetched_and_run_is_seen(void **state) {
    static const struct case_of cases[] = {
        {"curl -L https://get.rvm.io | bash -s stable --auto-dotfiles", true},
        {"wget -qO- https://x.example | sudo sh", true},
        {"curl -s https://x.example/list | grep -v bash | sort", false},
        {"curl -o x https://x.example", false},
        {"echo x | sh", false},
        {"curl x |", false},
        {"", false},
    };
    (void)state;
    check(cases, ELEMENTS_OF(cases), is_piped);
}

static void written_passphrases_are_seen(void **state) {
    static const struct case_of cases[] = {
        {"gpg --batch --passphrase hunter22 -c x", true},
        {"gpg --batch --passphrase=hunter22 -c x", true},
        {"gpg --batch --passphrase \"$WORD\" -c x", false},
        {"gpg --batch --passphrase $WORD -c x", false},
        {"gpg --batch --passphrase-file /root/word -c x", false},
        {"gpg --passphrase", false},
        {"export BORG_PASSPHRASE='secret'", true},
        {"export BORG_PASSPHRASE=\"$(cat /root/word)\"", false},
        {"RESTIC_PASSWORD=", false},
        {"RESTIC_PASSWORD_FILE=/root/word restic backup /", false},
    };
    (void)state;
    check(cases, ELEMENTS_OF(cases), tells_passphrase);
}

static void passwords_in_histories_are_seen(void **state) {
    static const struct case_of cases[] = {
        {"mysql -u root -pgeheim mail", true},
        {"mysql -u root -p mail", false},
        {"GRANT SELECT ON x TO 'm'@'h' IDENTIFIED BY 'secret';", true},
        {"echo alice:geheim | chpasswd", true},
        {"doveadm pw -s SHA512-CRYPT", false},
        {"ls -la", false},
    };
    (void)state;
    check(cases, ELEMENTS_OF(cases), shows_password);
}

static void an_archive_is_lost_when_nothing_else_takes_it(void **state) {
    static const struct {
        const char *script;
        unsigned lost;
    } cases[] = {
        {"tar -czf $B/config.tar.gz /etc\nrm $B/config.tar.gz\n", 1},
        {"tar -czf $B/data.tgz /srv\ngpg -c -o $B/x $B/data.tgz\nrm $B/data.tgz\n", 0},
        {"tar -czf /b/data.tgz /srv && scp /b/data.tgz host:\nrm /b/data.tgz\n", 0},
        {"rm /var/lock/backup\n", 0},
        {"rm\n", 0},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct scripts scripts = {.lost_archive = {NULL, "lost_archive", 0}};
        look_for_lost(&scripts, "x", span_of(cases[i].script));
        if (scripts.lost_archive.count != cases[i].lost)
            fail_msg("%s", cases[i].script);
    }
}

static void patterns_match_the_security_archive_or_not(void **state) {
    static const struct case_of cases[] = {
        {"origin=Debian,codename=bookworm-security,label=Debian-Security", true},
        {"origin=Debian,codename=bookworm,label=Debian-Security", false},
        {"origin=Debian,archive=stable,label=Debian-Security", false},
        {"origin=Debian,suite=stable-security", true},
        {"origin=Debian,label=Debian-Security", true},
        {"origin=Debian,label=Debian", false},
        {"", false},
    };
    (void)state;
    check(cases, ELEMENTS_OF(cases), matches_security);
}

/* 40,000 lines that each remove three files took minutes. */
static void a_script_of_many_removals_is_told_and_not_endless(void **state) {
    cleanup_text struct text text = {0};
    struct scripts scripts = {.lost_archive = {NULL, "lost_archive", 0}};
    (void)state;
    text_add_string(&text, "tar -czf /b/first.tgz /etc\nrm /b/first.tgz\n");
    for (int i = 0; i < 40000; i++)
        text_add_format(&text, "rm /b/%d-a /b/%d-b /b/%d-c\n", i, i, i);
    int64_t begin_us = clock_monotonic_us();
    look_for_lost(&scripts, "/root/bin/x", text_span(&text));
    assert_true(clock_monotonic_us() - begin_us < 5 * SECOND_US);
    assert_int_equal(scripts.lost_archive.count, 1);
    assert_string_equal(scripts.cut, "/root/bin/x: it removes too many files to look for each");
}

static void no_more_files_are_read_than_time_allows(void **state) {
    struct scripts scripts = {.until_us = clock_monotonic_us() + 600 * SECOND_US};
    (void)state;
    for (int i = 0; i < FILES_MOST; i++)
        assert_true(goes_on(&scripts, "/home/anna/bin/x"));
    assert_false(goes_on(&scripts, "/home/anna/bin/last"));
    assert_string_equal(scripts.cut,
                        "/home/anna/bin/last: gave up here, there are too many files");
    scripts = (struct scripts){.until_us = 1};
    assert_false(goes_on(&scripts, "/home/bert/bin/first"));
}

static void a_restart_is_due_for_kernels_of_the_same_kind(void **state) {
    static const struct {
        const char *release, *version, *installed, *newest;
    } cases[] = {
        {"6.1.0-38-amd64", "Debian 6.1.147-1 (", "6.1.0-41-amd64 6.1.158-1", "6.1.0-41-amd64"},
        {"6.1.0-38-amd64", "Debian 6.1.147-1 (", "6.1.0-41-cloud-amd64 6.1.158-1", NULL},
        {"6.1.0-38-cloud-amd64", "Debian 6.1.147-1 (", "6.1.0-41-amd64 6.1.158-1", NULL},
        {"6.1.0-38-amd64", "Debian 6.1.147-1 (", "6.1.0-41-rt-amd64 6.1.158-1", NULL},
        {"6.1.0-38-amd64", "Debian 6.1.147-1 (", "6.12.57+deb12-amd64 6.12.57-1~bpo12+1", NULL},
        {"6.12.43+deb12-amd64", "Debian 6.12.43-1~bpo12+1 (",
         "6.12.57+deb12-amd64 6.12.57-1~bpo12+1", "6.12.57+deb12-amd64"},
        {"6.12.43+deb13-amd64", "Debian 6.12.43-1 (", "6.16.3+deb13-amd64 6.16.3-1~bpo13+1", NULL},
        {"6.12.43+deb13-cloud-amd64", "Debian 6.12.43-1 (",
         "6.12.57+deb13-cloud-amd64-unsigned 6.12.57-1", "6.12.57+deb13-cloud-amd64"},
        {"6.1.0-38-amd64", "Debian 6.1.147-1 (", "6.1.0-41-amd64-dbg 6.1.158-1", NULL},
        {"6.1.0-38-amd64", "Debian 6.1.147-1 (", "amd64 6.1.158-1", NULL},
        {"6.8.0-45-generic", "#45-Ubuntu SMP", "6.1.0-41-amd64 6.1.158-1", NULL},
        {"6.1.147", "#1 SMP", "6.1.0-41-amd64 6.1.158-1", NULL},
        {"6.1.147-hoster", "#1 SMP", "6.1.0-41-amd64 6.1.158-1", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct utsname running = {0};
        char name[100];
        struct span version = span_of(cases[i].installed);
        snprintf(running.release, sizeof(running.release), "%s", cases[i].release);
        snprintf(running.version, sizeof(running.version), "%s", cases[i].version);
        struct span release = span_cut(&version, ' ');
        snprintf(name, sizeof(name), "linux-image-%.*s", SPAN_FORMAT(release));
        struct package package = {span_of(name), SPAN("amd64"), version};
        const struct installed installed = {.at = &package, .count = 1};
        struct span newest = newest_kernel(&installed, &running);
        if (cases[i].newest ? !span_is(newest, cases[i].newest) : newest.at != NULL)
            fail_msg("%s and %s: %.*s", cases[i].release, cases[i].installed, SPAN_FORMAT(newest));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_fetched_and_run_is_seen),
        cmocka_unit_test(written_passphrases_are_seen),
        cmocka_unit_test(passwords_in_histories_are_seen),
        cmocka_unit_test(a_script_of_many_removals_is_told_and_not_endless),
        cmocka_unit_test(no_more_files_are_read_than_time_allows),
        cmocka_unit_test(an_archive_is_lost_when_nothing_else_takes_it),
        cmocka_unit_test(patterns_match_the_security_archive_or_not),
        cmocka_unit_test(a_restart_is_due_for_kernels_of_the_same_kind),
    };
    int failed = cmocka_run_group_tests_name("probe_scripts", tests, NULL, NULL);
    text_free(&said);
    return failed;
}
