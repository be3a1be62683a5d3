/* Weighing: see weighing.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/weighing.h"

#include "base/clock.h"
#include "ledger/account.h"

/* What it says of a login. */
static struct join_line join_line_of(const struct decider *decider, const struct wire_event *event,
                                     int64_t at_us) {
    return (struct join_line){.service = span_of(decider->config->filters[event->filter].service),
                              .session = wire_bytes(event->session),
                              .account = wire_bytes(event->account),
                              .address = event->address,
                              .database = event->database,
                              .attempts = event->attempts,
                              .at_us = at_us};
}

struct measured weigh_event(struct decider *decider, const struct wire_event *event,
                            int64_t at_us) {
    struct join_line line = join_line_of(decider, event, at_us);
    struct account account = account_of(line.account);
    struct measured measured = {
        .attempts = joins_weigh(decider->joins, &line),
        .account = account.user,
        .protocol = event->protocol,
        .is_unknown = event->no_such_account,
        .is_own = known_has_account(decider->known, &event->address, &account, at_us)};
    if (measured.attempts > 1 && measured.is_own)
        measured.attempts = 1;
    /* Without auth_verbose a connection is told at its end: Thunderbird's five are five lines of
     * one attempt each. A line that sums up several has nothing to fold. */
    if (measured.attempts > 0 && event->attempts <= 1)
        measured.is_folded = bursts_fold(decider->bursts, line.service, &event->address,
                                         measured.account, at_us);
    return measured;
}

struct measured weigh_login(struct decider *decider, const struct wire_event *event,
                            int64_t at_us) {
    struct join_line line = join_line_of(decider, event, at_us);
    struct account account = account_of(line.account);
    return (struct measured){
        .attempts = joins_take_back(decider->joins, &line),
        .account = account.user,
        .is_folded = bursts_did_fold(decider->bursts, line.service, &event->address,
                                     account.user),
        .is_own = known_has_account(decider->known, &event->address, &account, at_us)};
}

static struct failure weigh_account(struct decider *decider, const struct config_jail *jail,
                                    const struct measured *measured,
                                    const struct address *address, int64_t at_us) {
    struct failure failure = {.attempts = 1,
                              .account = measured->account,
                              .protocol = measured->protocol,
                              .is_unknown = measured->is_unknown};
    struct prefix host = prefix_of(address);
    if (!bursts_is_first(decider->bursts, span_of(jail->name), address, measured->account, at_us,
                         jail->find_seconds * SECOND_US))
        return failure;
    bool is_own = jail->is_humane && known_delivers(decider->known, &host, at_us);
    *(is_own ? &failure.own_weight : &failure.weight) = WEIGHT_ONE;
    return failure;
}

struct failure weigh_in_jail(struct decider *decider, const struct config_jail *jail,
                             const struct measured *measured, const struct address *address,
                             int64_t at_us) {
    if (jail->counts == COUNTS_ACCOUNTS)
        return weigh_account(decider, jail, measured, address, at_us);
    struct failure failure = {.attempts = measured->attempts,
                              .account = measured->account,
                              .protocol = measured->protocol,
                              .is_unknown = measured->is_unknown};
    if (!jail->is_humane)
        failure.weight = measured->attempts * WEIGHT_ONE;
    else if (measured->is_folded)
        return failure;
    else if (measured->is_own)
        failure.own_weight = measured->attempts * WEIGHT_ONE;
    else
        failure.weight =
            measured->attempts * (measured->is_unknown ? (uint32_t)UNKNOWN_WEIGHT : WEIGHT_ONE);
    return failure;
}
