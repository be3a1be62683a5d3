/* Spans: see span.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/span.h"

#include <errno.h>

bool span_starts_with(struct span text, struct span head) {
    return text.length >= head.length && memcmp(text.at, head.at, head.length) == 0;
}

struct span span_skip(struct span text, size_t count) {
    if (count > text.length)
        count = text.length;
    return (struct span){text.at + count, text.length - count};
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct span span_trim(struct span text) {
    while (text.length > 0 && is_blank(text.at[0]))
        text = span_skip(text, 1);
    while (text.length > 0 && is_blank(text.at[text.length - 1]))
        text.length--;
    return text;
}

struct span span_cut(struct span *text, char separator) {
    const char *found = text->length ? memchr(text->at, separator, text->length) : NULL;
    struct span head = *text;
    if (!found) {
        *text = (struct span){NULL, 0};
        return head;
    }
    head.length = (size_t)(found - text->at);
    *text = span_skip(*text, head.length + 1);
    return head;
}

struct span span_word(struct span *text) {
    while (text->length > 0 && is_blank(text->at[0]))
        *text = span_skip(*text, 1);
    struct span word = {text->at, 0};
    while (word.length < text->length && !is_blank(text->at[word.length]))
        word.length++;
    *text = span_skip(*text, word.length);
    return word;
}

int span_to_integer(struct span text, int64_t least, int64_t most, int64_t *ret_value) {
    bool negative = text.length > 0 && text.at[0] == '-';
    if (negative)
        text = span_skip(text, 1);
    if (text.length == 0)
        return -EINVAL;
    int64_t value = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.at[i] - '0', &value))
            return -ERANGE;
    }
    if (negative)
        value = -value;
    if (value < least || value > most)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

char *span_copy(struct span text) {
    char *copy = malloc(text.length + 1);
    if (!copy)
        return NULL;
    if (text.length)
        memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    return copy;
}

unsigned span_distance(struct span a, struct span b) {
    enum { LONGEST = 64 };
    if (a.length > LONGEST || b.length > LONGEST)
        return LONGEST;
    unsigned row[LONGEST + 1];
    for (unsigned j = 0; j <= b.length; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.length; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.length; j++) {
            unsigned best = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.length];
}
