/* The log files: see supervise.h. hauberkd alone sees the file system of the logs: it globs once,
 * keeps one inotify descriptor per source (which the sensor reads), and opens what it is asked for
 * by number, never by a name from elsewhere.
 *
 * A path that is not there yet is a source too: its folder tells when it comes, and if the folder
 * is missing, the nearest one above. A new file that matches a glob, or a folder that appears, is
 * a new start of everything (DESIGN 2 "One fate").
 *
 * Folders are watched in two ways. A source's own descriptor watches its folder, for the sensor.
 * One more of hauberkd's watches what the sensor cannot see: the folders in which something could
 * turn up that a glob would find, and those that could go away. Whatever it tells, everything is
 * looked at again, at most ten times a second.
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
#define GOES_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define COMES_EVENTS (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)
#define FOLDER_EVENTS (COMES_EVENTS | GOES_EVENTS | IN_MOVED_FROM | IN_DELETE)
#define LOOK_AFTER_US (100 * INT64_C(1000))
#define TRY_AGAIN_US (10 * SECOND_US) /* what the kernel had no room for */

struct log_file {
    char path[257];
    bool is_journal;  /* then that is no path, but what is matched */
    uint64_t jails;   /* bit j: jail j reads it */
    bool is_fresh;
    int inotify_fd;  /* -1: the sensor is not told of it */
    char fault[201]; /* why it cannot be followed, or "" */
    bool fault_is_news;
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
    int folder_fd; /* see above */
    bool lacks_watches;
    struct watch *folder_watch, *look_timer, *retry_timer;
    struct loop *loop;
    int (*on_new_source)(void *context);
    void *context;
};

static void folder_of(const char *path, char into[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    snprintf(into, PATH_MAX, "%.*s", (int)(length ? length : 1), length ? path : "/");
}

static void set_fault(struct log_file *file, const char *text) {
    if (strcmp(file->fault, text) == 0)
        return;
    snprintf(file->fault, sizeof(file->fault), "%s", text);
    file->fault_is_news = true;
    if (text[0])
        log_error("%s is not followed: %s", file->path, text);
}

static const char *lack_of_watches(int error) {
    return error == EMFILE   ? "no inotify instance is left; raise fs.inotify.max_user_instances "
                               "(sysctl). It is tried again every ten seconds"
           : error == ENOSPC ? "no inotify watch is left; raise fs.inotify.max_user_watches "
                               "(sysctl). It is tried again every ten seconds"
                             : strerror(error);
}

/* The folder first: what comes between is seen. Also when it is another one of that name. */
static void watch_source(struct logs *logs, struct log_file *file) {
    char folder[PATH_MAX];
    folder_of(file->path, folder);
    if (inotify_add_watch(file->inotify_fd, folder, FOLDER_EVENTS) < 0 && errno != ENOENT &&
        errno != ENOTDIR) {
        set_fault(file, lack_of_watches(errno));
        cleanup_close_fd(&file->inotify_fd);
        logs->lacks_watches = true;
        return;
    }
    (void)inotify_add_watch(file->inotify_fd, file->path, FILE_EVENTS);
}

/* ---- hauberkd's own watches ---- */

static bool watch_folder(struct logs *logs, const char *folder, uint32_t events) {
    bool is_watched = inotify_add_watch(logs->folder_fd, folder, events | IN_MASK_ADD) >= 0;
    logs->lacks_watches = logs->lacks_watches || (!is_watched && errno == ENOSPC);
    return is_watched;
}

/* Every folder that matches the first `length` bytes of a pattern. */
static void watch_matching(struct logs *logs, const char *pattern, size_t length,
                           uint32_t events) {
    char part[PATH_MAX];
    glob_t found = {0};
    snprintf(part, sizeof(part), "%.*s", (int)(length ? length : 1), length ? pattern : "/");
    if (glob(part, GLOB_ONLYDIR | GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            (void)watch_folder(logs, found.gl_pathv[i], events);
    globfree(&found);
}

/* A literal's folders may go, which the folder above tells: while the sensor holds a file of it, a
 * removed folder itself says nothing. Where the first missing one, or whatever a pattern names,
 * belongs, something may come. */
static void watch_way(struct logs *logs, const char *pattern) {
    struct stat status;
    bool may_come = false;
    for (const char *slash = strchr(pattern, '/'); slash; slash = strchr(slash + 1, '/')) {
        const char *end = strchr(slash + 1, '/');
        size_t next = end ? (size_t)(end - pattern) : strlen(pattern);
        char below[PATH_MAX];
        snprintf(below, sizeof(below), "%.*s", (int)next, pattern);
        bool is_last = !end;
        may_come = may_come || strpbrk(below, "*?[") != NULL ||
                   (!is_last && stat(below, &status) < 0);
        watch_matching(logs, pattern, (size_t)(slash - pattern),
                       GOES_EVENTS | (is_last ? 0 : IN_DELETE | IN_MOVED_FROM) |
                           (may_come ? COMES_EVENTS : 0));
        /* It may have come just before the watch was there. */
        if (may_come && !is_last && stat(below, &status) == 0 && !strpbrk(below, "*?["))
            may_come = false;
    }
}

static void glob_pattern(const struct logs *logs, uint32_t number, char into[257]) {
    snprintf(into, 257, "%.*s", SPAN_FORMAT(wire_bytes(logs->globs[number].pattern)));
}

static void watch_ways(struct logs *logs) {
    for (uint32_t g = 0; g < logs->glob_count; g++) {
        char pattern[257];
        if (journal_is_named(&logs->globs[g]))
            continue;
        glob_pattern(logs, g, pattern);
        watch_way(logs, pattern);
    }
}

static void add_file(struct logs *logs, const char *path, const struct wire_glob *glob) {
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
        set_fault(file, lack_of_watches(errno));
        logs->lacks_watches = true;
        return;
    }
    if (file->is_journal)
        journal_watch(logs->journal_folder, file->inotify_fd);
    else
        watch_source(logs, file);
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
}

/* Would looking again find a log that is not followed yet? */
static bool has_new_file(const struct logs *logs) {
    for (uint32_t g = 0; g < logs->glob_count; g++) {
        glob_t found = {0};
        bool is_new = false;
        char pattern[257];
        if (journal_is_named(&logs->globs[g]))
            continue;
        glob_pattern(logs, g, pattern);
        if (logs->count < SOURCES_MAX && glob(pattern, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc && !is_new; i++) {
                bool is_known = is_rotated(&found, found.gl_pathv[i]) ||
                                strlen(found.gl_pathv[i]) > 256;
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
        if (logs->files[i].inotify_fd >= 0 && stat(folder, &status) == 0 &&
            inotify_add_watch(logs->files[i].inotify_fd, folder, FOLDER_EVENTS | IN_MASK_CREATE) >=
                0)
            return true;
    }
    return false;
}

static int look_again(void *context) {
    struct logs *logs = context;
    watch_ways(logs);
    if (has_new_file(logs) || a_folder_came(logs))
        return logs->on_new_source(logs->context);
    return 0;
}

static int folder_changed(void *context, int fd, uint32_t events) {
    (void)events;
    struct logs *logs = context;
    _Alignas(struct inotify_event) char buffer[4096];
    bool matters = false;
    for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;)
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= got;) {
            const struct inotify_event *event = (const void *)(buffer + at);
            at += (ssize_t)(sizeof(*event) + event->len);
            /* A file that went is nothing to us. */
            matters = matters || (event->mask & IN_ISDIR) ||
                      !(event->mask & (IN_DELETE | IN_MOVED_FROM));
        }
    if (matters && !watch_is_armed(logs->look_timer))
        watch_set_timer(logs->look_timer, LOOK_AFTER_US);
    return 0;
}

/* Is there room for what is lacking now? Then everything is made anew. */
static int try_again(void *context) {
    struct logs *logs = context;
    cleanup_close int trial = inotify_init1(IN_CLOEXEC);
    bool has_room = trial >= 0 && inotify_add_watch(trial, "/", GOES_EVENTS) >= 0;
    for (uint16_t i = 0; i < logs->count && has_room; i++) {
        char folder[PATH_MAX];
        if (logs->files[i].is_journal)
            continue; /* it wants an instance, and there is one: the trial */
        folder_of(logs->files[i].path, folder);
        has_room = logs->files[i].inotify_fd >= 0 ||
                   inotify_add_watch(trial, folder, FOLDER_EVENTS) >= 0 || errno == ENOENT;
    }
    if (has_room)
        return logs->on_new_source(logs->context);
    watch_set_timer(logs->retry_timer, TRY_AGAIN_US);
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
    logs->on_journal = earlier ? earlier->on_journal : journal_choose(checked, journal_folder);
    take_globs(logs, checked);
    if (logs->folder_fd < 0) {
        log_error("new logs are not noticed: %s", lack_of_watches(errno));
        logs->lacks_watches = true;
    }
    watch_ways(logs); /* before looking: what comes between is seen */
    for (uint32_t g = 0; g < logs->glob_count; g++)
        expand(logs, &logs->globs[g]);
    for (uint16_t i = 0; i < logs->count; i++)
        logs->files[i].is_fresh = appeared_since(earlier, logs->files[i].path);
    if (logs->folder_fd >= 0)
        logs->folder_watch = loop_add_fd(loop, logs->folder_fd, EPOLLIN, folder_changed, logs);
    logs->look_timer = loop_add_timer(loop, -1, look_again, logs);
    logs->retry_timer =
        loop_add_timer(loop, logs->lacks_watches ? TRY_AGAIN_US : -1, try_again, logs);
    return logs;
}

struct logs *logs_free(struct logs *logs) {
    if (!logs)
        return NULL;
    for (uint16_t i = 0; i < logs->count; i++)
        cleanup_close_fd(&logs->files[i].inotify_fd);
    logs->folder_watch = loop_forget(logs->folder_watch);
    logs->look_timer = loop_forget(logs->look_timer);
    logs->retry_timer = loop_forget(logs->retry_timer);
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
        if (logs->files[i].inotify_fd < 0)
            continue;
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

void logs_tell_faults(struct logs *logs, struct channel *decider, bool all) {
    for (uint16_t i = 0; i < logs->count; i++) {
        struct log_file *file = &logs->files[i];
        struct wire_source_fault told = {.source = i};
        if (!file->fault_is_news && !(all && file->fault[0]))
            continue;
        wire_set_bytes(told.text, span_of(file->fault));
        (void)channel_send(decider, SAY_SOURCE_FAULT, &told, NULL, 0);
        file->fault_is_news = false;
    }
}

const char *logs_path(const struct logs *logs, uint64_t number) {
    return logs && number < logs->count ? logs->files[number].path : NULL;
}

int logs_find(const struct logs *logs, const char *path) {
    for (uint16_t i = 0; i < logs->count; i++)
        if (strcmp(logs->files[i].path, path) == 0)
            return i;
    return -ENOENT;
}

/* ---- opening ---- */

static void note_open_fault(struct log_file *file, int error) {
    set_fault(file, error == 0 || error == -ENOENT ? ""
                    : error == -ELOOP  ? "it is a symbolic link; set follow-symlinks = yes in "
                                         "[hauberk] if it should be followed"
                    : error == -EINVAL ? "it is no regular file"
                                       : strerror(-error));
}

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
            watch_source(logs, file); /* the names may stand for others by now */
            fd = open_regular(logs, file->path, &status);
            if (file->inotify_fd >= 0)
                note_open_fault(file, fd < 0 ? fd : 0);
            else
                watch_set_timer(logs->retry_timer, TRY_AGAIN_US);
        } else if (open->sibling <= file->sibling_count) {
            char path[257];
            snprintf(path, sizeof(path), "%.*s",
                     SPAN_FORMAT(wire_bytes(file->siblings[open->sibling - 1].path)));
            fd = open_regular(logs, path, &status);
        }
    }
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

/* The place for one more: a new one, or that of the oldest if that is older. */
static struct wire_sibling *sibling_place(struct log_file *file, int64_t modified_us) {
    if (file->sibling_count < SIBLINGS_MAX)
        return &file->siblings[file->sibling_count++];
    struct wire_sibling *oldest = &file->siblings[0];
    for (uint32_t i = 1; i < SIBLINGS_MAX; i++)
        if (file->siblings[i].modified_us < oldest->modified_us)
            oldest = &file->siblings[i];
    return oldest->modified_us < modified_us ? oldest : NULL;
}

static void add_sibling(struct log_file *file, const char *folder, const char *name) {
    char path[PATH_MAX];
    struct stat status;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) > 256 || lstat(path, &status) < 0 ||
        !S_ISREG(status.st_mode))
        return;
    int64_t modified_us =
        (int64_t)status.st_mtim.tv_sec * SECOND_US + status.st_mtim.tv_nsec / 1000;
    struct wire_sibling *sibling = sibling_place(file, modified_us);
    if (!sibling)
        return;
    *sibling = (struct wire_sibling){.device = status.st_dev,
                                     .inode = status.st_ino,
                                     .size = (uint64_t)status.st_size,
                                     .modified_us = modified_us};
    wire_set_bytes(sibling->path, span_of(path));
}

static void list_siblings(struct logs *logs, struct log_file *file) {
    char folder[PATH_MAX];
    if (file->is_journal) {
        journal_watch(logs->journal_folder, file->inotify_fd);
        file->sibling_count = journal_list(logs->journal_folder, file->siblings);
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
}

void logs_list(struct logs *logs, struct channel *sensor,
               const struct wire_source_number *number) {
    if (number->source >= logs->count) {
        (void)channel_send(sensor, SAY_LISTED, number, NULL, 0);
        return;
    }
    struct log_file *file = &logs->files[number->source];
    list_siblings(logs, file);
    (void)channel_send(sensor, SAY_LISTED, number, file->siblings, file->sibling_count);
}
