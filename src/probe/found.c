/* Looking for what should not be there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/found.h"

#include <dirent.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/files.h"

enum { SAID_MOST = 100, TEXT_MOST_BYTES = 256 << 10, GLOB_ENTRIES_MOST = 200000 };

void found_one(struct found *found, const char *subject, const char *format, ...) {
    char value[1000];
    va_list arguments;
    if (found->count++ >= SAID_MOST)
        return;
    va_start(arguments, format);
    vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    look_say_text(found->look, found->key, subject, value);
}

void found_end(struct found *found) {
    if (found->count == 0)
        look_say_text(found->look, found->key, "", "none");
    if (found->count > SAID_MOST)
        look_say_format(found->look, found->key, "", "and %u more", found->count - SAID_MOST);
}

void found_end_of_root(struct found *found) {
    if (found->count == 0 && geteuid() != 0)
        look_say_not(found->look, found->key, "an ordinary user sees none; only root sees all");
    else
        found_end(found);
}

/* glob(3) reads a folder to its end, and its owner may have put millions of files there. It has no
 * place for a context, and a probe has one thread. */
static unsigned glob_entries;

static struct dirent *read_entry(void *folder) {
    return glob_entries++ < GLOB_ENTRIES_MOST ? readdir(folder) : NULL;
}

static void close_folder(void *folder) { closedir(folder); }
static void *open_folder(const char *path) { return opendir(path); }

bool each_path(const char *pattern, void (*each)(void *context, const char *path), void *context) {
    glob_t paths = {.gl_readdir = read_entry, .gl_closedir = close_folder,
                    .gl_opendir = open_folder, .gl_stat = stat, .gl_lstat = lstat};
    glob_entries = 0;
    int error = glob(pattern, GLOB_ALTDIRFUNC, NULL, &paths);
    bool saw_all = glob_entries <= GLOB_ENTRIES_MOST; /* `each` may come here again */
    for (size_t i = 0; error == 0 && i < paths.gl_pathc; i++)
        each(context, paths.gl_pathv[i]);
    globfree(&paths);
    return saw_all;
}

const char *mode_words(const struct stat *status, char into[MODE_WORDS_MAX]) {
    const struct passwd *user = getpwuid(status->st_uid);
    const struct group *group = getgrgid(status->st_gid);
    char numbers[2][24];
    snprintf(numbers[0], sizeof(numbers[0]), "%u", status->st_uid);
    snprintf(numbers[1], sizeof(numbers[1]), "%u", status->st_gid);
    snprintf(into, MODE_WORDS_MAX, "%04o %.36s:%.36s", status->st_mode & 07777,
             user ? user->pw_name : numbers[0], group ? group->gr_name : numbers[1]);
    return into;
}

/* A group that nobody but root and the owner is in, by either file, gives nobody else a right:
 * a user's own one, or Debian's empty staff, which has /usr/local on machines of old. */
static bool is_of_owner_alone(const struct group *group, uid_t owner, FILE *passwd) {
    const struct passwd *user;
    while ((user = fgetpwent(passwd))) {
        bool is_in = user->pw_gid == group->gr_gid;
        for (char **member = group->gr_mem; *member && !is_in; member++)
            is_in = strcmp(*member, user->pw_name) == 0;
        if (is_in && user->pw_uid != owner && user->pw_uid != 0)
            return false;
    }
    return true;
}

static bool is_own_group(const struct stat *status) {
    static char *nobody[] = {NULL};
    const struct group unnamed = {.gr_gid = status->st_gid, .gr_mem = nobody};
    const struct group *group = getgrgid(status->st_gid);
    /* Its own stream: the caller may be in the middle of getpwent(3). */
    FILE *passwd = status->st_gid != 0 ? fopen("/etc/passwd", "re") : NULL;
    bool is_own = status->st_gid == 0 ||
                  (passwd && is_of_owner_alone(group ? group : &unnamed, status->st_uid, passwd));
    if (passwd)
        (void)fclose(passwd);
    return is_own;
}

const char *writable_by_others(const char *path, uid_t owner, char into[300]) {
    char part[PATH_MAX];
    char words[MODE_WORDS_MAX];
    struct stat status;
    snprintf(part, sizeof(part), "%s", path);
    for (bool is_file = true; part[0]; is_file = false) {
        bool is_there = stat(part, &status) == 0;
        bool is_sticky = !is_file && (status.st_mode & S_ISVTX);
        if (is_there && ((status.st_uid != 0 && status.st_uid != owner) ||
                         ((status.st_mode & S_IWOTH) && !is_sticky) ||
                         ((status.st_mode & S_IWGRP) && !is_sticky && !is_own_group(&status)))) {
            snprintf(into, 300, "%.200s is %s", part, mode_words(&status, words));
            return into;
        }
        char *slash = strrchr(part, '/');
        if (!slash)
            break;
        slash[slash == part && slash[1] ? 1 : 0] = '\0';
    }
    return NULL;
}

void read_quietly(const char *path, struct text *text) {
    text_clear(text);
    if (file_read(path, TEXT_MOST_BYTES, text) < 0)
        text_clear(text);
}
