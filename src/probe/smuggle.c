/* A bare newline (or return) and a dot taken for the end of a mail (CVE-2023-51764) shows only when
 * a mail is sent. This one is made so that it is always refused: it has more Received lines than
 * the server lets a mail have, which Postfix looks at to end loops (hopcount_limit), once the mail
 * is over and before it says yes to it. Exim takes such a mail and looks later; it is sent none.
 * The mail is addressed to postmaster, so that nobody else would get it.
 *
 * Behind the ending that is tried stand a word that is no command and the true end. If the server
 * obeys the ending, it answers once for the mail and once for the word; else the next answer is the
 * one to RSET. So nothing has to be waited for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/smuggle.h"

#include <errno.h>
#include <stdio.h>

#include "probe/outsider.h"

static const struct {
    const char *name;
    struct span bytes;
} endings[] = {
    {"LF.LF", {"\n.\n", 3}},
    {"LF.CRLF", {"\n.\r\n", 4}},
    {"CRLF.LF", {"\r\n.\n", 4}},
    {"CR.CR", {"\r.\r", 3}},
};

/* To DATA, and nobody else says it so. */
#define POSTFIX_SAYS "End data with <CR><LF>.<CR><LF>"

struct smuggle {
    const struct address *own;
    unsigned hops;
    int64_t until_us;
    struct text answer; /* the last one */
};

/* Is it the code of who does not know a command, or not here? With soft_bounce Postfix says 4 where
 * it would say 5. */
static bool is_no_command(int code) {
    return (code >= 500 && code <= 504) || (code >= 400 && code <= 404);
}

/* 250 when DATA may follow; the code of what was refused; -errno. */
static int say_envelope(struct smuggle *smuggle, struct talk *talk) {
    static const char *const commands[] = {"MAIL FROM:<>", OUTSIDER_POSTMASTER};
    int code = 250;
    if (talk->fd < 0)
        *talk = (struct talk){.fd = -1};
    if (talk->fd < 0)
        code = outsider_begin(talk, smuggle->own, smuggle->until_us, &smuggle->answer);
    for (size_t i = 0; i < ELEMENTS_OF(commands) && code == 250; i++) {
        text_clear(&smuggle->answer);
        code = smtp_command(talk, commands[i], &smuggle->answer);
    }
    return code;
}

static void write_message(const struct smuggle *smuggle, struct span ending, struct text *into) {
    for (unsigned i = 0; i < smuggle->hops; i++)
        text_add_format(into,
                        "Received: from hauberk-audit.invalid by hauberk-audit.invalid; %u\r\n", i);
    text_add_string(into, "From: <audit@hauberk-audit.invalid>\r\nTo: undisclosed-recipients:;\r\n"
                          "Subject: tried by hauberk audit, and meant to be refused\r\n\r\n"
                          "Nothing.");
    text_add(into, ending);
    text_add_string(into, "XSMUGGLED\r\n.\r\n");
}

/* 1: that ending ends a mail; 0: not; the code of an envelope that is refused; -errno. -EEXIST: it
 * was accepted, against all that is known. -ENOTSUP: somebody else than Postfix answers, in a
 * container perhaps, whose limit is not known. */
static int try(struct smuggle *smuggle, struct talk *talk, struct span ending) {
    cleanup_text struct text message = {0};
    int code = say_envelope(smuggle, talk);
    if (code != 250)
        return code;
    text_clear(&smuggle->answer);
    code = smtp_command(talk, "DATA", &smuggle->answer);
    if (code != 354)
        return code;
    if (!smuggle->answer.at || !strstr(smuggle->answer.at, POSTFIX_SAYS))
        return -ENOTSUP; /* and the mail is not begun */
    write_message(smuggle, ending, &message);
    code = talk_say(talk, text_span(&message));
    if (code >= 0)
        code = smtp_answer(talk, NULL);
    if (code >= 200 && code < 300)
        return -EEXIST;
    if (code == -ETIMEDOUT)
        return code;
    int next = code < 0 ? code : smtp_command(talk, "RSET", NULL);
    if (next != 250) /* it hung up, as Postfix does with reject, or there is an answer too many */
        talk_end(talk);
    return is_no_command(next);
}

static bool look_at_endings(struct look *look, struct smuggle *smuggle, const char *subject) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text obeyed = {0};
    for (size_t i = 0; i < ELEMENTS_OF(endings); i++) {
        int status = try(smuggle, &talk, endings[i].bytes);
        if (status < 0 || status > 1) {
            const char *reason = status == -EEXIST    ? "postmaster got a mail meant to be refused"
                                 : status == -ENOTSUP ? "it is not Postfix that answers there"
                                 : status < 0         ? strerror(-status)
                                                      : smuggle->answer.at;
            look_say_not(look, "smuggling", "%s: %s", subject, reason);
            look_say_not(look, "early", "%s: %s", subject, reason);
            return false;
        }
        if (status == 1)
            text_add_format(&obeyed, "%s%s", obeyed.length ? " " : "", endings[i].name);
    }
    outsider_end(&talk);
    look_say(look, "smuggling", subject, obeyed.length ? text_span(&obeyed) : SPAN("none"));
    return true;
}

/* The answer to EHLO. Exim may offer that clients need not wait. */
static int hear_hello(struct talk *talk, bool *ret_is_offered) {
    struct span line;
    int error;
    do {
        error = talk_line(talk, &line);
        if (error < 0)
            return error;
        *ret_is_offered |= memmem(line.at, line.length, "PIPECONNECT", 11) ||
                           memmem(line.at, line.length, "PIPE_CONNECT", 12);
    } while (line.length > 3 && line.at[3] == '-');
    return line.length >= 3 && memcmp(line.at, "250", 3) == 0 ? 250 : -EPROTO;
}

/* Everything up to DATA in the first packet, before the greeting: a server that answers all of it
 * waits for nothing. The mail is not begun. */
static void look_at_haste(struct look *look, const struct smuggle *smuggle, const char *subject) {
    static const int behind_hello[] = {250, 250, 354}; /* MAIL, RCPT, DATA */
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text packet = {0};
    bool is_offered = false;
    size_t obeyed = 0;
    outsider_write_hello(smuggle->own, &packet);
    text_add_string(&packet, "MAIL FROM:<>\r\n" OUTSIDER_POSTMASTER "\r\nDATA\r\n");
    int code = talk_begin(&talk, smuggle->own, smuggle->own, 25, smuggle->until_us);
    if (code >= 0)
        code = talk_say(&talk, text_span(&packet));
    if (code >= 0)
        code = smtp_answer(&talk, NULL);
    if (code == 220)
        code = hear_hello(&talk, &is_offered);
    while (code == 250 && obeyed < ELEMENTS_OF(behind_hello)) {
        code = smtp_answer(&talk, NULL);
        obeyed += code == behind_hello[obeyed];
    }
    if (code == -ETIMEDOUT)
        look_say_not(look, "early", "%s: %s", subject, strerror(ETIMEDOUT));
    else
        look_say_text(look, "early", subject,
                      obeyed < ELEMENTS_OF(behind_hello) ? "no"
                      : is_offered                       ? "offered"
                                                         : "yes");
}

/* A postmaster who is refused, for whatever reason, tells nothing about haste. */
static bool is_postmaster_taken(struct look *look, struct smuggle *smuggle, const char *subject) {
    cleanup_talk struct talk talk = {.fd = -1};
    int code = say_envelope(smuggle, &talk);
    outsider_end(&talk);
    if (code != 250)
        look_say_not(look, "early", "%s: %s", subject,
                     code < 0 ? strerror(-code) : smuggle->answer.at);
    return code == 250;
}

void smuggle_look(struct look *look, const char *subject, const struct address *own, unsigned hops,
                  int64_t until_us) {
    struct smuggle smuggle = {.own = own, .hops = hops, .until_us = until_us};
    if (hops == 0)
        look_say_not(look, "smuggling",
                     "%s: no mail is known that this server refuses at its end, so none is sent",
                     subject);
    if (hops ? look_at_endings(look, &smuggle, subject)
             : is_postmaster_taken(look, &smuggle, subject))
        look_at_haste(look, &smuggle, subject);
    text_free(&smuggle.answer);
}
