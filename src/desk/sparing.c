/* Sparing: what people trust and where administrators log in from, towards the enforcer, the store
 * and the command line; and the look at who is logged in.
 *
 * logind's sessions are read here and not by hauberkd or the enforcer: a host's name in them may be
 * a stranger's text, and the decider holds no right a parser could lose. A session spares for
 * SESSION_LIFE_US, renewed while it lasts, so that a connection that broke may come back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/duration.h"
#include "base/log.h"
#include "desk/desk.h"

#define SESSION_LIFE_US (10 * MINUTE_US)
#define SESSION_RENEWED_US (5 * MINUTE_US) /* when less than that is left */
#define LOGINS_EVERY_US MINUTE_US

/* ---- towards the enforcer ---- */

/* Its exemption first ends when it may have become shorter. */
static void tell_enforcer(struct desk *desk, const struct prefix *prefix, bool may_be_shorter) {
    struct wire_exemption said[2];
    uint32_t count = 0;
    int64_t until_us = spared_until(desk->decider->spared, prefix, clock_now_us());
    if (!desk->enforcer)
        return;
    if (may_be_shorter || until_us == 0)
        said[count++] = (struct wire_exemption){.prefix = *prefix, .until_us = 0};
    if (until_us != 0)
        said[count++] = (struct wire_exemption){.prefix = *prefix, .until_us = until_us};
    (void)channel_send(desk->enforcer, SAY_SPARE, NULL, said, count);
}

void desk_spare_all(struct desk *desk) {
    uint32_t place = 0;
    for (const struct spared *one; (one = spared_next(desk->decider->spared, &place));)
        tell_enforcer(desk, &one->key.prefix, false);
}

void desk_was_spared(void *context, const struct spared *entry, bool is_new, uint32_t lifted) {
    struct desk *desk = context;
    char text[SPARED_WHY_MAX + 80], address[PREFIX_TEXT_MAX];
    bool is_trust = entry->key.kind == SPARED_TRUSTED;
    tell_enforcer(desk, &entry->key.prefix, is_trust && !is_new);
    desk_changed(desk);
    snprintf(text, sizeof(text), "%s%s", entry->why,
             is_trust                        ? ""
             : entry->key.kind == SPARED_KEY ? " logged in by SSH with a key"
                                             : " is logged in by SSH");
    if (lifted) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, " (%u bans lifted)", lifted);
        log_notice("%s is spared: %s", prefix_format(&entry->key.prefix, address), text);
    }
    if (is_trust || lifted || (is_new && entry->key.kind == SPARED_KEY))
        desk_note(desk, is_trust ? "trust" : "spared", "", &entry->key.prefix, entry->until_us,
                  text);
    desk_pump_orders(desk);
}

void desk_sparing_is_over(void *context, const struct spared *entry) {
    struct desk *desk = context;
    char text[PREFIX_TEXT_MAX];
    desk_changed(desk);
    if (entry->key.kind == SPARED_SESSION)
        return;
    log_notice("%s is spared no longer: its time is over",
               prefix_format(&entry->key.prefix, text));
    desk_note(desk, "untrust", "", &entry->key.prefix, 0, "its time is over");
}

void desk_was_exempt(void *context, const struct exempt_case *one) {
    struct desk *desk = context;
    char address[PREFIX_TEXT_MAX];
    log_notice("%s is %s", prefix_format(&one->id, address), one->text);
    desk_note(desk, "spared", decider_jail_name(desk->decider, one->jail), &one->id, 0, one->text);
}

/* ---- what a person orders ---- */

int desk_trust(struct desk *desk, const struct prefix *prefix, int64_t until_us, struct span why,
               int64_t at_us, uint32_t *ret_lifted, struct why *reterr_why) {
    int error = decider_trust(desk->decider, prefix, until_us, why, at_us, reterr_why);
    if (error < 0)
        return error;
    *ret_lifted = desk_unban(desk, prefix, -1, at_us);
    return 0;
}

uint32_t desk_untrust(struct desk *desk, const struct prefix *prefix, int64_t at_us) {
    struct prefix ended[64];
    uint32_t count = 0;
    uint32_t place = 0;
    uint32_t all = 0;
    /* The enforcer is told of each by name; of more than fits here it is told in another round. */
    do {
        count = 0;
        place = 0;
        for (const struct spared *one;
             count < ELEMENTS_OF(ended) && (one = spared_next(desk->decider->spared, &place));)
            if (one->key.kind == SPARED_TRUSTED && one->since_us <= at_us &&
                prefix_contains(prefix, &one->key.prefix))
                ended[count++] = one->key.prefix;
        for (uint32_t i = 0; i < count; i++) {
            all += decider_untrust(desk->decider, &ended[i], at_us);
            tell_enforcer(desk, &ended[i], true);
            desk_note(desk, "untrust", "", &ended[i], 0, "by hand");
        }
    } while (count == ELEMENTS_OF(ended));
    desk_changed(desk);
    return all;
}

/* The ban that was wrong, so that whoever tunes a jail finds it; one that has ended stands in the
 * history with its reason. False: there was none of late. */
static bool describe_wrong(const struct desk *desk, const struct prefix *prefix, int64_t now_us,
                           char into[BAN_REASON_MAX]) {
    uint32_t place = 0;
    for (const struct ban *ban; (ban = bans_next(desk->decider->bans, &place));)
        if (!ban_is_over(ban, now_us) && prefix_overlaps(&ban->key.id, prefix)) {
            snprintf(into, BAN_REASON_MAX, "false positive: %.180s", ban->reason);
            return true;
        }
    const struct past *past = bans_last_past(desk->decider->bans, prefix);
    if (!past)
        return false;
    snprintf(into, BAN_REASON_MAX, "false positive: a ban of jail %.100s, which had ended",
             decider_jail_name(desk->decider, past->key.jail));
    return true;
}

int desk_false_positive(struct desk *desk, const struct prefix *prefix, int64_t at_us) {
    char text[BAN_REASON_MAX], address[PREFIX_TEXT_MAX];
    struct why why = {0};
    uint32_t lifted = 0;
    int64_t now_us = clock_now_us();
    bans_sweep(desk->decider->bans, now_us, NULL, NULL); /* what ended just now, or too long ago */
    if (!describe_wrong(desk, prefix, now_us, text))
        return -ENOENT;
    desk_note(desk, "note", "", prefix, 0, text);
    if (desk_trust(desk, prefix, at_us + 30 * DAY_US, SPAN("false positive"), at_us, &lifted,
                   &why) >= 0)
        return (int)lifted;
    log_error("%s cannot be trusted: %s", prefix_format(prefix, address), why.text);
    return (int)desk_unban(desk, prefix, -1, at_us);
}

void desk_word_trust(struct desk *desk, const struct question *question) {
    struct prefix prefix;
    struct why why = {0};
    char text[PREFIX_TEXT_MAX], length[DURATION_TEXT_MAX];
    uint32_t lifted = 0;
    if (!desk_may_change(desk, question) || !desk_read_prefix(desk, question, &prefix))
        return;
    int64_t now_us = clock_now_us();
    int64_t seconds = js_number(question->args, "seconds", 30 * DAY_US / SECOND_US);
    if (desk_trust(desk, &prefix, seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US,
                   span_of(js_string(question->args, "why", "")), now_us, &lifted, &why) < 0) {
        control_end(desk->control, question->client, 1, "%s: %s", prefix_format(&prefix, text),
                    why.text);
        return;
    }
    prefix_format(&prefix, text);
    duration_format(seconds, length);
    if (lifted)
        desk_answer_when_kept(desk, question->client, 0, "%s is trusted%s%s (%u bans lifted)", text,
                              seconds < 0 ? "" : " for ", seconds < 0 ? "" : length, lifted);
    else
        desk_answer_when_kept(desk, question->client, 0, "%s is trusted%s%s", text,
                              seconds < 0 ? "" : " for ", seconds < 0 ? "" : length);
}

void desk_word_untrust(struct desk *desk, const struct question *question) {
    struct prefix prefix;
    char text[PREFIX_TEXT_MAX], why[EXEMPT_TEXT_MAX];
    if (!desk_may_change(desk, question) || !desk_read_prefix(desk, question, &prefix))
        return;
    uint32_t ended = desk_untrust(desk, &prefix, clock_now_us());
    const char *still = decider_why_exempt(desk->decider, JAIL_BY_HAND, &prefix, why);
    prefix_format(&prefix, text);
    if (still)
        desk_answer_when_kept(desk, question->client, ended ? 0 : 1,
                              "%s: %u ended, but it is, holds or lies in what is never banned: %s",
                              text, ended, still);
    else
        desk_answer_when_kept(desk, question->client, ended ? 0 : 1, "%s %s", text,
                              ended ? "is trusted no longer" : "was not trusted");
}

js *desk_spared_row(const struct desk *desk, const struct spared *entry) {
    static const char *const kinds[SPARED_KINDS] = {
        [SPARED_TRUSTED] = "trusted", [SPARED_KEY] = "ssh-key", [SPARED_SESSION] = "ssh-session"};
    char text[PREFIX_TEXT_MAX], why[EXEMPT_TEXT_MAX];
    js *row = js_object();
    js_set_string(row, "address", address_format(&entry->key.prefix.address, text));
    js_set_number(row, "prefix", entry->key.prefix.length);
    js_set_string(row, "kind", kinds[entry->key.kind]);
    js_set_time(row, "since", entry->since_us);
    js_set_time(row, "until", entry->until_us > 0 ? entry->until_us : 0);
    js_set_string(row, "why", entry->why);
    js_set_string(row, "reason",
                  decider_why_exempt(desk->decider, JAIL_BY_HAND, &entry->key.prefix, why));
    return row;
}

void desk_word_trusted(struct desk *desk, const struct question *question) {
    uint32_t place = 0;
    int64_t now_us = clock_now_us();
    for (const struct spared *one; (one = spared_next(desk->decider->spared, &place));)
        if (!spared_is_over(one, now_us))
            control_row(desk->control, question->client, desk_spared_row(desk, one));
    control_end(desk->control, question->client, 0, "%s", "");
}

/* ---- who is logged in ---- */

static void take_login(void *context, uid_t uid, const struct address *from) {
    struct desk *desk = context;
    const char *name = admins_name_of(desk->decider->admins, uid);
    struct spared_key key = {prefix_of(from), SPARED_SESSION};
    const struct spared *before = spared_find(desk->decider->spared, &key);
    int64_t now_us = clock_now_us();
    if (!name || (before && before->until_us > now_us + SESSION_RENEWED_US))
        return;
    decider_spare_login(desk->decider, SPARED_SESSION, from, span_of(name), now_us,
                        now_us + SESSION_LIFE_US, now_us);
}

/* Not before the store is loaded: a login lifts bans, which must be there to be lifted. */
void desk_look_at_logins(struct desk *desk) {
    if (desk->is_loading)
        return;
    desk->logins_seen_us = clock_monotonic_us();
    if (desk->logins && desk->decider->admins)
        logins_each(take_login, desk);
}

/* A session's time is ours to give, so it does not last longer for it, nor end; what was told until
 * when it holds does so by the new clock. The enforcer may have let go what seemed over. */
void desk_spare_by_new_clock(struct desk *desk, int64_t now_us) {
    uint32_t place = 0;
    for (struct spared *one; (one = spared_next(desk->decider->spared, &place));)
        if (one->key.kind == SPARED_SESSION && one->until_us > now_us + SESSION_LIFE_US)
            one->until_us = now_us + SESSION_LIFE_US;
    desk_look_at_logins(desk);
    place = 0;
    for (const struct spared *one; (one = spared_next(desk->decider->spared, &place));)
        tell_enforcer(desk, &one->key.prefix, true);
}

void desk_sweep_logins(struct desk *desk) {
    if (clock_monotonic_us() - desk->logins_seen_us >= LOGINS_EVERY_US)
        desk_look_at_logins(desk);
}

static int logins_changed(void *context, int fd, uint32_t events) {
    (void)fd;
    (void)events;
    struct desk *desk = context;
    logins_seen(desk->logins);
    desk_look_at_logins(desk);
    return 0;
}

void desk_watch_logins(struct desk *desk) {
    if (!desk->logins)
        return;
    (void)loop_add_fd(desk->loop, logins_fd(desk->logins), EPOLLIN, logins_changed, desk);
}
