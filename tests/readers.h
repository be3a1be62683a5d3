/* Which jails read a log, for tests that play hauberkd: those with a logpath that names it (globs
 * as fnmatch(3)); bit j for jail j.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <fnmatch.h>

#include "config/config.h"

static inline uint64_t jails_of_log(const struct config *config, const char *path) {
    uint64_t jails = 0;
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct config_jail *jail = &config->jails[j];
        for (uint32_t i = 0; jail->is_enabled && i < jail->log_paths.count; i++)
            if (fnmatch(jail->log_paths.at[i].text, path, FNM_PATHNAME) == 0)
                jails |= UINT64_C(1) << j;
    }
    return jails;
}
