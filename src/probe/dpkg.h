/* What is installed: dpkg's status file (/var/lib/dpkg/status, dpkg(1)), read once, by name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"

struct package {
    struct span name, architecture, version; /* point into the text that was read */
};

struct installed {
    struct text text;
    struct package *at; /* by name */
    size_t count;
};

/* Installed ones only. -errno. */
must_use int installed_read(struct installed *ret_installed);
void installed_free(struct installed *installed);
#define cleanup_installed at_scope_end(installed_free)
/* The first of that name, or NULL. */
const struct package *installed_find(const struct installed *installed, struct span name);

/* The next paragraph of a file of Debian's control kind (deb822(5)); false at the end. */
bool next_paragraph(struct span *text, struct span *ret_paragraph);
/* The first line of a field's value, empty when it has none. */
struct span field_of(struct span paragraph, const char *name);
