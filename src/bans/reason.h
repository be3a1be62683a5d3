/* Why somebody is banned, as a sentence.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/bans.h"
#include "config/config.h"

/* Which of a jail's limits was reached. */
enum ban_cause { CAUSE_LIMIT, CAUSE_OWN_LIMIT, CAUSE_SLOW };

/* "4 wrong IMAP passwords in 41 s; the limit is 4 in 10 m (jail dovecot)". */
void reason_describe(const struct config *config, const struct config_jail *jail,
                     const struct counter *counter, enum ban_cause cause,
                     char into[BAN_REASON_MAX]);
