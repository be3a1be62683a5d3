/* The configuration in force, kept: see supervise.h.
 *
 * What is on disk is checked, copied to RUNTIME/config-coming, and the copy is checked: when the
 * digests are equal, the copy is what was checked, whoever wrote to the folders meanwhile. It gets
 * its name, config-DIGEST, when it is whole; then RUNTIME/config-in-force, a symbolic link, is
 * turned to it by one rename, for a hauberkd that comes after us. Roles always read the copy: a
 * file that changes while they start, or a package that is being upgraded, is not their concern.
 *
 * Bytes are copied, not read: only regular files, names that begin with a dot left alone as the
 * reader leaves them, links followed as the reader follows them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "supervise/supervise.h"

enum {
    COPY_FILE_MOST_BYTES = 1 << 20, /* larger ones are refused by config/, so nobody needs them */
    COPY_MOST_BYTES = 32 << 20,
    COPY_MOST_FILES = 2048,
    COPY_DEEPEST = 6,
    TRIES = 3, /* while somebody is writing */
};

static const char name_prefix[] = "config-";
#define NAME_LENGTH (sizeof(name_prefix) - 1 + 2 * DIGEST_BYTES)

struct copying {
    size_t files, bytes;
};

static int copy_file(int from, int to, const char *name, struct copying *copying) {
    cleanup_close int source = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    cleanup_text struct text bytes = {0};
    struct stat status;
    if (source < 0 || fstat(source, &status) < 0 || !S_ISREG(status.st_mode))
        return 0; /* if it was needed, the check of the copy says so */
    int error = file_read_fd(source, COPY_FILE_MOST_BYTES, &bytes);
    if (error < 0)
        return error == -EFBIG ? 0 : error;
    copying->bytes += bytes.length;
    if (++copying->files > COPY_MOST_FILES || copying->bytes > COPY_MOST_BYTES)
        return -E2BIG;
    cleanup_close int target =
        openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (target < 0)
        return -errno;
    return write_all(target, text_span(&bytes));
}

/* A folder that is not there is one that is empty. */
static int copy_folder(int from_in, const char *from_name, int to_in, const char *to_name,
                       unsigned depth, struct copying *copying) {
    if (mkdirat(to_in, to_name, 0700) < 0)
        return -errno;
    int from = openat(from_in, from_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *open_folder = from < 0 ? NULL : fdopendir(from);
    if (!open_folder) {
        int error = from < 0 && (errno == ENOENT || errno == ENOTDIR) ? 0 : -errno;
        cleanup_close_fd(&from);
        return error;
    }
    cleanup_close int to = openat(to_in, to_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int error = to < 0 ? -errno : 0;
    for (struct dirent *entry; error >= 0 && (entry = readdir(open_folder));) {
        struct stat status;
        if (entry->d_name[0] == '.' || fstatat(from, entry->d_name, &status, 0) < 0)
            continue;
        if (S_ISREG(status.st_mode))
            error = copy_file(from, to, entry->d_name, copying);
        else if (S_ISDIR(status.st_mode) && depth < COPY_DEEPEST)
            error = copy_folder(from, entry->d_name, to, entry->d_name, depth + 1, copying);
    }
    closedir(open_folder);
    return error;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at) {
    (void)status;
    (void)kind;
    (void)at;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *path) {
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What roles are to read, when the copy is called `name`. */
static void use_copy(struct in_force *in_force, const struct supervise_options *options,
                     const char *name) {
    in_force->options = *options;
    snprintf(in_force->folders[0], sizeof(in_force->folders[0]), "%.400s/%s/config",
             options->runtime_folder, name);
    snprintf(in_force->folders[1], sizeof(in_force->folders[1]), "%.400s/%s/data",
             options->runtime_folder, name);
    in_force->options.config_folder = in_force->folders[0];
    in_force->options.data_folder = in_force->folders[1];
    in_force->is_copied = true;
}

static int make_copy(const struct supervise_options *options, const char *path) {
    struct copying copying = {0};
    remove_tree(path);
    if (mkdir(path, 0700) < 0)
        return -errno;
    cleanup_close int to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    cleanup_close int data = open(options->data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0 || data < 0 || mkdirat(to, "data", 0700) < 0)
        return -errno;
    cleanup_close int to_data = openat(to, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to_data < 0)
        return -errno;
    int error = copy_folder(AT_FDCWD, options->config_folder, to, "config", 0, &copying);
    if (error >= 0)
        error = copy_folder(data, "jails", to_data, "jails", 0, &copying);
    if (error >= 0)
        error = copy_folder(data, "filters", to_data, "filters", 0, &copying);
    return error;
}

static bool is_copy_name(const char *name) {
    return strlen(name) == NAME_LENGTH && strncmp(name, name_prefix, strlen(name_prefix)) == 0 &&
           strspn(name + strlen(name_prefix), "0123456789abcdef") == 2 * DIGEST_BYTES;
}

static void remove_other_copies(const char *runtime_folder, const char *kept) {
    DIR *open_folder = opendir(runtime_folder);
    for (struct dirent *entry; open_folder && (entry = readdir(open_folder));) {
        char path[512];
        if (!is_copy_name(entry->d_name) || strcmp(entry->d_name, kept) == 0)
            continue;
        snprintf(path, sizeof(path), "%.400s/%.100s", runtime_folder, entry->d_name);
        remove_tree(path);
    }
    if (open_folder)
        closedir(open_folder);
}

/* Never is half a copy called `name`: what stands there goes as it comes, by a rename. */
static int name_copy(const char *runtime_folder, const char *name) {
    char path[512];
    char coming[512];
    char going[512];
    snprintf(path, sizeof(path), "%.400s/%s", runtime_folder, name);
    snprintf(coming, sizeof(coming), "%.400s/config-coming", runtime_folder);
    snprintf(going, sizeof(going), "%.400s/config-going", runtime_folder);
    remove_tree(going);
    if (rename(path, going) < 0 && errno != ENOENT)
        return -errno;
    if (rename(coming, path) < 0)
        return -errno;
    remove_tree(going);
    return 0;
}

static int point_to(const char *runtime_folder, const char *name) {
    char link_path[512];
    char coming[512];
    snprintf(link_path, sizeof(link_path), "%.400s/config-in-force", runtime_folder);
    snprintf(coming, sizeof(coming), "%.400s/config-in-force.new", runtime_folder);
    (void)unlink(coming);
    if (symlink(name, coming) < 0 || rename(coming, link_path) < 0)
        return -errno;
    return 0;
}

/* Ours, and nobody else may write there. */
static bool is_trusted(const char *path, struct stat *ret_status) {
    return lstat(path, ret_status) == 0 && ret_status->st_uid == geteuid() &&
           (S_ISLNK(ret_status->st_mode) || (ret_status->st_mode & 022) == 0);
}

/* The name the link points to and since when, if it is one of ours and the copy is there. */
static bool read_link(const char *runtime_folder, char into[NAME_LENGTH + 2],
                      int64_t *ret_since_us) {
    char path[512];
    struct stat folder;
    struct stat link_status;
    struct stat copy;
    snprintf(path, sizeof(path), "%.400s/config-in-force", runtime_folder);
    ssize_t length = readlink(path, into, NAME_LENGTH + 1);
    into[length > 0 ? length : 0] = '\0';
    if (!is_copy_name(into) || !is_trusted(runtime_folder, &folder) ||
        !is_trusted(path, &link_status))
        return false;
    snprintf(path, sizeof(path), "%.400s/%s", runtime_folder, into);
    *ret_since_us = (int64_t)link_status.st_mtim.tv_sec * SECOND_US;
    return is_trusted(path, &copy);
}

/* Copies what was checked; -EAGAIN when it changed meanwhile. A copy of that digest to which the
 * link points was checked when it was made. */
static int keep(struct in_force *in_force, const struct supervise_options *options,
                const struct sandbox_users *users, const struct checked_config *checked,
                struct why *reterr_why) {
    char digest[DIGEST_TEXT_MAX];
    char name[64];
    char path[512];
    snprintf(name, sizeof(name), "%s%s", name_prefix, digest_format(&checked->digest, digest));
    snprintf(path, sizeof(path), "%.400s/config-coming", options->runtime_folder);
    char linked[NAME_LENGTH + 2];
    int64_t since_us = 0;
    if (!in_force->is_doubted && read_link(options->runtime_folder, linked, &since_us) &&
        strcmp(linked, name) == 0) {
        use_copy(in_force, options, name);
        in_force->since_us = since_us;
        return 0;
    }
    int error = make_copy(options, path);
    if (error < 0)
        return why_set(reterr_why, error, path, 0, "cannot be made: %s", strerror(-error));
    struct in_force *coming = calloc(1, sizeof(*coming));
    must(coming);
    use_copy(coming, options, "config-coming");
    error = check_configuration(&coming->options, users, &coming->checked, reterr_why);
    if (error >= 0 && !digest_equals(&coming->checked.digest, &checked->digest))
        error = why_set(reterr_why, -EAGAIN, options->config_folder, 0,
                        "changes while it is being copied");
    free(coming);
    if (error >= 0) {
        error = name_copy(options->runtime_folder, name);
        if (error >= 0)
            error = point_to(options->runtime_folder, name);
        if (error < 0)
            (void)why_set(reterr_why, error, options->runtime_folder, 0, "cannot be written: %s",
                          strerror(-error));
    }
    if (error < 0) {
        remove_tree(path);
        return error;
    }
    if (!in_force->is_there || !digest_equals(&in_force->checked.digest, &checked->digest))
        in_force->since_us = clock_now_us();
    use_copy(in_force, options, name);
    remove_other_copies(options->runtime_folder, name);
    return 0;
}

int in_force_renew(struct in_force *in_force, const struct supervise_options *options,
                   const struct sandbox_users *users, struct why *reterr_why) {
    struct checked_config *checked = calloc(1, sizeof(*checked));
    must(checked);
    struct why copy_why = {0};
    int copied = -EAGAIN;
    int error = 0;
    for (int tries = 0; error >= 0 && copied == -EAGAIN && tries < TRIES; tries++) {
        error = check_configuration(options, users, checked, reterr_why);
        if (error >= 0)
            copied = keep(in_force, options, users, checked, &copy_why);
    }
    if (error < 0) {
        (void)why_format(reterr_why, in_force->disk_fault, sizeof(in_force->disk_fault));
        free(checked);
        return error;
    }
    if (copied < 0) {
        char text[900];
        log_warning("the configuration is good but cannot be kept aside, so nothing stands in for "
                    "it should it become wrong: %s",
                    why_format(&copy_why, text, sizeof(text)));
        in_force->options = *options;
        in_force->is_copied = false;
        in_force->since_us = clock_now_us();
    }
    in_force->is_there = true;
    in_force->is_doubted = false;
    in_force->checked = *checked;
    in_force->disk_fault[0] = '\0';
    free(checked);
    return 0;
}

int in_force_find(struct in_force *in_force, const struct supervise_options *options,
                  const struct sandbox_users *users, struct why *reterr_why) {
    char name[NAME_LENGTH + 2];
    int64_t since_us = 0;
    if (!read_link(options->runtime_folder, name, &since_us))
        return why_set(reterr_why, -ENOENT, options->runtime_folder, 0, "holds no copy of ours");
    use_copy(in_force, options, name);
    int error =
        check_configuration(&in_force->options, users, &in_force->checked, reterr_why);
    if (error < 0)
        return error;
    in_force->is_there = true;
    in_force->since_us = since_us;
    return 0;
}
