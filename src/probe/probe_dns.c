/* The DNS as the rest of the world sees it of this machine's mail: asked of the configured
 * resolver, validated here with the root's keys that Debian ships (dns-root-data).
 *
 * Everything is said anew, from nothing, each time answers have come, until no question is left
 * (probe/dns.h). A machine whose domains have many names takes some ten rounds.
 *
 * Arguments: domains=A,B (hauberk.conf). For tests, which have a world of their own: resolver=
 * ADDRESS@PORT instead of resolv.conf's and anchors=FILE instead of Debian's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "probe/dns_say.h"
#include "probe/probe.h"
#include "probe/sts_fetch.h"
#include "probe/words.h"

enum { ROUNDS_MOST = 60, RESOLVER_MAX = 80 };
/* From the probe's start; less than its time (probes.def), so that what was answered is said. */
#define ANSWERS_UNTIL_US (15 * SECOND_US)
#define FIRST_ANSWER_LIMIT_US (4 * SECOND_US)

struct resolvers {
    char at[DNS_RESOLVERS_MOST][RESOLVER_MAX];
    const char *pointers[DNS_RESOLVERS_MOST];
    size_t count;
    bool trusts_ad;
};

/* ---- the resolver ---- */

static void add_resolver(struct resolvers *resolvers, struct span address) {
    if (resolvers->count == DNS_RESOLVERS_MOST || address.length >= RESOLVER_MAX)
        return;
    char *into = resolvers->at[resolvers->count];
    snprintf(into, RESOLVER_MAX, "%.*s", SPAN_FORMAT(address));
    resolvers->pointers[resolvers->count++] = into;
}

/* resolv.conf(5): without a nameserver, this machine. */
static void find_resolvers(struct look *look, struct resolvers *resolvers) {
    cleanup_text struct text text = {0};
    const char *given = look_argument(look, "resolver");
    struct span line;
    *resolvers = (struct resolvers){0};
    if (look_file("/etc/resolv.conf", &text) >= 0) {
        struct span rest = text_span(&text);
        while (next_line(&rest, &line)) {
            struct span word = span_word(&line);
            if (span_is(word, "nameserver"))
                add_resolver(resolvers, span_word(&line));
            while (span_is(word, "options") && line.length > 0)
                resolvers->trusts_ad |= span_is(span_word(&line), "trust-ad");
        }
    }
    if (given) {
        resolvers->count = 0;
        add_resolver(resolvers, span_of(given));
    } else if (resolvers->count == 0) {
        add_resolver(resolvers, SPAN("127.0.0.1"));
    }
}

static const char *kind_of(struct span resolver) {
    static const struct {
        const char *prefix, *whose;
    } open[] = {
        {"8.8.8.8", "Google"},
        {"8.8.4.4", "Google"},
        {"2001:4860:4860::/48", "Google"},
        {"1.1.1.0/24", "Cloudflare"},
        {"1.0.0.0/24", "Cloudflare"},
        {"2606:4700:4700::/48", "Cloudflare"},
        {"9.9.9.0/24", "Quad9"},
        {"149.112.112.0/24", "Quad9"},
        {"2620:fe::/48", "Quad9"},
        {"208.67.220.0/22", "OpenDNS"},
        {"2620:119:35::/48", "OpenDNS"},
        {"94.140.14.0/23", "AdGuard"},
        {"185.228.168.0/23", "CleanBrowsing"},
        {"4.2.2.0/28", "Level 3"},
        {"64.6.64.0/23", "Verisign"},
        {"193.110.81.0/24", "dns0.eu"},
    };
    static const char *const loopback[] = {"127.0.0.0/8", "::1"};
    struct address address;
    struct prefix prefix;
    struct span host = span_cut(&resolver, '@');
    if (address_parse(host, &address) < 0)
        return "no address";
    for (size_t i = 0; i < ELEMENTS_OF(loopback); i++)
        if (prefix_parse(span_of(loopback[i]), &prefix) == 0 && prefix_holds(&prefix, &address))
            return "loopback";
    for (size_t i = 0; i < ELEMENTS_OF(open); i++)
        if (prefix_parse(span_of(open[i].prefix), &prefix) == 0 && prefix_holds(&prefix, &address))
            return open[i].whose;
    return address_is_public(&address) ? "other" : "private";
}

static void say_resolvers(struct look *look, const struct resolvers *resolvers) {
    for (size_t i = 0; i < resolvers->count; i++) {
        const char *kind = kind_of(span_of(resolvers->at[i]));
        bool is_open = strcmp(kind, "loopback") != 0 && strcmp(kind, "private") != 0 &&
                       strcmp(kind, "other") != 0;
        look_say_format(look, "resolver", resolvers->at[i], "%s%s", is_open ? "open: " : "", kind);
        int validates = dns_resolver_validates(resolvers->at[i]);
        if (validates >= 0)
            look_say_text(look, "resolver.validates", resolvers->at[i], validates ? "yes" : "no");
        else
            look_say_not(look, "resolver.validates", "%s: %s", resolvers->at[i],
                         strerror(-validates));
    }
    look_say_text(look, "resolver.trust-ad", "", resolvers->trusts_ad ? "yes" : "no");
}

static const char *find_anchors(struct look *look) {
    static const char *const places[] = {"/var/lib/unbound/root.key", "/usr/share/dns/root.key"};
    const char *given = look_argument(look, "anchors");
    if (given)
        return given;
    for (size_t i = 0; i < ELEMENTS_OF(places); i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

/* A resolver that drops signatures makes all that is signed look forged. */
static bool passes_signatures(const struct resolvers *resolvers, const char *anchors) {
    struct dns *dns = dns_open(resolvers->pointers, resolvers->count, anchors,
                               FIRST_ANSWER_LIMIT_US, NULL);
    if (!dns)
        return false;
    const struct dns_answer *answer = dns_ask(dns, ".", DNS_SOA);
    (void)dns_wait(dns);
    bool is_secure = answer->trust == DNS_SECURE;
    (void)dns_close(dns);
    return is_secure;
}

static bool answers_at_all(const struct resolvers *resolvers) {
    struct dns *dns = dns_open(resolvers->pointers, resolvers->count, NULL, FIRST_ANSWER_LIMIT_US,
                               NULL);
    if (!dns)
        return false;
    const struct dns_answer *answer = dns_ask(dns, ".", DNS_NS);
    (void)dns_wait(dns);
    bool is_there = answer->state == DNS_FOUND || answer->state == DNS_EMPTY;
    (void)dns_close(dns);
    return is_there;
}

/* ---- all of it ---- */

static void say_mx_hosts(struct dns_look *at) {
    enum { HOSTS_MOST = 20 };
    static char hosts[HOSTS_MOST + 1][DNS_NAME_MAX]; /* one more, to see that there are more */
    size_t count = 0;
    if (at->names->host[0])
        snprintf(hosts[count++], DNS_NAME_MAX, "%s", at->names->host);
    for (size_t i = 0; i < at->names->domain_count; i++) {
        const struct dns_answer *answer = dns_ask(at->dns, at->names->domains[i].name, DNS_MX);
        for (size_t j = 0; j < answer->count && count <= HOSTS_MOST; j++) {
            unsigned preference;
            bool is_known = !record_mx(answer->records[j], &preference, hosts[count]) ||
                            !strchr(hosts[count], '.') || strcmp(hosts[count], ".") == 0;
            for (size_t k = 0; k < count && !is_known; k++)
                is_known = strcmp(hosts[k], hosts[count]) == 0;
            count += !is_known;
        }
    }
    for (size_t i = 0; i < count && i < HOSTS_MOST; i++)
        dns_say_host(at, hosts[i]);
    if (count > HOSTS_MOST)
        look_say_not(at->look, "host.", "only %d hosts of mail were asked for, there are more",
                     HOSTS_MOST);
}

/* Behind a router the machine does not have the address it sends from: its name should lead to it.
 */
static void say_addresses(struct dns_look *at) {
    const struct mail_names *names = at->names;
    for (size_t i = 0; i < names->sender_count; i++)
        dns_say_address(at, &names->senders[i]);
    if (names->sender_count > 0 || names->own_count > 0 || !names->host[0])
        return;
    const struct dns_answer *answer = dns_ask(at->dns, names->host, DNS_A);
    struct address address;
    if (answer->count == 1 && record_address(answer->records[0], &address) &&
        address_is_public(&address))
        dns_say_address(at, &address);
}

static void say_all(struct dns_look *at) {
    const struct mail_names *names = at->names;
    look_say_text(at->look, "helo", "", names->host[0] ? names->host : "none");
    look_say_text(at->look, "relayed", "", names->has_relay ? "yes" : "no");
    say_mx_hosts(at);
    say_addresses(at);
    if (names->host[0])
        dns_say_spf(at, names->host, true);
    for (size_t i = 0; i < names->domain_count; i++)
        dns_say_domain(at, &names->domains[i]);
    for (size_t i = 0; i < names->key_count; i++)
        dns_say_key(at, &names->keys[i]);
}

static void look_through(struct look *look, const struct resolvers *resolvers, const char *anchors,
                         const struct mail_names *names, int64_t limit_us) {
    struct why why = {0};
    struct dns *dns = dns_open(resolvers->pointers, resolvers->count, anchors, limit_us, &why);
    if (!dns) {
        look_say_not(look, NULL, "%s", why.text);
        return;
    }
    struct sts_fetched fetched = {0};
    struct dns_look at = {look, dns, names, &fetched};
    size_t said = look_mark(look);
    int rounds = 0;
    do {
        look_back(look, said);
        say_all(&at);
    } while (dns_wait(dns) && ++rounds < ROUNDS_MOST);
    /* The policies can be fetched when the domains are known; their hosts are asked on the way. */
    if (sts_fetch_all(&at, &fetched)) {
        look_back(look, said);
        say_all(&at);
    }
    (void)dns_close(dns);
}

/* What is told of domains is not told of all of them. */
static void say_left_out(struct look *look, const struct mail_names *names) {
    static const char *const of_domains[] = {"domain",  "domain.",  "servers",  "servers.",
                                             "wildcard", "mx",      "mx.",      "spf",
                                             "spf.",    "dmarc",    "dmarc.",   "dkim.signs",
                                             "mta-sts", "mta-sts.", "tls-rpt",  "tls-rpt."};
    static const char *const of_keys[] = {"dkim", "dkim."};
    for (size_t i = 0; names->left_out > 0 && i < ELEMENTS_OF(of_domains); i++)
        look_say_not(look, of_domains[i], "only %d domains were asked for, %zu others were not",
                     MAIL_DOMAINS_MOST, names->left_out);
    for (size_t i = 0; names->keys_left_out > 0 && i < ELEMENTS_OF(of_keys); i++)
        look_say_not(look, of_keys[i], "only %d keys were asked for, %zu others were not",
                     MAIL_KEYS_MOST, names->keys_left_out);
}

void probe_dns(struct look *look) {
    static struct mail_names names;
    struct resolvers resolvers;
    const char *declared = look_argument(look, "domains");
    int64_t began_us = clock_monotonic_us();
    mail_names_find(look, span_of(declared ? declared : ""), &names);
    look_say_text(look, "there", "", names.domain_count > 0 || names.host[0] ? "yes" : "no");
    say_left_out(look, &names);
    dns_say_scripts(look, &names);
    find_resolvers(look, &resolvers);
    if (names.domain_count == 0 && !names.host[0])
        return;
    if (!answers_at_all(&resolvers)) {
        look_say_not(look, NULL, "the resolver %s does not answer for the root", resolvers.at[0]);
        return;
    }
    say_resolvers(look, &resolvers);
    const char *anchors = find_anchors(look);
    if (!anchors)
        look_say_not(look, "resolver.dnssec",
                     "there are no keys of the root to validate with: apt install dns-root-data");
    bool validates = anchors && passes_signatures(&resolvers, anchors);
    if (anchors)
        look_say_text(look, "resolver.dnssec", "", validates ? "passed" : "dropped");
    look_through(look, &resolvers, validates ? anchors : NULL, &names,
                 ANSWERS_UNTIL_US - (clock_monotonic_us() - began_us));
}
