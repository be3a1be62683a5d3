/* The first start on a host: what its logs say of the last day, before anybody is banned.
 *
 * Lines from before hauberk first saw a log are memory: they ban nobody. On the first start a
 * second decider, which orders nothing, judges them all the same, and what it would have done is
 * shown on one page, with who is never banned and what is being read. Until the page is there
 * nothing is enforced: an own user whose login stands in the log must be known before he can be
 * mistaken for an attacker. Own users it would have banned are trusted for 30 days, but not who
 * tried many accounts: that he got into one is no reason to let him try the others.
 *
 * A start that ends before the page is made has begun all the same: the next one goes on with what
 * is still to be read, and enforces nothing before its page either.
 *
 * The page is kept (store's facts, as JSON) and printed again by `hauberk status --first`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/decider.h"
#include "control/json.h"

struct desk;

enum { FIRST_BANS_MAX = 2000 };
/* Without a line read: the page is made of what there is. */
#define FIRST_PATIENCE_US (120 * SECOND_US)
/* A guard that reads for longer than that is none. */
#define FIRST_MOST_US (10 * MINUTE_US)

struct first {
    bool was_begun; /* by an earlier start, which stored that */
    bool is_reading;
    struct decider *preview; /* while reading */
    struct first_ban {
        uint16_t jail;
        struct prefix id;
        bool tries_many;
        int64_t first_us; /* of the failures that made it */
    } *bans;
    uint32_t ban_count, bans_beyond;
    uint64_t before; /* bytes before all marks that were still to be read when last looked */
    uint64_t most;   /* that ever were: a journal's marks do not begin at 0 */
    int64_t began_us; /* monotonic */
    int64_t moved_us; /* monotonic: when that last changed */
    int64_t told_us;  /* … and when it was last told how far it is */
    js *page;         /* NULL: none yet */
};

/* Nothing is stored of any log, or no page yet: read, judge, and show it before enforcing. */
void first_begin(struct desk *desk);
void first_free(struct desk *desk);
/* What lies before the mark, in the order it was read. */
void first_take(struct desk *desk, uint16_t source, const struct wire_event *event);
/* Called when something was read, and by the sweep: the page is made when all marks are reached. */
void first_check(struct desk *desk);
/* The page of an earlier start. */
void first_restore(struct desk *desk, struct span text);
/* How much of the logs' past was read, 0 to 100. */
int first_percent(const struct desk *desk);

struct question;
void desk_word_first(struct desk *desk, const struct question *question);
