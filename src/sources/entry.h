/* An entry of the journal as a line of a log: "2026-11-21T12:00:00.123456+00:00 host ident[pid]:
 * MESSAGE". Where a container's runtime wrote the entry (it has a CONTAINER_NAME) and the message
 * is itself a line of a log, with a stamp, that line with the journal's time. The same entry gives
 * the same line whenever and wherever it is read, for positions count the bytes of these lines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <systemd/sd-journal.h>

#include "base/compiler.h"

/* rsyslog cuts at 8 KiB as well; what comes behind never names an address. */
enum { ENTRY_MESSAGE_MAX = 8192, ENTRY_LINE_MAX = ENTRY_MESSAGE_MAX + 512 };

/* Writes the line with its newline into `into` (ENTRY_LINE_MAX bytes) and returns its length;
 * -errno when the entry cannot be read. */
must_use int entry_render(sd_journal *journal, int64_t at_us, char *into);
