/* Who is never banned according to the configuration: `admin`, the resolvers of this machine, and
 * `ignoreip`. The one place that knows: the decider asks it for a jail, the checker on behalf of
 * the enforcer, and the command line where no hauberkd runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "config/config.h"

/* Whose ban it would be: the number of a jail, or one of these. */
enum {
    EXEMPT_BY_HAND = -1,    /* a person's: what any jail ignores is spared */
    EXEMPT_EVERYWHERE = -2, /* what no jail and no person may ban: the kernel's exempt sets */
};

enum config_exemption {
    CONFIG_NOT_EXEMPT,
    CONFIG_EXEMPT_ADMIN,
    CONFIG_EXEMPT_RESOLVER,
    CONFIG_EXEMPT_IGNOREIP,
};

/* Adds the name servers of /etc/resolv.conf to the snapshot; they are no part of its digest, for
 * DHCP may change them at any time. None when it cannot be read. */
void config_read_resolvers(struct config *config);
void config_take_resolvers(struct config *config, struct span resolv_conf);

/* Why the prefix is, holds or lies in an address that is never banned by `jail`. */
enum config_exemption config_exemption_of(const struct config *config, int jail,
                                          const struct prefix *prefix);
/* "named in `admin`", for a sentence that begins with "it is". */
const char *config_exemption_text(enum config_exemption exemption);

/* Every prefix that is never banned by `jail`; some may be told twice. */
void config_each_exempt(const struct config *config, int jail,
                        void (*each)(void *context, const struct prefix *prefix), void *context);
