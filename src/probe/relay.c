/* Every try is a sender and a recipient, up to RCPT, never DATA. Nothing is asked of the DNS but by
 * the server itself; the domains are reserved by RFC 2606, the address literal's net by RFC 5737.
 *
 * What is tried is what spammers try: plain; by a route (RFC 5321, appendix C); by a way written
 * into the local part ("user%other@here", "other!user@here", quoted, with two @), which old servers
 * and misled new ones follow; from no sender, and from a sender of this machine's own domains,
 * which a table of senders may be made to let through.
 *
 * A server that takes every recipient in a domain of its own takes such a way as well, as a name.
 * So what is taken there counts only when the same name without the way is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/relay.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "probe/outsider.h"
#include "probe/words.h"

/* Servers make those wait who are refused too often in one conversation: fewer than any of them
 * counts. */
enum { REFUSALS_MOST = 3, CONVERSATIONS_MOST = 10, DOMAINS_MOST = 5, ADDRESS_MOST = 400 };
#define NOBODY "hauberk-audit-nobody"
#define SENDER "audit@example.net"
#define FAR_LITERAL "[203.0.113.1]"

struct relay {
    const struct address *own;
    int64_t until_us;
    struct talk talk;
    bool is_open; /* the conversation */
    char sender[ADDRESS_MOST];
    unsigned conversations, refusals; /* refusals: in this one */
    int error;                        /* -errno: nothing more can be asked */
    bool is_carried;
    bool is_about_it;    /* a refusal spoke of relaying */
    bool is_shut;        /* whoever is asked puts strangers off, whatever they want */
    struct text carried; /* what was, and the answer */
    struct text
        refused; /* the first answer that says no; one that speaks of relaying if there is any */
    struct text put_off; /* the first that says not now */
};

/* ---- one conversation after the other ---- */

static void hang_up(struct relay *relay) {
    outsider_end(&relay->talk);
    relay->is_open = false;
    relay->sender[0] = '\0';
    relay->refusals = 0;
}

static int begin(struct relay *relay, struct text *answer) {
    if (relay->is_open && relay->refusals < REFUSALS_MOST)
        return 250;
    if (relay->is_open)
        hang_up(relay);
    if (relay->conversations++ == CONVERSATIONS_MOST)
        return -ECONNABORTED;
    relay->talk = (struct talk){.fd = -1};
    relay->is_open = true;
    return outsider_begin(&relay->talk, relay->own, relay->until_us, answer);
}

static int say_sender(struct relay *relay, const char *sender, struct text *answer) {
    char command[ADDRESS_MOST + 20];
    snprintf(command, sizeof(command), "<%s>", sender);
    if (strcmp(relay->sender, command) == 0)
        return 250;
    int code = relay->sender[0] ? smtp_command(&relay->talk, "RSET", answer) : 250;
    if (code != 250)
        return code;
    snprintf(relay->sender, sizeof(relay->sender), "<%s>", sender);
    snprintf(command, sizeof(command), "MAIL FROM:<%s>", sender);
    text_clear(answer);
    return smtp_command(&relay->talk, command, answer);
}

static int say_both(struct relay *relay, const char *sender, const char *recipient,
                    struct text *answer) {
    char command[ADDRESS_MOST + 20];
    text_clear(answer);
    int code = begin(relay, answer);
    if (code == 250)
        code = say_sender(relay, sender, answer);
    if (code != 250)
        return code;
    snprintf(command, sizeof(command), "RCPT TO:<%s>", recipient);
    text_clear(answer);
    return smtp_command(&relay->talk, command, answer);
}

/* postscreen puts off whom it has just found to behave: he is let in when he comes again, unless it
 * was told to remember nobody. */
static bool is_put_off_once(int code, const struct text *answer) {
    return code == 450 && answer->at && strstr(answer->at, "4.3.2");
}

/* A conversation that ended is begun anew, once. */
static int ask(struct relay *relay, const char *sender, const char *recipient,
               struct text *answer) {
    bool was_open = relay->is_open;
    int code = say_both(relay, sender, recipient, answer);
    bool has_ended = code == -ENODATA || code == -ECONNRESET || code == -EPIPE || code == 421;
    if (is_put_off_once(code, answer) || (has_ended && was_open)) {
        hang_up(relay);
        code = say_both(relay, sender, recipient, answer);
        relay->is_shut = is_put_off_once(code, answer);
    }
    relay->refusals += outsider_is_refused(code);
    if (code < 0 || code == 421)
        hang_up(relay);
    return code;
}

/* ---- tries ---- */

static bool speaks_of_relaying(const struct text *answer) {
    return answer->at && strcasestr(answer->at, "relay");
}

/* In Postfix's words. Who refuses us for our name, sender or address may relay for those who have
 * others: "Helo command rejected: you are not me" stands in many a guide. */
static bool speaks_of_who_asks(const struct text *answer) {
    static const char *const words[] = {"Helo command rejected", "Sender address rejected",
                                        "Client host rejected"};
    for (size_t i = 0; i < ELEMENTS_OF(words); i++)
        if (answer->at && strcasestr(answer->at, words[i]))
            return true;
    return false;
}

/* A refusal that speaks of relaying is for good, also when it is called temporary: Postfix's
 * defer_unauth_destination. */
static void note_refusal(struct relay *relay, int code, const struct text *answer) {
    bool is_about_it = speaks_of_relaying(answer);
    bool is_for_good = is_about_it || (code >= 500 && !speaks_of_who_asks(answer));
    struct text *into = is_for_good ? &relay->refused : &relay->put_off;
    if (is_about_it && !relay->is_about_it)
        text_clear(into);
    relay->is_about_it |= is_about_it;
    if (!into->length)
        text_add(into, text_span(answer));
}

/* control: a recipient whom the server must refuse for `recipient` to tell anything; NULL: none. */
static void try(struct relay *relay, const char *sender, const char *recipient,
                const char *control) {
    cleanup_text struct text answer = {0};
    cleanup_text struct text other = {0};
    if (relay->is_carried || relay->is_shut || relay->error < 0)
        return;
    int code = ask(relay, sender, recipient, &answer);
    if (code < 0 || code == 421) {
        if (code == 421)
            note_refusal(relay, code, &answer);
        relay->error = code < 0 ? code : -ECONNABORTED;
    } else if (outsider_is_refused(code)) {
        note_refusal(relay, code, &answer);
    } else if (code >= 200 && code < 300) {
        int second = control ? ask(relay, sender, control, &other) : 550;
        relay->is_carried = outsider_is_refused(second) && second != 421;
        if (relay->is_carried)
            text_add_format(&relay->carried, "from <%s> to <%s>: %s", sender, recipient,
                            answer.at ? answer.at : "");
    }
}

/* The local parts that hold a way. */
static void try_ways(struct relay *relay, const char *domain, bool is_all) {
    static const char *const ways[] = {NOBODY "%example.com", "example.com!" NOBODY,
                                       "\"" NOBODY "@example.com\"", NOBODY "@example.com"};
    char recipient[ADDRESS_MOST];
    char control[ADDRESS_MOST];
    snprintf(control, sizeof(control), NOBODY "@%s", domain);
    for (size_t i = 0; i < (is_all ? ELEMENTS_OF(ways) : 1); i++) {
        snprintf(recipient, sizeof(recipient), "%s@%s", ways[i], domain);
        try(relay, SENDER, recipient, control);
    }
}

static bool is_own(char domains[][ADDRESS_MOST / 2], size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(domains[i], name) == 0)
            return true;
    return false;
}

static size_t read_domains(struct span lines, char into[][ADDRESS_MOST / 2]) {
    struct span line;
    size_t count = 0;
    while (count < DOMAINS_MOST && next_line(&lines, &line)) {
        char name[ADDRESS_MOST / 2];
        if (line.length >= sizeof(name))
            continue;
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(line));
        if (!is_own(into, count, name))
            memcpy(into[count++], name, sizeof(name));
    }
    return count;
}

static void try_all(struct relay *relay, struct span lines) {
    static const char *const far[] = {"example.com", "example.org"};
    char domains[DOMAINS_MOST][ADDRESS_MOST / 2];
    char text[PREFIX_TEXT_MAX];
    char address[ADDRESS_MOST];
    size_t count = read_domains(lines, domains);
    for (size_t i = 0; i < ELEMENTS_OF(far); i++) {
        snprintf(address, sizeof(address), NOBODY "@%s", far[i]);
        if (!is_own(domains, count, far[i]))
            try(relay, SENDER, address, NULL);
    }
    try(relay, "", NOBODY "@" FAR_LITERAL, NULL);
    if (is_own(domains, count, far[0]))
        return; /* what follows needs a domain that is not ours */
    try(relay, SENDER, "@localhost:" NOBODY "@example.com", NULL);
    for (size_t i = 0; i < count; i++) {
        snprintf(address, sizeof(address), "postmaster@%.190s", domains[i]);
        try(relay, address, NOBODY "@example.com", NULL);
    }
    for (size_t i = 0; i < count; i++)
        try_ways(relay, domains[i], i == 0);
    snprintf(address, sizeof(address), "[%s%s]",
             address_is_v4(relay->own) ? "" : "IPv6:", address_format(relay->own, text));
    try_ways(relay, address, false);
}

/* ---- what they tell ---- */

/* Who puts some off may refuse others for what they are, their syntax for one: that is no refusal
 * to relay. */
static bool is_refused(const struct relay *relay) {
    return relay->is_about_it || (relay->refused.length && !relay->put_off.length);
}

static void say(struct look *look, const char *subject, const struct relay *relay,
                bool is_stranger) {
    if (relay->is_carried && is_stranger)
        look_say_format(look, "relay", subject, "yes, %s", relay->carried.at);
    else if (relay->is_carried)
        look_say_not(look, "relay", "%s: it carries %s, but a table may name this address", subject,
                     relay->carried.at);
    else if (is_refused(relay))
        look_say_format(look, "relay", subject, "no: %s", relay->refused.at);
    else if (relay->error == -ECONNREFUSED)
        return; /* nobody hears there: then it is no way in */
    else if (relay->put_off.length)
        look_say_not(look, "relay", "%s: it puts strangers off: %s", subject, relay->put_off.at);
    else
        look_say_not(look, "relay", "%s: %s", subject,
                     relay->error < 0 ? strerror(-relay->error) : "it answers neither yes nor no");
}

enum relay_heard relay_look(struct look *look, const char *subject, const struct address *own,
                            struct span domains, bool is_stranger, int64_t until_us) {
    struct relay relay = {.own = own, .until_us = until_us, .talk = {.fd = -1}};
    try_all(&relay, domains);
    outsider_end(&relay.talk);
    say(look, subject, &relay, is_stranger);
    enum relay_heard heard = relay.is_carried || is_refused(&relay) ? RELAY_HEARD
                             : relay.error == -ECONNREFUSED         ? RELAY_NOBODY_THERE
                                                                    : RELAY_NOT_HEARD;
    text_free(&relay.carried);
    text_free(&relay.refused);
    text_free(&relay.put_off);
    return heard;
}
