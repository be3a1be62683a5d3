/* Who is exempt and why, for how long somebody is spared, and what an exempt address would have
 * deserved: it is counted apart, told, and never banned. See decider.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/private.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/duration.h"
#include "config/exempt.h"

static bool overlaps_any(const struct prefix *list, uint32_t count, const struct prefix *prefix) {
    for (uint32_t i = 0; i < count; i++)
        if (prefix_overlaps(&list[i], prefix))
            return true;
    return false;
}

bool decider_is_exempt(const struct decider *decider, uint16_t jail,
                       const struct prefix *prefix) {
    int whose = jail == JAIL_BY_HAND ? EXEMPT_BY_HAND : jail;
    return overlaps_any(decider->own, decider->own_count, prefix) ||
           config_exemption_of(decider->config, whose, prefix) != CONFIG_NOT_EXEMPT ||
           spared_touching(decider->spared, prefix, decider->now_us) != NULL;
}

const char *decider_why_exempt(const struct decider *decider, uint16_t jail,
                               const struct prefix *prefix, char into[EXEMPT_TEXT_MAX]) {
    int whose = jail == JAIL_BY_HAND ? EXEMPT_BY_HAND : jail;
    enum config_exemption by_config = config_exemption_of(decider->config, whose, prefix);
    const struct spared *spared = spared_touching(decider->spared, prefix, decider->now_us);
    char until[CLOCK_TEXT_MAX];
    if (by_config != CONFIG_NOT_EXEMPT)
        return config_exemption_text(by_config);
    if (overlaps_any(decider->own, decider->own_count, prefix))
        return "this machine's own address, or its gateway";
    if (!spared)
        return NULL;
    bool is_login = spared->key.kind != SPARED_TRUSTED;
    const char *colon = !is_login && spared->why[0] ? ": " : "";
    const char *end = spared->until_us == UNTIL_PERMANENT
                          ? "until you say otherwise"
                          : clock_format_local(spared->until_us, decider->now_us, until);
    if (spared->key.kind == SPARED_SESSION)
        snprintf(into, EXEMPT_TEXT_MAX, "where %s is logged in by SSH", spared->why);
    else if (is_login)
        snprintf(into, EXEMPT_TEXT_MAX, "where %s logged in by SSH with a key (spared until %s)",
                 spared->why, end);
    else
        snprintf(into, EXEMPT_TEXT_MAX, "trusted by hand %s%s%s%s",
                 spared->until_us == UNTIL_PERMANENT ? "" : "until ", end, colon, spared->why);
    return into;
}

void decider_set_own(struct decider *decider, const struct prefix *own, uint32_t count) {
    struct prefix *copy = calloc(count ? count : 1, sizeof(*copy));
    must(copy);
    if (count)
        memcpy(copy, own, count * sizeof(*copy));
    free(decider->own);
    decider->own = copy;
    decider->own_count = count;
}

static bool was_told(const struct decider *decider, const struct ledger_key *key, int64_t at_us) {
    for (size_t i = 0; i < ELEMENTS_OF(decider->exempt_told); i++)
        if (memcmp(&decider->exempt_told[i].key, key, sizeof(*key)) == 0 &&
            at_us < decider->exempt_told[i].until_us)
            return true;
    return false;
}

static void tell_exempt(struct decider *decider, uint16_t number, const struct counter *counter,
                        const struct prefix *host, int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct exempt_told *told = &decider->exempt_told[decider->exempt_told_next];
    char reason[BAN_REASON_MAX];
    char length[DURATION_TEXT_MAX];
    char why[EXEMPT_TEXT_MAX];
    char text[2 * BAN_REASON_MAX + EXEMPT_TEXT_MAX];
    struct prefix id = counter->key.id;
    decider->exempt_told_next =
        (decider->exempt_told_next + 1) % ELEMENTS_OF(decider->exempt_told);
    *told = (struct exempt_told){counter->key, counter->last_us + jail->find_seconds * SECOND_US};
    reason_describe(decider->config, jail, counter, CAUSE_LIMIT, reason);
    int64_t seconds =
        judge_length(jail, CAUSE_LIMIT, judge_returns(decider, number, &id, now_us));
    const char *what = decider_why_exempt(decider, number, host, why);
    snprintf(text, sizeof(text), "spared, as it is %s; %s would be a ban of %s",
             what ? what : "exempt", reason, duration_format(seconds, length));
    struct exempt_case one = {number, id, counter->last_us, text};
    if (decider->calls.on_exempt)
        decider->calls.on_exempt(decider->context, &one);
}

void exempt_count(struct decider *decider, uint16_t number, const struct prefix *id,
                  const struct prefix *host, const struct measured *measured, int64_t at_us,
                  int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct ledger_key key = ledger_key_of(number, id);
    if (measured->attempts == 0)
        return;
    struct failure failure = weigh_in_jail(decider, jail, measured, &host->address, at_us);
    failure.weight += failure.own_weight; /* what a stranger would have had to expect */
    const struct counter *counter = ledger_count(decider->exempt_ledger, &key, at_us, &failure,
                                                 jail->find_seconds * SECOND_US);
    if ((int64_t)counter->weight < jail->max_retry * WEIGHT_ONE)
        return;
    if (!was_told(decider, &counter->key, at_us))
        tell_exempt(decider, number, counter, host, now_us);
    ledger_forget(decider->exempt_ledger, number, id);
}

void decider_spare_login(struct decider *decider, enum spared_kind kind,
                         const struct address *address, struct span account, int64_t at_us,
                         int64_t until_us, int64_t now_us) {
    struct spared entry = {.key = {prefix_of(address), (uint8_t)kind},
                           .since_us = at_us,
                           .until_us = until_us};
    const struct spared *before = spared_find(decider->spared, &entry.key);
    bool is_new = !before || spared_is_over(before, now_us);
    if (until_us <= now_us || (!is_new && before->until_us >= until_us))
        return;
    decider->now_us = now_us;
    safe_copy(entry.why, sizeof(entry.why), account);
    const struct spared *kept = spared_put(decider->spared, &entry);
    if (!kept)
        return;
    uint32_t lifted = is_new ? hand_lift(decider, &entry.key.prefix, -1, now_us, now_us) : 0;
    if (decider->calls.on_spare)
        decider->calls.on_spare(decider->context, kept, is_new, lifted);
}

int decider_trust(struct decider *decider, const struct prefix *prefix, int64_t until_us,
                  struct span why, int64_t at_us, struct why *reterr_why) {
    struct spared entry = {.key = {*prefix, SPARED_TRUSTED}, .since_us = at_us,
                           .until_us = until_us};
    const struct spared *before = spared_find(decider->spared, &entry.key);
    if (prefix->length < (prefix_is_v4(prefix) ? 8 : 19))
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "that is too wide to be trusted: at most a /%d",
                       prefix_is_v4(prefix) ? 8 : 19);
    if (before && before->since_us > at_us)
        return 0;
    safe_copy(entry.why, sizeof(entry.why), why);
    const struct spared *kept = spared_put(decider->spared, &entry);
    if (!kept)
        return why_set(reterr_why, -ENOSPC, NULL, 0,
                       "%d addresses are trusted already; trust networks instead", SPARED_MOST);
    if (decider->calls.on_spare)
        decider->calls.on_spare(decider->context, kept, before == NULL, 0);
    ledger_forget_prefix(decider->exempt_ledger, prefix, -1);
    return 0;
}

uint32_t decider_untrust(struct decider *decider, const struct prefix *prefix, int64_t at_us) {
    uint32_t ended = 0;
    uint32_t place = 0;
    for (struct spared *one; (one = spared_next(decider->spared, &place));) {
        if (one->key.kind != SPARED_TRUSTED || one->since_us > at_us ||
            !prefix_contains(prefix, &one->key.prefix))
            continue;
        spared_remove(decider->spared, one);
        place--; /* another one has taken its place */
        ended++;
    }
    return ended;
}

static void end_spared(struct decider *decider, int64_t now_us) {
    uint32_t place = 0;
    for (struct spared *one; (one = spared_next(decider->spared, &place));) {
        if (!spared_is_over(one, now_us))
            continue;
        if (decider->calls.on_spare_end)
            decider->calls.on_spare_end(decider->context, one);
        spared_remove(decider->spared, one);
        place--; /* another one has taken its place */
    }
}

void exempt_sweep(struct decider *decider, int64_t now_us) {
    ledger_sweep(decider->exempt_ledger, decider->log_time_us, window_length, decider);
    end_spared(decider, now_us);
}
