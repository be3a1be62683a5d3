/* Sample files: what a filter must find in real lines, and what it must not.
 *
 *   # a comment                                    and empty lines: nothing
 *   == failure address=203.0.113.9 account=bob session=… attempts=3 nouser
 *   == success address=… account="two words"
 *   == nothing
 *       hold for every log line until the next of these: each line must give exactly that, one
 * event or none. Only the keys given are compared. attempts=0: the line is one attempt, not a sum.
 *       nouser, known: the account does not exist, or nothing says so. secured, clear: the password
 *       could not be overheard, or it could. A quoted value ends at the
 *       quote that a blank or the line's end follows; values are compared as events carry them,
 *       escaped.
 *   == at 2026-11-21T07:31:44.263582Z              the next line's time
 *   == again                                       line sessions are forgotten
 *
 * Every line is read with and without the prefilter, and every expression must be the one that
 * matches some line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"
#include "match/rules.h"

/* Appends to *report what went wrong: file and line, what was expected, what came, how far the line
 * got. *ret_passed and *ret_failed count lines, and expressions without a line as failed. Stamps
 * without a year are of 2026. -errno when the file cannot be read, or -EINVAL when it is malformed
 * (said in *report). */
must_use int samples_check(struct filter_rules *rules, const char *samples_path,
                           struct text *report, unsigned *ret_passed, unsigned *ret_failed);
