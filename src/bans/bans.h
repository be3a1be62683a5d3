/* The book of bans: who is banned by which jail until when and why, and who was before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/projection.h"
#include "ledger/ledger.h"

enum { JAIL_BY_HAND = 0xfffe }; /* the jail of `hauberk ban` */
enum { BAN_REASON_MAX = 200 };
#define RETURN_US (30 * INT64_C(86400) * 1000000) /* a ban this soon after the last is a return */

struct ban {
    struct ledger_key key; /* jail and id */
    uint16_t scope;
    bool is_dirty;
    uint64_t number; /* random, for the store */
    int64_t since_us, until_us; /* UNTIL_PERMANENT */
    uint32_t failures;  /* events counted when it was made */
    uint32_t returns;   /* 0: first ban */
    uint32_t after_ban; /* failures seen while banned */
    uint32_t after_kept;
    char reason[BAN_REASON_MAX];
};

/* The memory of bans that ended. */
struct past {
    struct ledger_key key;
    uint32_t returns; /* of the last ban */
    int64_t ended_us;
    bool is_dirty;
};

struct bans;

/* `jails`: their number, all keys lie below it but JAIL_BY_HAND. */
struct bans *bans_new(uint32_t most, uint16_t jails, struct projection *projection);
struct bans *bans_free(struct bans *bans);

/* The ban in force, or NULL. */
struct ban *bans_find(const struct bans *bans, uint16_t jail, const struct prefix *id,
                      int64_t now_us);

/* The record of that key, for the store:
 * also of a ban that is over and not yet moved to the past. */
const struct ban *bans_record(const struct bans *bans, const struct ledger_key *key);

/* Moves a ban of that key whose time is over to the past, if no sweep has done so yet. */
void bans_settle(struct bans *bans, uint16_t jail, const struct prefix *id, int64_t now_us);

/* Makes or prolongs; the caller fills everything but the number. A full book makes room by ending
 * a lesser ban. NULL: there was none (all made by hand or for ever), or too many networks of odd
 * length are banned. The projection follows. */
struct ban *bans_add(struct bans *bans, const struct ban *ban, bool cut);
/* The same, from the store at start. */
bool bans_restore(struct bans *bans, const struct ban *ban, int64_t now_us);

/* How often that was so, since the start. */
struct bans_losses {
    uint64_t pushed_out, not_made;
};
struct bans_losses bans_losses(const struct bans *bans);

/* How the last ban of that jail and id ended: how many returns it had, when. NULL: none known. */
const struct past *bans_past(const struct bans *bans, uint16_t jail, const struct prefix *id);
/* The one that ended last of those that touch the prefix, in whatever jail.
 * A look at all of them. */
const struct past *bans_last_past(const struct bans *bans, const struct prefix *prefix);
void bans_forget_past(struct bans *bans, const struct prefix *prefix); /* of all jails */
bool bans_restore_past(struct bans *bans, const struct past *past);

/* Ends a ban now. The pointer is gone afterwards. */
void bans_end(struct bans *bans, struct ban *ban, int64_t now_us);

/* Bans whose time is over move to the past; calls `each` (may be NULL) before. */
void bans_sweep(struct bans *bans, int64_t now_us,
                void (*each)(void *context, const struct ban *ban), void *context);

struct ban *bans_next(const struct bans *bans, uint32_t *place); /* start with 0; over ones too */
uint32_t bans_count(const struct bans *bans);
bool ban_is_over(const struct ban *ban, int64_t now_us);

bool bans_take_dirty(struct bans *bans, struct ledger_key *ret_key);
bool bans_take_dirty_past(struct bans *bans, struct ledger_key *ret_key);
void bans_mark(struct bans *bans, struct ban *ban); /* a field was changed */
