/* Asking postconf and taking apart what it says.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/postconf.h"

#include "probe/words.h"

int postconf_ask(struct look *look, const char *what, struct text *output, struct text *complaint) {
    cleanup_text struct text own = {0};
    struct text *said = complaint ? complaint : &own;
    const char *const arguments[] = {"postconf", what, NULL};
    int status = look_run(look, arguments, output, said);
    if (status < 0)
        look_say_not(look, NULL, "postconf %s: %s", what, strerror(-status));
    else if (status > 0)
        look_say_not(look, NULL, "postconf %s: %.300s", what,
                     said->length ? said->at : "it failed without a word");
    return status;
}

struct span postconf_value(struct span lines, struct span name) {
    struct span line;
    while (next_line(&lines, &line))
        if (span_equals(cut_key(&line), name))
            return line.at ? line : SPAN("");
    return (struct span){0};
}

static bool separates(char c) {
    return c == ' ' || c == '\t' || c == ',' || c == '\n' || c == '\r';
}

bool postconf_next_word(struct span *list, struct span *ret_word) {
    size_t length = 0;
    int depth = 0;
    while (list->length > 0 && separates(list->at[0]))
        *list = span_skip(*list, 1);
    for (; length < list->length && (depth > 0 || !separates(list->at[length])); length++)
        depth += list->at[length] == '{' ? 1 : list->at[length] == '}' && depth > 0 ? -1 : 0;
    *ret_word = (struct span){list->at, length};
    *list = span_skip(*list, length);
    return length > 0;
}
