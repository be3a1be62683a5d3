/* What of the kernel is no sysctl: swap (swapon(8)), AppArmor, lockdown, core dumps, and modules
 * that a mail server has no use for (modprobe.d(5)).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe/found.h"
#include "probe/mounts.h"
#include "probe/words.h"

/* ---- swap ---- */

enum { LAYERS_MOST = 8, NUMBER_MAX = 24 };

/* What stands in a file of the kernel's about that device, "253:0". */
static struct span about(const char *sys, const char *number, const char *what,
                         struct text *into) {
    char path[400];
    snprintf(path, sizeof(path), "%s/dev/block/%s/%.250s", sys, number, what);
    read_quietly(path, into);
    return span_trim(text_span(into));
}

static bool copy_number(struct span written, char into[NUMBER_MAX]) {
    bool is_one = written.length > 0 && written.length < NUMBER_MAX;
    snprintf(into, NUMBER_MAX, "%.*s", is_one ? (int)written.length : 0, is_one ? written.at : "");
    return is_one;
}

static bool is_encrypted(const char *sys, const char *number, unsigned layer);

/* A device made of several is as safe as the least of them: LVM and RAID on dm-crypt. */
static bool are_all_below_encrypted(const char *sys, const char *number, unsigned layer) {
    cleanup_text struct text text = {0};
    char path[400];
    snprintf(path, sizeof(path), "%s/dev/block/%s/slaves", sys, number);
    DIR *folder = opendir(path);
    unsigned count = 0;
    bool are_all = folder != NULL;
    for (const struct dirent *entry; are_all && (entry = readdir(folder));) {
        char own[NUMBER_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "slaves/%.200s/dev", entry->d_name);
        count++;
        are_all = copy_number(about(sys, number, path, &text), own) &&
                  is_encrypted(sys, own, layer + 1);
    }
    if (folder)
        closedir(folder);
    return are_all && count > 0;
}

/* What dm-crypt made has an identity that begins with CRYPT- (the kernel's dm-crypt documentation).
 * A partition's folder lies in that of the whole device. */
static bool is_encrypted(const char *sys, const char *number, unsigned layer) {
    cleanup_text struct text text = {0};
    char whole[NUMBER_MAX];
    if (layer == LAYERS_MOST)
        return false;
    if (span_starts_with(about(sys, number, "dm/uuid", &text), SPAN("CRYPT-")))
        return true;
    if (about(sys, number, "partition", &text).length > 0)
        return copy_number(about(sys, number, "../dev", &text), whole) &&
               is_encrypted(sys, whole, layer + 1);
    return are_all_below_encrypted(sys, number, layer);
}

/* zram is memory, but what it finds no room for it writes to a device of its own, if it has one. */
static bool is_memory(const char *sys, const char *number) {
    cleanup_text struct text text = {0};
    if (about(sys, number, "disksize", &text).length == 0)
        return false;
    struct span backing = about(sys, number, "backing_dev", &text);
    return backing.length == 0 || span_is(backing, "none");
}

static const char *kind_of_number(const char *sys, const char *number) {
    return is_memory(sys, number)          ? "memory"
           : is_encrypted(sys, number, 0) ? "encrypted"
                                          : "plain";
}

static void number_of(dev_t device, char into[NUMBER_MAX]) {
    snprintf(into, NUMBER_MAX, "%u:%u", major(device), minor(device));
}

/* A container sees its machine's swap, but not the device: the kernel knows it by its name. */
static const char *kind_of_name(const char *sys, const char *path) {
    cleanup_text struct text text = {0};
    char file[400];
    char number[NUMBER_MAX];
    const char *name = strrchr(path, '/') + 1;
    snprintf(file, sizeof(file), "%s/class/block/%.100s/dev", sys, name);
    read_quietly(file, &text);
    if (copy_number(span_trim(text_span(&text)), number))
        return kind_of_number(sys, number);
    return strncmp(name, "zram", 4) == 0 ? "memory" : "plain";
}

/* Whichever name it has, by its number: /dev/dm-1, /dev/disk/by-uuid/…, /dev/mapper/…; a file is as
 * safe as the device its file system is on. NULL: the number is no device's (btrfs, ZFS). */
static const char *kind_of_swap(const char *sys, const char *path) {
    cleanup_text struct text text = {0};
    struct stat status;
    char number[NUMBER_MAX];
    if (stat(path, &status) < 0)
        return kind_of_name(sys, path);
    number_of(S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev, number);
    if (S_ISBLK(status.st_mode) || about(sys, number, "dev", &text).length > 0)
        return kind_of_number(sys, number);
    return NULL;
}

/* By the table of mounts, which names the device of btrfs. */
static const char *kind_of_mount(const char *sys, const char *path) {
    cleanup_text struct text text = {0};
    struct mount *mounts = calloc(MOUNTS_MOST, sizeof(*mounts));
    const struct mount *mount = NULL;
    char part[MOUNT_PATH_MAX];
    must(mounts);
    read_quietly("/proc/self/mounts", &text);
    size_t count = mounts_read(text_span(&text), mounts);
    snprintf(part, sizeof(part), "%s", path);
    for (char *slash; !mount && part[1] && (slash = strrchr(part, '/'));) {
        slash[slash == part] = '\0';
        mount = mounts_find(mounts, count, part);
    }
    struct stat status;
    const char *kind = mount && mount->device[0] == '/' && stat(mount->device, &status) == 0 &&
                               S_ISBLK(status.st_mode)
                           ? kind_of_swap(sys, mount->device)
                           : NULL;
    free(mounts);
    return kind;
}

static void say_swap(struct look *look) {
    cleanup_text struct text text = {0};
    struct found plain = {look, "plain_swap", 0};
    struct span line;
    int error = look_file("/proc/swaps", &text);
    if (error < 0) {
        look_say_not(look, "plain_swap", "/proc/swaps: %s", strerror(-error));
        return;
    }
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        char path[MOUNT_PATH_MAX];
        mount_path(span_word(&line), path);
        if (path[0] != '/')
            continue; /* the head of the table */
        const char *kind = kind_of_swap("/sys", path);
        if (!kind)
            kind = kind_of_mount("/sys", path);
        if (!kind)
            look_say_not(look, "plain_swap", "%s: nobody tells which device it lies on", path);
        else if (strcmp(kind, "plain") == 0)
            found_one(&plain, path, "not encrypted");
    }
    found_end(&plain);
}

/* ---- core dumps ---- */

static void look_for_storage(void *context, const char *path) {
    cleanup_text struct text text = {0};
    char value[40];
    bool *is_off = context;
    read_quietly(path, &text);
    if (shell_value(text_span(&text), "Storage", value, sizeof(value)))
        *is_off = strcmp(value, "none") == 0;
}

static void look_for_limit(void *context, const char *path) {
    cleanup_text struct text text = {0};
    struct span line;
    bool *is_off = context;
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        struct span who = span_word(&line);
        struct span type = span_word(&line);
        struct span item = span_word(&line);
        if (span_is(who, "*") && span_is(item, "core") &&
            (span_is(type, "hard") || span_is(type, "-")))
            *is_off = span_is(span_word(&line), "0");
    }
}

/* Kept, when a crashed program's memory ends in a file. */
static void say_core_dumps(struct look *look) {
    cleanup_text struct text pattern = {0};
    bool is_off = false;
    read_quietly("/proc/sys/kernel/core_pattern", &pattern);
    struct span written = span_trim(text_span(&pattern));
    if (written.length > 0 && memmem(written.at, written.length, "systemd-coredump", 16)) {
        each_path("/etc/systemd/coredump.conf", look_for_storage, &is_off);
        each_path("/usr/lib/systemd/coredump.conf.d/*.conf", look_for_storage, &is_off);
        each_path("/etc/systemd/coredump.conf.d/*.conf", look_for_storage, &is_off);
    } else if (written.length > 0 && written.at[0] == '|') {
        is_off = memmem(written.at, written.length, "/false", 6) != NULL;
    } else {
        each_path("/etc/security/limits.conf", look_for_limit, &is_off);
        each_path("/etc/security/limits.d/*.conf", look_for_limit, &is_off);
    }
    look_say_text(look, "core_dumps", "", is_off ? "no" : "yes");
}

/* ---- modules ---- */

static void add_file(void *context, const char *path) {
    cleanup_text struct text text = {0};
    read_quietly(path, &text);
    text_add(context, text_span(&text));
    text_add_char(context, '\n');
}

/* "install NAME /bin/false" bars it wholly; "blacklist NAME" only from loading by itself. */
static bool is_barred(struct span rules, const char *module) {
    struct span line;
    while (next_line(&rules, &line)) {
        struct span word = span_word(&line);
        struct span name = span_word(&line);
        if (span_is(word, "install") && span_is(name, module) &&
            (memmem(line.at, line.length, "/false", 6) || memmem(line.at, line.length, "/true", 5)))
            return true;
    }
    return false;
}

static void say_modules(struct look *look) {
    static const char *const useless[] = {"dccp",   "sctp", "rds",    "tipc",
                                          "cramfs", "hfs",  "hfsplus"};
    cleanup_text struct text rules = {0};
    struct found open = {look, "open_module", 0};
    each_path("/etc/modprobe.d/*.conf", add_file, &rules);
    for (size_t i = 0; i < ELEMENTS_OF(useless); i++)
        if (!is_barred(text_span(&rules), useless[i]))
            found_one(&open, useless[i], "may be loaded");
    found_end(&open);
}

void probe_kernel(struct look *look) {
    cleanup_text struct text text = {0};
    say_swap(look);
    say_core_dumps(look);
    say_modules(look);
    read_quietly("/sys/module/apparmor/parameters/enabled", &text);
    look_say_text(look, "apparmor", "",
                  span_is(span_trim(text_span(&text)), "Y") ? "yes" : "no");
    /* "none [integrity] confidentiality": the one in brackets holds. */
    read_quietly("/sys/kernel/security/lockdown", &text);
    struct span rest = text_span(&text);
    (void)span_cut(&rest, '[');
    struct span state = span_cut(&rest, ']');
    if (state.length)
        look_say(look, "lockdown", "", state);
    else
        look_say_not(look, "lockdown", "/sys/kernel/security/lockdown is not to be seen");
}
