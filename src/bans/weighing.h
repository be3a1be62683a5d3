/* What one failure weighs: DESIGN 5 "Humane counting".
 *
 * An event is measured once, whatever jails count it: how many attempts it stands for that its
 * session has not told yet, whether it belongs to a mistake that was counted, and whose account it
 * was. What that weighs is each jail's to say: one that is not humane takes the attempts as they
 * are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/decider.h"

enum { OWN_FACTOR = 5, UNKNOWN_WEIGHT = 15 }; /* tenths: one and a half */

struct measured {
    uint32_t attempts;
    uint64_t account; /* ledger/account.h */
    uint8_t protocol; /* enum protocol */
    bool is_folded, is_unknown;
    bool is_own; /* that account has logged in from there within 30 days */
};

/* Notes the event in joins and bursts: once for each event. */
struct measured weigh_event(struct decider *decider, const struct wire_event *event, int64_t at_us);

/* The failure that a login shows to have been none, as it was measured; no attempts: there is none.
 * Called before the login is known, because since then that account is an own one. */
struct measured weigh_login(struct decider *decider, const struct wire_event *event, int64_t at_us);

/* What it weighs in that jail; no weight: it is noted only. */
struct failure weigh_in_jail(struct decider *decider, const struct config_jail *jail,
                             const struct measured *measured, const struct address *address,
                             int64_t at_us);
