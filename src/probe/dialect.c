/* The five dialects side by side: each greets, answers a question in lines, and ends the answer in
 * a way of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/dialect.h"

#include <errno.h>
#include <strings.h>

#include "probe/words.h"

const char *const dialect_names[DIALECTS] = {"tls", "smtp", "imap", "pop3", "sieve"};

enum { ANSWER_MOST_LINES = 200 };

static bool starts_with(struct span line, const char *head) {
    size_t length = strlen(head);
    return line.length >= length && strncasecmp(line.at, head, length) == 0;
}

/* ---- SMTP ---- */

static int smtp_code(struct span line) {
    int64_t code;
    return line.length >= 3 && span_to_integer((struct span){line.at, 3}, 200, 599, &code) >= 0
               ? (int)code
               : -EPROTO;
}

/* A whole answer; its texts are appended to `lines`, a line each. */
static int smtp_lines(struct talk *talk, struct text *lines) {
    struct span line;
    for (int i = 0; i < ANSWER_MOST_LINES; i++) {
        int error = talk_line(talk, &line);
        if (error < 0)
            return error;
        int code = smtp_code(line);
        if (code < 0)
            return code;
        text_add(lines, span_trim(span_skip(line, 4)));
        text_add_char(lines, '\n');
        if (line.length == 3 || line.at[3] != '-')
            return code;
    }
    return -EMSGSIZE;
}

int smtp_answer(struct talk *talk, struct text *ret_text) {
    cleanup_text struct text lines = {0};
    int code = smtp_lines(talk, &lines);
    if (code < 0 || !ret_text)
        return code;
    struct span rest = text_span(&lines);
    struct span line = {0};
    struct span last = {0};
    while (next_line(&rest, &line))
        last = line;
    text_add_format(ret_text, "%d %.*s", code, SPAN_FORMAT(last));
    return code;
}

int smtp_command(struct talk *talk, const char *command, struct text *ret_text) {
    cleanup_text struct text line = {0};
    text_add_format(&line, "%s\r\n", command);
    int error = talk_say(talk, text_span(&line));
    return error < 0 ? error : smtp_answer(talk, ret_text);
}

/* ---- the others ---- */

static void add_without_quotes(struct text *into, struct span line) {
    for (size_t i = 0; i < line.length; i++)
        if (line.at[i] != '"')
            text_add_char(into, line.at[i]);
    text_add_char(into, '\n');
}

/* ManageSieve: lines of quoted words, then OK. */
static int sieve_lines(struct talk *talk, struct text *able) {
    struct span line;
    for (int i = 0; i < ANSWER_MOST_LINES; i++) {
        int error = talk_line(talk, &line);
        if (error < 0)
            return error;
        if (starts_with(line, "OK"))
            return 0;
        if (starts_with(line, "NO") || starts_with(line, "BYE"))
            return -ENOTSUP;
        add_without_quotes(able, line);
    }
    return -EMSGSIZE;
}

/* The words of "* CAPABILITY A B C" become lines. */
static int imap_lines(struct talk *talk, struct text *able) {
    struct span line;
    for (int i = 0; i < ANSWER_MOST_LINES; i++) {
        int error = talk_line(talk, &line);
        if (error < 0)
            return error;
        if (starts_with(line, "h OK"))
            return 0;
        if (starts_with(line, "h "))
            return -ENOTSUP;
        struct span word;
        for (struct span rest = span_skip(line, 2);
             able && (word = span_word(&rest)).length > 0;) {
            text_add(able, word);
            text_add_char(able, '\n');
        }
    }
    return -EMSGSIZE;
}

static int pop3_lines(struct talk *talk, struct text *able) {
    struct span line;
    int error = talk_line(talk, &line);
    if (error < 0)
        return error;
    if (!starts_with(line, "+OK"))
        return -ENOTSUP;
    for (int i = 0; able && i < ANSWER_MOST_LINES; i++) {
        error = talk_line(talk, &line);
        if (error < 0 || span_is(line, "."))
            return error;
        add_without_quotes(able, line);
    }
    return able ? -EMSGSIZE : 0;
}

int dialect_greeted(struct talk *talk, enum dialect dialect, struct text *ret_banner,
                    struct text *ret_able) {
    struct span line;
    if (dialect == DIALECT_SIEVE) {
        int error = sieve_lines(talk, ret_able);
        struct span banner;
        if (error >= 0 && able_has(text_span(ret_able), "IMPLEMENTATION", &banner))
            text_add(ret_banner, banner);
        return error;
    }
    if (dialect == DIALECT_SMTP) {
        int code = smtp_answer(talk, ret_banner);
        return code < 0 ? code : code == 220 ? 0 : -ECONNREFUSED;
    }
    int error = talk_line(talk, &line);
    if (error < 0)
        return error;
    if (!starts_with(line, dialect == DIALECT_IMAP ? "* OK" : "+OK"))
        return -ECONNREFUSED;
    line = span_trim(span_skip(line, dialect == DIALECT_IMAP ? 4 : 3));
    if (line.length > 0 && line.at[0] == '[') /* IMAP puts its capabilities before the words */
        (void)span_cut(&line, ']');
    text_add(ret_banner, span_trim(line));
    return 0;
}

int dialect_ask_able(struct talk *talk, enum dialect dialect, struct text *ret_able) {
    static const char *const questions[DIALECTS] = {
        [DIALECT_SMTP] = "EHLO hauberk-audit.invalid\r\n",
        [DIALECT_IMAP] = "h CAPABILITY\r\n",
        [DIALECT_POP3] = "CAPA\r\n",
        [DIALECT_SIEVE] = "CAPABILITY\r\n",
    };
    must(questions[dialect]);
    int error = talk_say(talk, span_of(questions[dialect]));
    if (error < 0)
        return error;
    switch (dialect) {
    case DIALECT_SMTP:
        error = smtp_lines(talk, ret_able);
        return error < 0 ? error : error == 250 ? 0 : -ENOTSUP;
    case DIALECT_IMAP: return imap_lines(talk, ret_able);
    case DIALECT_POP3: return pop3_lines(talk, ret_able);
    default: return sieve_lines(talk, ret_able);
    }
}

bool able_has(struct span able, const char *word, struct span *ret_rest) {
    struct span line;
    while (next_line(&able, &line)) {
        struct span first = span_word(&line);
        if (first.length == strlen(word) && strncasecmp(first.at, word, first.length) == 0) {
            *ret_rest = span_trim(line);
            return true;
        }
    }
    return false;
}

bool dialect_offers_tls(struct span able) {
    struct span rest;
    return able_has(able, "STARTTLS", &rest) || able_has(able, "STLS", &rest);
}

int dialect_start_tls(struct talk *talk, enum dialect dialect) {
    int status;
    switch (dialect) {
    case DIALECT_TLS: return 0;
    case DIALECT_SMTP:
        status = smtp_command(talk, "STARTTLS", NULL);
        return status < 0 ? status : status == 220 ? 0 : -ENOTSUP;
    case DIALECT_IMAP:
        status = talk_say(talk, SPAN("h STARTTLS\r\n"));
        return status < 0 ? status : imap_lines(talk, NULL);
    case DIALECT_POP3:
        status = talk_say(talk, SPAN("STLS\r\n"));
        return status < 0 ? status : pop3_lines(talk, NULL);
    default: {
        cleanup_text struct text ignored = {0};
        status = talk_say(talk, SPAN("STARTTLS\r\n"));
        return status < 0 ? status : sieve_lines(talk, &ignored);
    }
    }
}
