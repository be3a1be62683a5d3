/* Who administers this machine: the accounts with uid 0, and the members of the groups that
 * `admin-groups` names. Read once, before the sandbox; asked by name for a login in a log and by
 * uid for a session.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "config/config.h"

struct admins;

struct admins *admins_new(void); /* nobody yet */
struct admins *admins_free(struct admins *admins);
void admins_add(struct admins *admins, const char *name, uid_t uid);

/* Of this machine; never NULL. Names of a directory service count when they are members by name. */
struct admins *admins_read(const struct config *config);

bool admins_has_name(const struct admins *admins, struct span name);
const char *admins_name_of(const struct admins *admins, uid_t uid); /* NULL: no administrator */
