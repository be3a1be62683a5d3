/* One login, told by two processes: what of a session was counted already.
 *
 * Dovecot says every wrong password in one line (with auth_verbose) and the sum of them in another
 * when the connection ends; sshd says "Failed password" and later "Connection closed by
 * authenticating user". Both carry the session. A line that sums up counts only what the others
 * left, for five minutes of log time after the session's last line (Dovecot ends an idle login
 * after three: "Inactivity (auth failed, 1 attempts in 179 secs)").
 *
 * Where several password databases are asked in turn, each says no in a line of its own. What
 * another database says of the same account is the same attempt, for ten seconds (PAM waits for two
 * before it says no); what the same one says again is the next, unless it comes within the second:
 * it may be two of a kind, and Dovecot keeps a client waiting for two seconds after a failure.
 * Where it does not, the line at the end of the connection counts what this leaves out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/hash.h"

enum { JOIN_MOST_ATTEMPTS = 5 };
#define JOIN_LIFE_US (300 * INT64_C(1000000))
#define JOIN_OTHER_DATABASE_US (10 * INT64_C(1000000))
#define JOIN_SAME_DATABASE_US INT64_C(1000000) /* inclusive: syslog's stamps are whole seconds */

/* Of a session, or of one account in it. */
struct join {
    struct digest key; /* of service, session, address; an account's, within its session's */
    uint32_t counted;
    uint32_t databases; /* that spoke of the account's last attempt: bit n for database n + 1 */
    bool is_dirty;
    int64_t last_us; /* the session's last line; the begin of the account's last attempt */
};

/* What a line says of a login. */
struct join_line {
    struct span service, session, account;
    struct address address;
    uint8_t database;  /* 1 to 32, or 0: no database is named */
    uint16_t attempts; /* how many it sums up; 0: it is one attempt */
    int64_t at_us;
};

struct joins;

struct joins *joins_new(uint32_t most);
struct joins *joins_free(struct joins *joins);
void joins_store_nothing(struct joins *joins); /* nobody will take what is dirty */

/* How many attempts this line adds: for a line that is one attempt one, or none if another told of
 * it; for one that sums up what is left of min(attempts, 5).
 * Without a session nothing is joined. */
uint32_t joins_weigh(struct joins *joins, const struct join_line *line);

/* The session ended in a login of that account: each database but the last had told of a failure
 * that was none. Takes one attempt on this account back, and none on another; returns how many. */
uint32_t joins_take_back(struct joins *joins, const struct join_line *line);

bool joins_restore(struct joins *joins, const struct join *join);
void joins_sweep(struct joins *joins, int64_t log_time_us);
bool joins_take_dirty(struct joins *joins, struct digest *ret_key);
const struct join *joins_find(const struct joins *joins, const struct digest *key);
