/* Runs the probes that the rules need, side by side, and gathers what they read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/rules.h"

struct collecting;

/* Runs the probes that look at other processes: before the caller enters landlock, which would hide
 * those from it and from all it starts. `libexec`: where hauberk-prober lies. service: only what
 * its rules need; NULL: all. */
struct collecting *collect_begin(const char *libexec, const struct rules *rules,
                                 const char *service);

/* Runs the others, and reads what all of them said; only now, as the texts may be hostile. A probe
 * that fails, hangs or says what no probe may say becomes a reason (readings_fail), never an error.
 * Frees *collecting; into == NULL: and does nothing else. */
void collect_finish(struct collecting *collecting, struct readings *into);
