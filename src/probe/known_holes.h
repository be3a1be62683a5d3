/* Holes that Debian's security tracker knows in what is installed and has no update for: as far as
 * debsecan(1) has noted them here when it last asked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/dpkg.h"
#include "probe/probe.h"

/* Says known_hole for each package; nothing when debsecan keeps no notes. */
void known_holes_say(struct look *look, const struct installed *installed, const char *path);
