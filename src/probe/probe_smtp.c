/* A conversation with the ports that take mail, 25, 587 and 465: what they say of themselves, and
 * whether they would carry mail for strangers.
 *
 * Strangers are played by an address of this machine that the server does not trust, one for IPv4
 * and one for IPv6, each in a process of its own (stranger=ADDRESS): postscreen lets each wait six
 * seconds before it greets. Where the server trusts all of them nothing can be seen from inside,
 * and that is said. What they try stands in relay.c and smuggle.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "probe/crowdsec.h"
#include "probe/listeners.h"
#include "probe/ports.h"
#include "probe/postconf.h"
#include "probe/relay.h"
#include "probe/smuggle.h"
#include "probe/strangers.h"
#include "probe/words.h"

/* On port 25 postscreen may let whoever comes for the first time wait six seconds. */
#define PORT_US (4 * SECOND_US)
#define PORT_25_US (9 * SECOND_US)
#define PART_US (16 * SECOND_US)
#define PART_MOST_US (17 * SECOND_US)
/* Servers that let a mail have more are not believed to count. */
enum { HOPS_MOST = 200 };
static const char *const from_outside[] = {"relay", "smuggling", "early"};
/* What is seen by words that a server refuses. */
static const char *const refused[] = {"verify", "expand", "mail_without_helo"};

static const struct port ports[] = {
    {25, DIALECT_SMTP, false}, {587, DIALECT_SMTP, false}, {465, DIALECT_SMTP, true}};

static int greeted(const struct port_visit *visit, struct talk *talk, struct text *ret_banner) {
    cleanup_text struct text able = {0};
    return port_greeted(visit, talk, visit->port->number == 25 ? PORT_25_US : PORT_US, ret_banner,
                        &able);
}

/* ---- whom refusals reach ---- */

static bool ask_value(struct look *look, const char *name, struct text *value) {
    const char *const arguments[] = {"postconf", "-hx", name, NULL};
    text_clear(value);
    if (look_run(look, arguments, value, NULL) == 0)
        return true;
    text_clear(value); /* not Postfix, or not readable */
    return false;
}

/* With these classes Postfix writes its postmaster a letter about each conversation in which it
 * refused something, and he may read his mail elsewhere. */
static const char *why_refusals_are_mailed(struct look *look) {
    cleanup_text struct text classes = {0};
    struct span word;
    (void)ask_value(look, "notify_classes", &classes);
    for (struct span rest = text_span(&classes); postconf_next_word(&rest, &word);)
        if (span_is(word, "policy") || span_is(word, "protocol"))
            return "Postfix would mail its postmaster about it (notify_classes)";
    return NULL;
}

/* Does Postfix ask another server whether it knows a recipient, before it looks whether it would
 * carry mail there at all? Then a try of ours would have it ask a stranger. In the order in which
 * the lists are gone through. */
static const char *why_others_are_asked(struct look *look) {
    static const char *const lists[] = {
        "smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions",
        "smtpd_relay_restrictions", "smtpd_recipient_restrictions"};
    cleanup_text struct text list = {0};
    struct span word;
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++) {
        (void)ask_value(look, lists[i], &list);
        for (struct span rest = text_span(&list); postconf_next_word(&rest, &word);) {
            if (span_is(word, "reject_unauth_destination") ||
                span_is(word, "defer_unauth_destination") || span_is(word, "reject"))
                return NULL;
            if (span_is(word, "reject_unverified_recipient"))
                return "Postfix would ask other servers for the recipients that are tried "
                       "(reject_unverified_recipient)";
        }
    }
    return NULL;
}

/* ---- what it says of itself ---- */

static void say_able(const struct port_visit *visit, bool is_safe, struct span able) {
    cleanup_text struct text words = {0};
    struct span line;
    struct span logins;
    bool is_first = true; /* that line is the host's name */
    for (struct span rest = able; next_line(&rest, &line); is_first = false)
        if (!is_first) {
            text_add_string(&words, words.length ? ", " : "");
            text_add(&words, line);
        }
    look_say(visit->look, is_safe ? "able_tls" : "able", visit->subject,
             words.length ? text_span(&words) : SPAN("none"));
    bool has_logins = able_has(able, "AUTH", &logins);
    if (is_safe || visit->is_stranger || !has_logins)
        look_say(visit->look, is_safe ? "logins_tls" : "logins", visit->subject,
                 has_logins ? logins : SPAN("none"));
    else
        look_say_not(visit->look, "logins", "%s: all addresses of this machine are trusted there",
                     visit->subject);
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

static int look_at_port(const struct port_visit *visit) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    struct talk_wish wish = {0};
    bool is_tls = visit->port->is_tls;
    int error = greeted(visit, &talk, &banner);
    if (error < 0)
        return error;
    look_say(visit->look, "banner", visit->subject, span_skip(text_span(&banner), 4));
    error = dialect_ask_able(&talk, DIALECT_SMTP, &able);
    if (error < 0)
        return error;
    say_able(visit, is_tls, text_span(&able));
    if (!is_tls && dialect_offers_tls(text_span(&able))) {
        error = dialect_start_tls(&talk, DIALECT_SMTP);
        if (error >= 0)
            error = talk_secure(&talk, &wish);
        text_clear(&able);
        if (error >= 0)
            error = dialect_ask_able(&talk, DIALECT_SMTP, &able);
        if (error < 0)
            return error;
        say_able(visit, true, text_span(&able));
    }
    const char *reason = why_refusals_are_mailed(visit->look);
    if (!reason)
        return look_at_commands(visit->look, &talk, visit->subject);
    for (size_t i = 0; i < ELEMENTS_OF(refused); i++)
        look_say_not(visit->look, refused[i], "%s: %s", visit->subject, reason);
    return 0;
}

/* ---- order: words that come too early ---- */

/* MAIL before EHLO. */
static void look_at_helo(const struct port_visit *visit) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text text = {0};
    if (greeted(visit, &talk, &text) < 0)
        return;
    text_clear(&text);
    int code = smtp_command(&talk, "MAIL FROM:<audit@example.org>", &text);
    if (code > 0)
        look_say_format(visit->look, "mail_without_helo", visit->subject, "%s: %s",
                        code < 300 ? "yes" : "no", text.at ? text.at : "");
}

/* STARTTLS and a command behind it in one packet: an answer to it inside TLS means that words from
 * before the handshake count after it (CVE-2011-0411). */
static void look_at_injection(const struct port_visit *visit) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    struct talk_wish wish = {0};
    struct span line;
    if (greeted(visit, &talk, &banner) < 0 || dialect_ask_able(&talk, DIALECT_SMTP, &able) < 0 ||
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
    look_say_text(visit->look, "injection", visit->subject, is_answered ? "yes" : "no");
}

/* ---- a port ---- */

/* On port 25 postscreen lets those wait whom it does not know, and nothing is said there that only
 * friends hear: this machine's second loopback address asks. */
static int visit_port(const struct port_visit *visit) {
    struct port_visit own = *visit;
    struct address second;
    must(address_parse(SPAN("127.0.0.2"), &second) >= 0);
    if (visit->port->number == 25) {
        own.from = address_is_v4(&visit->to) ? &second : NULL;
        own.is_stranger = true;
    }
    look_say_format(visit->look, "port", visit->subject, "%u", visit->port->number);
    int error = look_at_port(&own);
    if (error >= 0 && !visit->port->is_tls) {
        if (!why_refusals_are_mailed(visit->look))
            look_at_helo(&own);
        look_at_injection(&own);
    }
    return error;
}

/* ---- strangers ---- */

/* Names that a stranger may claim to write from, and to write to by: two of each list at most. */
static void find_domains(struct look *look, struct text *names) {
    static const char *const lists[] = {"mydestination", "virtual_mailbox_domains",
                                        "virtual_alias_domains", "relay_domains"};
    char own[256] = "";
    if (gethostname(own, sizeof(own) - 1) == 0 && strchr(own, '.'))
        text_add_format(names, "%s\n", own);
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++) {
        cleanup_text struct text list = {0};
        struct span word;
        size_t count = 0;
        if (!ask_value(look, lists[i], &list))
            return;
        for (struct span rest = text_span(&list); count < 2 && postconf_next_word(&rest, &word);)
            if (memchr(word.at, '.', word.length) && !memchr(word.at, ':', word.length) &&
                !memchr(word.at, '/', word.length) && word.at[0] != '!' && word.at[0] != '.') {
                text_add(names, word);
                text_add_char(names, '\n');
                count++;
            }
    }
}

/* Does a word of the lists that decide on relaying let clients pass for what they are? This
 * machine's own addresses are the first that people name there. */
static bool names_clients(struct look *look) {
    static const char *const words[] = {"permit_inet_interfaces", "check_client_",
                                        "check_reverse_client_"};
    static const char *const questions[][3] = {{"postconf", "-nx", NULL},
                                               {"postconf", "-Px", NULL}};
    for (size_t i = 0; i < ELEMENTS_OF(questions); i++) {
        cleanup_text struct text lines = {0};
        struct span line;
        if (look_run(look, questions[i], &lines, NULL) != 0)
            return false;
        for (struct span rest = text_span(&lines); next_line(&rest, &line);) {
            struct span name = cut_key(&line);
            bool decides = memmem(name.at, name.length, "relay_restrictions", 18) ||
                           memmem(name.at, name.length, "recipient_restrictions", 22) ||
                           !memmem(name.at, name.length, "smtpd_", 6); /* a class */
            for (size_t j = 0; decides && j < ELEMENTS_OF(words); j++)
                if (line.length && memmem(line.at, line.length, words[j], strlen(words[j])))
                    return true;
        }
    }
    return false;
}

/* How many Received lines are refused at once: one more than Postfix allows; 0: that is not known.
 * A filter before the queue gets the mail before Postfix has looked. */
static unsigned find_hops(struct look *look) {
    static const char *const of_services[] = {"postconf", "-P", "*/*/smtpd_proxy_filter",
                                              "*/*/hopcount_limit", NULL};
    cleanup_text struct text value = {0};
    cleanup_text struct text overrides = {0};
    int64_t limit;
    if (!ask_value(look, "smtpd_proxy_filter", &value) || span_trim(text_span(&value)).length > 0 ||
        look_run(look, of_services, &overrides, NULL) != 0 || overrides.length > 0 ||
        !ask_value(look, "hopcount_limit", &value))
        return 0;
    return span_to_integer(span_trim(text_span(&value)), 1, HOPS_MOST, &limit) < 0
               ? 0
               : (unsigned)limit + 1;
}

static void play_stranger(struct look *look) {
    char text[PREFIX_TEXT_MAX];
    char subject[PREFIX_TEXT_MAX + 40];
    struct address own;
    bool is_sure;
    cleanup_text struct text networks = {0};
    cleanup_text struct text domains = {0};
    int64_t until_us = clock_monotonic_us() + PART_US;
    if (address_parse(span_of(look_argument(look, "stranger")), &own) < 0) {
        look_say_not(look, NULL, "'%s' is no address", look_argument(look, "stranger"));
        return;
    }
    snprintf(subject, sizeof(subject), "port 25 from %s", address_format(&own, text));
    (void)ask_value(look, "mynetworks", &networks);
    (void)networks_hold(text_span(&networks), &own, &is_sure);
    find_domains(look, &domains);
    bool is_stranger = is_sure && !names_clients(look);
    enum relay_heard heard = relay_look(look, subject, &own, text_span(&domains), is_stranger,
                                        until_us);
    if (heard == RELAY_HEARD)
        smuggle_look(look, subject, &own, find_hops(look), until_us);
    else if (heard == RELAY_NOT_HEARD)
        for (size_t i = 1; i < ELEMENTS_OF(from_outside); i++)
            look_say_not(look, from_outside[i], "%s: strangers are not let in", subject);
}

/* One of each family that the server does not trust. The reason why there is none, or NULL. */
static const char *find_strangers(struct span networks, struct look_part parts[2],
                                  size_t *ret_count) {
    struct address own[OWN_ADDRESSES_MOST];
    cleanup_text struct text table = {0};
    size_t own_count = own_addresses(own);
    size_t count = 0;
    bool is_heard = false;
    bool has_four = false;
    bool has_six = false;
    if (!listeners_read(&table))
        return "/proc/net/tcp cannot be read";
    for (size_t i = 0; i < own_count; i++) {
        bool *has_one = address_is_v4(&own[i]) ? &has_four : &has_six;
        bool is_sure;
        char text[PREFIX_TEXT_MAX];
        if (*has_one || !listeners_hear(text_span(&table), 25, &own[i]))
            continue;
        is_heard = true;
        if (networks_hold(networks, &own[i], &is_sure))
            continue;
        *has_one = true;
        (void)address_format(&own[i], text);
        snprintf(parts[count].name, sizeof(parts[count].name), "port 25 from %s", text);
        snprintf(parts[count].argument, sizeof(parts[count].argument), "stranger=%s", text);
        count++;
    }
    *ret_count = count;
    return count       ? NULL
           : is_heard  ? "all addresses of this host are in mynetworks"
           : own_count ? "port 25 listens on none of this host's addresses"
                       : "this host has no address but loopback";
}

/* ---- all of it ---- */

void probe_smtp(struct look *look) {
    struct look_part parts[3] = {{"the ports", "ports=all"}};
    struct address address;
    size_t count = 0;
    cleanup_text struct text table = {0};
    cleanup_text struct text networks = {0};
    if (look_argument(look, "stranger")) {
        play_stranger(look);
        return;
    }
    if (look_argument(look, "ports")) {
        ports_visit(look, ports, ELEMENTS_OF(ports), clock_monotonic_us() + PART_US, visit_port);
        return;
    }
    if (listeners_read(&table) && listeners_find_open(text_span(&table), 25, &address)) {
        (void)ask_value(look, "mynetworks", &networks);
        const char *reason = why_refusals_are_mailed(look);
        reason = reason ? reason : why_others_are_asked(look);
        reason = reason ? reason : crowdsec_why_not("post*");
        reason = reason ? reason : crowdsec_why_not("exim*");
        reason = reason ? reason : find_strangers(text_span(&networks), parts + 1, &count);
        for (size_t i = 0; reason && i < ELEMENTS_OF(from_outside); i++)
            look_say_not(look, from_outside[i], "from inside it cannot be seen: %s", reason);
    }
    look_run_parts(look, parts, count + 1, PART_MOST_US);
}
