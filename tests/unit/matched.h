/* Events that matching told of, and small filters made of a few patterns, for tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "match/match.h"

#define NOW_US INT64_C(1798760400000000) /* 2026-12-31T23:40:00Z */

struct facts {
    struct wire_event *at;
    uint32_t count;
    uint64_t ignored_up_to; /* ordinals known before */
};

void facts_free(struct facts *facts);
#define cleanup_facts at_scope_end(facts_free)

void add_fact(void *facts, const struct wire_event *event); /* for match_feed() */

/* Of one filter, whose number is 4. */
struct match *match_of(struct filter_rules *one);

/* Borrows the texts and the filter. */
struct filter_rules *rules_with(struct config_filter *filter, const char *prefix,
                                const char *const *fail, const char *ignore);
