/* Questions of the command line, answered: who is banned, what happens now, and the table of words.
 * The larger words have files of their own (answers.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/answers.h"

enum { BANS_PER_TURN = 500 };

static void set_address(js *row, const struct prefix *prefix) {
    char text[PREFIX_TEXT_MAX];
    js_set_string(row, "address", address_format(&prefix->address, text));
    js_set_number(row, "prefix", prefix->length);
}

js *desk_ban_row(const struct desk *desk, const struct ban *ban) {
    js *row = js_object();
    js_set_string(row, "jail", decider_jail_name(desk->decider, ban->key.jail));
    set_address(row, &ban->key.id);
    char ports[160];
    js_set_string(row, "scope", desk->config->scopes[ban->scope].name);
    js_set_string(row, "ports",
                  scope_describe(&desk->config->scopes[ban->scope], ports, sizeof(ports)));
    js_set_time(row, "since", ban->since_us);
    js_set_time(row, "until", ban->until_us > 0 ? ban->until_us : 0);
    js_set_string(row, "reason", ban->reason);
    js_set_flag(row, "wanted", !desk->decider->observes);
    js_set_flag(row, "enforced",
                desk_enforces(desk) && projection_enforces(desk->decider->projection, ban->scope,
                                                           &ban->key.id, ban->until_us));
    js_set_number(row, "failures", ban->failures);
    js_set_number(row, "returns", ban->returns);
    js_set_number(row, "after_ban", ban->after_ban);
    return row;
}

static void more_bans(void *context, uint64_t client, uint32_t *cursor) {
    struct desk *desk = context;
    int64_t now_us = clock_now_us();
    for (int i = 0; i < BANS_PER_TURN && control_is_clear(desk->control, client); i++) {
        struct ban *ban = bans_next(desk->decider->bans, cursor);
        if (!ban) {
            control_end(desk->control, client, 0, "%s", "");
            return;
        }
        if (!ban_is_over(ban, now_us))
            control_row(desk->control, client, desk_ban_row(desk, ban));
    }
}

static void word_bans(struct desk *desk, const struct question *question) {
    control_stream(desk->control, question->client, more_bans, desk);
}

static void word_watch(struct desk *desk, const struct question *question) {
    control_watch(desk->control, question->client);
}

void desk_tell_watchers(struct desk *desk, const char *kind, js *row) {
    js *told = js_object();
    js_set(told, kind, row);
    control_tell(desk->control, told);
}

/* ---- the table ---- */

/* `while_loading`: can be answered before all that was stored is known. */
static const struct {
    const char *word;
    void (*answer)(struct desk *desk, const struct question *question);
    bool while_loading;
} words[] = {
    {"status", desk_word_status, true},   {"bans", word_bans, false},
    {"ban", desk_word_ban, false},        {"unban", desk_word_unban, false},
    {"pause", desk_word_pause, true},     {"reload", desk_word_reload, true},
    {"watch", word_watch, true},          {"why", desk_word_why, false},
    {"forget", desk_word_forget, false},  {"trust", desk_word_trust, false},
    {"first", desk_word_first, false},    {"selftest", desk_word_selftest, false},
    {"untrust", desk_word_untrust, false}, {"trusted", desk_word_trusted, false},
    {"notify", desk_word_notify, false},   {"logins", desk_word_logins, false},
};

enum { DEFERRED_MAX = 64 };

struct deferred {
    struct deferred *next;
    struct question question;
    char word[16];
    js *args;
};

static void defer(struct desk *desk, const struct question *question) {
    uint32_t count = 0;
    for (const struct deferred *one = desk->deferred; one; one = one->next)
        count++;
    if (count >= DEFERRED_MAX) {
        control_end(desk->control, question->client, 1,
                    "hauberkd is loading its stored bans and too many questions wait for that; ask "
                    "again in some seconds");
        return;
    }
    struct deferred *deferred = calloc(1, sizeof(*deferred));
    must(deferred);
    deferred->question = *question;
    snprintf(deferred->word, sizeof(deferred->word), "%s", question->word);
    deferred->args = question->args ? js_copy(question->args) : NULL;
    deferred->question.word = deferred->word;
    deferred->question.args = deferred->args;
    deferred->next = desk->deferred;
    desk->deferred = deferred;
}

void desk_answer_deferred(struct desk *desk) {
    struct deferred *in_order = NULL;
    while (desk->deferred) {
        struct deferred *one = desk->deferred;
        desk->deferred = one->next;
        one->next = in_order;
        in_order = one;
    }
    while (in_order) {
        struct deferred *one = in_order;
        in_order = one->next;
        desk_answer_question(desk, &one->question);
        js_free(one->args);
        free(one);
    }
}

void desk_drop_deferred(struct desk *desk) {
    while (desk->deferred) {
        struct deferred *one = desk->deferred;
        desk->deferred = one->next;
        js_free(one->args);
        free(one);
    }
}

void desk_answer_question(void *context, const struct question *question) {
    struct desk *desk = context;
    for (size_t i = 0; i < ELEMENTS_OF(words); i++)
        if (strcmp(words[i].word, question->word) == 0) {
            if (desk->is_loading && !words[i].while_loading)
                defer(desk, question);
            else
                words[i].answer(desk, question);
            return;
        }
    char safe[80];
    safe_copy(safe, sizeof(safe), span_of(question->word));
    control_end(desk->control, question->client, 2, "hauberkd does not know the word '%s'", safe);
}
