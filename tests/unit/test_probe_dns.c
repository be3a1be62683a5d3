/* What the DNS probe reads that strangers write: records, SPF, tag lists, policies; and the owner's
 * files of DKIM keys.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "probe/dns_records.h"
#include "probe/mail_keys.h"
#include "probe/sender_policy.h"
#include "probe/tags.h"

#define BYTES(literal) ((struct span){(literal), sizeof(literal) - 1})

/* ---- records ---- */

static void names_are_read_or_refused(void **state) {
    static const struct {
        struct span record;
        const char *name; /* NULL: refused */
    } cases[] = {
        {BYTES("\4mail\7example\3org\0"), "mail.example.org"},
        {BYTES("\4MaiL\7EXAMPLE\3org\0"), "mail.example.org"},
        {BYTES("\0"), "."},
        {BYTES("\4a.b \3org\0"), "a?b?.org"}, /* shown, never asked for */
        {BYTES("\3a\0b\3org\0"), "a?b.org"},
        {BYTES("\4mail\7example\3org"), NULL}, /* no end */
        {BYTES("\4mail\0\3org\0"), NULL},      /* something behind the end */
        {BYTES("\4mail\300\014"), NULL},       /* a pointer */
        {BYTES("\77mail\0"), NULL},            /* a label longer than the record */
        {BYTES(""), NULL},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char name[DNS_NAME_MAX];
        bool is_good = record_name(cases[i].record, 0, name);
        assert_int_equal(is_good, cases[i].name != NULL);
        if (is_good)
            assert_string_equal(name, cases[i].name);
    }
}

static void a_name_is_never_longer_than_its_room(void **state) {
    char record[300];
    char name[DNS_NAME_MAX];
    (void)state;
    for (size_t labels = 1; labels < 149; labels++) {
        for (size_t i = 0; i < labels; i++)
            memcpy(record + 2 * i, "\1a", 2);
        record[2 * labels] = '\0';
        bool is_good = record_name((struct span){record, 2 * labels + 1}, 0, name);
        assert_int_equal(is_good, 2 * labels + 1 <= 255);
    }
}

static void texts_are_joined_or_refused(void **state) {
    cleanup_text struct text text = {0};
    cleanup_text struct text broken = {0};
    (void)state;
    assert_true(record_txt(BYTES("\4v=sp\0\002f1"), &text));
    assert_string_equal(text.at, "v=spf1");
    assert_false(record_txt(BYTES("\11v=spf1"), &broken));
    assert_false(record_txt(BYTES(""), &broken));
}

static void tlsa_and_caa(void **state) {
    struct tlsa tlsa;
    cleanup_text struct text text = {0};
    char digest[3 + 32] = {3, 1, 1};
    (void)state;
    assert_true(record_tlsa((struct span){digest, sizeof(digest)}, &tlsa) && tlsa_is_usable(&tlsa));
    assert_true(record_tlsa((struct span){digest, sizeof(digest) - 1}, &tlsa) &&
                !tlsa_is_usable(&tlsa));
    digest[0] = 1;
    assert_true(record_tlsa((struct span){digest, sizeof(digest)}, &tlsa) && !tlsa_is_usable(&tlsa));
    assert_false(record_tlsa(BYTES("\3\1\1"), &tlsa));
    assert_true(record_caa(BYTES("\0\5issueletsencrypt.org"), &text));
    assert_string_equal(text.at, "0 issue \"letsencrypt.org\"");
    assert_false(record_caa(BYTES("\0\50issue"), &text));
    assert_false(record_caa(BYTES("\0\0x"), &text));
}

static void addresses_are_turned_round(void **state) {
    struct address address;
    char name[DNS_NAME_MAX];
    (void)state;
    assert_int_equal(address_parse(SPAN("192.0.2.77"), &address), 0);
    dns_reverse(&address, "zen.spamhaus.org", name);
    assert_string_equal(name, "77.2.0.192.zen.spamhaus.org");
    assert_int_equal(address_parse(SPAN("2001:db8::1f"), &address), 0);
    dns_reverse(&address, NULL, name);
    assert_string_equal(name, "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
                              "ip6.arpa");
}

/* ---- SPF ---- */

static void spf_is_read_or_refused(void **state) {
    static const struct {
        const char *text;
        int terms; /* -1: refused */
        unsigned asks;
        char all;
    } cases[] = {
        {"v=spf1 mx -all", 2, 1, '-'},
        {"v=spf1", 0, 0, 0},
        {"V=SPF1 A MX ~ALL", 3, 2, '~'},
        {"v=spf1 a:mail.example.org/24//64 mx/28 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all", 5, 2, '?'},
        {"v=spf1 include:_spf.example.net exists:%{i}.x.example.org ptr all", 4, 3, '+'},
        {"v=spf1 redirect=_spf.example.net", 1, 1, '>'},
        {"v=spf1 ra=postmaster exp=why.example.org -all", 1, 0, '-'},
        {"v=spf1 ip4:192.0.2.300 -all", -1, 0, 0},
        {"v=spf1 ip4:2001:db8::1 -all", -1, 0, 0},
        {"v=spf1 ip6:192.0.2.1 -all", -1, 0, 0},
        {"v=spf1 ip4 -all", -1, 0, 0},
        {"v=spf1 a/33 -all", -1, 0, 0},
        {"v=spf1 a//129 -all", -1, 0, 0},
        {"v=spf1 include: -all", -1, 0, 0},
        {"v=spf1 include:com -all", -1, 0, 0},
        {"v=spf1 mx,a -all", -1, 0, 0},
        {"v=spf1 -all.", -1, 0, 0},
        {"v=spf1 all:x.org", -1, 0, 0},
        {"v=spf1 redirect=a.org redirect=b.org", -1, 0, 0},
        {"v=spf1 mxx -all", -1, 0, 0},
        {"v=spf10 mx -all", -1, 0, 0},
        {"v=spf2.0/mfrom mx -all", -1, 0, 0},
    };
    static struct spf spf;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct why why = {0};
        int error = spf_read(span_of(cases[i].text), &spf, &why);
        if ((error < 0) != (cases[i].terms < 0))
            fail_msg("%s: %s", cases[i].text, why.text);
        if (error < 0) {
            assert_true(why.text[0]);
            continue;
        }
        unsigned asks = 0;
        for (size_t j = 0; j < spf.count; j++)
            asks += spf_term_asks(&spf.terms[j]);
        if ((int)spf.count != cases[i].terms || asks != cases[i].asks ||
            spf_all(&spf) != cases[i].all)
            fail_msg("%s: %zu terms, %u ask, '%c'", cases[i].text, spf.count, asks, spf_all(&spf));
    }
}

static void a_term_knows_its_networks(void **state) {
    static struct spf spf;
    (void)state;
    assert_int_equal(spf_read(SPAN("v=spf1 a:m.example.org/24//64 mx//56 a/28"), &spf, NULL), 0);
    assert_string_equal(spf.terms[0].target, "m.example.org");
    assert_int_equal(spf.terms[0].v4_bits, 24);
    assert_int_equal(spf.terms[0].v6_bits, 64);
    assert_int_equal(spf.terms[1].v4_bits, 32);
    assert_int_equal(spf.terms[1].v6_bits, 56);
    assert_int_equal(spf.terms[2].v4_bits, 28);
    assert_int_equal(spf.terms[2].v6_bits, 128);
}

static void an_endless_spf_is_refused(void **state) {
    cleanup_text struct text text = {0};
    static struct spf spf;
    struct why why = {0};
    (void)state;
    text_add_string(&text, "v=spf1");
    for (int i = 0; i < 20000; i++)
        text_add_string(&text, " mx");
    assert_int_equal(spf_read(text_span(&text), &spf, &why), -EINVAL);
    assert_true(strstr(why.text, "more than"));
}

/* ---- tags ---- */

static void dmarc_is_read_or_refused(void **state) {
    static const struct {
        const char *text, *policy, *subdomains, *absent; /* policy NULL: refused */
        unsigned percent;
        bool is_test;
    } cases[] = {
        {"v=DMARC1; p=reject; rua=mailto:a@example.org", "reject", "reject", "reject", 100, false},
        {"v=DMARC1;p=quarantine;sp=none;pct=20;t=y", "quarantine", "none", "none", 20, true},
        {"v=DMARC1 ; p = reject ; np=none;", "reject", "reject", "none", 100, false},
        {"v=DMARC1; rua=mailto:a@example.org", NULL, "", "", 0, false},
        {"p=reject; v=DMARC1", NULL, "", "", 0, false},
        {"v=DMARC1; p=deny", NULL, "", "", 0, false},
        {"v=DMARC1; p=none; pct=101", NULL, "", "", 0, false},
        {"v=DMARC1; p=none; p=reject", NULL, "", "", 0, false},
        {"v=DMARC1; p=none; reject", NULL, "", "", 0, false},
        {"v=DMARC1; p=none; rua=", NULL, "", "", 0, false},
        {"v=dmarc1; p=none", NULL, "", "", 0, false},
        {"", NULL, "", "", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct dmarc dmarc;
        struct why why = {0};
        int error = dmarc_read(span_of(cases[i].text), &dmarc, &why);
        if ((error < 0) != !cases[i].policy)
            fail_msg("%s: %s", cases[i].text, why.text);
        if (error < 0) {
            assert_true(why.text[0]);
            continue;
        }
        assert_true(span_is(dmarc.policy, cases[i].policy));
        assert_true(span_is(dmarc.subdomains, cases[i].subdomains));
        assert_true(span_is(dmarc.absent, cases[i].absent));
        assert_int_equal(dmarc.percent, cases[i].percent);
        assert_int_equal(dmarc.is_test, cases[i].is_test);
    }
}

static void receivers_of_reports(void **state) {
    struct span list = SPAN("mailto:a@Example.org!10m, mailto:b@c.net,https://x.org, mailto:d@e f");
    static const char *const receivers[] = {"example.org", "c.net", "", ""};
    char receiver[256];
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(receivers); i++) {
        assert_true(report_domain(&list, receiver));
        assert_string_equal(receiver, receivers[i]);
    }
    assert_false(report_domain(&list, receiver));
}

static void dkim_is_read_or_refused(void **state) {
    static const struct {
        const char *text;
        int length; /* of the key; -1: refused */
        bool is_test, is_revoked;
    } cases[] = {
        {"v=DKIM1; k=rsa; p=AAEC", 3, false, false},
        {"k=ed25519; t=s:y; p=AA EC\tAw==", 4, true, false},
        {"p=AAEC", 3, false, false},
        {"v=DKIM1; p=", 0, false, true},
        {"v=DKIM1; k=rsa", -1, false, false},
        {"k=rsa; v=DKIM1; p=AAEC", -1, false, false},
        {"v=DKIM1; k=dsa; p=AAEC", -1, false, false},
        {"v=DKIM1; s=tlsrpt; p=AAEC", -1, false, false},
        {"v=DKIM1; p=A!EC", -1, false, false},
        {"v=DKIM1; p=AA=C", -1, false, false},
        {"v=DKIM1; p=AAECA", -1, false, false},
        {"v=DKIM1; p=AAEC; p=AAED", -1, false, false},
    };
    static struct dkim dkim;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct why why = {0};
        int error = dkim_read(span_of(cases[i].text), &dkim, &why);
        if ((error < 0) != (cases[i].length < 0))
            fail_msg("%s: %s", cases[i].text, why.text);
        if (error < 0)
            continue;
        assert_int_equal((int)dkim.key_length, cases[i].length);
        assert_int_equal(dkim.is_test, cases[i].is_test);
        assert_int_equal(dkim.is_revoked, cases[i].is_revoked);
    }
}

static void a_key_larger_than_any_is_refused(void **state) {
    cleanup_text struct text text = {0};
    static struct dkim dkim;
    (void)state;
    text_add_string(&text, "v=DKIM1; p=");
    for (int i = 0; i < 10000; i++)
        text_add_string(&text, "AAAA");
    assert_int_equal(dkim_read(text_span(&text), &dkim, NULL), -EINVAL);
}

static void sts_and_reports(void **state) {
    (void)state;
    assert_int_equal(sts_read(SPAN("v=STSv1; id=20261101T0"), NULL), 0);
    assert_int_equal(sts_read(SPAN("v=STSv1; id=2026-11"), NULL), -EINVAL);
    assert_int_equal(sts_read(SPAN("v=STSv1;"), NULL), -EINVAL);
    assert_int_equal(sts_read(SPAN("v=STSv1; id=012345678901234567890123456789012"), NULL), -EINVAL);
    assert_int_equal(tls_reports_read(SPAN("v=TLSRPTv1; rua=mailto:a@b.org,https://c.org/x"), NULL),
                     0);
    assert_int_equal(tls_reports_read(SPAN("v=TLSRPTv1; rua=a@b.org"), NULL), -EINVAL);
    assert_int_equal(tls_reports_read(SPAN("v=TLSRPTv1"), NULL), -EINVAL);
}

static void policies_are_read_or_refused(void **state) {
    static const struct {
        const char *text, *covered, *not_covered; /* covered NULL: refused */
    } cases[] = {
        {"version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmax_age: 604800\r\n",
         "mail.example.org", "mx.example.org"},
        {"version: STSv1\nmode: testing\nmx: *.example.org\nmx:a.net\nmax_age: 1\nfuture: x",
         "mx1.example.org", "a.b.example.org"},
        {"version: STSv1\nmode: enforce\nmx: mail.example.org\n", NULL, ""},
        {"version: STSv1\nmode: enforce\nmax_age: 604800\n", NULL, ""},
        {"version: STSv1\nmode: on\nmx: a.org\nmax_age: 604800\n", NULL, ""},
        {"version: STSv2\nmode: none\nmax_age: 604800\n", NULL, ""},
        {"version: STSv1\nmode: none\nmax_age: 99999999999\n", NULL, ""},
        {"<html>\n<title>404</title>\n", NULL, ""},
        {"", NULL, ""},
    };
    static struct sts_policy policy;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct why why = {0};
        int error = sts_read_policy(span_of(cases[i].text), &policy, &why);
        if ((error < 0) != !cases[i].covered)
            fail_msg("%s: %s", cases[i].text, why.text);
        if (error < 0)
            continue;
        assert_true(sts_covers(&policy, cases[i].covered));
        assert_false(sts_covers(&policy, cases[i].not_covered));
    }
}

/* ---- names and keys ---- */

static void reserved_names_are_known(void **state) {
    static const char *const reserved[] = {"localhost", "mail", "mail.local", "a.example.com",
                                           "mx.test",   "localhost.posteo.de", "x.lan"};
    static const char *const others[] = {"posteo.de", "myexample.com", "test.de", "a.localhosts.org"};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(reserved); i++)
        assert_true(name_is_reserved(reserved[i]));
    for (size_t i = 0; i < ELEMENTS_OF(others); i++)
        assert_false(name_is_reserved(others[i]));
}

static void public_addresses_are_known(void **state) {
    static const char *const inside[] = {"10.0.0.1", "100.64.3.4", "127.0.0.1", "169.254.1.1",
                                         "192.168.1.1", "::1", "fe80::1", "fd00::1", "224.0.0.1"};
    static const char *const outside[] = {"9.9.9.9", "172.32.0.1", "192.0.2.1", "2a01:4f8::1"};
    struct address address;
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(inside); i++)
        if (address_parse(span_of(inside[i]), &address) != 0 || address_is_public(&address))
            fail_msg("%s", inside[i]);
    for (size_t i = 0; i < ELEMENTS_OF(outside); i++)
        if (address_parse(span_of(outside[i]), &address) != 0 || !address_is_public(&address))
            fail_msg("%s", outside[i]);
}

static void keys_of_rspamd(void **state) {
    static struct mail_names names;
    (void)state;
    mail_keys_of_rspamd(SPAN("# \"path\" = \"no\";\n"
                             "path = \"/k/$domain.$selector.key\"; /* selector = no; */\n"
                             "selector = \"s1\";\n"
                             "domain {\n"
                             "  example.org {\n"
                             "    selectors [ { path: \"/k/a.key\", selector: a }, { selector = b; } ]\n"
                             "  }\n"
                             "  example.net = { path = /k/net.key }\n"
                             "}\n"),
                        &names);
    static const char *const wanted[][3] = {
        {"example.org", "a", "/k/a.key"},
        {"example.org", "b", "/k/$domain.$selector.key"},
        {"example.net", "s1", "/k/net.key"},
        {"", "s1", "/k/$domain.$selector.key"},
    };
    assert_int_equal(names.key_count, ELEMENTS_OF(wanted));
    assert_false(names.other_keys[0]);
    for (size_t i = 0; i < ELEMENTS_OF(wanted); i++) {
        assert_string_equal(names.keys[i].domain, wanted[i][0]);
        assert_string_equal(names.keys[i].selector, wanted[i][1]);
        assert_string_equal(names.keys[i].path, wanted[i][2]);
    }
}

static void keys_of_opendkim(void **state) {
    static struct mail_names names;
    (void)state;
    mail_keys_of_opendkim(SPAN("# key table\nmail._domainkey.example.org example.org:mail:/k/mail.private\n"
                               "any %:mail:/k/any\nbroken example.net\ninline example.net:s:MIIE\n"),
                          &names);
    assert_int_equal(names.key_count, 1);
    assert_string_equal(names.keys[0].domain, "example.org");
    assert_string_equal(names.keys[0].selector, "mail");
    assert_string_equal(names.keys[0].path, "/k/mail.private");
    assert_true(names.other_keys[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_or_refused),
        cmocka_unit_test(a_name_is_never_longer_than_its_room),
        cmocka_unit_test(texts_are_joined_or_refused),
        cmocka_unit_test(tlsa_and_caa),
        cmocka_unit_test(addresses_are_turned_round),
        cmocka_unit_test(spf_is_read_or_refused),
        cmocka_unit_test(a_term_knows_its_networks),
        cmocka_unit_test(an_endless_spf_is_refused),
        cmocka_unit_test(dmarc_is_read_or_refused),
        cmocka_unit_test(receivers_of_reports),
        cmocka_unit_test(dkim_is_read_or_refused),
        cmocka_unit_test(a_key_larger_than_any_is_refused),
        cmocka_unit_test(sts_and_reports),
        cmocka_unit_test(policies_are_read_or_refused),
        cmocka_unit_test(reserved_names_are_known),
        cmocka_unit_test(public_addresses_are_known),
        cmocka_unit_test(keys_of_rspamd),
        cmocka_unit_test(keys_of_opendkim),
    };
    hash_open();
    return cmocka_run_group_tests_name("probe dns", tests, NULL, NULL);
}
