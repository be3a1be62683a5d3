/* The journal's files: see supervise.h. They lie in a folder named after the machine, below
 * /var/log/journal when the journal is kept and below /run/log/journal when it is not
 * (journald(8)). The one being written is system.journal, those set aside are system@….journal, and
 * system@….journal~ when journald found them damaged; what users log for themselves is none of our
 * business.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "supervise/supervise.h"

#define WRITTEN_WITHIN_US DAY_US
#define FILES_EVENTS \
    (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

static const char *const roots[] = {"/var/log/journal", "/run/log/journal"};

/* Folder number n into `into`; false when there are no more. */
static bool folder_at(const char *only, unsigned n, char into[PATH_MAX]) {
    cleanup_text struct text machine = {0};
    if (only)
        return n == 0 && snprintf(into, PATH_MAX, "%s", only) < PATH_MAX;
    if (n >= ELEMENTS_OF(roots) || file_read("/etc/machine-id", 64, &machine) < 0)
        return false;
    struct span id = span_trim(text_span(&machine));
    for (size_t i = 0; i < id.length; i++)
        if (!strchr("0123456789abcdef", id.at[i]) || id.at[i] == '\0')
            return false;
    return id.length == 32 &&
           snprintf(into, PATH_MAX, "%s/%.32s", roots[n], id.at) < PATH_MAX;
}

static bool is_journal_file(const char *name) {
    struct span left = span_of(name);
    if (left.length > 0 && left.at[left.length - 1] == '~')
        left.length--;
    return left.length > 8 && memcmp(left.at + left.length - 8, ".journal", 8) == 0 &&
           (span_is(left, "system.journal") || span_starts_with(left, SPAN("system@")));
}

/* Newest first; among more than there is room for, the newest are kept. */
static void add_newest(struct wire_sibling *files, uint32_t *count, const char *path,
                       const struct stat *status) {
    int64_t modified_us = (int64_t)status->st_mtim.tv_sec * SECOND_US +
                          status->st_mtim.tv_nsec / 1000;
    uint32_t at = *count;
    while (at > 0 && files[at - 1].modified_us < modified_us)
        at--;
    if (at == SIBLINGS_MAX)
        return;
    uint32_t kept = *count < SIBLINGS_MAX ? *count : SIBLINGS_MAX - 1;
    memmove(&files[at + 1], &files[at], (kept - at) * sizeof(*files));
    files[at] = (struct wire_sibling){.device = status->st_dev,
                                      .inode = status->st_ino,
                                      .size = (uint64_t)status->st_size,
                                      .modified_us = modified_us};
    wire_set_bytes(files[at].path, span_of(path));
    *count = kept + 1;
}

uint32_t journal_list(const char *only_folder, struct wire_sibling files[SIBLINGS_MAX]) {
    char folder[PATH_MAX];
    uint32_t count = 0;
    for (unsigned n = 0; folder_at(only_folder, n, folder); n++) {
        DIR *entries = opendir(folder);
        for (struct dirent *entry; entries && (entry = readdir(entries));) {
            char path[PATH_MAX];
            struct stat status;
            if (is_journal_file(entry->d_name) &&
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) <= 256 &&
                lstat(path, &status) == 0 && S_ISREG(status.st_mode))
                add_newest(files, &count, path, &status);
        }
        if (entries)
            closedir(entries);
    }
    return count;
}

/* A folder that is not there: the nearest one above tells when it comes. Watching twice is one
 * watch. */
void journal_watch(const char *only_folder, int inotify_fd) {
    char folder[PATH_MAX];
    for (unsigned n = 0; folder_at(only_folder, n, folder); n++) {
        uint32_t events = FILES_EVENTS;
        while (inotify_add_watch(inotify_fd, folder, events) < 0) {
            char *slash = strrchr(folder, '/');
            if (!slash || slash == folder)
                break;
            *slash = '\0';
            events = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
        }
    }
}

static bool was_written_lately(const struct wire_glob *pattern) {
    char text[257];
    glob_t found = {0};
    bool is_alive = false;
    int64_t since_us = clock_now_us() - WRITTEN_WITHIN_US;
    snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(wire_bytes(pattern->pattern)));
    if (glob(text, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && !is_alive; i++) {
            struct stat status;
            is_alive = stat(found.gl_pathv[i], &status) == 0 &&
                       (int64_t)status.st_mtim.tv_sec * SECOND_US >= since_us;
        }
    globfree(&found);
    return is_alive;
}

bool journal_is_named(const struct wire_glob *glob) {
    return span_starts_with(wire_bytes(glob->pattern), SPAN("journal: "));
}

uint64_t journal_choose(const struct checked_config *checked, const char *only_folder) {
    static struct wire_sibling files[SIBLINGS_MAX];
    uint64_t on_file = checked->on_file;
    if (journal_list(only_folder, files) == 0)
        on_file |= ~checked->on_journal;
    for (uint32_t g = 0; g < checked->glob_count; g++)
        if (!journal_is_named(&checked->globs[g]) && was_written_lately(&checked->globs[g]))
            on_file |= checked->globs[g].jails & ~checked->on_journal;
    return ~on_file;
}
