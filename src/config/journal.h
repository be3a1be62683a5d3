/* Which entries of the journal a jail reads: fail2ban's journalmatch, checked, in the one form that
 * names the source. Terms are FIELD=VALUE; values of one field are alternatives, different fields
 * must all match; `+` stands between groups of which one must.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"
#include "config/keep.h"

enum { JOURNAL_NAME_MAX = 256 };

/* "journal: _SYSTEMD_UNIT=ssh.service + _UID=0 SYSLOG_IDENTIFIER=sshd"; NULL for nothing written.
 * -EINVAL with what is wrong, a whole sentence's end. Every group needs a field that journald
 * itself fills in (its name begins with `_`): the others are what any program says of itself. */
must_use int journal_name_read(struct span written, struct keep *keep, const char **ret_name,
                               const char **reterr_what);
