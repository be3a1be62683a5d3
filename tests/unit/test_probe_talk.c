/* What the probes of the network make of foreign bytes: a server's first flight of TLS, the kernel's
 * table of listeners, nginx's files; and what a cipher suite is worth.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"
#include "probe/listeners.h"
#include "probe/nginx.h"
#include "probe/run.h"
#include "probe/tls_hello.h"

static struct text bytes_of(const char *digits) {
    struct text text = {0};
    for (const char *at = digits; *at; at++) {
        unsigned byte;
        if (*at == ' ')
            continue;
        assert_int_equal(sscanf(at++, "%2x", &byte), 1);
        text_add_char(&text, (char)byte);
    }
    return text;
}

#define RANDOM "0101010101010101010101010101010101010101010101010101010101010101"

static void first_flights_are_read(void **state) {
    static const struct {
        const char *name, *digits;
        int status;
        struct tls_answer answer;
    } cases[] = {
        {"nothing yet", "", 0, {0}},
        {"half a record", "16 0303 0030 02", 0, {0}},
        {"not TLS", "32 32 30 20 6d", -EPROTO, {0}},
        {"a refusal", "15 0303 0002 02 28", 1, {.alert = 40}},
        {"a warning, then a refusal", "15 0303 0002 01 70 15 0303 0002 02 28", 1, {.alert = 40}},
        {"a warning only", "15 0303 0002 01 70", 0, {0}},
        {"1.3 asks for a share: suite and group, a change of ciphers behind it",
         "16 0303 0038 02 000034 0303" RANDOM "00 1301 00 000c 002b00020304 003300020018"
         "14 0303 0001 01",
         1, {.version = TLS_1_3, .suite = 0x1301, .group = 24}},
        {"SSL 3, no extensions, key exchange by RSA",
         "16 0300 002e 02 000026 0300" RANDOM "00 0005 00 0e 000000", 1,
         {.version = SSL_3, .suite = 5}},
        {"it compresses, and knows the extended master secret",
         "16 0303 0038 02 000030 0303" RANDOM "00 002f 01 0008 00170000 00230000 0e 000000", 1,
         {.version = TLS_1_2, .suite = 0x2f, .compresses = true, .has_master_secret = true,
          .has_tickets = true}},
        {"a curve, and a signature with SHA-1, in two records",
         "16 0303 002a 02 000026 0303" RANDOM "00 c02f 00"
         "16 0303 000d 0c 000009 03 001d 01 00 0201 0000",
         1, {.version = TLS_1_2, .suite = 0xc02f, .group = 29, .signature = 0x0201}},
        {"a prime of nine bits",
         "16 0303 002a 02 000026 0303" RANDOM "00 009e 00"
         "16 0303 0013 0c 00000f 0003 0001ff 0001 02 0001 01 0401 0000",
         1, {.version = TLS_1_2, .suite = 0x9e, .signature = 0x0401, .dh_bits = 9}},
        {"a key exchange before any hello", "16 0303 0004 0c 000000", -EPROTO, {0}},
        {"a hello that is too short", "16 0303 0006 02 000002 0303", -EPROTO, {0}},
        {"a curve that claims more than there is",
         "16 0303 002a 02 000026 0303" RANDOM "00 c02f 00 16 0303 0008 0c 000004 03 001d ff",
         -EPROTO, {0}},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct tls_answer answer = {0};
        cleanup_text struct text bytes = bytes_of(cases[i].digits);
        int status = tls_answer_read(text_span(&bytes), &answer);
        const struct tls_answer *wanted = &cases[i].answer;
        if (status != cases[i].status || answer.version != wanted->version ||
            answer.suite != wanted->suite || answer.group != wanted->group ||
            answer.signature != wanted->signature || answer.dh_bits != wanted->dh_bits ||
            answer.alert != wanted->alert || answer.compresses != wanted->compresses ||
            answer.has_master_secret != wanted->has_master_secret ||
            answer.has_tickets != wanted->has_tickets)
            fail_msg("%s: status %d, version %x, suite %x, group %u, signature %x, %u bits, alert %u",
                     cases[i].name, status, answer.version, answer.suite, answer.group,
                     answer.signature, answer.dh_bits, answer.alert);
    }
}

/* An offer is a record whose lengths agree, whatever it is made of. */
static void offers_are_whole(void **state) {
    static const uint16_t suites[] = {0xc02f, 0x1301};
    static const uint16_t groups[] = {29, 23};
    static const uint16_t signatures[] = {0x0403};
    (void)state;
    for (unsigned version = SSL_3; version <= TLS_1_3; version++) {
        cleanup_text struct text text = {0};
        struct tls_offer offer = {.version = version, .suites = suites, .suite_count = 2,
                                  .groups = groups, .group_count = 2, .signatures = signatures,
                                  .signature_count = 1, .name = "mail.example.org"};
        tls_offer_write(&offer, &text);
        const uint8_t *at = (const uint8_t *)text.at;
        assert_int_equal(text.error, 0);
        assert_int_equal(at[0], 22);
        assert_int_equal(at[3] << 8 | at[4], text.length - 5);
        assert_int_equal(at[6] << 16 | at[7] << 8 | at[8], text.length - 9);
        assert_int_equal(at[9] << 8 | at[10], version == TLS_1_3 ? TLS_1_2 : version);
    }
}

static void suites_have_their_worth(void **state) {
    static const struct {
        const char *name;
        enum tls_worth worth;
    } cases[] = {
        {"TLS_AES_256_GCM_SHA384", TLS_GOOD},
        {"TLS_CHACHA20_POLY1305_SHA256", TLS_GOOD},
        {"TLS_AES_128_GCM_SHA256", TLS_SUFFICIENT},
        {"TLS_AES_128_CCM_8_SHA256", TLS_INSUFFICIENT},
        {"ECDHE-ECDSA-AES256-GCM-SHA384", TLS_SUFFICIENT},
        {"ECDHE-RSA-CHACHA20-POLY1305", TLS_SUFFICIENT},
        {"ECDHE-ECDSA-AES128-CCM", TLS_SUFFICIENT},
        {"ECDHE-ECDSA-AES128-CCM8", TLS_INSUFFICIENT},
        {"ECDHE-RSA-AES256-SHA384", TLS_PHASE_OUT},
        {"ECDHE-ARIA128-GCM-SHA256", TLS_PHASE_OUT},
        {"DHE-RSA-AES256-GCM-SHA384", TLS_PHASE_OUT},
        {"DHE-RSA-CAMELLIA128-SHA256", TLS_PHASE_OUT},
        {"ECDHE-RSA-AES256-SHA", TLS_INSUFFICIENT},
        {"DHE-RSA-AES256-SHA", TLS_INSUFFICIENT},
        {"AES256-GCM-SHA384", TLS_INSUFFICIENT},
        {"DHE-DSS-AES256-GCM-SHA384", TLS_INSUFFICIENT},
        {"ADH-AES256-GCM-SHA384", TLS_INSUFFICIENT},
        {"DES-CBC3-SHA", TLS_INSUFFICIENT},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        const struct tls_suite *suite = NULL;
        for (size_t j = 0; j < tls_suite_count; j++)
            if (strcmp(tls_suites[j].name, cases[i].name) == 0)
                suite = &tls_suites[j];
        if (!suite || tls_suite_worth(suite) != cases[i].worth)
            fail_msg("%s", cases[i].name);
    }
    for (size_t i = 0; i < tls_suite_count; i++) /* each has one number, and what is broken is bad */
        if (tls_suite_find(tls_suites[i].number) != &tls_suites[i] ||
            (tls_suite_is_broken(&tls_suites[i]) &&
             tls_suite_worth(&tls_suites[i]) != TLS_INSUFFICIENT))
            fail_msg("%s", tls_suites[i].name);
}

static void listeners_are_found(void **state) {
    static const char table[] =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
        "   1: 0A0200C0:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
        "   2: 0100007F:0050 0100007F:C0DE 01 00000000:00000000 00:00000000 00000000     0\n"
        "   3: 00000000:03E1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
        "   4: 00000000000000000000000000000000:1060 00000000000000000000000000000000:0000 0A\n"
        "   5: nonsense\n";
    static const struct {
        uint16_t port;
        const char *address;
    } cases[] = {{25, "127.0.0.1"}, {443, "192.0.2.10"}, {80, NULL},
                 {993, "127.0.0.1"}, {4192, "::1"},      {1, NULL}};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct address address;
        char text[PREFIX_TEXT_MAX];
        bool is_found = listeners_find(span_of(table), cases[i].port, &address);
        assert_int_equal(is_found, cases[i].address != NULL);
        if (is_found)
            assert_string_equal(address_format(&address, text), cases[i].address);
    }
}

static void add_statement(void *context, const struct nginx_statement *statement) {
    text_add_format(context, "%d %.*s: %.*s = %.*s\n", statement->line,
                    SPAN_FORMAT(statement->block), SPAN_FORMAT(statement->name),
                    SPAN_FORMAT(statement->value));
}

static void nginx_is_read(void **state) {
    cleanup_text struct text all = {0};
    (void)state;
    nginx_read_text("x",
                    SPAN("user www;\n"
                         "http {\n"
                         "  log_format a '{ ; # }';  # autoindex on;\n"
                         "  server { access_log off; # no\n"
                         "    location ~ \\.php$\n"
                         "    { autoindex\n on; }\n"
                         "  } tokens#x off;\n"
                         "}}\n"
                         "last"),
                    add_statement, &all);
    assert_string_equal(all.at, "1 : user = www\n"
                                "3 http: log_format = a '{ ; # }'\n"
                                "4 server: access_log = off\n"
                                "6 location: autoindex = on\n"
                                "8 http: tokens#x = off\n");
}

static void nginx_statements_stand_in_their_blocks(void **state) {
    static const struct {
        const char *text, *statements;
    } cases[] = {
        {"server { listen 80; }\nuser x;", "1 server: listen = 80\n2 : user = x\n"},
        {"server{\nlisten 80;\nlocation /a{ root /b; }\nserver_tokens off;\n}\nuser x;",
         "2 server: listen = 80\n3 location: root = /b\n4 server: server_tokens = off\n6 : user = x\n"},
        {"server { access_log /var/log/${host}.log;\nlisten 80; }",
         "1 server: access_log = /var/log/${host}.log\n2 server: listen = 80\n"},
        {"log_format a \"x\\\";y\"; user b; # {\n", "1 : log_format = a \"x\\\";y\"\n1 : user = b\n"},
        {"a 'b;{}' c; }}}{{{", "1 : a = 'b;{}' c\n"},
        {"a \\", ""},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_text struct text text = {0};
        nginx_read_text("x", span_of(cases[i].text), add_statement, &text);
        if (strcmp(text.at ? text.at : "", cases[i].statements) != 0)
            fail_msg("%s\n%s", cases[i].text, text.at ? text.at : "");
    }
}

/* The prober ignores SIGPIPE; what it runs must not inherit that. */
static void programs_are_run_with_signals_as_they_come(void **state) {
    static const char *const arguments[] = {"sh", "-c", "kill -PIPE $$; echo alive", NULL};
    struct run run = {.path = "/bin/sh", .arguments = arguments, .limit_us = 20 * SECOND_US,
                      .most_bytes = 1000};
    (void)state;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    run_all(&run, 1, 1);
    (void)signal(SIGPIPE, before);
    assert_int_equal(run.status, 128 + SIGPIPE);
    assert_int_equal(run.output.length, 0);
    text_free(&run.output);
    text_free(&run.complaint);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_flights_are_read), cmocka_unit_test(offers_are_whole),
        cmocka_unit_test(suites_have_their_worth), cmocka_unit_test(listeners_are_found),
        cmocka_unit_test(nginx_is_read),
        cmocka_unit_test(nginx_statements_stand_in_their_blocks),
        cmocka_unit_test(programs_are_run_with_signals_as_they_come),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
