/* CrowdSec spares private addresses only: whoever asks this machine's services for what attackers
 * ask them for, from the machine's own public address, has that banned, and reported to all others.
 * Fail2Ban and hauberk spare it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Why it must not be asked where one of CrowdSec's scenarios of that name watches ("http*"), or
 * NULL. */
const char *crowdsec_why_not(const char *pattern);
