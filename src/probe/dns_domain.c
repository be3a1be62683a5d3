/* A domain of mail: where its mail goes, who may send in its name, and whom that is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "probe/dns_say.h"
#include "probe/keys.h"
#include "probe/sts_fetch.h"
#include "probe/tags.h"

enum { LABELS_MOST = 8, REPORTS_MOST = 10, SERVERS_MOST = 12 };

static bool lies_in(const char *name, const char *domain) {
    size_t length = strlen(name);
    size_t tail = strlen(domain);
    return length >= tail && strcasecmp(name + length - tail, domain) == 0 &&
           (length == tail || name[length - tail - 1] == '.');
}

/* ---- MX ---- */

static const char *state_of_target(struct dns_look *at, const char *host, char into[300]) {
    const struct dns_answer *v4 = dns_ask(at->dns, host, DNS_A);
    const struct dns_answer *v6 = dns_ask(at->dns, host, DNS_AAAA);
    struct address address;
    if (address_parse(span_of(host), &address) == 0)
        return "an address instead of a name";
    if (v4->state == DNS_FAILED && v6->state == DNS_FAILED)
        return NULL;
    snprintf(into, 300, "alias of %s", v4->canonical ? v4->canonical : "");
    return v4->canonical ? into : v4->count == 0 && v6->count == 0 ? "no address" : "good";
}

/* True when the domain has MX records of its own that take mail. */
static void say_mx(struct dns_look *at, const char *domain, const struct dns_answer *answer) {
    cleanup_text struct text hosts = {0};
    unsigned here = 0;
    unsigned elsewhere = 0;
    unsigned with_v6 = 0;
    bool is_null = false;
    for (size_t i = 0; i < answer->count; i++) {
        unsigned preference;
        char host[DNS_NAME_MAX];
        char into[300];
        char subject[2 * DNS_NAME_MAX + 2];
        if (!record_mx(answer->records[i], &preference, host))
            continue;
        text_add_format(&hosts, "%s%s", hosts.length ? " " : "", host);
        if (strcmp(host, ".") == 0) {
            is_null = true;
            continue;
        }
        const char *state = state_of_target(at, host, into);
        snprintf(subject, sizeof(subject), "%s %s", domain, host);
        if (state)
            look_say_text(at->look, "mx.target", subject, state);
        int is_here = dns_is_here(at, host);
        here += is_here == 1;
        elsewhere += is_here == 0;
        with_v6 += dns_ask(at->dns, host, DNS_AAAA)->count > 0;
    }
    look_say_text(at->look, "mx", domain, is_null ? "null" : hosts.length ? hosts.at : "none");
    if (answer->count == 0 || is_null)
        return;
    look_say_text(at->look, "mx.here", domain,
                  here == answer->count        ? "yes"
                  : here > 0                   ? "some"
                  : elsewhere == answer->count ? "no"
                                               : "unknown");
    look_say_text(at->look, "mx.ipv6", domain, with_v6 == answer->count ? "yes" : "no");
}

/* ---- the zone ---- */

static void say_zone(struct dns_look *at, const char *domain) {
    const struct dns_answer *answer;
    const struct dns_answer *soa = dns_ask(at->dns, domain, DNS_SOA);
    static const char *const names[] = {"unknown", "insecure", "secure", "bogus"};
    if (soa->state == DNS_PENDING)
        return;
    if (soa->trust == DNS_BOGUS)
        look_say_format(at->look, "domain.dnssec", domain, "bogus: %s", soa->why);
    else if (soa->trust != DNS_UNKNOWN)
        look_say_text(at->look, "domain.dnssec", domain, names[soa->trust]);
    else
        look_say_not(at->look, "domain.dnssec", "%s: nothing can be validated here", domain);
    if (dns_known(at, "domain.exists", domain, domain, DNS_SOA, &answer))
        look_say_text(at->look, "domain.exists", domain,
                      answer->state == DNS_NO_NAME ? "no" : "yes");
}

/* The servers of the zone that the domain lies in. */
static void say_servers(struct dns_look *at, const char *domain) {
    const char *zone = domain;
    for (int i = 0; i < LABELS_MOST && zone && strchr(zone, '.'); i++) {
        const struct dns_answer *answer;
        unsigned with_v6 = 0;
        if (!dns_known(at, "servers", domain, zone, DNS_NS, &answer))
            return;
        for (size_t j = 0; j < answer->count && j < SERVERS_MOST; j++) {
            char name[DNS_NAME_MAX];
            with_v6 += record_name(answer->records[j], 0, name) &&
                       dns_ask(at->dns, name, DNS_AAAA)->count > 0;
        }
        if (answer->count > 0) {
            look_say_format(at->look, "servers", domain, "%zu", answer->count);
            look_say_format(at->look, "servers.ipv6", domain, "%u", with_v6);
            return;
        }
        zone = strchr(zone, '.') + 1;
    }
}

/* What a name answers that nobody has made. */
static void say_wildcard(struct dns_look *at, const char *domain) {
    static const struct {
        enum dns_type type;
        const char *name;
    } types[] = {{DNS_A, "A"}, {DNS_AAAA, "AAAA"}, {DNS_MX, "MX"}, {DNS_TXT, "TXT"}};
    char name[DNS_NAME_MAX + 40];
    cleanup_text struct text found = {0};
    snprintf(name, sizeof(name), "hauberk-asks-for-a-wildcard.%s", domain);
    for (size_t i = 0; i < ELEMENTS_OF(types); i++) {
        const struct dns_answer *answer = dns_ask(at->dns, name, types[i].type);
        if (answer->state == DNS_PENDING || answer->state == DNS_FAILED)
            return;
        if (answer->count > 0)
            text_add_format(&found, "%s%s", found.length ? " " : "", types[i].name);
    }
    look_say_text(at->look, "wildcard", domain, found.length ? found.at : "none");
}

/* ---- DMARC ---- */

static void say_reports(struct dns_look *at, const char *domain, struct span list) {
    char receiver[256];
    for (int i = 0; i < REPORTS_MOST && report_domain(&list, receiver); i++) {
        char name[3 * DNS_NAME_MAX];
        char subject[2 * DNS_NAME_MAX + 10];
        const struct dns_answer *answer;
        cleanup_text struct text text = {0};
        if (!receiver[0] || lies_in(receiver, domain) || lies_in(domain, receiver))
            continue;
        snprintf(name, sizeof(name), "%s._report._dmarc.%s", domain, receiver);
        snprintf(subject, sizeof(subject), "%s %s", domain, receiver);
        if (dns_known(at, "dmarc.accepted", subject, name, DNS_TXT, &answer))
            look_say_text(at->look, "dmarc.accepted", subject,
                          dns_text_of(answer, "v=DMARC1", &text) > 0 ? "yes" : "no");
    }
}

static void say_dmarc_text(struct dns_look *at, const char *domain, const char *zone,
                           struct span text) {
    struct dmarc dmarc;
    struct why why = {0};
    bool is_own = strcmp(zone, domain) == 0;
    int error = dmarc_read(text, &dmarc, &why);
    look_say(at->look, "dmarc", domain, text);
    look_say_text(at->look, "dmarc.at", domain, zone);
    look_say_text(at->look, "dmarc.error", domain, error < 0 ? why.text : "none");
    if (error < 0)
        return;
    look_say(at->look, "dmarc.policy", domain, is_own ? dmarc.policy : dmarc.subdomains);
    look_say(at->look, "dmarc.subdomains", domain, dmarc.subdomains);
    look_say_text(at->look, "dmarc.test", domain, dmarc.is_test ? "yes" : "no");
    look_say_format(at->look, "dmarc.percent", domain, "%u", dmarc.percent);
    look_say(at->look, "dmarc.reports", domain, dmarc.reports.at ? dmarc.reports : SPAN("none"));
    if (is_own)
        say_reports(at, domain, dmarc.reports);
}

/* Up the tree to the first name that has a record (RFC 9989). */
static void say_dmarc(struct dns_look *at, const char *domain) {
    const char *zone = domain;
    for (int i = 0; i < LABELS_MOST && zone && strchr(zone, '.'); i++) {
        char name[DNS_NAME_MAX + 10];
        const struct dns_answer *answer;
        cleanup_text struct text text = {0};
        snprintf(name, sizeof(name), "_dmarc.%s", zone);
        if (!dns_known(at, "dmarc", domain, name, DNS_TXT, &answer))
            return;
        size_t count = dns_text_of(answer, "v=DMARC1", &text);
        if (count > 0) {
            look_say_format(at->look, "dmarc.records", domain, "%zu", count);
            say_dmarc_text(at, domain, zone, text_span(&text));
            return;
        }
        zone = strchr(zone, '.') + 1;
    }
    look_say_text(at->look, "dmarc", domain, "none");
}

/* ---- DKIM ---- */

void dns_say_key(struct dns_look *at, const struct mail_key *key) {
    char name[2 * DNS_NAME_MAX];
    const struct dns_answer *answer;
    cleanup_text struct text text = {0};
    struct why why = {0};
    struct dkim dkim;
    struct key own;
    snprintf(name, sizeof(name), "%s._domainkey.%s", key->selector, key->domain);
    if (!dns_known(at, "dkim", name, name, DNS_TXT, &answer))
        return;
    /* The version may be left out; a name with _domainkey has nothing else. */
    size_t count = dns_text_of(answer, "", &text);
    look_say_text(at->look, "dkim", name, text.length ? text.at : "none");
    if (count == 0)
        return;
    int error = dkim_read(text_span(&text), &dkim, &why);
    bool is_ed25519 = error >= 0 && dkim.type.length == 7;
    int bits = error < 0 || dkim.is_revoked ? 0 : key_bits(dkim.key, dkim.key_length, is_ed25519);
    look_say_text(at->look, "dkim.error", name,
                  error < 0         ? why.text
                  : count > 1       ? "there is more than one record"
                  : dkim.is_revoked ? "p= is empty: the key is revoked"
                  : bits < 0        ? "p= is no key of that type"
                                    : "none");
    if (error < 0 || bits <= 0)
        return;
    look_say(at->look, "dkim.type", name, dkim.type);
    look_say_format(at->look, "dkim.bits", name, "%d", bits);
    look_say_text(at->look, "dkim.test", name, dkim.is_test ? "yes" : "no");
    look_say(at->look, "dkim.hashes", name, dkim.hashes.at ? dkim.hashes : SPAN("all"));
    int result = key_of_file(key->path, &own);
    if (result < 0)
        look_say_not(at->look, "dkim.matches", "%s: %s", key->path, strerror(-result));
    else
        look_say_text(at->look, "dkim.matches", name,
                      own.length == dkim.key_length && memcmp(own.at, dkim.key, own.length) == 0
                          ? "yes"
                          : "no");
}

static void say_signs(struct dns_look *at, const char *domain) {
    const struct mail_names *names = at->names;
    bool signs = false;
    for (size_t i = 0; i < names->key_count; i++)
        signs = signs || lies_in(domain, names->keys[i].domain);
    if (signs || !names->other_keys[0])
        look_say_text(at->look, "dkim.signs", domain, signs ? "yes" : "no");
    else
        look_say_not(at->look, "dkim.signs", "%s: %s", domain, names->other_keys);
}

/* ---- MTA-STS and reports about TLS ---- */

static void say_policy(struct dns_look *at, const char *domain) {
    const struct sts_file *file = sts_find(at->fetched, domain);
    const struct dns_answer *mx = dns_ask(at->dns, domain, DNS_MX);
    struct sts_policy policy;
    struct why why = {0};
    bool covers = true;
    if (!file) { /* so that its host is known when it is fetched */
        char host[DNS_NAME_MAX + 10];
        snprintf(host, sizeof(host), "mta-sts.%s", domain);
        (void)dns_ask(at->dns, host, DNS_A);
        (void)dns_ask(at->dns, host, DNS_AAAA);
        return;
    }
    if (file->error == -EREMOTE || file->error == -EAGAIN) {
        look_say_not(at->look, "mta-sts.policy", "%s: %s", domain, file->why);
        return;
    }
    int error = file->error < 0 ? file->error : sts_read_policy(span_of(file->text), &policy, &why);
    look_say_text(at->look, "mta-sts.policy.error", domain,
                  file->error < 0 ? file->why
                  : error < 0     ? why.text
                                  : "none");
    if (error < 0)
        return;
    look_say(at->look, "mta-sts.policy", domain, policy.mode);
    look_say_format(at->look, "mta-sts.max-age", domain, "%u", policy.max_age_sec);
    for (size_t i = 0; i < mx->count; i++) {
        unsigned preference;
        char host[DNS_NAME_MAX];
        covers = covers && record_mx(mx->records[i], &preference, host) &&
                 sts_covers(&policy, host);
    }
    look_say_text(at->look, "mta-sts.covers", domain, covers ? "yes" : "no");
}

static void say_versioned(struct dns_look *at, const char *domain, const char *label,
                          const char *head, const char *key, const char *error_key,
                          int (*read)(struct span text, struct why *why)) {
    char name[DNS_NAME_MAX + 20];
    const struct dns_answer *answer;
    cleanup_text struct text text = {0};
    struct why why = {0};
    snprintf(name, sizeof(name), "%s.%s", label, domain);
    if (!dns_known(at, key, domain, name, DNS_TXT, &answer))
        return;
    size_t count = dns_text_of(answer, head, &text);
    look_say_text(at->look, key, domain, count ? text.at : "none");
    if (count == 0)
        return;
    bool is_good = read(text_span(&text), &why) >= 0;
    look_say_text(at->look, error_key, domain,
                  !is_good    ? why.text
                  : count > 1 ? "there is more than one record"
                              : "none");
}

/* ---- all of it ---- */

void dns_say_domain(struct dns_look *at, const struct mail_domain *domain) {
    const char *name = domain->name;
    const struct dns_answer *mx;
    bool is_known = dns_known(at, "mx", name, name, DNS_MX, &mx);
    /* Debian's mydestination has the host's own name, which is no domain of mail unless it says so.
     */
    if (strcmp(name, at->names->host) == 0 && is_known && mx->count == 0 &&
        strcmp(domain->from, "domains") != 0)
        return;
    look_say_text(at->look, "domain", name, domain->from);
    say_zone(at, name);
    if (!is_known || mx->state == DNS_NO_NAME)
        return;
    say_mx(at, name, mx);
    say_servers(at, name);
    say_wildcard(at, name);
    if (strcmp(name, at->names->host) != 0)
        dns_say_spf(at, name, strcmp(domain->from, "relay_domains") != 0);
    say_dmarc(at, name);
    say_signs(at, name);
    say_versioned(at, name, "_mta-sts", "v=STSv1", "mta-sts", "mta-sts.error", sts_read);
    say_policy(at, name);
    say_versioned(at, name, "_smtp._tls", "v=TLSRPTv1", "tls-rpt", "tls-rpt.error",
                  tls_reports_read);
}
