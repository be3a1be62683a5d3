/* Lines at which the sensor died: see supervise.h. A line is named by its log's path and its
 * ordinal, which no restart and no other configuration changes. (Without the database ordinals
 * begin anew, but it lies in the same folder: who deletes one, deletes both.)
 *
 * The file lies in a folder of the decider's user. It is believed only when it is ours and alone,
 * so the worst that a captured decider can do to it is to delete it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "supervise/supervise.h"

static const char magic[8] = "hbpoisn1";

struct record {
    uint64_t ordinal;
    uint32_t deaths;
    uint32_t is_told;
    char path[264]; /* NUL-terminated, and zero behind it */
};

struct poison_file {
    char magic[8];
    uint64_t count;
    struct record records[POISON_MAX];
};

void poison_remember(struct poisons *poisons, const char *path, uint64_t ordinal) {
    for (uint32_t i = 0; i < poisons->count; i++)
        if (poisons->at[i].ordinal == ordinal && strcmp(poisons->at[i].path, path) == 0) {
            poisons->at[i].deaths++;
            return;
        }
    if (poisons->count == POISON_MAX)
        memmove(&poisons->at[0], &poisons->at[1],
                --poisons->count * sizeof(poisons->at[0]));
    struct poison *poison = &poisons->at[poisons->count++];
    *poison = (struct poison){.ordinal = ordinal, .deaths = 1};
    snprintf(poison->path, sizeof(poison->path), "%s", path);
}

static void name_file(const char *state_folder, const char *ending, char into[512]) {
    snprintf(into, 512, "%.480s/poison%s", state_folder, ending);
}

static bool is_ours(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           status.st_nlink == 1 && (status.st_mode & 022) == 0 &&
           status.st_size == sizeof(struct poison_file);
}

static bool record_is_valid(const struct record *record) {
    size_t length = strnlen(record->path, sizeof(record->path));
    return record->path[0] == '/' && length < sizeof(((struct poison *)NULL)->path) &&
           record->ordinal > 0 && record->deaths > 0 && record->is_told <= 1;
}

void poison_load(struct poisons *poisons, const char *state_folder) {
    static struct poison_file file;
    char path[512];
    *poisons = (struct poisons){0};
    name_file(state_folder, "", path);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || !is_ours(fd) || pread(fd, &file, sizeof(file), 0) != sizeof(file) ||
        memcmp(file.magic, magic, sizeof(magic)) != 0 || file.count > POISON_MAX)
        return;
    for (uint64_t i = 0; i < file.count; i++)
        if (record_is_valid(&file.records[i])) {
            struct poison *poison = &poisons->at[poisons->count++];
            poison->ordinal = file.records[i].ordinal;
            poison->deaths = file.records[i].deaths;
            poison->is_told = file.records[i].is_told;
            memcpy(poison->path, file.records[i].path, sizeof(poison->path));
        }
}

int poison_save(const struct poisons *poisons, const char *state_folder) {
    static struct poison_file file;
    char path[512];
    char coming[512];
    memset(&file, 0, sizeof(file));
    memcpy(file.magic, magic, sizeof(magic));
    file.count = poisons->count;
    for (uint32_t i = 0; i < poisons->count; i++) {
        file.records[i].ordinal = poisons->at[i].ordinal;
        file.records[i].deaths = poisons->at[i].deaths;
        file.records[i].is_told = poisons->at[i].is_told;
        snprintf(file.records[i].path, sizeof(file.records[i].path), "%s", poisons->at[i].path);
    }
    name_file(state_folder, "", path);
    name_file(state_folder, ".new", coming);
    (void)unlink(coming);
    cleanup_close int fd = open(coming, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int error = write_all(fd, (struct span){(const char *)&file, sizeof(file)});
    if (error < 0)
        return error;
    /* Not synced: hauberkd must not wait for a disk, and a power cut only costs two more deaths. */
    return rename(coming, path) < 0 ? -errno : 0;
}
