/* Everything about TLS on one port: what it would agree to, and what it shows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/dialect.h"
#include "probe/probe.h"

struct tls_port {
    uint16_t number;
    enum dialect dialect;
    struct address address;
    const char *name;    /* what clients call this host; NULL: nobody knows */
    const char *subject; /* of its readings */
    int64_t until_us;    /* monotonic */
};

void tls_port_look(struct look *look, const struct tls_port *port);
