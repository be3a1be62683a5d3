/* What config.c (order of reading, jails), filter.c (filter files) and describe.c share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "config/settings.h"

/* A setting's effective value as written, and where it came from. */
struct config_shown {
    const char *text;
    struct config_origin origin;
};

struct config_inside {
    struct keep keep;                 /* everything of the snapshot but itself */
    struct config_shown *hauberk;     /* [hauberk_setting_count] */
    struct config_shown **jail_shown; /* [jail_count][jail_setting_count] */
};

enum { FOLDER_CONFIG, FOLDER_DATA, FOLDERS };

/* Reads CONFIG/filters/NAME.conf, or else DATA/filters/NAME.conf, with their .local; `asker` is
 * the jail that wants it and `origin` where it says so. */
must_use int filter_read(struct keep *keep, const char *const folders[FOLDERS], const char *name,
                         const char *asker, struct config_origin origin,
                         struct digest_state *digest, struct config_filter *ret_filter,
                         struct why *reterr_why);
