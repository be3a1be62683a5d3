/* Places: see place.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/place.h"

#include <errno.h>
#include <stdlib.h>

struct cursor {
    struct span sequence, boot, hash, realtime;
    uint64_t number, monotonic;
    bool is_known;
};

static bool hexadecimal(struct span text, uint64_t *ret_number) {
    uint64_t number = 0;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit > 15 || number >> 60)
            return false;
        number = number << 4 | digit;
    }
    *ret_number = number;
    return text.length > 0;
}

static struct cursor take_apart(const struct place *place) {
    struct span left = {place->cursor, place->cursor_length};
    struct cursor cursor = {0};
    bool has_number = false;
    bool has_monotonic = false;
    while (left.at && left.length > 0) {
        struct span value = span_cut(&left, ';');
        struct span key = span_cut(&value, '=');
        if (!value.at)
            continue;
        if (span_is(key, "s"))
            cursor.sequence = value;
        else if (span_is(key, "b"))
            cursor.boot = value;
        else if (span_is(key, "x"))
            cursor.hash = value;
        else if (span_is(key, "t"))
            cursor.realtime = value;
        else if (span_is(key, "i"))
            has_number = hexadecimal(value, &cursor.number);
        else if (span_is(key, "m"))
            has_monotonic = hexadecimal(value, &cursor.monotonic);
    }
    cursor.is_known = has_number && has_monotonic && cursor.sequence.length > 0 &&
                      cursor.boot.length > 0 && cursor.hash.length > 0;
    return cursor;
}

struct place place_from(struct span bytes) {
    struct place place = {0};
    if (bytes.length == sizeof(place))
        memcpy(&place, bytes.at, sizeof(place));
    if (place.version != PLACE_VERSION || place.cursor_length > PLACE_CURSOR_MAX)
        place = (struct place){0};
    place.cursor[place.cursor_length] = '\0';
    return place;
}

int place_take(sd_journal *journal, struct place *place) {
    char *cursor = NULL;
    uint64_t at_us = 0;
    int error = sd_journal_get_realtime_usec(journal, &at_us);
    if (error >= 0)
        error = sd_journal_get_cursor(journal, &cursor);
    if (error < 0)
        return error;
    size_t length = strlen(cursor);
    if (length <= PLACE_CURSOR_MAX) {
        place->version = PLACE_VERSION;
        place->at_us = at_us < INT64_MAX ? (int64_t)at_us : INT64_MAX;
        place->cursor_length = (uint32_t)length;
        memset(place->cursor, 0, sizeof(place->cursor)); /* equal places, equal bytes */
        memcpy(place->cursor, cursor, length);
    }
    free(cursor);
    return length <= PLACE_CURSOR_MAX ? 0 : -E2BIG;
}

bool place_is_same(const struct place *a, const struct place *b) {
    struct cursor one = take_apart(a);
    struct cursor other = take_apart(b);
    if (!one.is_known || !other.is_known)
        return span_equals((struct span){a->cursor, a->cursor_length},
                           (struct span){b->cursor, b->cursor_length});
    return one.monotonic == other.monotonic && span_equals(one.boot, other.boot) &&
           span_equals(one.realtime, other.realtime) && span_equals(one.hash, other.hash);
}

bool place_is_after(const struct place *place, const struct place *than) {
    struct cursor one = take_apart(place);
    struct cursor other = take_apart(than);
    if (than->cursor_length == 0)
        return true;
    if (place_is_same(place, than))
        return false;
    if (one.is_known && other.is_known && span_equals(one.sequence, other.sequence))
        return one.number > other.number;
    if (one.is_known && other.is_known && span_equals(one.boot, other.boot))
        return one.monotonic >= other.monotonic;
    return place->at_us >= than->at_us;
}

uint64_t place_distance(const struct place *from, const struct place *to) {
    struct cursor one = take_apart(from);
    struct cursor other = take_apart(to);
    if (one.is_known && other.is_known && span_equals(one.sequence, other.sequence) &&
        other.number > one.number + 1)
        return other.number - one.number - 1;
    return 1;
}
