/* The projection: see projection.h.
 *
 * Single addresses and /64 networks have sets of their own in the kernel, where nothing overlaps:
 * each is an element. Networks of odd length are few, a person's doing or that of a jail that
 * counts IPv6 by another length; theirs are kept as wished in `nets`, and `parts` holds what they
 * are flattened into. A change of one marks its scope as stale; before orders are given the scope
 * is flattened, once however many changed: sorted by address a network stands in front of those
 * inside it, so one pass leaves out what ends no later than what is around it, and of the rest
 * each has to be cut out of the one around it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/projection.h"

#include <errno.h>

#include "base/keys.h"
#include "base/table.h"

enum { ORDERED_DROP = -2, PARTS_MOST = 64 * NETS_MAX };

struct net {
    struct element_key key;
    int64_t until_us;
    bool cut; /* its parts are to be cut when they are put */
};

struct projection {
    struct table *elements, *parts; /* struct element: hosts and /64s; what nets are made of */
    struct table *nets;
    struct key_list dirty;
    uint32_t awaited;
    uint64_t stale; /* scopes, a bit each */
    struct projection_counts counts;
};

_Static_assert(SCOPES_MAX <= 64, "a bit for each scope");

struct projection *projection_new(uint32_t most) {
    struct projection *projection = calloc(1, sizeof(*projection));
    must(projection);
    projection->elements = table_new(sizeof(struct element), sizeof(struct element_key), most);
    projection->parts = table_new(sizeof(struct element), sizeof(struct element_key), PARTS_MOST);
    projection->nets = table_new(sizeof(struct net), sizeof(struct element_key), NETS_MAX);
    projection->dirty.key_size = sizeof(struct element_key);
    return projection;
}

struct projection *projection_free(struct projection *projection) {
    if (!projection)
        return NULL;
    table_free(projection->elements);
    table_free(projection->parts);
    table_free(projection->nets);
    key_list_free(&projection->dirty);
    free(projection);
    return NULL;
}

static bool is_later(int64_t a, int64_t b) {
    if (a == b || b == UNTIL_PERMANENT)
        return false;
    return a == UNTIL_PERMANENT || a > b;
}

static bool is_over(int64_t until_us, int64_t now_us) {
    return until_us != UNTIL_PERMANENT && until_us <= now_us;
}

static bool is_odd(const struct prefix *prefix) {
    return !prefix_is_host(prefix) && (prefix_is_v4(prefix) || prefix->length != 64);
}

static struct table *table_of(const struct projection *projection, const struct prefix *prefix) {
    return is_odd(prefix) ? projection->parts : projection->elements;
}

static struct element *find(const struct projection *projection, const struct element_key *key) {
    return table_find(table_of(projection, &key->prefix), key);
}

/* All elements, first the one table, then the other. */
struct walk {
    bool is_in_parts;
    uint32_t place;
};

static struct element *next(const struct projection *projection, struct walk *walk) {
    struct element *one = NULL;
    if (!walk->is_in_parts) {
        one = table_next(projection->elements, &walk->place);
        if (!one)
            *walk = (struct walk){.is_in_parts = true};
    }
    return one ? one : table_next(projection->parts, &walk->place);
}

static bool holds_until(const struct element *element, int64_t until_us) {
    return element->enforced_us != 0 && !is_later(until_us, element->enforced_us);
}

/* Brings the counts up to date after any change of an element. */
static void tally(struct projection *projection, struct element *element, bool is_wanted) {
    struct projection_counts *counts = &projection->counts;
    bool is_enforced = is_wanted && holds_until(element, element->wanted_us);
    bool is_refused = is_wanted && element->error != 0;
    counts->wanted += (uint32_t)is_wanted - element->is_counted;
    counts->enforced += (uint32_t)is_enforced - element->is_counted_enforced;
    counts->refused += (uint32_t)is_refused - element->is_counted_refused;
    element->is_counted = is_wanted;
    element->is_counted_enforced = is_enforced;
    element->is_counted_refused = is_refused;
}

static void changed(struct projection *projection, struct element *element) {
    tally(projection, element, element->wanted_us != 0);
}

static void forget(struct projection *projection, struct element *element) {
    tally(projection, element, false);
    table_remove(table_of(projection, &element->key.prefix), element);
}

static void mark(struct projection *projection, struct element *element) {
    if (element->is_dirty)
        return;
    element->is_dirty = true;
    key_list_add(&projection->dirty, &element->key);
}

/* False: no room for one more. */
static bool want_element(struct projection *projection, const struct element_key *key,
                         int64_t until_us, bool cut) {
    bool is_new;
    struct element *element = until_us == 0 ? table_find(projection->elements, key)
                                            : table_add(projection->elements, key, &is_new);
    if (!element)
        return until_us == 0;
    if (element->wanted_us == until_us && !cut)
        return true;
    element->wanted_us = until_us;
    element->cut = until_us != 0 && (cut || element->cut); /* a cut that is due stays due */
    changed(projection, element);
    mark(projection, element);
    return true;
}

/* ---- networks of odd length ---- */

static int compare_nets(const void *a, const void *b) {
    const struct net *const *left = a;
    const struct net *const *right = b;
    const struct prefix *one = &(*left)->key.prefix;
    const struct prefix *other = &(*right)->key.prefix;
    int by_address = memcmp(&one->address, &other->address, sizeof(one->address));
    return by_address != 0 ? by_address : (int)one->length - (int)other->length;
}

/* The scope's nets, sorted; those left out that end no later than one around them. */
static uint32_t nets_that_matter(const struct projection *projection, uint16_t scope,
                                 const struct net **nets) {
    const struct net *around[129]; /* each inside the one before */
    uint32_t depth = 0;
    uint32_t count = 0;
    uint32_t kept = 0;
    uint32_t place = 0;
    for (const struct net *net; (net = table_next(projection->nets, &place));)
        if (net->key.scope == scope)
            nets[count++] = net;
    if (count > 1)
        qsort(nets, count, sizeof(*nets), compare_nets);
    for (uint32_t i = 0; i < count; i++) {
        while (depth > 0 &&
               !prefix_contains(&around[depth - 1]->key.prefix, &nets[i]->key.prefix))
            depth--;
        if (depth > 0 && !is_later(nets[i]->until_us, around[depth - 1]->until_us))
            continue;
        around[depth++] = nets[i];
        nets[kept++] = nets[i];
    }
    return kept;
}

struct flattening {
    struct projection *projection;
    uint16_t scope;
    bool is_short_of_room;
};

static void put_part(struct flattening *flattening, const struct prefix *prefix, int64_t until_us,
                     bool cut) {
    struct element_key key = {*prefix, 0, flattening->scope};
    bool is_new;
    struct element *part = table_add(flattening->projection->parts, &key, &is_new);
    if (!part) {
        flattening->is_short_of_room = true;
        return;
    }
    part->coming_us = until_us;
    part->is_cut_coming = cut;
}

static struct prefix half_of(const struct prefix *prefix, bool is_upper) {
    struct prefix half = *prefix;
    half.length++;
    unsigned bit = half.length - 1u + (prefix_is_v4(prefix) ? 96u : 0u);
    if (is_upper)
        half.address.at[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
    return half;
}

/* Everything in `prefix`, where nets[0..count) lie and no others: each ends later than what is
 * around it, so that halving goes on until each has its piece. A piece that happens to be a /64 is
 * halved once more: bans of just that /64 have the same key in a set of their own. */
static void flatten(struct flattening *flattening, struct prefix prefix, int64_t until_us,
                    bool cut, const struct net **nets, uint32_t count) {
    if (count > 0 && prefix_equals(&nets[0]->key.prefix, &prefix)) {
        until_us = nets[0]->until_us;
        cut = cut || nets[0]->cut;
        nets++;
        count--;
    }
    if (count == 0 && is_odd(&prefix)) {
        put_part(flattening, &prefix, until_us, cut);
        return;
    }
    struct prefix upper = half_of(&prefix, true);
    uint32_t low = 0, high = count; /* where the upper half's begin */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(&nets[middle]->key.prefix.address, &upper.address, sizeof(upper.address)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    flatten(flattening, half_of(&prefix, false), until_us, cut, nets, low);
    flatten(flattening, upper, until_us, cut, nets + low, count - low);
}

/* Of what waits, the networks to be dropped go to the end, from where they are taken first: a net
 * and its parts must not meet in the set, not even for the time between two batches. */
static void put_dropped_nets_last(struct projection *projection) {
    struct key_list *dirty = &projection->dirty;
    size_t end = dirty->count;
    for (size_t i = end; i-- > 0;) {
        struct element_key *key = (struct element_key *)(void *)(dirty->at + i * sizeof(*key));
        const struct element *element =
            is_odd(&key->prefix) ? table_find(projection->parts, key) : NULL;
        if (!element || element->wanted_us != 0)
            continue;
        struct element_key *last =
            (struct element_key *)(void *)(dirty->at + --end * sizeof(*key));
        struct element_key kept = *last;
        *last = *key;
        *key = kept;
    }
}

static void flatten_scope(struct projection *projection, uint16_t scope) {
    static const struct net *nets[NETS_MAX];
    struct flattening flattening = {projection, scope, false};
    uint32_t place = 0;
    for (struct element *part; (part = table_next(projection->parts, &place));)
        if (part->key.scope == scope) {
            part->coming_us = 0;
            part->is_cut_coming = false;
        }
    uint32_t count = nets_that_matter(projection, scope, nets);
    for (uint32_t i = 0, end; i < count; i = end) {
        for (end = i + 1;
             end < count && prefix_contains(&nets[i]->key.prefix, &nets[end]->key.prefix);)
            end++;
        flatten(&flattening, nets[i]->key.prefix, 0, false, nets + i, end - i);
    }
    place = 0;
    for (struct element *part; (part = table_next(projection->parts, &place));) {
        if (part->key.scope != scope ||
            (part->coming_us == part->wanted_us && !part->is_cut_coming))
            continue;
        part->wanted_us = part->coming_us;
        part->cut = part->wanted_us != 0 && (part->cut || part->is_cut_coming);
        changed(projection, part);
        mark(projection, part);
    }
    projection->counts.lacks_room |= flattening.is_short_of_room;
}

static void flatten_what_is_stale(struct projection *projection) {
    if (!projection->stale)
        return;
    for (uint16_t scope = 0; scope < SCOPES_MAX; scope++)
        if (projection->stale >> scope & 1)
            flatten_scope(projection, scope);
    projection->stale = 0;
    uint32_t place = 0;
    for (struct net *net; (net = table_next(projection->nets, &place));)
        net->cut = false;
    put_dropped_nets_last(projection);
}

bool projection_has_stale_nets(const struct projection *projection) {
    return projection->stale != 0;
}

static bool want_net(struct projection *projection, const struct element_key *key,
                     int64_t until_us, bool cut) {
    bool is_new;
    struct net *net = until_us == 0 ? table_find(projection->nets, key)
                                    : table_add(projection->nets, key, &is_new);
    if (!net)
        return until_us == 0;
    projection->stale |= UINT64_C(1) << key->scope;
    if (until_us == 0) {
        table_remove(projection->nets, net);
        return true;
    }
    net->until_us = until_us;
    net->cut = net->cut || cut;
    return true;
}

bool projection_want(struct projection *projection, uint16_t scope, const struct prefix *prefix,
                     int64_t until_us, bool cut) {
    struct element_key key = {*prefix, 0, scope};
    return is_odd(prefix) ? want_net(projection, &key, until_us, cut)
                          : want_element(projection, &key, until_us, cut);
}

bool projection_restore(struct projection *projection, uint16_t scope,
                        const struct prefix *prefix, int64_t until_us) {
    struct element_key key = {*prefix, 0, scope};
    if (is_odd(prefix)) {
        const struct net *net = table_find(projection->nets, &key);
        return (net && !is_later(until_us, net->until_us)) ||
               want_net(projection, &key, until_us, false);
    }
    bool is_new;
    struct element *element = table_add(projection->elements, &key, &is_new);
    if (!element)
        return false;
    if (element->wanted_us == 0 || is_later(until_us, element->wanted_us)) {
        element->wanted_us = until_us;
        changed(projection, element);
        mark(projection, element);
    }
    return true;
}

bool projection_takes_net(const struct projection *projection, uint16_t scope,
                          const struct prefix *prefix) {
    struct element_key key = {*prefix, 0, scope};
    return !is_odd(prefix) || table_count(projection->nets) < NETS_MAX ||
           table_find(projection->nets, &key);
}

uint32_t projection_orders(struct projection *projection, int64_t now_us,
                           struct enforce_order *orders, uint32_t most) {
    uint32_t count = 0;
    struct element_key key;
    flatten_what_is_stale(projection);
    /* Drops go first within a batch only where nets change shape: a dropped net and its parts must
     * not meet in the set. The enforcer applies a batch in order, so drops are put in front. */
    uint32_t drops = 0;
    while (count < most && key_list_take(&projection->dirty, &key)) {
        struct element *element = find(projection, &key);
        if (!element || !element->is_dirty)
            continue;
        element->is_dirty = false;
        bool is_drop = element->wanted_us == 0 || is_over(element->wanted_us, now_us);
        if (is_drop && element->enforced_us == 0 && element->in_flight == 0 &&
            !element->may_remain) {
            forget(projection, element);
            continue;
        }
        struct enforce_order order = {key.scope, is_drop, element->cut && !is_drop, key.prefix,
                                      is_drop ? 0 : element->wanted_us};
        projection->awaited += element->in_flight++ == 0;
        element->ordered_us = is_drop ? ORDERED_DROP : element->wanted_us;
        element->cut = false;
        orders[count] = order;
        if (is_drop) {
            orders[count] = orders[drops];
            orders[drops++] = order;
        }
        count++;
    }
    return count;
}

void projection_drop_unknown(struct projection *projection, uint16_t scope,
                             const struct prefix *prefix) {
    struct element_key key = {*prefix, 0, scope};
    bool is_new;
    struct element *element = table_add(table_of(projection, prefix), &key, &is_new);
    if (!element || element->wanted_us != 0)
        return;
    if (element->enforced_us == 0)
        element->enforced_us = UNTIL_PERMANENT; /* as far as we know */
    mark(projection, element);
}

void projection_receipt(struct projection *projection, uint16_t scope,
                        const struct prefix *prefix, bool was_drop, int64_t until_us, int error) {
    struct element_key key = {*prefix, 0, scope};
    struct element *element = find(projection, &key);
    if (!element || element->in_flight == 0)
        return;
    element->error = error;
    if (error == 0)
        element->enforced_us = was_drop ? 0 : until_us;
    changed(projection, element);
    if (--element->in_flight > 0) /* receipts come in the order of the orders */
        return;
    element->ordered_us = 0;
    element->may_remain = element->may_remain && error != 0;
    projection->awaited--;
    if (element->wanted_us == 0 && element->enforced_us == 0 && !element->may_remain &&
        (error == 0 || !was_drop))
        forget(projection, element);
}

void projection_order_again(struct projection *projection) {
    struct walk walk = {0};
    for (struct element *one; (one = next(projection, &walk));) {
        one->may_remain = one->may_remain || one->enforced_us != 0 || one->in_flight > 0;
        one->enforced_us = 0;
        one->error = 0;
        one->cut = false;
        changed(projection, one);
        mark(projection, one);
    }
    put_dropped_nets_last(projection);
}

void projection_sweep(struct projection *projection, int64_t now_us) {
    struct walk walk = {0};
    for (struct element *one; (one = next(projection, &walk));) {
        if (one->wanted_us != 0 && is_over(one->wanted_us, now_us))
            tally(projection, one, false);
        if (one->in_flight > 0)
            continue;
        bool is_done = one->wanted_us == 0 || is_over(one->wanted_us, now_us);
        bool is_out = !one->may_remain &&
                      (one->enforced_us == 0 || is_over(one->enforced_us, now_us));
        if (is_done && is_out)
            forget(projection, one);
        else if (is_done || (one->error != 0 && one->error != EPERM))
            mark(projection, one); /* still in the kernel, or refused: once more */
    }
    uint32_t place = 0;
    for (struct net *net; (net = table_next(projection->nets, &place));)
        if (is_over(net->until_us, now_us))
            table_remove(projection->nets, net);
}

const struct element *projection_find(const struct projection *projection, uint16_t scope,
                                      const struct prefix *prefix) {
    struct element_key key = {*prefix, 0, scope};
    return find(projection, &key);
}

/* Do the parts of this network leave no gap? Either half without one says no at once. */
static bool parts_hold(const struct projection *projection, uint16_t scope,
                       const struct prefix *prefix, int64_t until_us) {
    const struct element *part =
        is_odd(prefix) ? projection_find(projection, scope, prefix) : NULL;
    if (part && part->wanted_us != 0)
        return holds_until(part, until_us);
    if (prefix_is_host(prefix))
        return false;
    struct prefix lower = half_of(prefix, false);
    struct prefix upper = half_of(prefix, true);
    return parts_hold(projection, scope, &lower, until_us) &&
           parts_hold(projection, scope, &upper, until_us);
}

bool projection_enforces(const struct projection *projection, uint16_t scope,
                         const struct prefix *prefix, int64_t until_us) {
    const struct element *exact = projection_find(projection, scope, prefix);
    if (exact && holds_until(exact, until_us))
        return true;
    bool has_parts = table_count(projection->parts) > 0;
    for (int length = prefix->length - 1; length > 0; length--) {
        struct prefix around = prefix_cut(&prefix->address, (uint8_t)length);
        if (!has_parts && is_odd(&around))
            continue; /* there may be nothing but a /64 around it */
        const struct element *element = projection_find(projection, scope, &around);
        if (element && holds_until(element, until_us))
            return true;
    }
    return has_parts && is_odd(prefix) && parts_hold(projection, scope, prefix, until_us);
}

struct projection_counts projection_counts(const struct projection *projection) {
    return projection->counts;
}

bool projection_is_settled(const struct projection *projection) {
    return projection->awaited == 0 && projection->dirty.count == 0 && projection->stale == 0;
}
