/* A disk that hangs: fsync and fdatasync wait for as long as a file named `hang` lies in the
 * working state folder (HAUBERK_HANG). Preloaded into hauberkd and so into its roles.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_while_hanging(void) {
    const char *path = getenv("HAUBERK_HANG");
    while (path && access(path, F_OK) == 0)
        usleep(10000);
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    wait_while_hanging();
    return real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    wait_while_hanging();
    return real(fd);
}
