/* A text that grows, with a sticky error: append freely, check once with text_finish(). Untrusted
 * bytes go in through a quoting mode; there is none for the shell, because nothing of ours talks
 * to one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

struct text {
    char *at; /* NUL-terminated when not NULL; owned */
    size_t length, room;
    int error; /* 0 or the first -errno; later appends do nothing */
};

void text_free(struct text *text); /* leaves an empty text; NULL is fine */
#define cleanup_text at_scope_end(text_free)

void text_clear(struct text *text); /* empty again, the memory is kept, the error forgotten */
void text_add(struct text *text, struct span bytes);
void text_add_string(struct text *text, const char *string);
void text_add_char(struct text *text, char c);
void text_add_format(struct text *text, const char *format, ...) prints(2, 3);

/* Log-safe: printable ASCII and well-formed UTF-8 as they are, everything else (control characters,
 * stray bytes, the backslash) as \xHH. Bidirectional and zero-width controls are escaped too, so
 * that what a terminal shows is what is there. */
void text_add_safe(struct text *text, struct span bytes);

/* A JSON string with its quotes (RFC 8259); what is not well-formed UTF-8 becomes U+FFFD, one for
 * each byte. */
void text_add_json(struct text *text, struct span bytes);

/* The same for text of ours and for what was made safe before: the backslash stays what it is. */
void text_add_visible(struct text *text, struct span bytes);

/* For between tags and in a quoted attribute of HTML; what is not well-formed UTF-8, and what a
 * reader would not see, as in text_add_visible(). */
void text_add_html(struct text *text, struct span bytes);

/* text_add_safe() into a fixed array of `room` bytes, cut at a whole escape; returns the length.
 * Always NUL-terminated; room >= 1. */
size_t safe_copy(char *into, size_t room, struct span bytes);

/* The text as a span; .at == NULL after an error (see text->error). */
struct span text_span(const struct text *text);

/* Hands the NUL-terminated text to the caller and leaves *text empty.
 * NULL after an error or when nothing was appended. */
char *text_take(struct text *text);
