/* Does hauberk only observe? `observe = auto` is decided once, at the first start: two programs
 * that both ban hide each other's mistakes, so beside another one hauberk only looks on. What was
 * decided is stored and holds until the configuration says yes or no: neither a bouncer that is
 * tried for a minute nor one that was stopped for an upgrade turns the guard off or on behind the
 * owner's back. An explicit `no` settles the question for good, also when it is taken out again.
 *
 * The decision is known before any ban goes to the kernel (facts are loaded first), and before it
 * is nothing is put there, nor lifted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"
#include "desk/desk.h"

static const char fact_name[] = "observes-for"; /* the bouncers' bits in decimal; 0: it does not */

void desk_begin_observing(struct desk *desk, bool is_told_to) {
    enum config_observe wanted = desk->config->observe;
    desk->decider->observes = is_told_to || wanted == OBSERVE_YES;
    desk->observing_is_open = !is_told_to && wanted == OBSERVE_AUTO;
}

static bool is_automatic(const struct desk *desk) {
    return desk->config->observe == OBSERVE_AUTO && desk->decider->observes &&
           desk->observes_for != 0;
}

static void name_bouncers(uint32_t bits, struct text *text) {
    for (uint32_t i = 0; i < BOUNCERS; i++)
        if (bits >> i & 1)
            text_add_format(text, "%s%s", text_span(text).length ? " and " : "", bouncer_names[i]);
}

static void tell(struct desk *desk, const char *format, uint32_t bouncers) {
    cleanup_text struct text names = {0};
    char said[BAN_REASON_MAX];
    name_bouncers(bouncers, &names);
    snprintf(said, sizeof(said), format, SPAN_FORMAT(text_span(&names)));
    log_warning("%s", said);
    desk_note(desk, "note", "", NULL, 0, said);
}

static void settle(struct desk *desk, uint32_t for_whom) {
    desk->observing_is_open = false;
    desk->observes_for = for_whom;
    desk->decider->observes = for_whom != 0;
    if (desk->enforcer_is_there)
        desk_begin_enforcing(desk);
}

static void keep_decision(struct desk *desk, uint32_t for_whom) {
    char number[16];
    snprintf(number, sizeof(number), "%u", for_whom);
    desk_keep_fact(desk, fact_name, span_of(number));
}

bool desk_restore_observing(struct desk *desk, const char *name, const char *value) {
    int64_t for_whom = 0;
    if (strcmp(name, fact_name) != 0)
        return false;
    if (span_to_integer(span_of(value), 0, (1 << BOUNCERS) - 1, &for_whom) < 0)
        return true;
    desk->observing_is_stored = true;
    desk->observes_for = (uint32_t)for_whom;
    if (desk->observing_is_open)
        settle(desk, (uint32_t)for_whom);
    return true;
}

void desk_decide_observing(struct desk *desk) {
    if (desk->is_loading)
        return;
    if (desk->config->observe == OBSERVE_NO &&
        (!desk->observing_is_stored || desk->observes_for != 0)) {
        desk->observing_is_stored = true;
        desk->observes_for = 0;
        keep_decision(desk, 0);
    }
    if (!desk->observing_is_open || !desk->bouncers_are_known)
        return;
    if (desk->bouncers)
        tell(desk, "%.*s bans here, too: from this first start on hauberk only observes. "
                   "`observe = no` under [hauberk] in hauberk.conf ends that", desk->bouncers);
    desk->observing_is_stored = true;
    keep_decision(desk, desk->bouncers);
    settle(desk, desk->bouncers);
    desk_check_ready(desk);
}

void desk_take_bouncers(struct desk *desk, uint32_t running) {
    uint32_t before = desk->bouncers;
    bool were_known = desk->bouncers_are_known;
    desk->bouncers = running;
    desk->bouncers_are_known = true;
    desk_decide_observing(desk);
    if (were_known && before && !running && is_automatic(desk))
        tell(desk, "%.*s bans here no longer; hauberk still only observes. `observe = no` under "
                   "[hauberk] in hauberk.conf, and `hauberk reload`, have it ban", before);
    if (running & ~before && !desk->decider->observes && !desk->observing_is_open &&
        desk->config->observe == OBSERVE_AUTO)
        log_notice("another program bans here, too; hauberk goes on enforcing");
}

const char *desk_why_observing(const struct desk *desk) {
    if (!is_automatic(desk))
        return "observing: bans nobody, as configured";
    if (desk->bouncers)
        return "observing, because another program bans here; observe = no ends that";
    return "observing, because another program banned here at the first start. It is gone: write "
           "observe = no under [hauberk] in hauberk.conf, then `hauberk reload`";
}
