/* A conversation with the ports that take mail, 25, 587 and 465: what they say of themselves, and
 * whether they would carry mail for strangers.
 *
 * Nothing is ever sent: each try ends with RSET before DATA. That is also why smuggling (a bare
 * newline and dot taken for the end of a message, CVE-2023-51764) is judged by Postfix's settings
 * and not tried: it shows only once a message is accepted, which would then be delivered.
 *
 * Relaying is tried from an address of this host that Postfix does not trust. Where all of them are
 * in mynetworks nothing can be seen from inside, and that is said.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include "base/clock.h"
#include "probe/dialect.h"
#include "probe/listeners.h"
#include "probe/probe.h"
#include "probe/words.h"

/* postscreen lets a stranger wait six seconds before it greets. */
#define STRANGER_US (9 * SECOND_US)
#define PORT_US (4 * SECOND_US)

static const struct {
    uint16_t number;
    bool is_tls;
} ports[] = {{25, false}, {587, false}, {465, true}};

/* ---- what it says of itself ---- */

static void say_able(struct look *look, const char *subject, bool is_safe, struct span able) {
    cleanup_text struct text words = {0};
    struct span line;
    struct span logins;
    bool is_first = true; /* that line is the host's name */
    for (struct span rest = able; next_line(&rest, &line); is_first = false)
        if (!is_first) {
            text_add_string(&words, words.length ? ", " : "");
            text_add(&words, line);
        }
    look_say(look, is_safe ? "able_tls" : "able", subject,
             words.length ? text_span(&words) : SPAN("none"));
    bool has_logins = able_has(able, "AUTH", &logins);
    look_say(look, is_safe ? "logins_tls" : "logins", subject,
             has_logins ? logins : SPAN("none"));
}

static void say_code(struct look *look, const char *key, const char *subject, int code,
                     const struct text *text) {
    if (code > 0)
        look_say_format(look, key, subject, "%s: %s", code < 300 ? "yes" : "no",
                        text->at ? text->at : "");
}

/* VRFY of a name nobody has: 252 tells nothing, 550 and 250 tell who is there and who is not. */
static int look_at_commands(struct look *look, struct talk *talk, const char *subject) {
    cleanup_text struct text text = {0};
    int code = smtp_command(talk, "VRFY hauberk-audit-nobody", &text);
    if (code < 0)
        return code;
    look_say_text(look, "verify", subject,
                  code == 250 || code == 550 || code == 551 || code == 553 ? "yes" : "no");
    text_clear(&text);
    code = smtp_command(talk, "EXPN postmaster", &text);
    look_say_text(look, "expand", subject, code == 250 ? "yes" : "no");
    return code < 0 ? code : 0;
}

static int look_at_port(struct look *look, size_t i, const char *subject,
                        const struct address *to) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    struct talk_wish wish = {0};
    struct address second;
    must(address_parse(SPAN("127.0.0.2"), &second) >= 0);
    /* Not from the server's own address, which Dovecot's submission service trusts. */
    int error = talk_begin(&talk, address_is_v4(to) ? &second : NULL, to, ports[i].number,
                           clock_monotonic_us() + PORT_US);
    if (error >= 0 && ports[i].is_tls)
        error = talk_secure(&talk, &wish);
    if (error >= 0)
        error = dialect_greeted(&talk, DIALECT_SMTP, &banner, &able);
    if (error < 0)
        return error;
    look_say(look, "banner", subject, span_skip(text_span(&banner), 4));
    error = dialect_ask_able(&talk, DIALECT_SMTP, &able);
    if (error < 0)
        return error;
    say_able(look, subject, ports[i].is_tls, text_span(&able));
    if (!ports[i].is_tls && dialect_offers_tls(text_span(&able))) {
        error = dialect_start_tls(&talk, DIALECT_SMTP);
        if (error >= 0)
            error = talk_secure(&talk, &wish);
        text_clear(&able);
        if (error >= 0)
            error = dialect_ask_able(&talk, DIALECT_SMTP, &able);
        if (error < 0)
            return error;
        say_able(look, subject, true, text_span(&able));
    }
    return look_at_commands(look, &talk, subject);
}

/* ---- order: words that come too early ---- */

/* MAIL before EHLO. */
static void look_at_helo(struct look *look, const char *subject, const struct address *to,
                         uint16_t port) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text text = {0};
    if (talk_begin(&talk, NULL, to, port, clock_monotonic_us() + PORT_US) < 0 ||
        smtp_answer(&talk, NULL) != 220)
        return;
    say_code(look, "mail_without_helo", subject,
             smtp_command(&talk, "MAIL FROM:<audit@example.org>", &text), &text);
}

/* STARTTLS and a command behind it in one packet: an answer to it inside TLS means that words from
 * before the handshake count after it (CVE-2011-0411). */
static void look_at_injection(struct look *look, const char *subject, const struct address *to,
                              uint16_t port) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text able = {0};
    struct talk_wish wish = {0};
    struct span line;
    if (talk_begin(&talk, NULL, to, port, clock_monotonic_us() + PORT_US) < 0 ||
        smtp_answer(&talk, NULL) != 220 || dialect_ask_able(&talk, DIALECT_SMTP, &able) < 0 ||
        !dialect_offers_tls(text_span(&able)) ||
        talk_say(&talk, SPAN("STARTTLS\r\nNOOP\r\n")) < 0 || smtp_answer(&talk, NULL) != 220)
        return;
    bool is_answered = false;
    int error = talk_secure(&talk, &wish);
    if (error == -ETIMEDOUT)
        return;
    if (error >= 0) {
        talk.until_us = clock_monotonic_us() + SECOND_US / 4;
        is_answered = talk_line(&talk, &line) >= 0;
    }
    look_say_text(look, "injection", subject, is_answered ? "yes" : "no");
}

/* ---- relaying ---- */

/* From a stranger's domain to another one, both reserved by RFC 2606, plainly and by a route
 * through this host. Never DATA. */
static int try_relay(struct look *look, const char *subject, const struct address *own,
                     bool is_stranger, uint16_t port) {
    static const char *const recipients[] = {"RCPT TO:<audit@example.com>",
                                             "RCPT TO:<@localhost:audit@example.com>"};
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text able = {0};
    cleanup_text struct text text = {0};
    int code = talk_begin(&talk, own, own, port, clock_monotonic_us() + STRANGER_US);
    if (code >= 0)
        code = smtp_answer(&talk, &text);
    if (code == 220) {
        code = dialect_ask_able(&talk, DIALECT_SMTP, &able);
        text_clear(&text);
    }
    if (code == 0)
        code = smtp_command(&talk, "MAIL FROM:<audit@example.net>", &text);
    for (size_t i = 0; code >= 200 && code < 300 && i < ELEMENTS_OF(recipients); i++) {
        text_clear(&text);
        code = smtp_command(&talk, recipients[i], &text);
        if (code >= 200 && code < 300)
            break;
        if (code >= 500 && i + 1 < ELEMENTS_OF(recipients))
            code = 250; /* on to the next */
    }
    if (code >= 400 && code < 500)
        look_say_not(look, "relay", "%s: it puts strangers off: %s", subject, text.at);
    else if (code >= 200 && code < 300 && !is_stranger)
        look_say_not(look, "relay",
                     "%s: it is carried, but a table in mynetworks may name this address", subject);
    else
        say_code(look, "relay", subject, code, &text);
    return code < 0 ? code : talk_say(&talk, SPAN("RSET\r\nQUIT\r\n"));
}

/* Is it in a list of Postfix's like "127.0.0.0/8 [::1]/128"? A network as wide as a part of the
 * internet makes nobody a friend. What is no network (a table, a file) says nothing here, which
 * ret_is_sure tells. */
static bool is_trusted(const struct address *address, struct span networks, bool *ret_is_sure) {
    struct span word;
    *ret_is_sure = true;
    while ((word = span_word(&networks)).length > 0) {
        char plain[100];
        size_t length = 0;
        struct prefix prefix;
        for (size_t i = 0; i < word.length && length + 1 < sizeof(plain); i++)
            if (!strchr("[],", word.at[i]))
                plain[length++] = word.at[i];
        if (prefix_parse((struct span){plain, length}, &prefix) < 0)
            *ret_is_sure = *ret_is_sure && length == 0;
        else if (prefix.length >= 8 && prefix_holds(&prefix, address))
            return true;
    }
    return false;
}

/* An address of this host that Postfix does not trust; the reason why there is none. */
static const char *find_stranger(struct span networks, struct address *ret_address,
                                 bool *ret_is_sure) {
    struct ifaddrs *all = NULL;
    const char *reason = "this host has no address but loopback";
    if (getifaddrs(&all) < 0)
        return "its addresses cannot be listed";
    for (const struct ifaddrs *one = all; one && reason; one = one->ifa_next) {
        struct address address = {.at = {[10] = 0xff, [11] = 0xff}};
        const struct sockaddr *name = one->ifa_addr;
        if (name && name->sa_family == AF_INET)
            memcpy(address.at + 12,
                   &((const struct sockaddr_in *)(const void *)name)->sin_addr, 4);
        else if (name && name->sa_family == AF_INET6)
            memcpy(address.at, &((const struct sockaddr_in6 *)(const void *)name)->sin6_addr, 16);
        else
            continue;
        bool is_local = address_is_v4(&address) ? address.at[12] == 127
                                                : address.at[0] == 0xfe || address.at[0] == 0;
        if (is_local)
            continue;
        reason = "all addresses of this host are in mynetworks";
        if (!is_trusted(&address, networks, ret_is_sure)) {
            *ret_address = address;
            reason = NULL;
        }
    }
    freeifaddrs(all);
    return reason;
}

static void look_at_relay(struct look *look, bool has_25) {
    cleanup_text struct text networks = {0};
    struct address own;
    bool is_sure = true;
    char text[PREFIX_TEXT_MAX];
    char subject[PREFIX_TEXT_MAX + 40];
    static const char *const arguments[] = {"postconf", "-hx", "mynetworks", NULL};
    if (!has_25)
        return;
    if (look_run(look, arguments, &networks, NULL) != 0)
        text_clear(&networks); /* not Postfix, or not readable: the answer itself will tell */
    const char *reason = find_stranger(text_span(&networks), &own, &is_sure);
    if (reason) {
        look_say_not(look, "relay", "from inside it cannot be seen: %s", reason);
        return;
    }
    snprintf(subject, sizeof(subject), "port 25 from %s", address_format(&own, text));
    int error = try_relay(look, subject, &own, is_sure, 25);
    if (error < 0)
        look_say_not(look, "relay", "%s: %s", subject, strerror(-error));
}

/* ---- all of it ---- */

void probe_smtp(struct look *look) {
    cleanup_text struct text table = {0};
    bool is_there = false;
    bool has_25 = false;
    if (!listeners_read(&table)) {
        look_say_not(look, NULL, "/proc/net/tcp cannot be read");
        return;
    }
    for (size_t i = 0; i < ELEMENTS_OF(ports); i++) {
        char subject[40];
        struct address to;
        if (!listeners_find_open(text_span(&table), ports[i].number, &to))
            continue;
        is_there = true;
        has_25 |= ports[i].number == 25;
        snprintf(subject, sizeof(subject), "port %u", ports[i].number);
        look_say_format(look, "port", subject, "%u", ports[i].number);
        int error = look_at_port(look, i, subject, &to);
        if (error < 0)
            look_say_not(look, NULL, "%s: %s", subject,
                         error == -EPROTO ? "it does not speak as it should" : strerror(-error));
        if (error >= 0 && !ports[i].is_tls) {
            look_at_helo(look, subject, &to, ports[i].number);
            look_at_injection(look, subject, &to, ports[i].number);
        }
    }
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    look_at_relay(look, has_25);
}
