/* What `hauberk live` shows: of what hauberkd tells, the state, the jails with their rates, the
 * last bans and the last events, as lines of text. It knows no terminal and no socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "control/json.h"

struct view;

struct view *view_new(void);
struct view *view_free(struct view *view);

/* A row of hauberkd's: an event, a ban, or an answer to `status`. Others are ignored. */
void view_take(struct view *view, const js *row, int64_t now_us);

/* hauberkd has gone (a restart, mostly); over with the next row. */
void view_lose(struct view *view);

/* At most so many lines of at most so many columns, the first in bold (or red, when the bans are
 * not in force); appended to `lines`. */
void view_draw(const struct view *view, unsigned columns, unsigned lines_most, int64_t now_us,
               struct text *lines);

/* One event or ban as a line, without its newline; nothing of other rows. */
void view_format_line(const js *row, int64_t now_us, struct text *into);
