/* `hauberk forget`: what is kept about the addresses of a prefix, or about an account, is deleted
 * from memory and from the store, and the answer comes when it is gone from both.
 *
 * A ban in force is not evidence but a decision: it stays until it ends or a person lifts it. An
 * address that was counted under its /64 takes that /64's counts with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

/* The next batch holds lines that are not stored yet. */
static bool is_about(const struct row_forgotten *who, const struct address *address,
                     const char *account) {
    return who->has_prefix ? prefix_holds(&who->prefix, address)
                           : strcmp(who->account, account) == 0;
}

static void forget_waiting(struct store_batch *batch, const struct row_forgotten *who) {
    size_t kept = 0;
    for (size_t i = 0; i < batch->evidence.count; i++)
        if (!is_about(who, &batch->evidence.at[i].address, batch->evidence.at[i].account))
            batch->evidence.at[kept++] = batch->evidence.at[i];
    batch->evidence.count = kept;
    kept = 0;
    for (size_t i = 0; i < batch->history.count; i++)
        if (!who->has_prefix || !prefix_holds(&who->prefix, &batch->history.at[i].id.address))
            batch->history.at[kept++] = batch->history.at[i];
    batch->history.count = kept;
}

static bool is_banned(const struct desk *desk, const struct prefix *prefix) {
    uint32_t place = 0;
    int64_t now_us = clock_now_us();
    for (const struct ban *ban; (ban = bans_next(desk->decider->bans, &place));)
        if (!ban_is_over(ban, now_us) && prefix_overlaps(&ban->key.id, prefix))
            return true;
    return false;
}

void desk_word_forget(struct desk *desk, const struct question *question) {
    if (!question->is_root) {
        control_end(desk->control, question->client, 1, "%s", "only root may forget");
        return;
    }
    struct span subject = span_of(js_string(question->args, "subject", ""));
    struct row_forgotten who = {0};
    who.has_prefix = prefix_parse(subject, &who.prefix) >= 0;
    safe_copy(who.account, sizeof(who.account), subject);
    if (who.account[0] == '\0') {
        control_end(desk->control, question->client, 2, "%s", "forget whom?");
        return;
    }
    if (who.has_prefix) {
        ledger_forget_prefix(desk->decider->ledger, &who.prefix, -1);
        known_forget_prefix(desk->decider->known, &who.prefix);
        bans_forget_past(desk->decider->bans, &who.prefix);
        notices_forget_prefix(desk->telling.notices, &who.prefix);
    } else {
        known_forget_account(desk->decider->known, subject);
        uses_forget_account(desk->decider->uses, subject);
        notices_forget_account(desk->telling.notices, who.account);
    }
    forget_waiting(desk->batch, &who);
    *rows_add(&desk->batch->forgotten) = who;
    desk_changed(desk);
    bool stays_out = who.has_prefix && is_banned(desk, &who.prefix);
    desk_answer_when_kept(desk, question->client, 0, "%s is forgotten%s%s", who.account,
                          stays_out ? ", but stays banned; to end that: hauberk unban " : "",
                          stays_out ? who.account : "");
}
