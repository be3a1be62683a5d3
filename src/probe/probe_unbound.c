/* unbound, as unbound-checkconf says it would act; whom it forwards to is read from its files, as
 * nothing prints that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <glob.h>
#include <stdio.h>

#include "probe/hosts.h"
#include "probe/probe.h"
#include "probe/words.h"

/* Appends the values of one option, a line each. */
static bool ask(struct look *look, const char *option, struct text *values) {
    const char *const arguments[] = {"unbound-checkconf", "-o", option, NULL};
    return look_run(look, arguments, values, NULL) == 0;
}

static void say_interfaces(struct look *look) {
    cleanup_text struct text values = {0};
    const char *reach = "loopback";
    struct span line;
    (void)ask(look, "interface", &values);
    struct span lines = text_span(&values);
    while (next_line(&lines, &line)) {
        struct span host = span_cut(&line, '@');
        if (!host_is_loopback(host))
            reach = "net";
    }
    look_say_text(look, "reach", "", reach);
}

/* "192.0.2.0/24 allow" */
static void say_access(struct look *look) {
    cleanup_text struct text values = {0};
    struct span line;
    (void)ask(look, "access-control", &values);
    struct span lines = text_span(&values);
    while (next_line(&lines, &line)) {
        char subject[80];
        struct prefix prefix;
        struct span network = span_word(&line);
        snprintf(subject, sizeof(subject), "%.*s", SPAN_FORMAT(network));
        look_say(look, "access.action", subject, line);
        if (prefix_parse(network, &prefix) == 0)
            look_say_format(look, "access.bits", subject, "%u", prefix.length);
    }
}

static void say_options(struct look *look) {
    static const char *const options[] = {
        "module-config", "val-permissive-mode",    "hide-version",      "hide-identity",
        "harden-glue",   "harden-dnssec-stripped", "qname-minimisation"};
    static const char *const anchors[] = {"auto-trust-anchor-file", "trust-anchor-file",
                                          "trust-anchor"};
    bool has_anchor = false;
    for (size_t i = 0; i < ELEMENTS_OF(options); i++) {
        cleanup_text struct text value = {0};
        if (ask(look, options[i], &value) && value.length)
            look_say(look, options[i], "", span_trim(text_span(&value)));
    }
    for (size_t i = 0; i < ELEMENTS_OF(anchors); i++) {
        cleanup_text struct text value = {0};
        has_anchor |= ask(look, anchors[i], &value) && span_trim(text_span(&value)).length > 0;
    }
    look_say_text(look, "anchor", "", has_anchor ? "yes" : "no");
}

/* "forward-addr: 9.9.9.9@853#dns.quad9.net" under "forward-zone:" */
static void say_forwards(struct look *look, const char *path) {
    cleanup_text struct text file = {0};
    char zone[256] = "";
    struct span line;
    if (look_file(path, &file) < 0)
        return;
    struct span lines = text_span(&file);
    while (next_line(&lines, &line)) {
        struct span value = line;
        struct span key = span_trim(span_cut(&value, ':'));
        value = span_trim(value);
        if (value.length >= 2 && value.at[0] == '"')
            value = (struct span){value.at + 1, value.length - 2};
        if (span_is(key, "name"))
            snprintf(zone, sizeof(zone), "%.*s", SPAN_FORMAT(value));
        if (!span_is(key, "forward-addr"))
            continue;
        char subject[400];
        struct span address = span_cut(&value, '#');
        address = span_trim(span_cut(&address, '@'));
        int length = address.length < 100 ? (int)address.length : 100;
        snprintf(subject, sizeof(subject), "%s %.*s", zone, length, address.at);
        look_say_text(look, "forward.zone", subject, zone);
        look_say_text(look, "forward.kind", subject, resolver_kind(address));
    }
}

void probe_unbound(struct look *look) {
    static const char *const check[] = {"unbound-checkconf", NULL};
    cleanup_text struct text output = {0};
    cleanup_text struct text complaint = {0};
    glob_t found = {0};
    bool is_there = look_has_program("/usr/sbin/unbound");
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (!is_there)
        return;
    int status = look_run(look, check, &output, &complaint);
    if (status < 0)
        look_say_not(look, "configuration", "unbound-checkconf: %s", strerror(-status));
    else
        look_say(look, "configuration", "", status == 0 ? SPAN("read") : text_span(&complaint));
    if (status != 0) {
        look_say_not(look, NULL, "unbound-checkconf refuses its configuration");
        return;
    }
    say_interfaces(look);
    say_access(look);
    say_options(look);
    say_forwards(look, "/etc/unbound/unbound.conf");
    if (glob("/etc/unbound/unbound.conf.d/*.conf", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            say_forwards(look, found.gl_pathv[i]);
    globfree(&found);
}
