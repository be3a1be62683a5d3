/* From orders to elements. What the kernel refuses is halved until the bad order is alone.
 *
 * A put of a host is add, delete, add in one transaction: kernel 6.1 keeps the old timeout when an
 * element is added again, and a bare delete of one that has just expired would void the whole
 * transaction. A drop is add and delete for the same reason. Where hundreds of hosts are put at
 * once, as after a start, this is three times the work it need be: most often none of them is there
 * yet (the machine was booted) or all are (we were restarted). So such a batch is tried as
 * exclusive adds, then as deletes and adds, and what the set then answers is tried first the next
 * time. A guess that fails costs little: the kernel stops at the first element. The sets of
 * networks bear no such thing, because the kernel compares starts and ends one by one: dropping
 * 192.0.2.0/24 where the set holds its two halves would take the first start and the last end out
 * and leave everything above banned; 6.1 lets some overlaps pass; and neither 6.1 nor 6.18 deletes
 * what was both deleted and added in the same transaction. So these sets are read first, and then
 * get one transaction of deletes and adds that are known to fit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "base/clock.h"
#include "enforce/private.h"

enum {
    GUESS_FROM = 100, /* hosts put in one batch */
    ORDER_BYTES_MOST = 2 * (40 + 36), /* a network's start and end, deleted and added */
    TIMEOUT_MOST_YEARS = 100,         /* the kernel counts nanoseconds in 64 bits */
};

struct todo {
    uint32_t order; /* index */
    uint16_t scope;
    uint8_t kind;
    bool is_drop;
    bool is_there; /* of networks: the set holds it, so that it has to be deleted */
};

struct applying {
    struct enforce *enforce;
    const struct enforce_order *orders;
    int *results;
    struct todo *todo; /* sorted by set; one for each (scope, prefix) */
    uint32_t count;
    int64_t now_us;
    enum put_guess guess; /* of the batch being written */
};

static bool is_too_wide(const struct prefix *prefix) {
    enum { WIDEST_4 = 8, WIDEST_6 = 19 };
    return prefix->length < (prefix_is_v4(prefix) ? WIDEST_4 : WIDEST_6);
}

bool enforce_is_exempt(const struct enforce *enforce, const struct prefix *prefix) {
    return is_too_wide(prefix) || exempt_touches(&enforce->exempt, prefix, clock_now_us());
}

static int check_order(const struct applying *applying, const struct enforce_order *order) {
    if (order->scope >= applying->enforce->scope_count ||
        order->prefix.length > (prefix_is_v4(&order->prefix) ? 32 : 128))
        return -EINVAL;
    struct prefix clean = prefix_cut(&order->prefix.address, order->prefix.length);
    if (!prefix_equals(&clean, &order->prefix))
        return -EINVAL;
    if (order->is_drop)
        return 0;
    if (is_too_wide(&order->prefix) ||
        exempt_touches(&applying->enforce->exempt, &order->prefix, applying->now_us))
        return -EPERM;
    bool is_over = order->until_us != UNTIL_PERMANENT && order->until_us <= applying->now_us;
    return is_over ? -ETIME : 0;
}

static int compare_sets(const struct todo *left, const struct todo *right) {
    int by_scope = (int)left->scope - (int)right->scope;
    return by_scope != 0 ? by_scope : (int)left->kind - (int)right->kind;
}

static int compare_elements(const void *a, const void *b, void *context) {
    const struct todo *left = a, *right = b;
    const struct enforce_order *orders = context;
    int by_set = compare_sets(left, right);
    if (by_set != 0)
        return by_set;
    _Static_assert(sizeof(struct prefix) == 17, "no padding");
    int by_prefix = memcmp(&orders[left->order].prefix, &orders[right->order].prefix,
                           sizeof(struct prefix));
    if (by_prefix != 0)
        return by_prefix;
    return left->order < right->order ? -1 : 1;
}

/* Drops go first: a network may take the place of another that covers it. */
static int compare_steps(const void *a, const void *b, void *context) {
    const struct todo *left = a, *right = b;
    int by_set = compare_sets(left, right);
    if (by_set != 0 || left->is_drop == right->is_drop)
        return by_set != 0 ? by_set : compare_elements(a, b, context);
    return left->is_drop ? -1 : 1;
}

static bool same_element(const struct applying *applying, const struct todo *a,
                         const struct todo *b) {
    return a->scope == b->scope &&
           prefix_equals(&applying->orders[a->order].prefix, &applying->orders[b->order].prefix);
}

/* Of several orders for one element the last holds; those before it count as done. */
static void collect(struct applying *applying, uint32_t count) {
    struct todo *todo = applying->todo;
    uint32_t found = 0, kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct enforce_order *order = &applying->orders[i];
        applying->results[i] = check_order(applying, order);
        if (applying->results[i] == 0)
            todo[found++] = (struct todo){.order = i,
                                          .scope = order->scope,
                                          .kind = (uint8_t)set_kind_of(&order->prefix),
                                          .is_drop = order->is_drop};
    }
    qsort_r(todo, found, sizeof(*todo), compare_elements, (void *)applying->orders);
    for (uint32_t i = 0; i < found; i++)
        if (i + 1 == found || !same_element(applying, &todo[i], &todo[i + 1]))
            todo[kept++] = todo[i];
    qsort_r(todo, kept, sizeof(*todo), compare_steps, (void *)applying->orders);
    applying->count = kept;
}

static uint64_t timeout_ms(const struct applying *applying, const struct enforce_order *order) {
    const int64_t most_ms = INT64_C(1000) * 86400 * 365 * TIMEOUT_MOST_YEARS;
    if (order->until_us == UNTIL_PERMANENT)
        return 0;
    int64_t left_ms = (order->until_us - applying->now_us - 1) / 1000 + 1;
    return (uint64_t)(left_ms > most_ms ? most_ms : left_ms);
}

typedef bool chosen_fn(const struct todo *todo);

static bool is_any(const struct todo *todo) {
    (void)todo;
    return true;
}
static bool is_put(const struct todo *todo) {
    return !todo->is_drop;
}
static bool is_there(const struct todo *todo) {
    return todo->is_there;
}

/* The chosen among todo[from..to), which are of one set, as one kind of message. */
static void write_some(const struct applying *applying, uint32_t from, uint32_t to,
                       uint8_t command, chosen_fn *is_chosen, bool with_timeout) {
    const struct todo *first = &applying->todo[from];
    char name[SET_NAME_MAX];
    set_name(name, &applying->enforce->scopes[first->scope], first->kind);
    struct element_writer writer;
    elements_begin(&writer, &applying->enforce->batch, command, name);
    writer.is_exclusive = applying->guess == NONE_IS_THERE;
    for (uint32_t i = from; i < to; i++) {
        const struct enforce_order *order = &applying->orders[applying->todo[i].order];
        if (is_chosen(&applying->todo[i]))
            elements_prefix(&writer, &order->prefix, set_kinds[first->kind].is_interval,
                            with_timeout ? timeout_ms(applying, order) : 0);
    }
    elements_end(&writer);
}

static void write_set_orders(const struct applying *applying, uint32_t from, uint32_t to) {
    if (set_kinds[applying->todo[from].kind].is_interval) {
        write_some(applying, from, to, NFT_MSG_DELSETELEM, is_there, false);
    } else {
        if (applying->guess == ANY_MAY_BE_THERE)
            write_some(applying, from, to, NFT_MSG_NEWSETELEM, is_any, false);
        if (applying->guess != NONE_IS_THERE)
            write_some(applying, from, to, NFT_MSG_DELSETELEM, is_any, false);
    }
    write_some(applying, from, to, NFT_MSG_NEWSETELEM, is_put, true);
}

/* Where the orders for the set of todo[from] end. */
static uint32_t run_end(const struct applying *applying, uint32_t from, uint32_t to) {
    uint32_t end = from + 1;
    while (end < to && applying->todo[end].scope == applying->todo[from].scope &&
           applying->todo[end].kind == applying->todo[from].kind)
        end++;
    return end;
}

static int send_orders(const struct applying *applying, uint32_t from, uint32_t to) {
    batch_begin(&applying->enforce->batch);
    for (uint32_t start = from, end; start < to; start = end) {
        end = run_end(applying, start, to);
        write_set_orders(applying, start, end);
    }
    return batch_send(&applying->enforce->batch, &applying->enforce->netfilter);
}

/* Done, or known why not, for each of todo[from..to). */
static void apply_range(const struct applying *applying, uint32_t from, uint32_t to) {
    int error = send_orders(applying, from, to);
    if (error < 0 && to - from > 1 && error != -EPERM) {
        uint32_t middle = from + (to - from) / 2;
        apply_range(applying, from, middle);
        apply_range(applying, middle, to);
        return;
    }
    for (uint32_t i = from; i < to; i++)
        applying->results[applying->todo[i].order] = error == -EPERM ? -EACCES : error;
}

static bool are_puts_of_hosts(const struct applying *applying, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++)
        if (applying->todo[i].is_drop || set_kinds[applying->todo[i].kind].is_interval)
            return false;
    return true;
}

/* One batch of many. */
static void apply_batch(struct applying *applying, uint32_t from, uint32_t to) {
    enum put_guess *guess = &applying->enforce->put_guess;
    if (to - from >= GUESS_FROM && are_puts_of_hosts(applying, from, to)) {
        for (; *guess != ANY_MAY_BE_THERE; ++*guess) {
            applying->guess = *guess;
            int error = send_orders(applying, from, to);
            applying->guess = ANY_MAY_BE_THERE;
            if (error == 0) {
                for (uint32_t i = from; i < to; i++)
                    applying->results[applying->todo[i].order] = 0;
                return;
            }
            if (error != -EEXIST && error != -ENOENT)
                break; /* the usual way tells which of them it was */
        }
    }
    apply_range(applying, from, to);
}

/* Refused alone, but only because its element expired since we looked, or before the delete. */
static void apply_again(const struct applying *applying, uint32_t at) {
    struct todo *todo = &applying->todo[at];
    int *result = &applying->results[todo->order];
    if (*result != -ENOENT)
        return;
    todo->is_there = false;
    *result = send_orders(applying, at, at + 1);
}

/* ---- what the sets as they are say about the orders -------------------------------------- */

struct network {
    struct prefix prefix; /* comes first: see compare_networks() */
    bool is_dropped;
};
struct networks {
    struct network *at; /* owned; ascending, disjoint */
    size_t count, room;
    bool is_short_of_memory;
};

static void networks_free(struct networks *networks) {
    free(networks->at);
}

static void networks_add(void *context, const struct prefix *prefix, int64_t expires_us,
                         uint64_t packets) {
    (void)packets;
    struct networks *networks = context;
    (void)expires_us;
    if (networks->count == networks->room) {
        size_t room = networks->room ? 2 * networks->room : 64;
        struct network *at = reallocarray(networks->at, room, sizeof(*at));
        if (!at) {
            networks->is_short_of_memory = true;
            return;
        }
        networks->at = at;
        networks->room = room;
    }
    networks->at[networks->count++] = (struct network){.prefix = *prefix};
}

static int compare_networks(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct prefix));
}

static struct network *networks_find(const struct networks *networks, const struct prefix *prefix) {
    return networks->count == 0 ? NULL
                                : bsearch(prefix, networks->at, networks->count,
                                          sizeof(*networks->at), compare_networks);
}

/* Is there another network in the set, not about to go, that the prefix overlaps? */
static bool has_rival(const struct networks *networks, const struct prefix *prefix) {
    struct range asked = range_of(prefix);
    size_t low = 0, high = networks->count;
    while (low < high) { /* the first one that ends at or behind the prefix's start */
        size_t middle = low + (high - low) / 2;
        struct range there = range_of(&networks->at[middle].prefix);
        if (memcmp(&there.last, &asked.first, sizeof(asked.first)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < networks->count && prefix_overlaps(&networks->at[low].prefix, prefix); low++)
        if (!networks->at[low].is_dropped && !prefix_equals(&networks->at[low].prefix, prefix))
            return true;
    return false;
}

/* Orders for one set of networks, todo[from..to), drops first; what is to be sent is moved to
 * todo[*kept..). */
static int settle_networks(struct applying *applying, const struct kernel_set *set, uint32_t from,
                           uint32_t to, uint32_t *kept) {
    at_scope_end(networks_free) struct networks networks = {0};
    int error = elements_read(&applying->enforce->netfilter, set, networks_add, &networks);
    if (error < 0 || networks.is_short_of_memory)
        return error < 0 ? error : -ENOMEM;
    const struct prefix *before = NULL; /* the last one to be put */
    for (uint32_t i = from; i < to; i++) {
        struct todo todo = applying->todo[i];
        const struct prefix *prefix = &applying->orders[todo.order].prefix;
        struct network *found = networks_find(&networks, prefix);
        todo.is_there = found != NULL;
        if (todo.is_drop) {
            if (!found)
                continue;
            found->is_dropped = true;
        } else {
            if (has_rival(&networks, prefix) || (before && prefix_contains(before, prefix))) {
                applying->results[todo.order] = -EEXIST;
                continue;
            }
            before = prefix;
        }
        applying->todo[(*kept)++] = todo;
    }
    return 0;
}

/* Also gives up on orders for sets that are not there, which the kernel's refusal would have us
 * halve all the way down. */
static int settle(struct applying *applying) {
    cleanup_kernel_sets struct kernel_sets found = {0};
    int error = kernel_sets_read(&applying->enforce->netfilter, &found);
    uint32_t kept = 0;
    for (uint32_t from = 0, to; error == 0 && from < applying->count; from = to) {
        to = run_end(applying, from, applying->count);
        const struct todo *first = &applying->todo[from];
        char name[SET_NAME_MAX];
        set_name(name, &applying->enforce->scopes[first->scope], first->kind);
        const struct kernel_set *set = kernel_sets_find(&found, name);
        if (set && set_kinds[first->kind].is_interval) {
            error = settle_networks(applying, set, from, to, &kept);
            continue;
        }
        for (uint32_t i = from; i < to; i++) {
            if (set)
                applying->todo[kept++] = applying->todo[i];
            else
                applying->results[applying->todo[i].order] = -ENOENT;
        }
    }
    applying->count = kept;
    return error;
}

static bool needs_settling(const struct applying *applying) {
    return applying->count > 1 ||
           (applying->count == 1 && set_kinds[applying->todo[0].kind].is_interval);
}

/* ---- all of it --------------------------------------------------------------------------- */

static int first_kernel_error(const struct applying *applying, uint32_t count,
                              struct why *reterr_why) {
    for (uint32_t i = 0; i < count; i++) {
        const struct enforce_order *order = &applying->orders[i];
        int error = applying->results[i];
        if (error == 0 || error == -EPERM || error == -ETIME)
            continue;
        char text[PREFIX_TEXT_MAX];
        const char *reason = error == -EEXIST   ? "it overlaps another network in the set"
                             : error == -ENOENT ? "the set is gone"
                             : error == -EACCES ? "CAP_NET_ADMIN is needed"
                                                : strerror(-error);
        return why_set(reterr_why, error, NULL, 0, "cannot %s %s %s scope %s: %s",
                       order->is_drop ? "drop" : "put", prefix_format(&order->prefix, text),
                       order->is_drop ? "out of" : "into",
                       order->scope < applying->enforce->scope_count
                           ? applying->enforce->scopes[order->scope].name
                           : "(none)",
                       reason);
    }
    return 0;
}

int orders_apply(struct enforce *enforce, const struct enforce_order *orders, uint32_t count,
                 int *results, struct why *reterr_why) {
    if (count == 0)
        return 0;
    cleanup_free struct todo *todo = reallocarray(NULL, count, sizeof(*todo));
    if (!todo)
        return why_set(reterr_why, -ENOMEM, NULL, 0, "no memory for %u orders", count);
    struct applying applying = {enforce, orders, results, todo, 0, clock_now_us(),
                                ANY_MAY_BE_THERE};
    collect(&applying, count);
    if (needs_settling(&applying)) {
        int error = settle(&applying);
        if (error < 0)
            return why_set(reterr_why, error, NULL, 0, "cannot read the sets of table inet %s: %s",
                           TABLE_NAME, strerror(-error));
    }
    uint32_t most = enforce->netfilter.send_most_bytes / ORDER_BYTES_MOST;
    most = most > BATCH_ORDERS_MOST ? BATCH_ORDERS_MOST : most < 1 ? 1 : most;
    for (uint32_t from = 0; from < applying.count; from += most)
        apply_batch(&applying, from,
                    applying.count - from < most ? applying.count : from + most);
    for (uint32_t i = 0; i < applying.count; i++)
        apply_again(&applying, i);
    return first_kernel_error(&applying, count, reterr_why);
}

