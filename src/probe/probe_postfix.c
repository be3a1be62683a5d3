/* Postfix, as its own postconf(1) says it would act. A parameter of an smtpd service is what
 * master.cf's -o gives it, else main.cf's.
 *
 * Beside the parameters it says what no single one tells: on which port a service is and whether
 * others than this machine reach it, what in its restrictions stops a stranger's mail to others,
 * who counts as a neighbour, and which lists of bad senders are asked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>

#include "probe/hosts.h"
#include "probe/postconf.h"
#include "probe/words.h"

enum { NAME_MAX_BYTES = 100, CLASSES_DEEP = 6 };

struct postfix {
    struct text main_cf, services, overrides;
    char ports[200];          /* of the services that take mail from the net */
    char postscreen_port[12]; /* what it gets goes on to the smtpd of type pass */
    const char *postscreen_reach;
};

/* Less what is postconf's own and differs each time it is asked. */
static void say_parameter(struct look *look, const char *family, struct span name,
                          const char *subject, struct span value) {
    char key[READING_NAME_MAX];
    if (!span_is(name, "process_id") &&
        (size_t)snprintf(key, sizeof(key), "%s.%.*s", family, SPAN_FORMAT(name)) < sizeof(key))
        look_say(look, key, subject, value);
}

/* The value master.cf gives a service ("smtp/inet/NAME = VALUE"), or nothing. */
static struct span override_of(const struct postfix *postfix, const char *service,
                               struct span name) {
    struct span overrides = text_span(&postfix->overrides);
    size_t length = strlen(service);
    struct span line;
    while (next_line(&overrides, &line)) {
        struct span key = cut_key(&line);
        if (key.length == length + 1 + name.length && memcmp(key.at, service, length) == 0 &&
            key.at[length] == '/' && span_equals(span_skip(key, length + 1), name))
            return line.at ? line : SPAN("");
    }
    return (struct span){0};
}

static struct span value_of(const struct postfix *postfix, const char *service, struct span name) {
    struct span value = override_of(postfix, service, name);
    return value.at ? value : postconf_value(text_span(&postfix->main_cf), name);
}

/* ---- where a service listens ---- */

/* "net" or "loopback"; a service without a host is on all of inet_interfaces. */
static const char *reach_of(const struct postfix *postfix, const char *service, struct span host) {
    struct span list = host.length ? host : value_of(postfix, service, SPAN("inet_interfaces"));
    struct span word;
    bool is_only_loopback = list.length > 0;
    while (postconf_next_word(&list, &word))
        is_only_loopback &= span_is(word, "loopback-only") || host_is_loopback(word);
    return is_only_loopback ? "loopback" : "net";
}

/* "smtp", "587", "127.0.0.1:10025", "[::1]:smtp" */
static void split_service(struct span name, struct span *ret_host, struct span *ret_port) {
    size_t i = name.length;
    while (i > 0 && name.at[i - 1] != ':')
        i--;
    *ret_port = span_skip(name, i);
    *ret_host = (struct span){name.at, i ? i - 1 : 0};
}

static void write_port(struct span name, char into[12]) {
    char copy[40];
    int64_t number;
    snprintf(copy, sizeof(copy), "%.*s", SPAN_FORMAT(name));
    const struct servent *known = NULL;
    if (span_to_integer(name, 1, 65535, &number) < 0) {
        /* What master.cf's commented entries are called, known to /etc/services or not. */
        known = getservbyname(copy, "tcp");
        number = known                         ? ntohs((uint16_t)known->s_port)
                 : span_is(name, "smtp")       ? 25
                 : span_is(name, "submission") ? 587
                 : span_is(name, "smtps") || span_is(name, "submissions") ? 465
                                                                          : 0;
    }
    snprintf(into, 12, "%d", (int)number);
}

/* ---- what stops a stranger ---- */

static bool is_one_of(struct span word, const char *const *words) {
    for (; *words; words++)
        if (span_is(word, *words))
            return true;
    return false;
}

static bool is_class(const struct postfix *postfix, struct span word) {
    struct span classes = postconf_value(text_span(&postfix->main_cf),
                                         SPAN("smtpd_restriction_classes"));
    struct span one;
    while (postconf_next_word(&classes, &one))
        if (span_equals(one, word))
            return true;
    return false;
}

/* The word of a restriction list at which mail from and to nobody of ours ends: what refuses it, or
 * "permit" when it is let through before; empty when neither. Tables, and what permits only some,
 * are passed over. */
static struct span decides(const struct postfix *postfix, struct span list, int depth) {
    static const char *const refuses[] = {"reject_unauth_destination",
                                          "defer_unauth_destination",
                                          "reject",
                                          "defer",
                                          "defer_if_permit",
                                          NULL};
    struct span word;
    bool is_only_warned = false;
    while (postconf_next_word(&list, &word)) {
        bool was_warned = is_only_warned;
        is_only_warned = span_is(word, "warn_if_reject");
        if (span_is(word, "permit") || (is_one_of(word, refuses) && !was_warned))
            return word;
        if (depth < CLASSES_DEEP && is_class(postfix, word)) {
            struct span inner = decides(postfix, postconf_value(text_span(&postfix->main_cf), word),
                                        depth + 1);
            if (inner.length)
                return inner;
        }
    }
    return (struct span){0};
}

/* Each list may stop it: all must let it through. */
static void say_what_stops(struct look *look, const struct postfix *postfix, const char *service) {
    static const char *const lists[] = {"smtpd_relay_restrictions", "smtpd_recipient_restrictions",
                                        "smtpd_client_restrictions", "smtpd_sender_restrictions",
                                        "smtpd_helo_restrictions"};
    struct span said = SPAN("nothing");
    bool is_stopped = false;
    for (size_t i = 0; i < ELEMENTS_OF(lists) && !is_stopped; i++) {
        struct span word = decides(postfix, value_of(postfix, service, span_of(lists[i])), 0);
        is_stopped = word.length && !span_is(word, "permit");
        if (is_stopped || (word.length && span_is(said, "nothing")))
            said = word;
    }
    look_say(look, "smtpd.stops_strangers", service, said);
}

/* ---- services ---- */

static void say_smtpd(struct look *look, const struct postfix *postfix, const char *service,
                      const char *port, const char *reach) {
    struct span main_cf = text_span(&postfix->main_cf);
    struct span line;
    while (next_line(&main_cf, &line)) {
        struct span name = cut_key(&line);
        struct span own = override_of(postfix, service, name);
        say_parameter(look, "smtpd", name, service, own.at ? own : line);
    }
    look_say_text(look, "smtpd.port", service, port);
    look_say_text(look, "smtpd.reach", service, reach);
    say_what_stops(look, postfix, service);
}

enum { NAME, TYPE, PRIVATE, UNPRIVILEGED, CHROOT, WAKEUP, PROCESSES, COMMAND, FIELDS };

static void note_port(struct postfix *postfix, const char *port) {
    size_t length = strlen(postfix->ports);
    snprintf(postfix->ports + length, sizeof(postfix->ports) - length, "%s%s", length ? " " : "",
             port);
}

/* "smtp inet n - y - - smtpd -o …" */
static void say_service(struct look *look, struct postfix *postfix, const struct span fields[]) {
    char service[NAME_MAX_BYTES];
    char port[12];
    const char *reach;
    struct span host;
    struct span port_name;
    bool is_pass = span_is(fields[TYPE], "pass");
    if (!span_is(fields[TYPE], "inet") && !is_pass)
        return;
    snprintf(service, sizeof(service), "%.*s/%.*s", SPAN_FORMAT(fields[NAME]),
             SPAN_FORMAT(fields[TYPE]));
    split_service(fields[NAME], &host, &port_name);
    write_port(port_name, port);
    reach = reach_of(postfix, service, host);
    if (is_pass) {
        if (!postfix->postscreen_reach)
            return; /* nobody passes anything to it */
        snprintf(port, sizeof(port), "%s", postfix->postscreen_port);
        reach = postfix->postscreen_reach;
    } else {
        if (strcmp(reach, "net") == 0)
            note_port(postfix, port);
        look_say(look, "service.command", service, fields[COMMAND]);
        look_say_text(look, "service.port", service, port);
        look_say_text(look, "service.reach", service, reach);
    }
    /* Since compatibility level 1 "-" means no. */
    look_say_text(look, "service.chroot", service, span_is(fields[CHROOT], "y") ? "y" : "n");
    if (span_is(fields[COMMAND], "smtpd"))
        say_smtpd(look, postfix, service, port, reach);
}

static void split_fields(struct span line, struct span fields[FIELDS]) {
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = span_word(&line);
}

static void say_services(struct look *look, struct postfix *postfix) {
    struct span fields[FIELDS];
    struct span host;
    struct span port;
    struct span line;
    struct span services = text_span(&postfix->services);
    while (next_line(&services, &line)) {
        split_fields(line, fields);
        if (!span_is(fields[COMMAND], "postscreen"))
            continue;
        split_service(fields[NAME], &host, &port);
        write_port(port, postfix->postscreen_port);
        postfix->postscreen_reach = reach_of(postfix, "smtp/inet", host);
    }
    look_say_text(look, "postscreen", "", postfix->postscreen_reach ? "yes" : "no");
    services = text_span(&postfix->services);
    while (next_line(&services, &line)) {
        split_fields(line, fields);
        say_service(look, postfix, fields);
    }
    look_say_text(look, "ports", "", postfix->ports[0] ? postfix->ports : "none");
}

/* ---- neighbours ---- */

/* "!" takes away: no network of ours. */
static void say_network(struct look *look, struct span word) {
    struct prefix prefix;
    char subject[80];
    if (network_parse(word, &prefix) < 0)
        return;
    snprintf(subject, sizeof(subject), "%.*s", SPAN_FORMAT(word));
    look_say_text(look, "network.kind", subject, network_kind(&prefix));
    look_say_format(look, prefix_is_v4(&prefix) ? "network.bits4" : "network.bits6", subject, "%u",
                    prefix.length);
}

/* Networks stand in mynetworks itself, or in a file or a cidr table it names. */
static void say_networks(struct look *look, struct span list) {
    struct span word;
    while (postconf_next_word(&list, &word)) {
        bool is_table = span_starts_with(word, SPAN("cidr:"));
        struct span path = is_table ? span_skip(word, strlen("cidr:")) : word;
        char name[300];
        cleanup_text struct text file = {0};
        if (path.length == 0 || path.at[0] != '/') {
            say_network(look, word);
            continue;
        }
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(path));
        int error = look_file(name, &file);
        if (error < 0) {
            look_say_not(look, "network.kind", "%s: %s", name, strerror(-error));
            continue;
        }
        struct span lines = text_span(&file);
        struct span line;
        while (next_line(&lines, &line))
            say_network(look, span_word(&line));
    }
}

/* ---- lists of bad senders ---- */

/* "zen.spamhaus.org=127.0.0.[2..11]*3" */
static void say_list(struct look *look, struct span word) {
    struct span rest = word;
    struct span zone = span_cut(&rest, '=');
    bool has_filter = rest.at != NULL;
    struct span weight = has_filter ? rest : zone;
    struct span filter = span_cut(&weight, '*');
    char subject[200];
    if (!has_filter)
        zone = filter;
    snprintf(subject, sizeof(subject), "%.*s", SPAN_FORMAT(zone));
    look_say(look, "dnsbl.zone", subject, zone);
    look_say(look, "dnsbl.filter", subject, has_filter ? filter : SPAN("none"));
}

static void say_lists(struct look *look, const struct postfix *postfix) {
    static const char *const asks[] = {"reject_rbl_client",
                                       "reject_rhsbl_client",
                                       "reject_rhsbl_sender",
                                       "reject_rhsbl_helo",
                                       "reject_rhsbl_recipient",
                                       "reject_rhsbl_reverse_client",
                                       NULL};
    static const char *const places[] = {"smtpd_client_restrictions", "smtpd_helo_restrictions",
                                         "smtpd_sender_restrictions", "smtpd_relay_restrictions",
                                         "smtpd_recipient_restrictions"};
    struct span main_cf = text_span(&postfix->main_cf);
    struct span word;
    struct span sites = postconf_value(main_cf, SPAN("postscreen_dnsbl_sites"));
    while (postfix->postscreen_reach && postconf_next_word(&sites, &word))
        say_list(look, word);
    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        struct span list = postconf_value(main_cf, span_of(places[i]));
        while (postconf_next_word(&list, &word))
            if (is_one_of(word, asks) && postconf_next_word(&list, &word))
                say_list(look, word);
    }
}

/* ---- all of it ---- */

/* What main.cf itself sets. */
static void say_set(struct look *look, struct span lines) {
    struct span line;
    while (next_line(&lines, &line)) {
        struct span name = cut_key(&line);
        say_parameter(look, "set", name, "", line.length ? line : SPAN("(empty)"));
    }
}

static void say_main(struct look *look, struct span lines) {
    struct span line;
    while (next_line(&lines, &line)) {
        struct span name = cut_key(&line);
        if (span_is(name, "mail_version"))
            look_say(look, "version", "", line);
        say_parameter(look, "main", name, "", line);
    }
}

/* Each instance has a main.cf and ports of its own; what is said here is the first one's. */
static void say_instances(struct look *look, struct span main_cf) {
    struct span folders = postconf_value(main_cf, SPAN("multi_instance_directories"));
    if (folders.length > 0 &&
        span_is(postconf_value(main_cf, SPAN("multi_instance_enable")), "yes"))
        look_say_not(look, NULL,
                     "instances of Postfix beside the first are not looked at: %.*s (postconf -c)",
                     SPAN_FORMAT(folders));
}

static void look_at(struct look *look, struct postfix *postfix) {
    cleanup_text struct text set = {0};
    cleanup_text struct text warnings = {0};
    int status = postconf_ask(look, "-n", &set, &warnings);
    if (status < 0)
        return;
    look_say(look, "configuration", "", status == 0 ? SPAN("read") : text_span(&warnings));
    if (status > 0 || postconf_ask(look, "-x", &postfix->main_cf, NULL) != 0 ||
        postconf_ask(look, "-M", &postfix->services, &warnings) != 0 ||
        postconf_ask(look, "-Px", &postfix->overrides, NULL) != 0)
        return;
    look_say_warnings(look, text_span(&warnings), "postconf: warning: ");
    say_set(look, text_span(&set));
    say_main(look, text_span(&postfix->main_cf));
    say_services(look, postfix);
    say_networks(look, postconf_value(text_span(&postfix->main_cf), SPAN("mynetworks")));
    say_lists(look, postfix);
    say_instances(look, text_span(&postfix->main_cf));
}

void probe_postfix(struct look *look) {
    struct postfix postfix = {0};
    bool is_there = look_has_program("/usr/sbin/postconf");
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (is_there)
        look_at(look, &postfix);
    text_free(&postfix.main_cf);
    text_free(&postfix.services);
    text_free(&postfix.overrides);
}
