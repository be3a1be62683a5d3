/* Pardons: see pardons.h. An array in the order of their times, newest last.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/pardons.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"

#define PARDON_LIFE_US (7 * DAY_US) /* older lines are clamped, and ban nobody any more */

struct pardon {
    struct prefix prefix;
    int jail;
    int64_t at_us;
};

struct pardons {
    struct pardon *at;
    uint32_t count, room;
};

struct pardons *pardons_new(void) {
    struct pardons *pardons = calloc(1, sizeof(*pardons));
    must(pardons);
    return pardons;
}

struct pardons *pardons_free(struct pardons *pardons) {
    if (pardons)
        free(pardons->at);
    free(pardons);
    return NULL;
}

/* The oldest go: those that are over, and if there is none, a few, so that it is not done each
 * time. */
static void make_room(struct pardons *pardons) {
    uint32_t gone = 0;
    int64_t since_us = pardons->at[pardons->count - 1].at_us - PARDON_LIFE_US;
    while (gone < pardons->count && pardons->at[gone].at_us < since_us)
        gone++;
    if (gone == 0 && pardons->count == PARDONS_MOST)
        gone = PARDONS_MOST / 64;
    pardons->count -= gone;
    memmove(pardons->at, pardons->at + gone, pardons->count * sizeof(*pardons->at));
    if (pardons->count < pardons->room)
        return;
    uint32_t room = pardons->room * 2 < PARDONS_MOST ? pardons->room * 2 : PARDONS_MOST;
    struct pardon *at = reallocarray(pardons->at, room, sizeof(*at));
    must(at);
    pardons->at = at;
    pardons->room = room;
}

void pardons_add(struct pardons *pardons, const struct prefix *prefix, int jail, int64_t at_us) {
    if (!pardons->room) {
        pardons->room = 64;
        pardons->at = calloc(pardons->room, sizeof(*pardons->at));
        must(pardons->at);
    }
    if (pardons->count == pardons->room)
        make_room(pardons);
    uint32_t place = pardons->count++;
    for (; place > 0 && pardons->at[place - 1].at_us > at_us; place--)
        pardons->at[place] = pardons->at[place - 1];
    pardons->at[place] = (struct pardon){*prefix, jail, at_us};
}

bool pardons_cover(const struct pardons *pardons, uint16_t jail, const struct prefix *id,
                   int64_t at_us) {
    for (uint32_t i = pardons->count; i-- > 0 && at_us <= pardons->at[i].at_us;) {
        const struct pardon *pardon = &pardons->at[i];
        if ((pardon->jail < 0 || pardon->jail == jail) && prefix_overlaps(&pardon->prefix, id))
            return true;
    }
    return false;
}
