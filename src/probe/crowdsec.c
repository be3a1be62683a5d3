/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/crowdsec.h"

#include <stdbool.h>
#include <stdio.h>

#include "probe/found.h"

static void note_path(void *context, const char *path) {
    (void)path;
    *(bool *)context = true;
}

const char *crowdsec_why_not(const char *pattern) {
    char scenarios[200];
    bool is_there = false;
    snprintf(scenarios, sizeof(scenarios), "/etc/crowdsec/scenarios/%s", pattern);
    (void)each_path(scenarios, note_path, &is_there);
    return is_there ? "CrowdSec would ban and report this machine's own address for it" : NULL;
}
