/* hauberkd's premises: see premises.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervise/premises.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "config/selftest.h"
#include "wire/inherited.h"

#define LOCK_PATIENCE_US (5 * SECOND_US)

/* Keeps the lock's descriptor open over exec: whoever lives of us holds it. */
static int take_lock(const char *folder, struct why *reterr_why) {
    char path[500];
    char pid[32];
    snprintf(path, sizeof(path), "%.480s/lock", folder);
    /* Held through a descriptor that cannot write: every role inherits it. */
    cleanup_close int writable = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (writable < 0 || fd < 0) {
        int error = errno;
        cleanup_close_fd(&fd);
        return why_set(reterr_why, -error, path, 0, "cannot be made: %s", strerror(error));
    }
    int64_t until_us = clock_monotonic_us() + LOCK_PATIENCE_US;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);
        pid[got > 0 ? strspn(pid, "0123456789") : 0] = '\0';
        if (clock_monotonic_us() > until_us) {
            close(fd);
            return why_set(reterr_why, -EBUSY, folder, 0,
                           "another hauberkd works here (pid %s); end it first", pid);
        }
        poll(NULL, 0, 50); /* flock(2) has no descriptor to wait for, and LOCK_EX no time limit */
    }
    int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(writable, 0) < 0 || pwrite(writable, pid, (size_t)length, 0) != length)
        log_warning("%s cannot be written", path);
    int kept = fcntl(fd, F_DUPFD, ROLE_FD_LOCKS);
    close(fd);
    return kept < 0 ? why_set(reterr_why, -errno, path, 0, "no descriptor for the lock") : 0;
}

static int make_folders(const struct supervise_options *options,
                        const struct sandbox_users *users, struct why *reterr_why) {
    uid_t uid = users->uid[DECIDER];
    gid_t gid = users->gid[DECIDER];
    int error = folder_make(options->state_folder, 0700);
    if (error < 0)
        return why_set(reterr_why, error, options->state_folder, 0, "cannot be made: %s",
                       strerror(-error));
    error = folder_make(options->runtime_folder, 0755);
    if (error < 0)
        return why_set(reterr_why, error, options->runtime_folder, 0, "cannot be made: %s",
                       strerror(-error));
    if (uid == (uid_t)-1)
        return 0;
    static const char *const files[] = {"", "/hauberk.db", "/hauberk.db-wal", "/hauberk.db-shm",
                                        "/orders"};
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        char path[500];
        snprintf(path, sizeof(path), "%.460s%s", options->state_folder, files[i]);
        if (lchown(path, uid, gid) < 0 && errno != ENOENT)
            return why_set(reterr_why, -errno, path, 0, "cannot be given to the decider's user");
    }
    return 0;
}

/* Empty at every start: what it says is of no interest once it was answered. */
static int make_selftest_log(const char *runtime_folder, struct why *reterr_why) {
    char path[500];
    snprintf(path, sizeof(path), "%.460s/" SELFTEST_LOG, runtime_folder);
    cleanup_close int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return why_set(reterr_why, -errno, path, 0, "cannot be made: %s", strerror(errno));
    return 0;
}

int premises_take(const struct supervise_options *options, const struct sandbox_users *users,
                  struct why *reterr_why) {
    int error = make_folders(options, users, reterr_why);
    if (error >= 0)
        error = take_lock(options->state_folder, reterr_why);
    if (error >= 0)
        error = take_lock(options->runtime_folder, reterr_why);
    if (error >= 0)
        error = make_selftest_log(options->runtime_folder, reterr_why);
    return error;
}

int premises_listen(const struct supervise_options *options, const struct sandbox_users *users,
                    int *ret_control_fd, struct why *reterr_why) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (snprintf(name.sun_path, sizeof(name.sun_path), "%s/control",
                 options->runtime_folder) >= (int)sizeof(name.sun_path))
        return why_set(reterr_why, -ENAMETOOLONG, options->runtime_folder, 0,
                       "is too long for a socket's name (108 bytes); choose another --runtime");
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)unlink(name.sun_path);
    mode_t before = umask(0117);
    int bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&name, sizeof(name));
    int bind_error = errno;
    umask(before);
    if (bound < 0 || listen(fd, 16) < 0)
        return why_set(reterr_why, -bind_error, name.sun_path, 0, "cannot be made: %s",
                       strerror(bind_error));
    gid_t gid = users->gid[DECIDER];
    if (gid != (gid_t)-1 && lchown(name.sun_path, 0, gid) < 0)
        return why_set(reterr_why, -errno, name.sun_path, 0, "cannot be given to group hauberk");
    *ret_control_fd = take_fd(&fd);
    return 0;
}

void premises_close(const struct supervise_options *options) {
    char path[300];
    snprintf(path, sizeof(path), "%.280s/control", options->runtime_folder);
    (void)unlink(path);
}
