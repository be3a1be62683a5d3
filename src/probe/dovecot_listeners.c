/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/dovecot_listeners.h"

#include <stdio.h>

#include "probe/hosts.h"

/* What Dovecot opens unless it is told otherwise; 2.4 does not print it. */
static const struct builtin {
    const char *service, *name, *protocol;
    int port;
    const char *tls;
} builtins[] = {
    {"imap-login", "imap", "imap", 143, "starttls"},
    {"imap-login", "imaps", "imap", 993, "yes"},
    {"pop3-login", "pop3", "pop3", 110, "starttls"},
    {"pop3-login", "pop3s", "pop3", 995, "yes"},
    {"submission-login", "submission", "submission", 587, "starttls"},
    {"submission-login", "submissions", "submission", 465, "yes"},
    {"managesieve-login", "sieve", "sieve", 4190, "starttls"},
};

struct dovecot_listener *dovecot_listener_find(struct dovecot_listeners *listeners,
                                               struct span service, struct span name) {
    struct dovecot_listener one = {.port = -1};
    snprintf(one.service, sizeof(one.service), "%.*s", SPAN_FORMAT(service));
    snprintf(one.name, sizeof(one.name), "%.*s", SPAN_FORMAT(name));
    for (size_t i = 0; i < listeners->count; i++)
        if (strcmp(listeners->at[i].service, one.service) == 0 &&
            strcmp(listeners->at[i].name, one.name) == 0)
            return &listeners->at[i];
    if (listeners->count == DOVECOT_LISTENERS_MOST)
        return NULL;
    listeners->at[listeners->count] = one;
    return &listeners->at[listeners->count++];
}

void dovecot_listener_note(struct dovecot_listener *listener, struct span key, struct span value) {
    int64_t port;
    if (span_is(key, "port") && span_to_integer(value, 0, 65535, &port) == 0)
        listener->port = (int)port;
    if (span_is(key, "ssl")) {
        listener->is_told_tls = true;
        listener->has_tls = span_is(value, "yes");
    }
    if (span_is(key, "address") || span_is(key, "listen"))
        snprintf(listener->address, sizeof(listener->address), "%.*s", SPAN_FORMAT(value));
}

static const struct builtin *builtin_of(const char *service, const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(builtins); i++)
        if (strcmp(builtins[i].service, service) == 0 && strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}

/* The protocol that must be on for a service to run; NULL: none. */
static const char *protocol_of(const char *service) {
    for (size_t i = 0; i < ELEMENTS_OF(builtins); i++)
        if (strcmp(builtins[i].service, service) == 0)
            return builtins[i].protocol;
    return strcmp(service, "lmtp") == 0 ? "lmtp" : NULL;
}

static bool next_in_list(struct span *list, struct span *ret_word) {
    static const char between[] = " ,\t\"";
    while (list->length > 0 && strchr(between, list->at[0]))
        *list = span_skip(*list, 1);
    size_t length = 0;
    while (length < list->length && !strchr(between, list->at[length]))
        length++;
    *ret_word = (struct span){list->at, length};
    *list = span_skip(*list, length);
    return length > 0;
}

static bool list_has(const char *list, const char *word) {
    struct span rest = span_of(list);
    struct span one;
    while (next_in_list(&rest, &one))
        if (span_is(one, word))
            return true;
    return false;
}

static const char *reach_of(const char *addresses) {
    struct span rest = span_of(addresses);
    struct span one;
    bool is_only_loopback = true;
    size_t count = 0;
    for (; next_in_list(&rest, &one); count++)
        is_only_loopback &= host_is_loopback(one);
    return count > 0 && is_only_loopback ? "loopback" : "net";
}

/* What is said of all of them. */
struct saying {
    struct look *look;
    const char *protocols, *listen;
    bool has_logins, has_logins_of_others;
};

static bool takes_logins(const char *service) {
    return protocol_of(service) && strcmp(service, "lmtp") != 0;
}

static void say_listener(struct saying *saying, const char *service, const char *name, int port,
                         const char *tls, const char *address) {
    char subject[140];
    const char *protocol = protocol_of(service);
    if (port == 0 || (protocol && !list_has(saying->protocols, protocol)))
        return;
    const char *reach = reach_of(address[0] ? address : saying->listen);
    snprintf(subject, sizeof(subject), "%s %s", service, name);
    look_say_text(saying->look, "listener.service", subject, service);
    look_say_format(saying->look, "listener.port", subject, "%d", port);
    look_say_text(saying->look, "listener.tls", subject, tls);
    look_say_text(saying->look, "listener.reach", subject, reach);
    saying->has_logins |= takes_logins(service);
    saying->has_logins_of_others |= takes_logins(service) && strcmp(reach, "net") == 0;
}

void dovecot_listeners_say(struct look *look, const struct dovecot_listeners *listeners,
                           const char *protocols, const char *listen) {
    struct saying saying = {look, protocols, listen, false, false};
    for (size_t i = 0; i < listeners->count; i++) {
        const struct dovecot_listener *listener = &listeners->at[i];
        const struct builtin *builtin = builtin_of(listener->service, listener->name);
        const char *tls = listener->has_tls                   ? "yes"
                          : builtin && !listener->is_told_tls ? builtin->tls
                          : takes_logins(listener->service)   ? "starttls"
                                                              : "no";
        int port = listener->port >= 0 ? listener->port : builtin ? builtin->port : 0;
        say_listener(&saying, listener->service, listener->name, port, tls, listener->address);
    }
    for (size_t i = 0; i < ELEMENTS_OF(builtins); i++) {
        bool is_seen = false;
        for (size_t j = 0; j < listeners->count; j++)
            is_seen |= strcmp(listeners->at[j].service, builtins[i].service) == 0 &&
                       strcmp(listeners->at[j].name, builtins[i].name) == 0;
        if (!is_seen)
            say_listener(&saying, builtins[i].service, builtins[i].name, builtins[i].port,
                         builtins[i].tls, "");
    }
    look_say_text(look, "logins", "",
                  saying.has_logins_of_others ? "net"
                  : saying.has_logins         ? "loopback"
                                              : "none");
}
