/* JSON: see json.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/json.h"

#include <jansson.h>

#include "base/clock.h"

js *js_object(void) {
    js *value = json_object();
    must(value);
    return value;
}

js *js_array(void) {
    js *value = json_array();
    must(value);
    return value;
}

js *js_free(js *value) {
    json_decref(value);
    return NULL;
}

void js_free_at(js **value) {
    *value = js_free(*value);
}

void js_set(js *object, const char *key, js *value) {
    must(json_object_set_new(object, key, value) == 0);
}

/* Log text has been escaped at the border, so it is UTF-8; a path may be anything. */
static js *text_value(struct span text) {
    js *value = json_stringn(text.at ? text.at : "", text.length);
    if (value)
        return value;
    cleanup_text struct text safe = {0};
    text_add_safe(&safe, text);
    value = json_stringn(safe.at ? safe.at : "", safe.length);
    must(value);
    return value;
}

void js_set_text(js *object, const char *key, struct span text) {
    js_set(object, key, text_value(text));
}

void js_set_string(js *object, const char *key, const char *text) {
    js_set(object, key, text ? text_value(span_of(text)) : json_null());
}

void js_set_number(js *object, const char *key, int64_t value) {
    js_set(object, key, json_integer(value));
}

void js_set_flag(js *object, const char *key, bool value) {
    js_set(object, key, json_boolean(value));
}

void js_set_time(js *object, const char *key, int64_t at_us) {
    char text[CLOCK_TEXT_MAX];
    js_set_string(object, key, at_us > 0 ? clock_format_utc(at_us, text) : NULL);
}

void js_append(js *array, js *value) {
    must(json_array_append_new(array, value) == 0);
}

void js_append_string(js *array, const char *text) {
    js_append(array, text_value(span_of(text)));
}

const js *js_get(const js *object, const char *key) {
    return json_object_get(object, key);
}

const char *js_string(const js *object, const char *key, const char *otherwise) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

int64_t js_number(const js *object, const char *key, int64_t otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool js_flag(const js *object, const char *key, bool otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

size_t js_count(const js *array) {
    return json_array_size(array);
}

const js *js_at(const js *array, size_t index) {
    return json_array_get(array, index);
}

const char *js_at_string(const js *array, size_t index, const char *otherwise) {
    const char *text = json_string_value(json_array_get(array, index));
    return text ? text : otherwise;
}

js *js_parse(struct span bytes) {
    json_t *value = json_loadb(bytes.at, bytes.length, JSON_REJECT_DUPLICATES, NULL);
    if (value && !json_is_object(value)) {
        json_decref(value);
        value = NULL;
    }
    return value;
}

static bool is_plain(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f || (unsigned char)*text >= 0x80)
            return false;
    return true;
}

void js_make_safe(js *value) {
    const char *key;
    json_t *inner;
    size_t index;
    if (json_is_string(value) && !is_plain(json_string_value(value))) {
        cleanup_text struct text safe = {0};
        struct span left = {json_string_value(value), json_string_length(value)};
        while (left.length > 0) { /* a backslash is of an escape made before: it stays */
            const char *backslash = memchr(left.at, '\\', left.length);
            size_t length = backslash ? (size_t)(backslash - left.at) : left.length;
            text_add_safe(&safe, (struct span){left.at, length});
            if (backslash)
                text_add_char(&safe, '\\');
            left = span_skip(left, length + (backslash ? 1 : 0));
        }
        must(json_string_setn(value, safe.at ? safe.at : "", safe.length) == 0);
    }
    json_object_foreach(value, key, inner)
        js_make_safe(inner);
    json_array_foreach(value, index, inner)
        js_make_safe(inner);
}

static int write_piece(const char *bytes, size_t length, void *context) {
    text_add(context, (struct span){bytes, length});
    return 0;
}

void js_write(const js *value, bool is_pretty, struct text *text) {
    size_t flags = JSON_ENCODE_ANY | (is_pretty ? JSON_INDENT(2) : JSON_COMPACT);
    must(json_dump_callback(value, write_piece, text, flags) == 0);
}

js *js_copy(const js *value) {
    js *copy = json_deep_copy(value);
    must(copy);
    return copy;
}
