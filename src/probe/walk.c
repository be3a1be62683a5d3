/* Folders are read by descriptor, so a name that is exchanged under our feet leads nowhere else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"

enum { DEPTH_MOST = 100, MOUNTS_MOST_BYTES = 4 << 20, ENTRIES_BETWEEN_CLOCKS = 256 };

/* Only the first: it names the place where to begin looking by hand. */
static void cut_here(struct walk *walk, const char *why) {
    if (!walk->cut[0])
        snprintf(walk->cut, sizeof(walk->cut), "%s after %u files, at %.250s", why, walk->entries,
                 walk->path);
}

/* ---- what it goes past ---- */

static bool ends_with(const char *path, size_t length, const char *end) {
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(path + length - end_length, end) == 0;
}

static bool is_store_of_others(const struct walk *walk) {
    static const char *const ends[] = {
        "/var/lib/docker",    "/var/lib/containers", "/var/lib/containerd", "/var/lib/lxc",
        "/var/lib/lxd",       "/var/lib/incus",      "/var/lib/machines",   "/var/lib/flatpak",
        "/var/lib/schroot",   "/var/lib/snapd",      "/var/lib/kubelet",    "/var/lib/libvirt",
        "/var/cache/pbuilder",
        "/.local/share/containers", "/.local/share/docker",
        "/dbox-Mails",
    };
    for (size_t i = 0; i < ELEMENTS_OF(ends); i++)
        if (ends_with(walk->path, walk->length, ends[i]))
            return true;
    for (size_t i = 0; walk->past && walk->past[i]; i++)
        if (strcmp(walk->path, walk->past[i]) == 0)
            return true;
    return false;
}

/* Asked before anything is asked of the file itself: a dead server's would never answer. */
static bool is_of_another_machine(const struct walk *walk) {
    return mounts_find(walk->foreign, walk->foreign_count, walk->path) != NULL;
}

/* Of all mounts those that are not this machine's disks or memory. What the kernel makes up lies
 * where nobody walks, and would only slow the search. */
static void find_foreign(struct walk *walk, const struct mount *mounts, size_t count) {
    static const char *const made_up[] = {"/proc", "/sys", "/dev", "/run"};
    for (size_t i = 0; i < count; i++) {
        bool is_foreign = !mount_is_on_disk(&mounts[i]) && !span_is(mounts[i].type, "tmpfs") &&
                          mounts_find(mounts, count, mounts[i].path) == &mounts[i];
        for (size_t j = 0; j < ELEMENTS_OF(made_up); j++)
            is_foreign = is_foreign && !path_is_in(mounts[i].path, made_up[j]);
        if (is_foreign)
            walk->foreign[walk->foreign_count++] = mounts[i];
    }
}

static void read_mounts(struct walk *walk) {
    cleanup_text struct text text = {0};
    struct mount *mounts = calloc(MOUNTS_MOST, sizeof(*mounts));
    walk->foreign = calloc(MOUNTS_MOST, sizeof(*walk->foreign));
    walk->foreign_count = 0;
    must(mounts && walk->foreign);
    if (file_read("/proc/self/mounts", MOUNTS_MOST_BYTES, &text) == 0)
        find_foreign(walk, mounts, mounts_read(text_span(&text), mounts));
    free(mounts);
}

static bool is_folder_in(int folder, const char *name) {
    struct stat status;
    return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/* cur, new and tmp beside each other are a Maildir (maildir(5) of qmail). */
static bool is_maildir(int folder) {
    return is_folder_in(folder, "cur") && is_folder_in(folder, "new") &&
           is_folder_in(folder, "tmp");
}

static bool is_part_of_maildir(const char *name) {
    return strcmp(name, "cur") == 0 || strcmp(name, "new") == 0 || strcmp(name, "tmp") == 0;
}

/* os-release(5) stands in every system. One that somebody but root could have put there does not
 * hide anything. */
static bool is_whole_system(int folder) {
    static const char *const marks[] = {"etc/os-release", "usr/lib/os-release"};
    struct stat status;
    if (fstat(folder, &status) < 0 || status.st_uid != 0 || (status.st_mode & S_IWOTH))
        return false;
    for (size_t i = 0; i < ELEMENTS_OF(marks); i++)
        if (fstatat(folder, marks[i], &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_uid == 0)
            return true;
    return false;
}

/* ---- the walk ---- */

static bool walk_folder(struct walk *walk, int at, const char *name, unsigned depth, bool is_open);

/* False when the time is over. */
static bool take_entry(struct walk *walk, int folder, const char *name, unsigned depth,
                       bool is_open) {
    struct stat status;
    if (is_of_another_machine(walk) ||
        fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return true;
    const struct walk_entry entry = {walk->path, name, &status, folder, is_open};
    walk->each(walk->context, &entry);
    if (++walk->entries >= walk->most) {
        cut_here(walk, "gave up");
        return false;
    }
    if (walk->entries % ENTRIES_BETWEEN_CLOCKS == 0 && clock_monotonic_us() > walk->until_us) {
        cut_here(walk, "ran out of time");
        return false;
    }
    if (!S_ISDIR(status.st_mode) || is_store_of_others(walk))
        return true;
    return walk_folder(walk, folder, name, depth + 1,
                       is_open && (status.st_mode & S_IXOTH) != 0);
}

static bool walk_folder(struct walk *walk, int at, const char *name, unsigned depth, bool is_open) {
    size_t length = walk->length;
    if (depth > DEPTH_MOST) {
        cut_here(walk, "went no deeper");
        return true;
    }
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        cleanup_close_fd(&fd);
        return true;
    }
    bool goes_on = true;
    bool holds_mail = is_maildir(fd);
    bool is_gone_past = depth > 0 && is_whole_system(fd);
    for (const struct dirent *entry; goes_on && !is_gone_past && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (holds_mail && is_part_of_maildir(entry->d_name)))
            continue;
        if (length + strlen(entry->d_name) + 2 > sizeof(walk->path)) {
            cut_here(walk, "a path was too long");
            continue;
        }
        walk->length = length + (size_t)snprintf(walk->path + length, sizeof(walk->path) - length,
                                                 "/%s", entry->d_name);
        goes_on = take_entry(walk, fd, entry->d_name, depth, is_open);
        walk->length = length;
        walk->path[length] = '\0';
    }
    closedir(folder);
    return goes_on;
}

void walk_roots(struct walk *walk, const char *const *roots, size_t count) {
    bool goes_on = true;
    read_mounts(walk);
    for (size_t i = 0; goes_on && i < count; i++) {
        struct stat status;
        walk->length = (size_t)snprintf(walk->path, sizeof(walk->path), "%s",
                                        strcmp(roots[i], "/") == 0 ? "" : roots[i]);
        if (!is_of_another_machine(walk) && lstat(roots[i], &status) == 0)
            goes_on = walk_folder(walk, AT_FDCWD, roots[i], 0, (status.st_mode & S_IXOTH) != 0);
    }
    free(walk->foreign);
    walk->foreign = NULL;
}
