/* A configuration to be read: the shipped jails of this source tree with made-up filters, and the
 * owner's files, which each test writes itself (scratch.h, below etc/).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "config/config.h"
#include "scratch.h"

extern char config_folder[96], data_folder[96];

#define CONF "etc/hauberk.conf"

/* For cmocka's groups, with scratch_remove(). */
int configured_make(void **state);

/* The owner's files are the test's own: none is there afterwards. */
void forget_owner(void);

/* Reads it, with `text` (NULL: nothing) in hauberk.conf. A fault fails the test. */
struct config *read_with(const char *text);

/* Fails the test when there is no such jail. */
const struct config_jail *find_jail(const struct config *config, const char *name);
