/* A folder for one test program: see scratch.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>

#include "base/files.h"

char scratch_folder[64];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status, (void)type, (void)walk;
    return remove(path);
}

int remove_below(const char *path) {
    return nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT ? 0 : -1;
}

int scratch_make(void **state) {
    (void)state;
    snprintf(scratch_folder, sizeof(scratch_folder), "/tmp/hauberk-test-XXXXXX");
    return mkdtemp(scratch_folder) ? 0 : -1;
}

int scratch_remove(void **state) {
    (void)state;
    return remove_below(scratch_folder);
}

void write_bytes(const char *name, struct span bytes) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", scratch_folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_true(folder_make(path, 0700) >= 0);
    *slash = '/';
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.at, 1, bytes.length, file), bytes.length);
    fclose(file);
}

void write_file(const char *name, const char *text) {
    write_bytes(name, span_of(text));
}
