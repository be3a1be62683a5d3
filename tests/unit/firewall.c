/* A firewall of its own for each test: see firewall.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "firewall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"

const struct scope scopes[SCOPES] = {
    [SSH] = {.name = "ssh", .range_count = 1, .ranges = {{22, 22}}},
    [MAIL] = {.name = "mail", .range_count = 3, .ranges = {{25, 25}, {993, 995}, {65535, 65535}}},
    [ALL] = {.name = "all"},
    [WIDE] = {.name = "ports_1f", .range_count = 1, .ranges = {{1000, 65535}}},
};

void write_text(const char *path, const char *text) {
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write_all(fd, span_of(text)), 0);
}

int this_namespace(void) {
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

void lo_up(void) {
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

static int own_namespace(void) {
    uid_t uid = getuid();
    if (unshare(CLONE_NEWNET) == 0)
        return 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return -errno;
    char map[64];
    snprintf(map, sizeof(map), "0 %u 1\n", uid);
    write_text("/proc/self/uid_map", map);
    return 0;
}

int firewall_set_up(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    *state = world;
    world->here = world->client = world->container = -1;
    if (own_namespace() < 0) {
        world->missing = "CAP_SYS_ADMIN, or user namespaces for everybody";
        return 0;
    }
    lo_up();
    world->here = this_namespace();
    return 0;
}

int firewall_tear_down(void **state) {
    struct world *world = *state;
    enforce_free(world->enforce);
    cleanup_close_fd(&world->here);
    cleanup_close_fd(&world->client);
    cleanup_close_fd(&world->container);
    free(world);
    return 0;
}

void must_why(int result, const struct why *why) {
    if (result < 0)
        fail_msg("%d: %s", result, why->text);
}

/* The test's world, with a firewall of four scopes. */
struct enforce *ready(void **state) {
    struct world *world = *state;
    if (world->missing) {
        print_message("# skipped: this needs %s\n", world->missing);
        skip();
    }
    struct why why = {0};
    must_why(enforce_open(&world->enforce, &why), &why);
    must_why(enforce_set_scopes(world->enforce, scopes, SCOPES, &why), &why);
    return world->enforce;
}

/* Runs a program in this namespace; returns its pid after it has ended with status 0. */
pid_t run(const char *const arguments[]) {
    pid_t pid;
    int status;
    assert_int_equal(posix_spawn(&pid, arguments[0], NULL, NULL, (char *const *)arguments, environ),
                     0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s %s ... ended with status %d", arguments[0], arguments[1], status);
    return pid;
}

/* ---- wishes and looks -------------------------------------------------------------------- */

struct prefix P(const char *text) {
    struct prefix prefix;
    assert_int_equal(prefix_parse(span_of(text), &prefix), 0);
    return prefix;
}

int64_t in_seconds(int64_t seconds) {
    return clock_now_us() + seconds * SECOND_US;
}

static int apply_one(struct enforce *enforce, struct enforce_order order) {
    int result = 1;
    int error = enforce_apply(enforce, &order, 1, &result, NULL);
    assert_int_equal(error, result == -EPERM || result == -ETIME ? 0 : result);
    return result;
}

int put(struct enforce *enforce, uint16_t scope, const char *text, int64_t until_us) {
    return apply_one(enforce, (struct enforce_order){
                                  .scope = scope, .prefix = P(text), .until_us = until_us});
}

int put_and_cut(struct enforce *enforce, uint16_t scope, const char *text) {
    return apply_one(enforce, (struct enforce_order){.scope = scope,
                                                     .cut = true,
                                                     .prefix = P(text),
                                                     .until_us = UNTIL_PERMANENT});
}

int drop(struct enforce *enforce, uint16_t scope, const char *text) {
    return apply_one(enforce,
                     (struct enforce_order){.scope = scope, .is_drop = true, .prefix = P(text)});
}

void rows_free(struct rows *rows) {
    free(rows->at);
}

static void rows_add(void *context, const char *set, uint16_t scope, const struct prefix *prefix,
                     int64_t expires_us, uint64_t packets) {
    (void)packets;
    struct rows *rows = context;
    if (rows->count == rows->room) {
        rows->room = rows->room ? 2 * rows->room : 64;
        rows->at = reallocarray(rows->at, rows->room, sizeof(*rows->at));
        assert_non_null(rows->at);
    }
    struct row *row = &rows->at[rows->count++];
    *row = (struct row){.scope = scope, .prefix = *prefix, .expires_us = expires_us};
    snprintf(row->set, sizeof(row->set), "%s", set);
}

struct rows list(struct enforce *enforce) {
    struct rows rows = {0};
    struct why why = {0};
    must_why(enforce_list(enforce, rows_add, &rows, &why), &why);
    return rows;
}

const struct row *find(const struct rows *rows, uint16_t scope,
                              const struct prefix *prefix) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->at[i].scope == scope && prefix_equals(&rows->at[i].prefix, prefix))
            return &rows->at[i];
    return NULL;
}

bool is_in(struct enforce *enforce, uint16_t scope, const char *text) {
    LISTED(rows, enforce);
    struct prefix prefix = P(text);
    return find(&rows, scope, &prefix) != NULL;
}

void assert_about(int64_t expires_us, int64_t wanted_us) {
    if (wanted_us == UNTIL_PERMANENT)
        assert_int_equal(expires_us, UNTIL_PERMANENT);
    else
        assert_in_range(expires_us, wanted_us - 3 * SECOND_US, wanted_us + SECOND_US);
}

void assert_expires(struct enforce *enforce, uint16_t scope, const char *text,
                           int64_t wanted_us) {
    LISTED(rows, enforce);
    struct prefix prefix = P(text);
    const struct row *row = find(&rows, scope, &prefix);
    if (row)
        assert_about(row->expires_us, wanted_us);
    else
        fail_msg("%s is not there", text);
}

/* What `nft list table inet hauberk` prints. */
void nft_list(char *into, size_t room) {
    int ends[2], status;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    const char *const arguments[] = {NFT, "list table inet hauberk", NULL};
    assert_int_equal(
        posix_spawn(&pid, NFT, &actions, NULL, (char *const *)arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], into + length, room - 1 - length)) > 0)
        length += (size_t)got;
    into[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

bool is_readable(int fd, int timeout_ms) {
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, timeout_ms) == 1;
}
