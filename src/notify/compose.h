/* What is said to the owner: each mail says what happened, what hauberk did about it, and the one
 * command to run next.
 *
 * Who never logged in here has no name in a mail: people type passwords where a name belongs. Lines
 * of logs are not quoted either; `hauberk why` shows them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "base/text.h"

struct story {
    char subject[120];    /* our words and addresses only */
    char sentence[400];  /* what happened, in one line, for lists too */
    struct text body;    /* whole lines; owned */
};
void story_free(struct story *story);
#define cleanup_story at_scope_end(story_free)

/* `account` has logged in, so it may be named. `failures`: before it, of that address, in a day. */
void compose_suspicious(struct story *story, const struct prefix *id, const char *account,
                        uint32_t failures, bool is_banned);
void compose_own_banned(struct story *story, const struct prefix *id, const char *reason,
                        int64_t until_us, int64_t now_us);
void compose_not_in_force(struct story *story, const char *why);
void compose_blind(struct story *story, const char *jail, const char *why);
void compose_lost(struct story *story, const char *log, uint64_t bytes);
void compose_configuration(struct story *story, const char *fault);
void compose_deaths(struct story *story, const char *how); /* "sensor: killed by SIGSEGV, …" */
void compose_test(struct story *story);
/* What `hauberk audit` found otherwise than before: its own sentence and lines. */
void compose_audit(struct story *story, const char *sentence, const char *body);

enum { SUMMARY_JAILS = 12, SUMMARY_LINES_MOST = 15, SUMMARY_NAMED = 3, SUMMARY_WAITING = 3 };

/* The day, as numbers and names; all text borrowed. */
struct day {
    int64_t since_us, now_us;
    struct day_count {
        const char *name;
        uint64_t count;
    } bans[SUMMARY_JAILS], attacked[SUMMARY_NAMED], spared[SUMMARY_NAMED];
    uint32_t ban_count, attacked_count, spared_count;
    uint64_t bans_in_all;
    uint64_t strangers; /* addresses that tried accounts that never logged in */
    uint64_t losses;    /* times that lines were gone */
    const char *waiting, *blind; /* jails, separated by commas; "" none */
    const char *store_error;     /* "" none */
    const char *untold[SUMMARY_WAITING]; /* sentences of what waited */
    uint32_t untold_count, untold_in_all;
};

/* False: there is nothing to say. */
bool compose_summary(struct story *story, const struct day *day);
