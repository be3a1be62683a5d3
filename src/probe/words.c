/* Readers of lines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/words.h"

bool next_line(struct span *text, struct span *ret_line) {
    while (text->length > 0) {
        struct span line = span_trim(span_cut(text, '\n'));
        if (line.length > 0 && line.at[0] != '#') {
            *ret_line = line;
            return true;
        }
    }
    return false;
}

static struct span without_quotes(struct span value) {
    bool is_quoted = value.length >= 2 && (value.at[0] == '"' || value.at[0] == '\'') &&
                     value.at[value.length - 1] == value.at[0];
    return is_quoted ? (struct span){value.at + 1, value.length - 2} : value;
}

bool shell_value(struct span text, const char *name, char *into, size_t room) {
    struct span line;
    bool is_found = false;
    while (next_line(&text, &line)) {
        struct span key = span_cut(&line, '=');
        struct span value = without_quotes(span_trim(line));
        if (!line.at || !span_is(span_trim(key), name) || value.length >= room)
            continue;
        memcpy(into, value.at, value.length);
        into[value.length] = '\0';
        is_found = true;
    }
    return is_found;
}

struct span cut_key(struct span *line) {
    size_t length = 0;
    while (length < line->length && !strchr(" \t=", line->at[length]))
        length++;
    struct span key = {line->at, length};
    struct span rest = span_trim(span_skip(*line, length));
    if (rest.length > 0 && rest.at[0] == '=')
        rest = span_trim(span_skip(rest, 1));
    *line = rest;
    return key;
}

bool may_log_in(const char *shell) {
    static const char *const refusing[] = {"nologin", "false", "true", "sync", "halt", "shutdown"};
    const char *name = strrchr(shell, '/');
    for (size_t i = 0; name && i < ELEMENTS_OF(refusing); i++)
        if (strcmp(name + 1, refusing[i]) == 0)
            return false;
    return true;
}
