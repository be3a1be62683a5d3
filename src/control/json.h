/* JSON, as much of it as questions and answers need; a thin face over jansson, so that one folder
 * knows it. Getters on something missing or of another type answer the given default.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"

typedef struct json_t js; /* owned by whoever made it, until given to js_set() or js_append() */

js *js_object(void);
js *js_array(void);
js *js_free(js *value);
void js_free_at(js **value);
#define cleanup_js at_scope_end(js_free_at)

void js_set(js *object, const char *key, js *value);               /* takes value */
void js_set_text(js *object, const char *key, struct span text);   /* bad UTF-8 is replaced */
void js_set_string(js *object, const char *key, const char *text); /* NULL: null */
void js_set_number(js *object, const char *key, int64_t value);
void js_set_flag(js *object, const char *key, bool value);
void js_set_time(js *object, const char *key, int64_t at_us); /* RFC 3339; 0: null */
void js_append(js *array, js *value);                         /* takes value */
void js_append_string(js *array, const char *text);

const js *js_get(const js *object, const char *key);
const char *js_string(const js *object, const char *key, const char *otherwise);
int64_t js_number(const js *object, const char *key, int64_t otherwise);
bool js_flag(const js *object, const char *key, bool otherwise);
size_t js_count(const js *array);
const js *js_at(const js *array, size_t index);
const char *js_at_string(const js *array, size_t index, const char *otherwise);

/* Parses one object of at most `bytes`; NULL when it is none. */
js *js_parse(struct span bytes);
/* Escapes every text in it that a terminal would obey (base/text.h, text_add_safe). */
void js_make_safe(js *value);
void js_write(const js *value, bool is_pretty, struct text *text);
js *js_copy(const js *value);
