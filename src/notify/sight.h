/* Does a jail still see? What a filter looks for can change with every upgrade of its service, and
 * a filter that matches nothing looks like peace. Two signs are kept for each jail, over restarts:
 *
 * - lines of its service that look like failures and match no expression (match/suspects.h), while
 *   nothing at all has matched since the first of them;
 * - logins that succeed, and not one failure for two weeks: on a machine that strangers reach, that
 *   does not happen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sight {
    int64_t since_us;               /* watched since */
    int64_t failure_us, success_us; /* the last ones that matched; 0 none */
    int64_t unmatched_us;           /* the first line of those below */
    uint32_t unmatched;             /* that look like failures, since anything matched */
};

/* So many events of the jail were read now. Returns whether the figures are to be stored, which
 * they are not at every event. */
bool sight_matched(struct sight *sight, uint64_t failures, uint64_t successes, int64_t now_us);
void sight_missed(struct sight *sight, uint32_t lines, int64_t now_us);

/* NULL: it sees, or nothing tells that it does not. Else why it is taken for blind. */
#define SIGHT_TEXT_MAX 160
const char *sight_fault(const struct sight *sight, int64_t now_us, char into[SIGHT_TEXT_MAX]);
