/* Runs the probes that the rules need, side by side, and gathers what they read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/rules.h"

struct collecting;

/* Runs the probes, each confined by itself, to their ends: before the caller enters a sandbox, in
 * which some of them could not look. `libexec`: where hauberk-prober lies. service: only what its
 * rules need; NULL: all. domains: those that hauberk.conf names, separated by commas, for the DNS
 * probe; "" none. */
struct collecting *collect_begin(const char *libexec, const struct rules *rules,
                                 const char *service, const char *domains);

/* Reads what they said, which may be hostile, and hides what looks like a secret
 * (audit/secrets.h). A probe that failed, hung or said what no probe may say becomes a reason
 * (readings_fail), never an error. Frees *collecting. */
void collect_finish(struct collecting *collecting, struct readings *into);
