/* Who is never banned: a list for each origin, and all of them flattened into ranges, because the
 * kernel's interval sets refuse overlapping elements and because a hundred thousand orders are
 * checked by binary search. A sparing that is over is dropped by the next exempt_tidy(); until then
 * it no longer counts here, though it may still stand in the kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "enforce/private.h"

static const char *const always_exempt[] = {"127.0.0.0/8", "::1", "fe80::/10"};

static int compare_prefixes(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct prefix));
}

static int compare_ranges(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct range));
}

/* Merges overlapping neighbours of a sorted array; returns how many are left. */
static uint32_t merge_ranges(struct range *at, uint32_t count) {
    uint32_t merged = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct range *before = merged > 0 ? &at[merged - 1] : NULL;
        if (!before || memcmp(&at[i].first, &before->last, sizeof(before->last)) > 0)
            at[merged++] = at[i];
        else if (memcmp(&at[i].last, &before->last, sizeof(before->last)) > 0)
            before->last = at[i].last;
    }
    return merged;
}

static int flatten(struct exempt *exempt) {
    size_t total = 0;
    for (unsigned i = 0; i < EXEMPT_ORIGINS; i++)
        total += exempt->lists[i].count;
    for (unsigned family = 0; family < 2; family++) {
        struct range *at = reallocarray(NULL, total + 1, sizeof(*at));
        if (!at)
            return -ENOMEM;
        uint32_t count = 0;
        for (unsigned i = 0; i < EXEMPT_ORIGINS; i++)
            for (uint32_t j = 0; j < exempt->lists[i].count; j++)
                if (prefix_is_v4(&exempt->lists[i].at[j].prefix) == (family == 0))
                    at[count++] = range_of(&exempt->lists[i].at[j].prefix);
        qsort(at, count, sizeof(*at), compare_ranges);
        free(exempt->ranges[family].at);
        exempt->ranges[family].at = at;
        exempt->ranges[family].count = merge_ranges(at, count);
    }
    return 1;
}

int exempt_open(struct exempt *exempt) {
    struct prefix prefixes[ELEMENTS_OF(always_exempt)];
    for (unsigned i = 0; i < ELEMENTS_OF(always_exempt); i++)
        must(prefix_parse(span_of(always_exempt[i]), &prefixes[i]) == 0);
    *exempt = (struct exempt){0};
    int error = exempt_replace(exempt, EXEMPT_ALWAYS, prefixes, ELEMENTS_OF(prefixes));
    return error < 0 ? error : 0;
}

void exempt_close(struct exempt *exempt) {
    for (unsigned i = 0; i < EXEMPT_ORIGINS; i++)
        free(exempt->lists[i].at);
    for (unsigned family = 0; family < 2; family++)
        free(exempt->ranges[family].at);
    *exempt = (struct exempt){0};
}

int exempt_replace(struct exempt *exempt, enum exempt_origin origin,
                   const struct prefix *prefixes, uint32_t count) {
    if (count > EXEMPT_MOST)
        return -E2BIG;
    cleanup_free struct exemption *list = reallocarray(NULL, count + 1u, sizeof(*list));
    if (!list)
        return -ENOMEM;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        list[i] = (struct exemption){prefixes[i], UNTIL_PERMANENT};
    qsort(list, count, sizeof(*list), compare_prefixes); /* the prefix comes first */
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || !prefix_equals(&list[i].prefix, &list[kept - 1].prefix))
            list[kept++] = list[i];
    bool is_same = kept == exempt->lists[origin].count;
    for (uint32_t i = 0; is_same && i < kept; i++)
        is_same = prefix_equals(&list[i].prefix, &exempt->lists[origin].at[i].prefix);
    if (is_same)
        return 0;
    free(exempt->lists[origin].at);
    exempt->lists[origin].at = take_pointer(list);
    exempt->lists[origin].count = kept;
    return flatten(exempt);
}

static bool lasts_longer(int64_t until_us, int64_t than_us) {
    return than_us != UNTIL_PERMANENT && (until_us == UNTIL_PERMANENT || until_us > than_us);
}

int exempt_spare(struct exempt *exempt, const struct prefix *prefix, int64_t until_us) {
    struct exemption *list = exempt->lists[EXEMPT_SPARED].at;
    uint32_t count = exempt->lists[EXEMPT_SPARED].count;
    for (uint32_t i = 0; i < count; i++) {
        if (!prefix_equals(&list[i].prefix, prefix))
            continue;
        if (lasts_longer(until_us, list[i].until_us))
            list[i].until_us = until_us;
        return 0;
    }
    if (count == EXEMPT_MOST)
        return -E2BIG;
    list = reallocarray(list, count + 1u, sizeof(*list));
    if (!list)
        return -ENOMEM;
    list[count] = (struct exemption){*prefix, until_us};
    exempt->lists[EXEMPT_SPARED].at = list;
    exempt->lists[EXEMPT_SPARED].count = count + 1;
    return flatten(exempt);
}

static bool is_over(const struct exemption *exemption, int64_t now_us) {
    return exemption->until_us != UNTIL_PERMANENT && exemption->until_us <= now_us;
}

int exempt_unspare(struct exempt *exempt, const struct prefix *prefix) {
    struct exemption *list = exempt->lists[EXEMPT_SPARED].at;
    uint32_t count = exempt->lists[EXEMPT_SPARED].count;
    for (uint32_t i = 0; i < count; i++) {
        if (!prefix_equals(&list[i].prefix, prefix))
            continue;
        list[i] = list[count - 1];
        exempt->lists[EXEMPT_SPARED].count--;
        return flatten(exempt);
    }
    return 0;
}

int exempt_tidy(struct exempt *exempt, int64_t now_us) {
    struct exemption *list = exempt->lists[EXEMPT_SPARED].at;
    uint32_t count = exempt->lists[EXEMPT_SPARED].count, kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!is_over(&list[i], now_us))
            list[kept++] = list[i];
    exempt->lists[EXEMPT_SPARED].count = kept;
    return kept == count ? 0 : flatten(exempt);
}

/* The ranges hold sparings that are over, so a touch of one is looked up in the lists. */
static bool touches_lists(const struct exempt *exempt, const struct prefix *prefix,
                          int64_t now_us) {
    for (unsigned i = 0; i < EXEMPT_ORIGINS; i++)
        for (uint32_t j = 0; j < exempt->lists[i].count; j++)
            if (!is_over(&exempt->lists[i].at[j], now_us) &&
                prefix_overlaps(&exempt->lists[i].at[j].prefix, prefix))
                return true;
    return false;
}

bool exempt_touches(const struct exempt *exempt, const struct prefix *prefix, int64_t now_us) {
    unsigned family = prefix_is_v4(prefix) ? 0 : 1;
    const struct range *ranges = exempt->ranges[family].at;
    struct range asked = range_of(prefix);
    uint32_t low = 0, high = exempt->ranges[family].count;
    while (low < high) { /* the first range that ends at or behind the prefix's start */
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(&ranges[middle].last, &asked.first, 16) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < exempt->ranges[family].count &&
           memcmp(&ranges[low].first, &asked.last, 16) <= 0 &&
           touches_lists(exempt, prefix, now_us);
}

void exempt_fill(const struct exempt *exempt, struct batch *batch) {
    for (unsigned family = 0; family < 2; family++) {
        const char *set = family == 0 ? EXEMPT_4 : EXEMPT_6;
        struct nlmsghdr *message = batch_next(batch, NFT_MSG_DELSETELEM, 0); /* all of them */
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set);
        batch_add(batch, message);
        struct element_writer writer;
        elements_begin(&writer, batch, NFT_MSG_NEWSETELEM, set);
        for (uint32_t i = 0; i < exempt->ranges[family].count; i++)
            elements_range(&writer, &exempt->ranges[family].at[i], 0);
        elements_end(&writer);
    }
}
