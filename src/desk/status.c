/* `status`: is it guarding, what does it read, and what is not as it should be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/answers.h"

#include <stdio.h>

#include "wire/build.h"

enum { SPARED_SHOWN = 100 };

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

bool desk_jail_is_read(const struct desk *desk, uint32_t jail) {
    bool is_read = desk->config->jails[jail].counts == COUNTS_RETURNS;
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        is_read = is_read ||
                  (desk->sources[i].is_there && desk->sources[i].state == SOURCE_READING &&
                   desk->sources[i].fault[0] == '\0' &&
                   desk->decider->jails_of_source[i] >> jail & 1);
    return is_read;
}

/* A jail is active when one of its logs is there, waiting when none is, off when not enabled; and
 * blind when it is active and there are signs that it does not see (sight.c). */
js *desk_status_jails(const struct desk *desk) {
    js *jails = js_array();
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        const struct config_jail *jail = &desk->config->jails[j];
        if ((int)j == desk->config->selftest_jail)
            continue;
        js *one = js_object();
        js *logs = js_array();
        bool is_read = desk_jail_is_read(desk, j);
        bool is_faulty = false;
        char text[SIGHT_TEXT_MAX];
        const char *blind = is_read ? desk_sight_fault(desk, j, text) : NULL;
        for (uint16_t i = 0; i < SOURCES_MAX; i++)
            if (desk->sources[i].is_there && desk->decider->jails_of_source[i] >> j & 1) {
                js_append_string(logs, desk->sources[i].path);
                is_faulty = is_faulty || desk->sources[i].fault[0] != '\0';
            }
        const struct jail_counts *counts = &desk->decider->jail_counts[j];
        js_set_string(one, "jail", jail->name);
        js_set_string(one, "state", !jail->is_enabled ? "off"
                                    : blind           ? "blind"
                                    : is_read         ? "active"
                                                      : "waiting");
        js_set_string(one, "why", blind ? blind
                                  : !jail->is_enabled || is_read ? NULL
                                  : is_faulty ? "its logs cannot be followed"
                                              : "none of its logs is there yet");
        js_set(one, "logs", logs);
        js_set_number(one, "failures", (int64_t)counts->failures);
        js_set_number(one, "successes", (int64_t)counts->successes);
        js_set_number(one, "bans", (int64_t)counts->bans);
        js_set_number(one, "unmatched", desk->sights[j].sight.unmatched);
        js_append(jails, one);
    }
    return jails;
}

js *desk_status_sources(const struct desk *desk) {
    static const char *const states[SOURCE_STATES] = {"reading", "waiting", "unreadable"};
    js *sources = js_array();
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        const struct desk_source *source = &desk->sources[i];
        if (!source->is_there)
            continue;
        js *one = js_object();
        js_set_string(one, "path", source->path);
        bool has_fault = source->fault[0] != '\0';
        js_set_string(one, "state", states[has_fault ? SOURCE_UNREADABLE : source->state]);
        js_set_string(one, "why", has_fault ? source->fault : NULL);
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

static js *status_configuration(const struct desk *desk) {
    char digest[DIGEST_TEXT_MAX];
    const struct wire_in_force *in_force = &desk->in_force;
    js *one = js_object();
    js_set_string(one, "digest", digest_format(&in_force->digest, digest));
    js_set_time(one, "since", in_force->since_us);
    if (in_force->disk_is_wrong)
        js_set_text(one, "disk_error", wire_bytes(in_force->text));
    else
        js_set_string(one, "disk_error", NULL);
    return one;
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

/* Jails whose failures come from one address that cannot be banned, or stands for everybody. */
static js *status_origins(const struct desk *desk) {
    js *rows = js_array();
    for (uint16_t j = 0; j < desk->config->jail_count; j++) {
        struct origin origin;
        char text[PREFIX_TEXT_MAX];
        char why[EXEMPT_TEXT_MAX];
        if (!origins_most(desk->decider->origins, j, &origin))
            continue;
        struct prefix host = prefix_of(&origin.address);
        const char *exempt = decider_why_exempt(desk->decider, j, &host, why);
        bool is_hiding = origin_hides_others(&origin);
        if (!exempt && !is_hiding)
            continue;
        js *one = js_object();
        js_set_string(one, "jail", desk->config->jails[j].name);
        js_set_string(one, "address", address_format(&origin.address, text));
        js_set_number(one, "failures", origin.failures);
        js_set_number(one, "of", origin.of);
        js_set_number(one, "accounts", origin.accounts);
        js_set_time(one, "since", origin.first_us);
        js_set_flag(one, "hides_others", is_hiding);
        js_set_string(one, "exempt", exempt);
        js_append(rows, one);
    }
    return rows;
}

/* Is what we decided in force, and if not, why not. */
const char *desk_why_not_effective(const struct desk *desk) {
    if (desk->decider->observes)
        return desk_why_observing(desk);
    if (desk->paused_until_us)
        return "paused by `hauberk pause`";
    if (desk->waits_until_us)
        return "our table was changed twice within a minute; waiting ten minutes";
    if (desk->first.is_reading)
        return "first start: reading what the logs say of the last day";
    if (desk->is_loading)
        return "still loading the stored bans; the kernel keeps those it has";
    if (!desk->enforcer_is_there)
        return "the enforcer is not there yet";
    struct projection_counts counts = projection_counts(desk->decider->projection);
    if (counts.refused > 0)
        return "the kernel refused some elements; see the log";
    return NULL;
}

const char *desk_describe_why_not(const struct desk *desk, char into[WHY_NOT_MAX]) {
    char until[CLOCK_TEXT_MAX];
    int64_t now_us = clock_now_us();
    if (desk->paused_until_us && !desk->decider->observes)
        snprintf(into, WHY_NOT_MAX, "paused until %s",
                 clock_format_local(desk->paused_until_us, now_us, until));
    else
        snprintf(into, WHY_NOT_MAX, "%s", desk_why_not_effective(desk));
    return into;
}

void desk_word_status(struct desk *desk, const struct question *question) {
    struct projection_counts counts = projection_counts(desk->decider->projection);
    const char *why_not = desk_why_not_effective(desk);
    js *row = js_object();
    js_set_string(row, "version", build_version);
    js_set_time(row, "since", desk->started_us);
    js_set_flag(row, "effective", why_not == NULL);
    js_set_string(row, "why_not", why_not);
    js_set_flag(row, "observing", desk->decider->observes);
    js_set_time(row, "paused_until", desk->paused_until_us);
    js_set_time(row, "waits_until", desk->waits_until_us);
    js_set_flag(row, "loading", desk->is_loading);
    js_set_number(row, "past_read", desk->first.is_reading ? first_percent(desk) : 100);
    js_set_number(row, "bans", bans_count(desk->decider->bans));
    struct bans_losses losses = bans_losses(desk->decider->bans);
    js_set_number(row, "bans_pushed_out", (int64_t)losses.pushed_out);
    js_set_number(row, "bans_not_made", (int64_t)losses.not_made);
    js_set_number(row, "wanted", counts.wanted);
    js_set_number(row, "enforced", counts.enforced);
    js_set_number(row, "counted_addresses", ledger_size(desk->decider->ledger));
    js_set_number(row, "counts_evicted", (int64_t)ledger_evicted(desk->decider->ledger));
    js_set_number(row, "mistakes_evicted", (int64_t)bursts_evicted(desk->decider->bursts));
    js_set_number(row, "known_addresses", known_count_addresses(desk->decider->known));
    js_set_number(row, "watchers", control_watchers(desk->control));
    js_set_number(row, "drifts", desk->drifts);
    js_set_number(row, "evidence_shed", (int64_t)desk->decider->evidence_shed);
    js_set_string(row, "store_error", desk->store_error[0] ? desk->store_error : NULL);
    js_set_time(row, "store_error_since", desk->store_error[0] ? desk->store_error_since_us : 0);
    bool has_jit = false;
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        has_jit = has_jit || desk->sources[i].has_jit;
    js_set_flag(row, "jit", has_jit);
    js_set(row, "spared", status_spared(desk));
    js_set(row, "origins", status_origins(desk));
    js_set(row, "configuration", status_configuration(desk));
    js_set(row, "notify", desk_status_telling(desk));
    js_set(row, "roles", status_roles(desk));
    js_set(row, "jails", desk_status_jails(desk));
    js_set(row, "sources", desk_status_sources(desk));
    control_row(desk->control, question->client, row);
    control_end(desk->control, question->client, 0, "%s", "");
}
