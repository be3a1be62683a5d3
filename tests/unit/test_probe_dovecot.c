/* What the probes of Dovecot and Rspamd read: doveconf's blocks of both versions, and what kind of
 * thing stands in a password field.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "probe/look.c"          /* NOLINT: what a probe says through it */
#include "probe/probe_dovecot.c" /* NOLINT: its parser */
#include "probe/rspamd_password.h"

static char *read_dovecot(const char *lines, bool is_old) {
    struct text into = {0};
    struct look look = {.probe = probe_find("dovecot"), .into = &into};
    struct dovecot dovecot = {.look = &look, .is_old = is_old, .lines = span_of(lines)};
    read_lines(&dovecot, dovecot.lines);
    dovecot_listeners_say(&look, &dovecot.listeners, dovecot.protocols, dovecot.listen);
    return text_take(&into);
}

static void says(const char *text, const char *line) {
    if (!text || !strstr(text, line))
        fail_msg("'%s' is not in\n%s", line, text ? text : "nothing");
}

static void who_only_tells_postfix_has_no_logins(void **state) {
    char *inner = read_dovecot("protocols = lmtp\nlisten = *, ::\n"
                               "service lmtp {\n  inet_listener lmtp {\n    port = 24\n  }\n}\n",
                               true);
    char *near = read_dovecot("protocols {\n  imap = yes\n}\nlisten = 127.0.0.1, ::1\n", false);
    (void)state;
    says(inner, "dovecot.logins\t\tnone\n");
    says(near, "dovecot.logins\t\tloopback\n");
    free(inner);
    free(near);
}

static void old_names_become_new_ones(void **state) {
    char *text = read_dovecot("disable_plaintext_auth = no\n"
                              "ssl_prefer_server_ciphers = yes\n"
                              "ssl_cert = </etc/x.pem\n"
                              "mail_location = maildir:/srv/%Ln:LAYOUT=fs\n"
                              "mail_home = /srv/%d/%n\n"
                              "protocols = \" imap lmtp\"\n"
                              "listen = 127.0.0.1\n"
                              "plugin {\n  sieve_max_redirects = 9\n}\n"
                              "protocol imap {\n  mail_plugins = quota\n}\n"
                              "service imap-login {\n  service_count = 0\n"
                              "  inet_listener imaps {\n    port = 993\n    ssl = yes\n"
                              "    address = 192.0.2.1\n  }\n}\n"
                              "service auth {\n  unix_listener /var/x {\n    mode = 0666\n  }\n}\n",
                              true);
    (void)state;
    says(text, "dovecot.auth_allow_cleartext\t\tyes\n");
    says(text, "dovecot.ssl_server_prefer_ciphers\t\tserver\n");
    says(text, "dovecot.ssl_server_cert_file\t\t/etc/x.pem\n");
    says(text, "dovecot.mail_driver\t\tmaildir\n");
    says(text, "dovecot.mail_path\t\t/srv/%{user|username}\n");
    says(text, "dovecot.mail_home\t\t/srv/%{user|domain}/%{user|username}\n");
    says(text, "dovecot.sieve_max_redirects\t\t9\n");
    says(text, "dovecot.mail_plugins\tprotocol imap\tquota\n");
    says(text, "dovecot.login.restart_request_count\timap-login\t0\n");
    says(text, "dovecot.listener.reach\timap-login imaps\tnet\n");
    says(text, "dovecot.listener.reach\timap-login imap\tloopback\n");
    says(text, "dovecot.logins\t\tnet\n");
    says(text, "dovecot.socket.mode\t/var/x\t0666\n");
    assert_null(strstr(text, "pop3"));
    free(text);
}

static void blocks_of_the_new_version(void **state) {
    char *text = read_dovecot("ssl_server_prefer_ciphers = client\n"
                              "mail_plugins =\n"
                              "mail_path = /srv/%{user | username}\n"
                              "protocols {\n  imap = yes\n  pop3 = no\n}\n"
                              "mail_plugins {\n  quota = yes\n  acl = no\n}\n"
                              "ssl_server {\n  prefer_ciphers = server\n}\n"
                              "service imap-login {\n  inet_listener imap {\n  }\n"
                              "  inet_listener imaps {\n    listen = ::1\n  }\n}\n",
                              false);
    (void)state;
    says(text, "dovecot.ssl_server_prefer_ciphers\t\tserver\n");
    assert_null(strstr(text, "\tclient\n"));
    says(text, "dovecot.mail_plugins\t\tquota\n");
    says(text, "dovecot.mail_path\t\t/srv/%{user|username}\n");
    says(text, "dovecot.listener.port\timap-login imap\t143\n");
    says(text, "dovecot.listener.tls\timap-login imap\tstarttls\n");
    says(text, "dovecot.listener.reach\timap-login imaps\tloopback\n");
    assert_null(strstr(text, "pop3-login"));
    free(text);
}

static void a_proxy_has_no_password_for_all(void **state) {
    char *text = read_dovecot("passdb {\n  driver = static\n"
                              "  args = proxy=y host=10.0.0.3 nopassword=y\n}\n",
                              true);
    (void)state;
    says(text, "dovecot.passdb.driver\tstatic\tproxy\n");
    free(text);
    text = read_dovecot("passdb static {\n  fields {\n    nopassword = y\n    proxy = y\n  }\n}\n",
                        false);
    says(text, "dovecot.passdb.driver\tstatic\tproxy\n");
    free(text);
    text = read_dovecot("passdb {\n  driver = static\n  args = proxying=y password=x\n}\n", true);
    says(text, "dovecot.passdb.driver\tstatic\tstatic\n");
    free(text);
}

static void a_name_may_have_a_key_of_its_own(void **state) {
    char *text = read_dovecot("local_name mail.example.org {\n  ssl_server {\n"
                              "    key_file = /etc/passwd\n  }\n}\n",
                              false);
    (void)state;
    says(text, "dovecot.ssl_server_key_file\tlocal_name mail.example.org\t/etc/passwd\n");
    says(text, "dovecot.key.mode\t/etc/passwd\t0");
    free(text);
}

/* Nothing of it may be read past, however it is broken. */
static void broken_blocks_do_no_harm(void **state) {
    static const char *const broken[] = {
        "}\n}\n{\n",
        "{ {\n{\n{\n{\n{\n{\n{\na = b\n}\n",
        "service {\ninet_listener {\nport = x\n",
        "service imap-login {\n  inet_listener {\n    port = 99999999999999999999\n",
        "= x\n",
        "passdb {\n  args = scheme=\n}\n",
        "mail_location =\n",
        "mail_home = %\n"};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(broken); i++)
        for (int is_old = 0; is_old < 2; is_old++)
            free(read_dovecot(broken[i], is_old));
}

static void schemes_of_passwords(void **state) {
    static const struct {
        const char *field, *otherwise, *scheme;
    } cases[] = {{"{SHA512-CRYPT}$6$x$y", NULL, "SHA512-CRYPT"},
                 {"$6$x$y", NULL, "SHA512-CRYPT"},
                 {"$2y$05$x", "", "BLF-CRYPT"},
                 {"{CRYPT}$y$j9T$x", NULL, "YESCRYPT"},
                 {"{ssha.b64}x", NULL, "SSHA"},
                 {"secret", "PLAIN", "PLAIN"},
                 {"abcdefghijklm", NULL, "DES-CRYPT"},
                 {"{argon2id}$argon2id$x", NULL, "ARGON2ID"},
                 {"{", NULL, ""},
                 {"x", NULL, "CRYPT"}};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char scheme[SCHEME_MAX];
        password_scheme(span_of(cases[i].field), cases[i].otherwise, scheme);
        assert_string_equal(scheme, cases[i].scheme);
    }
}

static void kinds_of_rspamd_passwords(void **state) {
    static const struct {
        const char *value, *kind;
    } cases[] = {
        {"q1", "known"},
        {"", "none"},
        {"long and good", "clear"},
        {"$2$x4fukmzdehi8egitgxjfzxdacszxhxed$iydjxoyp7sux34ynzbibjx3ey66xd7nu1tni6qb9xsj7fef3dm7y",
         "hashed"},
        {"$2$x4fukmzdehi8egitgxjfzxdacszxhxed$", "malformed"},
        {"$2$x4fukmzdehi8egitgxjfzxdacszxhxed", "malformed"},
        {"$9$x4fukmzdehi8egitgxjfzxdacszxhxed$iydjxoyp7sux34ynzbibjx3ey66xd7nu1tni6qb9xsj7fef3dm7y",
         "malformed"},
        {"$", "malformed"},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        assert_string_equal(rspamd_password_kind(span_of(cases[i].value)), cases[i].kind);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_only_tells_postfix_has_no_logins), cmocka_unit_test(old_names_become_new_ones), cmocka_unit_test(blocks_of_the_new_version),
        cmocka_unit_test(broken_blocks_do_no_harm),  cmocka_unit_test(schemes_of_passwords),
        cmocka_unit_test(kinds_of_rspamd_passwords),
        cmocka_unit_test(a_proxy_has_no_password_for_all),
        cmocka_unit_test(a_name_may_have_a_key_of_its_own),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
