/* Who is spared for a while: what a person trusts, and where administrators log in from. Each entry
 * is a prefix with a time and the reason in words. Bounded; trust is never evicted, of the
 * administrators' addresses the one that would end first goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/bans.h"

enum spared_kind {
    SPARED_TRUSTED, /* by hand */
    SPARED_KEY,     /* an administrator logged in with a key; 30 days */
    SPARED_SESSION, /* an administrator is logged in; not stored, for it is looked up again */
    SPARED_KINDS
};

enum { SPARED_MOST = 2048, SPARED_WHY_MAX = 120 };

struct spared_key {
    struct prefix prefix;
    uint8_t kind;
};

struct spared {
    struct spared_key key;
    bool is_dirty;
    int64_t since_us, until_us; /* UNTIL_PERMANENT */
    char why[SPARED_WHY_MAX];
};

struct spared_list;

struct spared_list *spared_new(void);
struct spared_list *spared_free(struct spared_list *list);

/* Adds, or replaces the entry of that key. NULL: full. */
struct spared *spared_put(struct spared_list *list, const struct spared *entry);
/* The same, from the store at start. */
bool spared_restore(struct spared_list *list, const struct spared *entry);

struct spared *spared_find(const struct spared_list *list, const struct spared_key *key);
void spared_remove(struct spared_list *list, struct spared *entry); /* the pointer is gone then */

/* An entry in force that is, holds or lies in the prefix; trust before the others. NULL: none. */
const struct spared *spared_touching(const struct spared_list *list, const struct prefix *prefix,
                                     int64_t now_us);
/* The latest end of all entries of exactly that prefix; 0: none. */
int64_t spared_until(const struct spared_list *list, const struct prefix *prefix, int64_t now_us);

struct spared *spared_next(const struct spared_list *list, uint32_t *place); /* start with 0 */
bool spared_is_over(const struct spared *entry, int64_t now_us);

/* The next changed entry of a kind that is stored; spared_find() answers NULL if it is gone. */
bool spared_take_dirty(struct spared_list *list, struct spared_key *ret_key);
