/* The projection against a model. Random bans on hosts, /64s and nested networks of odd length, in
 * several scopes; a simulated kernel carries out the orders as the real one would (drops of a batch
 * first, overlapping networks refused, elements that run out by themselves), its receipts come
 * late and bring errors, and its table is deleted under our hands. When all is quiet, every address
 * must be covered exactly as long as the longest ban on it lasts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "bans/projection.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/keys.h"

enum { SCOPES = 3, BANS_MAX = 400, ELEMENTS_MAX = 4000, FLIGHT_MAX = 8000, POOL = 48 };

static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static struct prefix prefix_from(const char *text) {
    struct prefix prefix = {0};
    assert_int_equal(prefix_parse(span_of(text), &prefix), 0);
    return prefix;
}

/* ---- the model: what people and jails want ---- */

struct wish {
    uint16_t scope;
    struct prefix prefix;
    int64_t until_us;
};

struct in_kernel {
    uint16_t scope;
    struct prefix prefix;
    int64_t until_us;
};

struct receipt {
    struct enforce_order order;
    int error;
};

static struct {
    struct projection *projection;
    int64_t now_us;
    struct wish wishes[BANS_MAX];
    uint32_t wish_count;
    struct in_kernel elements[ELEMENTS_MAX];
    uint32_t element_count;
    struct enforce_order flight[FLIGHT_MAX];
    uint32_t flight_ends[FLIGHT_MAX]; /* of batches */
    uint32_t flight_count, batch_count;
    struct receipt receipts[FLIGHT_MAX];
    uint32_t receipt_count;
    bool kernel_errs;  /* now */
    bool has_erred;    /* ever in this play: then an overlap may be refused for a while */
    uint32_t overlaps;
    uint32_t cuts;
    struct prefix pool[POOL];
} w;

static bool is_over(int64_t until_us) {
    return until_us != UNTIL_PERMANENT && until_us <= w.now_us;
}

static int64_t later(int64_t a, int64_t b) {
    if (a == UNTIL_PERMANENT || b == UNTIL_PERMANENT)
        return UNTIL_PERMANENT;
    return a > b ? a : b;
}

/* ---- the kernel ---- */

static int set_of(const struct prefix *prefix) {
    if (prefix_is_host(prefix))
        return prefix_is_v4(prefix) ? 0 : 1;
    return !prefix_is_v4(prefix) && prefix->length == 64 ? 2 : 3;
}

static void expire(void) {
    for (uint32_t i = 0; i < w.element_count;)
        if (is_over(w.elements[i].until_us))
            w.elements[i] = w.elements[--w.element_count];
        else
            i++;
}

static int kernel_do(const struct enforce_order *order) {
    struct in_kernel *found = NULL;
    if (w.kernel_errs && chance(12) == 0) {
        w.has_erred = true;
        return ENOMEM;
    }
    if (!order->is_drop && is_over(order->until_us))
        return ETIME;
    for (uint32_t i = 0; i < w.element_count; i++) {
        struct in_kernel *one = &w.elements[i];
        if (one->scope != order->scope || set_of(&one->prefix) != set_of(&order->prefix))
            continue;
        if (prefix_equals(&one->prefix, &order->prefix)) {
            found = one;
        } else if (!order->is_drop && set_of(&one->prefix) == 3 &&
                   prefix_overlaps(&one->prefix, &order->prefix)) {
            w.overlaps++;
            return EEXIST;
        }
    }
    if (order->is_drop) {
        if (found)
            *found = w.elements[--w.element_count];
        return 0;
    }
    w.cuts += order->cut;
    assert_true(w.element_count < ELEMENTS_MAX);
    if (!found)
        found = &w.elements[w.element_count++];
    *found = (struct in_kernel){order->scope, order->prefix, order->until_us};
    return 0;
}

static void kernel_takes_batch(void) {
    if (w.batch_count == 0)
        return;
    expire();
    uint32_t end = w.flight_ends[0];
    for (int puts = 0; puts < 2; puts++)
        for (uint32_t i = 0; i < end; i++)
            if (w.flight[i].is_drop == !puts) {
                assert_true(w.receipt_count < FLIGHT_MAX);
                w.receipts[w.receipt_count++] =
                    (struct receipt){w.flight[i], kernel_do(&w.flight[i])};
            }
    memmove(w.flight, w.flight + end, (w.flight_count - end) * sizeof(w.flight[0]));
    w.flight_count -= end;
    w.batch_count--;
    for (uint32_t i = 0; i < w.batch_count; i++)
        w.flight_ends[i] = w.flight_ends[i + 1] - end;
}

static void send_orders(uint32_t most) {
    uint32_t room = FLIGHT_MAX - w.flight_count;
    uint32_t count = projection_orders(w.projection, w.now_us, w.flight + w.flight_count,
                                       most < room ? most : room);
    if (count == 0)
        return;
    w.flight_count += count;
    w.flight_ends[w.batch_count++] = w.flight_count;
}

static void hear_receipts(uint32_t most) {
    uint32_t count = most < w.receipt_count ? most : w.receipt_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct enforce_order *order = &w.receipts[i].order;
        projection_receipt(w.projection, order->scope, &order->prefix, order->is_drop,
                           order->until_us, w.receipts[i].error);
    }
    memmove(w.receipts, w.receipts + count, (w.receipt_count - count) * sizeof(w.receipts[0]));
    w.receipt_count -= count;
}

/* Somebody deleted our table, or may have, while orders were on their way. */
static void table_is_touched(bool table_goes) {
    if (table_goes)
        w.element_count = 0;
    projection_order_again(w.projection);
    w.has_erred = true;
}

/* ---- wishes ---- */

static void wish(uint16_t scope, const struct prefix *prefix, int64_t until_us, bool cut) {
    struct wish *found = NULL;
    for (uint32_t i = 0; i < w.wish_count; i++)
        if (w.wishes[i].scope == scope && prefix_equals(&w.wishes[i].prefix, prefix))
            found = &w.wishes[i];
    if (!found && until_us != 0) {
        assert_true(w.wish_count < BANS_MAX);
        found = &w.wishes[w.wish_count++];
    }
    if (found)
        *found = (struct wish){scope, *prefix, until_us};
    assert_true(projection_want(w.projection, scope, prefix, until_us, cut));
}

static void random_wish(void) {
    struct prefix prefix = w.pool[chance(POOL)];
    int64_t until_us = chance(3) == 0   ? 0
                       : chance(8) == 0 ? UNTIL_PERMANENT
                                        : w.now_us + (1 + chance(40)) * SECOND_US;
    wish((uint16_t)chance(SCOPES), &prefix, until_us, chance(2));
}

static void fill_pool(void) {
    static const char *const nets[] = {"203.0.113.0/24", "2001:db8::/44"};
    for (uint32_t i = 0; i < POOL; i++) {
        bool is_v6 = i % 2;
        struct prefix outer = prefix_from(nets[is_v6]);
        struct address address = outer.address;
        /* Few free bits, so that prefixes meet often. */
        uint32_t bits = chance(256);
        if (is_v6) {
            address.at[5] = (uint8_t)(bits & 0x0f);
            address.at[7] = (uint8_t)(bits >> 4 & 1);
            address.at[8] = (uint8_t)(bits >> 5 << 6);
            address.at[15] = (uint8_t)(bits >> 6);
        } else {
            address.at[15] = (uint8_t)bits;
        }
        static const uint8_t lengths6[] = {128, 64, 64, 44, 45, 46, 47, 48, 60, 63, 65, 66, 127};
        uint8_t length = is_v6 ? lengths6[chance(ELEMENTS_OF(lengths6))]
                               : (uint8_t)(chance(3) ? 24 + chance(8) : 32);
        w.pool[i] = prefix_cut(&address, length);
    }
}

/* ---- the comparison ---- */

static void compare_at(uint16_t scope, const struct address *address) {
    int64_t wanted = 0;
    int64_t held = 0;
    for (uint32_t i = 0; i < w.wish_count; i++)
        if (w.wishes[i].scope == scope && w.wishes[i].until_us && !is_over(w.wishes[i].until_us) &&
            prefix_holds(&w.wishes[i].prefix, address))
            wanted = later(wanted, w.wishes[i].until_us);
    for (uint32_t i = 0; i < w.element_count; i++)
        if (w.elements[i].scope == scope && prefix_holds(&w.elements[i].prefix, address))
            held = later(held, w.elements[i].until_us);
    if (wanted == held)
        return;
    char text[PREFIX_TEXT_MAX];
    fail_msg("scope %u, %s: wanted until %lld, in the kernel until %lld, now %lld", scope,
             address_format(address, text), (long long)wanted, (long long)held,
             (long long)w.now_us);
}

static void compare(void) {
    expire();
    for (uint16_t scope = 0; scope < SCOPES; scope++)
        for (uint32_t i = 0; i < POOL; i++) {
            struct address first = w.pool[i].address;
            struct address last = first;
            struct address random = first;
            unsigned from = w.pool[i].length + (prefix_is_v4(&w.pool[i]) ? 96u : 0u);
            for (unsigned bit = from; bit < 128; bit++) {
                last.at[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
                if (chance(2))
                    random.at[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
            }
            compare_at(scope, &first);
            compare_at(scope, &last);
            compare_at(scope, &random);
        }
}

static void quieten(void) {
    w.kernel_errs = false;
    for (int round = 0;; round++) {
        assert_true(round < 50);
        projection_sweep(w.projection, w.now_us);
        do
            send_orders(1 + chance(30));
        while (w.flight_count < FLIGHT_MAX / 2 && !projection_is_settled(w.projection) &&
               chance(20));
        while (w.batch_count)
            kernel_takes_batch();
        hear_receipts(UINT32_MAX);
        struct projection_counts counts = projection_counts(w.projection);
        if (round > 3 && projection_is_settled(w.projection) && counts.refused == 0 &&
            counts.wanted == counts.enforced)
            break;
    }
}

static void begin_play(uint64_t number) {
    memset(&w, 0, sizeof(w));
    seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w.now_us = 1000 * SECOND_US;
    w.projection = projection_new(100000);
    fill_pool();
}

static void play(uint64_t number, bool with_errors, bool with_drift) {
    begin_play(number);
    for (uint32_t deed = 0; deed < 150; deed++) {
        switch (chance(12)) {
        case 0:
            w.now_us += (int64_t)chance(5) * SECOND_US;
            break;
        case 1:
            projection_sweep(w.projection, w.now_us);
            break;
        case 2:
        case 3:
            send_orders(1 + chance(6));
            break;
        case 4:
        case 5:
            w.kernel_errs = with_errors;
            kernel_takes_batch();
            break;
        case 6:
        case 7:
            hear_receipts(chance(8));
            break;
        case 8:
            if (chance(8) == 0) {
                quieten();
                compare();
            }
            break;
        case 9:
            if (with_drift && chance(6) == 0)
                table_is_touched(chance(2));
            break;
        default:
            random_wish();
            break;
        }
    }
    quieten();
    compare();
    if (!w.has_erred && w.overlaps)
        fail_msg("play %llu: %u orders overlapped", (unsigned long long)number, w.overlaps);
    w.now_us += 100 * SECOND_US;
    quieten();
    compare();
    w.projection = projection_free(w.projection);
}

static void the_kernel_covers_what_is_banned(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 1500; i++)
        play(i, false, false);
}

static void errors_of_the_kernel_pass(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 1500; i++)
        play(i, true, false);
}

static void a_table_that_was_touched_is_put_back(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 1500; i++)
        play(i, i % 2, true);
}

/* ---- carrying out ---- */

static uint32_t carry_out(void) {
    uint32_t before = w.cuts;
    send_orders(UINT32_MAX);
    while (w.batch_count)
        kernel_takes_batch();
    hear_receipts(UINT32_MAX);
    return w.cuts - before;
}

/* ---- many networks ---- */

enum { MANY = 3000 };

/* What the projection says of an address, without a kernel: orders put and never answered wrong. */
static int64_t ordered_until(const struct enforce_order *orders, uint32_t count,
                             const struct address *address, uint32_t *ret_hits) {
    int64_t until_us = 0;
    *ret_hits = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!orders[i].is_drop && prefix_holds(&orders[i].prefix, address)) {
            until_us = orders[i].until_us;
            ++*ret_hits;
        }
    return until_us;
}

static struct prefix random_net(bool is_v6) {
    struct prefix outer = prefix_from(is_v6 ? "2001:db8::/40" : "100.64.0.0/13");
    struct address address = outer.address;
    for (unsigned bit = outer.length + (is_v6 ? 0u : 96u); bit < 128; bit++)
        if (chance(2))
            address.at[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
    uint32_t one = chance(18), other = chance(18); /* more narrow ones than wide ones */
    uint8_t length = (uint8_t)((is_v6 ? 45u : 14u) + (one > other ? one : other));
    return prefix_cut(&address, length);
}

static void thousands_of_nested_networks_cover_what_each_wants(void **state) {
    (void)state;
    static struct wish wishes[MANY];
    static struct enforce_order orders[400000];
    for (int is_v6 = 0; is_v6 < 2; is_v6++) {
        begin_play(77 + (uint64_t)is_v6);
        for (uint32_t i = 0; i < MANY; i++) {
            struct prefix net = random_net(is_v6);
            wishes[i] = (struct wish){0, net, chance(500) == 0
                                           ? UNTIL_PERMANENT
                                           : w.now_us + 1 + chance(1000000) + net.length * 30000};
            for (uint32_t j = 0; j < i; j++) /* the same net again: the last wish holds */
                if (prefix_equals(&wishes[j].prefix, &net))
                    wishes[j].until_us = wishes[i].until_us;
            assert_true(projection_want(w.projection, 0, &net, wishes[i].until_us, false));
        }
        uint32_t count = projection_orders(w.projection, w.now_us, orders, ELEMENTS_OF(orders));
        assert_true(count > MANY / 2 && count < ELEMENTS_OF(orders));
        for (uint32_t i = 0; i < 2000; i++) {
            struct address address = random_net(is_v6).address;
            int64_t wanted = 0;
            uint32_t hits;
            if (chance(2))
                address = wishes[chance(MANY)].prefix.address;
            for (uint32_t j = 0; j < MANY; j++)
                if (prefix_holds(&wishes[j].prefix, &address))
                    wanted = later(wanted, wishes[j].until_us);
            int64_t held = ordered_until(orders, count, &address, &hits);
            assert_true(hits <= 1 && held == wanted);
        }
        /* All in force: every wish is, until its end and not a moment longer than wanted there. */
        for (uint32_t i = 0; i < count; i++)
            projection_receipt(w.projection, 0, &orders[i].prefix, false, orders[i].until_us, 0);
        for (uint32_t i = 0; i < MANY; i++)
            assert_true(projection_enforces(w.projection, 0, &wishes[i].prefix,
                                            wishes[i].until_us));
        w.projection = projection_free(w.projection);
    }
}

static void what_lies_in_a_network_that_lasts_longer_is_enforced(void **state) {
    (void)state;
    begin_play(1);
    struct prefix outer = prefix_from("203.0.113.0/24");
    struct prefix inner = prefix_from("203.0.113.64/26");
    struct prefix host = prefix_from("203.0.113.70");
    struct prefix half = prefix_from("203.0.112.0/23");
    struct prefix net64 = prefix_from("2001:db8::/64");
    struct prefix in64 = prefix_from("2001:db8::7");
    int64_t until_us = w.now_us + MINUTE_US;
    assert_true(projection_want(w.projection, 0, &inner, until_us, false));
    assert_true(projection_want(w.projection, 0, &outer, until_us + 9, false));
    assert_true(projection_want(w.projection, 0, &net64, until_us, false));
    assert_false(projection_enforces(w.projection, 0, &inner, until_us));
    (void)carry_out();
    assert_null(projection_find(w.projection, 0, &inner)); /* the outer one says it all */
    assert_true(projection_enforces(w.projection, 0, &inner, until_us));
    assert_true(projection_enforces(w.projection, 0, &host, until_us + 9));
    assert_false(projection_enforces(w.projection, 0, &host, until_us + 10));
    assert_false(projection_enforces(w.projection, 1, &inner, until_us));
    assert_false(projection_enforces(w.projection, 0, &half, until_us));
    assert_true(projection_enforces(w.projection, 0, &in64, until_us));
    assert_false(projection_enforces(w.projection, 0, &in64, UNTIL_PERMANENT));
    /* An inner one that lasts longer: the outer is enforced by its parts,
     * the inner one's end counts. */
    assert_true(projection_want(w.projection, 0, &inner, until_us + 50, false));
    assert_false(projection_enforces(w.projection, 0, &inner, until_us + 50));
    (void)carry_out();
    assert_true(projection_enforces(w.projection, 0, &inner, until_us + 50));
    assert_true(projection_enforces(w.projection, 0, &outer, until_us + 9));
    assert_false(projection_enforces(w.projection, 0, &outer, until_us + 10));
    w.projection = projection_free(w.projection);
}

/* ---- one by one ---- */

static void a_cut_is_made_once_and_not_at_a_restore(void **state) {
    (void)state;
    begin_play(1);
    struct prefix host = prefix_from("203.0.113.9");
    struct prefix net = prefix_from("203.0.113.0/25");
    assert_true(projection_want(w.projection, 0, &host, w.now_us + MINUTE_US, true));
    assert_int_equal(carry_out(), 1);
    projection_order_again(w.projection);
    assert_int_equal(carry_out(), 0);
    assert_true(projection_want(w.projection, 0, &net, w.now_us + MINUTE_US, true));
    assert_int_equal(carry_out(), 1);
    assert_true(projection_want(w.projection, 0, &net, w.now_us + 2 * MINUTE_US, false));
    assert_int_equal(carry_out(), 0);
    w.projection = projection_free(w.projection);
}

static void what_is_wanted_and_what_is_enforced_are_told_apart(void **state) {
    (void)state;
    begin_play(1);
    struct prefix host = prefix_from("203.0.113.9");
    assert_true(projection_want(w.projection, 0, &host, w.now_us + MINUTE_US, false));
    struct projection_counts counts = projection_counts(w.projection);
    assert_int_equal(counts.wanted, 1);
    assert_int_equal(counts.enforced, 0);
    send_orders(10);
    assert_false(projection_is_settled(w.projection));
    kernel_takes_batch();
    hear_receipts(10);
    counts = projection_counts(w.projection);
    assert_int_equal(counts.enforced, 1);
    assert_true(projection_is_settled(w.projection));
    /* Prolonged: enforced only when the kernel has the new end. */
    assert_true(projection_want(w.projection, 0, &host, w.now_us + 2 * MINUTE_US, false));
    counts = projection_counts(w.projection);
    assert_int_equal(counts.enforced, 0);
    assert_int_equal(carry_out(), 0);
    counts = projection_counts(w.projection);
    assert_int_equal(counts.enforced, 1);
    w.projection = projection_free(w.projection);
}

static void an_exempt_order_is_refused_and_not_asked_again(void **state) {
    (void)state;
    begin_play(1);
    struct prefix host = prefix_from("203.0.113.9");
    struct enforce_order order;
    assert_true(projection_want(w.projection, 0, &host, w.now_us + MINUTE_US, false));
    assert_int_equal(projection_orders(w.projection, w.now_us, &order, 1), 1);
    projection_receipt(w.projection, 0, &host, false, order.until_us, EPERM);
    assert_int_equal(projection_counts(w.projection).refused, 1);
    assert_int_equal(projection_counts(w.projection).enforced, 0);
    projection_sweep(w.projection, w.now_us);
    assert_int_equal(projection_orders(w.projection, w.now_us, &order, 1), 0);
    w.projection = projection_free(w.projection);
}

/* A ban is shortened while the enforcer is busy, and runs out before the order goes out. */
static void a_shortened_ban_does_not_stay_in_the_kernel(void **state) {
    (void)state;
    begin_play(1);
    struct prefix host = prefix_from("203.0.113.9");
    wish(0, &host, UNTIL_PERMANENT, false);
    (void)carry_out();
    assert_int_equal(w.element_count, 1);
    wish(0, &host, w.now_us + SECOND_US, false);
    w.now_us += 2 * SECOND_US;
    projection_sweep(w.projection, w.now_us);
    (void)carry_out();
    assert_int_equal(w.element_count, 0);
    w.projection = projection_free(w.projection);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_covers_what_is_banned),
        cmocka_unit_test(errors_of_the_kernel_pass),
        cmocka_unit_test(a_table_that_was_touched_is_put_back),
        cmocka_unit_test(thousands_of_nested_networks_cover_what_each_wants),
        cmocka_unit_test(what_lies_in_a_network_that_lasts_longer_is_enforced),
        cmocka_unit_test(a_cut_is_made_once_and_not_at_a_restore),
        cmocka_unit_test(what_is_wanted_and_what_is_enforced_are_told_apart),
        cmocka_unit_test(an_exempt_order_is_refused_and_not_asked_again),
        cmocka_unit_test(a_shortened_ban_does_not_stay_in_the_kernel),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
