/* The decision: see decider.h, and DESIGN 3 "Count" and "Decide".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/decider.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/duration.h"

enum { KNOWN_MOST = 200000, JOINS_MOST = 50000, KEPT_AFTER_BAN = 5, KEPT_EXTRA = 5 };
#define OLDEST_EVENT_US (7 * DAY_US)
#define NEWEST_EVENT_US (60 * SECOND_US)
#define MEMORY_FAILURES_US DAY_US

struct decider *decider_new(const struct config *config, const struct decider_calls *calls,
                            void *context) {
    must(config->jail_count <= DECIDER_JAILS_MAX);
    struct decider *decider = calloc(1, sizeof(*decider));
    must(decider);
    decider->config = config;
    decider->calls = *calls;
    decider->context = context;
    decider->observes = config->observe;
    decider->ledger = ledger_new(config->ledger_most);
    decider->known = known_new(KNOWN_MOST);
    decider->joins = joins_new(JOINS_MOST);
    decider->projection = projection_new(config->bans_most);
    decider->bans = bans_new(config->bans_most, (uint16_t)config->jail_count,
                             decider->projection);
    decider->jail_counts = calloc(config->jail_count + 1, sizeof(*decider->jail_counts));
    must(decider->jail_counts);
    return decider;
}

struct decider *decider_free(struct decider *decider) {
    if (!decider)
        return NULL;
    bans_free(decider->bans);
    projection_free(decider->projection);
    joins_free(decider->joins);
    known_free(decider->known);
    ledger_free(decider->ledger);
    free(decider->jail_counts);
    free(decider->own);
    free(decider);
    return NULL;
}

const char *decider_jail_name(const struct decider *decider, uint16_t jail) {
    return jail == JAIL_BY_HAND ? "by-hand" : decider->config->jails[jail].name;
}

int decider_find_jail(const struct decider *decider, struct span name) {
    for (uint32_t i = 0; i < decider->config->jail_count; i++)
        if (span_is(name, decider->config->jails[i].name))
            return (int)i;
    return span_is(name, "by-hand") ? JAIL_BY_HAND : -ENOENT;
}

void decider_name_source(struct decider *decider, uint16_t source, struct span path) {
    cleanup_free char *text = span_copy(path);
    must(text);
    decider->jails_of_source[source] = 0;
    for (uint32_t j = 0; j < decider->config->jail_count; j++) {
        const struct config_jail *jail = &decider->config->jails[j];
        for (uint32_t i = 0; jail->is_enabled && i < jail->log_paths.count; i++)
            if (fnmatch(jail->log_paths.at[i].text, text, FNM_PATHNAME) == 0)
                decider->jails_of_source[source] |= UINT64_C(1) << j;
    }
}

/* ---- exemptions ---- */

static bool overlaps_any(const struct prefix *list, uint32_t count, const struct prefix *prefix) {
    for (uint32_t i = 0; i < count; i++)
        if (prefix_overlaps(&list[i], prefix))
            return true;
    return false;
}

bool decider_is_exempt(const struct decider *decider, uint16_t jail,
                       const struct prefix *prefix) {
    const struct config *config = decider->config;
    if (overlaps_any(config->admin, config->admin_count, prefix) ||
        overlaps_any(decider->own, decider->own_count, prefix))
        return true;
    if (jail != JAIL_BY_HAND)
        return overlaps_any(config->jails[jail].ignore, config->jails[jail].ignore_count, prefix);
    return false;
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

struct prefix decider_id(const struct decider *decider, const struct config_jail *jail,
                         const struct address *address, int64_t now_us) {
    if (address_is_v4(address))
        return prefix_of(address);
    struct prefix net = prefix_cut(address, jail->prefix_v6);
    uint16_t number = (uint16_t)(jail - decider->config->jails);
    if (decider_is_exempt(decider, number, &net) ||
        known_has_prefix(decider->known, &net, now_us, NULL))
        return prefix_of(address);
    return net;
}

/* ---- bans ---- */

static void describe_reason(const struct decider *decider, const struct config_jail *jail,
                            const struct counter *counter, char into[BAN_REASON_MAX]) {
    char span[DURATION_TEXT_MAX];
    char find[DURATION_TEXT_MAX];
    const char *service = jail->counts_returns
                              ? ""
                              : decider->config->filters[jail->filter].service;
    const char *what = jail->counts_returns                ? "bans again"
                       : strcmp(service, "sshd") == 0      ? "wrong SSH passwords"
                       : strcmp(service, "dovecot") == 0   ? "wrong mail passwords"
                       : strncmp(service, "postfix", 7) == 0 ? "wrong SMTP passwords"
                                                           : "failures";
    snprintf(into, BAN_REASON_MAX, "%u %s in %s; the limit is %lld in %s (jail %s)",
             counter->failures, what,
             duration_format((counter->last_us - counter->began_us) / SECOND_US, span),
             (long long)jail->max_retry, duration_format(jail->find_seconds, find), jail->name);
}

static int64_t ban_length(const struct config_jail *jail, uint32_t returns) {
    if (jail->ban_seconds < 0)
        return -1;
    int64_t seconds = jail->ban_seconds;
    for (uint32_t i = 0; jail->ban_grows && i < returns && seconds < jail->ban_most_seconds; i++)
        seconds *= 2;
    if (jail->ban_grows && seconds > jail->ban_most_seconds && jail->ban_most_seconds > 0 &&
        jail->ban_most_seconds >= jail->ban_seconds)
        seconds = jail->ban_most_seconds;
    return seconds;
}

static uint32_t count_returns(const struct decider *decider, uint16_t jail,
                              const struct prefix *id, int64_t now_us) {
    const struct past *past = bans_past(decider->bans, jail, id);
    return past && now_us - past->ended_us <= RETURN_US ? past->returns + 1 : 0;
}

static void count_return_elsewhere(struct decider *decider, const struct prefix *id,
                                   int64_t now_us);

static void make_ban(struct decider *decider, uint16_t number, const struct counter *counter,
                     int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct ban ban = {.key = counter->key, .scope = jail->scope, .since_us = now_us,
                      .failures = counter->failures};
    struct decision decision = {.first_us = counter->began_us, .newest_us = counter->last_us};
    bans_settle(decider->bans, number, &ban.key.id, now_us);
    ban.returns = count_returns(decider, number, &ban.key.id, now_us);
    int64_t seconds = ban_length(jail, ban.returns);
    ban.until_us = seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US;
    describe_reason(decider, jail, counter, ban.reason);
    decision.cuts = !known_has_prefix(decider->known, &ban.key.id, now_us, NULL);
    decision.is_return = ban.returns > 0;
    decision.ban = bans_add(decider->bans, &ban, decision.cuts);
    ledger_forget(decider->ledger, number, &ban.key.id);
    if (!decision.ban)
        return;
    decider->jail_counts[number].bans++;
    if (decider->calls.on_ban)
        decider->calls.on_ban(decider->context, &decision);
    if (ban.returns > 0 && !jail->counts_returns)
        count_return_elsewhere(decider, &ban.key.id, now_us);
}

static void judge(struct decider *decider, uint16_t number, const struct counter *counter,
                  int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    int64_t find_us = jail->find_seconds * SECOND_US;
    if ((int64_t)counter->weight < jail->max_retry * WEIGHT_ONE ||
        now_us - counter->last_us > find_us)
        return;
    make_ban(decider, number, counter, now_us);
}

/* A ban that follows an earlier one of the same jail within 30 days is itself an event: recidive. */
static void count_return_elsewhere(struct decider *decider, const struct prefix *id,
                                   int64_t now_us) {
    for (uint32_t j = 0; j < decider->config->jail_count; j++) {
        const struct config_jail *jail = &decider->config->jails[j];
        if (!jail->is_enabled || !jail->counts_returns ||
            bans_find(decider->bans, (uint16_t)j, id, now_us) ||
            decider_is_exempt(decider, (uint16_t)j, id))
            continue;
        const struct counter *counter =
            ledger_count(decider->ledger, (uint16_t)j, id, now_us, WEIGHT_ONE,
                         jail->find_seconds * SECOND_US);
        judge(decider, (uint16_t)j, counter, now_us);
    }
}

/* ---- events ---- */

static void keep_evidence(struct decider *decider, uint16_t source, uint16_t jail,
                          enum verdict verdict, const struct prefix *id, int64_t at_us,
                          const struct wire_event *event) {
    if (!decider->calls.on_evidence)
        return;
    struct evidence evidence = {source, jail, (uint8_t)verdict, event->line_end, at_us, *id,
                                event};
    decider->calls.on_evidence(decider->context, &evidence);
}

static void failure_while_banned(struct decider *decider, uint16_t source, uint16_t jail,
                                 struct ban *ban, int64_t at_us,
                                 const struct wire_event *event) {
    ban->after_ban++;
    bans_mark(decider->bans, ban);
    if (ban->after_kept < KEPT_AFTER_BAN) {
        ban->after_kept++;
        keep_evidence(decider, source, jail, VERDICT_AFTER_BAN, &ban->key.id, at_us, event);
    } else {
        decider->evidence_shed++;
    }
}

static uint32_t weigh(struct decider *decider, const struct config_filter *filter,
                      const struct wire_event *event, int64_t at_us) {
    uint32_t attempts = joins_weigh(decider->joins, span_of(filter->service),
                                    wire_bytes(event->session), &event->address, at_us,
                                    event->attempts);
    if (attempts > 1 && known_has_account(decider->known, &event->address,
                                          wire_bytes(event->account), at_us))
        attempts = 1;
    return attempts;
}

static bool is_pardoned(const struct decider *decider, uint16_t jail, const struct prefix *id,
                        int64_t at_us);

static void failure_in_jail(struct decider *decider, uint16_t source, uint16_t number,
                            const struct wire_event *event, uint32_t attempts, bool is_memory,
                            int64_t at_us, int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct prefix host = prefix_of(&event->address);
    struct prefix id = decider_id(decider, jail, &event->address, now_us);
    decider->jail_counts[number].failures++;
    if (is_memory) {
        keep_evidence(decider, source, number, VERDICT_MEMORY, &id, at_us, event);
        return;
    }
    if (decider_is_exempt(decider, number, &host)) {
        keep_evidence(decider, source, number, VERDICT_EXEMPT, &id, at_us, event);
        return;
    }
    if (is_pardoned(decider, number, &id, event->at_us)) {
        keep_evidence(decider, source, number, VERDICT_PARDONED, &id, at_us, event);
        return;
    }
    struct ban *ban = bans_find(decider->bans, number, &id, now_us);
    if (ban) {
        failure_while_banned(decider, source, number, ban, at_us, event);
        return;
    }
    if (attempts == 0) {
        keep_evidence(decider, source, number, VERDICT_JOINED, &id, at_us, event);
        return;
    }
    struct counter *counter = ledger_count(decider->ledger, number, &id, at_us,
                                           attempts * WEIGHT_ONE, jail->find_seconds * SECOND_US);
    if ((int64_t)counter->kept < jail->max_retry + KEPT_EXTRA) {
        counter->kept++;
        keep_evidence(decider, source, number, VERDICT_COUNTED, &id, at_us, event);
    } else {
        decider->evidence_shed++;
    }
    judge(decider, number, counter, now_us);
}

static bool jail_reads(const struct decider *decider, uint32_t number, uint16_t source,
                       uint16_t filter) {
    const struct config_jail *jail = &decider->config->jails[number];
    return jail->is_enabled && !jail->counts_returns && jail->filter == filter &&
           (decider->reads_all || decider->jails_of_source[source] >> number & 1);
}

static int64_t clamp_time(int64_t at_us, int64_t now_us) {
    if (at_us < now_us - OLDEST_EVENT_US)
        return now_us - OLDEST_EVENT_US;
    return at_us > now_us + NEWEST_EVENT_US ? now_us + NEWEST_EVENT_US : at_us;
}

static void success(struct decider *decider, uint16_t source, const struct wire_event *event,
                    int64_t now_us) {
    struct prefix id = prefix_of(&event->address);
    if (event->at_us < now_us - KNOWN_LIFE_US)
        return;
    int64_t at_us = event->at_us < now_us ? event->at_us : now_us;
    known_add(decider->known, &event->address, wire_bytes(event->account), at_us);
    uint32_t back = joins_take_back(decider->joins,
                                    span_of(decider->config->filters[event->filter].service),
                                    wire_bytes(event->session), &event->address, at_us);
    for (uint32_t j = 0; j < decider->config->jail_count; j++) {
        if (!jail_reads(decider, j, source, event->filter))
            continue;
        struct prefix counted =
            decider_id(decider, &decider->config->jails[j], &event->address, now_us);
        if (back)
            ledger_take_back(decider->ledger, (uint16_t)j, &counted, back * WEIGHT_ONE);
        decider->jail_counts[j].successes++;
        keep_evidence(decider, source, (uint16_t)j, VERDICT_SUCCESS, &id, at_us, event);
    }
}

void decider_event(struct decider *decider, uint16_t source, const struct wire_event *event,
                   bool is_memory, int64_t now_us) {
    if (!event->has_address || event->kind == EVENT_SKIPPED || event->filter >= decider->config->filter_count)
        return;
    if (event->kind == EVENT_SUCCESS) {
        success(decider, source, event, now_us);
        return;
    }
    if (event->kind == EVENT_DELIVERED) /* no use for it yet */
        return;
    if (is_memory && event->at_us < now_us - MEMORY_FAILURES_US)
        return;
    int64_t at_us = clamp_time(event->at_us, now_us);
    if (at_us > decider->log_time_us)
        decider->log_time_us = at_us;
    uint32_t attempts = is_memory ? 0
                                  : weigh(decider, &decider->config->filters[event->filter],
                                          event, at_us);
    for (uint32_t j = 0; j < decider->config->jail_count; j++)
        if (jail_reads(decider, j, source, event->filter))
            failure_in_jail(decider, source, (uint16_t)j, event, attempts, is_memory, at_us,
                            now_us);
}

/* ---- a person's will ---- */

int decider_ban_by_hand(struct decider *decider, const struct prefix *prefix, int64_t seconds,
                        struct span why, bool cut, int64_t now_us, struct why *reterr_why) {
    char text[PREFIX_TEXT_MAX];
    bool is_v4 = prefix_is_v4(prefix);
    prefix_format(prefix, text);
    if (decider_is_exempt(decider, JAIL_BY_HAND, prefix))
        return why_set(reterr_why, -EPERM, NULL, 0,
                       "%s is or holds an address that is never banned (this machine's own, its "
                       "gateway, or one of `admin`); see `hauberk config`",
                       text);
    if (prefix->length < (is_v4 ? 8 : 19))
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "%s is too wide: at most a /%d can be banned at once", text,
                       is_v4 ? 8 : 19);
    if (!is_v4 && prefix->length > 64 && prefix->length < 128)
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "%s: of IPv6, single addresses and networks up to /64 can be banned", text);
    struct ban ban = {.key = ledger_key_of(JAIL_BY_HAND, prefix), .scope = SCOPE_ALL,
                      .since_us = now_us,
                      .until_us = seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US};
    safe_copy(ban.reason, sizeof(ban.reason), why.length ? why : SPAN("banned by hand"));
    bool cuts = cut || !known_has_prefix(decider->known, prefix, now_us, NULL);
    struct ban *made = bans_add(decider->bans, &ban, cuts);
    if (!made)
        return why_set(reterr_why, -ENOSPC, NULL, 0,
                       "the book of bans is full (%u); raise bans-most in hauberk.conf",
                       decider->config->bans_most);
    if (decider->calls.on_ban)
        decider->calls.on_ban(decider->context, &(struct decision){.ban = made,
                                                                   .first_us = now_us,
                                                                   .newest_us = now_us,
                                                                   .cuts = cuts});
    return 0;
}

void decider_pardon(struct decider *decider, const struct prefix *prefix, int jail,
                    int64_t at_us) {
    decider->pardons[decider->pardon_next] = (struct pardon){*prefix, jail, at_us};
    decider->pardon_next = (decider->pardon_next + 1) % ELEMENTS_OF(decider->pardons);
    if (decider->pardon_count < ELEMENTS_OF(decider->pardons))
        decider->pardon_count++;
}

static bool is_pardoned(const struct decider *decider, uint16_t jail, const struct prefix *id,
                        int64_t at_us) {
    for (uint32_t i = 0; i < decider->pardon_count; i++) {
        const struct pardon *pardon = &decider->pardons[i];
        if (at_us <= pardon->at_us && (pardon->jail < 0 || pardon->jail == jail) &&
            prefix_overlaps(&pardon->prefix, id))
            return true;
    }
    return false;
}

uint32_t decider_unban(struct decider *decider, const struct prefix *prefix, int jail,
                       int64_t at_us, int64_t now_us) {
    uint32_t lifted = 0;
    uint32_t place = 0;
    for (struct ban *ban; (ban = bans_next(decider->bans, &place));) {
        if (ban_is_over(ban, now_us) || ban->since_us > at_us ||
            (jail >= 0 && ban->key.jail != jail) || !prefix_overlaps(&ban->key.id, prefix))
            continue;
        ledger_forget(decider->ledger, ban->key.jail, &ban->key.id);
        bans_end(decider->bans, ban, now_us);
        lifted++;
    }
    ledger_forget_prefix(decider->ledger, prefix, jail);
    decider_pardon(decider, prefix, jail, at_us);
    return lifted;
}

static int64_t find_time(void *context, uint16_t jail) {
    const struct decider *decider = context;
    return decider->config->jails[jail].find_seconds * SECOND_US;
}

void decider_sweep(struct decider *decider, int64_t now_us) {
    bans_sweep(decider->bans, now_us, NULL, NULL);
    projection_sweep(decider->projection, now_us);
    /* By log time: a log that is read late must find its own counts. */
    ledger_sweep(decider->ledger, decider->log_time_us, find_time, decider);
    joins_sweep(decider->joins, decider->log_time_us);
}
