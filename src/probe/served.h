/* Which certificate files the configuration of the service behind a port names, and by which name
 * clients know this host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "probe/probe.h"

/* Postfix's myhostname, else the host's own full name; false when there is none with a dot. */
bool served_host_name(struct look *look, char *into, size_t room);

/* Says certificate_on_disk of `subject`: of several files the fingerprint of the one that is
 * served, and of the first if none is. Nothing, if the configuration names none. */
void served_say_on_disk(struct look *look, const char *subject, uint16_t port,
                        const char *served_fingerprint);
