/* The jail of `hauberk selftest`: built in, so that nothing anybody configures makes the test pass
 * or fail. It reads a log of its own and bans at one failure, for seconds, in a scope whose sets
 * are in the kernel and whose rules are not: the whole way of a line, and nobody is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "config/config.h"

#define SELFTEST_NAME "selftest"         /* of the jail, its filter and its scope */
#define SELFTEST_LOG "selftest.log"      /* in the runtime folder */
#define SELFTEST_NETWORK "192.0.2."      /* TEST-NET-1 (RFC 5737): the addresses it bans */
enum { SELFTEST_BAN_SECONDS = 10, SELFTEST_NONCE_BYTES = 16 };

/* Adds it to what was read: for the roles, not for who only reads logs of others. Where the owner
 * has as many jails or sets of ports as there can be, there is none. */
void config_add_selftest(struct config *config);

/* The line of one test, without its end: "2026-11-21T12:00:00.000042+00:00 selftest[…]: …".
 * `nonce` has SELFTEST_NONCE_BYTES hexadecimal digits. */
enum { SELFTEST_LINE_MAX = 160 };
void selftest_format_line(int64_t at_us, const char *nonce, const char *address,
                          char into[SELFTEST_LINE_MAX]);
