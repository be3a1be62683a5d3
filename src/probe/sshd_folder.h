/* Does sshd's file read the folder of additions before it says anything itself? Of two lines sshd
 * takes the first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/probe.h"

/* Is /etc/ssh/sshd_config.d included before a line that may stand in it, too? */
bool sshd_folder_is_first(struct span sshd_config);

/* Says so: sshd.folder. */
void sshd_folder_say(struct look *look);
