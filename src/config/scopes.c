/* Scopes: see scopes.h. A set of ports is gathered as a bitmap of all 65,536, which sorts and
 * merges by itself; a list of ports that is one of the named scopes *is* that scope, so that
 * "pop3,imap,..." of a pasted guide shares the sets of mail-login.
 *
 * Service names are a table of ours and not looked up in services(5): what a configuration means
 * must depend on nothing but the files that its digest covers. The numbers are IANA's, the aliases
 * those of Debian's netbase.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/scopes.h"

#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/text.h"
#include "config/nearest.h"

/* clang-format off */
#define PORT(number) {(number), (number)}

const struct scope scopes_named[SCOPES_NAMED] = {
    [SCOPE_SSH]        = {"ssh",        false, 1, {PORT(22)}},
    [SCOPE_MAIL_LOGIN] = {"mail-login", false, 7, {PORT(110), PORT(143), PORT(465), PORT(587), PORT(993),
                                            PORT(995), PORT(4190)}},
    [SCOPE_MAIL]       = {"mail",       false, 8, {PORT(25), PORT(110), PORT(143), PORT(465), PORT(587),
                                            PORT(993), PORT(995), PORT(4190)}},
    [SCOPE_WEB]        = {"web",        false, 2, {PORT(80), PORT(443)}},
    [SCOPE_ALL]        = {"all",        false, 0, {{0, 0}}},
};

static const char *const sentences[SCOPES_NAMED] = {
    [SCOPE_SSH]        = "the SSH port",
    [SCOPE_MAIL_LOGIN] = "the mail login ports",
    [SCOPE_MAIL]       = "the mail ports",
    [SCOPE_WEB]        = "the web ports",
    [SCOPE_ALL]        = "every port",
};

static const struct {
    const char *name;
    uint16_t port;
} services[] = {
    {"ftp-data", 20},    {"ftp", 21},           {"ssh", 22},           {"telnet", 23},
    {"smtp", 25},        {"domain", 53},        {"http", 80},          {"www", 80},
    {"pop3", 110},       {"pop-3", 110},        {"imap", 143},         {"imap2", 143},
    {"ldap", 389},       {"https", 443},        {"smtps", 465},        {"ssmtp", 465},
    {"submissions", 465},{"urd", 465},          {"submission", 587},   {"ldaps", 636},
    {"ftps", 990},       {"imaps", 993},        {"pop3s", 995},        {"mysql", 3306},
    {"sieve", 4190},     {"sip", 5060},         {"sip-tls", 5061},     {"xmpp-client", 5222},
    {"xmpp-server", 5269}, {"postgresql", 5432}, {"http-alt", 8080},
};
/* clang-format on */

struct ports {
    bool is_all;
    uint8_t bits[65536 / 8];
};

static void ports_add(struct ports *ports, unsigned first, unsigned last) {
    for (unsigned port = first; port <= last; port++)
        ports->bits[port / 8] |= (uint8_t)(1u << port % 8);
}

static bool ports_have(const struct ports *ports, unsigned port) {
    return ports->bits[port / 8] >> port % 8 & 1;
}

static bool is_digits(struct span text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.length > 0;
}

static bool add_named(struct ports *ports, struct span word) {
    for (size_t i = 0; i < SCOPES_NAMED; i++) {
        const struct scope *scope = &scopes_named[i];
        if (!span_is(word, scope->name))
            continue;
        ports->is_all |= scope->range_count == 0;
        for (unsigned r = 0; r < scope->range_count; r++)
            ports_add(ports, scope->ranges[r].first, scope->ranges[r].last);
        return true;
    }
    for (size_t i = 0; i < ELEMENTS_OF(services); i++)
        if (span_is(word, services[i].name)) {
            ports_add(ports, services[i].port, services[i].port);
            return true;
        }
    return false;
}

/* "25", "1000:2000" or "1000-2000"; 0 only as the beginning of every port. */
static int add_numbers(struct ports *ports, struct span word) {
    struct span second = word;
    struct span first = span_cut(&second, memchr(word.at, ':', word.length) ? ':' : '-');
    if (!second.at)
        second = first;
    if (!is_digits(first) || !is_digits(second))
        return -EINVAL;
    int64_t from = 0;
    int64_t to = 0;
    if (span_to_integer(first, 0, 65535, &from) < 0 || span_to_integer(second, 0, 65535, &to) < 0)
        return -ERANGE;
    if (from > to || (from == 0 && to < 65535))
        return -ERANGE;
    ports->is_all |= from <= 1 && to == 65535;
    ports_add(ports, (unsigned)from, (unsigned)to);
    return 0;
}

static int add_word(struct ports *ports, struct span word, struct why *reterr_why) {
    char name[SHOWN_MAX];
    char hint[NEAREST_HINT_MAX];
    if (add_named(ports, word))
        return 0;
    int error = add_numbers(ports, word);
    if (error == -ERANGE)
        return why_set(reterr_why, error, NULL, 0,
                       "'%s' is no port and no range of ports: they go from 1 to 65535",
                       shown(word, name));
    if (error < 0) {
        struct nearest nearest = nearest_to(word);
        for (size_t i = 0; i < SCOPES_NAMED; i++)
            nearest_offer(&nearest, scopes_named[i].name);
        for (size_t i = 0; i < ELEMENTS_OF(services); i++)
            nearest_offer(&nearest, services[i].name);
        return why_set(reterr_why, error, NULL, 0,
                       "'%s' is no port, no service and no scope (ssh, mail-login, mail, web, all)"
                       "%s",
                       shown(word, name), nearest_hint(&nearest, hint));
    }
    return 0;
}

static bool has_same_ranges(const struct scope *a, const struct scope *b) {
    if (a->range_count != b->range_count)
        return false;
    for (unsigned i = 0; i < a->range_count; i++)
        if (a->ranges[i].first != b->ranges[i].first || a->ranges[i].last != b->ranges[i].last)
            return false;
    return true;
}

static int gather_ranges(const struct ports *ports, struct scope *scope) {
    for (unsigned port = 1; port <= 65535; port++) {
        if (!ports_have(ports, port))
            continue;
        if (scope->range_count == SCOPE_RANGES_MAX)
            return -E2BIG;
        unsigned last = port;
        while (last < 65535 && ports_have(ports, last + 1))
            last++;
        scope->ranges[scope->range_count].first = (uint16_t)port;
        scope->ranges[scope->range_count].last = (uint16_t)last;
        scope->range_count++;
        port = last;
    }
    return 0;
}

static void name_by_ports(struct scope *scope) {
    enum { NAMED_BYTES = 6 };
    uint8_t bytes[4 * SCOPE_RANGES_MAX];
    for (unsigned i = 0; i < scope->range_count; i++) {
        bytes[4 * i] = (uint8_t)(scope->ranges[i].first >> 8);
        bytes[4 * i + 1] = (uint8_t)(scope->ranges[i].first & 0xff);
        bytes[4 * i + 2] = (uint8_t)(scope->ranges[i].last >> 8);
        bytes[4 * i + 3] = (uint8_t)(scope->ranges[i].last & 0xff);
    }
    char text[DIGEST_TEXT_MAX];
    struct span all = {(const char *)bytes, 4u * scope->range_count};
    struct digest digest = digest_of(all);
    snprintf(scope->name, sizeof(scope->name), "ports_%.*s", 2 * NAMED_BYTES,
             digest_format(&digest, text));
}

int scope_parse(struct span text, struct scope *ret_scope, struct why *reterr_why) {
    struct ports ports = {0};
    unsigned words = 0;
    while (text.length > 0) {
        struct span line = span_cut(&text, ',');
        for (struct span word; (word = span_word(&line)).length > 0; words++) {
            int error = add_word(&ports, word, reterr_why);
            if (error < 0)
                return error;
        }
    }
    if (words == 0)
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "no port is named; write ports, services or a scope "
                       "(ssh, mail-login, mail, web, all)");
    struct scope scope = {0};
    if (!ports.is_all && gather_ranges(&ports, &scope) < 0)
        return why_set(reterr_why, -E2BIG, NULL, 0,
                       "more than %d separate ranges of ports; a scope holds no more",
                       SCOPE_RANGES_MAX);
    for (size_t i = 0; i < SCOPES_NAMED; i++)
        if (has_same_ranges(&scope, &scopes_named[i])) {
            *ret_scope = scopes_named[i];
            return 0;
        }
    name_by_ports(&scope);
    *ret_scope = scope;
    return 0;
}

const char *scope_describe(const struct scope *scope, char *into, size_t room) {
    if (scope->is_shadow) {
        snprintf(into, room, "no port");
        return into;
    }
    for (size_t i = 0; i < SCOPES_NAMED; i++)
        if (has_same_ranges(scope, &scopes_named[i])) {
            snprintf(into, room, "%s", sentences[i]);
            return into;
        }
    cleanup_text struct text text = {0};
    bool is_one = scope->range_count == 1 && scope->ranges[0].first == scope->ranges[0].last;
    text_add_string(&text, is_one ? "port " : "ports ");
    for (unsigned i = 0; i < scope->range_count; i++) {
        text_add_format(&text, "%s%u", i ? ", " : "", scope->ranges[i].first);
        if (scope->ranges[i].last != scope->ranges[i].first)
            text_add_format(&text, "-%u", scope->ranges[i].last);
    }
    snprintf(into, room, "%.*s", SPAN_FORMAT(text_span(&text)));
    return into;
}
