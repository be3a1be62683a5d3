/* Finding the installation: see install.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/install.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"

static bool is_folder_with(const char *folder, const char *name) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void cut_last(char *path) {
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
}

/* A build tree says where its sources are. */
static bool find_build(const char *folder, struct install_paths *paths) {
    char note[PATH_MAX];
    cleanup_text struct text source = {0};
    if (snprintf(note, sizeof(note), "%s/../source", folder) >= (int)sizeof(note) ||
        file_read(note, PATH_MAX - 1, &source) < 0)
        return false;
    struct span path = span_trim(text_span(&source));
    snprintf(paths->data, sizeof(paths->data), "%.*s", SPAN_FORMAT(path));
    snprintf(paths->libexec, sizeof(paths->libexec), "%s", folder);
    return is_folder_with(paths->data, "jails");
}

bool install_find(struct install_paths *ret_paths) {
    char folder[PATH_MAX - 64];
    ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
    if (length <= 0)
        return false;
    folder[length] = '\0';
    cut_last(folder);
    if (find_build(folder, ret_paths))
        return true;
    cut_last(folder);
    snprintf(ret_paths->libexec, sizeof(ret_paths->libexec), "%s/libexec/hauberk", folder);
    snprintf(ret_paths->data, sizeof(ret_paths->data), "%s/share/hauberk", folder);
    return is_folder_with(ret_paths->data, "jails");
}
