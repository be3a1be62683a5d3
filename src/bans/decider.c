/* The decision: see decider.h, and DESIGN 3 "Count" and "Decide".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/decider.h"

#include <errno.h>

#include "bans/reason.h"
#include "bans/weighing.h"
#include "base/clock.h"
#include "base/duration.h"
#include "config/exempt.h"
#include "ledger/account.h"

enum {
    KNOWN_MOST = 200000,
    JOINS_MOST = 50000,
    BURSTS_MOST = 50000,
    DROPS_MOST = 65536, /* elements of ended bans that are still to leave the kernel */
    KEPT_AFTER_BAN = 5,
    KEPT_EXTRA = 5,
    SUSPICIOUS_FAILURES = 5,
    OWN_BAN_SECONDS = 600 /* at most */
};
#define OLDEST_EVENT_US (7 * DAY_US)
#define NEWEST_EVENT_US (60 * SECOND_US)
#define MEMORY_FAILURES_US DAY_US
#define KEY_LOGIN_LIFE_US (30 * DAY_US)
enum { EXEMPT_COUNTED_MOST = 4096 };

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
    decider->joins = joins_new(JOINS_MOST);
    decider->bursts = bursts_new(BURSTS_MOST, longest_of_accounts_us(config));
    decider->projection = projection_new(config->bans_most + config->bans_most / 8 + DROPS_MOST);
    decider->bans = bans_new(config->bans_most, (uint16_t)config->jail_count,
                             decider->projection);
    decider->spared = spared_new();
    decider->exempt_ledger = ledger_new(EXEMPT_COUNTED_MOST);
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
    ledger_free(decider->ledger);
    spared_free(decider->spared);
    ledger_free(decider->exempt_ledger);
    origins_free(decider->origins);
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

void decider_name_source(struct decider *decider, uint16_t source, uint64_t jails) {
    decider->jails_of_source[source] = jails;
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

/* Doubled for each return, up to bantime.maxtime. */
static int64_t ban_length(const struct config_jail *jail, enum ban_cause cause, uint32_t returns) {
    int64_t seconds = cause == CAUSE_SLOW ? jail->slow_ban_seconds : jail->ban_seconds;
    int64_t most = jail->ban_most_seconds;
    if (cause == CAUSE_OWN_LIMIT)
        return seconds < 0 || seconds > OWN_BAN_SECONDS ? OWN_BAN_SECONDS : seconds;
    if (seconds < 0 || !jail->ban_grows || seconds >= most)
        return seconds;
    for (uint32_t i = 0; i < returns && seconds < most; i++)
        seconds *= 2;
    return seconds > most ? most : seconds;
}

static uint32_t count_returns(const struct decider *decider, uint16_t jail,
                              const struct prefix *id, int64_t now_us) {
    const struct past *past = bans_past(decider->bans, jail, id);
    return past && now_us - past->ended_us <= RETURN_US ? past->returns + 1 : 0;
}

static void count_return_elsewhere(struct decider *decider, const struct prefix *id,
                                   int64_t now_us);

/* Postfix's bans leave port 25 open for a host whose mail was accepted: a wrong password there does
 * not make its newsletters unwelcome. */
static uint16_t choose_scope(const struct decider *decider, const struct config_jail *jail,
                             const struct prefix *id, int64_t now_us) {
    return known_delivers(decider->known, id, now_us) ? jail->mail_scope_if_delivered
                                                      : jail->scope;
}

/* The selftest's: an element of a shadow, and no ban of the book. It is nobody's past. */
static void make_shadow(struct decider *decider, const struct decision *decision) {
    const struct ban *ban = decision->ban;
    ledger_forget(decider->ledger, ban->key.jail, &ban->key.id);
    if (projection_want(decider->projection, ban->scope, &ban->key.id, ban->until_us, false) &&
        decider->calls.on_ban)
        decider->calls.on_ban(decider->context, decision);
}

/* Three accounts or more, or mostly such that do not exist. */
static bool tries_many(const struct counter *counter) {
    return counter_accounts(counter) >= COUNTER_ACCOUNTS ||
           (counter->unknown > 0 && counter->unknown * 2 >= counter->failures);
}

static void make_ban(struct decider *decider, uint16_t number, const struct counter *counter,
                     enum ban_cause cause, int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct ban ban = {.key = ledger_key_of(number, &counter->key.id), .since_us = now_us,
                      .failures = counter->failures};
    struct decision decision = {.first_us = counter->began_us, .newest_us = counter->last_us,
                                .is_own = cause == CAUSE_OWN_LIMIT};
    ban.scope = choose_scope(decider, jail, &ban.key.id, now_us);
    if (number == decider->config->selftest_jail) {
        ban.until_us = now_us + jail->ban_seconds * SECOND_US;
        decision.ban = &ban;
        make_shadow(decider, &decision);
        return;
    }
    bans_settle(decider->bans, number, &ban.key.id, now_us);
    ban.returns = count_returns(decider, number, &ban.key.id, now_us);
    int64_t seconds = ban_length(jail, cause, ban.returns);
    ban.until_us = seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US;
    reason_describe(decider->config, jail, counter, cause, ban.reason);
    decision.cuts = !known_has_prefix(decider->known, &ban.key.id, now_us, NULL);
    decision.is_return = ban.returns > 0;
    decision.tries_many = tries_many(counter);
    decision.ban = bans_add(decider->bans, &ban, decision.cuts);
    ledger_forget(decider->ledger, number, &ban.key.id);
    if (!decision.ban)
        return;
    decider->jail_counts[number].bans++;
    if (decider->calls.on_ban)
        decider->calls.on_ban(decider->context, &decision);
    if (ban.returns > 0 && jail->counts != COUNTS_RETURNS && !decision.is_own)
        count_return_elsewhere(decider, &ban.key.id, now_us);
}

/* True: there is a ban, and the counter is gone. */
static bool judge(struct decider *decider, uint16_t number, const struct counter *counter,
                  int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    int64_t limit = jail->max_retry * WEIGHT_ONE;
    bool is_over = counter->weight >= limit;
    bool is_own_over = counter->own_weight >= limit * OWN_FACTOR;
    if ((!is_over && !is_own_over) || now_us - counter->last_us > jail->find_seconds * SECOND_US)
        return false;
    make_ban(decider, number, counter, is_over ? CAUSE_LIMIT : CAUSE_OWN_LIMIT, now_us);
    return true;
}

/* Who tries slowly, to stay below every limit, tries many accounts, or guesses their names. */
static bool is_slow_attack(const struct config_jail *jail, const struct counter *counter) {
    return jail->slow_max_retry > 0 && counter->weight >= jail->slow_max_retry * WEIGHT_ONE &&
           tries_many(counter);
}

static void judge_slow(struct decider *decider, uint16_t number, const struct counter *counter,
                       int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    if (is_slow_attack(jail, counter) &&
        now_us - counter->last_us <= jail->slow_find_seconds * SECOND_US &&
        !known_has_prefix(decider->known, &counter->key.id, now_us, NULL))
        make_ban(decider, number, counter, CAUSE_SLOW, now_us);
}

/* A ban that follows an earlier one of the same jail within 30 days is itself an event: recidive. */
static void count_return_elsewhere(struct decider *decider, const struct prefix *id,
                                   int64_t now_us) {
    for (uint32_t j = 0; j < decider->config->jail_count; j++) {
        const struct config_jail *jail = &decider->config->jails[j];
        if (!jail->is_enabled || jail->counts != COUNTS_RETURNS ||
            bans_find(decider->bans, (uint16_t)j, id, now_us) ||
            decider_is_exempt(decider, (uint16_t)j, id))
            continue;
        struct ledger_key key = ledger_key_of((uint16_t)j, id);
        static const struct failure one = {.weight = WEIGHT_ONE, .attempts = 1};
        const struct counter *counter =
            ledger_count(decider->ledger, &key, now_us, &one, jail->find_seconds * SECOND_US);
        (void)judge(decider, (uint16_t)j, counter, now_us);
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

static bool is_pardoned(const struct decider *decider, uint16_t jail, const struct prefix *id,
                        int64_t at_us);

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
 * neighbours' failures are not his. All of them together have the limit of an office behind one IPv4
 * address: else one login would let the whole network guess from an address each. */
static void count_network(struct decider *decider, uint16_t number, const struct prefix *id,
                          const struct wire_event *event, struct failure failure, int64_t at_us,
                          int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    if (address_is_v4(&event->address))
        return;
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
    count_network(decider, number, id, event, failure, at_us, now_us);
    counter = ledger_find(decider->ledger, &key); /* another record may have taken its room */
    if (!counter)
        return;
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

/* ---- who is exempt, and fails nevertheless ---- */

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
        ban_length(jail, CAUSE_LIMIT, count_returns(decider, number, &id, now_us));
    const char *what = decider_why_exempt(decider, number, host, why);
    snprintf(text, sizeof(text), "spared, as it is %s; %s would be a ban of %s",
             what ? what : "exempt", reason, duration_format(seconds, length));
    struct exempt_case one = {number, id, counter->last_us, text};
    if (decider->calls.on_exempt)
        decider->calls.on_exempt(decider->context, &one);
}

static void count_exempt(struct decider *decider, uint16_t number, const struct prefix *id,
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

static uint32_t lift(struct decider *decider, const struct prefix *prefix, int64_t now_us) {
    uint32_t place = 0;
    uint32_t lifted = 0;
    for (struct ban *ban; (ban = bans_next(decider->bans, &place));) {
        if (ban_is_over(ban, now_us) || !prefix_overlaps(&ban->key.id, prefix))
            continue;
        ledger_forget(decider->ledger, ban->key.jail, &ban->key.id);
        bans_end(decider->bans, ban, now_us);
        lifted++;
    }
    return lifted;
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
    uint32_t lifted = is_new ? lift(decider, &entry.key.prefix, now_us) : 0;
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

static void failure_in_jail(struct decider *decider, uint16_t source, uint16_t number,
                            const struct wire_event *event, const struct measured *measured,
                            int64_t at_us, int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    struct prefix host = prefix_of(&event->address);
    struct prefix id = decider_id(decider, jail, &event->address, now_us);
    decider->jail_counts[number].failures++;
    origins_note(decider->origins, number, &event->address,
                 account_of(wire_bytes(event->account)).user, at_us);
    if (!measured) {
        keep_evidence(decider, source, number, VERDICT_MEMORY, &id, at_us, event);
        return;
    }
    if (decider_is_exempt(decider, number, &host)) {
        keep_evidence(decider, source, number, VERDICT_EXEMPT, &id, at_us, event);
        count_exempt(decider, number, &id, &host, measured, at_us, now_us);
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
    if (measured->attempts == 0) { /* counted before; but the end of a connection names the protocol */
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
        const struct counter *counter =
            jail_reads(decider, j, source, event->filter) ? ledger_find(decider->ledger, &key) : NULL;
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
    if (!event->has_address || event->kind == EVENT_SKIPPED || event->filter >= decider->config->filter_count)
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

/* ---- a person's will ---- */

int decider_ban_by_hand(struct decider *decider, const struct prefix *prefix, int64_t seconds,
                        struct span why, bool cut, int64_t now_us, struct why *reterr_why) {
    char text[PREFIX_TEXT_MAX];
    bool is_v4 = prefix_is_v4(prefix);
    prefix_format(prefix, text);
    if (decider_is_exempt(decider, JAIL_BY_HAND, prefix))
        return why_set(reterr_why, -EPERM, NULL, 0,
                       "%s is or holds an address that is never banned (this machine's own, its "
                       "gateway, its resolver, or one of `admin` or `ignoreip`); see `hauberk config`",
                       text);
    if (prefix->length < (is_v4 ? 8 : 19))
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "%s is too wide: at most a /%d can be banned at once", text,
                       is_v4 ? 8 : 19);
    if (!is_v4 && prefix->length > 64 && prefix->length < 128)
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "%s: of IPv6, single addresses and networks up to /64 can be banned", text);
    if (!projection_takes_net(decider->projection, SCOPE_ALL, prefix))
        return why_set(reterr_why, -ENOSPC, NULL, 0,
                       "%s cannot be banned: %d networks that are neither single addresses nor "
                       "IPv6 /64s are banned already, and no more can be; lift some of them, or "
                       "ban one network around several",
                       text, NETS_MAX);
    struct ban ban = {.key = ledger_key_of(JAIL_BY_HAND, prefix), .scope = SCOPE_ALL,
                      .since_us = now_us,
                      .until_us = seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US};
    safe_copy(ban.reason, sizeof(ban.reason), why.length ? why : SPAN("banned by hand"));
    bool cuts = cut || !known_has_prefix(decider->known, prefix, now_us, NULL);
    struct ban *made = bans_add(decider->bans, &ban, cuts);
    if (!made)
        return why_set(reterr_why, -ENOSPC, NULL, 0,
                       "the book of bans is full (%u), and all of them were made by hand or for "
                       "ever; raise bans-most in hauberk.conf",
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

static int64_t find_time(void *context, const struct ledger_key *key) {
    const struct decider *decider = context;
    const struct config_jail *jail = &decider->config->jails[key->jail];
    return (key->window == WINDOW_LONG ? jail->slow_find_seconds : jail->find_seconds) * SECOND_US;
}

/* The exempt ones' counts are not stored. */
static void sweep_exempt(struct decider *decider) {
    struct ledger_key key;
    ledger_sweep(decider->exempt_ledger, decider->log_time_us, find_time, decider);
    while (ledger_take_dirty(decider->exempt_ledger, &key))
        ;
}

static void sweep_spared(struct decider *decider, int64_t now_us) {
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

void decider_sweep(struct decider *decider, int64_t now_us) {
    decider->now_us = now_us;
    sweep_exempt(decider);
    sweep_spared(decider, now_us);
    bans_sweep(decider->bans, now_us, NULL, NULL);
    projection_sweep(decider->projection, now_us);
    /* By log time: a log that is read late must find its own counts. */
    ledger_sweep(decider->ledger, decider->log_time_us, find_time, decider);
    joins_sweep(decider->joins, decider->log_time_us);
    bursts_sweep(decider->bursts, decider->log_time_us);
}
