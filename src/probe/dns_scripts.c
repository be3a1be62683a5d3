/* A blocklist has 192.0.2.1 under 1.2.0.192.LIST. A script that asks for $IP.LIST is told "not
 * listed" for ever. It is taken for one when it calls a resolver's tool for a variable or one of
 * our own addresses right before the list's name, and nothing in the file could turn an address
 * round.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <stdio.h>

#include "probe/dns_say.h"

enum { FILES_MOST = 500, SCRIPT_MOST_BYTES = 200 << 10 };

static bool has(struct span text, const char *what) {
    return text.length > 0 && memmem(text.at, text.length, what, strlen(what)) != NULL;
}

static bool has_one(struct span text, const char *const words[], size_t count) {
    for (size_t i = 0; i < count; i++)
        if (has(text, words[i]))
            return true;
    return false;
}

static bool is_blank(char c) {
    return strchr(" \t\"'`(;|&@=", c) != NULL;
}

/* What stands before ".LIST" in the line, up to a blank or quote; empty when there is no list. */
static struct span asked_for(struct span line) {
    static const char *const lists[] = {
#define BLOCKLIST(zone, v4, v6) "." zone,
#include "probe/blocklists.def"
#undef BLOCKLIST
    };
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++) {
        const char *end = memmem(line.at, line.length, lists[i], strlen(lists[i]));
        const char *from = end;
        while (from && from > line.at && !is_blank(from[-1]))
            from--;
        if (end && end > from)
            return (struct span){from, (size_t)(end - from)};
    }
    return (struct span){0};
}

static bool is_own(struct span asked, const struct mail_names *names) {
    struct address address;
    if (address_parse(asked, &address) < 0)
        return false;
    for (size_t i = 0; i < names->own_count; i++)
        if (memcmp(&names->own[i], &address, sizeof(address)) == 0)
            return true;
    return false;
}

static void read_script(struct look *look, const struct mail_names *names, const char *path) {
    static const char *const tools[] = {"dig ", "host ", "nslookup ", "drill ", "kdig "};
    static const char *const turning[] = {"rev", "tac", "awk",  "IFS",
                                          "sed", "cut", "join", "python"};
    cleanup_text struct text text = {0};
    unsigned number = 0;
    if (look_file(path, &text) < 0 || text.length > SCRIPT_MOST_BYTES)
        return;
    struct span rest = text_span(&text);
    bool turns = has_one(rest, turning, ELEMENTS_OF(turning));
    while (rest.length > 0) {
        struct span line = span_trim(span_cut(&rest, '\n'));
        char subject[600];
        number++;
        if (line.length == 0 || line.at[0] == '#' || !has_one(line, tools, ELEMENTS_OF(tools)))
            continue;
        struct span asked = asked_for(line);
        if (asked.length == 0 ||
            !(is_own(asked, names) || (!turns && asked.at[0] == '$' && !has(asked, "["))))
            continue;
        snprintf(subject, sizeof(subject), "%s:%u", path, number);
        look_say(look, "scripts", subject, line);
    }
}

void dns_say_scripts(struct look *look, const struct mail_names *names) {
    static const char *const folders[] = {
        "/etc/cron.d",
        "/etc/cron.hourly",
        "/etc/cron.daily",
        "/etc/cron.weekly",
        "/etc/cron.monthly",
        "/var/spool/cron/crontabs",
        "/usr/local/bin",
        "/usr/local/sbin",
        "/root",
        "/root/bin",
        "/opt",
    };
    int left = FILES_MOST;
    read_script(look, names, "/etc/crontab");
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++) {
        DIR *folder = opendir(folders[i]);
        for (struct dirent *entry; folder && left > 0 && (entry = readdir(folder)); left--) {
            char path[500];
            if (entry->d_name[0] != '.' &&
                snprintf(path, sizeof(path), "%s/%s", folders[i], entry->d_name) < 500)
                read_script(look, names, path);
        }
        if (folder)
            closedir(folder);
    }
}
