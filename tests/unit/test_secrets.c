/* What a probe read loses its secrets before anything else is done with it, and nothing that a rule
 * asks for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "audit/collect.h"
#include "audit/secrets.h"
#include "base/files.h"
#include "base/hash.h"

#define LINE "scripts.erases_account"

static const struct {
    const char *name, *value;
    const char *shown; /* NULL: as it is */
} cases[] = {
    /* settings, by their names */
    {"postfix.main.smtp_sasl_password_maps", "static:me:Hunter2", "static:…"},
    {"postfix.smtpd.smtp_sasl_password_maps", "hash:/etc/a, static:me:Hunter2",
     "hash:/etc/a, static:…"},
    {"postfix.set.smtp_sasl_password_maps", "inline:{ [relay]:587=me:Hunter2, { a = b:Hunter2 } }",
     "inline:…"},
    {"postfix.main.smtp_sasl_password_maps", "hash:/etc/postfix/sasl/passwd", NULL},
    {"postfix.main.proxy_read_maps", "hash:/etc/aliases static:me:Hunter2 static:*",
     "hash:/etc/aliases static:… static:…"},
    {"postfix.main.transport_maps", "static:smtp:[127.0.0.1]:10025", NULL},
    {"postfix.main.smtpd_recipient_restrictions", "check_sender_access inline:{a@b=REJECT}", NULL},
    {"dovecot.mysql_password", "correct horse Hunter2", "…"},
    {"dovecot.imapc_password", "no", NULL},
    {"dovecot.auth_debug_passwords", "yes", NULL},
    {"dovecot.doveadm_api_key", "Hunter2", "…"},
    {"dovecot.auth_policy_server_api_header", "Authorization: Basic SHVudGVyMg==",
     "Authorization: …"},
    {"dovecot.passdb_args", "host=/run/sql dbname=mail user=me password=Hunter2,x",
     "host=/run/sql dbname=mail user=me password=…"},
    {"dovecot.auth_mechanisms", "plain login", NULL},
    {"sshd.passwordauthentication", "no", NULL},
    {"sshd.permitrootlogin", "without-password", NULL},
    {"web.roundcube.smtp_pass", "Hunter2", "…"},
    {"web.roundcube.db_dsnw", "mysql://rc:Hunter2@localhost/rc", "mysql://rc:…@localhost/rc"},
    {"rspamd.controller.password", "clear", NULL},
    {"sql.postgres.method", "password", NULL},
    {"sudo.no_password", "alice ALL=(ALL) NOPASSWD: ALL", NULL},
    {"sudo.everybody_some", "ALL ALL=PASSWD: /usr/bin/mysql -pHunter2", "ALL ALL=PASSWD: /usr/bin/mysql -p…"},
    {"sysctl.net.ipv4.tcp_fastopen_key", "0-0", NULL},
    /* lines of scripts and tables */
    {LINE, "0 3 * * * root PGPASSWORD=Hunter2 pg_dump mail",
     "0 3 * * * root PGPASSWORD=… pg_dump mail"},
    {LINE, "export MYSQL_PWD='Hun ter2'; x", "export MYSQL_PWD=… x"},
    {LINE, "BORG_PASSPHRASE=\"Hun\\x5c\"ter2 x\" borg create", "BORG_PASSPHRASE=… borg create"},
    {LINE, "P_PASSWORD=Hun\\x5c ter2 x", "P_PASSWORD=… x"},
    {LINE, "PASSWORD='Hun'\\x5c''ter2' x", "PASSWORD=…"},
    {LINE, "mysqldump -u root -pHunter2 --all-databases", "mysqldump -u root -p… --all-databases"},
    {LINE, "mysql -p'Hun ter2' -Nse x", "mysql -p… -Nse x"},
    {LINE, "mysql -p\"Hun ter2", "mysql -p…"},
    {LINE, "mysqldump x | mkdir -p /var/backup", NULL},
    {LINE, "mysqladmin --user=a --password=Hunter2 status",
     "mysqladmin --user=a --password=… status"},
    {LINE, "gpg --batch --passphrase Hunter2 -c x", "gpg --batch --passphrase … -c x"},
    {LINE, "gpg --passphrase-file /root/p -c x", NULL},
    {LINE, "sshpass -p Hunter2 ssh a@b", "sshpass -p … ssh a@b"},
    {LINE, "lftp -u me,Hunter2 -e 'mirror -R a' x", "lftp -u me,… -e 'mirror -R a' x"},
    {LINE, "sendemail -xu me -xp Hunter2 -t a@b", "sendemail -xu me -xp … -t a@b"},
    {LINE, "plink -pw Hunter2 a@b", "plink -pw … a@b"},
    {LINE, "mkdir -p /srv/a -password Hunter2 x", "mkdir -p /srv/a -password … x"},
    {LINE, "openssl enc -pass file:/root/p -in a", "openssl enc -pass … -in a"},
    {LINE, "sshpass -pHunter2 ssh a@b", "sshpass -p… ssh a@b"},
    {LINE, "curl -s -u me:Hunter2 https://x.example/", "curl -s -u me:… https://x.example/"},
    {LINE, "curl -H 'Authorization: Bearer Hunter2' https://x.example/",
     "curl -H 'Authorization: …"},
    {LINE, "curl https://me:Hun@ter2@x.example/a", "curl https://me:…@x.example/a"},
    {LINE, "git clone https://ghp_0123456789abcdefABCDEF@github.com/a",
     "git clone https://…@github.com/a"},
    {LINE, "curl https://x.example/ping?id=7&token=Hunter2",
     "curl https://x.example/ping?id=7&token=…"},
    {LINE, "curl https://api.telegram.org/bot12345678:AAHunter2/send",
     "curl https://api.telegram.org/bot12345678:…"},
    {LINE, "curl -d x https://hooks.slack.com/services/T0/B0/Hunter2",
     "curl -d x https://hooks.slack.com/services/…"},
    {LINE, "nsupdate -y hmac-sha256:k:SHVudGVyMg==", "nsupdate -y …"},
    {LINE, "server ::1\\x0akey hmac-sha256:k SHVudGVyMkh1bnRlcjI=", NULL},
    {LINE, "key hmac-sha256:k. SHVudGVyMkh1bnRlcjI=", "key hmac-sha256:k. …"},
    {LINE, "algorithm hmac-sha256; secret \"SHVudGVyMg==\";", "algorithm hmac-sha256; secret \"…"},
    {LINE, "echo root:Hunter2 | chpasswd", "echo root:… | chpasswd"},
    {LINE, "openssl enc -aes-256-cbc -k Hunter2 -in a", "openssl enc -aes-256-cbc -k … -in a"},
    {LINE, "openssl rsa -passin pass:Hunter2 -in a", "openssl rsa -passin pass:… -in a"},
    {LINE, "redis-cli -a Hunter2 FLUSHALL", "redis-cli -a … FLUSHALL"},
    {LINE, "ldapsearch -x -D cn=a -w Hunter2 -b dc=b", "ldapsearch -x -D cn=a -w … -b dc=b"},
    {LINE, "doveadm pw -s BLF-CRYPT -p Hunter2", "doveadm pw -s BLF-CRYPT -p …"},
    {LINE, "CREATE USER a@b IDENTIFIED BY 'Hun ter2'", "CREATE USER a@b IDENTIFIED BY …"},
    {LINE, "htpasswd -bc /etc/nginx/p me Hunter2", "htpasswd -bc /etc/nginx/p me …"},
    {LINE, "define( 'DB_PASSWORD', 'Hunter2' );", "define( 'DB_PASSWORD', … );"},
    {LINE, "$config['smtp_pass'] = 'Hun ter2';", "$config['smtp_pass'] = …"},
    {LINE, "'password' => 'Hunter2', 'a' => 1", "'password' => … 'a' => 1"},
    {LINE, "{\"api_key\": \"Hunter2\", \"a\": 1}", "{\"api_key\": … \"a\": 1}"},
    {LINE, "machine x.example login me password Hunter2", "machine x.example login me password …"},
    {LINE, "root:$y$j9T$abc$Hunter2:19000:0", "root:$y$…"},
    {LINE, "me:{SHA512-CRYPT}$6$abc$Hunter2::::", "me:{SHA512-CRYPT}…"},
    {LINE, "export T=xoxb-123456789012-Hunter2Hunter2", "export T=xoxb-…"},
    {LINE, "export T=sk-ant-api03-Hunter2_Hunter2", "export T=sk-ant-…"},
    {"sshd.hostkeyalgorithms", "sk-ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com",
     NULL},
    {LINE, "-----BEGIN OPENSSH PRIVATE KEY-----\\x0ab3BlbnNz",
     "-----BEGIN OPENSSH PRIVATE KEY-----…"},
    {"keys.options",
     "from=\"10.0.0.1\",command=\"/usr/bin/dump --password=Hun\\x5c\"ter2\\x5c\" all\",no-pty",
     "from=\"10.0.0.1\",command=\"/usr/bin/dump --password=…"},
    {"keys.options", "environment=\"RESTIC_PASSWORD=Hunter2\" x",
     "environment=\"RESTIC_PASSWORD=…"},
    {"keys.options", "from=\"10.0.0.1\",restrict", NULL},
    {"packages.foreign_archive", "https://me:Hunter2@deb.example/debian",
     "https://me:…@deb.example/debian"},
    {"packages.foreign_archive", "https://deb.example/debian", NULL},
    {"packages.foreign_archive", "http://[2001:db8::1]:8080/debian", NULL},
    {"wall.unbounded_log", "log prefix \"input: \" counter", NULL},
    {"smtp.able_tls", "PIPELINING SIZE 10240000 AUTH PLAIN LOGIN", NULL},
    {"dns.dkim", "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQ", NULL},
    {"tls.certificate", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", NULL},
    {"", "/etc/postfix/sasl/passwd: Permission denied", NULL},
    {"", "doveconf: mysql_password=Hunter2: unknown setting",
     "doveconf: mysql_password=… unknown setting"},
    {"", "", NULL},
};

static void what_looks_like_a_secret_is_hidden(void **state) {
    unsigned wrong = 0;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_text struct text shown = {0};
        const char *wanted = cases[i].shown ? cases[i].shown : cases[i].value;
        secrets_hide(cases[i].name, span_of(cases[i].value), &shown);
        if (strcmp(shown.at ? shown.at : "", wanted) == 0)
            continue;
        print_error("%s: %s\n  is   %s\n  not  %s\n", cases[i].name, cases[i].value, shown.at,
                    wanted);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void lines_stay_readings(void **state) {
    static const struct {
        struct span lines;
        const char *hidden;
    } cases_of_lines[] = {
        {SPAN("dovecot.mysql_password\ta:b@c\tHunter2\n"), "dovecot.mysql_password\ta:b@c\t…\n"},
        {SPAN("postfix.warning\tpassword=Hunter2\tx\n!\tdovecot.\ttoken=Hunter2 x\n"),
         "postfix.warning\tpassword=…\tx\n!\tdovecot.\ttoken=… x\n"},
        {SPAN("nothing=x password=Hunter2"), "nothing=x password=…\n"},
        {SPAN("sshd.x\t\ta\tpassword=Hunter2\n"), "sshd.x\t\ta\tpassword=…\n"},
        {SPAN("sshd.x\t\ta\0password=Hunter2\n"), "sshd.x\t\t…\n"},
        {SPAN("\t\t\n\n"), "\t\t\n\n"},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases_of_lines); i++) {
        cleanup_text struct text hidden = {0};
        secrets_hide_lines(cases_of_lines[i].lines, &hidden);
        assert_string_equal(hidden.at, cases_of_lines[i].hidden);
    }
}

static bool asks_for_words(enum comparison how) {
    return how != COMPARE_MATCHES && how != COMPARE_MATCHES_NOT && how != COMPARE_SAME_AS &&
           how != COMPARE_ABSENT && how != COMPARE_PRESENT;
}

static void check_clauses(const struct rule *rule, const struct clauses *clauses) {
    for (size_t i = 0; i < clauses->count; i++)
        for (size_t j = 0; j < clauses->at[i].count; j++) {
            const struct condition *asked = &clauses->at[i].at[j];
            cleanup_text struct text shown = {0};
            if (!asks_for_words(asked->how))
                continue;
            secrets_hide(asked->reading, span_of(asked->operand), &shown);
            if (strcmp(shown.at, asked->operand) != 0)
                fail_msg("%s: %s %s", rule->id, asked->reading, shown.at);
        }
}

/* What a rule compares with must come through, or it would be judged otherwise. */
static void no_rule_asks_for_what_is_hidden(void **state) {
    (void)state;
    struct why why = {0};
    struct rules *rules = rules_read(SOURCE_ROOT "/hardening", &why);
    assert_non_null(rules);
    for (size_t i = 0; i < rules->count; i++) {
        check_clauses(&rules->at[i], &rules->at[i].applies);
        check_clauses(&rules->at[i], &rules->at[i].where);
        check_clauses(&rules->at[i], &rules->at[i].wanted);
    }
    rules_free(rules);
}

/* A probe that says a secret: what is gathered does not have it, nor has the reason of one that
 * fails. */
static void nothing_gathered_has_them(void **state) {
    static const char prober[] = "#!/bin/sh\n"
                                 "case $1 in\n"
                                 "sshd) printf 'sshd.banner\\t\\tpassword=Hunter2\\n';;\n"
                                 "*) echo 'it failed: token=Hunter2' >&2; exit 1;;\n"
                                 "esac\n";
    (void)state;
    struct why why = {0};
    char folder[] = "/tmp/hauberk-secrets-XXXXXX";
    char path[100];
    cleanup_text struct text all = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/hauberk-prober", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_true(fd >= 0 && write_all(fd, SPAN(prober)) >= 0 && close(fd) == 0);
    struct rules *rules = rules_read(SOURCE_ROOT "/hardening", &why);
    assert_non_null(rules);
    struct readings *readings = readings_new();
    collect_finish(collect_begin(folder, rules, "sshd", ""), readings);
    readings_write(readings, &all);
    assert_non_null(strstr(all.at, "sshd.banner\t\tpassword=…\n"));
    assert_non_null(strstr(all.at, "it failed: token=…\n"));
    assert_null(strstr(all.at, "Hunter2"));
    readings_free(readings);
    rules_free(rules);
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_looks_like_a_secret_is_hidden),
        cmocka_unit_test(lines_stay_readings),
        cmocka_unit_test(no_rule_asks_for_what_is_hidden),
        cmocka_unit_test(nothing_gathered_has_them),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
