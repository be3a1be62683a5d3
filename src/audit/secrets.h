/* What looks like a secret becomes "…" before anything else is done with what a probe read: no
 * rule, report, mail or book ever sees a password, a token or a key (secrets.def tells what they
 * look like). Rather too much is hidden than too little.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"

/* A value of that reading ("postfix.main.smtp_sasl_password_maps"), or the reason why it cannot be
 * read. Of a setting, whose name is the service's own (readings.def: a family), the name counts,
 * too. */
void secrets_hide(const char *name, struct span value, struct text *into);

/* Readings as text (probe/readings.h); lines that are none stay none. */
void secrets_hide_lines(struct span lines, struct text *into);
