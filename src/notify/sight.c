/* Sight: see sight.h. The numbers are chosen so that a program with odd lines of its own, or a
 * burst of one broken client, is no alarm: ten lines, over an hour, and nothing matched in between.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify/sight.h"

#include <stdio.h>

#include "base/clock.h"

enum { UNMATCHED_LEAST = 10 };
#define UNMATCHED_FOR_US HOUR_US
#define ONLY_SUCCESSES_FOR_US (14 * DAY_US)
#define STORED_EVERY_US HOUR_US

bool sight_matched(struct sight *sight, uint64_t failures, uint64_t successes, int64_t now_us) {
    bool is_news = sight->unmatched > 0;
    if (failures == 0 && successes == 0)
        return false;
    if (failures > 0) {
        is_news = is_news || now_us - sight->failure_us > STORED_EVERY_US;
        sight->failure_us = now_us;
    }
    if (successes > 0) {
        is_news = is_news || now_us - sight->success_us > STORED_EVERY_US;
        sight->success_us = now_us;
    }
    sight->unmatched = 0;
    sight->unmatched_us = 0;
    return is_news;
}

void sight_missed(struct sight *sight, uint32_t lines, int64_t now_us) {
    if (sight->unmatched == 0)
        sight->unmatched_us = now_us;
    sight->unmatched = lines < UINT32_MAX - sight->unmatched ? sight->unmatched + lines
                                                             : UINT32_MAX;
}

const char *sight_fault(const struct sight *sight, int64_t now_us, char into[SIGHT_TEXT_MAX]) {
    char since[CLOCK_TEXT_MAX];
    int64_t peaceful_since_us =
        sight->failure_us > sight->since_us ? sight->failure_us : sight->since_us;
    if (sight->unmatched >= UNMATCHED_LEAST && now_us - sight->unmatched_us >= UNMATCHED_FOR_US) {
        snprintf(into, SIGHT_TEXT_MAX,
                 "since %s it matched nothing, while %u lines of its log look like failures",
                 clock_format_minute(sight->unmatched_us, now_us, since), sight->unmatched);
        return into;
    }
    if (sight->since_us > 0 && now_us - peaceful_since_us >= ONLY_SUCCESSES_FOR_US &&
        sight->success_us > peaceful_since_us) {
        snprintf(into, SIGHT_TEXT_MAX, "since %s it has seen logins, and not one failure",
                 clock_format_minute(peaceful_since_us, now_us, since));
        return into;
    }
    return NULL;
}
