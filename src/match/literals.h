/* Which bytes a regex cannot do without.
 *
 * From an expanded PCRE pattern, a set of literals of at least three bytes such that every text
 * the pattern matches contains at least one of them. The prefilter looks for these over a whole
 * batch; it may only ever say "perhaps", so whatever the reader does not understand gives no set.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

enum { LITERALS_MAX = 24, LITERAL_LENGTH_MAX = 64, LITERAL_LENGTH_MIN = 3 };

struct literal {
    char at[LITERAL_LENGTH_MAX];
    uint8_t length;
    bool folds_case;
};

struct literal_set {
    struct literal at[LITERALS_MAX];
    uint32_t count; /* 0: no such set */
};

/* `at_text_start`: what the pattern matches may begin where a date was cut out of the line, so the
 * first literal's leading non-word bytes are left out (stamp.h: up to two may stand before a date
 * and would not be neighbours of the rest in the raw line). */
struct literal_set literals_of(struct span pattern, bool at_text_start);

/* The better requirement: longer shortest literal, then fewer. */
bool literal_set_is_better(const struct literal_set *a, const struct literal_set *b);

/* Both needed sets as one ("either of the patterns");
 * no set if either has none or it is too big. */
struct literal_set literal_set_either(const struct literal_set *a, const struct literal_set *b);

/* Does the text hold one of them? Slow: for what the prefilter was not asked. */
bool literal_set_is_in(const struct literal_set *set, struct span text);
