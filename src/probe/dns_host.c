/* Hosts of mail and the addresses that mail leaves from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "probe/dns_say.h"
#include "probe/keys.h"

enum { LABELS_MOST = 8, NAMES_OF_ADDRESS_MOST = 10 };

static const char *const trust_names[] = {
    [DNS_UNKNOWN] = "unknown",
    [DNS_INSECURE] = "insecure",
    [DNS_SECURE] = "secure",
    [DNS_BOGUS] = "bogus",
};

/* ---- for all parts ---- */

bool dns_known(struct dns_look *at, const char *key, const char *subject, const char *name,
               enum dns_type type, const struct dns_answer **ret_answer) {
    const struct dns_answer *answer = dns_ask(at->dns, name, type);
    char what[DNS_NAME_MAX + 20];
    *ret_answer = answer;
    if (answer->state != DNS_FAILED)
        return answer->state != DNS_PENDING;
    look_say_not(at->look, key, "%s: %s: %s", subject, name, answer->why);
    if (answer->is_late)
        return false; /* maybe our impatience */
    snprintf(what, sizeof(what), "%s type %d", name, (int)type);
    look_say_text(at->look, answer->trust == DNS_BOGUS ? "bogus" : "failed", what, answer->why);
    return false;
}

bool dns_has_address(struct dns_look *at, const char *name, const struct address *address) {
    const struct dns_answer *answer = dns_ask(at->dns, name,
                                              address_is_v4(address) ? DNS_A : DNS_AAAA);
    for (size_t i = 0; i < answer->count; i++) {
        struct address one;
        if (record_address(answer->records[i], &one) && memcmp(&one, address, sizeof(one)) == 0)
            return true;
    }
    return false;
}

int dns_is_here(struct dns_look *at, const char *name) {
    const struct dns_answer *v4 = dns_ask(at->dns, name, DNS_A);
    const struct dns_answer *v6 = dns_ask(at->dns, name, DNS_AAAA);
    if (v4->state == DNS_PENDING || v4->state == DNS_FAILED || v6->state == DNS_PENDING ||
        v6->state == DNS_FAILED)
        return -EAGAIN;
    for (size_t i = 0; i < at->names->own_count; i++)
        if (dns_has_address(at, name, &at->names->own[i]))
            return 1;
    return at->names->own_count > 0 ? 0 : -EAGAIN;
}

size_t dns_text_of(const struct dns_answer *answer, const char *head, struct text *text) {
    size_t count = 0;
    for (size_t i = 0; i < answer->count; i++) {
        cleanup_text struct text one = {0};
        if (record_txt(answer->records[i], &one) && one.length >= strlen(head) &&
            strncasecmp(one.at, head, strlen(head)) == 0 && count++ == 0)
            text_add(text, text_span(&one));
    }
    return count;
}

/* ---- hosts ---- */

static void say_addresses(struct dns_look *at, const char *key, const char *host,
                          enum dns_type type) {
    const struct dns_answer *answer;
    cleanup_text struct text text = {0};
    if (!dns_known(at, key, host, host, type, &answer))
        return;
    for (size_t i = 0; i < answer->count; i++) {
        struct address address;
        char printed[PREFIX_TEXT_MAX];
        if (record_address(answer->records[i], &address))
            text_add_format(&text, "%s%s", text.length ? " " : "",
                            address_format(&address, printed));
    }
    look_say_text(at->look, key, host, text.length ? text.at : "none");
}

static void say_trust(struct dns_look *at, const char *host) {
    const struct dns_answer *v4 = dns_ask(at->dns, host, DNS_A);
    const struct dns_answer *v6 = dns_ask(at->dns, host, DNS_AAAA);
    enum dns_trust trust = v4->trust == DNS_BOGUS || v6->trust == DNS_BOGUS ? DNS_BOGUS
                           : v4->trust == DNS_UNKNOWN                       ? v6->trust
                                                                            : v4->trust;
    if (trust != DNS_UNKNOWN)
        look_say_text(at->look, "host.dnssec", host, trust_names[trust]);
    else
        look_say_not(at->look, "host.dnssec", "%s: nothing can be validated here", host);
}

/* The records of the closest name up the tree that has some (RFC 8659, 3). */
static void say_caa(struct dns_look *at, const char *host) {
    const char *name = host;
    for (int i = 0; i < LABELS_MOST && name; i++) {
        const struct dns_answer *answer;
        cleanup_text struct text text = {0};
        if (!dns_known(at, "host.caa", host, name, DNS_CAA, &answer))
            return;
        for (size_t j = 0; j < answer->count; j++) {
            text_add_string(&text, text.length ? ", " : "");
            (void)record_caa(answer->records[j], &text);
        }
        if (answer->count > 0) {
            look_say(at->look, "host.caa", host, text_span(&text));
            return;
        }
        name = strchr(name, '.') ? strchr(name, '.') + 1 : NULL;
    }
    look_say_text(at->look, "host.caa", host, "none");
}

/* ---- TLSA ---- */

/* 1: every certificate that Postfix has is in some usable record; 0: one is in none. */
static int certificates_are_published(struct dns_look *at, const struct dns_answer *answer,
                                      char complaint[400]) {
    for (size_t i = 0; i < at->names->certificate_count; i++) {
        const char *path = at->names->certificates[i];
        int matches = 0;
        for (size_t j = 0; j < answer->count && matches == 0; j++) {
            struct tlsa tlsa;
            if (record_tlsa(answer->records[j], &tlsa) && tlsa_is_usable(&tlsa))
                matches = certificate_matches(path, &tlsa);
        }
        snprintf(complaint, 400, "%s: %s", path,
                 matches < 0 ? strerror(-matches) : "in none of the records");
        if (matches != 1)
            return matches;
    }
    return at->names->certificate_count > 0 ? 1 : -ENOENT;
}

static void say_tlsa(struct dns_look *at, const char *host) {
    const struct dns_answer *answer;
    char name[DNS_NAME_MAX + 20];
    char complaint[400] = "";
    cleanup_text struct text text = {0};
    unsigned usable = 0;
    bool has_issuer = false;
    snprintf(name, sizeof(name), "_25._tcp.%s", host);
    if (!dns_known(at, "host.tlsa", host, name, DNS_TLSA, &answer))
        return;
    for (size_t i = 0; i < answer->count; i++) {
        struct tlsa tlsa;
        if (!record_tlsa(answer->records[i], &tlsa)) {
            text_add_format(&text, "%sbroken", text.length ? ", " : "");
            continue;
        }
        bool is_usable = tlsa_is_usable(&tlsa);
        usable += is_usable;
        has_issuer = has_issuer || (is_usable && tlsa.usage == 2);
        text_add_format(&text, "%s%u %u %u ", text.length ? ", " : "", tlsa.usage, tlsa.selector,
                        tlsa.matching);
        for (size_t j = 0; j < tlsa.data.length && j < 64; j++)
            text_add_format(&text, "%02x", (unsigned)(uint8_t)tlsa.data.at[j]);
    }
    look_say_text(at->look, "host.tlsa", host, text.length ? text.at : "none");
    if (answer->count == 0)
        return;
    look_say_text(at->look, "host.tlsa.dnssec", host, trust_names[answer->trust]);
    look_say_format(at->look, "host.tlsa.usable", host, "%u", usable);
    look_say_text(at->look, "host.tlsa.rollover", host, usable >= 2 || has_issuer ? "yes" : "no");
    int matches = certificates_are_published(at, answer, complaint);
    if (matches >= 0)
        look_say_format(at->look, "host.tlsa.matches", host, "%s%s%s", matches ? "yes" : "no",
                        matches ? "" : ": ", matches ? "" : complaint);
    else
        look_say_not(at->look, "host.tlsa.matches", "%s: %s", host,
                     complaint[0] ? complaint : "Postfix has no certificate");
}

void dns_say_host(struct dns_look *at, const char *host) {
    say_addresses(at, "host.a", host, DNS_A);
    say_addresses(at, "host.aaaa", host, DNS_AAAA);
    const struct dns_answer *answer = dns_ask(at->dns, host, DNS_A);
    look_say_text(at->look, "host.alias", host, answer->canonical ? answer->canonical : "none");
    int is_here = dns_is_here(at, host);
    look_say_text(at->look, "host.here", host,
                  is_here == 1   ? "yes"
                  : is_here == 0 ? "no"
                                 : "unknown");
    look_say_text(at->look, "host.is-helo", host,
                  strcmp(host, at->names->host) == 0 ? "yes" : "no");
    if (is_here == 0)
        return; /* another's affair */
    say_trust(at, host);
    say_tlsa(at, host);
    say_caa(at, host);
}

/* ---- addresses ---- */

struct blocklist {
    const char *zone;
    bool takes_v4, takes_v6;
};

static const struct blocklist blocklists[] = {
#define BLOCKLIST(zone, v4, v6) {zone, v4, v6},
#include "probe/blocklists.def"
#undef BLOCKLIST
};

/* What a list says: true for a listing. Codes other than 127.0.0.x are something else:
 * 127.255.255.x says that this resolver is not served, what is not in 127.0.0.0/8 comes from a list
 * that is dead. */
static bool read_list(const struct dns_answer *answer, bool *ret_refuses, struct text *codes) {
    bool is_listed = false;
    *ret_refuses = false;
    for (size_t i = 0; i < answer->count; i++) {
        struct address address;
        char printed[PREFIX_TEXT_MAX];
        if (!record_address(answer->records[i], &address) || !address_is_v4(&address))
            continue;
        const uint8_t *code = &address.at[12];
        bool is_listing = code[0] == 127 && code[1] == 0 && code[2] == 0;
        *ret_refuses = *ret_refuses || !is_listing;
        is_listed = is_listed || is_listing;
        text_add_format(codes, "%s%s", codes->length ? " " : "", address_format(&address, printed));
    }
    return is_listed;
}

/* Every living list has 127.0.0.2 and has not 127.0.0.1 (RFC 5782, 5). */
static const char *why_list_is_unusable(struct dns_look *at, const struct blocklist *list) {
    static const char *const tests[] = {"127.0.0.1", "127.0.0.2"};
    bool is_listed[2];
    bool refuses = false;
    for (size_t i = 0; i < 2; i++) {
        struct address address;
        char name[DNS_NAME_MAX];
        cleanup_text struct text codes = {0};
        must(address_parse(span_of(tests[i]), &address) == 0);
        dns_reverse(&address, list->zone, name);
        const struct dns_answer *answer = dns_ask(at->dns, name, DNS_A);
        if (answer->state == DNS_PENDING || answer->state == DNS_FAILED)
            return "it does not answer";
        bool refuses_this;
        is_listed[i] = read_list(answer, &refuses_this, &codes);
        refuses = refuses || refuses_this;
    }
    return refuses         ? "it refuses this resolver"
           : is_listed[0]  ? "it lists everything"
           : !is_listed[1] ? "its test address is not listed: it is dead, or refuses this resolver"
                           : NULL;
}

static void say_listings(struct dns_look *at, const struct address *address, const char *printed) {
    for (size_t i = 0; i < ELEMENTS_OF(blocklists); i++) {
        const struct blocklist *list = &blocklists[i];
        char subject[PREFIX_TEXT_MAX + 80];
        char name[DNS_NAME_MAX];
        cleanup_text struct text codes = {0};
        bool refuses;
        if (address_is_v4(address) ? !list->takes_v4 : !list->takes_v6)
            continue;
        snprintf(subject, sizeof(subject), "%s %s", printed, list->zone);
        dns_reverse(address, list->zone, name);
        const struct dns_answer *answer = dns_ask(at->dns, name, DNS_A);
        const char *why = why_list_is_unusable(at, list);
        if (answer->state == DNS_PENDING)
            continue;
        bool is_listed = read_list(answer, &refuses, &codes) && !why;
        if (why || answer->state == DNS_FAILED || refuses)
            look_say_format(at->look, "list.refuses", list->zone, "%s",
                            why       ? why
                            : refuses ? codes.at
                                      : answer->why);
        else
            look_say_format(at->look, "address.listed", subject, "%s%s", is_listed ? "yes: " : "no",
                            is_listed ? codes.at : "");
    }
}

void dns_say_address(struct dns_look *at, const struct address *address) {
    char printed[PREFIX_TEXT_MAX];
    char reverse[DNS_NAME_MAX];
    const struct dns_answer *answer;
    cleanup_text struct text names = {0};
    bool is_confirmed = false;
    bool is_helo = false;
    address_format(address, printed);
    dns_reverse(address, NULL, reverse);
    say_listings(at, address, printed);
    if (at->names->host[0])
        look_say_text(at->look, "address.named", printed,
                      dns_has_address(at, at->names->host, address) ? "yes" : "no");
    if (!dns_known(at, "address.ptr", printed, reverse, DNS_PTR, &answer))
        return;
    for (size_t i = 0; i < answer->count && i < NAMES_OF_ADDRESS_MOST; i++) {
        char name[DNS_NAME_MAX];
        if (!record_name(answer->records[i], 0, name))
            continue;
        text_add_format(&names, "%s%s", names.length ? " " : "", name);
        is_confirmed = dns_has_address(at, name, address) || is_confirmed;
        is_helo = is_helo || strcmp(name, at->names->host) == 0;
    }
    look_say_text(at->look, "address.ptr", printed, names.length ? names.at : "none");
    if (names.length == 0)
        return;
    look_say_text(at->look, "address.confirmed", printed, is_confirmed ? "yes" : "no");
    if (at->names->host[0])
        look_say_text(at->look, "address.helo", printed, is_helo ? "yes" : "no");
}
