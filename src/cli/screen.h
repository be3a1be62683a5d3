/* The terminal, taken over for a view that is drawn again and again, and given back as it was.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"

/* Can there be a view: standard output is a terminal that knows more than lines. */
bool screen_is_there(void);

/* Takes the terminal: its second page, no cursor, keys as they are pressed and not shown. */
void screen_enter(void);
/* Gives it back; fine when it was not taken. */
void screen_leave(void);

void screen_size(unsigned *ret_columns, unsigned *ret_lines);

/* Shows these lines, separated by newlines, from the top; the rest of the page is empty. */
void screen_show(const struct text *lines);
