/* What is said of a wrong configuration: by a table of files and sentences, each with its place.
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
#include "configured.h"

/* The error with the test's folder cut off its front. */
static void read_error(char *into, size_t room) {
    struct config *config = NULL;
    struct why why = {0};
    char line[1024];
    into[0] = '\0';
    if (config_read(config_folder, data_folder, &config, &why) >= 0) {
        config_free(config);
        return;
    }
    assert_null(config);
    why_format(&why, line, sizeof(line));
    bool is_inside = strncmp(line, scratch_folder, strlen(scratch_folder)) == 0;
    snprintf(into, room, "%s", line + (is_inside ? strlen(scratch_folder) + 1 : 0));
}

#define SCOPES_SAY "(ssh, mail-login, mail, web, all)"

static const struct {
    const char *text;          /* of etc/hauberk.conf */
    const char *wanted;        /* the whole message */
    const char *name, *second; /* another file */
} errors[] = {
    {"[sshd]\nmaxrety = 3\n",
     CONF ":2: unknown setting 'maxrety' in [sshd]; did you mean 'maxretry'?", 0, 0},
    {"[DEFAULT]\nbantme = 3\n",
     CONF ":2: unknown setting 'bantme' in [DEFAULT]; did you mean 'bantime'?", 0, 0},
    {"[hauberk]\nadmins = 192.0.2.1\n",
     CONF ":2: unknown setting 'admins' in [hauberk]; did you mean 'admin'?", 0, 0},
    {"[sshd]\nbanactoin = nftables\n",
     CONF ":2: unknown setting 'banactoin' in [sshd]; did you mean 'banaction'?", 0, 0},
    {"[sshd]\ncolour = red\n", CONF ":2: unknown setting 'colour' in [sshd]", 0, 0},
    {"[sshd]\nadmin = 192.0.2.1\n", CONF ":2: 'admin' does not belong in [sshd] but in [hauberk]",
     0, 0},
    {"[hauberk]\nmaxretry = 3\n",
     CONF ":2: 'maxretry' does not belong in [hauberk] but in a jail or [DEFAULT]", 0, 0},
    {"[hauberk]\ndomains = example.org, a_b.org\n",
     CONF ":2: domains in [hauberk] holds 'a_b.org', which is no domain", 0, 0},
    {"[hauberk]\ndomains =\n  example.org\n  mail\n",
     CONF ":4: domains in [hauberk] holds 'mail', which is no domain", 0, 0},
    /* sections */
    {"[shsd]\n", CONF ":1: unknown section [shsd]: no jail of that name comes with hauberk; did "
                      "you mean 'sshd'?", 0, 0},
    {"[webmail]\n", CONF ":1: unknown section [webmail]: no jail of that name comes with hauberk; "
                         "a jail of your own begins with [jail NAME]", 0, 0},
    {"[default]\n", CONF ":1: unknown section [default]: no jail of that name comes with hauberk; "
                         "a jail of your own begins with [jail NAME]", 0, 0},
    {"[jail ../x]\n", CONF ":1: '../x' is no name for a jail: letters, digits, '_', '-' and '.', "
                           "at most 31", 0, 0},
    {"[jail hauberk]\n", CONF ":1: a jail cannot be called 'hauberk'", 0, 0},
    {"[jail a b]\n", CONF ":1: unknown section [jail a b]: no jail of that name comes with "
                          "hauberk; a jail of your own begins with [jail NAME]", 0, 0},
    {"[sshd]\n[jail sshd]\n", CONF ":2: section [sshd] stands twice in this file, first in line "
                                   "1; put the two together", 0, 0},
    /* types */
    {"[sshd]\nenabled = maybe\n", CONF ":2: enabled in [sshd] is yes or no, not 'maybe'", 0, 0},
    {"[sshd]\nenabled =\n", CONF ":2: enabled in [sshd] is yes or no, not ''", 0, 0},
    {"[sshd]\nmaxretry = three\n",
     CONF ":2: maxretry in [sshd] is a number of failures from 1 to 10000, not 'three'", 0, 0},
    {"[sshd]\nmaxretry = 0\n",
     CONF ":2: maxretry in [sshd] is a number of failures from 1 to 10000, not '0'", 0, 0},
    {"[DEFAULT]\nmaxretry = -1\n",
     CONF ":2: maxretry in [DEFAULT] is a number of failures from 1 to 10000, not '-1'", 0, 0},
    {"[sshd]\nfindtime = soon\n",
     CONF ":2: findtime in [sshd] is a time such as 90s, 10m, 12h or 1d 12h, not 'soon'", 0, 0},
    {"[sshd]\nfindtime = -1\n", CONF ":2: findtime in [sshd] lies between 1 s and 365 d 6 h, '-1' "
                                     "does not", 0, 0},
    {"[sshd]\nbantime = 1x\n", CONF ":2: bantime in [sshd] is a time such as 90s, 10m, 12h or 1d "
                                    "12h, or -1 for ever, not '1x'", 0, 0},
    {"[sshd]\nbantime = 0\n", CONF ":2: bantime in [sshd] lies between 1 s and 36525 d or is -1, "
                                   "'0' does not", 0, 0},
    {"[sshd]\nbackend = sysemd\n", CONF ":2: backend in [sshd] is auto, file or journal, not "
                                        "'sysemd'; did you mean 'systemd'?", 0, 0},
    {"[sshd]\ncounts = all\n",
     CONF ":2: counts in [sshd] is failures, returns or accounts, not 'all'", 0, 0},
    {"[sshd]\nprefix-v6 = 32\n",
     CONF ":2: prefix-v6 in [sshd] is a number of bits from 33 to 128, not '32'", 0, 0},
    {"[hauberk]\nobserve = 2\n", CONF ":2: observe in [hauberk] is yes, no or auto, not '2'", 0, 0},
    {"[hauberk]\nevidence-days = 0\n",
     CONF ":2: evidence-days in [hauberk] is a number of days from 1 to 3650, not '0'", 0, 0},
    {"[sshd]\nport = shs\n",
     CONF ":2: port in [sshd] cannot be used: 'shs' is no port, no service and no "
          "scope " SCOPES_SAY, 0, 0},
    {"[sshd]\nport = submision\n",
     CONF ":2: port in [sshd] cannot be used: 'submision' is no port, no service and no "
          "scope " SCOPES_SAY "; did you mean 'submission'?", 0, 0},
    {"[sshd]\nport = 22,70000\n", CONF ":2: port in [sshd] cannot be used: '70000' is no port and "
                                       "no range of ports: they go from 1 to 65535", 0, 0},
    {"[sshd]\nport = 0\n", CONF ":2: port in [sshd] cannot be used: '0' is no port and no range "
                                "of ports: they go from 1 to 65535", 0, 0},
    {"[sshd]\nport =\n", CONF ":2: port in [sshd] cannot be used: no port is named; write ports, "
                              "services or a scope " SCOPES_SAY, 0, 0},
    /* addresses: the line of the address itself */
    {"[sshd]\nignoreip = 192.0.2.1\n  home.example.org\n",
     CONF ":3: ignoreip in [sshd] holds 'home.example.org', which is a name, and names are never "
          "looked up; write the address, or a prefix such as 192.0.2.0/24", 0, 0},
    {"[hauberk]\nadmin = 192.0.2.1, 300.1.1.1\n",
     CONF ":2: admin in [hauberk] holds '300.1.1.1', which is no address; write the address, or a "
          "prefix such as 192.0.2.0/24", 0, 0},
    {"[hauberk]\nadmin = localhost\n",
     CONF ":2: admin in [hauberk] holds 'localhost', which is a name, and names are never looked "
          "up; write the address, or a prefix such as 192.0.2.0/24", 0, 0},
    {"[hauberk]\nadmin = 2001:db8::/129\n",
     CONF ":2: admin in [hauberk] holds '2001:db8::/129', which is no address; write the address, "
          "or a prefix such as 192.0.2.0/24", 0, 0},
    /* paths */
    {"[sshd]\nlogpath = auth.log\n",
     CONF ":2: logpath in [sshd] holds 'auth.log'; a log file is named from the root on, as in "
          "/var/log/mail.log, and without '..'", 0, 0},
    {"[sshd]\nlogpath = /var/log/a.log\n  /var/../etc/shadow\n",
     CONF ":3: logpath in [sshd] holds '/var/../etc/shadow'; a log file is named from the root "
          "on, as in /var/log/mail.log, and without '..'", 0, 0},
    {"[sshd]\nlogpath = tail\n",
     CONF ":2: logpath in [sshd] holds 'tail'; a log file is named from the root on, as in "
          "/var/log/mail.log, and without '..'", 0, 0},
    {"[sshd]\nlogpath =\n", CONF ":2: [sshd] is enabled but has no 'logpath' to read, and no "
                         "'journalmatch'", 0, 0},
    {"[sshd]\njournalmatch = SYSLOG_IDENTIFIER=sshd\n",
     CONF ":2: journalmatch in [sshd] needs in every group a field that journald fills in itself, "
          "such as _SYSTEMD_UNIT or _UID: without one anybody who may log could have others banned",
     0, 0},
    {"[sshd]\njournalmatch = _SYSTEMD_UNIT=ssh.service + SYSLOG_IDENTIFIER=sshd\n",
     CONF ":2: journalmatch in [sshd] needs in every group a field that journald fills in itself, "
          "such as _SYSTEMD_UNIT or _UID: without one anybody who may log could have others banned",
     0, 0},
    {"[sshd]\njournalmatch = ssh.service\n",
     CONF ":2: journalmatch in [sshd] is made of terms such as _SYSTEMD_UNIT=ssh.service, with '+' "
          "between groups",
     0, 0},
    {"[sshd]\njournalmatch = _UID=0 +\n", CONF ":2: journalmatch in [sshd] ends with a '+'", 0, 0},
    /* what is never so */
    {"[DEFAULT]\nignoreself = no\n",
     CONF ":2: ignoreself in [DEFAULT] cannot be no: this machine's own addresses are never "
          "banned", 0, 0},
    {"[sshd]\nusedns = yes\n",
     CONF ":2: usedns in [sshd] cannot be 'yes': names found in logs are never looked up; leave "
          "it out or write no", 0, 0},
    {"[sshd]\nusedns = raw\n",
     CONF ":2: usedns in [sshd] cannot be 'raw': names found in logs are never looked up; leave "
          "it out or write no", 0, 0},
    {"[sshd]\nmode = aggressive\n",
     CONF ":2: mode in [sshd] asks for mode 'aggressive', which hauberk's filters do not know "
          "yet; leave it out or write normal", 0, 0},
    {"[sshd]\nfailregex = ^<HOST>$\n",
     CONF ":2: failregex in [sshd] cannot be used: expressions belong in a filter: put it into "
          "filters/NAME.local", 0, 0},
    {"[sshd]\nignorecommand = /bin/true\n",
     CONF ":2: ignorecommand in [sshd] cannot be used: no commands are run; list the addresses "
          "in 'ignoreip'", 0, 0},
    /* filters and their parameters */
    {"[sshd]\nfilter = ../sshd\n",
     CONF ":2: filter in [sshd] is the name of a file in filters/ without its .conf: letters, "
          "digits, '_', '-' and '.', not '../sshd'", 0, 0},
    {"[sshd]\nfilter = sshd[mode=aggressive]\n",
     CONF ":2: filter in [sshd] asks for mode 'aggressive', which hauberk's filters do not know "
          "yet; leave it out or write normal", 0, 0},
    {"[sshd]\nmode = ddos\nfilter = sshd[mode=%(mode)s]\n",
     CONF ":3: filter in [sshd] asks for mode 'ddos', which hauberk's filters do not know yet; "
          "leave it out or write normal", 0, 0},
    {"[sshd]\nfilter = sshd[logtype=file]\n",
     CONF ":2: filter in [sshd] holds the unknown parameter 'logtype'; filters have 'mode'", 0, 0},
    {"[sshd]\nfilter = sshd[mode=\"normal]\n",
     CONF ":2: filter in [sshd] holds '[mode=\"normal]', a bracket or quote that is never closed",
     0, 0},
    {"[sshd]\nfilter = sshd[mode=normal] x\n",
     CONF ":2: filter in [sshd] goes on with 'x' behind its parameters", 0, 0},
    {"[sshd]\nfilter = sshd[mode]\n",
     CONF ":2: filter in [sshd] holds 'mode', which is no parameter such as mode=normal", 0, 0},
    {"[jail web]\nenabled = yes\nfilter = sshd\n",
     CONF ":2: [web] is enabled but has no 'logpath' to read, and no 'journalmatch'", 0, 0},
    {"[sshd]\nbantime = %(nothing)s\n", CONF ":2: %(nothing)s in bantime refers to nothing", 0, 0},
    {"[INCLUDES]\nbefore = ../x.conf\n",
     CONF ":2: '../x.conf' is not a name of a file beside this one (no '/' in front, no '..')", 0,
     0},
    /* other files of the owner */
    {"", "etc/hauberk.d/10.conf:1: 'x = 1' stands before the first section; a file begins with a "
         "header such as [DEFAULT]", 0, 0},
    {"", "etc/hauberk.local:2: unknown setting 'maxrety' in [sshd]; did you mean 'maxretry'?",
     "etc/hauberk.local", "[sshd]\nmaxrety = 1\n"},
    {"", "etc/filters/sshd.conf:2: this failregex can never name an address: neither it nor "
         "prefregex has <HOST>, <ADDR>, <IP4>, <IP6>, <F-ID> or <F-MLFID>",
     "etc/filters/sshd.conf", "[Definition]\nfailregex = ^wrong password$\n"},
    {"", "etc/filters/sshd.conf:3: this failregex can never name an address: neither it nor "
         "prefregex has <HOST>, <ADDR>, <IP4>, <IP6>, <F-ID> or <F-MLFID>",
     "etc/filters/sshd.conf", "[Definition]\nfailregex = ^a <HOST>$\n  ^b <DNS>$\n"},
    {"", "etc/filters/sshd.conf:3: this successregex can never name an address: neither it nor "
         "prefregex has <HOST>, <ADDR>, <IP4>, <IP6>, <F-ID> or <F-MLFID>",
     "etc/filters/sshd.conf", "[Definition]\nfailregex = ^a <HOST>$\nsuccessregex = ^b$\n"},
    {"", "etc/filters/sshd.conf:3: this successregex can never name an address: it leaves that to "
         "its session, and no failregex has both an address and <F-MLFID>",
     "etc/filters/sshd.conf",
     "[Definition]\nfailregex = ^a <HOST>$\nsuccessregex = ^<F-MLFID>b</F-MLFID>$\n"},
    {"", "etc/filters/sshd.conf:2: this failregex can never name an address: it leaves that to "
         "its session, and no failregex has both an address and <F-MLFID>",
     "etc/filters/sshd.conf",
     "[Definition]\nfailregex = ^a$\n ^b$\n"
     "prefregex = ^<F-MLFID>c</F-MLFID> <F-CONTENT>.+</F-CONTENT>\n"},
    {"", "etc/filters/sshd.local:2: 'failregx' in [Definition] is no setting of filters, and "
         "nothing refers to it; did you mean 'failregex'?",
     "etc/filters/sshd.local", "[Definition]\nfailregx = ^a <HOST>$\n"},
    {"", "etc/filters/sshd.conf:1: unknown section [Defintion]; a filter has [Definition]; did you "
         "mean 'Definition'?",
     "etc/filters/sshd.conf", "[Defintion]\nfailregex = ^a <HOST>$\n"},
    {"", "data/jails/sshd.conf:7: the filter 'sshd' of [sshd] has no failregex, so it can find "
         "nothing",
     "etc/filters/sshd.conf", "[Definition]\nfailregex =\n"},
    {"", "etc/filters/sshd.conf:4: prefregex is one line; this is a second",
     "etc/filters/sshd.conf", "[Definition]\nfailregex = <HOST>\nprefregex = a\n  b\n"},
    {"", "etc/filters/sshd.conf:3: maxlines above 1 is not possible yet; join lines "
     "with <F-MLFID> instead",
     "etc/filters/sshd.conf", "[Definition]\nfailregex = <HOST>\nmaxlines = 2\n"},
    {"", "etc/filters/sshd.conf:3: maxlines is a number from 1 to 100",
     "etc/filters/sshd.conf", "[Definition]\nfailregex = <HOST>\nmaxlines = 0\n"},
    {"", "etc/filters/sshd.conf:2: '%b' in failregex: a '%' begins %(name)s; write '%%' for the "
         "sign itself",
     "etc/filters/sshd.conf", "[Definition]\nfailregex = ^a <HOST> 100%b\n"},
};

static void errors_are_told(void **state) {
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(errors); i++) {
        char got[1024];
        forget_owner();
        write_file(CONF, errors[i].text);
        if (errors[i].name)
            write_file(errors[i].name, errors[i].second);
        else if (!errors[i].text[0])
            write_file("etc/hauberk.d/10.conf", "x = 1\n");
        read_error(got, sizeof(got));
        if (strcmp(got, errors[i].wanted) != 0)
            print_message("case %zu: %s\n", i, errors[i].text);
        assert_string_equal(got, errors[i].wanted);
    }
}

static void absent_filter_is_told_with_the_nearest(void **state) {
    (void)state;
    char got[1024];
    forget_owner();
    write_file(CONF, "[sshd]\nfilter = shsd\n");
    read_error(got, sizeof(got));
    assert_non_null(strstr(got, CONF ":2: [sshd] wants the filter 'shsd', but there is no "
                                "filters/shsd.conf in "));
    assert_non_null(strstr(got, "; did you mean 'sshd'?"));
}

static void wrong_data_folder_is_told(void **state) {
    (void)state;
    struct config *config = NULL;
    struct why why = {0};
    assert_int_equal(config_read(config_folder, "/nonexistent", &config, &why), -ENOENT);
    assert_string_equal(why.file, "/nonexistent");
    assert_int_equal(config_read("/nonexistent", scratch_folder, &config, &why), -ENOENT);
    assert_string_equal(why.text,
                        "there is no 'jails' in here; this is not hauberk's data folder");
    assert_null(config);
}

static void too_many_are_told(void **state) {
    (void)state;
    cleanup_text struct text text = {0};
    char got[1024];
    forget_owner();
    for (int i = 0; i < CONFIG_JAILS_MOST; i++)
        text_add_format(&text, "[jail j%d]\nfilter = sshd\n", i);
    write_bytes(CONF, text_span(&text));
    read_error(got, sizeof(got));
    assert_non_null(strstr(got, "more than 64 jails"));
    text_clear(&text);
    for (int i = 0; i < SCOPES_MAX; i++)
        text_add_format(&text, "[jail j%d]\nport = %d\n", i, 1000 + i);
    write_bytes(CONF, text_span(&text));
    read_error(got, sizeof(got));
    assert_non_null(strstr(got, "more than 32 different sets of ports"));
    text_clear(&text);
    text_add_string(&text, "[hauberk]\nadmin =\n");
    for (int i = 0; i < 1025; i++)
        text_add_format(&text, " 10.0.%d.%d\n", i / 256, i % 256);
    write_bytes(CONF, text_span(&text));
    read_error(got, sizeof(got));
    assert_string_equal(got, CONF ":1027: admin in [hauberk] holds more than 1024 addresses; use "
                                  "prefixes");
}

int main(void) {
    hash_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_told),
        cmocka_unit_test(absent_filter_is_told_with_the_nearest),
        cmocka_unit_test(wrong_data_folder_is_told),
        cmocka_unit_test(too_many_are_told),
    };
    return cmocka_run_group_tests(tests, configured_make, scratch_remove);
}
