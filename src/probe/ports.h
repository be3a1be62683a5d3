/* The ports of a kind of service, for the probes that talk to them one after the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "base/address.h"
#include "probe/dialect.h"
#include "probe/probe.h"

struct port {
    uint16_t number;
    enum dialect dialect; /* what is spoken, inside TLS when that comes first */
    bool is_tls;          /* from the first byte */
};

struct port_visit {
    struct look *look;
    const struct port *port;
    const char *subject;       /* "port 143" */
    struct address to;
    const struct address *from; /* NULL: whatever the kernel takes */
    bool is_stranger; /* the service takes `from` for somebody it does not know */
    int64_t until_us; /* monotonic: when all ports must be done with */
};

/* Calls `visit` for each that others than this machine can reach, and says `there`. trusted: whom
 * Dovecot was told to trust is not who asks, as far as this machine has other addresses. An error
 * (-errno) of a visit is why that port cannot be looked at. */
void ports_visit(struct look *look, const struct port ports[], size_t count, int64_t until_us,
                 int (*visit)(const struct port_visit *visit));

/* Begins a conversation up to the greeting, through TLS where that comes first. It lasts
 * `limit_us` at most. */
must_use int port_greeted(const struct port_visit *visit, struct talk *talk, int64_t limit_us,
                          struct text *ret_banner, struct text *ret_able);
