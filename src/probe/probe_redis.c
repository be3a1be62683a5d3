/* Redis or Valkey, as its file says: who reaches it, and whether a password stands before it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/hosts.h"
#include "probe/permissions.h"
#include "probe/probe.h"
#include "probe/words.h"

struct settings {
    char bind[300], port[12], is_protected[8], socket_mode[12], socket[200];
    bool has_password;
};

static void keep(char *into, size_t room, struct span value) {
    snprintf(into, room, "%.*s", SPAN_FORMAT(value));
}

static void read_settings(struct settings *settings, struct span lines) {
    struct span line;
    while (next_line(&lines, &line)) {
        struct span key = cut_key(&line);
        if (span_is(key, "bind"))
            keep(settings->bind, sizeof(settings->bind), line);
        else if (span_is(key, "port"))
            keep(settings->port, sizeof(settings->port), line);
        else if (span_is(key, "protected-mode"))
            keep(settings->is_protected, sizeof(settings->is_protected), line);
        else if (span_is(key, "unixsocket"))
            keep(settings->socket, sizeof(settings->socket), line);
        else if (span_is(key, "unixsocketperm"))
            keep(settings->socket_mode, sizeof(settings->socket_mode), line);
        else if (span_is(key, "requirepass"))
            settings->has_password = line.length > 0 && !span_is(line, "\"\"");
        else if (span_is(key, "aclfile"))
            settings->has_password = true; /* its users are another's affair */
    }
}

/* "-::1": no error when the machine has no such address. */
static const char *reach_of(const struct settings *settings) {
    struct span rest = span_of(settings->bind);
    bool is_loopback = true;
    size_t count = 0;
    if (strcmp(settings->port, "0") == 0)
        return "no port";
    for (struct span word = span_word(&rest); word.length > 0; word = span_word(&rest), count++)
        is_loopback &= host_is_loopback(word.at[0] == '-' ? span_skip(word, 1) : word);
    return count > 0 && is_loopback ? "loopback" : "net";
}

void probe_redis(struct look *look) {
    static const char *const paths[] = {"/etc/redis/redis.conf", "/etc/valkey/valkey.conf"};
    bool is_there = false;
    for (size_t i = 0; i < ELEMENTS_OF(paths); i++) {
        cleanup_text struct text file = {0};
        struct settings settings = {.port = "6379", .is_protected = "yes"};
        int error = look_file(paths[i], &file);
        is_there |= error != -ENOENT;
        if (error < 0 && error != -ENOENT)
            look_say_not(look, NULL, "%s: %s", paths[i], strerror(-error));
        if (error < 0)
            continue;
        read_settings(&settings, text_span(&file));
        look_say_text(look, "reach", paths[i], reach_of(&settings));
        look_say_text(look, "password", paths[i], settings.has_password ? "yes" : "no");
        look_say_text(look, "protected", paths[i], settings.is_protected);
        if (settings.socket[0])
            look_say_text(look, "socket.mode", paths[i],
                          settings.socket_mode[0] ? settings.socket_mode : "0777");
        if (settings.has_password)
            (void)!say_permissions(look, "file", paths[i]);
    }
    look_say_text(look, "there", "", is_there ? "yes" : "no");
}
