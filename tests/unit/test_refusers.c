/* Who else refuses: what is found in hosts.deny and in sshd's log.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/refusers.c"

static struct address A(const char *text) {
    struct address address;
    assert_true(address_parse(span_of(text), &address) >= 0);
    return address;
}

static void hosts_deny_names_addresses(void **state) {
    (void)state;
    static const struct {
        const char *text, *address;
        unsigned line; /* 0: not held */
    } cases[] = {
        {"sshd: 203.0.113.9\n", "203.0.113.9", 1},
        {"sshd: 203.0.113.9\n", "203.0.113.90", 0},
        {"# sshd: 203.0.113.9\n\nALL: 198.51.100.1, 203.0.113.9\n", "203.0.113.9", 3},
        {"sshd : 203.0.113.9 : spawn (echo 203.0.113.10)\n", "203.0.113.9", 1},
        {"sshd: 203.0.113.9: spawn x\n", "203.0.113.9", 1},
        {"sshd: 203.0.113.\n", "203.0.113.7", 1},
        {"sshd: 203.0.11.\n", "203.0.113.7", 0},
        {"sshd: 203.0.113.0/255.255.255.0\n", "203.0.113.7", 1},
        {"sshd: 203.0.113.0/24\n", "203.0.114.7", 0},
        {"sshd: [2001:db8::]/32\n", "2001:db8:1::7", 1},
        {"sshd: [2001:db8::1]\n", "2001:db8::1", 1},
        {"sshd: 203.0.113.9\n", "2001:db8::1", 0},
        {"ALL: ALL\n", "2001:db8::1", 1},
        {"ALL: ALL EXCEPT 203.0.113.9\n", "198.51.100.1", 1},
        {"ALL: LOCAL EXCEPT 203.0.113.9\n", "203.0.113.9", 0},
        {"ALL", "203.0.113.9", 0},
        {"sshd: /etc/denied .example.org\n", "203.0.113.9", 0},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        unsigned line = 0;
        struct address address = A(cases[i].address);
        bool is_held = hosts_deny_holds(span_of(cases[i].text), &address, &line);
        if (is_held != (cases[i].line > 0) || (is_held && line != cases[i].line))
            fail_msg("%s in %s: line %u", cases[i].address, cases[i].text, line);
    }
}

static void penalties_are_counted(void **state) {
    (void)state;
    struct address one = A("203.0.113.9"), other = A("203.0.113.90"), six = A("2001:db8::7");
    static const char log[] =
        "x mx sshd[1]: drop connection #0 from [203.0.113.9]:4711 on [192.0.2.1]:22 penalty: "
        "failed authentication\n"
        "x mx sshd[1]: drop connection #0 from [203.0.113.9]:4712 on [192.0.2.1]:22 past "
        "MaxStartups\n"
        "x mx sshd[1]: drop connection #0 from [2001:db8::7]:4713 on [::1]:22 penalty: "
        "caused crash\n"
        "x mx sshd[1]: Invalid user  from [203.0.113.90]: penalty:  from 203.0.113.9 port 1\n"
        "x mx sshd[1]: drop connection #0 from [203.0.113.9]:4714 on [192.0.2.1]:22 penalty: "
        "failed auth";
    assert_int_equal(sshd_penalties_in(span_of(log), &one), 2);
    assert_int_equal(sshd_penalties_in(span_of(log), &other), 0);
    assert_int_equal(sshd_penalties_in(span_of(log), &six), 1);
    assert_int_equal(sshd_penalties_in(SPAN(""), &six), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_deny_names_addresses),
        cmocka_unit_test(penalties_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
