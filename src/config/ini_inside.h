/* What ini.c (sections, values, interpolation) and ini_read.c (bytes, files, includes) share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "config/ini.h"

#define INI_DEFAULT "DEFAULT"
#define INI_INCLUDES "INCLUDES"

struct ini {
    struct keep *keep;
    const char *folders[INI_FOLDERS_MOST];
    unsigned folder_count;
    struct digest_state *digest;
    ini_section_fn *name_section;
    void *context;
    struct ini_section *first, *last;
    struct ini_section builtin;
    unsigned section_count;
    const char **read_paths; /* of all files so far, in that order */
    unsigned file_count;
};

/* A list of sections of one file; the merged ones have the same shape. */
struct ini_value *ini_find_value(const struct ini_section *section, struct span key);
void ini_append_value(struct ini_section *section, struct ini_value *value);

/* Puts one file's sections over what is there; takes the values. */
must_use int ini_merge(struct ini *ini, struct ini_section *sections, struct why *reterr_why);
