/* What runs: who listens where (proc(5), /proc/net/tcp and its like, owners by the sockets among a
 * process's descriptors), and which programs still run a library or themselves as they were before
 * an upgrade: the kernel marks a mapped file that has been replaced as (deleted).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/files.h"
#include "probe/found.h"
#include "probe/hosts.h"

enum { LISTENERS_MOST = 4000, TABLE_MOST_BYTES = 32 << 20, MAPS_MOST_BYTES = 8 << 20 };

struct listener {
    const char *protocol;
    char address[INET6_ADDRSTRLEN];
    unsigned port;
    uid_t uid;
    uint64_t inode;
    char program[32];
};

struct processes {
    struct look *look;
    struct listener *listeners;
    size_t count;
    unsigned hidden; /* processes that may not be looked into */
    struct found stale;
};

/* ---- sockets ---- */

/* Four bytes at a time, each group in this machine's order. */
static bool read_address(struct span hex, char into[INET6_ADDRSTRLEN]) {
    uint32_t words[4] = {0};
    size_t count = hex.length / 8;
    if (hex.length != 8 && hex.length != 32)
        return false;
    for (size_t i = 0; i < count; i++) {
        char part[9];
        memcpy(part, hex.at + i * 8, 8);
        part[8] = '\0';
        words[i] = (uint32_t)strtoul(part, NULL, 16);
    }
    return inet_ntop(count == 1 ? AF_INET : AF_INET6, words, into, INET6_ADDRSTRLEN) != NULL;
}

/* "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …" */
static void take_row(struct processes *processes, const char *protocol, struct span line) {
    enum { LOCAL = 1, REMOTE, STATE, UID = 7, INODE = 9, FIELDS };
    struct span fields[FIELDS];
    struct listener *listener = &processes->listeners[processes->count];
    bool is_tcp = protocol[0] == 't';
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = span_word(&line);
    struct span port = fields[LOCAL];
    struct span address = span_cut(&port, ':');
    struct span remote_port = fields[REMOTE];
    (void)span_cut(&remote_port, ':');
    if (!span_is(fields[STATE], is_tcp ? "0A" : "07") || port.length != 4 ||
        !span_is(remote_port, "0000") || !read_address(address, listener->address))
        return;
    listener->protocol = protocol;
    listener->port = (unsigned)strtoul(port.at, NULL, 16);
    listener->uid = (uid_t)strtoul(fields[UID].at, NULL, 10);
    listener->inode = strtoull(fields[INODE].at, NULL, 10);
    if (listener->port > 0)
        processes->count++;
}

static void read_sockets(struct processes *processes, const char *protocol) {
    cleanup_text struct text text = {0};
    char path[40];
    snprintf(path, sizeof(path), "/proc/net/%s", protocol);
    if (file_read(path, TABLE_MOST_BYTES, &text) < 0)
        return;
    struct span rest = text_span(&text);
    (void)span_cut(&rest, '\n');
    while (rest.length > 0 && processes->count < LISTENERS_MOST)
        take_row(processes, protocol, span_cut(&rest, '\n'));
}

/* ---- processes ---- */

static void read_name(int process, char into[32]) {
    cleanup_close int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, into, 31);
    into[length > 0 ? length : 0] = '\0';
    into[strcspn(into, "\n")] = '\0';
}

static void own(struct processes *processes, uint64_t inode, const char *program) {
    for (size_t i = 0; i < processes->count; i++)
        if (processes->listeners[i].inode == inode && !processes->listeners[i].program[0])
            snprintf(processes->listeners[i].program, sizeof(processes->listeners[i].program),
                     "%s", program);
}

static void read_descriptors(struct processes *processes, int process, const char *program) {
    DIR *folder = NULL;
    int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !(folder = fdopendir(fd))) {
        processes->hidden += errno == EACCES || errno == EPERM;
        cleanup_close_fd(&fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char target[64];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);
        if (length < 0 && (errno == EACCES || errno == EPERM)) {
            processes->hidden++;
            break;
        }
        if (length <= 8 || memcmp(target, "socket:[", 8) != 0)
            continue;
        target[length] = '\0';
        own(processes, strtoull(target + 8, NULL, 10), program);
    }
    closedir(folder);
}

/* Of what was replaced only code matters: mappings that may be run, of files of packages. */
static bool is_replaced_code(struct span line, struct span *ret_path) {
    struct span rest = line;
    (void)span_word(&rest);
    struct span rights = span_word(&rest);
    for (int i = 0; i < 3; i++)
        (void)span_word(&rest);
    rest = span_trim(rest);
    static const char mark[] = " (deleted)";
    size_t mark_length = sizeof(mark) - 1;
    bool is_code = rights.length > 2 && rights.at[2] == 'x' && rest.length > mark_length &&
                   memcmp(rest.at + rest.length - mark_length, mark, mark_length) == 0;
    *ret_path = (struct span){rest.at, is_code ? rest.length - mark_length : 0};
    return is_code && (span_starts_with(rest, SPAN("/usr/")) ||
                       span_starts_with(rest, SPAN("/lib")) ||
                       span_starts_with(rest, SPAN("/bin/")) ||
                       span_starts_with(rest, SPAN("/sbin/")) ||
                       span_starts_with(rest, SPAN("/opt/")));
}

static void read_maps(struct processes *processes, int process, const char *program) {
    cleanup_text struct text text = {0};
    cleanup_close int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
    struct span path;
    if (fd < 0 || file_read_fd(fd, MAPS_MOST_BYTES, &text) < 0) {
        processes->hidden += errno == EACCES || errno == EPERM;
        return;
    }
    struct span rest = text_span(&text);
    while (rest.length > 0)
        if (is_replaced_code(span_cut(&rest, '\n'), &path)) {
            found_one(&processes->stale, program, "%.*s was replaced", SPAN_FORMAT(path));
            return;
        }
}

static void read_processes(struct processes *processes) {
    DIR *folder = opendir("/proc");
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        char name[32];
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        cleanup_close int process =
            openat(dirfd(folder), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (process < 0)
            continue; /* it has ended */
        read_name(process, name);
        read_descriptors(processes, process, name);
        read_maps(processes, process, name);
    }
    if (folder)
        closedir(folder);
}

/* ---- saying ---- */

static const char *reach_of(const char *address) {
    struct in6_addr six;
    if (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
        strncmp(address, "::ffff:127.", 11) == 0)
        return "loopback";
    if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0)
        return "all";
    bool is_six = inet_pton(AF_INET6, address, &six) == 1;
    struct address one;
    if (is_six && IN6_IS_ADDR_LINKLOCAL(&six))
        return "link";
    if (address_parse(span_of(address), &one) < 0)
        return "address";
    struct prefix prefix = prefix_of(&one);
    return strcmp(network_kind(&prefix), "private") == 0 ? "private" : "address";
}

static void say_listener(struct look *look, const struct listener *listener) {
    char subject[120];
    bool is_six = strchr(listener->address, ':') != NULL;
    const struct passwd *user = getpwuid(listener->uid);
    snprintf(subject, sizeof(subject), "%.3s %s%s%s:%u", listener->protocol, is_six ? "[" : "",
             listener->address, is_six ? "]" : "", listener->port);
    look_say_format(look, "port", subject, "%u", listener->port);
    look_say_format(look, "protocol", subject, "%.3s", listener->protocol);
    look_say_text(look, "reach", subject, reach_of(listener->address));
    look_say_format(look, "listener", subject, "%s of %s",
                    listener->program[0] ? listener->program : "somebody",
                    user ? user->pw_name : "an unknown user");
    if (listener->program[0])
        look_say_text(look, "program", subject, listener->program);
}

void probe_processes(struct look *look) {
    struct processes processes = {look, calloc(LISTENERS_MOST + 1, sizeof(struct listener)), 0, 0,
                                  {look, "stale", 0}};
    must(processes.listeners);
    read_sockets(&processes, "tcp");
    read_sockets(&processes, "tcp6");
    read_sockets(&processes, "udp");
    read_sockets(&processes, "udp6");
    read_processes(&processes);
    for (size_t i = 0; i < processes.count; i++)
        say_listener(look, &processes.listeners[i]);
    if (processes.hidden > 0) {
        look_say_not(look, "stale", "some processes may only be looked into by root");
        look_say_not(look, "program", "only root sees whose sockets these are");
    } else {
        found_end(&processes.stale);
    }
    free(processes.listeners);
}
