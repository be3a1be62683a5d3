/* Runs the probes that the rules need, side by side, and gathers what they read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/rules.h"

/* `libexec`: where hauberk-prober lies. A probe that fails, hangs or says what no probe may say
 * becomes a reason (readings_fail), never an error. service: only what its rules need; NULL: all.
 * domains: those that hauberk.conf names, separated by commas, for the DNS probe; "" none. */
void collect(const char *libexec, const struct rules *rules, const char *service,
             const char *domains, struct readings *into);
