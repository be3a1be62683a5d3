/* A folder for one test program: made before its tests, gone with all that is in it after them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

extern char scratch_folder[64];

/* For cmocka's groups. */
int scratch_make(void **state);
int scratch_remove(void **state);

/* Writes a file there; the folders in its name are made. */
void write_bytes(const char *name, struct span bytes);
void write_file(const char *name, const char *text);

/* Removes what is below that path, and itself, if it is there. */
int remove_below(const char *path);
