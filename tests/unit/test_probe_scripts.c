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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_fetched_and_run_is_seen),
        cmocka_unit_test(written_passphrases_are_seen),
        cmocka_unit_test(passwords_in_histories_are_seen),
        cmocka_unit_test(an_archive_is_lost_when_nothing_else_takes_it),
        cmocka_unit_test(patterns_match_the_security_archive_or_not),
    };
    int failed = cmocka_run_group_tests_name("probe_scripts", tests, NULL, NULL);
    text_free(&said);
    return failed;
}
