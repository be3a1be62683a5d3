/* What a replay found, told as one page or as JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/decider.h"

struct replayed_ban {
    struct prefix id;
    uint16_t jail;
    uint32_t failures;
    int64_t at_us, until_us;
    uint32_t collateral; /* logins from there before its first failure: one of your users */
    uint32_t suspicious; /* logins from there after it */
    char reason[BAN_REASON_MAX];
};

/* A login its owner should know of; bans/decider.h. */
struct replayed_suspicion {
    struct address address;
    uint16_t jail;
    uint32_t failures;
    bool is_banned;
    int64_t at_us;
    char account[128]; /* safe to print */
};

struct replayed {
    const struct decider *decider;
    uint32_t logs; /* files; 0: the journal */
    uint64_t lines, bytes, failures, successes;
    int64_t first_us, last_us; /* of the events; 0 when there was none */
    double seconds;
    struct replayed_ban *bans; /* in the order of their making */
    size_t ban_count;
    struct replayed_suspicion *suspicions; /* in the order of the log */
    size_t suspicion_count;
};

/* Would one of your own users have been banned? */
bool replayed_hits_own_users(const struct replayed *found);

/* With `wants_bans` every ban first, a line each; without, one page. */
void replayed_print_page(const struct replayed *found, bool wants_bans);
void replayed_print_json(const struct replayed *found);
