/* Who uses what a finding would have turned off: what hauberkd remembers of logins, as readings of
 * their own ("logins."), and the line a finding carries where its rule asks for it.
 *
 *   usage = clear imap pop3      of a rule: who logged in in clear text by these services
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/rules.h"
#include "probe/readings.h"

enum { USAGE_DAYS = 30 }; /* who has not used it for longer is not cut off by much */

/* One account by one service, as `hauberk logins` has it. */
struct usage_login {
    const char *account, *service;
    int64_t first_us, last_us, clear_us; /* the last in clear text; 0: none */
    int64_t logins, clear;               /* clear -1: its log never says */
};
void usage_add(struct readings *readings, const struct usage_login *logins, size_t count,
               int64_t now_us);
/* Nobody could be asked. */
void usage_fail(struct readings *readings, const char *reason);

/* In one line, without a full stop: "2 accounts …; turning it off cuts them". False: the rule does
 * not ask for it, or nobody knows. */
bool usage_tell(const struct rule *rule, struct readings *readings, struct text *text);
