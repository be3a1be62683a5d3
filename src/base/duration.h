/* Durations as fail2ban's configuration writes them, and as people read them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

/* "600", "10m", "1d 12h", "1d12h", "90 minutes", "2w", "-1" (permanent, kept as -1), "1h * 2".
 * Units s, m, h, d, w, mo (30.4375 d), y (365.25 d) and their long names; adjacent groups are
 * added; + - * / and parentheses as fail2ban's str2seconds evaluates them. Whole seconds.
 * -EINVAL: not a duration; -ERANGE: over 1000 years. */
must_use int duration_parse(struct span text, int64_t *ret_seconds);

/* The two largest units: "41 s", "2 h", "1 h 58 m", "7 d"; -1 as "ever". */
#define DURATION_TEXT_MAX 48
const char *duration_format(int64_t seconds, char into[DURATION_TEXT_MAX]);
