/* See origins.h. Private addresses are those of RFC 1918, RFC 6598 and RFC 4193.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/origins.h"

#include <stdlib.h>

#include "base/clock.h"

enum { FOLLOWED = 8, HIDDEN_ACCOUNTS = 5 };
#define HALVED_EVERY_US (12 * HOUR_US)
#define HIDDEN_LEAST_US (10 * MINUTE_US)

struct place {
    struct origin origin; /* failures 0: free. Counted with the error of who was there before */
    uint32_t error;
    uint64_t accounts[ORIGIN_ACCOUNTS];
};

struct origins {
    uint32_t jails;
    struct jail_origins {
        struct place places[FOLLOWED];
        uint32_t all;
        bool had_more; /* somebody was given up */
        int64_t halved_us;
    } at[];
};

struct origins *origins_new(uint32_t jails) {
    struct origins *origins = calloc(1, sizeof(*origins) + jails * sizeof(origins->at[0]));
    must(origins);
    origins->jails = jails;
    return origins;
}

struct origins *origins_free(struct origins *origins) {
    free(origins);
    return NULL;
}

static void halve(struct jail_origins *jail) {
    jail->all = 0;
    jail->had_more = false;
    for (unsigned i = 0; i < FOLLOWED; i++) {
        struct place *place = &jail->places[i];
        place->origin.failures /= 2;
        place->error /= 2;
        jail->all += place->origin.failures - place->error;
        if (place->origin.failures == 0)
            *place = (struct place){0};
    }
}

/* Its place, or the one of who failed least. */
static struct place *find_place(struct jail_origins *jail, const struct address *address) {
    struct place *least = &jail->places[0];
    for (unsigned i = 0; i < FOLLOWED; i++) {
        struct place *place = &jail->places[i];
        if (place->origin.failures &&
            memcmp(&place->origin.address, address, sizeof(*address)) == 0)
            return place;
        if (place->origin.failures < least->origin.failures)
            least = place;
    }
    return least;
}

static void note_account(struct place *place, uint64_t account) {
    for (uint32_t i = 0; i < place->origin.accounts; i++)
        if (place->accounts[i] == account)
            return;
    if (account && place->origin.accounts < ORIGIN_ACCOUNTS)
        place->accounts[place->origin.accounts++] = account;
}

void origins_note(struct origins *origins, uint16_t number, const struct address *address,
                  uint64_t account, int64_t at_us) {
    must(number < origins->jails);
    struct jail_origins *jail = &origins->at[number];
    if (jail->halved_us == 0)
        jail->halved_us = at_us;
    if (at_us - jail->halved_us >= HALVED_EVERY_US) {
        halve(jail);
        jail->halved_us = at_us;
    }
    struct place *place = find_place(jail, address);
    if (memcmp(&place->origin.address, address, sizeof(*address)) != 0 ||
        place->origin.failures == 0) {
        uint32_t before = place->origin.failures;
        jail->had_more = jail->had_more || before > 0;
        *place = (struct place){.origin = {.address = *address, .failures = before,
                                           .first_us = at_us, .last_us = at_us},
                                .error = before};
    }
    place->origin.failures++;
    if (at_us > place->origin.last_us)
        place->origin.last_us = at_us;
    if (at_us < place->origin.first_us)
        place->origin.first_us = at_us;
    note_account(place, account);
    jail->all++;
}

bool origins_most(const struct origins *origins, uint16_t number, struct origin *ret_origin) {
    const struct jail_origins *jail = &origins->at[number];
    const struct place *most = NULL;
    uint32_t others = 0;
    for (unsigned i = 0; i < FOLLOWED; i++) {
        const struct place *place = &jail->places[i];
        others += place->origin.failures > 0;
        if (!most || place->origin.failures - place->error >
                         most->origin.failures - most->error)
            most = place;
    }
    uint32_t failures = most->origin.failures - most->error;
    if (jail->all < ORIGIN_FAILURES_LEAST || failures <= jail->all / 2)
        return false;
    *ret_origin = most->origin;
    ret_origin->failures = failures;
    ret_origin->of = jail->all;
    ret_origin->is_only = others == 1 && !jail->had_more;
    return true;
}

static bool is_private(const struct address *address) {
    const uint8_t *at = address->at;
    if (!address_is_v4(address))
        return (at[0] & 0xfe) == 0xfc;
    return at[12] == 10 || (at[12] == 172 && (at[13] & 0xf0) == 16) ||
           (at[12] == 192 && at[13] == 168) || (at[12] == 100 && (at[13] & 0xc0) == 64);
}

bool origin_hides_others(const struct origin *origin) {
    return origin->is_only && origin->accounts >= HIDDEN_ACCOUNTS &&
           origin->last_us - origin->first_us >= HIDDEN_LEAST_US && is_private(&origin->address);
}
