/* What of the kernel is no sysctl: swap (swapon(8)), AppArmor, lockdown, core dumps, and modules
 * that a mail server has no use for (modprobe.d(5)).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "probe/found.h"
#include "probe/words.h"

/* ---- swap ---- */

/* dm-crypt's volumes have an identity that begins with CRYPT- (dm-crypt's documentation). */
static const char *kind_of_swap(const char *device) {
    cleanup_text struct text text = {0};
    char target[300];
    char path[400];
    const char *name = device;
    ssize_t length = readlink(device, target, sizeof(target) - 1);
    if (length > 0) {
        target[length] = '\0';
        name = target;
    }
    name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    if (strncmp(name, "zram", 4) == 0)
        return "memory";
    snprintf(path, sizeof(path), "/sys/class/block/%s/dm/uuid", name);
    read_quietly(path, &text);
    return span_starts_with(text_span(&text), SPAN("CRYPT-")) ? "encrypted" : "plain";
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
        char device[300];
        struct span name = span_word(&line);
        snprintf(device, sizeof(device), "%.*s", SPAN_FORMAT(name));
        if (device[0] == '/' && strcmp(kind_of_swap(device), "plain") == 0)
            found_one(&plain, device, "not encrypted");
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
