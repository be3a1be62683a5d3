/* The decision: from facts to bans. One object holds all that is known and decided; it takes events
 * and a clock, and tells facts worth keeping. It knows no sockets, no files and no loop, so the
 * decider role, replay and the scenarios run the very same code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/origins.h"
#include "bans/pardons.h"
#include "bans/spared.h"
#include "config/admins.h"
#include "config/config.h"
#include "ledger/bursts.h"
#include "ledger/joins.h"
#include "ledger/known.h"
#include "ledger/uses.h"
#include "wire/wire.h"

/* Why an event did or did not count, kept with its line. */
enum verdict {
    VERDICT_COUNTED,
    VERDICT_JOINED,    /* its session had counted it already */
    VERDICT_AFTER_BAN, /* the address was banned already */
    VERDICT_EXEMPT,    /* never banned, so not counted */
    VERDICT_MEMORY,    /* written before hauberk first looked: would have counted */
    VERDICT_PARDONED,  /* written before a person's unban */
    VERDICT_SUCCESS,
    VERDICT_FOLDED, /* part of a mistake that was counted; an account that was */
    VERDICT_OWN,    /* counted against the wider limit of accounts that log in from there */
    VERDICTS
};

/* A line worth keeping for `why`. */
struct evidence {
    uint16_t source;
    uint16_t jail;
    uint8_t verdict;
    uint64_t ordinal;
    int64_t at_us;
    struct prefix id;
    const struct wire_event *event;
};

/* What became of one ban decision, for replay and for logs. */
struct decision {
    const struct ban *ban;
    int64_t first_us, newest_us; /* of the failures that made it */
    bool is_return, cuts;
    bool tries_many; /* accounts, or such that do not exist */
    bool is_own; /* by the limit of accounts that log in from there */
};

/* A login that its owner should know of: after five failures or more from the same address within
 * a day (a burst is one, those of accounts that log in from there are none), or from a banned one,
 * by an account that had not logged in from there for 30 days. `failures`:
 * every one of that day. */
struct suspicion {
    uint16_t jail;
    struct prefix id;
    uint32_t failures;
    bool is_banned;
    int64_t at_us;
    const struct wire_event *event;
};

/* An exempt id reached a jail's limit; told once within the jail's findtime. */
struct exempt_case {
    uint16_t jail;
    struct prefix id;
    int64_t at_us;
    const char *text; /* "would be banned for 2 h: …; spared: …" */
};

/* Each may be NULL. */
struct decider_calls {
    void (*on_evidence)(void *context, const struct evidence *evidence);
    void (*on_ban)(void *context, const struct decision *decision);
    void (*on_suspicion)(void *context, const struct suspicion *suspicion);
    /* `lifted`: bans that ended because of it. */
    void (*on_spare)(void *context, const struct spared *entry, bool is_new, uint32_t lifted);
    void (*on_spare_end)(void *context, const struct spared *entry);
    void (*on_exempt)(void *context, const struct exempt_case *told);
};

struct decider {
    const struct config *config;
    struct ledger *ledger;
    struct known *known;
    struct uses *uses;
    struct joins *joins;
    struct bursts *bursts;
    struct projection *projection;
    struct bans *bans;
    struct decider_calls calls;
    void *context;
    bool observes;             /* decides and tells, orders nothing */
    struct prefix *own;        /* this machine's, as the enforcer tells them */
    uint32_t own_count, own_room;
    struct spared_list *spared;
    const struct admins *admins;   /* borrowed; NULL: nobody is known to be one */
    struct origins *origins;
    struct ledger *exempt_ledger;  /* what would have counted, of exempt ids */
    struct exempt_told {
        struct ledger_key key;
        int64_t until_us;
    } exempt_told[64]; /* a ring */
    uint32_t exempt_told_next;
    int64_t now_us; /* of the last event or sweep */
    uint64_t jails_of_source[SOURCES_MAX]; /* bit j: jail j reads it */
    struct jail_counts {
        uint64_t failures, successes, bans;
    } *jail_counts;
    uint64_t evidence_shed;
    int64_t log_time_us; /* the newest failure seen */
    struct pardons *pardons;
};

enum { DECIDER_JAILS_MAX = 64 };

/* `config` is borrowed for life. */
struct decider *decider_new(const struct config *config, const struct decider_calls *calls,
                            void *context);
struct decider *decider_free(struct decider *decider);

/* Nobody will ask what changed: replay, a preview. */
void decider_store_nothing(struct decider *decider);

/* Which jails read a source: bit j for jail j. */
void decider_name_source(struct decider *decider, uint16_t source, uint64_t jails);

/* One fact. `is_memory`: it lies before the source's mark, so it feeds memory only. */
void decider_event(struct decider *decider, uint16_t source, const struct wire_event *event,
                   bool is_memory, int64_t now_us);

/* Never banned: own addresses, and what config/exempt.h says of that jail; of JAIL_BY_HAND, all
 * jails' ignoreip. */
bool decider_is_exempt(const struct decider *decider, uint16_t jail,
                       const struct prefix *prefix);
/* Why it is, in words that follow "it is "; NULL when it is not. */
enum { EXEMPT_TEXT_MAX = 200 };
const char *decider_why_exempt(const struct decider *decider, uint16_t jail,
                               const struct prefix *prefix, char into[EXEMPT_TEXT_MAX]);

/* From now on no jail bans it, until then. Present bans are the caller's to lift. -EINVAL too wide,
 * -ENOSPC full. An entry that is newer than `at_us` stays as it is. */
must_use int decider_trust(struct decider *decider, const struct prefix *prefix, int64_t until_us,
                           struct span why, int64_t at_us, struct why *reterr_why);
/* Ends the trust, given up to at_us, of what lies in the prefix; returns how much that was. */
uint32_t decider_untrust(struct decider *decider, const struct prefix *prefix, int64_t at_us);
/* An administrator's login: spared until then, and present bans are lifted. */
void decider_spare_login(struct decider *decider, enum spared_kind kind,
                         const struct address *address, struct span account, int64_t at_us,
                         int64_t until_us, int64_t now_us);

/* Replaces what the enforcer told of this machine's own addresses. */
void decider_set_own(struct decider *decider, const struct prefix *own, uint32_t count);

/* By a person. -EPERM exempt; -ENOSPC the book is full; -EINVAL a prefix that cannot be banned (the
 * reason in words). seconds -1: permanent. */
must_use int decider_ban_by_hand(struct decider *decider, const struct prefix *prefix,
                                 int64_t seconds, struct span why, bool cut, int64_t now_us,
                                 struct why *reterr_why);

/* Lifts every ban made up to at_us that covers (or lies in) the prefix, resets its counts and
 * pardons what was logged before; jail -1 for all. Returns how many were lifted. */
uint32_t decider_unban(struct decider *decider, const struct prefix *prefix, int jail,
                       int64_t at_us, int64_t now_us);

/* Failures of that prefix written up to then no longer count, even if their lines are read later.
 * Part of decider_unban(); alone for pardons of an earlier run. */
void decider_pardon(struct decider *decider, const struct prefix *prefix, int jail,
                    int64_t at_us);

/* Once a second or so: what is over. */
void decider_sweep(struct decider *decider, int64_t now_us);

/* Once an hour or so: what nobody is to remember any more. */
void decider_forget_old(struct decider *decider, int64_t now_us);

const char *decider_jail_name(const struct decider *decider, uint16_t jail);
/* -ENOENT. */
int decider_find_jail(const struct decider *decider, struct span name);

/* The id an address is counted under in that jail: /32, /64, or /128 where the /64 has neighbours
 * that must not suffer. */
struct prefix decider_id(const struct decider *decider, const struct config_jail *jail,
                         const struct address *address, int64_t now_us);
