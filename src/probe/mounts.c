/* The table of mounts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/mounts.h"

#include "probe/words.h"

static bool is_octal(char letter) { return letter >= '0' && letter <= '7'; }

void mount_path(struct span word, char into[MOUNT_PATH_MAX]) {
    size_t length = 0;
    for (size_t i = 0; i < word.length && length < MOUNT_PATH_MAX - 1; i++) {
        const char *at = word.at + i;
        bool is_escape = word.length - i >= 4 && at[0] == '\\' && is_octal(at[1]) &&
                         is_octal(at[2]) && is_octal(at[3]);
        into[length++] =
            is_escape ? (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0')) : at[0];
        i += is_escape ? 3 : 0;
    }
    into[length] = '\0';
}

size_t mounts_read(struct span text, struct mount mounts[MOUNTS_MOST]) {
    struct span line;
    size_t count = 0;
    while (count < MOUNTS_MOST && next_line(&text, &line)) {
        mount_path(span_word(&line), mounts[count].device);
        mount_path(span_word(&line), mounts[count].path);
        mounts[count].type = span_word(&line);
        mounts[count].options = span_word(&line);
        count++;
    }
    return count;
}

const struct mount *mounts_find(const struct mount *mounts, size_t count, const char *path) {
    while (count-- > 0)
        if (strcmp(mounts[count].path, path) == 0)
            return &mounts[count];
    return NULL;
}

bool path_is_in(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool mount_is_on_disk(const struct mount *mount) {
    static const char *const kinds[] = {"ext4", "ext3", "ext2",  "xfs",     "btrfs",
                                        "zfs",  "f2fs", "overlay", "bcachefs"};
    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        if (span_is(mount->type, kinds[i]))
            return true;
    return false;
}
