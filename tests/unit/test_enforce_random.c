/* Random orders, and what the kernel holds after them, against a model that is a plain list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "firewall.h"

static uint64_t random_state;

static uint32_t random_below(uint32_t most) { /* SplitMix64, so that a seed is a run */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32) % most;
}

/* Disjoint networks that touch one another, up to both ends of the space, and hosts. */
static struct prefix random_prefix(void) {
    static const char *const bases[] = {"0.0.0.0/12", "64.32.0.0/12", "255.240.0.0/12",
                                        "2001:db8::/36", "ffff:ffff:f000::/36"};
    struct prefix base = P(bases[random_below(ELEMENTS_OF(bases))]);
    bool is_v4 = prefix_is_v4(&base);
    uint32_t which = random_below(16), host = random_below(24);
    struct address address = base.address;
    address.at[is_v4 ? 13 : 4] |= (uint8_t)(which & 15);
    switch (random_below(3)) {
    case 0: /* a network of its own length: the sixteen lie side by side */
        return prefix_cut(&address, (uint8_t)((is_v4 ? 16 : 40) + which));
    case 1: /* hosts of the edges */
        if (random_below(2))
            memset(address.at + (is_v4 ? 14 : 8), 0xff, is_v4 ? 2 : 8);
        address.at[15] ^= (uint8_t)host;
        return prefix_of(&address);
    default:
        address.at[is_v4 ? 15 : 7] = (uint8_t)host;
        return is_v4 ? prefix_of(&address) : prefix_cut(&address, 64);
    }
}

struct model {
    struct row rows[4096];
    size_t count;
};

static struct row *model_find(struct model *model, uint16_t scope, const struct prefix *prefix) {
    for (size_t i = 0; i < model->count; i++)
        if (model->rows[i].scope == scope && prefix_equals(&model->rows[i].prefix, prefix))
            return &model->rows[i];
    return NULL;
}

static void model_apply(struct model *model, const struct enforce_order *order) {
    struct row *row = model_find(model, order->scope, &order->prefix);
    if (order->is_drop) {
        if (row)
            *row = model->rows[--model->count];
        return;
    }
    if (!row) {
        assert_true(model->count < ELEMENTS_OF(model->rows));
        row = &model->rows[model->count++];
    }
    *row = (struct row){.scope = order->scope, .prefix = order->prefix,
                        .expires_us = order->until_us};
}

static void model_compare(struct model *model, struct enforce *enforce) {
    LISTED(rows, enforce);
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *row = model_find(model, rows.at[i].scope, &rows.at[i].prefix);
        char text[PREFIX_TEXT_MAX];
        if (!row)
            fail_msg("%s is in %s and should not be", prefix_format(&rows.at[i].prefix, text),
                     rows.at[i].set);
        else
            assert_about(rows.at[i].expires_us, row->expires_us);
    }
    assert_int_equal(rows.count, model->count);
}

static void test_random_orders(void **state) {
    struct enforce *enforce = ready(state);
    static struct model model;
    const char *seed = getenv("SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 20261121;
    model.count = 0;
    for (unsigned round = 0; round < 150; round++) {
        enum { MOST = 60 };
        struct enforce_order orders[MOST];
        int results[MOST];
        uint32_t count = 1 + random_below(MOST);
        for (uint32_t i = 0; i < count; i++) {
            orders[i] = (struct enforce_order){.scope = (uint16_t)random_below(SCOPES),
                                               .is_drop = random_below(3) == 0,
                                               .prefix = random_prefix(),
                                               .until_us = random_below(4) == 0
                                                               ? UNTIL_PERMANENT
                                                               : in_seconds(100 + random_below(
                                                                                      100000))};
            model_apply(&model, &orders[i]);
        }
        struct why why = {0};
        must_why(enforce_apply(enforce, orders, count, results, &why), &why);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(results[i], 0);
        if (round % 40 == 39)
            must_why(enforce_set_scopes(enforce, scopes, SCOPES, &why), &why);
        model_compare(&model, enforce);
    }
}

/* Networks that cover one another, begin or end together: what is refused is known beforehand. */
static struct prefix random_network(void) {
    struct prefix prefix = P("20.0.0.0");
    static const uint8_t lengths[] = {9, 10, 11, 12, 16, 17, 24, 31};
    prefix.address.at[13] = (uint8_t)(random_below(8) << 5);
    if (random_below(4) == 0) /* the last of its kind in each */
        memset(prefix.address.at + 14, 0xff, 2), prefix.address.at[13] |= 0x1f;
    return prefix_cut(&prefix.address, lengths[random_below(ELEMENTS_OF(lengths))]);
}

static bool model_overlaps(const struct model *model, uint16_t scope, const struct prefix *prefix) {
    for (size_t i = 0; i < model->count; i++)
        if (model->rows[i].scope == scope &&
            !prefix_equals(&model->rows[i].prefix, prefix) &&
            prefix_overlaps(&model->rows[i].prefix, prefix))
            return true;
    return false;
}

static int wider_first(const void *a, const void *b) {
    const struct enforce_order *left = a, *right = b;
    return (int)left->prefix.length - (int)right->prefix.length;
}

static void test_random_networks(void **state) {
    struct enforce *enforce = ready(state);
    static struct model model;
    const char *seed = getenv("SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 20261121;
    model.count = 0;
    unsigned refused = 0;
    for (unsigned round = 0; round < 400; round++) {
        enum { MOST = 12 };
        struct enforce_order orders[MOST];
        int results[MOST];
        uint32_t count = 0, wanted = 1 + random_below(MOST);
        while (count < wanted) { /* each network once: of two orders the last holds, see above */
            struct prefix prefix = random_network();
            bool is_new = true;
            for (uint32_t i = 0; i < count; i++)
                is_new = is_new && !prefix_equals(&orders[i].prefix, &prefix);
            if (is_new)
                orders[count++] = (struct enforce_order){.is_drop = random_below(2) == 0,
                                                         .prefix = prefix,
                                                         .until_us = UNTIL_PERMANENT};
        }
        qsort(orders, count, sizeof(*orders), wider_first);
        refused += enforce_apply(enforce, orders, count, results, NULL) < 0;
        for (uint32_t i = 0; i < count; i++) {
            if (!orders[i].is_drop)
                continue;
            assert_int_equal(results[i], 0);
            model_apply(&model, &orders[i]);
        }
        for (uint32_t i = 0; i < count; i++) {
            if (orders[i].is_drop)
                continue;
            bool is_refused = model_overlaps(&model, 0, &orders[i].prefix);
            assert_int_equal(results[i], is_refused ? -EEXIST : 0);
            if (!is_refused)
                model_apply(&model, &orders[i]);
        }
        model_compare(&model, enforce);
    }
    assert_true(refused > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_random_orders),
        TEST(test_random_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
