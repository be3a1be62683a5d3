/* What stands beside a source in its tests: hauberkd, who is asked for files, and the decider, who
 * keeps the positions, commits some of them and forgets the rest at a restart. The test answers the
 * questions and says what a line is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "sources/source.h"

enum { REQUESTS = 256, STARTS = 8 };

struct request {
    bool is_list;
    uint16_t sibling;
    uint32_t ticket;
};

extern struct beside {
    struct request requests[REQUESTS];
    uint32_t request_count;
    struct wire_sibling listed[SIBLINGS_MAX]; /* newest first */
    uint32_t listed_count;
    bool sight_is_due;       /* told, not yet committed */
    uint64_t starts[STARTS]; /* of lines lately told, oldest first: what a session may hold */
    uint32_t start_count;
    struct wire_position position, committed;
    uint64_t lost, committed_lost;
} beside;

/* Nothing asked, nothing known, nothing noted. */
void beside_begin(void);

/* What a restart of the sensor leaves: what was committed. */
void beside_restart(void);

/* For struct source_calls. */
void beside_ask_open(void *context, uint16_t sibling, uint32_t ticket);
void beside_ask_list(void *context);
void beside_tell_sight(void *context, uint64_t mark, uint64_t start, struct span identity);

/* Takes the oldest question; false: there is none. */
bool beside_next_request(struct request *ret_request);

/* Puts `listed` into its order. */
void beside_sort_listed(void);

/* Where a line begins that was just told. */
void beside_note_start(uint64_t start);

/* The position is committed now; true when that was the first sight's. */
bool beside_commit(void);

/* ---- plays ---- */

/* What was done, for the message of a test that fails. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern char trail[1 << 16];

/* Plays number 1 to `last`, or $HAUBERK_PLAYS of them, or $HAUBERK_SEED alone. */
void play_all(int64_t last, void (*play)(uint64_t number));
