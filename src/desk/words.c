/* Questions of the command line, answered: who is banned, what happens now, and the table of words.
 * The larger words have files of their own (answers.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/answers.h"

static void set_address(js *row, const struct prefix *prefix) {
    char text[PREFIX_TEXT_MAX];
    js_set_string(row, "address", address_format(&prefix->address, text));
    js_set_number(row, "prefix", prefix->length);
}

js *desk_ban_row(const struct desk *desk, const struct ban *ban) {
    const struct element *element =
        projection_find(desk->decider->projection, ban->scope, &ban->key.id);
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
                desk_enforces(desk) && element && element->enforced_us != 0 &&
                    (element->enforced_us == UNTIL_PERMANENT ||
                     element->enforced_us >= ban->until_us));
    js_set_number(row, "failures", ban->failures);
    js_set_number(row, "returns", ban->returns);
    js_set_number(row, "after_ban", ban->after_ban);
    return row;
}

static void word_bans(struct desk *desk, const struct question *question) {
    int64_t now_us = clock_now_us();
    uint32_t place = 0;
    for (struct ban *ban; (ban = bans_next(desk->decider->bans, &place));)
        if (!ban_is_over(ban, now_us))
            control_row(desk->control, question->client, desk_ban_row(desk, ban));
    control_end(desk->control, question->client, 0, "%s", "");
}

static void word_watch(struct desk *desk, const struct question *question) {
    control_watch(desk->control, question->client);
}

void desk_tell_watchers(struct desk *desk, const char *kind, js *row) {
    js *told = js_object();
    js_set(told, kind, row);
    control_tell(desk->control, told);
}

static const struct {
    const char *word;
    void (*answer)(struct desk *desk, const struct question *question);
} words[] = {
    {"status", desk_word_status}, {"bans", word_bans},        {"ban", desk_word_ban},
    {"unban", desk_word_unban},   {"pause", desk_word_pause}, {"reload", desk_word_reload},
    {"watch", word_watch},        {"why", desk_word_why},
};

void desk_answer_question(void *context, const struct question *question) {
    struct desk *desk = context;
    for (size_t i = 0; i < ELEMENTS_OF(words); i++)
        if (strcmp(words[i].word, question->word) == 0) {
            words[i].answer(desk, question);
            return;
        }
    char safe[80];
    safe_copy(safe, sizeof(safe), span_of(question->word));
    control_end(desk->control, question->client, 2, "hauberkd does not know the word '%s'", safe);
}
