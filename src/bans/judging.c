/* From a count to a ban: which limit was reached, how long the ban is, which ports it closes, and
 * what it is a return of. See private.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/private.h"

#include "base/clock.h"

enum { OWN_BAN_SECONDS = 600 /* at most */ };

static void count_return_elsewhere(struct decider *decider, const struct prefix *id,
                                   int64_t now_us);

/* Doubled for each return, up to bantime.maxtime. */
int64_t judge_length(const struct config_jail *jail, enum ban_cause cause, uint32_t returns) {
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

uint32_t judge_returns(const struct decider *decider, uint16_t jail, const struct prefix *id,
                       int64_t now_us) {
    const struct past *past = bans_past(decider->bans, jail, id);
    return past && now_us - past->ended_us <= RETURN_US ? past->returns + 1 : 0;
}

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
    ban.returns = judge_returns(decider, number, &ban.key.id, now_us);
    int64_t seconds = judge_length(jail, cause, ban.returns);
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

bool judge(struct decider *decider, uint16_t number, const struct counter *counter,
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

void judge_slow(struct decider *decider, uint16_t number, const struct counter *counter,
                int64_t now_us) {
    const struct config_jail *jail = &decider->config->jails[number];
    if (is_slow_attack(jail, counter) &&
        now_us - counter->last_us <= jail->slow_find_seconds * SECOND_US &&
        !known_has_prefix(decider->known, &counter->key.id, now_us, NULL))
        make_ban(decider, number, counter, CAUSE_SLOW, now_us);
}

/* A ban that follows an earlier one of the same jail within 30 days is itself an event:
 * recidive. */
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
