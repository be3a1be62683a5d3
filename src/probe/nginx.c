/* A statement ends with ';', a block opens with '{'; both may be hidden in quotes, and '#' begins a
 * comment where a word may begin. Debian's nginx.conf includes what is read here, and its sites
 * what they like of the snippets; what lies elsewhere is not followed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/nginx.h"

#include <glob.h>

#include "base/text.h"
#include "probe/probe.h"

enum { DEPTH_MOST = 32 };

struct reader {
    struct span text;
    size_t at;
    int line;
    struct span blocks[DEPTH_MOST];
    size_t depth;
};

/* Moves on to the end of a statement or block head; its text, without comments, goes to
 * `statement`. Returns what ended it: ';', '{', '}', or 0 at the end. */
static char next_end(struct reader *reader, struct text *statement, int *ret_line) {
    char quote = 0;
    char last = 0;
    *ret_line = reader->line;
    while (reader->at < reader->text.length) {
        char c = reader->text.at[reader->at++];
        bool begins = statement->length == 0 || statement->at[statement->length - 1] == ' ';
        bool is_variable = last == '$' && c == '{';
        bool is_plain = last == '\\'; /* what a backslash stands before means nothing */
        last = is_plain ? 0 : c;
        if (c == '\n')
            reader->line++;
        if (is_plain) {
            /* as it is */
        } else if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '#' && begins) {
            while (reader->at < reader->text.length && reader->text.at[reader->at] != '\n')
                reader->at++;
            continue;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == ';' || (c == '}' && begins) || (c == '{' && !is_variable)) {
            return c;
        } else if (strchr(" \t\r\n", c)) {
            if (!begins)
                text_add_char(statement, ' ');
            continue;
        }
        if (statement->length == 0)
            *ret_line = reader->line;
        text_add_char(statement, c);
    }
    return 0;
}

void nginx_read_text(const char *file, struct span text,
                     void (*each)(void *context, const struct nginx_statement *statement),
                     void *context) {
    struct reader reader = {.text = text, .line = 1};
    char heads[DEPTH_MOST][40];
    char end;
    do {
        cleanup_text struct text words = {0};
        int line;
        end = next_end(&reader, &words, &line);
        struct span rest = text_span(&words);
        struct span name = span_word(&rest);
        if (end == '{' && reader.depth < DEPTH_MOST) {
            size_t length = name.length < sizeof(heads[0]) ? name.length : sizeof(heads[0]);
            if (length > 0)
                memcpy(heads[reader.depth], name.at, length);
            reader.blocks[reader.depth] = (struct span){heads[reader.depth], length};
            reader.depth++;
        } else if (end == '}' && reader.depth > 0) {
            reader.depth--;
        } else if (end == ';' && name.length > 0) {
            struct nginx_statement statement = {
                .file = file, .line = line, .name = name, .value = span_trim(rest),
                .block = reader.depth ? reader.blocks[reader.depth - 1] : SPAN("")};
            each(context, &statement);
        }
    } while (end);
}

bool nginx_read(void (*each)(void *context, const struct nginx_statement *statement),
                void *context) {
    static const char *const patterns[] = {"/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*.conf",
                                           "/etc/nginx/sites-enabled/*",
                                           "/etc/nginx/snippets/*.conf"};
    bool is_read = false;
    for (size_t i = 0; i < ELEMENTS_OF(patterns); i++) {
        glob_t found;
        if (glob(patterns[i], 0, NULL, &found) != 0)
            continue;
        for (size_t j = 0; j < found.gl_pathc; j++) {
            cleanup_text struct text text = {0};
            if (look_file(found.gl_pathv[j], &text) < 0)
                continue;
            is_read |= i == 0;
            nginx_read_text(found.gl_pathv[j], text_span(&text), each, context);
        }
        globfree(&found);
    }
    return is_read;
}
