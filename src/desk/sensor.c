/* The desk's side towards the sensor: who says where reading stands, and what was read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

#include <stdio.h>

#include "base/log.h"

void desk_send_positions(struct desk *desk) {
    if (!desk->sensor_is_there || !desk->sources_are_known || desk->positions_are_sent)
        return;
    desk->positions_are_sent = true;
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct desk_source *source = &desk->sources[i];
        if (!source->is_there)
            continue;
        struct wire_position position = source->position;
        position.source = i;
        (void)channel_send(desk->sensor, SAY_POSITION, &position, NULL, 0);
    }
    (void)channel_send(desk->sensor, SAY_POSITIONS_END, NULL, NULL, 0);
}

/* First sight: the mark is durable before a line is read. */
static void take_sight(struct desk *desk, const struct wire_sight *sight) {
    struct desk_source *source = &desk->sources[sight->source];
    if (!source->is_there || source->position.is_known)
        return;
    struct wire_position *position = &source->position;
    position->is_known = 1;
    position->mark = sight->mark;
    position->done = position->resume = sight->start;
    wire_set_bytes(position->done_identity, wire_bytes(sight->identity));
    wire_set_bytes(position->resume_identity, wire_bytes(sight->identity));
    source->is_sighting = true;
    source->is_dirty = true;
    source->read_until_us = source->takes_over_us ? source->takes_over_us : clock_now_us();
    desk_forget_left_sources(desk);
    desk_changed(desk);
    desk_commit_now(desk);
}

static void note_lost(struct desk *desk, struct desk_source *source, uint64_t lost) {
    char text[400];
    source->lost += lost;
    bool is_journal = strncmp(source->path, "journal: ", 9) == 0;
    snprintf(text, sizeof(text),
             is_journal ? "up to %llu entries were gone before they could be read for \"%s\""
                        : "%llu bytes of %s were gone before they were read",
             (unsigned long long)lost, source->path);
    log_warning("%s", text);
    desk_note(desk, "lost", "", NULL, 0, text);
    desk_tell_lost(desk, source->path, lost);
}

/* A line that killed the reader twice: left out, but not thrown away. */
static void keep_aside(struct desk *desk, const struct desk_source *source,
                       const struct wire_event *event) {
    char text[600];
    snprintf(text, sizeof(text), "left out of %s: %.*s", source->path,
             SPAN_FORMAT(wire_bytes(event->evidence)));
    desk_note(desk, "poison", "", NULL, 0, text);
}

/* One frame: every event behind `done` counts, once. */
static void take_events(struct desk *desk, const struct wire_batch *batch,
                        const struct wire_event *events, uint32_t count) {
    struct desk_source *source = &desk->sources[batch->source];
    struct wire_position *position = &source->position;
    int64_t now_us = clock_now_us();
    if (!source->is_there || !position->is_known)
        return;
    source->lag = batch->lag;
    source->has_lag = true;
    if (batch->lost)
        note_lost(desk, source, batch->lost);
    if (batch->last < position->done)
        return; /* lines read again, for their sessions only */
    /* One that ends at `done` itself moves nothing, but where a file lost its tail the identity has
     * moved: kept, so that the loss is not found again.
     * What was lost is stored together with it. */
    source->lost_kept = source->lost;
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].line_end <= position->done)
            continue;
        if (events[i].kind == EVENT_SKIPPED)
            keep_aside(desk, source, &events[i]);
        else if (!selftest_is_source(desk, batch->source) ||
                 selftest_takes(desk, &events[i], batch->told_us)) {
            bool is_memory = desk_is_memory(source, &events[i]);
            desk_note_read(source, &events[i], now_us);
            decider_event(desk->decider, batch->source, &events[i], is_memory, now_us);
            if (is_memory)
                first_take(desk, batch->source, &events[i]);
        }
    }
    if (batch->last > position->done)
        source->lines += batch->lines;
    position->done = batch->last;
    position->resume = batch->resume < position->done ? batch->resume : position->done;
    wire_set_bytes(position->done_identity, wire_bytes(batch->last_identity));
    wire_set_bytes(position->resume_identity, wire_bytes(batch->resume_identity));
    source->is_dirty = true;
    desk_changed(desk);
    first_check(desk);
    desk_pump_orders(desk);
}

void desk_acknowledge(struct desk *desk) {
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct ack *ack = &desk->acks[i];
        if (!ack->is_due)
            continue;
        ack->is_due = false;
        desk->sources[i].committed = ack->ordinal;
        if (!desk->sensor)
            continue;
        if (ack->is_mark) {
            struct wire_source_number number = {.source = i};
            (void)channel_send(desk->sensor, SAY_SIGHTED, &number, NULL, 0);
        } else {
            struct wire_line line = {.source = i, .ordinal = ack->ordinal};
            (void)channel_send(desk->sensor, SAY_ACK, &line, NULL, 0);
        }
    }
}

int desk_from_sensor(struct desk *desk, struct message *message) {
    if (message->type == SAY_EVENTS) {
        take_events(desk, message->head, message->items, message->count);
    } else if (message->type == SAY_SIGHT) {
        take_sight(desk, message->head);
    } else if (message->type == SAY_UNMATCHED) {
        desk_take_unmatched(desk, message->head);
    } else if (message->type == SAY_SOURCE_STATE) {
        const struct wire_source_state *state = message->head;
        struct desk_source *source = &desk->sources[state->source];
        source->state = state->state;
        source->has_state = true;
        source->has_jit = state->has_jit;
        source->has_prefilter = state->has_prefilter;
        source->skipped = state->skipped_lines;
        first_check(desk);
    }
    return 0;
}
