/* The configuration: what a right one comes to, what guides written for fail2ban come to, its
 * digest and description, scopes and exemptions; and damage. What is said of a wrong one:
 * test_config_errors.c.
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
#include "config/exempt.h"
#include "config/settings.h"
#include "configured.h"

static bool has_notice(const struct config *config, const char *part) {
    char line[1024];
    for (uint32_t i = 0; i < config->notice_count; i++)
        if (strstr(why_format(&config->notices[i], line, sizeof(line)), part))
            return true;
    return false;
}

/* --- what it comes to ----------------------------------------------------------------------- */

static void nothing_written_is_good(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint16_t scope, if_delivered;
        int64_t retry, find, ban;
        bool returns;
    } wanted[] = {
        {"dovecot", SCOPE_MAIL_LOGIN, SCOPE_MAIL_LOGIN, 4, 600, 7200, false},
        {"postfix-sasl", SCOPE_MAIL, SCOPE_MAIL_LOGIN, 3, 600, 14400, false},
        {"recidive", SCOPE_ALL, SCOPE_ALL, 5, 30 * 86400, 7 * 86400, true},
        {"sshd", SCOPE_SSH, SCOPE_SSH, 3, 600, 43200, false},
    };
    forget_owner();
    struct config *config = read_with(NULL);
    assert_int_equal(config->jail_count, ELEMENTS_OF(wanted));
    assert_int_equal(config->filter_count, 3);
    assert_int_equal(config->scope_count, SCOPES_NAMED);
    assert_int_equal(config->notice_count, 0);
    for (size_t i = 0; i < ELEMENTS_OF(wanted); i++) {
        const struct config_jail *jail = &config->jails[i];
        assert_string_equal(jail->name, wanted[i].name);
        assert_true(jail->is_enabled && jail->ban_grows);
        assert_int_equal(jail->scope, wanted[i].scope);
        assert_int_equal(jail->mail_scope_if_delivered, wanted[i].if_delivered);
        assert_int_equal(jail->max_retry, wanted[i].retry);
        assert_int_equal(jail->find_seconds, wanted[i].find);
        assert_int_equal(jail->ban_seconds, wanted[i].ban);
        assert_int_equal(jail->ban_most_seconds, 28 * 86400);
        assert_int_equal(jail->counts == COUNTS_RETURNS, wanted[i].returns);
        assert_int_equal(jail->prefix_v6, 64);
        assert_int_equal(jail->ignore_count, 0);
        assert_int_equal(jail->log_paths.count, wanted[i].returns ? 0 : 1);
        if (!wanted[i].returns)
            assert_string_equal(config->filters[jail->filter].name, wanted[i].name);
    }
    assert_false(config->observe || config->follow_symlinks);
    assert_int_equal(config->ledger_most, 262144);
    assert_int_equal(config->bans_most, 1000000);
    assert_int_equal(config->evidence_days, 90);
    assert_int_equal(config->unknown_names_days, 7);
    config_free(config);
}

static void every_setting_arrives(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with(
        "[hauberk]\nadmin = 192.0.2.1, 2001:db8::/32\n  198.51.100.7/24\nobserve = yes\n"
        "follow-symlinks = on\nledger-addresses = 5000\nbans-most = 6000\nevidence-days = 7\n"
        "[jail web]\nenabled = true\nfilter = sshd[mode=\"normal\"][]\n"
        "logpath = /var/log/a.log tail\n  /var/log/b*.log head /var/log/c.log /var/log/a.log\n"
        "backend = polling\nmaxretry = 7\nfindtime = 1h 30m\nbantime = -1\n"
        "bantime.increment = no\nbantime.maxtime = 1w\nport = 8000:8010,http\n"
        "ignoreip = 127.0.0.1/8 ::1\nignoreself = true\nprefix-v6 = 56\nusedns = no\n"
        "mode = normal\n");
    char text[PREFIX_TEXT_MAX];
    assert_int_equal(config->admin_count, 3);
    assert_string_equal(prefix_format(&config->admin[2], text), "198.51.100.0/24");
    assert_true(config->observe && config->follow_symlinks);
    assert_int_equal(config->ledger_most, 5000);
    assert_int_equal(config->bans_most, 6000);
    assert_int_equal(config->evidence_days, 7);
    const struct config_jail *jail = find_jail(config, "web");
    assert_true(jail->is_enabled && !jail->ban_grows);
    assert_string_equal(config->filters[jail->filter].name, "sshd");
    assert_int_equal(jail->filter, find_jail(config, "sshd")->filter);
    assert_int_equal(jail->log_paths.count, 3);
    assert_string_equal(jail->log_paths.at[1].text, "/var/log/b*.log");
    assert_int_equal(jail->log_paths.at[1].origin.line, 13);
    assert_string_equal(jail->log_paths.at[2].text, "/var/log/c.log");
    assert_int_equal(jail->backend, BACKEND_FILE);
    assert_int_equal(jail->max_retry, 7);
    assert_int_equal(jail->find_seconds, 5400);
    assert_int_equal(jail->ban_seconds, -1);
    assert_int_equal(jail->ban_most_seconds, 7 * 86400);
    assert_int_equal(jail->scope, SCOPES_NAMED);
    assert_int_equal(config->scopes[jail->scope].range_count, 2);
    assert_int_equal(jail->ignore_count, 2);
    assert_string_equal(prefix_format(&jail->ignore[0], text), "127.0.0.0/8");
    assert_int_equal(jail->prefix_v6, 56);
    assert_int_equal(jail->origin.line, 10);
    assert_int_equal(config->notice_count, 0);
    config_free(config);
}

static void filters_are_found_and_extended(void **state) {
    (void)state;
    forget_owner();
    write_file("etc/filters/sshd.local", "[Definition]\nfailregex = %(known/failregex)s\n"
                                         "            ^also <ADDR>%%$\nservice = ssh\n");
    write_file("etc/filters/dovecot.conf",
               "[INCLUDES]\nbefore = postfix-sasl.conf\n[Definition]\n_daemon = dovecot\n"
               "prefregex = ^%(_daemon)s\\[<F-MLFID>\\d+</F-MLFID>\\]: <F-CONTENT>.+</F-CONTENT>$\n"
               "failregex = %(mine)s\n   ^c$\nmine = ^a <HOST>$\n  ^b$\nsuccessregex = ^d$\n"
               "ignoreregex =\ndatepattern = {^LN-BEG}\nmaxlines = 1\n");
    struct config *config = read_with(NULL);
    const struct config_filter *ssh = &config->filters[find_jail(config, "sshd")->filter];
    assert_int_equal(ssh->fail.count, 2);
    assert_string_equal(ssh->fail.at[0].text, "^refused <HOST>$");
    assert_non_null(strstr(ssh->fail.at[0].origin.file, "data/filters/sshd.conf"));
    assert_string_equal(ssh->fail.at[1].text, "^also <ADDR>%$");
    assert_non_null(strstr(ssh->fail.at[1].origin.file, "etc/filters/sshd.local"));
    assert_int_equal(ssh->fail.at[1].origin.line, 3);
    assert_string_equal(ssh->service, "ssh");
    assert_int_equal(ssh->max_lines, 1);
    assert_null(ssh->prefix.text);
    const struct config_filter *dovecot = &config->filters[find_jail(config, "dovecot")->filter];
    assert_string_equal(dovecot->prefix.text,
                        "^dovecot\\[<F-MLFID>\\d+</F-MLFID>\\]: <F-CONTENT>.+</F-CONTENT>$");
    assert_int_equal(dovecot->fail.count, 3);
    assert_int_equal(dovecot->fail.at[1].origin.line, 9); /* of `mine` */
    assert_int_equal(dovecot->fail.at[2].origin.line, 7);
    assert_int_equal(dovecot->success.count, 1);
    assert_int_equal(dovecot->ignore.count, 0);
    assert_string_equal(dovecot->date_pattern.text, "{^LN-BEG}");
    assert_int_equal(dovecot->max_lines, 1);
    assert_string_equal(dovecot->service, "dovecot");
    config_free(config);
}

static void disabled_jails_need_no_filter(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with("[sshd]\nenabled = no\nfilter = not-there\n"
                                      "[jail mine]\ncounts = returns\nenabled = yes\n");
    assert_false(find_jail(config, "sshd")->is_enabled);
    assert_true(find_jail(config, "mine")->counts == COUNTS_RETURNS);
    assert_int_equal(config->filter_count, 2);
    config_free(config);
}

static void long_bantime_is_not_cut(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with("[sshd]\nbantime = 1y\n");
    assert_int_equal(find_jail(config, "sshd")->ban_most_seconds, 31557600);
    config_free(config);
}

static void later_files_win(void **state) {
    (void)state;
    forget_owner();
    write_file("etc/hauberk.d/20.conf", "[sshd]\nmaxretry = 20\nbantime = 20m\n");
    write_file("etc/hauberk.d/10.conf", "[jail sshd]\nmaxretry = 10\nfindtime = 10h\n");
    write_file("etc/hauberk.d/10.local", "[sshd]\nprefix-v6 = 48\n");
    write_file("etc/hauberk.local", "[sshd]\nbantime = %(known/bantime)s 1s\n");
    struct config *config = read_with("[sshd]\nmaxretry = 1\nfindtime = 1h\nbantime = 1m\n");
    const struct config_jail *jail = find_jail(config, "sshd");
    assert_int_equal(jail->max_retry, 20);
    assert_int_equal(jail->find_seconds, 36000);
    assert_int_equal(jail->ban_seconds, 1201);
    assert_int_equal(jail->prefix_v6, 48);
    config_free(config);
}

/* --- guides --------------------------------------------------------------------------------- */

static void owners_default_goes_before_shipped_numbers(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with("[DEFAULT]\nbantime = 3600\nfindtime = 900\nmaxretry = 6\n"
                                      "port = 0:65535\nfilter = %(__name__)s[mode=%(mode)s]\n"
                                      "[dovecot]\nmaxretry = 8\n");
    const struct config_jail *sshd = find_jail(config, "sshd");
    assert_int_equal(sshd->ban_seconds, 3600);
    assert_int_equal(sshd->find_seconds, 900);
    assert_int_equal(sshd->max_retry, 6);
    assert_int_equal(sshd->scope, SCOPE_SSH);
    assert_int_equal(find_jail(config, "dovecot")->max_retry, 8);
    const struct config_jail *recidive = find_jail(config, "recidive");
    assert_int_equal(recidive->ban_seconds, 7 * 86400);
    assert_int_equal(recidive->find_seconds, 30 * 86400);
    assert_int_equal(recidive->max_retry, 5);
    config_free(config);
}

static void owners_default_can_disable(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with("[DEFAULT]\nenabled = false\n[sshd]\nenabled = true\n");
    for (uint32_t i = 0; i < config->jail_count; i++)
        assert_int_equal(config->jails[i].is_enabled, strcmp(config->jails[i].name, "sshd") == 0);
    config_free(config);
}

/* The mail server guide: numbers in [DEFAULT], jails with lists of ports. */
static void mail_guide_is_taken(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with(
        "# jail.local of a mail server\n"
        "[DEFAULT]\nbantime = 7200\nfindtime = 300\nmaxretry = 4\n\n"
        "[postfix-sasl]\nenabled = true\nport = smtp,465,submission\nfilter = postfix-sasl\n"
        "logpath = /var/log/mail.log\nbackend = auto\n\n"
        "[dovecot]\nenabled = true\nport = pop3,pop3s,imap,imaps,submission,465,sieve\n"
        "filter = dovecot\nlogpath = /var/log/mail.log\nbackend = auto\n");
    const struct config_jail *sasl = find_jail(config, "postfix-sasl");
    char text[64];
    assert_string_equal(scope_describe(&config->scopes[sasl->scope], text, sizeof(text)),
                        "ports 25, 465, 587");
    assert_int_equal(sasl->ban_seconds, 7200);
    assert_int_equal(sasl->max_retry, 4);
    assert_int_equal(find_jail(config, "dovecot")->scope, SCOPE_MAIL_LOGIN);
    assert_int_equal(config->notice_count, 0);
    config_free(config);
}

/* The journal guide: actions of one's own, reports, fail2ban's log for recidive. */
static void journal_guide_is_taken(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with(
        "[DEFAULT]\nignoreip = 127.0.0.1/8 ::1 198.51.100.0/24\nbanaction = nftables\n"
        "banaction_allports = nftables[type=allports]\ndestemail = postmaster@example.org\n"
        "sender = guard@example.org\nmta = mail\naction = %(action_mwl)s\nchain = input\n"
        "protocol = tcp\nusedns = warn\nabuseipdb_apikey = none\nreport_category = 18\n\n"
        "[sshd]\nenabled = true\nport = ssh\nlogpath = %(sshd_log)s\nbackend = %(sshd_backend)s\n"
        "mode = normal\n\n"
        "[dovecot]\nenabled = true\nbackend = systemd\nfindtime = 15m\nmaxretry = 6\n"
        "bantime = 3h\njournalmatch = _SYSTEMD_UNIT=dovecot.service\n"
        "action = %(action_mw)s\n         %(action_report)s[category=\"%(report_category)s\"]\n\n"
        "[recidive]\nenabled = true\nlogpath = /var/log/fail2ban.log\nfindtime = 2d\n"
        "maxretry = 3\nbantime = 14d\nbanaction = %(banaction_allports)s\n");
    assert_int_equal(find_jail(config, "sshd")->ignore_count, 3);
    assert_string_equal(find_jail(config, "sshd")->log_paths.at[0].text, "/var/log/auth.log");
    assert_int_equal(find_jail(config, "dovecot")->backend, BACKEND_JOURNAL);
    const struct config_jail *recidive = find_jail(config, "recidive");
    assert_int_equal(recidive->find_seconds, 2 * 86400);
    assert_int_equal(recidive->max_retry, 3);
    assert_int_equal(recidive->ban_seconds, 14 * 86400);
    assert_int_equal(recidive->log_paths.count, 0);
    assert_true(has_notice(config, "etc/hauberk.conf:3: banaction in [DEFAULT] has no effect: "
                                   "hauberk bans in its own nftables table"));
    assert_true(has_notice(config, "usedns = warn in [DEFAULT] is read as no"));
    assert_string_equal(find_jail(config, "dovecot")->journal,
                        "journal: _SYSTEMD_UNIT=dovecot.service");
    assert_true(has_notice(config, "logpath in [recidive] has no effect: the jail counts returns"));
    assert_int_equal(config->notice_count, 13);
    config_free(config);
}

static void notices_are_bounded(void **state) {
    (void)state;
    cleanup_text struct text text = {0};
    forget_owner();
    for (int i = 0; i < 50; i++)
        text_add_format(&text, "[jail j%d]\naction = x\nbanaction = y\n", i);
    write_bytes(CONF, text_span(&text));
    struct config *config = read_with(NULL);
    assert_int_equal(config->notice_count, 64);
    assert_true(has_notice(config, "and more settings without effect; these are the first 63"));
    config_free(config);
}

/* --- digests and descriptions --------------------------------------------------------------- */

static void digest_covers_everything_read(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
    } files[] = {
        {"etc/hauberk.conf", "[sshd]\nmaxretry = 3\n"},
        {"etc/hauberk.conf", "[sshd]\nmaxretry = 4\n"},
        {"etc/hauberk.d/1.conf", "# nothing\n"},
        {"etc/hauberk.d/1.local", ""},
        {"etc/hauberk.local", "# nothing\n"},
        {"etc/filters/sshd.local", "# nothing\n"},
        {"etc/filters/sshd.conf", "[Definition]\nfailregex = ^refused <HOST>$\n"},
    };
    struct digest seen[ELEMENTS_OF(files)];
    forget_owner();
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        write_file(files[i].name, files[i].text);
        struct config *config = read_with(NULL);
        struct config *again = read_with(NULL);
        seen[i] = config->digest;
        assert_true(digest_equals(&config->digest, &again->digest));
        for (size_t k = 0; k < i; k++)
            assert_false(digest_equals(&seen[k], &seen[i]));
        config_free(config);
        config_free(again);
    }
}

static void description_is_a_configuration(void **state) {
    (void)state;
    cleanup_text struct text first = {0};
    cleanup_text struct text second = {0};
    forget_owner();
    struct config *config = read_with("[DEFAULT]\nbantime = 3h\n[sshd]\nignoreip = 192.0.2.1\n"
                                      "  192.0.2.2\nenabled = TRUE\n");
    config_describe(config, false, &first);
    assert_non_null(strstr(first.at, "[hauberk]\nadmin ="));
    assert_non_null(strstr(first.at, "[jail sshd]\n"));
    assert_non_null(strstr(first.at, "ignoreip = 192.0.2.1 192.0.2.2 "));
    assert_non_null(strstr(first.at, "enabled = yes "));
    assert_non_null(strstr(first.at, "etc/hauberk.conf:2\n"));
    assert_non_null(strstr(first.at, "data/jails/sshd.conf:7\n"));
    assert_non_null(strstr(first.at, "# built in\n"));
    /* A jail that reads no log has neither filter nor log. */
    const char *recidive = strstr(first.at, "[jail recidive]\n");
    assert_non_null(recidive);
    const char *end = strstr(recidive, "\n\n");
    assert_non_null(memmem(recidive, (size_t)(end - recidive), "maxretry = ", 11));
    assert_null(memmem(recidive, (size_t)(end - recidive), "filter = ", 9));
    assert_null(memmem(recidive, (size_t)(end - recidive), "logpath = ", 10));
    config_free(config);

    /* With ; for # it can be read again and then says the same. */
    for (char *at = first.at; (at = strchr(at, '#'));)
        *at = ';';
    write_bytes(CONF, text_span(&first));
    config = read_with(NULL);
    config_describe(config, false, &second);
    struct span a = text_span(&first);
    struct span b = text_span(&second);
    while (a.length > 0) {
        struct span x = span_cut(&a, '\n');
        struct span y = span_cut(&b, '\n');
        const char *end_of_x = x.length ? memchr(x.at, ';', x.length) : NULL;
        const char *end_of_y = y.length ? memchr(y.at, '#', y.length) : NULL;
        if (end_of_x && end_of_y)
            x.length = (size_t)(end_of_x - x.at), y.length = (size_t)(end_of_y - y.at);
        assert_true(span_equals(x, y));
    }
    config_free(config);
}

static void description_is_json(void **state) {
    (void)state;
    cleanup_text struct text text = {0};
    forget_owner();
    struct config *config = read_with("[hauberk]\nadmin = 192.0.2.1,192.0.2.2\n[sshd]\n"
                                      "bantime = 1h 5s\nport = 22\naction = \"x\"\n");
    config_describe(config, true, &text);
    assert_non_null(strstr(text.at, "\"admin\":{\"value\":[\"192.0.2.1\",\"192.0.2.2\"],"));
    assert_non_null(strstr(text.at, "\"bantime\":{\"value\":3605,\"file\":\""));
    assert_non_null(
        strstr(text.at, "\"bantime.increment\":{\"value\":true,\"file\":\"\",\"line\":0}"));
    assert_non_null(strstr(text.at, "{\"name\":\"sshd\",\"scope\":\"ssh\",\"settings\":{"));
    assert_non_null(strstr(text.at, "\"line\":6,\"text\":\"action in [sshd] has no effect"));
    config_free(config);
}

static void json_strings_are_quoted(void **state) {
    (void)state;
    static const struct {
        struct span bytes;
        const char *wanted;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\0\n\t\x1f\x7f", 5}, "\"\\u0000\\u000a\\u0009\\u001f\\u007f\""},
        {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f", 9}, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f\""},
        {{"\xe2\x80\xae", 3}, "\"\xe2\x80\xae\""},
        {{"\xff" "a", 2}, "\"\xef\xbf\xbd" "a\""},
        {{"\xc0\x80", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xe2\x82", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_text struct text text = {0};
        text_add_json(&text, cases[i].bytes);
        assert_string_equal(text.at, cases[i].wanted);
    }
}

/* --- scopes --------------------------------------------------------------------------------- */

static void scopes_are_parsed(void **state) {
    (void)state;
    static const struct {
        const char *text, *name, *sentence;
    } cases[] = {
        {"ssh", "ssh", "the SSH port"},
        {"22", "ssh", "the SSH port"},
        {"22, 22 ssh", "ssh", "the SSH port"},
        {"mail-login", "mail-login", "the mail login ports"},
        {"4190,995,993,587,465,143,110", "mail-login", "the mail login ports"},
        {"mail-login,smtp", "mail", "the mail ports"},
        {"https,http", "web", "the web ports"},
        {"all", "all", "every port"},
        {"0:65535", "all", "every port"},
        {"1-65535", "all", "every port"},
        {"8080", NULL, "port 8080"},
        {"1500:2000,1000-1499 8080", NULL, "ports 1000-2000, 8080"},
        {"xmpp-client", NULL, "port 5222"},
        {"mail,8080", NULL, "ports 25, 110, 143, 465, 587, 993, 995, 4190, 8080"},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct scope scope;
        struct why why = {0};
        char text[128];
        assert_int_equal(scope_parse(span_of(cases[i].text), &scope, &why), 0);
        if (cases[i].name)
            assert_string_equal(scope.name, cases[i].name);
        else
            assert_true(strncmp(scope.name, "ports_", 6) == 0 && strlen(scope.name) == 18);
        assert_string_equal(scope_describe(&scope, text, sizeof(text)), cases[i].sentence);
    }
}

static void equal_ports_have_equal_names(void **state) {
    (void)state;
    struct scope a, b, c;
    assert_int_equal(scope_parse(SPAN("8080,9000:9010"), &a, NULL), 0);
    assert_int_equal(scope_parse(SPAN("9005-9010 9000:9005,http-alt"), &b, NULL), 0);
    assert_int_equal(scope_parse(SPAN("8080,9000:9011"), &c, NULL), 0);
    assert_string_equal(a.name, b.name);
    assert_string_not_equal(a.name, c.name);
}

static void scopes_are_bounded(void **state) {
    (void)state;
    cleanup_text struct text text = {0};
    struct scope scope;
    struct why why = {0};
    for (unsigned i = 1; i <= SCOPE_RANGES_MAX; i++)
        text_add_format(&text, "%u,", i * 10);
    assert_int_equal(scope_parse(text_span(&text), &scope, &why), 0);
    assert_int_equal(scope.range_count, SCOPE_RANGES_MAX);
    text_add_string(&text, "9");
    assert_int_equal(scope_parse(text_span(&text), &scope, &why), 0);
    text_add_string(&text, ",7");
    assert_int_equal(scope_parse(text_span(&text), &scope, &why), -E2BIG);
    static const char *const bad[] = {"", ",", "-", ":", "1:", ":1", "1-2-3", "2:1", "0:5",
                                      "65536", "99999999999999999999", "+1", "1 000 0x1"};
    for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
        assert_true(scope_parse(span_of(bad[i]), &scope, &why) < 0);
}

/* --- the table ------------------------------------------------------------------------------ */

static void defaults_are_good_values(void **state) {
    (void)state;
    for (size_t i = 0; i < jail_setting_count + hauberk_setting_count; i++) {
        cleanup_keep struct keep keep = {0};
        const struct setting *setting = i < jail_setting_count
                                            ? &jail_settings[i]
                                            : &hauberk_settings[i - jail_setting_count];
        bool is_reference = setting->fallback[0] == '%';
        struct ini_line line = {is_reference ? "name" : setting->fallback, "", 0};
        struct setting_text text = {"x", {&line, 1}};
        struct setting_value value;
        struct why why = {0};
        if (setting_read(setting, &text, &keep, &value, &why) < 0)
            fail_msg("%s", why.text);
        assert_true(strlen(setting->help) > 20);
        assert_true(setting->help[strlen(setting->help) - 1] == '.');
        assert_null(named_text_find(ignored_keys, setting->key));
    }
    assert_string_equal(jail_settings[0].key, "counts"); /* see settings.def */
}

/* --- damage --------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state) { /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static const char good[] =
    "[INCLUDES]\nafter = other.local\n[DEFAULT]\nbantime = 1h ; comment\nmine = 22\n"
    "ignoreip = 127.0.0.1/8 ::1\n  2001:db8::/32\n[hauberk]\nadmin = 192.0.2.1,192.0.2.2\n"
    "observe = no\n[sshd]\nport = %(mine)s,8000:9000\nfilter = sshd[mode=normal]\n"
    "logpath = %(sshd_log)s\n\n  /var/log/*.log tail\nbantime = %(known/bantime)s + 5m * 2\n"
    "action = %(x)s\n[jail web]\ncounts = returns\nenabled = true\nmaxretry : 5\n";

static const char good_filter[] =
    "[Definition]\n_x = ^a\nprefregex = %(_x)s<F-CONTENT>.+</F-CONTENT>\nfailregex = ^b <HOST>$\n"
    "  ^c <F-USER>\\S+</F-USER> <ADDR>$\nservice = x\n[Init]\nmaxlines = 1\n";

static size_t damage(uint64_t *seed, char *bytes, size_t length, size_t room) {
    static const char spice[] = "%()[]=:;#\n\n \t,/\\<>\"'\0\xff\xc3\xa0-*.0s";
    for (uint64_t hits = 1 + next_random(seed) % 8; hits > 0 && length > 2; hits--) {
        size_t at = next_random(seed) % length;
        char c = spice[next_random(seed) % (sizeof(spice) - 1)];
        size_t run = 1 + next_random(seed) % 16;
        if (run > length - at)
            run = length - at;
        switch (next_random(seed) % 4) {
        case 0: /* change */
            bytes[at] = c;
            break;
        case 1: /* cut out */
            memmove(bytes + at, bytes + at + run, length - at - run);
            length -= run;
            break;
        case 2: /* put in */
            if (length == room)
                break;
            memmove(bytes + at + 1, bytes + at, length - at);
            bytes[at] = c;
            length++;
            break;
        default: /* say twice */
            if (length + run > room)
                break;
            memmove(bytes + at + run, bytes + at, length - at);
            length += run;
        }
    }
    return length;
}

/* Whatever is in the files: a snapshot, or a reason with a place. */
static void damaged_files_do_no_harm(void **state) {
    (void)state;
    enum { ROUNDS = 3000 };
    uint64_t seed = 20261121;
    unsigned accepted = 0;
    char bytes[2048];
    forget_owner();
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool is_filter = round % 3 == 0;
        const char *source = is_filter ? good_filter : good;
        size_t length = strlen(source);
        memcpy(bytes, source, length);
        if (round > 2)
            length = damage(&seed, bytes, length, sizeof(bytes));
        struct span all = {bytes, length};
        write_bytes(CONF, is_filter ? SPAN("") : all);
        write_bytes("etc/filters/sshd.conf", is_filter ? all : span_of(good_filter));
        struct config *config = NULL;
        struct why why = {0};
        if (config_read(config_folder, data_folder, &config, &why) >= 0) {
            cleanup_text struct text text = {0};
            config_describe(config, round % 2, &text);
            assert_int_equal(text.error, 0);
            assert_true(text.length > 100);
            accepted++;
        } else {
            assert_true(why.text[0] && why.file[0]);
        }
        config_free(config);
    }
    assert_true(accepted > 10 && accepted < ROUNDS - 1000);
}

struct exempt_list {
    char text[1024];
};

static void list_exempt(void *context, const struct prefix *prefix) {
    struct exempt_list *list = context;
    char text[PREFIX_TEXT_MAX];
    size_t used = strlen(list->text);
    snprintf(list->text + used, sizeof(list->text) - used, "%s ", prefix_format(prefix, text));
}

/* One jail's list is its own, a person bans what no jail ignores, and nobody what all ignore. */
static void exemptions_are_whose_they_are(void **state) {
    (void)state;
    forget_owner();
    struct config *config = read_with("[hauberk]\nadmin = 192.0.2.1\n"
                                      "[sshd]\nignoreip = 10.0.0.0/8 198.51.100.0/24\n"
                                      "[dovecot]\nignoreip = 10.1.0.0/16 10.2.0.0/16\n"
                                      "[recidive]\nignoreip = 10.0.0.0/8\n"
                                      "[postfix-sasl]\nignoreip = 10.1.0.0/16 10.2.3.0/24\n");
    config_take_resolvers(config, SPAN("# none\nnameserver 9.9.9.9\nnameserver ::zz\n"
                                       "search 8.8.8.8\nnameserver 2620:fe::fe"));
    int sshd = config_find_jail(config, SPAN("sshd"), NULL);
    int dovecot = config_find_jail(config, SPAN("dovecot"), NULL);
    assert_true(sshd >= 0 && dovecot >= 0);
    const struct {
        int whose;
        const char *prefix;
        enum config_exemption wanted;
    } cases[] = {
        {sshd, "192.0.2.1", CONFIG_EXEMPT_ADMIN},
        {EXEMPT_BY_HAND, "192.0.2.0/24", CONFIG_EXEMPT_ADMIN},
        {sshd, "9.9.9.9", CONFIG_EXEMPT_RESOLVER},
        {EXEMPT_EVERYWHERE, "2620:fe::/64", CONFIG_EXEMPT_RESOLVER},
        {sshd, "8.8.8.8", CONFIG_NOT_EXEMPT},
        {sshd, "198.51.100.9", CONFIG_EXEMPT_IGNOREIP},
        {dovecot, "198.51.100.9", CONFIG_NOT_EXEMPT},
        {EXEMPT_BY_HAND, "198.51.100.9", CONFIG_EXEMPT_IGNOREIP},
        {EXEMPT_EVERYWHERE, "198.51.100.9", CONFIG_NOT_EXEMPT},
        {EXEMPT_EVERYWHERE, "10.1.9.9", CONFIG_EXEMPT_IGNOREIP},
        {EXEMPT_EVERYWHERE, "10.2.3.9", CONFIG_EXEMPT_IGNOREIP},
        {EXEMPT_EVERYWHERE, "10.2.4.9", CONFIG_NOT_EXEMPT},
        {EXEMPT_EVERYWHERE, "10.3.0.0", CONFIG_NOT_EXEMPT},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct prefix prefix;
        assert_true(prefix_parse(span_of(cases[i].prefix), &prefix) >= 0);
        if (config_exemption_of(config, cases[i].whose, &prefix) != cases[i].wanted)
            fail_msg("%s for %d", cases[i].prefix, cases[i].whose);
    }
    struct exempt_list list = {""};
    config_each_exempt(config, EXEMPT_EVERYWHERE, list_exempt, &list);
    assert_string_equal(list.text,
                        "192.0.2.1 9.9.9.9 2620:fe::fe 10.1.0.0/16 10.1.0.0/16 10.2.3.0/24 ");
    struct why why = {0};
    assert_int_equal(config_find_jail(config, SPAN("dovcot"), &why), -ENOENT);
    assert_string_equal(why.text, "there is no jail 'dovcot'; did you mean 'dovecot'?");
    config_free(config);
}

int main(void) {
    hash_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_written_is_good),
        cmocka_unit_test(every_setting_arrives),
        cmocka_unit_test(filters_are_found_and_extended),
        cmocka_unit_test(disabled_jails_need_no_filter),
        cmocka_unit_test(long_bantime_is_not_cut),
        cmocka_unit_test(later_files_win),
        cmocka_unit_test(owners_default_goes_before_shipped_numbers),
        cmocka_unit_test(owners_default_can_disable),
        cmocka_unit_test(mail_guide_is_taken),
        cmocka_unit_test(journal_guide_is_taken),
        cmocka_unit_test(notices_are_bounded),
        cmocka_unit_test(digest_covers_everything_read),
        cmocka_unit_test(description_is_a_configuration),
        cmocka_unit_test(description_is_json),
        cmocka_unit_test(json_strings_are_quoted),
        cmocka_unit_test(scopes_are_parsed),
        cmocka_unit_test(equal_ports_have_equal_names),
        cmocka_unit_test(scopes_are_bounded),
        cmocka_unit_test(exemptions_are_whose_they_are),
        cmocka_unit_test(defaults_are_good_values),
        cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, configured_make, scratch_remove);
}
