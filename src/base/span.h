/* A borrowed run of bytes, passed by value. No NUL is assumed: log lines may hold anything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct span {
    const char *at;
    size_t length;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_FORMAT(span) (int)(span).length, (span).at /* for "%.*s" */

static inline struct span span_of(const char *text) {
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equals(struct span a, struct span b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

static inline bool span_is(struct span a, const char *text) {
    return span_equals(a, span_of(text));
}

bool span_starts_with(struct span text, struct span head);

/* What is left after `count` bytes; empty if there are fewer. */
struct span span_skip(struct span text, size_t count);

/* Without blanks (space, tab, carriage return, newline) at both ends. */
struct span span_trim(struct span text);

/* Cuts the part before the first `separator` off *text and returns it; *text then begins behind
 * the separator. Without a separator the whole is returned and *text is empty with at == NULL. */
struct span span_cut(struct span *text, char separator);

/* The next blank-separated word of *text, empty when there is none. */
struct span span_word(struct span *text);

/* A decimal number that fills the span and lies in [least, most].
 * -EINVAL: not a number; -ERANGE: outside. */
must_use int span_to_integer(struct span text, int64_t least, int64_t most, int64_t *ret_value);

/* A NUL-terminated copy, owned by the caller; NULL when out of memory. */
char *span_copy(struct span text);

/* Number of single-character edits between a and b (Levenshtein), for "did you mean". Texts over
 * 64 bytes are taken as unlike. */
unsigned span_distance(struct span a, struct span b);
