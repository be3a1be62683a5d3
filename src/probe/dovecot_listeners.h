/* On which ports Dovecot listens, told from its inet_listener blocks and from what it opens
 * unless it is told otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/probe.h"

enum { DOVECOT_LISTENERS_MOST = 40 };

struct dovecot_listener {
    char service[60], name[60], address[200];
    int port; /* -1: not told */
    bool has_tls, is_told_tls;
};

struct dovecot_listeners {
    struct dovecot_listener at[DOVECOT_LISTENERS_MOST];
    size_t count;
};

/* The one of that service with that name, made when it is new; NULL: there are too many. */
struct dovecot_listener *dovecot_listener_find(struct dovecot_listeners *listeners,
                                               struct span service, struct span name);
/* What its block says. */
void dovecot_listener_note(struct dovecot_listener *listener, struct span key, struct span value);
/* Says `listener.*`, and `logins`: from where people can log in. protocols and listen: the
 * settings of these names. */
void dovecot_listeners_say(struct look *look, const struct dovecot_listeners *listeners,
                           const char *protocols, const char *listen);
