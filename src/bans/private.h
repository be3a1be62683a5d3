/* Between the decider's files only.
 *
 *   decider.c     its life, and the way of one event into the counts
 *   judging.c     from a count to a ban
 *   exempting.c   who is never banned, and who is spared for a while
 *   by_hand.c     a person's bans, unbans and pardons
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/decider.h"
#include "bans/reason.h"
#include "bans/weighing.h"

/* judging.c. judge(): true, there is a ban, and the counter is gone. */
bool judge(struct decider *decider, uint16_t number, const struct counter *counter, int64_t now_us);
void judge_slow(struct decider *decider, uint16_t number, const struct counter *counter,
                int64_t now_us);
/* In seconds, -1 for ever. */
int64_t judge_length(const struct config_jail *jail, enum ban_cause cause, uint32_t returns);
/* How often it has come back to that jail within 30 days of a ban's end, were it banned now. */
uint32_t judge_returns(const struct decider *decider, uint16_t jail, const struct prefix *id,
                       int64_t now_us);

/* exempting.c. Counts what an exempt host does, and tells when it would have been banned. */
void exempt_count(struct decider *decider, uint16_t number, const struct prefix *id,
                  const struct prefix *host, const struct measured *measured, int64_t at_us,
                  int64_t now_us);
void exempt_sweep(struct decider *decider, int64_t now_us);

/* by_hand.c */
/* Ends the bans that overlap the prefix and were made up to at_us, jail -1 for all, and forgets
 * what they were counted from. Returns how many. */
uint32_t hand_lift(struct decider *decider, const struct prefix *prefix, int jail, int64_t at_us,
                   int64_t now_us);

/* decider.c: of a counter's window, for ledger_sweep(). */
int64_t window_length(void *context, const struct ledger_key *key);
