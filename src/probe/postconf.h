/* What Postfix's postconf(1) prints, for the probes that ask it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/probe.h"

/* Appends what `postconf WHAT` prints; complaint (may be NULL): its warnings. 0, or -errno, or its
 * exit status; the first failure is said for the whole probe. */
must_use int postconf_ask(struct look *look, const char *what, struct text *output,
                          struct text *complaint);

/* The value of NAME in lines of "NAME = VALUE"; at == NULL when there is none. */
struct span postconf_value(struct span lines, struct span name);

/* The next word of a restriction list or a list of tables: blanks and commas separate, {…} is one
 * word. False at the end. */
bool postconf_next_word(struct span *list, struct span *ret_word);
