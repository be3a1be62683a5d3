/* What a role says of itself: whole sentences on standard error, one line each, with the priority
 * prefix of sd-daemon(3) when the journal reads them. Attackers' text must have gone through
 * text_add_safe() or safe_copy() before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/compiler.h"

enum log_level { LOG_SAY_ERROR = 3, LOG_SAY_WARNING = 4, LOG_SAY_NOTICE = 5, LOG_SAY_DEBUG = 7 };

/* `role` names the program in every line; it is kept, not copied. HAUBERK_DEBUG in the environment
 * lets debug lines through. */
void log_open(const char *role);

void log_say(enum log_level level, const char *format, ...) prints(2, 3);

#define log_error(...) log_say(LOG_SAY_ERROR, __VA_ARGS__)
#define log_warning(...) log_say(LOG_SAY_WARNING, __VA_ARGS__)
#define log_notice(...) log_say(LOG_SAY_NOTICE, __VA_ARGS__)
#define log_debug(...) log_say(LOG_SAY_DEBUG, __VA_ARGS__)
