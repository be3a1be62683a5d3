/* The text builder: see text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void text_free(struct text *text) {
    if (!text)
        return;
    free(text->at);
    *text = (struct text){0};
}

void text_clear(struct text *text) {
    text->length = 0;
    text->error = 0;
    if (text->at)
        text->at[0] = '\0';
}

static bool text_reserve(struct text *text, size_t more) {
    if (text->error)
        return false;
    size_t needed = text->length + more + 1;
    if (needed <= text->room)
        return true;
    size_t room = text->room ? text->room : 128;
    while (room < needed)
        room *= 2;
    char *at = realloc(text->at, room);
    if (!at) {
        text->error = -ENOMEM;
        return false;
    }
    text->at = at;
    text->room = room;
    return true;
}

void text_add(struct text *text, struct span bytes) {
    if (!text_reserve(text, bytes.length))
        return;
    if (bytes.length)
        memcpy(text->at + text->length, bytes.at, bytes.length);
    text->length += bytes.length;
    text->at[text->length] = '\0';
}

void text_add_string(struct text *text, const char *string) {
    text_add(text, span_of(string));
}

void text_add_char(struct text *text, char c) {
    text_add(text, (struct span){&c, 1});
}

void text_add_format(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    must(length >= 0);
    if (text_reserve(text, (size_t)length)) {
        vsnprintf(text->at + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

/* Length of the well-formed UTF-8 sequence of two bytes or more at the head of bytes, 0 if there
 * is none. Rejects overlong forms, surrogates and what lies beyond U+10FFFF. */
static size_t utf8_decode(struct span bytes, uint32_t *ret_code) {
    unsigned char first = (unsigned char)bytes.at[0];
    size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                    : first >= 0xe0 && first <= 0xef ? 3
                    : first >= 0xf0 && first <= 0xf4 ? 4
                                                     : 0;
    if (length == 0 || length > bytes.length)
        return 0;
    uint32_t code = first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        unsigned char next = (unsigned char)bytes.at[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

/* The same, but 0 also for what may not be shown: C1 controls and the invisible controls U+061C,
 * U+180E, U+200B-U+200F, U+2028-U+202E, U+2060-U+2069, U+FEFF and the tags U+E0000-U+E007F. */
static size_t utf8_sequence(struct span bytes) {
    uint32_t code = 0;
    size_t length = utf8_decode(bytes, &code);
    if (length == 0)
        return 0;
    if (code <= 0x9f || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
        (code >= 0x2060 && code <= 0x2069) || code == 0xfeff || code == 0x061c || code == 0x180e ||
        (code >= 0xe0000 && code <= 0xe007f))
        return 0;
    return length;
}

/* Copies or escapes the character at the head of *bytes into piece (at most 4 bytes), moves *bytes
 * on, and returns the piece's length. */
static size_t safe_piece(struct span *bytes, char piece[5]) {
    unsigned char c = (unsigned char)bytes->at[0];
    size_t taken = 1;
    size_t made = 1;
    if (c >= 0x20 && c < 0x7f && c != '\\') {
        piece[0] = (char)c;
    } else if ((taken = made = utf8_sequence(*bytes)) > 0) {
        memcpy(piece, bytes->at, made);
    } else {
        taken = 1;
        made = 4;
        snprintf(piece, 5, "\\x%02x", c);
    }
    *bytes = span_skip(*bytes, taken);
    return made;
}

void text_add_safe(struct text *text, struct span bytes) {
    char piece[5];
    while (bytes.length > 0) {
        size_t made = safe_piece(&bytes, piece);
        text_add(text, (struct span){piece, made});
    }
}

void text_add_json(struct text *text, struct span bytes) {
    text_add_char(text, '"');
    while (bytes.length > 0) {
        unsigned char c = (unsigned char)bytes.at[0];
        uint32_t code = 0;
        size_t taken = c < 0x80 ? 1 : utf8_decode(bytes, &code);
        if (c == '"' || c == '\\')
            text_add_format(text, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            text_add_format(text, "\\u%04x", c);
        else if (taken == 0)
            text_add_string(text, "\xef\xbf\xbd");
        else
            text_add(text, (struct span){bytes.at, taken});
        bytes = span_skip(bytes, taken ? taken : 1);
    }
    text_add_char(text, '"');
}

void text_add_visible(struct text *text, struct span bytes) {
    while (bytes.length > 0) {
        const char *backslash = memchr(bytes.at, '\\', bytes.length);
        size_t length = backslash ? (size_t)(backslash - bytes.at) : bytes.length;
        text_add_safe(text, (struct span){bytes.at, length});
        if (backslash)
            text_add_char(text, '\\');
        bytes = span_skip(bytes, length + (backslash != NULL));
    }
}

void text_add_html(struct text *text, struct span bytes) {
    cleanup_text struct text safe = {0};
    text_add_visible(&safe, bytes);
    for (size_t i = 0; i < safe.length; i++) {
        const char *entity = safe.at[i] == '&'   ? "&amp;"
                             : safe.at[i] == '<' ? "&lt;"
                             : safe.at[i] == '>' ? "&gt;"
                             : safe.at[i] == '"' ? "&quot;"
                                                 : NULL;
        if (entity)
            text_add_string(text, entity);
        else
            text_add_char(text, safe.at[i]);
    }
    if (safe.error && !text->error)
        text->error = safe.error;
}

size_t safe_copy(char *into, size_t room, struct span bytes) {
    char piece[5];
    size_t length = 0;
    while (bytes.length > 0) {
        size_t made = safe_piece(&bytes, piece);
        if (length + made >= room)
            break;
        memcpy(into + length, piece, made);
        length += made;
    }
    into[length] = '\0';
    return length;
}

struct span text_span(const struct text *text) {
    if (text->error)
        return (struct span){NULL, 0};
    return (struct span){text->at ? text->at : "", text->length};
}

char *text_take(struct text *text) {
    char *taken = text->error ? NULL : take_pointer(text->at);
    text_free(text);
    return taken;
}
