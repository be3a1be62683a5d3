/* Rspamd, as rspamadm configdump says it would act. Of passwords it says what kind they are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>

#include "probe/found.h"
#include "probe/hosts.h"
#include "probe/permissions.h"
#include "probe/rspamd_password.h"
#include "probe/words.h"

enum { DEEP = 8, NAME_MOST = 60 };

struct rspamd {
    struct look *look;
    char section[NAME_MOST];
    char name[DEEP][NAME_MOST]; /* of the blocks and lists that are open */
    size_t depth;
    bool has_controller_password, has_controller, has_redis;
    unsigned workers;
};

/* The password of a shipped or example configuration is known to everybody. */
static void say_password(struct rspamd *rspamd, const char *key, struct span value) {
    look_say_text(rspamd->look, key, "", rspamd_password_kind(value));
}

/* "*:11334", "localhost:11333", "/run/x.sock mode=0660", "127.0.0.1" */
static void say_bind(struct rspamd *rspamd, const char *worker, struct span value) {
    char subject[200];
    struct span host = span_word(&value);
    size_t colons = 0;
    size_t end = host.length;
    for (size_t i = 0; i < host.length; i++)
        if (host.at[i] == ':') {
            colons++;
            end = i;
        }
    snprintf(subject, sizeof(subject), "%s %.*s", worker,
             host.length < 100 ? (int)host.length : 100, host.at);
    const char *reach = "net";
    bool is_bracketed = host.length > 0 && host.at[0] == '[';
    if (host.length > 0 && host.at[0] == '/')
        reach = "socket";
    else if (host_is_loopback(host) ||
             ((colons == 1 || is_bracketed) && host_is_loopback((struct span){host.at, end})))
        reach = "loopback";
    look_say_text(rspamd->look, "worker.kind", subject, worker);
    look_say_text(rspamd->look, "worker.reach", subject, reach);
}

static void say_network(struct rspamd *rspamd, const char *key, struct span value) {
    char subject[80];
    struct prefix prefix;
    snprintf(subject, sizeof(subject), "%.*s", value.length < 70 ? (int)value.length : 70,
             value.at);
    if (prefix_parse(value, &prefix) == 0)
        look_say_text(rspamd->look, key, subject, network_kind(&prefix));
    else
        look_say_text(rspamd->look, key, subject,
                      host_is_loopback(value) ? "loopback" : "by other means");
}

static void note_worker(struct rspamd *rspamd, const char *worker, const char *key,
                        struct span value) {
    bool is_controller = strcmp(worker, "controller") == 0;
    if (strcmp(key, "bind_socket") == 0)
        say_bind(rspamd, worker, value);
    if (is_controller && strcmp(key, "password") == 0) {
        rspamd->has_controller_password = true;
        say_password(rspamd, "controller.password", value);
    }
    if (is_controller && strcmp(key, "enable_password") == 0)
        say_password(rspamd, "controller.enable_password", value);
    if (is_controller && strcmp(key, "secure_ip") == 0)
        say_network(rspamd, "controller.secure_ip", value);
    if (strcmp(worker, "rspamd_proxy") == 0 && strcmp(key, "milter") == 0)
        look_say(rspamd->look, "proxy.milter", "", value);
}

static void note(struct rspamd *rspamd, const char *key, struct span value) {
    const char *block = rspamd->depth > 0 ? rspamd->name[0] : "";
    char whole[READING_NAME_MAX];
    bool is_in_list = key[0] == '\0';
    if (strcmp(rspamd->section, "worker") == 0 && rspamd->depth > 0)
        note_worker(rspamd, block, is_in_list && rspamd->depth == 2 ? rspamd->name[1] : key, value);
    else if (strcmp(rspamd->section, "options") == 0 && strcmp(block, "local_addrs") == 0)
        say_network(rspamd, "local_addrs", value);
    else if (strcmp(rspamd->section, "options") == 0 && strcmp(block, "dns") == 0 &&
             (strcmp(key, "nameserver") == 0 ||
              (rspamd->depth == 2 && strcmp(rspamd->name[1], "nameserver") == 0))) {
        char subject[80];
        struct span host = span_cut(&value, ':');
        if (value.at && memchr(value.at, ':', value.length)) /* IPv6, not a port */
            host.length += 1 + value.length;
        snprintf(subject, sizeof(subject), "%.*s", host.length < 70 ? (int)host.length : 70,
                 host.at);
        look_say_text(rspamd->look, "resolver", subject, resolver_kind(host));
    } else if ((strcmp(rspamd->section, "actions") == 0 ||
                strcmp(rspamd->section, "dkim_signing") == 0) &&
               rspamd->depth == 0) {
        snprintf(whole, sizeof(whole), "%.30s.%.60s", rspamd->section, key);
        look_say(rspamd->look, whole, "", value);
    } else if (strcmp(rspamd->section, "redis") == 0 &&
               (strcmp(key, "servers") == 0 || strcmp(key, "write_servers") == 0)) {
        rspamd->has_redis = true;
    }
}

static struct span without_quotes(struct span value) {
    while (value.length > 0 && strchr(",;", value.at[value.length - 1]))
        value = span_trim((struct span){value.at, value.length - 1});
    return value.length >= 2 && value.at[0] == '"' && value.at[value.length - 1] == '"'
               ? (struct span){value.at + 1, value.length - 2}
               : value;
}

static void open_block(struct rspamd *rspamd, struct span name) {
    name = without_quotes(span_trim(name));
    if (rspamd->depth < DEEP)
        snprintf(rspamd->name[rspamd->depth], NAME_MOST, "%.*s",
                 name.length < 50 ? (int)name.length : 50, name.at);
    if (rspamd->depth == 0 && strcmp(rspamd->section, "worker") == 0 && span_is(name, "controller"))
        rspamd->has_controller = true;
    rspamd->depth++;
}

/* "*** Section worker ***", "controller {", "secure_ip = \"::1\";", "allow_update [", "\"x\"," */
static void read_lines(struct rspamd *rspamd, struct span lines) {
    struct span line;
    while (next_line(&lines, &line)) {
        char last = line.at[line.length - 1];
        char key[NAME_MOST];
        struct span rest = line;
        if (span_starts_with(line, SPAN("*** Section "))) {
            rest = span_skip(line, strlen("*** Section "));
            struct span name = span_word(&rest);
            snprintf(rspamd->section, sizeof(rspamd->section), "%.*s",
                     name.length < 50 ? (int)name.length : 50, name.at);
            rspamd->depth = 0;
        } else if (span_starts_with(line, SPAN("***"))) {
            rspamd->section[0] = '\0';
        } else if (last == '{' || last == '[') {
            open_block(rspamd, (struct span){line.at, line.length - 1});
        } else if (line.at[0] == '}' || line.at[0] == ']') {
            rspamd->depth -= rspamd->depth > 0;
        } else {
            bool is_scalar = line.at[0] == '"';
            struct span name = is_scalar ? (struct span){0} : span_trim(span_cut(&rest, '='));
            snprintf(key, sizeof(key), "%.*s", name.length < 50 ? (int)name.length : 50,
                     name.length ? name.at : "");
            if (rest.at)
                note(rspamd, key, without_quotes(span_trim(rest)));
        }
    }
}

static void count_one(void *context, const char *path) {
    (void)path;
    ++*(unsigned *)context;
}

/* Where dkim_signing looks unless it is told otherwise, and where guides put keys. Where OpenDKIM
 * signs, Rspamd needs none. */
static void say_keys(struct look *look) {
    static const char *const places[] = {"/var/lib/rspamd/dkim/*", "/etc/rspamd/dkim/*"};
    glob_t found = {0};
    for (size_t i = 0; i < ELEMENTS_OF(places); i++)
        (void)glob(places[i], i ? GLOB_APPEND : 0, NULL, &found);
    unsigned count = 0;
    each_path("/etc/dkimkeys/*.private", count_one, &count);
    each_path("/etc/opendkim/keys/*/*.private", count_one, &count);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        size_t length = strlen(path);
        bool is_public = length > 4 && (strcmp(path + length - 4, ".txt") == 0 ||
                                        strcmp(path + length - 4, ".pub") == 0);
        if (is_public || say_permissions(look, "key", path) < 0)
            continue;
        count++;
    }
    look_say_format(look, "keys", "", "%u", count);
    globfree(&found);
}

void probe_rspamd(struct look *look) {
    static const char *const ask[] = {"rspamadm", "configdump",   "worker", "options",
                                      "actions",  "dkim_signing", "redis",  NULL};
    cleanup_text struct text dump = {0};
    cleanup_text struct text complaint = {0};
    struct rspamd rspamd = {.look = look};
    bool is_there = look_has_program("rspamadm");
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (!is_there)
        return;
    int status = look_run(look, ask, &dump, &complaint);
    if (status != 0) {
        look_say_not(look, NULL, "rspamadm configdump: %.300s",
                     status < 0         ? strerror(-status)
                     : complaint.length ? complaint.at
                                        : "it failed without a word");
        return;
    }
    read_lines(&rspamd, text_span(&dump));
    if (rspamd.has_controller && !rspamd.has_controller_password)
        look_say_text(look, "controller.password", "", "none");
    look_say_text(look, "redis", "", rspamd.has_redis ? "yes" : "no");
    say_keys(look);
}
