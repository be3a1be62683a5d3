/* Do the jails still see: figures of each jail (notify/sight.h), kept over restarts, and what
 * `status` says of them.
 *
 * Counts of what matched are the decider's own and only grow; each sweep looks how far.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

static bool is_watched(const struct desk *desk, uint32_t number) {
    const struct config_jail *jail = &desk->config->jails[number];
    return jail->is_enabled && jail->counts != COUNTS_RETURNS &&
           (int)number != desk->config->selftest_jail;
}

void desk_take_unmatched(struct desk *desk, const struct wire_unmatched *unmatched) {
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        const struct config_jail *jail = &desk->config->jails[j];
        struct jail_sight *kept = &desk->sights[j];
        if (!is_watched(desk, j) || jail->filter != unmatched->filter ||
            !(desk->decider->jails_of_source[unmatched->source] >> j & 1))
            continue;
        kept->is_dirty = true;
        sight_missed(&kept->sight, unmatched->lines, clock_now_us());
    }
}

void desk_sweep_sight(struct desk *desk, int64_t now_us) {
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        const struct jail_counts *counts = &desk->decider->jail_counts[j];
        struct jail_sight *kept = &desk->sights[j];
        if (!is_watched(desk, j))
            continue;
        if (kept->sight.since_us == 0) {
            kept->sight.since_us = now_us;
            kept->is_dirty = true;
        }
        if (sight_matched(&kept->sight, counts->failures - kept->failures_seen,
                          counts->successes - kept->successes_seen, now_us))
            kept->is_dirty = true;
        kept->failures_seen = counts->failures;
        kept->successes_seen = counts->successes;
    }
}

const char *desk_sight_fault(const struct desk *desk, uint32_t jail, char into[SIGHT_TEXT_MAX]) {
    if (!is_watched(desk, jail))
        return NULL;
    return sight_fault(&desk->sights[jail].sight, clock_now_us(), into);
}

void desk_load_sight(struct desk *desk, const struct row_sight *row) {
    int jail = decider_find_jail(desk->decider, span_of(row->jail));
    if (jail >= 0 && jail != JAIL_BY_HAND)
        desk->sights[jail].sight = row->sight;
}

void desk_collect_sights(struct desk *desk, struct store_batch *batch) {
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        struct jail_sight *kept = &desk->sights[j];
        if (!kept->is_dirty)
            continue;
        kept->is_dirty = false;
        *rows_add(&batch->sights) =
            (struct row_sight){desk->config->jails[j].name, kept->sight};
    }
}
