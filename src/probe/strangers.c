/* The interfaces' addresses, one after the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/strangers.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "probe/hosts.h"
#include "probe/postconf.h"

/* As wide as that, it is no network of anybody's. */
enum { NETWORK_LEAST_BITS = 8 };

bool address_of_socket(const struct sockaddr *socket_address, struct address *ret_address) {
    if (socket_address && socket_address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)socket_address;
        *ret_address = (struct address){.at = {[10] = 0xff, [11] = 0xff}};
        memcpy(ret_address->at + 12, &v4->sin_addr, 4);
        return true;
    }
    if (socket_address && socket_address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)socket_address;
        memcpy(ret_address->at, &v6->sin6_addr, 16);
        return true;
    }
    return false;
}

static bool is_of_this_machine_alone(const struct address *address) {
    static const char *const local[] = {"127.0.0.0/8", "::/96", "169.254.0.0/16", "fe80::/10"};
    for (size_t i = 0; i < ELEMENTS_OF(local); i++) {
        struct prefix prefix;
        must(prefix_parse(span_of(local[i]), &prefix) == 0);
        if (prefix_holds(&prefix, address))
            return true;
    }
    return false;
}

size_t own_addresses(struct address into[OWN_ADDRESSES_MOST]) {
    struct ifaddrs *all = NULL;
    size_t count = 0;
    if (getifaddrs(&all) < 0)
        return 0;
    for (struct ifaddrs *one = all; one && count < OWN_ADDRESSES_MOST; one = one->ifa_next)
        count += address_of_socket(one->ifa_addr, &into[count]) &&
                 !is_of_this_machine_alone(&into[count]);
    freeifaddrs(all);
    return count;
}

bool networks_hold(struct span networks, const struct address *address, bool *ret_is_sure) {
    struct span word;
    *ret_is_sure = true;
    while (postconf_next_word(&networks, &word)) {
        struct prefix prefix;
        if (network_parse(word, &prefix) < 0)
            *ret_is_sure = false;
        else if (prefix.length >= NETWORK_LEAST_BITS && prefix_holds(&prefix, address))
            return true;
    }
    return false;
}

bool stranger_to(const struct address *to, struct span trusted, struct address *ret_from) {
    struct address own[OWN_ADDRESSES_MOST + 1];
    bool is_sure;
    size_t count = own_addresses(own);
    must(address_parse(SPAN("127.0.0.2"), &own[count++]) >= 0);
    for (size_t i = 0; i < count; i++)
        if (address_is_v4(&own[i]) == address_is_v4(to) && memcmp(&own[i], to, sizeof(*to)) != 0 &&
            !networks_hold(trusted, &own[i], &is_sure)) {
            *ret_from = own[i];
            return true;
        }
    return false;
}
