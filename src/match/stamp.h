/* The time a log line says it was written.
 *
 * Forms: ISO 8601 / RFC 3339 ("2026-11-21T03:13:03.475286+00:00", also a blank for the T or before
 * the zone, a comma for the point, no zone = this machine's) and syslog's ("Nov 21 03:18:24", no
 * year: this year, or last year where that lies more than a day in the future); and those of web
 * servers and web mail: Apache's ("Sat Nov 21 03:19:55.962074 2026") and PHP's ("21-Nov-2026
 * 03:22:55 +0000", zone or none). Up to two non-word characters may stand before it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

struct stamp {
    int64_t at_us;
    uint32_t before; /* bytes in front of the stamp, 0-2 */
    uint32_t end;    /* where the stamp ends in the line */
};

/* Finds the stamp at the head of a line. `now_us` decides a missing year. False: none there. */
bool stamp_read(struct span line, int64_t now_us, struct stamp *ret_stamp);
