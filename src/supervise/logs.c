/* The log files: see supervise.h. hauberkd alone sees the file system of the logs: it globs once,
 * keeps one inotify descriptor per source (which the sensor reads), and opens what it is asked for
 * by number, never by a name from elsewhere.
 *
 * A path that is not there yet is a source too: its folder tells when it comes, and if the folder
 * is missing, the nearest one above. A new file that matches a glob, or a folder that appears, is
 * a new start of everything (DESIGN 2 "One fate").
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervise/supervise.h"

#define FILE_EVENTS \
    (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)
#define FOLDER_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

struct log_file {
    char path[257];
    bool is_journal;  /* then that is no path, but what is matched */
    uint64_t jails;   /* bit j: jail j reads it */
    bool is_fresh;
    int inotify_fd;
    struct wire_sibling siblings[SIBLINGS_MAX];
    uint32_t sibling_count;
};

struct logs {
    struct log_file files[SOURCES_MAX];
    uint16_t count;
    bool follows_symlinks;
    const char *journal_folder;
    uint64_t on_journal;         /* bit j: jail j reads the journal */
    struct wire_glob globs[128]; /* those that somebody reads */
    uint32_t glob_count;
    int folder_fd; /* watches the folders of globs, and those that are missing */
    struct watch *folder_watch;
    struct loop *loop;
    int (*on_new_source)(void *context);
    void *context;
};

static void folder_of(const char *path, char into[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    snprintf(into, PATH_MAX, "%.*s", (int)(length ? length : 1), length ? path : "/");
}

static void watch_file(const struct log_file *file) {
    (void)inotify_add_watch(file->inotify_fd, file->path, FILE_EVENTS);
}

static void watch_missing_folder(struct logs *logs, const char *folder) {
    char above[PATH_MAX];
    snprintf(above, sizeof(above), "%s", folder);
    while (strcmp(above, "/") != 0) {
        char parent[PATH_MAX];
        folder_of(above, parent);
        snprintf(above, sizeof(above), "%s", parent);
        if (inotify_add_watch(logs->folder_fd, above, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) >= 0)
            return;
    }
}

static void add_file(struct logs *logs, const char *path, const struct wire_glob *glob) {
    char folder[PATH_MAX];
    for (uint16_t i = 0; i < logs->count; i++)
        if (strcmp(logs->files[i].path, path) == 0) {
            logs->files[i].jails |= glob->jails;
            return;
        }
    if (logs->count == SOURCES_MAX || strlen(path) > 256) {
        log_error("%s is not read: at most %d logs, with paths of at most 256 bytes", path,
                  SOURCES_MAX);
        return;
    }
    struct log_file *file = &logs->files[logs->count++];
    snprintf(file->path, sizeof(file->path), "%s", path);
    file->jails = glob->jails;
    file->is_journal = journal_is_named(glob);
    file->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (file->inotify_fd < 0) {
        log_error("no inotify descriptor for %s: %s (fs.inotify.max_user_instances?)", path,
                  strerror(errno));
        return;
    }
    if (file->is_journal) {
        journal_watch(logs->journal_folder, file->inotify_fd);
        return;
    }
    folder_of(path, folder);
    if (inotify_add_watch(file->inotify_fd, folder, FOLDER_EVENTS) < 0)
        watch_missing_folder(logs, folder);
    watch_file(file);
}

/* "mail.log.1" and "mail.log-20261120" belong to the log they were rotated from. */
static bool is_rotated(const glob_t *found, const char *path) {
    for (size_t i = 0; i < found->gl_pathc; i++) {
        size_t length = strlen(found->gl_pathv[i]);
        if (strncmp(path, found->gl_pathv[i], length) == 0 &&
            (path[length] == '.' || path[length] == '-'))
            return true;
    }
    return false;
}

static bool is_pattern(const char *path) {
    return strpbrk(path, "*?[") != NULL;
}

static void expand(struct logs *logs, const struct wire_glob *named) {
    glob_t found = {0};
    char folder[PATH_MAX];
    char pattern[257];
    snprintf(pattern, sizeof(pattern), "%.*s", SPAN_FORMAT(wire_bytes(named->pattern)));
    if (journal_is_named(named) || !is_pattern(pattern)) {
        add_file(logs, pattern, named);
        return;
    }
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (!is_rotated(&found, found.gl_pathv[i]))
                add_file(logs, found.gl_pathv[i], named);
    globfree(&found);
    folder_of(pattern, folder);
    if (!is_pattern(folder))
        (void)inotify_add_watch(logs->folder_fd, folder, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
}

/* Would looking again find a log that is not followed yet? */
static bool has_new_file(const struct logs *logs) {
    for (uint32_t g = 0; g < logs->glob_count; g++) {
        glob_t found = {0};
        bool is_new = false;
        char pattern[257];
        if (journal_is_named(&logs->globs[g]))
            continue;
        snprintf(pattern, sizeof(pattern), "%.*s",
                 SPAN_FORMAT(wire_bytes(logs->globs[g].pattern)));
        if (glob(pattern, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc && !is_new; i++) {
                bool is_known = is_rotated(&found, found.gl_pathv[i]);
                for (uint16_t k = 0; k < logs->count && !is_known; k++)
                    is_known = strcmp(logs->files[k].path, found.gl_pathv[i]) == 0;
                is_new = !is_known;
            }
        globfree(&found);
        if (is_new)
            return true;
    }
    return false;
}

static bool a_folder_came(const struct logs *logs) {
    for (uint16_t i = 0; i < logs->count; i++) {
        char folder[PATH_MAX];
        if (logs->files[i].is_journal)
            continue;
        folder_of(logs->files[i].path, folder);
        /* Watching twice gives the same watch: it succeeds now where it failed before. */
        struct stat status;
        if (stat(folder, &status) == 0 &&
            inotify_add_watch(logs->files[i].inotify_fd, folder, FOLDER_EVENTS | IN_MASK_CREATE) >=
                0)
            return true;
    }
    return false;
}

static int folder_changed(void *context, int fd, uint32_t events) {
    (void)events;
    struct logs *logs = context;
    _Alignas(struct inotify_event) char buffer[4096];
    while (read(fd, buffer, sizeof(buffer)) > 0)
        ;
    if (has_new_file(logs) || a_folder_came(logs))
        return logs->on_new_source(logs->context);
    return 0;
}

/* Once fresh, fresh for as long as we run: its mark may not be committed yet. */
static bool appeared_since(const struct logs *earlier, const char *path) {
    for (uint16_t i = 0; earlier && i < earlier->count; i++)
        if (strcmp(earlier->files[i].path, path) == 0)
            return earlier->files[i].is_fresh;
    return earlier != NULL;
}

/* A file nobody reads because its jails read the journal is no source, nor the other way round. */
static void take_globs(struct logs *logs, const struct checked_config *checked) {
    for (uint32_t g = 0; g < checked->glob_count; g++) {
        struct wire_glob glob = checked->globs[g];
        glob.jails &= journal_is_named(&glob) ? logs->on_journal : ~logs->on_journal;
        if (glob.jails)
            logs->globs[logs->glob_count++] = glob;
    }
}

struct logs *logs_new(struct loop *loop, const struct checked_config *checked,
                      const char *journal_folder, const struct logs *earlier,
                      int (*on_new_source)(void *context), void *context) {
    struct logs *logs = calloc(1, sizeof(*logs));
    must(logs);
    logs->loop = loop;
    logs->on_new_source = on_new_source;
    logs->context = context;
    logs->follows_symlinks = checked->follow_symlinks;
    logs->folder_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    logs->journal_folder = journal_folder;
    /* Chosen once for a configuration: changing over would lose or repeat what lies between. */
    logs->on_journal =
        earlier ? earlier->on_journal : journal_choose(checked, journal_folder);
    take_globs(logs, checked);
    for (uint32_t g = 0; g < logs->glob_count; g++)
        expand(logs, &logs->globs[g]);
    for (uint16_t i = 0; i < logs->count; i++)
        logs->files[i].is_fresh = appeared_since(earlier, logs->files[i].path);
    if (logs->folder_fd >= 0)
        logs->folder_watch = loop_add_fd(loop, logs->folder_fd, EPOLLIN, folder_changed, logs);
    return logs;
}

struct logs *logs_free(struct logs *logs) {
    if (!logs)
        return NULL;
    for (uint16_t i = 0; i < logs->count; i++)
        cleanup_close_fd(&logs->files[i].inotify_fd);
    logs->folder_watch = loop_forget(logs->folder_watch);
    cleanup_close_fd(&logs->folder_fd);
    free(logs);
    return NULL;
}

static struct wire_source source_record(const struct logs *logs, uint16_t number) {
    struct wire_source record = {.source = number,
                                 .is_fresh = logs->files[number].is_fresh,
                                 .jails = logs->files[number].jails};
    wire_set_bytes(record.path, span_of(logs->files[number].path));
    return record;
}

void logs_tell_sensor(struct logs *logs, struct channel *sensor) {
    for (uint16_t i = 0; i < logs->count; i++) {
        struct wire_source record = source_record(logs, i);
        (void)channel_send_fd(sensor, SAY_SOURCE, &record, logs->files[i].inotify_fd);
    }
    (void)channel_send(sensor, SAY_SOURCES_END, NULL, NULL, 0);
}

void logs_tell_decider(struct logs *logs, struct channel *decider) {
    for (uint16_t i = 0; i < logs->count; i++) {
        struct wire_source record = source_record(logs, i);
        (void)channel_send(decider, SAY_SOURCE_NAME, &record, NULL, 0);
    }
    (void)channel_send(decider, SAY_SOURCES_END, NULL, NULL, 0);
}

/* ---- opening ---- */

static int open_regular(const struct logs *logs, const char *path, struct stat *ret_status) {
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK |
                                          (logs->follows_symlinks ? 0 : O_NOFOLLOW));
    if (fd < 0)
        return -errno;
    if (fstat(fd, ret_status) < 0)
        return -errno;
    if (!S_ISREG(ret_status->st_mode))
        return -EINVAL;
    return take_fd(&fd);
}

void logs_open(struct logs *logs, struct channel *sensor, const struct wire_open *open) {
    struct wire_opened opened = {.source = open->source, .sibling = open->sibling,
                                 .ticket = open->ticket};
    struct stat status = {0};
    cleanup_close int fd = -ENOENT;
    if (open->source < logs->count) {
        struct log_file *file = &logs->files[open->source];
        if (open->sibling == 0 && file->is_journal) {
            fd = -ENOENT; /* it has no path of its own */
        } else if (open->sibling == 0) {
            watch_file(file); /* the name may stand for another file by now */
            fd = open_regular(logs, file->path, &status);
        } else if (open->sibling <= file->sibling_count) {
            char path[257];
            snprintf(path, sizeof(path), "%.*s",
                     SPAN_FORMAT(wire_bytes(file->siblings[open->sibling - 1].path)));
            fd = open_regular(logs, path, &status);
        }
    }
    if (fd == -ELOOP)
        log_warning("%s is a symbolic link and is not followed; set follow-symlinks = yes in "
                    "[hauberk] if it should be",
                    logs->files[open->source].path);
    opened.error = fd < 0 ? (uint32_t)-fd : 0;
    opened.device = status.st_dev;
    opened.inode = status.st_ino;
    opened.size = (uint64_t)status.st_size;
    if (fd >= 0)
        (void)channel_send_fd(sensor, SAY_OPENED, &opened, fd);
    else
        (void)channel_send(sensor, SAY_OPENED, &opened, NULL, 0);
    if (fd < 0)
        fd = -1;
}

static int newest_first(const void *a, const void *b) {
    const struct wire_sibling *one = a;
    const struct wire_sibling *other = b;
    return one->modified_us < other->modified_us   ? 1
           : one->modified_us > other->modified_us ? -1
                                                   : 0;
}

static void add_sibling(struct log_file *file, const char *folder, const char *name) {
    char path[PATH_MAX];
    struct stat status;
    if (file->sibling_count == SIBLINGS_MAX ||
        snprintf(path, sizeof(path), "%s/%s", folder, name) > 256 ||
        lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    struct wire_sibling *sibling = &file->siblings[file->sibling_count++];
    *sibling = (struct wire_sibling){
        .device = status.st_dev,
        .inode = status.st_ino,
        .size = (uint64_t)status.st_size,
        .modified_us = (int64_t)status.st_mtim.tv_sec * SECOND_US +
                       status.st_mtim.tv_nsec / 1000};
    wire_set_bytes(sibling->path, span_of(path));
}

void logs_list(struct logs *logs, struct channel *sensor,
               const struct wire_source_number *number) {
    char folder[PATH_MAX];
    if (number->source >= logs->count) {
        (void)channel_send(sensor, SAY_LISTED, number, NULL, 0);
        return;
    }
    struct log_file *file = &logs->files[number->source];
    if (file->is_journal) {
        journal_watch(logs->journal_folder, file->inotify_fd);
        file->sibling_count = journal_list(logs->journal_folder, file->siblings);
        (void)channel_send(sensor, SAY_LISTED, number, file->siblings, file->sibling_count);
        return;
    }
    folder_of(file->path, folder);
    const char *name = strrchr(file->path, '/') ? strrchr(file->path, '/') + 1 : file->path;
    file->sibling_count = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; open_folder && (entry = readdir(open_folder));)
        if (strncmp(entry->d_name, name, strlen(name)) == 0 && strcmp(entry->d_name, name) != 0)
            add_sibling(file, folder, entry->d_name);
    if (open_folder)
        closedir(open_folder);
    qsort(file->siblings, file->sibling_count, sizeof(file->siblings[0]), newest_first);
    (void)channel_send(sensor, SAY_LISTED, number, file->siblings, file->sibling_count);
}
