/* Who may do what with a file, as readings say it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/probe.h"

/* KEY.mode ("0640"), KEY.owner and KEY.group of `path`, the path being the subject; a link's
 * target's. -ENOENT: nothing was said; otherwise a failure was said. */
must_use int say_permissions(struct look *look, const char *key, const char *path);
