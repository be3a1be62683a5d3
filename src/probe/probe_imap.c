/* What Dovecot (or whatever listens on the ports for reading mail) says of itself before and
 * after TLS: greeting, capabilities, ways to log in.
 *
 * It is asked as by a stranger (probe/strangers.h): whom Dovecot trusts is offered logins in clear
 * that nobody else is offered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <strings.h>

#include "base/clock.h"
#include "probe/ports.h"
#include "probe/words.h"

#define PORT_US (3 * SECOND_US)
#define ALL_US (13 * SECOND_US)

static const struct port ports[] = {
    {143, DIALECT_IMAP, false}, {993, DIALECT_IMAP, true},    {110, DIALECT_POP3, false},
    {995, DIALECT_POP3, true},  {4190, DIALECT_SIEVE, false},
};

/* ---- what they are able to do ---- */

static void say_lines(struct look *look, const char *key, const char *subject, struct span able) {
    cleanup_text struct text words = {0};
    struct span line;
    while (next_line(&able, &line)) {
        text_add_string(&words, words.length ? ", " : "");
        text_add(&words, line);
    }
    look_say(look, key, subject, words.length ? text_span(&words) : SPAN("none"));
}

static void add_word(struct text *words, struct span word) {
    text_add_string(words, words->length ? " " : "");
    text_add(words, word);
}

/* IMAP: AUTH=PLAIN, and LOGIN unless it says LOGINDISABLED; POP3 and ManageSieve: "SASL PLAIN
 * LOGIN", and POP3's USER. */
static void say_logins(struct look *look, const char *key, const char *subject,
                       enum dialect dialect, struct span able) {
    cleanup_text struct text words = {0};
    struct span rest;
    struct span line;
    for (struct span all = able; next_line(&all, &line);)
        if (line.length > 5 && strncasecmp(line.at, "AUTH=", 5) == 0)
            add_word(&words, span_skip(line, 5));
    if (dialect == DIALECT_IMAP && !able_has(able, "LOGINDISABLED", &rest))
        add_word(&words, SPAN("LOGIN-COMMAND"));
    if (dialect == DIALECT_POP3 && able_has(able, "USER", &rest))
        add_word(&words, SPAN("USER-COMMAND"));
    if (dialect != DIALECT_IMAP && able_has(able, "SASL", &rest) && rest.length > 0)
        add_word(&words, rest);
    look_say(look, key, subject, words.length ? text_span(&words) : SPAN("none"));
}

static int say_able(const struct port_visit *visit, struct talk *talk, bool is_safe) {
    cleanup_text struct text able = {0};
    enum dialect dialect = visit->port->dialect;
    int error = dialect_ask_able(talk, dialect, &able);
    if (error < 0)
        return error;
    say_lines(visit->look, is_safe ? "able_tls" : "able", visit->subject, text_span(&able));
    if (is_safe || visit->is_stranger)
        say_logins(visit->look, is_safe ? "logins_tls" : "logins", visit->subject, dialect,
                   text_span(&able));
    else
        look_say_not(visit->look, "logins", "%s: all addresses of this machine are trusted there",
                     visit->subject);
    return 0;
}

/* ---- words that came before TLS and must not count after it ---- */

/* STARTTLS and a command behind it in one packet: a server that answers the command inside TLS took
 * words that anybody on the line could have put there (CVE-2011-0411 and its kin). */
static int look_at_injection(const struct port_visit *visit) {
    static const char *const packets[DIALECTS] = {
        [DIALECT_IMAP] = "h STARTTLS\r\nx NOOP\r\n",
        [DIALECT_POP3] = "STLS\r\nNOOP\r\n",
        [DIALECT_SIEVE] = "STARTTLS\r\nNOOP \"x\"\r\n",
    };
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    struct talk_wish wish = {0};
    struct span line;
    enum dialect dialect = visit->port->dialect;
    int error = port_greeted(visit, &talk, PORT_US, &banner, &able);
    if (error >= 0)
        error = talk_say(&talk, span_of(packets[dialect]));
    if (error >= 0)
        error = talk_line(&talk, &line);
    if (error < 0)
        return error;
    error = talk_secure(&talk, &wish);
    if (error == -ETIMEDOUT)
        return error;
    if (error < 0) { /* it hung up, or answered in clear */
        look_say_text(visit->look, "injection", visit->subject, "no");
        return 0;
    }
    /* What the server says by itself now is a greeting (ManageSieve) or the injected answer. */
    talk.until_us = clock_monotonic_us() + SECOND_US / 4;
    bool is_answered = false;
    while (!is_answered && talk_line(&talk, &line) >= 0)
        is_answered = dialect == DIALECT_SIEVE
                          ? line.length > 4 && memmem(line.at, line.length, "NOOP", 4) != NULL &&
                                line.at[0] != '"'
                          : line.length > 0;
    look_say_text(visit->look, "injection", visit->subject, is_answered ? "yes" : "no");
    return 0;
}

/* ---- a port ---- */

static int look_at_port(const struct port_visit *visit) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    struct talk_wish wish = {0};
    enum dialect dialect = visit->port->dialect;
    int error = port_greeted(visit, &talk, PORT_US, &banner, &able);
    if (error < 0)
        return error;
    look_say(visit->look, "banner", visit->subject,
             banner.length ? text_span(&banner) : SPAN("none"));
    error = say_able(visit, &talk, visit->port->is_tls);
    if (error < 0 || visit->port->is_tls)
        return error;
    if (dialect_start_tls(&talk, dialect) < 0)
        return 0; /* that it offers none is the tls probe's to say */
    error = talk_secure(&talk, &wish);
    if (error >= 0 && dialect == DIALECT_SIEVE) /* it greets again inside */
        error = dialect_greeted(&talk, dialect, &banner, &able);
    if (error >= 0)
        error = say_able(visit, &talk, true);
    talk_end(&talk);
    return error < 0 ? error : look_at_injection(visit);
}

void probe_imap(struct look *look) {
    ports_visit(look, ports, ELEMENTS_OF(ports), clock_monotonic_us() + ALL_US, look_at_port);
}
