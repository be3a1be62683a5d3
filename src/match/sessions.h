/* Line sessions: one connection told over several lines (fail2ban's <F-MLFID>).
 *
 * A filter whose patterns capture `mlfid` has its matches collected per such id: addresses, users
 * and names of earlier lines complete later ones, auxiliary lines (`nofail`) are no failures of
 * their own, a line that sums up (`attempts`, `summary`) is silent where its session has told as
 * many, a line that means something after a failure only (`again`) is silent without one, a line
 * that puts the blame elsewhere (`void`) silences its session for the rest of its life, a success
 * (`mlfgained`) drops what was pending unless several names were tried.
 *
 * A session ends with `mlfforget`, with a success or a delivery, or when a line of its own is more
 * than five minutes of log time younger than its last. Only what its lines say counts, and nothing
 * from before the first of them: reading again from there gives the same sessions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/table.h"
#include "match/rules.h"
#include "wire/wire.h"

enum { SESSIONS_MAX = 2000 };
#define SESSION_LIFE_US (300 * INT64_C(1000000))

struct sessions;

struct sessions *sessions_new(void);
struct sessions *sessions_free(struct sessions *sessions);

/* How many are held. */
uint32_t sessions_count(const struct sessions *sessions);

/* Folds one match into its session. *event holds what this line alone says (address, account…,
 * kind EVENT_FAILURE); `line_start` is where the line begins. True: *event, completed, is a fact to
 * be told. False: it was auxiliary, or told already, or is still waiting for its address. */
bool sessions_fold(struct sessions *sessions, uint16_t filter, const struct rule_match *match,
                   uint64_t line_start, struct wire_event *event);

/* A success or delivery that leaves out who it was: fills *event from the lines before it, then
 * forgets them. The account only where no other one was tried. */
void sessions_complete(struct sessions *sessions, uint16_t filter, struct span id,
                       struct wire_event *event);

/* Forgets a session: its login succeeded, and the line itself says from where. */
void sessions_end(struct sessions *sessions, uint16_t filter, struct span id);

/* Makes room: forgets what ended before that log time. Called now and then; what has ended counts
 * no more before it is forgotten. */
void sessions_sweep(struct sessions *sessions, int64_t log_time_us);

/* Start of the oldest line still held; `otherwise` when none is older. */
uint64_t sessions_oldest(struct sessions *sessions, uint64_t otherwise);
