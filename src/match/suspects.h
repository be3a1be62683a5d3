/* Lines that look like failed logins, whoever wrote them: what a filter ought to know if they are
 * its service's. They are counted when no expression of the filter matched, to find out when a
 * filter has gone blind (notify/sight.h); nothing else is made of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "base/span.h"

/* The words, in lower case, for the prefilter; a line with one of them, in any case, is suspect. */
extern const char *const suspect_words[];
extern const size_t suspect_word_count;

bool suspect_looks_so(struct span line);

/* Was the line, without its date, written by a program of that name? Its tag begins with the
 * service's name up to a hyphen: `postfix-sasl` owns postfix/smtpd, `sshd` owns sshd-session. */
bool suspect_is_of(struct span text, struct span service);
