/* No inotify instance is left, as long as the file named by HAUBERK_HANG is there. Preloaded into
 * hauberkd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int inotify_init1(int flags) {
    const char *hang = getenv("HAUBERK_HANG");
    if (hang && access(hang, F_OK) == 0) {
        errno = EMFILE;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "inotify_init1"))(flags);
}
