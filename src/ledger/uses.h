/* Which account uses which service: the memory behind `hauberk logins` and the audit's word on whom
 * a change would cut off. Keeps, for 400 days after the last one, the logins that succeeded of each
 * account by each service: the first, the last, how many, and how many of them sent the password in
 * clear text, as far as the log tells.
 *
 * Accounts stand here as the log names them, so that a person can be asked about them; of addresses
 * nothing does. Bounded: when it is full, the longest unused of sixteen drawn goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/wire.h"

#define USE_LIFE_US (400 * INT64_C(86400) * 1000000)
enum { USES_MOST = 65536, USE_ACCOUNT_MAX = 97, USE_SERVICE_MAX = 31 };

/* Texts, filled up with NULs. */
struct use_key {
    char account[USE_ACCOUNT_MAX], service[USE_SERVICE_MAX];
};

struct use {
    struct use_key key;
    bool is_dirty;
    uint32_t logins;
    uint32_t clear, untold; /* of these: in clear text; the log does not say */
    int64_t first_us, last_us;
    int64_t clear_us; /* the last in clear text; 0: none */
};

struct uses;

struct uses *uses_new(uint32_t most);
struct uses *uses_free(struct uses *uses);
void uses_store_nothing(struct uses *uses); /* nobody will take what is dirty */

/* A login that succeeded. Older ones than the last known are fine; without an account it is none.
 */
void uses_add(struct uses *uses, struct span account, struct span service, enum secrecy secrecy,
              int64_t at_us);

/* All of them, in no particular order: start with *place = 0; NULL at the end. */
const struct use *uses_next(const struct uses *uses, uint32_t *place);

bool uses_restore(struct uses *uses, const struct use *use);
void uses_sweep(struct uses *uses, int64_t now_us);
/* Every record of that account, however its letters are written (ledger/account.h). */
void uses_forget_account(struct uses *uses, struct span account);
bool uses_take_dirty(struct uses *uses, struct use_key *ret_key);
const struct use *uses_find(const struct uses *uses, const struct use_key *key);
