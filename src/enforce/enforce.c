/* The face of enforce/: opens and closes, and says each wish to the part that can do it; see
 * enforce.h for what it promises and private.h for the parts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "enforce/enforce.h"

#include <errno.h>
#include <linux/netlink.h>

#include "base/clock.h"
#include "base/log.h"
#include "enforce/private.h"

enum { ASK_BUFFER_BYTES = BATCH_ROOM_BYTES, MANY_ORDERS = 100 };

static void enforce_drop_partial(struct enforce **enforce) {
    *enforce = enforce_free(*enforce);
}

static int open_links(struct enforce *enforce, struct why *reterr_why) {
    int error = netlink_open(&enforce->netfilter, NETLINK_NETFILTER, 0, reterr_why);
    if (error == 0)
        error = netlink_open(&enforce->route, NETLINK_ROUTE, 0, reterr_why);
    if (error == 0)
        error = netlink_open(&enforce->diag, NETLINK_SOCK_DIAG, 0, reterr_why);
    if (error < 0)
        return error;
    netlink_want_buffers(&enforce->netfilter, ASK_BUFFER_BYTES);
    error = table_exists(&enforce->netfilter);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "cannot speak to the kernel's firewall: %s%s",
                       strerror(-error), error == -EPERM ? "; CAP_NET_ADMIN is needed" : "");
    return watch_open(&enforce->watch, enforce->netfilter.port, reterr_why);
}

int enforce_open(struct enforce **ret_enforce, struct why *reterr_why) {
    at_scope_end(enforce_drop_partial) struct enforce *enforce = calloc(1, sizeof(*enforce));
    if (!enforce)
        return why_set(reterr_why, -ENOMEM, NULL, 0, "no memory for the firewall's side");
    enforce->watch.fd = enforce->watch.missed = -1;
    enforce->batch.at = malloc(BATCH_ROOM_BYTES);
    int error = enforce->batch.at ? exempt_open(&enforce->exempt) : -ENOMEM;
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "no memory for the firewall's side");
    error = open_links(enforce, reterr_why);
    if (error == 0)
        error = enforce_read_own(enforce, reterr_why);
    if (error < 0)
        return error;
    *ret_enforce = take_pointer(enforce);
    return 0;
}

struct enforce *enforce_free(struct enforce *enforce) {
    if (!enforce)
        return NULL;
    watch_close(&enforce->watch);
    netlink_close(&enforce->netfilter);
    netlink_close(&enforce->route);
    netlink_close(&enforce->diag);
    exempt_close(&enforce->exempt);
    free(enforce->batch.at);
    free(enforce);
    return NULL;
}

/* ---- exemptions -------------------------------------------------------------------------- */

/* Brings the kernel's exempt sets to what `changed` (the answer of an exempt_...() call) left. */
static int exempt_changed(struct enforce *enforce, int changed, struct why *reterr_why) {
    if (changed < 0)
        return why_set(reterr_why, changed, NULL, 0, "cannot exempt so many addresses: %s",
                       changed == -E2BIG ? "at most 4096 can be" : strerror(-changed));
    if (changed == 0 || !enforce->has_skeleton)
        return 0;
    batch_begin(&enforce->batch);
    exempt_fill(&enforce->exempt, &enforce->batch);
    int error = batch_send(&enforce->batch, &enforce->netfilter);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "the kernel does not take the exemptions: %s",
                       error == -ENOENT ? "table inet " TABLE_NAME " is gone" : strerror(-error));
    return 0;
}

int enforce_set_exempt(struct enforce *enforce, const struct prefix *prefixes, uint32_t count,
                       struct why *reterr_why) {
    int changed = exempt_replace(&enforce->exempt, EXEMPT_GIVEN, prefixes, count);
    return exempt_changed(enforce, changed, reterr_why);
}

struct found_exempt {
    struct prefix at[EXEMPT_MOST];
    uint32_t count;
    bool is_full;
};

static void find_exempt(void *context, const struct prefix *prefix, int64_t expires_us,
                        uint64_t packets) {
    struct found_exempt *found = context;
    (void)expires_us;
    (void)packets;
    if (found->count < EXEMPT_MOST)
        found->at[found->count++] = *prefix;
    else
        found->is_full = true;
}

int enforce_keep_exempt(struct enforce *enforce, struct why *reterr_why) {
    static const char *const names[] = {EXEMPT_4, EXEMPT_6};
    static struct found_exempt found;
    cleanup_kernel_sets struct kernel_sets sets = {0};
    int error = kernel_sets_read(&enforce->netfilter, &sets);
    uint32_t there = 0;
    found.count = 0;
    found.is_full = false;
    for (size_t i = 0; error >= 0 && i < ELEMENTS_OF(names); i++) {
        const struct kernel_set *set = kernel_sets_find(&sets, names[i]);
        there += set != NULL;
        if (set)
            error = elements_read(&enforce->netfilter, set, find_exempt, &found);
        if (error == -ENOENT) /* deleted since */
            error = 0;
    }
    enforce->has_skeleton = enforce->has_skeleton || there == ELEMENTS_OF(names);
    if (error >= 0 && found.is_full)
        error = -E2BIG;
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "the kernel's exempt addresses cannot be read: "
                                                   "%s", strerror(-error));
    int changed = exempt_replace(&enforce->exempt, EXEMPT_FOUND, found.at, found.count);
    error = exempt_changed(enforce, changed, reterr_why);
    return error < 0 ? error : there == ELEMENTS_OF(names);
}

int enforce_spare(struct enforce *enforce, const struct prefix *prefix, int64_t until_us,
                  struct why *reterr_why) {
    int64_t now_us = clock_now_us();
    int tidied = exempt_tidy(&enforce->exempt, now_us);
    int changed = 0;
    if (until_us == UNTIL_PERMANENT || until_us > now_us)
        changed = exempt_spare(&enforce->exempt, prefix, until_us);
    return exempt_changed(enforce, changed == 0 ? tidied : changed, reterr_why);
}

int enforce_unspare(struct enforce *enforce, const struct prefix *prefix, struct why *reterr_why) {
    return exempt_changed(enforce, exempt_unspare(&enforce->exempt, prefix), reterr_why);
}

int enforce_read_own(struct enforce *enforce, struct why *reterr_why) {
    cleanup_free struct prefix *prefixes = NULL;
    uint32_t count;
    int error = own_read(&enforce->route, &prefixes, &count);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "cannot read this machine's own addresses: %s",
                       strerror(-error));
    int changed = exempt_replace(&enforce->exempt, EXEMPT_OWN, prefixes, count);
    return exempt_changed(enforce, changed, reterr_why);
}

void enforce_each_exempt(const struct enforce *enforce,
                         void (*each)(void *context, const struct prefix *prefix, bool is_own),
                         void *context) {
    for (enum exempt_origin origin = 0; origin < EXEMPT_SPARED; origin++)
        for (uint32_t i = 0; i < enforce->exempt.lists[origin].count; i++)
            each(context, &enforce->exempt.lists[origin].at[i].prefix, origin == EXEMPT_OWN);
}

/* ---- table and orders -------------------------------------------------------------------- */

int enforce_set_scopes(struct enforce *enforce, const struct scope *scopes, uint32_t count,
                       struct why *reterr_why) {
    if (count > SCOPES_MAX)
        return why_set(reterr_why, -E2BIG, NULL, 0, "there can be %d scopes, not %u", SCOPES_MAX,
                       count);
    int error = exempt_tidy(&enforce->exempt, clock_now_us());
    if (error >= 0)
        error = skeleton_put(enforce, scopes, count, reterr_why);
    if (error < 0)
        return error;
    memcpy(enforce->scopes, scopes, count * sizeof(*scopes));
    enforce->scope_count = count;
    enforce->has_skeleton = true;
    enforce->put_guess = NONE_IS_THERE;
    return 0;
}

/* The element is in, so the ban holds: that something could not be cut is told, not returned. */
static void cut_after_put(struct enforce *enforce, const struct enforce_order *orders,
                          uint32_t count, const int *results) {
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < count; i++)
        wanted += orders[i].cut && !orders[i].is_drop && results[i] == 0;
    if (wanted == 0)
        return;
    cleanup_free struct cut_target *targets = reallocarray(NULL, wanted, sizeof(*targets));
    struct why why = {.text = "no memory"};
    uint32_t filled = 0;
    for (uint32_t i = 0; targets && i < count; i++)
        if (orders[i].cut && !orders[i].is_drop && results[i] == 0)
            targets[filled++] = (struct cut_target){orders[i].prefix, 1u << orders[i].scope};
    if (!targets || cut_targets(enforce, targets, filled, &why) < 0)
        log_warning("Banned, but connections stay open: %s", why.text);
}

int enforce_apply(struct enforce *enforce, const struct enforce_order *orders, uint32_t count,
                  int *ret_results, struct why *reterr_why) {
    int tidied = exempt_changed(enforce, exempt_tidy(&enforce->exempt, clock_now_us()), reterr_why);
    if (tidied < 0 && tidied != -ENOENT)
        return tidied;
    struct watch_pause pause = {0};
    if (count >= MANY_ORDERS)
        pause = watch_pause(enforce);
    int error = orders_apply(enforce, orders, count, ret_results, reterr_why);
    watch_resume(enforce, &pause);
    cut_after_put(enforce, orders, count, ret_results);
    return error;
}

int enforce_cut(struct enforce *enforce, uint16_t scope, const struct prefix *prefix,
                struct why *reterr_why) {
    if (scope >= enforce->scope_count)
        return why_set(reterr_why, -EINVAL, NULL, 0, "there is no scope %u", scope);
    struct cut_target target = {*prefix, 1u << scope};
    return cut_targets(enforce, &target, 1, reterr_why);
}

int enforce_lift(struct enforce *enforce, struct why *reterr_why) {
    batch_begin(&enforce->batch);
    struct nlmsghdr *message = batch_next(&enforce->batch, NFT_MSG_DELTABLE, 0);
    mnl_attr_put_strz(message, NFTA_TABLE_NAME, TABLE_NAME);
    batch_add(&enforce->batch, message);
    int error = batch_send(&enforce->batch, &enforce->netfilter);
    if (error < 0 && error != -ENOENT)
        return why_set(reterr_why, error, NULL, 0, "cannot delete table inet %s: %s%s", TABLE_NAME,
                       strerror(-error), error == -EPERM ? "; CAP_NET_ADMIN is needed" : "");
    enforce->has_skeleton = false;
    return 0;
}

/* ---- looking ----------------------------------------------------------------------------- */

struct listing {
    enforce_element_fn *each;
    void *context;
    const char *set_name;
    uint16_t scope;
};

static void list_one(void *context, const struct prefix *prefix, int64_t expires_us,
                     uint64_t packets) {
    const struct listing *listing = context;
    listing->each(listing->context, listing->set_name, listing->scope, prefix, expires_us,
                  packets);
}

static uint16_t scope_of_set(const struct enforce *enforce, const char *set) {
    for (uint16_t i = 0; i < enforce->scope_count; i++) {
        for (enum set_kind kind = 0; kind < SET_KINDS; kind++) {
            char name[SET_NAME_MAX];
            if (strcmp(set_name(name, &enforce->scopes[i], kind), set) == 0)
                return i;
        }
    }
    return UINT16_MAX;
}

static int cannot_list(int error, struct why *reterr_why) {
    return why_set(reterr_why, error, NULL, 0, "cannot read the sets of table inet %s: %s",
                   TABLE_NAME, error == -EINTR ? "they do not keep still" : strerror(-error));
}

int enforce_list(struct enforce *enforce, enforce_element_fn *each, void *context,
                 struct why *reterr_why) {
    cleanup_kernel_sets struct kernel_sets sets = {0};
    int error = kernel_sets_read(&enforce->netfilter, &sets);
    for (uint32_t i = 0; error == 0 && i < sets.count; i++) {
        const struct kernel_set *set = &sets.at[i];
        struct listing listing = {each, context, set->name, scope_of_set(enforce, set->name)};
        if (kernel_set_holds_bans(set))
            error = elements_read(&enforce->netfilter, set, list_one, &listing);
        if (error == -ENOENT) /* deleted since; what is no longer there has no elements */
            error = 0;
    }
    return error < 0 ? cannot_list(error, reterr_why) : 0;
}

struct listing_about {
    struct listing listing;
    const struct prefix *prefix;
};

static void list_if_about(void *context, const struct prefix *prefix, int64_t expires_us,
                          uint64_t packets) {
    struct listing_about *about = context;
    if (prefix_overlaps(prefix, about->prefix))
        list_one(&about->listing, prefix, expires_us, packets);
}

/* A hash set holds keys of one length: asked for the one that can cover the prefix, or walked when
 * the prefix is wider than its keys. */
static int list_set_about(struct enforce *enforce, const struct kernel_set *set,
                          struct listing_about *about) {
    uint8_t length = kernel_set_length(set);
    bool is_hash = !(set->flags & NFT_SET_INTERVAL);
    if ((set->key_bytes == 4) != prefix_is_v4(about->prefix))
        return 0;
    if (!is_hash || about->prefix->length < length)
        return elements_read(&enforce->netfilter, set, list_if_about, about);
    struct prefix key = prefix_cut(&about->prefix->address, length);
    return element_get(&enforce->netfilter, set, &key, list_if_about, about);
}

int enforce_list_about(struct enforce *enforce, const struct prefix *prefix,
                       enforce_element_fn *each, void *context, struct why *reterr_why) {
    cleanup_kernel_sets struct kernel_sets sets = {0};
    int error = kernel_sets_read(&enforce->netfilter, &sets);
    for (uint32_t i = 0; error == 0 && i < sets.count; i++) {
        const struct kernel_set *set = &sets.at[i];
        struct listing_about about = {
            {each, context, set->name, scope_of_set(enforce, set->name)}, prefix};
        if (kernel_set_holds_bans(set))
            error = list_set_about(enforce, set, &about);
        if (error == -ENOENT)
            error = 0;
    }
    return error < 0 ? cannot_list(error, reterr_why) : 0;
}

struct covering {
    const struct prefix *prefix;
    struct prefix found[129]; /* disjoint elements cannot be more, nor could nested ones */
    uint32_t count;
};

static void covering_add(void *context, const struct prefix *prefix, int64_t expires_us,
                         uint64_t packets) {
    (void)packets;
    struct covering *covering = context;
    (void)expires_us;
    if (prefix_contains(prefix, covering->prefix) &&
        covering->count < ELEMENTS_OF(covering->found))
        covering->found[covering->count++] = *prefix;
}

/* Hash sets are asked for the one key that can be there; interval sets are read. */
static int drop_from(struct enforce *enforce, const struct kernel_set *set,
                     const struct prefix *prefix, bool covering) {
    uint8_t length = kernel_set_length(set);
    if (length > 0) {
        struct prefix key = prefix_cut(&prefix->address, length);
        bool is_wanted = length == prefix->length || (covering && length < prefix->length);
        return is_wanted ? element_drop(enforce, set->name, &key, false) : 0;
    }
    struct covering found = {.prefix = prefix};
    int error = elements_read(&enforce->netfilter, set, covering_add, &found);
    int dropped = 0;
    for (uint32_t i = 0; error >= 0 && i < found.count; i++) {
        if (!covering && !prefix_equals(&found.found[i], prefix))
            continue;
        error = element_drop(enforce, set->name, &found.found[i], true);
        dropped += error > 0 ? 1 : 0;
    }
    return error < 0 ? error : dropped;
}

int enforce_drop_everywhere(struct enforce *enforce, const struct prefix *prefix, bool covering,
                            struct why *reterr_why) {
    cleanup_kernel_sets struct kernel_sets sets = {0};
    int error = kernel_sets_read(&enforce->netfilter, &sets);
    int dropped = 0;
    for (uint32_t i = 0; error >= 0 && i < sets.count; i++) {
        const struct kernel_set *set = &sets.at[i];
        if (!kernel_set_holds_bans(set) || (set->key_bytes == 4) != prefix_is_v4(prefix))
            continue;
        error = drop_from(enforce, set, prefix, covering);
        dropped += error > 0 ? error : 0;
    }
    return error < 0 ? cannot_list(error, reterr_why) : dropped;
}
