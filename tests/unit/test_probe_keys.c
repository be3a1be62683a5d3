/* What the probes read of keys in files and of package versions: texts that anybody may have written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "probe/debversion.h"
#include "probe/keyblob.h"
#include "probe/sshd_folder.h"

#define RSA_1024 \
    "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxQ=="
#define RSA_3071 \
    "AAAAB3NzaC1yc2EAAAADAQABAAABgQB/xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXF" \
    "xcXFxcXFxcU="
#define ED25519 "AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER"

static void base64_is_decoded(void **state) {
    uint8_t bytes[8];
    (void)state;
    assert_int_equal(base64_decode(SPAN("aGF1YmVyaw=="), bytes, sizeof(bytes)), 7);
    assert_memory_equal(bytes, "hauberk", 7);
    assert_int_equal(base64_decode(SPAN("aGF1\n YmVy"), bytes, sizeof(bytes)), 6);
    assert_int_equal(base64_decode(SPAN(""), bytes, sizeof(bytes)), 0);
    assert_int_equal(base64_decode(SPAN("a!"), bytes, sizeof(bytes)), -EINVAL);
    assert_int_equal(base64_decode((struct span){"a\0b", 3}, bytes, sizeof(bytes)), -EINVAL);
    assert_int_equal(base64_decode(SPAN("aGF1YmVya2hhdWJlcms="), bytes, sizeof(bytes)), -E2BIG);
}

static void public_keys_are_read(void **state) {
    static const struct {
        const char *line, *type, *options, *comment;
        unsigned bits;
    } cases[] = {
        {"ssh-ed25519 " ED25519 " alice@laptop", "ssh-ed25519", "", "alice@laptop", 256},
        {"from=\"192.0.2.0/24\",command=\"echo \\\"a b\\\"\" ssh-ed25519 " ED25519, "ssh-ed25519",
         "from=\"192.0.2.0/24\",command=\"echo \\\"a b\\\"\"", "", 256},
        {"ssh-rsa " RSA_1024 " two words", "ssh-rsa", "", "two words", 1024},
        {"restrict ssh-rsa " RSA_3071, "ssh-rsa", "restrict", "", 3071},
        {"ssh-rsa AAAAB3NzaC1yc2H////weHg=", "ssh-rsa", "", "", 0},
        {"ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQ=", "ecdsa-sha2-nistp384", "", "",
         384},
        {"ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjE=", "ecdsa-sha2-nistp521", "", "",
         521},
        /* A type that is cut short, and what happens to lie behind it: a 3, a 5. */
        {"ecdsa-sha2-nistp AAAAEGVjZHNhLXNoYTItbmlzdHAz", "ecdsa-sha2-nistp", "", "", 256},
        {"ecdsa-sha2-nistp AAAAEGVjZHNhLXNoYTItbmlzdHA1", "ecdsa-sha2-nistp", "", "", 256},
    };
    static const char *const others[] = {"", "   ", "ssh-rsa", "ssh-ed25519 ====", "hello world",
                                         ("from=\"unended ssh-ed25519 " ED25519), "ssh-rsa AAAA",
                                         "ssh-rsa !!!!"};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct public_key key;
        if (!public_key_read(span_of(cases[i].line), &key))
            fail_msg("not read: %s", cases[i].line);
        assert_string_equal(key.type, cases[i].type);
        assert_int_equal(key.bits, cases[i].bits);
        assert_true(span_is(key.options, cases[i].options));
        assert_true(span_is(key.comment, cases[i].comment));
    }
    for (size_t i = 0; i < ELEMENTS_OF(others); i++) {
        struct public_key key;
        if (public_key_read(span_of(others[i]), &key))
            fail_msg("read as a key: %s", others[i]);
    }
}

#define PEM(kind, body) "-----BEGIN " kind "-----\n" body "\n-----END " kind "-----\n"

static void locks_of_private_keys_are_told(void **state) {
    static const struct {
        const char *text, *lock;
    } cases[] = {
        {PEM("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,00\n\nAAAA"),
         "DES-EDE3"},
        {PEM("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA"),
         "AES-128-CBC"},
        {PEM("RSA PRIVATE KEY", "AAAA"), "none"},
        {PEM("PRIVATE KEY", "AAAA"), "none"},
        {PEM("ENCRYPTED PRIVATE KEY", "MCAGCCqGSIb3DQMHBAhzYWx0c2FsdA=="), "DES-EDE3"},
        {PEM("ENCRYPTED PRIVATE KEY", "MCAGCWCGSAFlAwQBKg=="), "yes"},
        {PEM("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0"), "aes256-ctr"},
        {PEM("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ=="), "none"},
        {PEM("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAAY25v"), "yes"},
        {PEM("CERTIFICATE", "AAAA"), NULL},
        {"-----BEGIN OPENSSH PRIVATE KEY-----", "none"},
        {"ssh-ed25519 " ED25519, NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char word[KEY_WORD_MAX];
        const char *lock = private_key_lock(span_of(cases[i].text), word);
        if (!lock != !cases[i].lock || (lock && strcmp(lock, cases[i].lock) != 0))
            fail_msg("%s is said to be locked: %s", cases[i].text, lock ? lock : "no key");
    }
}

static void versions_are_ordered_as_dpkg_does(void **state) {
    /* Each is later than the one before it. */
    static const char *const order[] = {
        "1.0~~", "1.0~beta1-1", "1.0~rc1", "1.0", "1.0-0.1", "1.0-1~bpo12+1", "1.0-1",
        "1.0-1+b1", "1.0-1+deb12u1", "1.0-1+deb12u2", "1.0-1+deb12u10", "1.0-2", "1.0a", "1.0+dfsg-1",
        "1.0.1", "1.2", "1.10", "9.2p1-2", "10.0p1-1", "1:0.9-1", "2:0.1",
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(order); i++)
        for (size_t j = 0; j < ELEMENTS_OF(order); j++) {
            int wanted = i < j ? -1 : i > j;
            int is = debversion_compare(span_of(order[i]), span_of(order[j]));
            if (is != wanted)
                fail_msg("%s against %s is %d", order[i], order[j], is);
        }
    assert_int_equal(debversion_compare(SPAN("0:1.0-0"), SPAN("1.0")), 0);
    assert_int_equal(debversion_compare(SPAN("1.00"), SPAN("1.0")), 0);
}

static void the_folder_of_sshd_is_read_first_or_not(void **state) {
    static const struct {
        const char *text;
        bool is_first;
    } cases[] = {
        {"# x\n\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", true},
        {"port 2222\nListenAddress ::\nINCLUDE sshd_config.d/*.conf\n", true},
        {"Include /etc/ssh/other\nInclude /etc/ssh/sshd_config.d/*.conf\n", true},
        {"PermitRootLogin yes\nInclude /etc/ssh/sshd_config.d/*.conf\n", false},
        {"#Include /etc/ssh/sshd_config.d/*.conf\n", false},
        {"Include", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        if (sshd_folder_is_first(span_of(cases[i].text)) != cases[i].is_first)
            fail_msg("%s", cases[i].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_decoded),
        cmocka_unit_test(public_keys_are_read),
        cmocka_unit_test(locks_of_private_keys_are_told),
        cmocka_unit_test(versions_are_ordered_as_dpkg_does),
        cmocka_unit_test(the_folder_of_sshd_is_read_first_or_not),
    };
    return cmocka_run_group_tests_name("probe_keys", tests, NULL, NULL);
}
