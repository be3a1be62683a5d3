/* File systems: with which options the folders are mounted where strangers' files come to lie, and
 * how full each one is. The table is that of the first process: ours may be one that systemd made
 * for hauberk-audit.service, where all is read-only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "probe/found.h"
#include "probe/mounts.h"

static void say_options(struct look *look, const struct mount *mounts, size_t count) {
    static const char *const folders[] = {"/tmp", "/var/tmp", "/dev/shm"};
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++) {
        const struct mount *mount = mounts_find(mounts, count, folders[i]);
        look_say(look, "options", folders[i], mount ? mount->options : SPAN("none"));
    }
}

/* Where mail lies when nobody says otherwise, and its own file system if it has one. */
static void say_mail_store(struct look *look, const struct mount *mounts, size_t count) {
    static const char *const folders[] = {"/var/vmail", "/srv/mail",  "/srv/vmail", "/home/vmail",
                                          "/var/mail",  "/mail", "/var/spool/mail"};
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++) {
        const struct mount *mount = mounts_find(mounts, count, folders[i]);
        if (mount)
            look_say(look, "mail_store", folders[i], mount->options);
    }
}

/* A memory file system counts where somebody keeps things in it, not where the system does. */
static bool keeps_files(const struct mount *mount) {
    static const char *const of_the_system[] = {"/run", "/dev", "/tmp", "/sys", "/proc"};
    if (mount_is_on_disk(mount))
        return true;
    for (size_t i = 0; i < ELEMENTS_OF(of_the_system); i++)
        if (path_is_in(mount->path, of_the_system[i]))
            return false;
    return span_is(mount->type, "tmpfs");
}

static bool is_read_only(const struct mount *mount) {
    struct span options = mount->options;
    while (options.length > 0)
        if (span_is(span_cut(&options, ','), "ro"))
            return true;
    return false;
}

static void say_room(struct look *look, const struct mount *mounts, size_t count) {
    unsigned long seen[MOUNTS_MOST];
    size_t seen_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct statvfs room;
        bool is_seen = false;
        if (!keeps_files(&mounts[i]) || is_read_only(&mounts[i]) ||
            statvfs(mounts[i].path, &room) < 0 || room.f_blocks == 0)
            continue;
        for (size_t j = 0; j < seen_count; j++)
            is_seen = is_seen || seen[j] == room.f_fsid;
        if (is_seen)
            continue;
        seen[seen_count++] = room.f_fsid;
        /* As df(1) counts: of what is not root's own reserve. */
        uint64_t used = room.f_blocks - room.f_bfree;
        look_say_format(look, "used_percent", mounts[i].path, "%llu",
                        (unsigned long long)(used * 100 / (used + room.f_bavail + 1)));
        look_say_format(look, "used_mb", mounts[i].path, "%llu",
                        (unsigned long long)(used * room.f_frsize >> 20));
        look_say_format(look, "room_mb", mounts[i].path, "%llu",
                        (unsigned long long)(room.f_bavail * room.f_frsize >> 20));
        if (room.f_files)
            look_say_format(look, "inodes_percent", mounts[i].path, "%llu",
                            (unsigned long long)((room.f_files - room.f_ffree) * 100 /
                                                 room.f_files));
    }
}

void probe_mounts(struct look *look) {
    cleanup_text struct text text = {0};
    struct mount *mounts = calloc(MOUNTS_MOST, sizeof(*mounts));
    must(mounts);
    int error = look_file("/proc/1/mounts", &text);
    if (error < 0) /* an ordinary user may not; he sees what that process sees */
        error = look_file("/proc/self/mounts", &text);
    if (error < 0) {
        look_say_not(look, NULL, "/proc/self/mounts: %s", strerror(-error));
    } else {
        size_t count = mounts_read(text_span(&text), mounts);
        say_options(look, mounts, count);
        say_mail_store(look, mounts, count);
        say_room(look, mounts, count);
    }
    free(mounts);
}
