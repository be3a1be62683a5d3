/* What a person changes: ban, unban, pause, reload. For root only, and answered when it is durable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/answers.h"

#include <errno.h>
#include <stdio.h>

#include "base/duration.h"

bool desk_may_change(struct desk *desk, const struct question *question) {
    if (question->is_root)
        return true;
    control_end(desk->control, question->client, 1, "only root may %s", question->word);
    return false;
}

bool desk_read_prefix(struct desk *desk, const struct question *question,
                      struct prefix *ret_prefix) {
    const char *text = js_string(question->args, "address", "");
    if (prefix_parse(span_of(text), ret_prefix) >= 0)
        return true;
    char safe[80];
    safe_copy(safe, sizeof(safe), span_of(text));
    control_end(desk->control, question->client, 2,
                "'%s' is no address and no prefix (like 203.0.113.9 or 2001:db8::/64)", safe);
    return false;
}

void desk_word_ban(struct desk *desk, const struct question *question) {
    struct prefix prefix;
    struct why why = {0};
    char text[PREFIX_TEXT_MAX];
    char length[DURATION_TEXT_MAX];
    char not_now[WHY_NOT_MAX];
    if (!desk_may_change(desk, question) || !desk_read_prefix(desk, question, &prefix))
        return;
    int64_t seconds = js_number(question->args, "seconds", 3600);
    if (decider_ban_by_hand(desk->decider, &prefix, seconds,
                            span_of(js_string(question->args, "why", "")),
                            js_flag(question->args, "cut", false), clock_now_us(), &why) < 0) {
        control_end(desk->control, question->client, 1, "%s", why.text);
        return;
    }
    desk_pump_orders(desk);
    if (desk_why_not_effective(desk))
        desk_answer_when_kept(desk, question->client, 0,
                              "%s: noted, for %s; not enforced: %s",
                              prefix_format(&prefix, text), duration_format(seconds, length),
                              desk_describe_why_not(desk, not_now));
    else
        desk_answer_when_kept(desk, question->client, 0, "%s is banned from every port for %s",
                              prefix_format(&prefix, text), duration_format(seconds, length));
}

/* What still holds an address after a jail's ban was lifted. */
static void list_holding(const struct desk *desk, const struct prefix *prefix, struct text *text) {
    uint32_t place = 0;
    int64_t now_us = clock_now_us();
    for (const struct ban *ban; (ban = bans_next(desk->decider->bans, &place));)
        if (!ban_is_over(ban, now_us) && prefix_contains(&ban->key.id, prefix))
            text_add_format(text, "%s%s", text->length ? ", " : "",
                            decider_jail_name(desk->decider, ban->key.jail));
}

static uint32_t unban_everything(struct desk *desk, int jail, int64_t now_us) {
    struct prefix all_v6 = {0};
    struct prefix all_v4 = {.address.at = {[10] = 0xff, [11] = 0xff}};
    return desk_unban(desk, &all_v4, jail, now_us) + desk_unban(desk, &all_v6, jail, now_us);
}

void desk_word_unban(struct desk *desk, const struct question *question) {
    struct prefix prefix;
    if (!desk_may_change(desk, question))
        return;
    bool is_all = js_flag(question->args, "all", false);
    if (!is_all && !desk_read_prefix(desk, question, &prefix))
        return;
    const char *jail_name = js_string(question->args, "jail", NULL);
    int jail = jail_name ? decider_find_jail(desk->decider, span_of(jail_name)) : -1;
    if (jail_name && jail < 0) {
        struct why why = {0};
        (void)!config_find_jail(desk->config, span_of(jail_name), &why);
        control_end(desk->control, question->client, 2, "%s", why.text);
        return;
    }
    int64_t now_us = clock_now_us();
    if (is_all) {
        uint32_t lifted = unban_everything(desk, jail, now_us);
        desk_answer_when_kept(desk, question->client, 0, "%u bans lifted", lifted);
        return;
    }
    char text[PREFIX_TEXT_MAX];
    cleanup_text struct text holding = {0};
    if (js_flag(question->args, "false_positive", false)) {
        int lifted = desk_false_positive(desk, &prefix, now_us);
        prefix_format(&prefix, text);
        if (lifted < 0)
            control_end(desk->control, question->client, 1,
                        "%s is not banned, nor was it within 30 days: there is no ban to call "
                        "wrong, and nothing was changed (never to be banned: hauberk trust %s)",
                        text, text);
        else
            desk_answer_when_kept(desk, question->client, 0,
                                  "%s may come in again (%d lifted) and is trusted for 30 d",
                                  text, lifted);
        return;
    }
    uint32_t lifted = desk_unban(desk, &prefix, jail, now_us);
    list_holding(desk, &prefix, &holding);
    prefix_format(&prefix, text);
    if (holding.length)
        desk_answer_when_kept(desk, question->client, 0,
                              "%s: %u lifted, but it is still banned by %s", text, lifted,
                              holding.at);
    else if (lifted)
        desk_answer_when_kept(desk, question->client, 0, "%s may come in again (%u lifted)", text,
                              lifted);
    else
        desk_answer_when_kept(desk, question->client, 0,
                              "%s was not banned; its counts begin anew", text);
}

void desk_word_pause(struct desk *desk, const struct question *question) {
    if (!desk_may_change(desk, question))
        return;
    desk_pause(desk, js_number(question->args, "until_us", 0));
    desk_note(desk, "note", "", NULL, desk->paused_until_us,
              desk->paused_until_us ? "paused by hand" : "pause ended by hand");
    desk_answer_when_kept(desk, question->client, 0, "%s",
                          desk->paused_until_us ? "nothing is enforced until then"
                                                : "enforcing again");
}

void desk_word_reload(struct desk *desk, const struct question *question) {
    if (!desk_may_change(desk, question))
        return;
    if (desk->reload_client)
        control_end(desk->control, question->client, 1, "%s", "a reload is under way already");
    else {
        struct wire_nonce nonce = {question->client};
        desk->reload_client = question->client;
        (void)channel_send(desk->supervisor, SAY_RELOAD, &nonce, NULL, 0);
    }
}
