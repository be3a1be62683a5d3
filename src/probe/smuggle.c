/* A bare newline (or return) and a dot taken for the end of a mail (CVE-2023-51764, -51765, -51766)
 * shows only when a mail is sent. This one is made so that it is always refused: it has more Received
 * lines than the server lets a mail have, which every server looks at to end loops (RFC 5321, 6.3),
 * once the mail is over. It is addressed to postmaster, so that nobody else would get it.
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

struct smuggle {
    const struct address *own;
    unsigned hops;
    int64_t until_us;
    struct text answer; /* the last one */
};

/* Is it the code of who does not know a command, or not here? */
static bool is_no_command(int code) { return code >= 500 && code <= 504; }

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
        text_add_format(into, "Received: from hauberk-audit.invalid by hauberk-audit.invalid; %u\r\n",
                        i);
    text_add_string(into, "From: <postmaster>\r\nTo: <postmaster>\r\n"
                          "Subject: tried by hauberk audit, and meant to be refused\r\n\r\n"
                          "Nothing.");
    text_add(into, ending);
    text_add_string(into, "XSMUGGLED\r\n.\r\n");
}

/* 1: that ending ends a mail; 0: not; the code of an envelope that is refused; -errno. -EEXIST: it
 * was accepted, against all that is known. */
static int try(struct smuggle *smuggle, struct talk *talk, struct span ending) {
    cleanup_text struct text message = {0};
    int code = say_envelope(smuggle, talk);
    if (code != 250)
        return code;
    text_clear(&smuggle->answer);
    code = smtp_command(talk, "DATA", &smuggle->answer);
    if (code != 354)
        return code;
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
            look_say_not(look, "smuggling", "%s: %s", subject,
                         status == -EEXIST ? "postmaster got a mail that should have been refused"
                         : status < 0      ? strerror(-status)
                                           : smuggle->answer.at);
            return false;
        }
        if (status == 1)
            text_add_format(&obeyed, "%s%s", obeyed.length ? " " : "", endings[i].name);
    }
    outsider_end(&talk);
    look_say(look, "smuggling", subject, obeyed.length ? text_span(&obeyed) : SPAN("none"));
    return true;
}

/* Everything up to DATA in the first packet, before the greeting: a server that answers all of it
 * waits for nothing. The mail is not begun. */
static void look_at_haste(struct look *look, const struct smuggle *smuggle, const char *subject) {
    static const int wanted[] = {220, 250, 250, 250, 354};
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text packet = {0};
    size_t answered = 0;
    outsider_write_hello(smuggle->own, &packet);
    text_add_string(&packet, "MAIL FROM:<>\r\n" OUTSIDER_POSTMASTER "\r\nDATA\r\n");
    int code = talk_begin(&talk, smuggle->own, smuggle->own, 25, smuggle->until_us);
    if (code >= 0)
        code = talk_say(&talk, text_span(&packet));
    while (code >= 0 && answered < ELEMENTS_OF(wanted)) {
        code = smtp_answer(&talk, NULL);
        if (code != wanted[answered])
            break;
        answered++;
    }
    if (code == -ETIMEDOUT)
        look_say_not(look, "early", "%s: %s", subject, strerror(ETIMEDOUT));
    else
        look_say_text(look, "early", subject, answered == ELEMENTS_OF(wanted) ? "yes" : "no");
}

void smuggle_look(struct look *look, const char *subject, const struct address *own, unsigned hops,
                  int64_t until_us) {
    struct smuggle smuggle = {.own = own, .hops = hops, .until_us = until_us};
    if (hops == 0)
        look_say_not(look, "smuggling", "%s: how many Received lines are too many for this server is "
                                        "not known, so no mail is sent", subject);
    /* A postmaster who is refused, for whatever reason, tells nothing about haste either. */
    else if (look_at_endings(look, &smuggle, subject))
        look_at_haste(look, &smuggle, subject);
    text_free(&smuggle.answer);
}
