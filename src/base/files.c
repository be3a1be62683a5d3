/* Small files: see files.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

int file_read_fd(int fd, size_t most, struct text *text) {
    char buffer[16384];
    size_t total = 0;
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return text->error;
        total += (size_t)got;
        if (total > most)
            return -EFBIG;
        text_add(text, (struct span){buffer, (size_t)got});
    }
}

int file_read(const char *path, size_t most, struct text *text) {
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    return file_read_fd(fd, most, text);
}

int write_all(int fd, struct span bytes) {
    while (bytes.length > 0) {
        ssize_t written = write(fd, bytes.at, bytes.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes = span_skip(bytes, (size_t)written);
    }
    return 0;
}

static int sync_folder_of(const char *path) {
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
        return -ENAMETOOLONG;
    cleanup_close int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* Opens and locks the file that is at the path while the lock is held. */
static int open_to_append(const char *path) {
    for (;;) {
        cleanup_close int fd =
            open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat opened, there;
        if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &opened) < 0)
            return -errno;
        if (lstat(path, &there) == 0 && there.st_dev == opened.st_dev &&
            there.st_ino == opened.st_ino)
            return take_fd(&fd);
    }
}

int memory_seal(const char *name, struct span bytes) {
    cleanup_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int error = write_all(fd, bytes);
    if (error < 0)
        return error;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    return take_fd(&fd);
}

int file_append_durably(const char *path, struct span bytes) {
    cleanup_close int fd = open_to_append(path);
    if (fd < 0)
        return fd;
    int error = write_all(fd, bytes);
    if (error < 0)
        return error;
    if (fsync(fd) < 0)
        return -errno;
    return sync_folder_of(path);
}

int folder_make(const char *path, mode_t mode) {
    char copy[PATH_MAX];
    int length = snprintf(copy, sizeof(copy), "%s", path);
    if (length <= 0 || length >= (int)sizeof(copy))
        return -ENAMETOOLONG;
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(copy, kept ? 0755 : mode) < 0 && errno != EEXIST)
            return -errno;
        *at = kept;
        if (!kept)
            return 0;
    }
}
