/* The projection: see projection.h. Networks of odd length (neither single addresses nor /64) are
 * few, a person's doing; theirs are kept as wished in `nets` and flattened into elements anew each
 * time one of them changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/projection.h"

#include <errno.h>

#include "base/keys.h"
#include "base/table.h"

enum { NETS_MAX = 4096, ORDERED_DROP = -2 };

struct net {
    uint16_t scope;
    struct prefix prefix;
    int64_t until_us;
};

struct projection {
    struct table *elements;
    struct key_list dirty;
    struct net nets[NETS_MAX];
    uint32_t net_count;
    uint32_t awaited;
};

struct projection *projection_new(uint32_t most) {
    struct projection *projection = calloc(1, sizeof(*projection));
    must(projection);
    projection->elements = table_new(sizeof(struct element), sizeof(struct element_key), most);
    projection->dirty.key_size = sizeof(struct element_key);
    return projection;
}

struct projection *projection_free(struct projection *projection) {
    if (!projection)
        return NULL;
    table_free(projection->elements);
    key_list_free(&projection->dirty);
    free(projection);
    return NULL;
}

static bool is_later(int64_t a, int64_t b) {
    if (a == b || b == UNTIL_PERMANENT)
        return false;
    return a == UNTIL_PERMANENT || a > b;
}

static void mark(struct projection *projection, struct element *element) {
    if (element->is_dirty)
        return;
    element->is_dirty = true;
    key_list_add(&projection->dirty, &element->key);
}

static void want_element(struct projection *projection, uint16_t scope,
                         const struct prefix *prefix, int64_t until_us, bool cut) {
    struct element_key key = {*prefix, 0, scope};
    struct element *element = table_find(projection->elements, &key);
    bool is_new;
    if (!element && until_us == 0)
        return;
    if (!element)
        element = table_add(projection->elements, &key, &is_new);
    if (!element)
        return; /* full: the ban stays wanted and is shown as not enforced */
    if (element->wanted_us == until_us && !cut)
        return;
    element->wanted_us = until_us;
    element->cut = until_us != 0 && (cut || element->cut); /* a cut that is due stays due */
    mark(projection, element);
}

static bool is_odd(const struct prefix *prefix) {
    return !prefix_is_host(prefix) && (prefix_is_v4(prefix) || prefix->length != 64);
}

/* Splits `prefix`, covered until `until_us`, wherever a net inside it ends later. Prefixes nest or
 * are apart, so halving reaches every net inside. A piece that happens to be a /64 is halved once
 * more: bans of just that /64 have the same key in a set of their own. */
static void flatten(struct projection *projection, uint16_t scope, struct prefix prefix,
                    int64_t until_us) {
    bool is_split = false;
    for (uint32_t i = 0; i < projection->net_count; i++) {
        const struct net *net = &projection->nets[i];
        if (net->scope != scope || !is_later(net->until_us, until_us))
            continue;
        if (prefix_contains(&net->prefix, &prefix))
            until_us = net->until_us;
        else if (prefix_contains(&prefix, &net->prefix))
            is_split = true;
    }
    bool halves = !is_odd(&prefix);
    for (uint32_t i = 0; is_split && !halves && i < projection->net_count; i++) {
        const struct net *net = &projection->nets[i];
        halves = net->scope == scope && is_later(net->until_us, until_us) &&
                 prefix_contains(&prefix, &net->prefix) && !prefix_equals(&prefix, &net->prefix);
    }
    if (halves) {
        struct prefix half = prefix;
        half.length++;
        unsigned bit = half.length - 1u + (prefix_is_v4(&prefix) ? 96u : 0u);
        flatten(projection, scope, half, until_us);
        half.address.at[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
        flatten(projection, scope, half, until_us);
        return;
    }
    want_element(projection, scope, &prefix, until_us, false);
}

static bool is_outermost(const struct projection *projection, const struct net *net) {
    for (uint32_t i = 0; i < projection->net_count; i++) {
        const struct net *other = &projection->nets[i];
        if (other->scope == net->scope && other->prefix.length < net->prefix.length &&
            prefix_contains(&other->prefix, &net->prefix))
            return false;
    }
    return true;
}

/* Of what waits, the networks to be dropped go to the end, from where they are taken first: a net and
 * its parts must not meet in the set, not even for the time between two batches. */
static void put_dropped_nets_last(struct projection *projection) {
    struct key_list *dirty = &projection->dirty;
    size_t end = dirty->count;
    for (size_t i = end; i-- > 0;) {
        struct element_key *key = (struct element_key *)(void *)(dirty->at + i * sizeof(*key));
        const struct element *element =
            is_odd(&key->prefix) ? table_find(projection->elements, key) : NULL;
        if (!element || element->wanted_us != 0)
            continue;
        struct element_key *last =
            (struct element_key *)(void *)(dirty->at + --end * sizeof(*key));
        struct element_key kept = *last;
        *last = *key;
        *key = kept;
    }
}

/* What flattening makes of odd nets is told apart from hosts and /64s by its length. */
static void project_nets(struct projection *projection, uint16_t scope) {
    uint32_t place = 0;
    for (struct element *one; (one = table_next(projection->elements, &place));)
        if (one->key.scope == scope && is_odd(&one->key.prefix) && one->wanted_us != 0) {
            one->wanted_us = 0;
            mark(projection, one);
        }
    for (uint32_t i = 0; i < projection->net_count; i++)
        if (projection->nets[i].scope == scope && is_outermost(projection, &projection->nets[i]))
            flatten(projection, scope, projection->nets[i].prefix, projection->nets[i].until_us);
    put_dropped_nets_last(projection);
}

static void want_net(struct projection *projection, uint16_t scope, const struct prefix *prefix,
                     int64_t until_us, bool cut) {
    struct net *found = NULL;
    for (uint32_t i = 0; i < projection->net_count && !found; i++)
        if (projection->nets[i].scope == scope &&
            prefix_equals(&projection->nets[i].prefix, prefix))
            found = &projection->nets[i];
    if (until_us == 0) {
        if (!found)
            return;
        *found = projection->nets[--projection->net_count];
    } else if (found) {
        found->until_us = until_us;
    } else if (projection->net_count < NETS_MAX) {
        projection->nets[projection->net_count++] = (struct net){scope, *prefix, until_us};
    }
    project_nets(projection, scope);
    uint32_t place = 0;
    for (struct element *one; cut && (one = table_next(projection->elements, &place));)
        if (one->key.scope == scope && one->wanted_us != 0 && is_odd(&one->key.prefix) &&
            prefix_contains(prefix, &one->key.prefix))
            one->cut = true; /* every one of them was marked just now */
}

void projection_want(struct projection *projection, uint16_t scope, const struct prefix *prefix,
                     int64_t until_us, bool cut) {
    if (is_odd(prefix))
        want_net(projection, scope, prefix, until_us, cut);
    else
        want_element(projection, scope, prefix, until_us, cut);
}

static bool is_over(int64_t until_us, int64_t now_us) {
    return until_us != UNTIL_PERMANENT && until_us <= now_us;
}

uint32_t projection_orders(struct projection *projection, int64_t now_us,
                           struct enforce_order *orders, uint32_t most) {
    uint32_t count = 0;
    struct element_key key;
    /* Drops go first within a batch only where nets change shape: a dropped net and its parts must
     * not meet in the set. The enforcer applies a batch in order, so drops are put in front. */
    uint32_t drops = 0;
    while (count < most && key_list_take(&projection->dirty, &key)) {
        struct element *element = table_find(projection->elements, &key);
        if (!element || !element->is_dirty)
            continue;
        element->is_dirty = false;
        bool is_drop = element->wanted_us == 0 || is_over(element->wanted_us, now_us);
        if (is_drop && element->enforced_us == 0 && element->in_flight == 0 &&
            !element->may_remain) {
            table_remove(projection->elements, element);
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
    struct element *element = table_add(projection->elements, &key, &is_new);
    if (!element || element->wanted_us != 0)
        return;
    if (element->enforced_us == 0)
        element->enforced_us = UNTIL_PERMANENT; /* as far as we know */
    mark(projection, element);
}

void projection_receipt(struct projection *projection, uint16_t scope,
                        const struct prefix *prefix, bool was_drop, int64_t until_us, int error) {
    struct element_key key = {*prefix, 0, scope};
    struct element *element = table_find(projection->elements, &key);
    if (!element || element->in_flight == 0)
        return;
    element->error = error;
    if (error == 0)
        element->enforced_us = was_drop ? 0 : until_us;
    if (--element->in_flight > 0) /* receipts come in the order of the orders */
        return;
    element->ordered_us = 0;
    element->may_remain = element->may_remain && error != 0;
    projection->awaited--;
    if (element->wanted_us == 0 && element->enforced_us == 0 && !element->may_remain &&
        (error == 0 || !was_drop))
        table_remove(projection->elements, element);
}

void projection_order_again(struct projection *projection) {
    uint32_t place = 0;
    for (struct element *one; (one = table_next(projection->elements, &place));) {
        one->may_remain = one->may_remain || one->enforced_us != 0 || one->in_flight > 0;
        one->enforced_us = 0;
        one->error = 0;
        one->cut = false;
        mark(projection, one);
    }
    put_dropped_nets_last(projection);
}

void projection_sweep(struct projection *projection, int64_t now_us) {
    uint32_t place = 0;
    for (struct element *one; (one = table_next(projection->elements, &place));) {
        if (one->in_flight > 0)
            continue;
        bool is_done = one->wanted_us == 0 || is_over(one->wanted_us, now_us);
        bool is_out = !one->may_remain &&
                      (one->enforced_us == 0 || is_over(one->enforced_us, now_us));
        if (is_done && is_out)
            table_remove(projection->elements, one);
        else if (is_done || (one->error != 0 && one->error != EPERM))
            mark(projection, one); /* still in the kernel, or refused: once more */
    }
    for (uint32_t i = 0; i < projection->net_count;)
        if (is_over(projection->nets[i].until_us, now_us))
            projection->nets[i] = projection->nets[--projection->net_count];
        else
            i++;
}

const struct element *projection_find(const struct projection *projection, uint16_t scope,
                                      const struct prefix *prefix) {
    struct element_key key = {*prefix, 0, scope};
    return table_find(projection->elements, &key);
}

struct projection_counts projection_counts(const struct projection *projection, int64_t now_us) {
    struct projection_counts counts = {0};
    uint32_t place = 0;
    for (const struct element *one; (one = table_next(projection->elements, &place));) {
        bool is_wanted = one->wanted_us != 0 && !is_over(one->wanted_us, now_us);
        counts.wanted += is_wanted;
        counts.enforced += is_wanted && one->enforced_us != 0 &&
                           !is_later(one->wanted_us, one->enforced_us);
        counts.refused += is_wanted && one->error != 0;
    }
    return counts;
}

bool projection_is_settled(const struct projection *projection) {
    return projection->awaited == 0 && projection->dirty.count == 0;
}
