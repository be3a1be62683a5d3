/* A jail that changes over from its file to the journal, or back: at a start, because rsyslog came
 * or went, or because `backend` says so. Both hold the same lines, so what was read of the one must
 * not count again from the other, and what was logged since must count.
 *
 * The one that takes over is sighted as if it were new: what it holds is in front of its mark, and
 * would be memory. But of those lines the ones that are later than the last that the other one told
 * are not: they count. Time is all the two have in common. Their clocks differ by what lies between
 * journald's stamp and rsyslog's, and rsyslog's may be whole seconds: of what came within a second
 * after that last line, nothing counts. Where others go on reading what it leaves, the row of that
 * names the jails that had read it until then: the row as it was stored before this start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <fnmatch.h>
#include <stdio.h>

#include "base/log.h"
#include "desk/desk.h"

#define CLOCKS_APART_US SECOND_US

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

void desk_name_jails(const struct desk *desk, uint64_t jails, char into[JAILS_TEXT_MAX]) {
    size_t length = 0;
    into[0] = '\0';
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        const char *name = desk->config->jails[j].name;
        if ((jails >> j & 1) && length + 1 + strlen(name) < JAILS_TEXT_MAX)
            length += (size_t)snprintf(into + length, JAILS_TEXT_MAX - length, "%s%s",
                                       length ? " " : "", name);
    }
}

static uint64_t jails_named(const struct desk *desk, const char *names) {
    uint64_t jails = 0;
    struct span rest = span_of(names);
    for (struct span name; (name = span_word(&rest)).length > 0;) {
        int jail = decider_find_jail(desk->decider, name);
        if (jail >= 0 && jail != JAIL_BY_HAND)
            jails |= UINT64_C(1) << jail;
    }
    return jails;
}

static uint64_t jails_that_left(const struct desk *desk, const struct row_position *stored,
                                bool *ret_is_read) {
    uint64_t jails = 0;
    *ret_is_read = false;
    for (uint32_t j = 0; j < desk->config->jail_count; j++)
        jails |= (uint64_t)changed_over(desk, j, stored->source) << j;
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        if (desk->sources[i].is_there && strcmp(desk->sources[i].path, stored->source) == 0) {
            jails &= jails_named(desk, stored->jails) & ~desk->decider->jails_of_source[i];
            *ret_is_read = true;
        }
    return jails;
}

/* Tells those who take over until when it was read; true: one of them is still to be sighted. */
static bool is_waited_for(struct desk *desk, const struct row_position *left, uint64_t jails) {
    bool is_waited = false;
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct desk_source *source = &desk->sources[i];
        if (!source->is_there || source->position.is_known ||
            !(desk->decider->jails_of_source[i] & jails))
            continue;
        is_waited = true;
        if (left->read_until_us && left->read_until_us + CLOCKS_APART_US > source->takes_over_us)
            source->takes_over_us = left->read_until_us + CLOCKS_APART_US;
    }
    return is_waited;
}

void desk_forget_left_sources(struct desk *desk) {
    for (size_t k = 0; k < desk->stored.count; k++) {
        struct row_position *stored = &desk->stored.at[k];
        bool is_read = false;
        uint64_t jails = stored->is_gone ? 0 : jails_that_left(desk, stored, &is_read);
        if (!jails || is_waited_for(desk, stored, jails) || is_read)
            continue;
        log_notice("%s is no longer read: its jails read the other of file and journal",
                   stored->source);
        stored->is_gone = true;
        struct row_position *row = rows_add(&desk->batch->positions);
        memcpy(row->source, stored->source, sizeof(row->source));
        row->is_gone = true;
        desk_changed(desk);
    }
}

bool desk_is_memory(const struct desk_source *source, const struct wire_event *event) {
    return event->line_end <= source->position.mark &&
           !(source->takes_over_us && event->at_us > source->takes_over_us);
}

void desk_note_read(struct desk_source *source, const struct wire_event *event, int64_t now_us) {
    int64_t at_us = event->at_us < now_us ? event->at_us : now_us;
    if (at_us > source->read_until_us)
        source->read_until_us = at_us;
}
