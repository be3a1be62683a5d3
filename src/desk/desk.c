/* The desk itself: made, swept, and its side towards hauberkd. See desk.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

#include <fnmatch.h>
#include <stdio.h>

#include "base/log.h"

static bool have_caught_up(const struct desk *desk) {
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        if (desk->sources[i].is_there && desk->sources[i].state == SOURCE_READING &&
            desk->sources[i].lag > 0)
            return false;
    return true;
}

/* A book that is full is told at once, then once an hour while it goes on. */
static void tell_losses(struct desk *desk, int64_t now_us) {
    struct bans_losses losses = bans_losses(desk->decider->bans);
    struct bans_losses *told = &desk->losses_told;
    char text[BAN_REASON_MAX];
    if ((losses.pushed_out == told->pushed_out && losses.not_made == told->not_made) ||
        (desk->losses_told_us && now_us - desk->losses_told_us < HOUR_US))
        return;
    snprintf(text, sizeof(text),
             "the book of bans is full (bans-most %u): %llu bans were ended early for newer ones, "
             "%llu could not be made",
             desk->config->bans_most,
             (unsigned long long)(losses.pushed_out - told->pushed_out),
             (unsigned long long)(losses.not_made - told->not_made));
    log_warning("%s", text);
    desk_note(desk, "note", "", NULL, 0, text);
    *told = losses;
    desk->losses_told_us = now_us;
}

static int sweep(void *context) {
    struct desk *desk = context;
    int64_t wall_us = clock_now_us();
    int64_t monotonic_us = clock_monotonic_us();
    int64_t step_us = (wall_us - desk->last_wall_us) - (monotonic_us - desk->last_monotonic_us);
    desk->last_wall_us = wall_us;
    desk->last_monotonic_us = monotonic_us;
    watch_set_timer(desk->sweep_timer, SWEEP_EVERY_US);
    if (desk->is_loading)
        return 0;
    decider_sweep(desk->decider, wall_us);
    tell_losses(desk, monotonic_us);
    desk_tell_refusals(desk);
    desk_sweep_telling(desk, wall_us);
    desk_sweep_logins(desk);
    first_check(desk);
    if (monotonic_us - desk->purged_us > HOUR_US) {
        desk->purged_us = monotonic_us;
        store_purge(desk->store, wall_us - desk->config->evidence_days * DAY_US,
                    wall_us - desk->config->unknown_names_days * DAY_US);
    }
    desk_changed(desk);
    if (step_us > 5 * SECOND_US || step_us < -5 * SECOND_US) {
        log_notice("the clock was set by %lld s: all times in the kernel are set anew",
                   (long long)(step_us / SECOND_US));
        if (desk_enforces(desk))
            projection_order_again(desk->decider->projection);
    }
    if (desk->is_ready && !desk->is_reconciled && have_caught_up(desk)) {
        desk->is_reconciled = true;
        desk_reconcile(desk);
    }
    desk_pump_orders(desk);
    return 0;
}

struct desk *desk_new(struct loop *loop, const struct config *config, const char *state_folder,
                      const char *runtime_folder) {
    struct desk *desk = calloc(1, sizeof(*desk));
    must(desk);
    desk->loop = loop;
    desk->config = config;
    desk->state_folder = state_folder;
    desk->runtime_folder = runtime_folder;
    desk->decider = decider_new(config, &desk_decider_calls, desk);
    desk->started_us = desk->last_wall_us = desk->decider->now_us = clock_now_us();
    desk->last_monotonic_us = clock_monotonic_us();
    desk->sweep_timer = loop_add_timer(loop, SWEEP_EVERY_US, sweep, desk);
    return desk;
}

struct desk *desk_free(struct desk *desk) {
    if (!desk)
        return NULL;
    desk_drop_deferred(desk);
    desk_end_telling(desk);
    first_free(desk);
    desk->store = store_close(desk->store);
    desk->logins = logins_close(desk->logins);
    store_batch_free(desk->batch);
    free(desk->stored.at);
    free(desk->own_coming);
    decider_free(desk->decider);
    free(desk);
    return NULL;
}

void desk_find_position(struct desk *desk, struct desk_source *source) {
    for (size_t i = 0; i < desk->stored.count; i++)
        if (strcmp(desk->stored.at[i].source, source->path) == 0) {
            source->position = desk->stored.at[i].position;
            source->committed = source->position.done;
            source->lost = source->lost_kept = desk->stored.at[i].lost;
        }
}

static void name_source(struct desk *desk, const struct wire_source *named) {
    struct desk_source *source = &desk->sources[named->source];
    source->is_there = true;
    source->state = SOURCE_WAITING; /* until the sensor says otherwise */
    memcpy(source->path, named->path.at, named->path.length);
    source->path[named->path.length] = '\0';
    desk_find_position(desk, source);
    decider_name_source(desk->decider, named->source, named->jails);
}

/* Does the jail read the journal now, or did it in the row's day, while now it reads files? */
static bool changed_over(const struct desk *desk, uint32_t j, const char *source) {
    const struct config_jail *jail = &desk->config->jails[j];
    bool was_read = jail->journal && strcmp(jail->journal, source) == 0;
    bool reads_journal = false;
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        reads_journal = reads_journal || (desk->sources[i].is_there && jail->journal &&
                                          strcmp(desk->sources[i].path, jail->journal) == 0 &&
                                          desk->decider->jails_of_source[i] >> j & 1);
    for (uint32_t i = 0; reads_journal && i < jail->log_paths.count; i++)
        was_read = was_read ||
                   fnmatch(jail->log_paths.at[i].text, source, FNM_PATHNAME) == 0;
    return jail->is_enabled && was_read;
}

/* A jail that changed over from its file to the journal, or back, has read what was written
 * meanwhile: coming back, the other is looked at as for the first time, lest its lines count
 * twice. */
static void forget_left_sources(struct desk *desk) {
    for (size_t k = 0; k < desk->stored.count; k++) {
        const char *stored = desk->stored.at[k].source;
        bool is_left = false;
        for (uint32_t j = 0; j < desk->config->jail_count; j++)
            is_left = is_left || changed_over(desk, j, stored);
        for (uint16_t i = 0; i < SOURCES_MAX; i++)
            if (desk->sources[i].is_there && strcmp(desk->sources[i].path, stored) == 0)
                is_left = false;
        if (!is_left)
            continue;
        log_notice("%s is no longer read: its jails read the other of file and journal", stored);
        struct row_position *row = rows_add(&desk->batch->positions);
        memcpy(row->source, stored, sizeof(row->source));
        row->is_gone = true;
        desk_changed(desk);
    }
}

void desk_is_loaded(struct desk *desk) {
    desk->is_loading = false;
    if (!desk->first.page && (desk->stored.count == 0 || desk->first.was_begun))
        first_begin(desk);
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        if (desk->sources[i].is_there)
            desk_find_position(desk, &desk->sources[i]);
    if (desk->sources_are_known)
        forget_left_sources(desk);
    desk_apply_left_orders(desk);
    if (desk->enforcer_is_there)
        desk_spare_all(desk); /* what was told when the enforcer came was not yet loaded */
    if (desk->is_dirty)
        desk_commit_now(desk);
    desk_pump_orders(desk);
    desk_check_ready(desk);
    desk_answer_deferred(desk);
}

static void skipped(struct desk *desk, const struct wire_line *line) {
    char text[400];
    snprintf(text, sizeof(text),
             "a line of %s (ending at byte %llu of all read) killed the reader twice and is left "
             "out; please report it",
             desk->sources[line->source].path, (unsigned long long)line->ordinal);
    log_warning("%s", text);
    desk_note(desk, "poison", "", NULL, 0, text);
}

static void reloaded(struct desk *desk, const struct wire_reloaded *answer) {
    char digest[DIGEST_TEXT_MAX];
    js *row = js_object();
    js_set_string(row, "digest", digest_format(&answer->digest, digest));
    if (answer->is_good)
        control_row(desk->control, desk->reload_client, row);
    else
        js_free(row);
    if (desk->reload_client)
        control_end(desk->control, desk->reload_client, answer->is_good ? 0 : 1, "%.*s",
                    SPAN_FORMAT(wire_bytes(answer->text)));
    desk->reload_client = 0;
}

/* What an earlier run enforced ends with this, so it is told. */
static void take_bouncers(struct desk *desk, uint32_t running) {
    static const char said[] =
        "another program bans here (see `hauberk status`): observing only, "
        "and bans of before are lifted; `observe = no` in hauberk.conf ends that";
    desk->bouncers = running;
    if (!running || desk->config->observe != OBSERVE_AUTO || desk->decider->observes)
        return;
    log_warning("%s", said);
    desk_note(desk, "note", "", NULL, 0, said);
    desk->decider->observes = true;
    desk_begin_enforcing(desk); /* that is, lifting */
}

int desk_from_supervisor(struct desk *desk, struct message *message) {
    if (message->type == SAY_SOURCE_NAME) {
        name_source(desk, message->head);
    } else if (message->type == SAY_SOURCES_END) {
        desk->sources_are_known = true;
        if (!desk->is_loading)
            forget_left_sources(desk);
        desk_pump_orders(desk);
        desk_check_ready(desk);
    } else if (message->type == SAY_SKIPPED) {
        skipped(desk, message->head);
    } else if (message->type == SAY_ROLE) {
        const struct wire_role_state *state = message->head;
        desk->roles[state->role] = (struct role_view){*state, true};
    } else if (message->type == SAY_OTHER_BOUNCERS) {
        take_bouncers(desk, ((const struct wire_bouncers *)message->head)->running);
    } else if (message->type == SAY_IN_FORCE) {
        desk->in_force = *(const struct wire_in_force *)message->head;
    } else if (message->type == SAY_SOURCE_FAULT) {
        const struct wire_source_fault *told = message->head;
        struct desk_source *source = &desk->sources[told->source];
        snprintf(source->fault, sizeof(source->fault), "%.*s", SPAN_FORMAT(wire_bytes(told->text)));
    } else if (message->type == SAY_MAILED) {
        desk_mail_is_done(desk, message->head);
    } else if (message->type == SAY_RELOADED) {
        reloaded(desk, message->head);
    }
    return 0;
}

uint32_t desk_unban(struct desk *desk, const struct prefix *prefix, int jail, int64_t at_us) {
    uint32_t lifted = decider_unban(desk->decider, prefix, jail, at_us, clock_now_us());
    /* Also what the kernel may hold and nobody here knows of. */
    for (uint16_t scope = 0; jail < 0 && scope < desk->config->scope_count; scope++)
        if (prefix->length >= 8)
            projection_drop_unknown(desk->decider->projection, scope, prefix);
    struct row_history *row = rows_add(&desk->batch->history);
    row->at_us = at_us;
    memcpy(row->kind, "unban", sizeof("unban"));
    row->jail = jail < 0 ? "" : decider_jail_name(desk->decider, (uint16_t)jail);
    row->id = *prefix;
    desk_changed(desk);
    desk_pump_orders(desk);
    return lifted;
}

static int pause_is_over(void *context) {
    struct desk *desk = context;
    desk->paused_until_us = desk->waits_until_us = 0;
    log_notice("the pause is over: enforcing again");
    desk_note(desk, "note", "", NULL, 0, "the pause is over");
    if (desk->enforcer_is_there)
        desk_begin_enforcing(desk);
    return 0;
}

void desk_pause(struct desk *desk, int64_t until_us) {
    int64_t left_us = until_us - clock_now_us();
    if (left_us <= 0) {
        if (desk->paused_until_us)
            (void)pause_is_over(desk);
        return;
    }
    desk->paused_until_us = until_us;
    desk_lift(desk);
    if (!desk->pause_timer)
        desk->pause_timer = loop_add_timer(desk->loop, left_us, pause_is_over, desk);
    else
        watch_set_timer(desk->pause_timer, left_us);
}
