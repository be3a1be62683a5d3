/* The desk itself: made, swept, and its side towards hauberkd. See desk.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

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
        decider_forget_old(desk->decider, wall_us);
        store_purge(desk->store, wall_us - desk->config->evidence_days * DAY_US,
                    wall_us - desk->config->unknown_names_days * DAY_US);
    }
    desk_changed(desk);
    if (step_us > 5 * SECOND_US || step_us < -5 * SECOND_US) {
        log_notice("the clock was set by %lld s: all times in the kernel are set anew",
                   (long long)(step_us / SECOND_US));
        desk_spare_by_new_clock(desk, wall_us);
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
            source->read_until_us = desk->stored.at[i].read_until_us;
            source->takes_over_us = desk->stored.at[i].takes_over_us;
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

void desk_is_loaded(struct desk *desk) {
    desk->is_loading = false;
    if (!desk->first.page && (desk->stored.count == 0 || desk->first.was_begun))
        first_begin(desk);
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        if (desk->sources[i].is_there)
            desk_find_position(desk, &desk->sources[i]);
    if (desk->sources_are_known)
        desk_forget_left_sources(desk);
    desk_apply_left_orders(desk);
    desk_decide_observing(desk);
    desk_look_at_logins(desk);
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

int desk_from_supervisor(struct desk *desk, struct message *message) {
    if (message->type == SAY_SOURCE_NAME) {
        name_source(desk, message->head);
    } else if (message->type == SAY_SOURCES_END) {
        desk->sources_are_known = true;
        if (!desk->is_loading)
            desk_forget_left_sources(desk);
        desk_pump_orders(desk);
        desk_check_ready(desk);
    } else if (message->type == SAY_SKIPPED) {
        skipped(desk, message->head);
    } else if (message->type == SAY_ROLE) {
        const struct wire_role_state *state = message->head;
        desk->roles[state->role] = (struct role_view){*state, true};
    } else if (message->type == SAY_OTHER_BOUNCERS) {
        desk_take_bouncers(desk, ((const struct wire_bouncers *)message->head)->running);
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
