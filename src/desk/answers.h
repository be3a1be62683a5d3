/* Inside the desk: what the answering files share. Each word takes a question and answers it with
 * rows and one end, now or when the store or the kernel has answered.
 *
 *   words.c    bans, watch, and the table of words
 *   status.c   status
 *   change.c   ban, unban, pause, reload: what a person changes
 *   why.c      why
 *   telling.c  notify
 *   first.c    first (status --first)
 *   sparing.c  trust, untrust, trusted
 *   forget.c   forget
 *   logins.c   logins
 *   selftest.c selftest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "desk/desk.h"

void desk_word_status(struct desk *desk, const struct question *question);
void desk_word_ban(struct desk *desk, const struct question *question);
void desk_word_unban(struct desk *desk, const struct question *question);
void desk_word_pause(struct desk *desk, const struct question *question);
void desk_word_reload(struct desk *desk, const struct question *question);
void desk_word_why(struct desk *desk, const struct question *question);
void desk_word_notify(struct desk *desk, const struct question *question);
void desk_word_logins(struct desk *desk, const struct question *question);

js *desk_status_telling(const struct desk *desk);
/* Is one of its logs being read (or does it need none). */
bool desk_jail_is_read(const struct desk *desk, uint32_t jail);

js *desk_status_jails(const struct desk *desk); /* without the selftest's */
js *desk_status_sources(const struct desk *desk);

/* A ban as a row of an answer; the caller owns it. */
js *desk_ban_row(const struct desk *desk, const struct ban *ban);

/* Is what we decided in force: NULL, or why it is not. */
const char *desk_why_not_effective(const struct desk *desk);
/* The same, when it is not, with the time it lasts where there is one. */
enum { WHY_NOT_MAX = 160 };
const char *desk_describe_why_not(const struct desk *desk, char into[WHY_NOT_MAX]);
