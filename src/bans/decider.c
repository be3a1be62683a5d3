/* The decision: see decider.h, and DESIGN 3 "Count" and "Decide".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/private.h"

#include <errno.h>

#include "base/clock.h"
#include "ledger/account.h"

enum {
    KNOWN_MOST = 200000,
    JOINS_MOST = 50000,
    BURSTS_MOST = 50000,
    DROPS_MOST = 65536, /* elements of ended bans that are still to leave the kernel */
    KEPT_AFTER_BAN = 5,
    KEPT_EXTRA = 5,
    SUSPICIOUS_FAILURES = 5,
    EXEMPT_COUNTED_MOST = 4096
};
#define OLDEST_EVENT_US (7 * DAY_US)
#define NEWEST_EVENT_US (60 * SECOND_US)
#define MEMORY_FAILURES_US DAY_US
#define KEY_LOGIN_LIFE_US (30 * DAY_US)

/* What jails that count accounts ask of their memory. */
static int64_t longest_of_accounts_us(const struct config *config) {
    int64_t longest = 0;
    for (uint32_t i = 0; i < config->jail_count; i++)
        if (config->jails[i].counts == COUNTS_ACCOUNTS && config->jails[i].find_seconds > longest)
            longest = config->jails[i].find_seconds;
    return longest * SECOND_US;
}

struct decider *decider_new(const struct config *config, const struct decider_calls *calls,
                            void *context) {
    must(config->jail_count <= DECIDER_JAILS_MAX);
    struct decider *decider = calloc(1, sizeof(*decider));
    must(decider);
    decider->config = config;
    decider->calls = *calls;
    decider->context = context;
    decider->observes = config->observe == OBSERVE_YES;
    decider->ledger = ledger_new(config->ledger_most);
    decider->known = known_new(KNOWN_MOST);
    decider->uses = uses_new(USES_MOST);
    decider->joins = joins_new(JOINS_MOST);
    decider->bursts = bursts_new(BURSTS_MOST, longest_of_accounts_us(config));
    decider->projection = projection_new(config->bans_most + config->bans_most / 8 + DROPS_MOST);
    decider->bans = bans_new(config->bans_most, (uint16_t)config->jail_count,
                             decider->projection);
    decider->spared = spared_new();
    decider->pardons = pardons_new();
    decider->exempt_ledger = ledger_new(EXEMPT_COUNTED_MOST);
    ledger_store_nothing(decider->exempt_ledger);
    decider->origins = origins_new(config->jail_count);
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
    bursts_free(decider->bursts);
    known_free(decider->known);
    uses_free(decider->uses);
    ledger_free(decider->ledger);
    spared_free(decider->spared);
    pardons_free(decider->pardons);
    ledger_free(decider->exempt_ledger);
    origins_free(decider->origins);
    free(decider->jail_counts);
    free(decider->own);
    free(decider);
    return NULL;
}

void decider_store_nothing(struct decider *decider) {
    ledger_store_nothing(decider->ledger);
    known_store_nothing(decider->known);
    uses_store_nothing(decider->uses);
    joins_store_nothing(decider->joins);
    bursts_store_nothing(decider->bursts);
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

void decider_name_source(struct decider *decider, uint16_t source, uint64_t jails) {
    decider->jails_of_source[source] = jails;
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

static void keep_counted(struct decider *decider, uint16_t source, uint16_t number,
                         struct counter *counter, const struct failure *failure, int64_t at_us,
                         const struct wire_event *event) {
    int64_t most = decider->config->jails[number].max_retry + KEPT_EXTRA;
    enum verdict verdict = failure->weight       ? VERDICT_COUNTED
                           : failure->own_weight ? VERDICT_OWN
                                                 : VERDICT_FOLDED;
    if (verdict == VERDICT_OWN)
        most *= OWN_FACTOR;
    if (counter->kept >= most) {
        decider->evidence_shed++;
        return;
    }
    counter->kept++;
    keep_evidence(decider, source, number, verdict, &counter->key.id, at_us, event);
}

/* Where somebody has logged in from a /64, each of its addresses is counted alone, so that his
 * neighbours' failures are not his. All of them together have the limit of an office behind one
 * IPv4 address: else one login would let the whole network guess from an address each. */
static void count_network(struct decider *decider, uint16_t number, const struct prefix *id,
                          const struct wire_event *event, struct failure failure, int64_t at_us,
                          int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct prefix net = prefix_cut(&event->address, jail->prefix_v6);
    if (prefix_equals(&net, id) || decider_is_exempt(decider, number, &net) ||
        bans_find(decider->bans, number, &net, now_us))
        return;
    struct ledger_key key = ledger_key_of(number, &net);
    failure.own_weight += failure.weight;
    failure.weight = 0;
    const struct counter *counter =
        ledger_count(decider->ledger, &key, at_us, &failure, jail->find_seconds * SECOND_US);
    (void)judge(decider, number, counter, now_us);
}

static void count_failure(struct decider *decider, uint16_t source, uint16_t number,
                          const struct prefix *id, const struct wire_event *event,
                          const struct measured *measured, int64_t at_us, int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct ledger_key key = ledger_key_of(number, id);
    struct failure failure = weigh_in_jail(decider, jail, measured, &event->address, at_us);
    struct counter *counter =
        ledger_count(decider->ledger, &key, at_us, &failure, jail->find_seconds * SECOND_US);
    keep_counted(decider, source, number, counter, &failure, at_us, event);
    if (!address_is_v4(&event->address)) {
        count_network(decider, number, id, event, failure, at_us, now_us);
        counter = ledger_find(decider->ledger, &key); /* another record may have taken its room */
        if (!counter)
            return;
    }
    if (judge(decider, number, counter, now_us) || !jail->is_humane)
        return;
    bool is_counted = failure.weight > 0 && jail->counts == COUNTS_FAILURES;
    failure.weight = is_counted ? WEIGHT_ONE : 0;
    failure.own_weight = 0;
    key.window = WINDOW_LONG;
    counter = ledger_count(decider->ledger, &key, at_us, &failure,
                           jail->slow_find_seconds * SECOND_US);
    judge_slow(decider, number, counter, now_us);
}

static void failure_in_jail(struct decider *decider, uint16_t source, uint16_t number,
                            const struct wire_event *event, const struct measured *measured,
                            int64_t at_us, int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct prefix host = prefix_of(&event->address);
    struct prefix id = decider_id(decider, jail, &event->address, now_us);
    decider->jail_counts[number].failures++;
    origins_note(decider->origins, number, &event->address,
                 measured ? measured->account : account_of(wire_bytes(event->account)).user, at_us);
    if (!measured) {
        keep_evidence(decider, source, number, VERDICT_MEMORY, &id, at_us, event);
        return;
    }
    if (decider_is_exempt(decider, number, &host)) {
        keep_evidence(decider, source, number, VERDICT_EXEMPT, &id, at_us, event);
        exempt_count(decider, number, &id, &host, measured, at_us, now_us);
        return;
    }
    if (pardons_cover(decider->pardons, number, &id, event->at_us)) {
        keep_evidence(decider, source, number, VERDICT_PARDONED, &id, at_us, event);
        return;
    }
    struct ban *ban = bans_find(decider->bans, number, &id, now_us);
    if (ban) {
        failure_while_banned(decider, source, number, ban, at_us, event);
        return;
    }
    if (measured->attempts == 0) { /* counted before; but a connection's end names the protocol */
        struct ledger_key key = ledger_key_of(number, &id);
        struct counter *told = ledger_find(decider->ledger, &key);
        if (told)
            ledger_describe(decider->ledger, told, event->protocol);
        keep_evidence(decider, source, number, VERDICT_JOINED, &id, at_us, event);
    } else {
        count_failure(decider, source, number, &id, event, measured, at_us, now_us);
    }
}

static bool jail_reads(const struct decider *decider, uint32_t number, uint16_t source,
                       uint16_t filter) {
    const struct config_jail *jail = &decider->config->jails[number];
    return jail->is_enabled && jail->counts != COUNTS_RETURNS && jail->filter == filter &&
           (decider->jails_of_source[source] >> number & 1);
}

static int64_t clamp_time(int64_t at_us, int64_t now_us) {
    if (at_us < now_us - OLDEST_EVENT_US)
        return now_us - OLDEST_EVENT_US;
    return at_us > now_us + NEWEST_EVENT_US ? now_us + NEWEST_EVENT_US : at_us;
}

/* Tells of the first reason found; a login is one thing, however many jails look at it. */
static void suspect(struct decider *decider, uint16_t source, const struct wire_event *event,
                    int64_t at_us, int64_t now_us) {
    struct account account = account_of(wire_bytes(event->account));
    if (!decider->calls.on_suspicion ||
        known_has_account(decider->known, &event->address, &account, at_us))
        return;
    for (uint32_t j = 0; j < decider->config->jail_count; j++) {
        const struct config_jail *jail = &decider->config->jails[j];
        if (!jail->is_enabled)
            continue;
        struct suspicion suspicion = {.jail = (uint16_t)j, .at_us = at_us, .event = event};
        suspicion.id = decider_id(decider, jail, &event->address, now_us);
        struct ledger_key key = ledger_key_of((uint16_t)j, &suspicion.id);
        key.window = WINDOW_LONG;
        const struct counter *counter = jail_reads(decider, j, source, event->filter)
                                            ? ledger_find(decider->ledger, &key)
                                            : NULL;
        if (counter && at_us - counter->last_us > window_length(decider, &key))
            counter = NULL; /* run out, whether it was swept or not */
        suspicion.failures = counter ? counter->noted : 0;
        suspicion.is_banned = bans_find(decider->bans, (uint16_t)j, &suspicion.id, now_us) != NULL;
        /* Mistakes, not lines: five connections with one mistyped password are nothing to tell, nor
         * is what others forget who log in from there. */
        if (suspicion.is_banned || (counter && counter->failures >= SUSPICIOUS_FAILURES)) {
            decider->calls.on_suspicion(decider->context, &suspicion);
            return;
        }
    }
}

/* Where another database did not know the account, it weighed more: but only if the counter has
 * seen such a failure at all. */
static void take_back(struct decider *decider, uint16_t number, const struct prefix *id,
                      const struct measured *none, const struct address *address, int64_t at_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct ledger_key key = ledger_key_of(number, id);
    const struct counter *counter = ledger_find(decider->ledger, &key);
    struct measured measured = *none;
    if (!counter || jail->counts != COUNTS_FAILURES)
        return;
    measured.is_unknown = counter->unknown > 0;
    struct failure failure = weigh_in_jail(decider, jail, &measured, address, at_us);
    ledger_take_back(decider->ledger, number, id, &failure);
}

/* The protocol where the line tells it, else what the filter calls its service. */
static struct span service_of(const struct decider *decider, const struct wire_event *event) {
    return span_of(event->protocol ? protocol_words[event->protocol]
                                   : decider->config->filters[event->filter].service);
}

static void success(struct decider *decider, uint16_t source, const struct wire_event *event,
                    bool is_memory, int64_t now_us) {
    struct prefix id = prefix_of(&event->address);
    if (event->at_us < now_us - KNOWN_LIFE_US)
        return;
    int64_t at_us = event->at_us < now_us ? event->at_us : now_us;
    if (!is_memory)
        suspect(decider, source, event, at_us, now_us);
    struct measured none = weigh_login(decider, event, at_us);
    known_add(decider->known, &event->address, wire_bytes(event->account), at_us);
    uses_add(decider->uses, wire_bytes(event->account), service_of(decider, event),
             (enum secrecy)event->secrecy, at_us);
    if (event->by_key && decider->admins &&
        admins_has_name(decider->admins, wire_bytes(event->account)))
        decider_spare_login(decider, SPARED_KEY, &event->address, wire_bytes(event->account),
                            at_us, at_us + KEY_LOGIN_LIFE_US, now_us);
    for (uint32_t j = 0; j < decider->config->jail_count; j++) {
        if (!jail_reads(decider, j, source, event->filter))
            continue;
        struct prefix counted =
            decider_id(decider, &decider->config->jails[j], &event->address, now_us);
        if (none.attempts)
            take_back(decider, (uint16_t)j, &counted, &none, &event->address, at_us);
        decider->jail_counts[j].successes++;
        keep_evidence(decider, source, (uint16_t)j, VERDICT_SUCCESS, &id, at_us, event);
    }
}

/* It is no login, of which something is to be remembered. */
static bool is_selftests(const struct decider *decider, const struct wire_event *event) {
    int jail = decider->config->selftest_jail;
    return jail >= 0 && decider->config->jails[jail].filter == event->filter;
}

void decider_event(struct decider *decider, uint16_t source, const struct wire_event *event,
                   bool is_memory, int64_t now_us) {
    decider->now_us = now_us;
    if (!event->has_address || event->kind == EVENT_SKIPPED ||
        event->filter >= decider->config->filter_count)
        return;
    if (event->kind == EVENT_SUCCESS) {
        success(decider, source, event, is_memory, now_us);
        return;
    }
    if (event->kind == EVENT_DELIVERED) {
        if (event->at_us >= now_us - KNOWN_LIFE_US)
            known_add_delivery(decider->known, &event->address,
                               event->at_us < now_us ? event->at_us : now_us);
        return;
    }
    if (is_memory && event->at_us < now_us - MEMORY_FAILURES_US)
        return;
    int64_t at_us = clamp_time(event->at_us, now_us);
    if (at_us > decider->log_time_us)
        decider->log_time_us = at_us;
    struct measured measured = {0};
    if (!is_memory)
        measured = is_selftests(decider, event) ? (struct measured){.attempts = 1}
                                                : weigh_event(decider, event, at_us);
    for (uint32_t j = 0; j < decider->config->jail_count; j++)
        if (jail_reads(decider, j, source, event->filter))
            failure_in_jail(decider, source, (uint16_t)j, event, is_memory ? NULL : &measured,
                            at_us, now_us);
}

int64_t window_length(void *context, const struct ledger_key *key) {
    const struct decider *decider = context;
    const struct config_jail *jail = &decider->config->jails[key->jail];
    return (key->window == WINDOW_LONG ? jail->slow_find_seconds : jail->find_seconds) * SECOND_US;
}

void decider_sweep(struct decider *decider, int64_t now_us) {
    decider->now_us = now_us;
    exempt_sweep(decider, now_us);
    bans_sweep(decider->bans, now_us, NULL, NULL);
    projection_sweep(decider->projection, now_us);
    /* By log time: a log that is read late must find its own counts. */
    ledger_sweep(decider->ledger, decider->log_time_us, window_length, decider);
    joins_sweep(decider->joins, decider->log_time_us);
    bursts_sweep(decider->bursts, decider->log_time_us);
}

void decider_forget_old(struct decider *decider, int64_t now_us) {
    known_sweep(decider->known, now_us);
    uses_sweep(decider->uses, now_us);
}
