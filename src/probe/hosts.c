/* Well-known networks: RFC 6890; the public resolvers' addresses as their operators give them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/hosts.h"

#include <errno.h>
#include <stdio.h>

struct known {
    const char *prefix, *kind;
};

static const struct known kinds[] = {
    {"127.0.0.0/8", "loopback"},  {"::1/128", "loopback"},       {"10.0.0.0/8", "private"},
    {"172.16.0.0/12", "private"}, {"192.168.0.0/16", "private"}, {"169.254.0.0/16", "private"},
    {"100.64.0.0/10", "private"}, {"fc00::/7", "private"},       {"fe80::/10", "private"},
};

static const struct known resolvers[] = {
    {"8.8.8.8/32", ""},      {"8.8.4.4/32", ""},       {"2001:4860:4860::/48", ""},
    {"1.1.1.0/24", ""},      {"1.0.0.0/24", ""},       {"2606:4700:4700::/48", ""},
    {"9.9.9.0/24", ""},      {"149.112.112.0/24", ""}, {"2620:fe::/48", ""},
    {"208.67.220.0/22", ""}, {"2620:119::/32", ""},    {"94.140.14.0/23", ""},
    {"77.88.8.0/24", ""},    {"64.6.64.0/23", ""},     {"185.228.168.0/23", ""},
    {"4.2.2.0/24", ""},      {"76.76.2.0/24", ""},     {"76.76.10.0/24", ""},
};

static const char *find(const struct known *known, size_t count, const struct prefix *prefix) {
    for (size_t i = 0; i < count; i++) {
        struct prefix outer;
        if (prefix_parse(span_of(known[i].prefix), &outer) == 0 && prefix_contains(&outer, prefix))
            return known[i].kind;
    }
    return NULL;
}

int network_parse(struct span word, struct prefix *ret_prefix) {
    char plain[100];
    char mapped[100];
    size_t length = 0;
    int64_t bits;
    if (word.length >= sizeof(plain))
        return -EINVAL;
    for (size_t i = 0; i < word.length; i++)
        if (word.at[i] != '[' && word.at[i] != ']')
            plain[length++] = word.at[i];
    struct span host = {plain, length};
    struct span rest = host;
    struct span address = span_cut(&rest, '/');
    if (span_starts_with(host, SPAN("::ffff:")) && rest.at &&
        span_to_integer(rest, 96, 128, &bits) == 0) {
        address = span_skip(address, strlen("::ffff:"));
        snprintf(mapped, sizeof(mapped), "%.*s/%d", SPAN_FORMAT(address), (int)bits - 96);
        host = span_of(mapped);
    }
    return host.length ? prefix_parse(host, ret_prefix) : -EINVAL;
}

const char *network_kind(const struct prefix *prefix) {
    const char *kind = find(kinds, ELEMENTS_OF(kinds), prefix);
    return kind ? kind : "public";
}

bool host_is_loopback(struct span host) {
    struct address address;
    if (span_is(host, "localhost"))
        return true;
    if (address_parse(host, &address) < 0)
        return false;
    struct prefix prefix = prefix_of(&address);
    return strcmp(network_kind(&prefix), "loopback") == 0;
}

const char *resolver_kind(struct span text) {
    struct address address;
    if (address_parse(text, &address) < 0)
        return "other";
    struct prefix prefix = prefix_of(&address);
    return host_is_loopback(text)                             ? "loopback"
           : find(resolvers, ELEMENTS_OF(resolvers), &prefix) ? "public resolver"
                                                              : "other";
}
