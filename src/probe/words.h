/* Small readings of other people's files that several probes need.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

/* The next line of *text, without blanks at its ends, that is neither empty nor a # comment. False
 * at the end. */
bool next_line(struct span *text, struct span *ret_line);

/* The value of NAME=value or NAME="value", as os-release and files in /etc/default have them: the
 * last one holds. False when there is none or it is longer than `room`. */
bool shell_value(struct span text, const char *name, char *into, size_t room);

/* "key value" or "key = value": cuts the key off *line and leaves the value. */
struct span cut_key(struct span *line);

/* May whoever has that shell log in with it? An empty one is /bin/sh. */
bool may_log_in(const char *shell);
