/* What a role inherits from hauberkd: descriptors at fixed numbers, and the note page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

enum {
    ROLE_FD_SUPERVISOR = 3,
    ROLE_FD_PEER = 4,    /* sensor and enforcer: the decider; decider: the sensor */
    ROLE_FD_SECOND = 5,  /* decider: the enforcer; sensor: the note page */
    ROLE_FD_CONTROL = 6, /* decider: the listening control socket */
    ROLE_FD_LAST = 7,
    ROLE_FD_LOCKS = 200, /* from here on: the locks, held by whoever lives */
};

/* Where the sensor notes which line it is about to look at; hauberkd reads it after a crash.
 * ordinal 0: none. */
struct note_page {
    volatile uint64_t source;
    volatile uint64_t ordinal;
};
