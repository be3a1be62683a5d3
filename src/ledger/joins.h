/* One login, told by two processes: what of a session was counted already.
 *
 * Dovecot says every wrong password in one line (with auth_verbose) and the sum of them in another
 * when the connection ends; sshd says "Failed password" and later "Connection closed by
 * authenticating user". Both carry the session. A line that sums up counts only what the others
 * left, for five minutes of log time after the session's last line (Dovecot ends an idle login after
 * three: "Inactivity (auth failed, 1 attempts in 179 secs)").
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/hash.h"

enum { JOIN_MOST_ATTEMPTS = 5 };
#define JOIN_LIFE_US (300 * INT64_C(1000000))

struct join {
    struct digest key; /* of service, session and address */
    uint32_t counted;
    bool is_dirty;
    int64_t last_us;
};

struct joins;

struct joins *joins_new(uint32_t most);
struct joins *joins_free(struct joins *joins);

/* How many attempts this line adds: one for a line that is one attempt (attempts 0), what is left of
 * min(attempts, 5) for one that sums up. Without a session nothing is joined. */
uint32_t joins_weigh(struct joins *joins, struct span service, struct span session,
                     const struct address *address, int64_t at_us, uint32_t attempts);

/* The session ended in a login: where several password databases are asked in turn, each but the
 * last has told of a failure that was none. Takes one attempt back; returns how many that is. */
uint32_t joins_take_back(struct joins *joins, struct span service, struct span session,
                         const struct address *address, int64_t at_us);

bool joins_restore(struct joins *joins, const struct join *join);
void joins_sweep(struct joins *joins, int64_t log_time_us);
bool joins_take_dirty(struct joins *joins, struct digest *ret_key);
const struct join *joins_find(const struct joins *joins, const struct digest *key);
