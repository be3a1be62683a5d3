/* The book of bans: see bans.h.
 *
 * When it is full, a new ban takes the place of one that matters less: whoever attacks now is worse
 * than somebody who has been silent since. Of some chosen by chance the one goes that has returned
 * least often and has the least time left; never one made by hand, nor one for ever. The past keeps
 * it, so that its address, should it come again, is a return like any other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/bans.h"

#include "base/hash.h"
#include "base/keys.h"
#include "base/table.h"

struct bans {
    struct table *bans, *past;
    struct key_list dirty, dirty_past;
    struct projection *projection;
    uint16_t jails;
    struct bans_losses losses;
};

enum { CANDIDATES = 32 };

struct bans *bans_new(uint32_t most, uint16_t jails, struct projection *projection) {
    struct bans *bans = calloc(1, sizeof(*bans));
    must(bans);
    bans->bans = table_new(sizeof(struct ban), sizeof(struct ledger_key), most);
    bans->past = table_new(sizeof(struct past), sizeof(struct ledger_key), most);
    bans->dirty.key_size = bans->dirty_past.key_size = sizeof(struct ledger_key);
    bans->dirty.is_unordered = bans->dirty_past.is_unordered = true;
    bans->projection = projection;
    bans->jails = jails;
    return bans;
}

struct bans *bans_free(struct bans *bans) {
    if (!bans)
        return NULL;
    table_free(bans->bans);
    table_free(bans->past);
    key_list_free(&bans->dirty);
    key_list_free(&bans->dirty_past);
    free(bans);
    return NULL;
}

bool ban_is_over(const struct ban *ban, int64_t now_us) {
    return ban->until_us != UNTIL_PERMANENT && ban->until_us <= now_us;
}

struct ban *bans_find(const struct bans *bans, uint16_t jail, const struct prefix *id,
                      int64_t now_us) {
    struct ledger_key key = ledger_key_of(jail, id);
    struct ban *ban = table_find(bans->bans, &key);
    return ban && !ban_is_over(ban, now_us) ? ban : NULL;
}

const struct ban *bans_record(const struct bans *bans, const struct ledger_key *key) {
    return table_find(bans->bans, key);
}

void bans_mark(struct bans *bans, struct ban *ban) {
    if (ban->is_dirty)
        return;
    ban->is_dirty = true;
    key_list_add(&bans->dirty, &ban->key);
}

/* The latest end of all bans on that prefix in that scope, other than `except`. */
static int64_t latest_end(const struct bans *bans, uint16_t scope, const struct prefix *id,
                          const struct ban *except) {
    int64_t latest = 0;
    for (uint32_t jail = 0; jail <= bans->jails; jail++) {
        struct ledger_key key =
            ledger_key_of(jail == bans->jails ? JAIL_BY_HAND : (uint16_t)jail, id);
        const struct ban *ban = table_find(bans->bans, &key);
        if (!ban || ban == except || ban->scope != scope)
            continue;
        if (ban->until_us == UNTIL_PERMANENT)
            return UNTIL_PERMANENT;
        if (ban->until_us > latest)
            latest = ban->until_us;
    }
    return latest;
}

/* Does the one matter less than the other? */
static bool is_lesser(const struct ban *one, const struct ban *other) {
    if (one->returns != other->returns)
        return one->returns < other->returns;
    return one->until_us < other->until_us;
}

static bool make_room(struct bans *bans, int64_t now_us) {
    struct ban *least = NULL;
    for (int i = 0; i < CANDIDATES; i++) {
        uint32_t place = (uint32_t)(random_u64() % table_most(bans->bans));
        struct ban *one = table_next(bans->bans, &place);
        if (one && one->key.jail != JAIL_BY_HAND && one->until_us != UNTIL_PERMANENT &&
            (!least || is_lesser(one, least)))
            least = one;
    }
    if (!least)
        return false;
    bans->losses.pushed_out += !ban_is_over(least, now_us);
    bans_end(bans, least, now_us);
    return true;
}

static struct ban *put(struct bans *bans, const struct ban *ban, int64_t now_us) {
    bool is_new;
    struct ban *place = NULL;
    if (projection_takes_net(bans->projection, ban->scope, &ban->key.id)) {
        place = table_add(bans->bans, &ban->key, &is_new);
        if (!place && make_room(bans, now_us))
            place = table_add(bans->bans, &ban->key, &is_new);
    }
    if (!place) {
        bans->losses.not_made++;
        return NULL;
    }
    bool was_dirty = !is_new && place->is_dirty;
    *place = *ban;
    place->is_dirty = was_dirty;
    return place;
}

/* What cannot be put into force is no ban. */
static struct ban *keep_if(struct bans *bans, struct ban *ban, bool is_in_force) {
    if (is_in_force)
        return ban;
    bans->losses.not_made++;
    bans_mark(bans, ban);
    table_remove(bans->bans, ban);
    return NULL;
}

struct ban *bans_add(struct bans *bans, const struct ban *ban, bool cut) {
    struct ban *place = put(bans, ban, ban->since_us);
    if (!place)
        return NULL;
    if (place->number == 0)
        place->number = random_u64() | 1;
    bans_mark(bans, place);
    return keep_if(bans, place,
                   projection_want(bans->projection, place->scope, &place->key.id,
                                   latest_end(bans, place->scope, &place->key.id, NULL), cut));
}

bool bans_restore(struct bans *bans, const struct ban *ban, int64_t now_us) {
    struct ban *place = put(bans, ban, now_us);
    return place && keep_if(bans, place,
                            projection_restore(bans->projection, place->scope, &place->key.id,
                                               place->until_us));
}

struct bans_losses bans_losses(const struct bans *bans) {
    return bans->losses;
}

const struct past *bans_past(const struct bans *bans, uint16_t jail, const struct prefix *id) {
    struct ledger_key key = ledger_key_of(jail, id);
    return table_find(bans->past, &key);
}

const struct past *bans_last_past(const struct bans *bans, const struct prefix *prefix) {
    const struct past *last = NULL;
    uint32_t place = 0;
    for (const struct past *past; (past = table_next(bans->past, &place));)
        if (prefix_overlaps(&past->key.id, prefix) && (!last || past->ended_us > last->ended_us))
            last = past;
    return last;
}

bool bans_restore_past(struct bans *bans, const struct past *past) {
    bool is_new;
    struct past *place = table_add(bans->past, &past->key, &is_new);
    if (!place)
        return false;
    *place = *past;
    place->is_dirty = false;
    return true;
}

static void mark_past(struct bans *bans, struct past *past) {
    if (past->is_dirty)
        return;
    past->is_dirty = true;
    key_list_add(&bans->dirty_past, &past->key);
}

void bans_forget_past(struct bans *bans, const struct prefix *prefix) {
    uint32_t place = 0;
    for (struct past *past; (past = table_next(bans->past, &place));)
        if (prefix_overlaps(&past->key.id, prefix)) {
            mark_past(bans, past);
            table_remove(bans->past, past);
        }
}

static struct past *place_in_past(struct bans *bans, const struct ledger_key *key) {
    bool is_new;
    struct past *past = table_add(bans->past, key, &is_new);
    if (past)
        return past;
    struct past *oldest = NULL;
    for (int i = 0; i < 16; i++) {
        uint32_t place = (uint32_t)(random_u64() % table_most(bans->past));
        struct past *one = table_next(bans->past, &place);
        if (one && (!oldest || one->ended_us < oldest->ended_us))
            oldest = one;
    }
    if (oldest) {
        mark_past(bans, oldest);
        table_remove(bans->past, oldest);
    }
    return table_add(bans->past, key, &is_new);
}

static void remember(struct bans *bans, const struct ban *ban, int64_t ended_us) {
    struct past *past = place_in_past(bans, &ban->key);
    if (!past)
        return;
    past->returns = ban->returns;
    past->ended_us = ended_us;
    mark_past(bans, past);
}

void bans_end(struct bans *bans, struct ban *ban, int64_t now_us) {
    bool was_over = ban_is_over(ban, now_us);
    uint16_t scope = ban->scope;
    struct prefix id = ban->key.id;
    remember(bans, ban, was_over ? ban->until_us : now_us);
    bans_mark(bans, ban);
    if (!was_over) { /* no more is wanted than before: there is room for that */
        bool has_room may_be_unused = projection_want(bans->projection, scope, &id,
                                                      latest_end(bans, scope, &id, ban), false);
    }
    table_remove(bans->bans, ban);
}

void bans_settle(struct bans *bans, uint16_t jail, const struct prefix *id, int64_t now_us) {
    struct ledger_key key = ledger_key_of(jail, id);
    struct ban *ban = table_find(bans->bans, &key);
    if (ban && ban_is_over(ban, now_us))
        bans_end(bans, ban, now_us);
}

void bans_sweep(struct bans *bans, int64_t now_us,
                void (*each)(void *context, const struct ban *ban), void *context) {
    uint32_t place = 0;
    for (struct ban *ban; (ban = table_next(bans->bans, &place));)
        if (ban_is_over(ban, now_us)) {
            if (each)
                each(context, ban);
            bans_end(bans, ban, now_us);
        }
    place = 0;
    for (struct past *past; (past = table_next(bans->past, &place));)
        if (now_us - past->ended_us > RETURN_US) {
            mark_past(bans, past);
            table_remove(bans->past, past);
        }
}

struct ban *bans_next(const struct bans *bans, uint32_t *place) {
    return table_next(bans->bans, place);
}

uint32_t bans_count(const struct bans *bans) {
    return table_count(bans->bans);
}

bool bans_take_dirty(struct bans *bans, struct ledger_key *ret_key) {
    if (!key_list_take(&bans->dirty, ret_key))
        return false;
    struct ban *ban = table_find(bans->bans, ret_key);
    if (ban)
        ban->is_dirty = false;
    return true;
}

bool bans_take_dirty_past(struct bans *bans, struct ledger_key *ret_key) {
    if (!key_list_take(&bans->dirty_past, ret_key))
        return false;
    struct past *past = table_find(bans->past, ret_key);
    if (past)
        past->is_dirty = false;
    return true;
}
