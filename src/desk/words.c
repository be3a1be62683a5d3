/* Questions of the command line, answered. One function per word; the table is at the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

#include <errno.h>
#include <stdio.h>

#include "base/duration.h"
#include "wire/build.h"

enum { WHY_LINES = 60, SPARED_SHOWN = 100, WHY_NOT_MAX = 160 };

static void set_address(js *row, const struct prefix *prefix) {
    char text[PREFIX_TEXT_MAX];
    js_set_string(row, "address", address_format(&prefix->address, text));
    js_set_number(row, "prefix", prefix->length);
}

static js *ban_row(const struct desk *desk, const struct ban *ban) {
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
            control_row(desk->control, question->client, ban_row(desk, ban));
    control_end(desk->control, question->client, 0, "%s", "");
}

/* ---- status ---- */

static js *status_roles(const struct desk *desk) {
    js *roles = js_array();
    for (int role = 0; role < ROLES; role++) {
        const struct role_view *view = &desk->roles[role];
        if (!view->is_there)
            continue;
        js *one = js_object();
        js_set_string(one, "role", role_names[role]);
        js_set_number(one, "pid", view->state.pid);
        js_set_flag(one, "ready", view->state.is_ready);
        js_set_number(one, "restarts", view->state.restarts);
        js_set_time(one, "since", view->state.since_us);
        js_set_text(one, "last_death", wire_bytes(view->state.last_death));
        js_append(roles, one);
    }
    return roles;
}

/* A jail is active when one of its logs is there, waiting when none is, off when not enabled. */
static js *status_jails(const struct desk *desk) {
    js *jails = js_array();
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        const struct config_jail *jail = &desk->config->jails[j];
        js *one = js_object();
        js *logs = js_array();
        bool is_read = jail->counts_returns;
        for (uint16_t i = 0; i < SOURCES_MAX; i++)
            if (desk->sources[i].is_there && desk->decider->jails_of_source[i] >> j & 1) {
                js_append_string(logs, desk->sources[i].path);
                is_read = is_read || desk->sources[i].state == SOURCE_READING;
            }
        const struct jail_counts *counts = &desk->decider->jail_counts[j];
        js_set_string(one, "jail", jail->name);
        js_set_string(one, "state", !jail->is_enabled ? "off" : is_read ? "active" : "waiting");
        js_set_string(one, "why", jail->is_enabled && !is_read ? "none of its logs is there yet"
                                                               : NULL);
        js_set(one, "logs", logs);
        js_set_number(one, "failures", (int64_t)counts->failures);
        js_set_number(one, "successes", (int64_t)counts->successes);
        js_set_number(one, "bans", (int64_t)counts->bans);
        js_append(jails, one);
    }
    return jails;
}

static js *status_sources(const struct desk *desk) {
    static const char *const states[SOURCE_STATES] = {"reading", "waiting", "unreadable"};
    js *sources = js_array();
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        const struct desk_source *source = &desk->sources[i];
        if (!source->is_there)
            continue;
        js *one = js_object();
        js_set_string(one, "path", source->path);
        js_set_string(one, "state", states[source->state]);
        js_set_number(one, "position", (int64_t)source->position.done);
        js_set_number(one, "committed", (int64_t)source->committed);
        js_set_number(one, "mark", (int64_t)source->position.mark);
        js_set_number(one, "lag", (int64_t)source->lag);
        js_set_number(one, "lost", (int64_t)source->lost);
        js_set_number(one, "lines", (int64_t)source->lines);
        js_set_number(one, "skipped", source->skipped);
        js_set_flag(one, "jit", source->has_jit);
        js_set_flag(one, "prefilter", source->has_prefilter);
        js_append(sources, one);
    }
    return sources;
}

static js *status_spared(const struct desk *desk) {
    js *rows = js_array();
    uint32_t place = 0;
    int64_t now_us = clock_now_us();
    for (const struct spared *one; (one = spared_next(desk->decider->spared, &place));)
        if (!spared_is_over(one, now_us) && js_count(rows) < SPARED_SHOWN)
            js_append(rows, desk_spared_row(desk, one));
    return rows;
}

/* Is what we decided in force, and if not, why not. */
static const char *why_not_effective(const struct desk *desk) {
    if (desk->decider->observes)
        return "observing: bans nobody, as configured";
    if (desk->paused_until_us)
        return "paused by `hauberk pause`";
    if (desk->waits_until_us)
        return "our table was changed twice within a minute; waiting ten minutes";
    if (!desk->enforcer_is_there)
        return "the enforcer is not there yet";
    struct projection_counts counts = projection_counts(desk->decider->projection, clock_now_us());
    if (counts.refused > 0)
        return "the kernel refused some elements; see the log";
    return NULL;
}

/* The same with the time it lasts, where there is one. */
static const char *describe_why_not(const struct desk *desk, char into[WHY_NOT_MAX]) {
    char until[CLOCK_TEXT_MAX];
    int64_t now_us = clock_now_us();
    if (desk->paused_until_us && !desk->decider->observes)
        snprintf(into, WHY_NOT_MAX, "paused until %s",
                 clock_format_local(desk->paused_until_us, now_us, until));
    else
        snprintf(into, WHY_NOT_MAX, "%s", why_not_effective(desk));
    return into;
}

static void word_status(struct desk *desk, const struct question *question) {
    struct projection_counts counts = projection_counts(desk->decider->projection, clock_now_us());
    const char *why_not = why_not_effective(desk);
    js *row = js_object();
    js_set_string(row, "version", build_version);
    js_set_time(row, "since", desk->started_us);
    js_set_flag(row, "effective", why_not == NULL);
    js_set_string(row, "why_not", why_not);
    js_set_flag(row, "observing", desk->decider->observes);
    js_set_time(row, "paused_until", desk->paused_until_us);
    js_set_time(row, "waits_until", desk->waits_until_us);
    js_set_number(row, "bans", bans_count(desk->decider->bans));
    js_set_number(row, "wanted", counts.wanted);
    js_set_number(row, "enforced", counts.enforced);
    js_set_number(row, "counted_addresses", ledger_size(desk->decider->ledger));
    js_set_number(row, "known_addresses", known_count_addresses(desk->decider->known));
    js_set_number(row, "drifts", desk->drifts);
    js_set_number(row, "evidence_shed", (int64_t)desk->decider->evidence_shed);
    js_set_string(row, "store_error", desk->store_error[0] ? desk->store_error : NULL);
    js_set_time(row, "store_error_since", desk->store_error[0] ? desk->store_error_since_us : 0);
    bool has_jit = false;
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        has_jit = has_jit || desk->sources[i].has_jit;
    js_set_flag(row, "jit", has_jit);
    js_set(row, "spared", status_spared(desk));
    js_set(row, "roles", status_roles(desk));
    js_set(row, "jails", status_jails(desk));
    js_set(row, "sources", status_sources(desk));
    control_row(desk->control, question->client, row);
    control_end(desk->control, question->client, 0, "%s", "");
}

/* ---- changes ---- */

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

static void word_ban(struct desk *desk, const struct question *question) {
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
    if (why_not_effective(desk))
        desk_answer_when_kept(desk, question->client, 0,
                              "%s: noted, for %s; not enforced: %s",
                              prefix_format(&prefix, text), duration_format(seconds, length),
                              describe_why_not(desk, not_now));
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

static void word_unban(struct desk *desk, const struct question *question) {
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
        uint32_t count = desk_false_positive(desk, &prefix, now_us);
        desk_answer_when_kept(desk, question->client, 0,
                              "%s may come in again (%u lifted) and is trusted for 30 d",
                              prefix_format(&prefix, text), count);
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

static void word_pause(struct desk *desk, const struct question *question) {
    if (!desk_may_change(desk, question))
        return;
    desk_pause(desk, js_number(question->args, "until_us", 0));
    desk_note(desk, "note", "", NULL, desk->paused_until_us,
              desk->paused_until_us ? "paused by hand" : "pause ended by hand");
    desk_answer_when_kept(desk, question->client, 0, "%s",
                          desk->paused_until_us ? "nothing is enforced until then"
                                                : "enforcing again");
}

static void word_reload(struct desk *desk, const struct question *question) {
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

static void word_watch(struct desk *desk, const struct question *question) {
    control_watch(desk->control, question->client);
}

void desk_tell_watchers(struct desk *desk, const char *kind, js *row) {
    js *told = js_object();
    js_set(told, kind, row);
    control_tell(desk->control, told);
}

/* ---- why ---- */

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
        [VERDICT_SUCCESS] = "success"};
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
    if (is_known && prefix_is_host(prefix)) {
        js_set_time(facts, "known_since", known.first_us);
        js_set_time(facts, "known_last", known.last_us);
        js_set_number(facts, "successes", known.successes);
    }
    char why[EXEMPT_TEXT_MAX];
    js_set_flag(facts, "exempt", decider_is_exempt(desk->decider, JAIL_BY_HAND, prefix));
    js_set_string(facts, "exempt_why",
                  decider_why_exempt(desk->decider, JAIL_BY_HAND, prefix, why));
    js_set_flag(facts, "effective", why_not_effective(desk) == NULL);
    js_set_string(facts, "why_not", why_not_effective(desk));
    js_set_string(facts, "store_error", desk->store_error[0] ? desk->store_error : NULL);
    send_wrapped(desk, client, "facts", facts);
    uint32_t place = 0;
    for (const struct ban *ban; (ban = bans_next(desk->decider->bans, &place));)
        if (!ban_is_over(ban, now_us) && prefix_overlaps(&ban->key.id, prefix))
            send_wrapped(desk, client, "ban", ban_row(desk, ban));
}

static void word_why(struct desk *desk, const struct question *question) {
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

/* ---- the table ---- */

static const struct {
    const char *word;
    void (*answer)(struct desk *desk, const struct question *question);
} words[] = {
    {"status", word_status}, {"bans", word_bans},   {"ban", word_ban},
    {"unban", word_unban},   {"pause", word_pause}, {"reload", word_reload},
    {"watch", word_watch},   {"why", word_why},
    {"trust", desk_word_trust}, {"untrust", desk_word_untrust}, {"trusted", desk_word_trusted},
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
