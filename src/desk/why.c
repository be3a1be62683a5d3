/* `why`: what is known of one address or account. Facts come from memory, lines and history from
 * the database, packets from the kernel, in this order; the answer ends with the kernel's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/answers.h"

enum { WHY_LINES = 60 };

struct why_asked {
    struct desk *desk;
    uint64_t client;
    bool is_address;
    struct prefix prefix;
    uint64_t packets;
    bool is_in_kernel;
};

static void why_ended(void *context, const struct wire_element *elements, uint32_t count,
                      bool is_last) {
    struct why_asked *asked = context;
    for (uint32_t i = 0; i < count; i++) {
        asked->is_in_kernel = true;
        asked->packets += elements[i].packets;
    }
    if (!is_last)
        return;
    js *row = js_object();
    js *kernel = js_object();
    js_set_flag(kernel, "in_kernel", asked->is_in_kernel);
    js_set_number(kernel, "packets", (int64_t)asked->packets);
    js_set(row, "kernel", kernel);
    control_row(asked->desk->control, asked->client, row);
    control_end(asked->desk->control, asked->client, 0, "%s", "");
    free(asked);
}

static js *evidence_row(const struct row_evidence *evidence) {
    static const char *const verdicts[VERDICTS] = {
        [VERDICT_COUNTED] = "counted",     [VERDICT_JOINED] = "joined",
        [VERDICT_AFTER_BAN] = "after_ban", [VERDICT_EXEMPT] = "exempt",
        [VERDICT_MEMORY] = "memory",       [VERDICT_PARDONED] = "pardoned",
        [VERDICT_SUCCESS] = "success",     [VERDICT_FOLDED] = "folded",
        [VERDICT_OWN] = "own"};
    char text[PREFIX_TEXT_MAX];
    js *row = js_object();
    js_set_time(row, "at", evidence->at_us);
    js_set_number(row, "at_us", evidence->at_us);
    js_set_string(row, "jail", evidence->jail);
    js_set_string(row, "address", address_format(&evidence->address, text));
    js_set_string(row, "account", evidence->account);
    js_set_string(row, "source", evidence->source);
    js_set_string(row, "verdict",
                  evidence->verdict < VERDICTS ? verdicts[evidence->verdict] : "?");
    js_set_flag(row, "unknown_account", evidence->no_such_account);
    js_set_string(row, "line", evidence->text);
    return row;
}

static void send_wrapped(struct desk *desk, uint64_t client, const char *kind, js *row) {
    js *wrapped = js_object();
    js_set(wrapped, kind, row);
    control_row(desk->control, client, wrapped);
}

static void why_answered(void *context, const struct store_answer *answer) {
    struct why_asked *asked = context;
    struct desk *desk = asked->desk;
    for (size_t i = 0; i < answer->evidence.count; i++)
        send_wrapped(desk, asked->client, "evidence", evidence_row(&answer->evidence.at[i]));
    for (size_t i = 0; i < answer->history.count; i++) {
        const struct row_history *history = &answer->history.at[i];
        js *row = js_object();
        js_set_time(row, "at", history->at_us);
        js_set_string(row, "kind", history->kind);
        js_set_string(row, "jail", history->jail);
        js_set_string(row, "text", history->text);
        send_wrapped(desk, asked->client, "history", row);
    }
    if (asked->is_address)
        desk_ask_kernel(desk, &asked->prefix, why_ended, asked);
    else
        why_ended(asked, NULL, 0, true);
}

static void send_facts(struct desk *desk, uint64_t client, const struct prefix *prefix) {
    int64_t now_us = clock_now_us();
    struct known_entry known;
    js *facts = js_object();
    bool is_known = known_has_prefix(desk->decider->known, prefix, now_us, &known);
    js_set_flag(facts, "known", is_known);
    if (is_known) {
        js_set_time(facts, "known_since", known.first_us);
        js_set_time(facts, "known_last", known.last_us);
        js_set_number(facts, "successes", known.successes);
    }
    char why[EXEMPT_TEXT_MAX];
    js_set_flag(facts, "exempt", decider_is_exempt(desk->decider, JAIL_BY_HAND, prefix));
    js_set_string(facts, "exempt_why",
                  decider_why_exempt(desk->decider, JAIL_BY_HAND, prefix, why));
    js_set_flag(facts, "effective", desk_why_not_effective(desk) == NULL);
    js_set_string(facts, "why_not", desk_why_not_effective(desk));
    js_set_string(facts, "store_error", desk->store_error[0] ? desk->store_error : NULL);
    send_wrapped(desk, client, "facts", facts);
    uint32_t place = 0;
    for (const struct ban *ban; (ban = bans_next(desk->decider->bans, &place));)
        if (!ban_is_over(ban, now_us) && prefix_overlaps(&ban->key.id, prefix))
            send_wrapped(desk, client, "ban", desk_ban_row(desk, ban));
}

void desk_word_why(struct desk *desk, const struct question *question) {
    const char *subject = js_string(question->args, "subject", "");
    struct why_asked *asked = calloc(1, sizeof(*asked));
    must(asked);
    *asked = (struct why_asked){.desk = desk, .client = question->client};
    asked->is_address = prefix_parse(span_of(subject), &asked->prefix) >= 0;
    if (asked->is_address)
        send_facts(desk, question->client, &asked->prefix);
    desk_commit_now(desk);
    if (desk->store_error[0] ||
        store_why(desk->store, asked->is_address ? &asked->prefix : NULL, span_of(subject),
                  WHY_LINES, why_answered, asked) < 0) {
        /* Behind a stuck commit there is no answer: say what memory knows. */
        const struct store_answer nothing = {0};
        why_answered(asked, &nothing);
    }
}
