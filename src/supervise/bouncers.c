/* Other programs that ban addresses, by the names of root's processes (proc(5), /proc/PID/comm: at
 * most 15 bytes; whoever owns the folder runs the process). A user's process of such a name says
 * nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervise/supervise.h"

static const char *const processes[BOUNCERS] = {[BOUNCER_FAIL2BAN] = "fail2ban-server",
                                                [BOUNCER_CROWDSEC] = "crowdsec",
                                                [BOUNCER_SSHGUARD] = "sshguard",
                                                [BOUNCER_DENYHOSTS] = "denyhosts"};

static uint32_t bouncer_named(const char *name) {
    for (uint32_t i = 0; i < BOUNCERS; i++)
        if (strcmp(processes[i], name) == 0)
            return UINT32_C(1) << i;
    return 0;
}

/* A container's processes have a number there, too (NSpid, proc_pid_status(5)): what bans in it
 * does not ban here. */
static bool is_contained(int proc, const char *pid) {
    char path[64];
    char text[4096];
    if (snprintf(path, sizeof(path), "%.20s/status", pid) >= (int)sizeof(path))
        return true;
    cleanup_close int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (got <= 0)
        return true;
    text[got] = '\0';
    const char *line = strstr(text, "\nNSpid:\t");
    if (!line)
        return false;
    line += strlen("\nNSpid:\t");
    return memchr(line, '\t', strcspn(line, "\n")) != NULL;
}

static uint32_t look_at(int proc, const char *pid) {
    char path[64];
    char name[32];
    struct stat status;
    if (snprintf(path, sizeof(path), "%.20s/comm", pid) >= (int)sizeof(path))
        return 0;
    cleanup_close int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_uid != 0)
        return 0;
    ssize_t got = read(fd, name, sizeof(name) - 1);
    if (got <= 0)
        return 0;
    name[strcspn(name, "\n") < (size_t)got ? strcspn(name, "\n") : (size_t)got] = '\0';
    uint32_t found = bouncer_named(name);
    return found && !is_contained(proc, pid) ? found : 0;
}

uint32_t bouncers_running(void) {
    uint32_t found = 0;
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            found |= look_at(dirfd(folder), entry->d_name);
    if (folder)
        closedir(folder);
    return found;
}
