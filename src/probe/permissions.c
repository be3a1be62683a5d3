/* stat(2) in words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/permissions.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

static void say_of(struct look *look, const char *key, const char *what, const char *path,
                   const char *name, unsigned number) {
    char whole[READING_NAME_MAX];
    snprintf(whole, sizeof(whole), "%s.%s", key, what);
    if (name)
        look_say_text(look, whole, path, name);
    else
        look_say_format(look, whole, path, "%u", number);
}

int say_permissions(struct look *look, const char *key, const char *path) {
    struct stat status;
    char name[READING_NAME_MAX];
    if (stat(path, &status) < 0) {
        int error = -errno;
        snprintf(name, sizeof(name), "%s.mode", key);
        if (error != -ENOENT)
            look_say_not(look, name, "%s: %s", path, strerror(-error));
        return error;
    }
    snprintf(name, sizeof(name), "%s.mode", key);
    look_say_format(look, name, path, "%04o", (unsigned)status.st_mode & 07777);
    const struct passwd *user = getpwuid(status.st_uid);
    say_of(look, key, "owner", path, user ? user->pw_name : NULL, status.st_uid);
    const struct group *group = getgrgid(status.st_gid);
    say_of(look, key, "group", path, group ? group->gr_name : NULL, status.st_gid);
    return 0;
}
