/* enforce/ against the real kernel, in network namespaces made here: every test gets a fresh one
 * (with user namespaces where root is not given), so that nobody's firewall is touched; where the
 * kernel permits neither, each test is skipped with the right it lacks. Connections run over veth
 * pairs to further namespaces: a client, and a container behind DNAT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "enforce/private.h"

#define NFT "/usr/sbin/nft"
#define IP "/usr/sbin/ip"

enum {
    SSH,
    MAIL,
    ALL,
    WIDE,
    SCOPES,
    SOON_MS = 2000,   /* what must happen happens within this */
    NEVER_MS = 250,   /* what did not happen within this does not happen */
};

static const struct scope scopes[SCOPES] = {
    [SSH] = {.name = "ssh", .range_count = 1, .ranges = {{22, 22}}},
    [MAIL] = {.name = "mail", .range_count = 3, .ranges = {{25, 25}, {993, 995}, {65535, 65535}}},
    [ALL] = {.name = "all"},
    [WIDE] = {.name = "ports_1f", .range_count = 1, .ranges = {{1000, 65535}}},
};

struct world {
    const char *missing; /* the right this machine does not give us */
    struct enforce *enforce;
    int here;      /* this namespace, where enforce works */
    int client;    /* another, or -1 */
    int container; /* a third, or -1 */
};

/* ---- namespaces -------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text) {
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write_all(fd, span_of(text)), 0);
}

static int this_namespace(void) {
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void lo_up(void) {
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

static int set_up(void **state) {
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

static int tear_down(void **state) {
    struct world *world = *state;
    enforce_free(world->enforce);
    cleanup_close_fd(&world->here);
    cleanup_close_fd(&world->client);
    cleanup_close_fd(&world->container);
    free(world);
    return 0;
}

static void must_why(int result, const struct why *why) {
    if (result < 0)
        fail_msg("%d: %s", result, why->text);
}

/* The test's world, with a firewall of four scopes. */
static struct enforce *ready(void **state) {
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
static pid_t run(const char *const arguments[]) {
    pid_t pid;
    int status;
    assert_int_equal(posix_spawn(&pid, arguments[0], NULL, NULL, (char *const *)arguments, environ),
                     0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s %s ... ended with status %d", arguments[0], arguments[1], status);
    return pid;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
#define NFT_DO(text) RUN(NFT, text)

/* ---- wishes and looks -------------------------------------------------------------------- */

static struct prefix P(const char *text) {
    struct prefix prefix;
    assert_int_equal(prefix_parse(span_of(text), &prefix), 0);
    return prefix;
}

static int64_t in_seconds(int64_t seconds) {
    return clock_now_us() + seconds * SECOND_US;
}

static int apply_one(struct enforce *enforce, struct enforce_order order) {
    int result = 1;
    int error = enforce_apply(enforce, &order, 1, &result, NULL);
    assert_int_equal(error, result == -EPERM || result == -ETIME ? 0 : result);
    return result;
}

static int put(struct enforce *enforce, uint16_t scope, const char *text, int64_t until_us) {
    return apply_one(enforce, (struct enforce_order){
                                  .scope = scope, .prefix = P(text), .until_us = until_us});
}

static int put_and_cut(struct enforce *enforce, uint16_t scope, const char *text) {
    return apply_one(enforce, (struct enforce_order){.scope = scope,
                                                     .cut = true,
                                                     .prefix = P(text),
                                                     .until_us = UNTIL_PERMANENT});
}

static int drop(struct enforce *enforce, uint16_t scope, const char *text) {
    return apply_one(enforce,
                     (struct enforce_order){.scope = scope, .is_drop = true, .prefix = P(text)});
}

struct row {
    char set[64];
    uint16_t scope;
    struct prefix prefix;
    int64_t expires_us;
};
struct rows {
    struct row *at;
    size_t count, room;
};

static void rows_free(struct rows *rows) {
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

static struct rows list(struct enforce *enforce) {
    struct rows rows = {0};
    struct why why = {0};
    must_why(enforce_list(enforce, rows_add, &rows, &why), &why);
    return rows;
}

#define LISTED(name, enforce) at_scope_end(rows_free) struct rows name = list(enforce)

static const struct row *find(const struct rows *rows, uint16_t scope,
                              const struct prefix *prefix) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->at[i].scope == scope && prefix_equals(&rows->at[i].prefix, prefix))
            return &rows->at[i];
    return NULL;
}

static bool is_in(struct enforce *enforce, uint16_t scope, const char *text) {
    LISTED(rows, enforce);
    struct prefix prefix = P(text);
    return find(&rows, scope, &prefix) != NULL;
}

static void assert_about(int64_t expires_us, int64_t wanted_us) {
    if (wanted_us == UNTIL_PERMANENT)
        assert_int_equal(expires_us, UNTIL_PERMANENT);
    else
        assert_in_range(expires_us, wanted_us - 3 * SECOND_US, wanted_us + SECOND_US);
}

static void assert_expires(struct enforce *enforce, uint16_t scope, const char *text,
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
static void nft_list(char *into, size_t room) {
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

/* ---- the skeleton ------------------------------------------------------------------------ */

static void test_skeleton(void **state) {
    struct enforce *enforce = ready(state);
    static char first[65536], second[65536];
    nft_list(first, sizeof(first));
    static const char *const lines[] = {
        "comment \"made by hauberk; hauberk pause 1h lifts it\"",
        "set exempt4 {",
        "127.0.0.0/8",
        "fe80::/10",
        "set ports_1f_6_nets {\n\t\ttype ipv6_addr\n\t\tflags interval,timeout\n",
        "set ssh_6_64 {\n\t\ttype ipv6_addr\n\t\tflags timeout\n",
        "type filter hook prerouting priority mangle; policy accept;",
        "iif \"lo\" return",
        "ct direction original ct state established,related return",
        "ip saddr @exempt4 return",
        "tcp dport 22 ip saddr @ssh_4 counter packets 0 bytes 0 drop",
        "tcp dport { 25, 993-995, 65535 } ip6 saddr @mail_6_nets counter",
        "ip6 saddr & ffff:ffff:ffff:ffff:: == @ssh_6_64 counter",
        "ct direction original ip saddr @all_4_nets counter",
        "tcp dport 1000-65535 ip saddr @ports_1f_4 counter",
    };
    for (size_t i = 0; i < ELEMENTS_OF(lines); i++)
        if (!strstr(first, lines[i]))
            fail_msg("not in nft's listing: %s\n%s", lines[i], first);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    nft_list(second, sizeof(second));
    assert_string_equal(first, second);
}

static void test_skeleton_is_mended(void **state) {
    struct enforce *enforce = ready(state);
    static char before[65536], after[65536];
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    nft_list(before, sizeof(before));
    static const char *const damages[] = {
        "flush chain inet hauberk guard",
        "add chain inet hauberk other; add rule inet hauberk other accept",
        "insert rule inet hauberk guard accept",
        "add chain inet hauberk other { type filter hook input priority 0; }; "
        "add rule inet hauberk other tcp dport { 1, 2 } drop",
        "delete chain inet hauberk guard",
        "delete chain inet hauberk guard; "
        "add chain inet hauberk guard { type filter hook input priority 0; policy drop; }",
        "add set inet hauberk more { type ipv4_addr; elements = { 192.0.2.7 }; }; "
        "add rule inet hauberk guard ip saddr @more drop",
        "flush chain inet hauberk guard; delete set inet hauberk mail_4; "
        "add set inet hauberk mail_4 { type ipv6_addr; }",
        "flush set inet hauberk exempt4",
        "flush set inet hauberk exempt4; add element inet hauberk exempt4 { 0.0.0.0/0 }",
        "add table inet hauberk { flags dormant; }",
        "add chain inet hauberk other; add map inet hauberk m { type ipv4_addr : verdict; "
        "elements = { 192.0.2.7 : jump other }; }",
    };
    for (size_t i = 0; i < ELEMENTS_OF(damages); i++) {
        NFT_DO(damages[i]);
        nft_list(after, sizeof(after));
        assert_string_not_equal(before, after);
        struct why why = {0};
        must_why(enforce_set_scopes(enforce, scopes, SCOPES, &why), &why);
        nft_list(after, sizeof(after));
        /* A set made anew stands behind the others. */
        if (strstr(damages[i], "mail_4"))
            memcpy(before, after, sizeof(before));
        if (strcmp(before, after) != 0)
            fail_msg("not mended after: %s\n%s", damages[i], strstr(after, "chain"));
        assert_true(is_in(enforce, SSH, "192.0.2.1"));
    }
}

static void test_scopes_change(void **state) {
    struct enforce *enforce = ready(state);
    int64_t hour = in_seconds(3600);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", hour), 0);
    assert_int_equal(put(enforce, MAIL, "192.0.2.0/24", UNTIL_PERMANENT), 0);
    struct scope fewer[2] = {scopes[MAIL], scopes[SSH]};
    fewer[1].ranges[0].first = 2;
    assert_int_equal(enforce_set_scopes(enforce, fewer, 2, NULL), 0);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 2);
    assert_expires(enforce, 1, "192.0.2.1", hour);
    assert_expires(enforce, 0, "192.0.2.0/24", UNTIL_PERMANENT);
    static char text[65536];
    nft_list(text, sizeof(text));
    assert_null(strstr(text, "all_4"));
    assert_non_null(strstr(text, "tcp dport 2-22 ip saddr @ssh_4"));
    struct enforce_order wrong = {.scope = 2, .prefix = P("192.0.2.9"), .until_us = hour};
    int result;
    assert_int_equal(enforce_apply(enforce, &wrong, 1, &result, NULL), -EINVAL);
    assert_int_equal(enforce_set_scopes(enforce, fewer, 0, NULL), 0);
    LISTED(none, enforce);
    assert_int_equal(none.count, 0);
}

static void test_most_scopes(void **state) {
    struct enforce *enforce = ready(state);
    static struct scope many[SCOPES_MAX];
    for (unsigned i = 0; i < SCOPES_MAX; i++) {
        snprintf(many[i].name, sizeof(many[i].name), "ports_%017u", i);
        many[i].range_count = SCOPE_RANGES_MAX;
        for (unsigned j = 0; j < SCOPE_RANGES_MAX; j++) {
            many[i].ranges[j].first = (uint16_t)(i + 1 + 2000 * j);
            many[i].ranges[j].last = (uint16_t)(i + 1 + 2000 * j + 1000);
        }
    }
    static struct prefix exempt[4096];
    for (uint32_t i = 0; i < ELEMENTS_OF(exempt); i++) {
        exempt[i] = P("2001:db8::1");
        exempt[i].address.at[13] = (uint8_t)(i >> 8);
        exempt[i].address.at[14] = (uint8_t)i;
    }
    struct why why = {0};
    must_why(enforce_set_exempt(enforce, exempt, ELEMENTS_OF(exempt), &why), &why);
    must_why(enforce_set_scopes(enforce, many, SCOPES_MAX, &why), &why);
    must_why(enforce_set_scopes(enforce, many, SCOPES_MAX, &why), &why);
    assert_int_equal(put(enforce, SCOPES_MAX - 1, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_true(is_in(enforce, SCOPES_MAX - 1, "192.0.2.1"));
}

static void test_a_shadow_has_sets_and_no_rules(void **state) {
    struct enforce *enforce = ready(state);
    static const struct scope two[] = {{.name = "ssh", .range_count = 1, .ranges = {{22, 22}}},
                                       {.name = "shade", .is_shadow = true}};
    struct prefix banned = P("192.0.2.1");
    uint64_t packets = 0;
    assert_int_equal(enforce_set_scopes(enforce, two, ELEMENTS_OF(two), NULL), 0);
    assert_int_equal(put(enforce, 1, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_true(is_in(enforce, 1, "192.0.2.1"));
    static char listed[65536];
    nft_list(listed, sizeof(listed));
    assert_non_null(strstr(listed, "set shade_4 {"));
    assert_non_null(strstr(listed, "@ssh_4"));
    assert_null(strstr(listed, "@shade"));
    assert_int_equal(enforce_count_refused(enforce, 1, &packets, NULL), 0);
    assert_int_equal(packets, 0);
    assert_int_equal(enforce_cut(enforce, 1, &banned, NULL), 0);
}

static void test_lift(void **state) {
    struct enforce *enforce = ready(state);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_int_equal(enforce_lift(enforce, NULL), 0);
    assert_int_equal(enforce_lift(enforce, NULL), 0);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), -ENOENT);
    assert_int_equal(enforce_set_exempt(enforce, NULL, 0, NULL), 0);
    uint64_t packets;
    assert_int_equal(enforce_count_refused(enforce, SSH, &packets, NULL), 0);
    assert_int_equal(packets, 0);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    assert_false(is_in(enforce, SSH, "192.0.2.1"));
}

/* ---- elements ---------------------------------------------------------------------------- */

static void test_put_and_drop(void **state) {
    struct enforce *enforce = ready(state);
    static const char *const texts[] = {
        "192.0.2.1",     "192.0.2.0/24",      "0.0.0.0/8",    "255.255.255.255", "224.0.0.0/8",
        "240.0.0.0/28",  "240.0.0.16/28",     "255.0.0.0/9",  "2001:db8::1",     "2001:db8::/64",
        "2001:db8::/32", "2001:db8:0:1::/65", "2400::/19",    "ffff:ffff:ffff::/48",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:fffe::/32", "ffff:fffd::/64",
    };
    int64_t hour = in_seconds(3600);
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        uint16_t scope = (uint16_t)(i % SCOPES);
        assert_int_equal(put(enforce, scope, texts[i], hour), 0);
        assert_expires(enforce, scope, texts[i], hour);
        assert_int_equal(put(enforce, scope, texts[i], UNTIL_PERMANENT), 0);
        assert_expires(enforce, scope, texts[i], UNTIL_PERMANENT);
        assert_int_equal(put(enforce, scope, texts[i], hour + 60 * SECOND_US), 0);
        assert_expires(enforce, scope, texts[i], hour + 60 * SECOND_US);
        assert_int_equal(put(enforce, scope, texts[i], hour - 1800 * SECOND_US), 0);
        assert_expires(enforce, scope, texts[i], hour - 1800 * SECOND_US);
        /* A thousand years are more than the kernel counts. */
        assert_int_equal(put(enforce, scope, texts[i], in_seconds(INT64_C(31557600000))), 0);
    }
    LISTED(rows, enforce);
    assert_int_equal(rows.count, ELEMENTS_OF(texts));
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        uint16_t scope = (uint16_t)(i % SCOPES);
        assert_int_equal(drop(enforce, (uint16_t)((i + 1) % SCOPES), texts[i]), 0);
        assert_true(is_in(enforce, scope, texts[i]));
        assert_int_equal(drop(enforce, scope, texts[i]), 0);
        assert_false(is_in(enforce, scope, texts[i]));
        assert_int_equal(drop(enforce, scope, texts[i]), 0);
    }
    LISTED(none, enforce);
    assert_int_equal(none.count, 0);
}

static void test_drop_of_a_part(void **state) {
    struct enforce *enforce = ready(state);
    assert_int_equal(put(enforce, SSH, "192.0.2.0/24", UNTIL_PERMANENT), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.64/26"), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.0.0/22"), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.0/25"), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.128/25"), 0);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 1);
    assert_true(is_in(enforce, SSH, "192.0.2.0/24"));
    assert_int_equal(put(enforce, SSH, "192.0.2.0/25", UNTIL_PERMANENT), -EEXIST);
    assert_int_equal(put(enforce, SSH, "192.0.2.128/25", UNTIL_PERMANENT), -EEXIST);
    assert_int_equal(put(enforce, SSH, "192.0.0.0/16", UNTIL_PERMANENT), -EEXIST);
    /* Replaced by its halves in one go, and back. */
    struct enforce_order orders[3] = {
        {.prefix = P("192.0.2.0/25"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.128/25"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.0/24"), .is_drop = true},
    };
    int results[3];
    assert_int_equal(enforce_apply(enforce, orders, 3, results, NULL), 0);
    assert_true(is_in(enforce, SSH, "192.0.2.0/25"));
    assert_false(is_in(enforce, SSH, "192.0.2.0/24"));
    /* Start and end of the whole are there, as those of its halves. */
    assert_int_equal(drop(enforce, SSH, "192.0.2.0/24"), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.0/24", UNTIL_PERMANENT), -EEXIST);
    assert_true(is_in(enforce, SSH, "192.0.2.0/25"));
    assert_true(is_in(enforce, SSH, "192.0.2.128/25"));
    for (unsigned i = 0; i < 3; i++) {
        orders[i].is_drop = !orders[i].is_drop;
        orders[i].until_us = UNTIL_PERMANENT;
    }
    assert_int_equal(enforce_apply(enforce, orders, 3, results, NULL), 0);
    assert_true(is_in(enforce, SSH, "192.0.2.0/24"));
    assert_false(is_in(enforce, SSH, "192.0.2.0/25"));
}

/* Networks that reach the top of the space have no end; one that begins where another does. */
static void test_top_of_the_space(void **state) {
    struct enforce *enforce = ready(state);
    static const char *const tops[][2] = {{"255.255.255.0/24", "255.255.255.0/28"},
                                          {"ffff:ffff:ffff::/48", "ffff:ffff:ffff::/56"}};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++) {
            assert_int_equal(put(enforce, SSH, tops[i][j], UNTIL_PERMANENT), 0);
            assert_int_equal(put(enforce, SSH, tops[i][!j], UNTIL_PERMANENT), -EEXIST);
            assert_int_equal(drop(enforce, SSH, tops[i][!j]), 0);
            assert_true(is_in(enforce, SSH, tops[i][j]));
            assert_int_equal(drop(enforce, SSH, tops[i][j]), 0);
            LISTED(rows, enforce);
            assert_int_equal(rows.count, 0);
        }
    }
    /* Both at once: the wider one, which comes first. */
    struct enforce_order orders[2] = {
        {.prefix = P("255.255.255.0/28"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("255.255.255.0/24"), .until_us = UNTIL_PERMANENT},
    };
    int results[2];
    assert_int_equal(enforce_apply(enforce, orders, 2, results, NULL), -EEXIST);
    assert_int_equal(results[0], -EEXIST);
    assert_int_equal(results[1], 0);
}

static void test_refusals(void **state) {
    struct enforce *enforce = ready(state);
    RUN(IP, "address", "add", "192.0.2.10/24", "dev", "lo");
    RUN(IP, "address", "add", "2001:db8::10/64", "dev", "lo");
    RUN(IP, "address", "add", "198.51.100.1", "peer", "198.51.100.2", "dev", "lo");
    RUN(IP, "link", "add", "v0", "type", "veth", "peer", "name", "v1");
    RUN(IP, "address", "add", "203.0.113.5/24", "dev", "v0");
    RUN(IP, "link", "set", "v0", "up");
    RUN(IP, "link", "set", "v1", "up");
    RUN(IP, "route", "add", "default", "via", "203.0.113.1");
    RUN(IP, "route", "add", "198.18.0.0/15", "nexthop", "via", "203.0.113.2", "dev", "v0",
        "nexthop", "via", "203.0.113.3", "dev", "v0");
    RUN(IP, "route", "add", "198.51.0.0/24", "via", "inet6", "2001:db8:7::1", "dev", "v0",
        "onlink");
    RUN(IP, "-6", "route", "add", "default", "via", "2001:db8:8::1", "dev", "v0", "onlink");
    RUN(IP, "route", "add", "198.19.0.0/24", "via", "203.0.113.9", "table", "77");
    RUN(IP, "nexthop", "add", "id", "7", "via", "203.0.113.4", "dev", "v0");
    RUN(IP, "route", "add", "198.51.1.0/24", "nhid", "7");
    struct why why = {0};
    must_why(enforce_read_own(enforce, &why), &why);
    const struct prefix given[] = {P("100.64.0.0/10"), P("100.64.5.0/24"), P("100.64.0.0/10"),
                                   P("100.128.0.0/16"), P("255.255.255.255"), P("2a00::/16")};
    must_why(enforce_set_exempt(enforce, given, ELEMENTS_OF(given), &why), &why);
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"192.0.2.10", -EPERM},       {"192.0.2.11", 0},
        {"192.0.2.8/29", -EPERM},     {"192.0.2.16/28", 0},
        {"2001:db8::10", -EPERM},     {"2001:db8::/64", -EPERM},
        {"2001:db8::11", 0},          {"2001:db8:0:1::/64", 0},
        {"198.51.100.1", -EPERM},     {"198.51.100.2", -EPERM},
        {"203.0.113.1", -EPERM},      {"203.0.113.2", -EPERM},
        {"203.0.113.3", -EPERM},      {"203.0.113.4", -EPERM},
        {"203.0.113.5", -EPERM},      {"203.0.113.6", 0},
        {"203.0.113.9", 0},           {"2001:db8:7::1", -EPERM},
        {"2001:db8:8::1", -EPERM},    {"2001:db8:8::2", 0},
        {"127.0.0.1", -EPERM},        {"127.255.255.255", -EPERM},
        {"126.255.255.255", 0},       {"128.0.0.0", 0},
        {"::1", -EPERM},              {"::2", 0},
        {"fe80::1", -EPERM},          {"febf::/64", -EPERM},
        {"fec0::1", 0},               {"100.64.0.1", -EPERM},
        {"100.127.255.255", -EPERM},  {"100.128.0.0", -EPERM},
        {"100.129.0.0", 0},           {"100.0.0.0/8", -EPERM},
        {"255.255.255.255", -EPERM},  {"255.255.255.254", 0},
        {"2a00:ffff::/32", -EPERM},   {"2a01::/32", 0},
        {"2a00::/15", -EPERM},        {"16.0.0.0/7", -EPERM},
        {"16.0.0.0/8", 0},            {"2400::/18", -EPERM},
        {"2400::/19", 0},             {"0.0.0.0/0", -EPERM},
        {"::/0", -EPERM},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct prefix prefix = P(cases[i].text);
        int result = put(enforce, ALL, cases[i].text, UNTIL_PERMANENT);
        if (result != cases[i].result)
            fail_msg("%s: %d, not %d", cases[i].text, result, cases[i].result);
        assert_int_equal(enforce_is_exempt(enforce, &prefix), cases[i].result != 0);
        assert_int_equal(is_in(enforce, ALL, cases[i].text), cases[i].result == 0);
        assert_int_equal(drop(enforce, ALL, cases[i].text), 0);
    }
    assert_int_equal(put(enforce, ALL, "192.0.2.77", clock_now_us() - 1), -ETIME);
    assert_int_equal(put(enforce, ALL, "192.0.2.77", 0), -ETIME);
    static char text[65536];
    nft_list(text, sizeof(text));
    assert_non_null(strstr(text, "100.64.0.0/10"));
    assert_non_null(strstr(text, "203.0.113.1"));
    /* The list is replaced, what is our own stays. */
    must_why(enforce_set_exempt(enforce, NULL, 0, &why), &why);
    assert_int_equal(put(enforce, ALL, "100.64.0.1", UNTIL_PERMANENT), 0);
    assert_int_equal(put(enforce, ALL, "203.0.113.1", UNTIL_PERMANENT), -EPERM);
    static struct prefix too_many[EXEMPT_MOST + 1];
    assert_int_equal(enforce_set_exempt(enforce, too_many, ELEMENTS_OF(too_many), &why), -E2BIG);
}

static void count_exempt(void *context, const struct prefix *prefix, bool is_own) {
    unsigned *counts = context;
    assert_true(prefix->length > 0);
    counts[is_own ? 1 : 0]++;
}

static void test_spare(void **state) {
    struct enforce *enforce = ready(state);
    struct prefix one = P("192.0.2.1"), net = P("192.0.2.0/24");
    static char text[65536];
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    int64_t until_us = clock_now_us() + 300 * 1000;
    assert_int_equal(enforce_spare(enforce, &one, until_us, NULL), 0);
    assert_int_equal(enforce_spare(enforce, &one, until_us - 100 * 1000, NULL), 0);
    assert_true(enforce_is_exempt(enforce, &one));
    assert_true(enforce_is_exempt(enforce, &net));
    nft_list(text, sizeof(text));
    assert_non_null(strstr(text, "elements = { 127.0.0.0/8, 192.0.2.1 }"));
    unsigned counts[2] = {0};
    enforce_each_exempt(enforce, count_exempt, counts);
    assert_int_equal(counts[0], 3); /* sparings are the decider's own, which it needs not be told */
    assert_int_equal(counts[1], 2); /* 127.0.0.1 and ::1 of lo */
    while (clock_now_us() <= until_us)
        poll(NULL, 0, 20);
    assert_false(enforce_is_exempt(enforce, &one));
    assert_int_equal(put(enforce, SSH, "192.0.2.2", UNTIL_PERMANENT), 0);
    nft_list(text, sizeof(text));
    assert_null(strstr(text, "elements = { 127.0.0.0/8, 192.0.2.1 }"));
    assert_int_equal(enforce_spare(enforce, &net, UNTIL_PERMANENT, NULL), 0);
    assert_int_equal(enforce_spare(enforce, &net, in_seconds(1), NULL), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.3", UNTIL_PERMANENT), -EPERM);
    assert_int_equal(enforce_spare(enforce, &one, 5, NULL), 0); /* long over: nothing */
    /* Ended before its time, by exactly its name. */
    assert_int_equal(enforce_unspare(enforce, &one, NULL), 0);
    assert_true(enforce_is_exempt(enforce, &one));
    assert_int_equal(enforce_unspare(enforce, &net, NULL), 0);
    assert_false(enforce_is_exempt(enforce, &one));
    nft_list(text, sizeof(text));
    assert_non_null(strstr(text, "elements = { 127.0.0.0/8 }"));
    assert_int_equal(put(enforce, SSH, "192.0.2.3", UNTIL_PERMANENT), 0);
}

static void test_keep_exempt(void **state) {
    struct enforce *enforce = ready(state);
    struct prefix given = P("192.0.2.0/24"), spared[] = {P("198.51.100.7"), P("2001:db8:7::/48")};
    static char before[65536], after[65536];
    struct why why = {0};
    must_why(enforce_set_exempt(enforce, &given, 1, &why), &why);
    for (size_t i = 0; i < ELEMENTS_OF(spared); i++)
        assert_int_equal(enforce_spare(enforce, &spared[i], UNTIL_PERMANENT, NULL), 0);
    nft_list(before, sizeof(before));
    /* Another process, which knows less: it keeps what it finds, and refuses the same. */
    struct enforce *other = NULL;
    must_why(enforce_open(&other, &why), &why);
    must_why(enforce_keep_exempt(other, &why), &why);
    must_why(enforce_set_scopes(other, enforce->scopes, enforce->scope_count, &why), &why);
    nft_list(after, sizeof(after));
    assert_string_equal(after, before);
    assert_true(enforce_is_exempt(other, &spared[0]));
    assert_true(enforce_is_exempt(other, &spared[1]));
    enforce_free(other);
}

static void test_bad_orders_stay_alone(void **state) {
    struct enforce *enforce = ready(state);
    enum { COUNT = 3000 };
    static struct enforce_order orders[COUNT];
    static int results[COUNT];
    assert_int_equal(put(enforce, SSH, "10.0.0.0/8", UNTIL_PERMANENT), 0);
    assert_int_equal(put(enforce, SSH, "20.5.0.0/17", UNTIL_PERMANENT), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.prefix = P("20.0.0.0/24"),
                                           .until_us = UNTIL_PERMANENT};
        orders[i].prefix.address.at[13] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[14] = (uint8_t)i;
    }
    orders[7].prefix = P("10.1.2.0/24");     /* inside another: the kernel refuses */
    orders[1234].prefix = P("127.0.0.0/24"); /* exempt */
    orders[2999].scope = 77;
    struct why why = {0};
    assert_int_equal(enforce_apply(enforce, orders, COUNT, results, &why), -EEXIST);
    assert_non_null(strstr(why.text, "10.1.2.0/24"));
    unsigned in_the_way = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        bool is_inside = i >= 5 * 256 && i < 5 * 256 + 128;
        in_the_way += results[i] == -EEXIST;
        int wanted = i == 7             ? -EEXIST
                     : i == 1234        ? -EPERM
                     : i == 2999        ? -EINVAL
                     : is_inside        ? -EEXIST
                                        : 0;
        if (results[i] != wanted)
            fail_msg("order %u: %d, not %d", i, results[i], wanted);
    }
    assert_int_equal(in_the_way, 129);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 2 + COUNT - 129 - 2);
    /* A set that somebody took away concerns only its own orders, and quickly. */
    NFT_DO("flush chain inet hauberk guard; delete set inet hauberk ssh_4_nets");
    orders[0] = (struct enforce_order){.scope = MAIL, .prefix = P("192.0.2.1"),
                                       .until_us = UNTIL_PERMANENT};
    assert_int_equal(enforce_apply(enforce, orders, COUNT, results, NULL), -ENOENT);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -ENOENT);
    assert_true(is_in(enforce, MAIL, "192.0.2.1"));
}

/* What only the kernel can know: a set that somebody has made small. */
static void test_kernel_refuses_some(void **state) {
    struct enforce *enforce = ready(state);
    NFT_DO("flush chain inet hauberk guard; delete set inet hauberk ssh_4; "
           "add set inet hauberk ssh_4 { type ipv4_addr; flags timeout; size 100; }");
    enum { COUNT = 700 };
    static struct enforce_order orders[COUNT];
    static int results[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.prefix = P("20.0.0.1"), .until_us = UNTIL_PERMANENT};
        orders[i].prefix.address.at[13] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[14] = (uint8_t)i;
    }
    struct why why = {0};
    assert_int_equal(enforce_apply(enforce, orders, COUNT, results, &why), -ENFILE);
    unsigned done = 0;
    LISTED(rows, enforce);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(results[i], find(&rows, SSH, &orders[i].prefix) ? 0 : -ENFILE);
        done += results[i] == 0;
    }
    assert_in_range(done, 50, 100); /* the add before the delete wants a place of its own */
    assert_int_equal(rows.count, done);
}

/* Without the right to more, a socket sends only so much at once. */
static void test_small_buffer(void **state) {
    struct enforce *enforce = ready(state);
    int fd = mnl_socket_get_fd(enforce->netfilter.socket);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){8192}, sizeof(int)), 0);
    netlink_want_buffers(&enforce->netfilter, 0);
    assert_in_range(enforce->netfilter.send_most_bytes, 1, 20000);
    enum { COUNT = 2000 };
    static struct enforce_order orders[COUNT];
    static int results[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.prefix = P("2001:db8::/40"),
                                           .until_us = UNTIL_PERMANENT};
        orders[i].prefix.address.at[3] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[4] = (uint8_t)i;
    }
    struct why why = {0};
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, COUNT);
}

static void test_same_element_twice(void **state) {
    struct enforce *enforce = ready(state);
    int64_t hour = in_seconds(3600);
    struct enforce_order orders[] = {
        {.prefix = P("192.0.2.1"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.2"), .until_us = UNTIL_PERMANENT},
        {.prefix = P("192.0.2.1"), .is_drop = true},
        {.prefix = P("192.0.2.2"), .until_us = hour},
        {.prefix = P("192.0.2.1"), .until_us = hour},
        {.prefix = P("192.0.2.2"), .is_drop = true},
    };
    int results[ELEMENTS_OF(orders)];
    assert_int_equal(enforce_apply(enforce, orders, ELEMENTS_OF(orders), results, NULL), 0);
    for (size_t i = 0; i < ELEMENTS_OF(orders); i++)
        assert_int_equal(results[i], 0);
    assert_expires(enforce, 0, "192.0.2.1", hour);
    assert_false(is_in(enforce, 0, "192.0.2.2"));
}

static void test_foreign_elements_are_listed(void **state) {
    ready(state);
    NFT_DO("add element inet hauberk ssh_4_nets { 192.0.2.5-192.0.2.9, 192.0.2.16-192.0.2.17 "
           "timeout 1h }; add set inet hauberk gone_6_64 { type ipv6_addr; flags timeout; }; "
           "add element inet hauberk gone_6_64 { 2001:db8:0:5:: timeout 1h }; "
           "add set inet hauberk ports { type inet_service; elements = { 5 }; }");
    struct world *world = *state;
    struct why why = {0};
    enforce_free(world->enforce); /* as a command line without a daemon sees it */
    world->enforce = NULL;
    must_why(enforce_open(&world->enforce, &why), &why);
    LISTED(rows, world->enforce);
    assert_int_equal(rows.count, 5);
    static const char *const wanted[] = {"192.0.2.5", "192.0.2.6/31", "192.0.2.8/31",
                                         "192.0.2.16/31", "2001:db8:0:5::/64"};
    for (size_t i = 0; i < ELEMENTS_OF(wanted); i++) {
        struct prefix prefix = P(wanted[i]);
        const struct row *row = find(&rows, UINT16_MAX, &prefix);
        assert_true(row && strcmp(row->set, i < 4 ? "ssh_4_nets" : "gone_6_64") == 0);
    }
}

static void test_drop_everywhere(void **state) {
    struct enforce *enforce = ready(state);
    static const struct {
        uint16_t scope;
        const char *text;
    } puts[] = {
        {SSH, "192.0.2.1"},   {MAIL, "192.0.2.1"},      {MAIL, "192.0.2.0/24"},
        {ALL, "192.0.0.0/8"}, {ALL, "192.0.2.2"},       {SSH, "2001:db8::1"},
        {SSH, "2001:db8::/64"}, {MAIL, "2001:db8::/48"}, {ALL, "2001:db8::2"},
        {WIDE, "193.0.0.0/8"},
    };
    for (size_t i = 0; i < ELEMENTS_OF(puts); i++)
        assert_int_equal(put(enforce, puts[i].scope, puts[i].text, UNTIL_PERMANENT), 0);
    struct prefix one = P("192.0.2.1"), net = P("192.0.2.0/24"), six = P("2001:db8::1"),
                  sixty_four = P("2001:db8::/64"), none = P("198.51.100.0/24");
    assert_int_equal(enforce_drop_everywhere(enforce, &none, true, NULL), 0);
    assert_int_equal(enforce_drop_everywhere(enforce, &one, false, NULL), 2);
    assert_int_equal(enforce_drop_everywhere(enforce, &one, false, NULL), 0);
    assert_int_equal(enforce_drop_everywhere(enforce, &net, false, NULL), 1);
    assert_int_equal(enforce_drop_everywhere(enforce, &net, true, NULL), 1); /* the /8 */
    assert_true(is_in(enforce, ALL, "192.0.2.2"));
    struct world *world = *state;
    struct why why = {0};
    enforce_free(world->enforce);
    world->enforce = NULL;
    must_why(enforce_open(&world->enforce, &why), &why);
    enforce = world->enforce;
    assert_int_equal(enforce_drop_everywhere(enforce, &sixty_four, false, NULL), 1);
    assert_int_equal(put(enforce, 0, "2001:db8::/64", UNTIL_PERMANENT), -EINVAL);
    assert_int_equal(enforce_drop_everywhere(enforce, &six, true, NULL), 2);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 3);
    assert_int_equal(enforce_lift(enforce, NULL), 0);
    assert_int_equal(enforce_drop_everywhere(enforce, &six, true, NULL), 0);
}

static void test_a_hundred_thousand(void **state) {
    struct enforce *enforce = ready(state);
    enum { COUNT = 100000 };
    struct enforce_order *orders = calloc(COUNT, sizeof(*orders));
    int *results = calloc(COUNT, sizeof(*results));
    assert_non_null(orders);
    assert_non_null(results);
    int64_t until_us = in_seconds(86400);
    for (unsigned i = 0; i < COUNT; i++) {
        orders[i] = (struct enforce_order){.scope = MAIL, .prefix = P("11.0.0.1"),
                                           .until_us = until_us};
        orders[i].prefix.address.at[13] = (uint8_t)(i >> 16);
        orders[i].prefix.address.at[14] = (uint8_t)(i >> 8);
        orders[i].prefix.address.at[15] = (uint8_t)i;
    }
    struct why why = {0};
    int64_t times[5] = {clock_monotonic_us()};
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why);
    times[1] = clock_monotonic_us();
    LISTED(rows, enforce);
    times[2] = clock_monotonic_us();
    assert_int_equal(rows.count, COUNT);
    orders[COUNT / 2].prefix = P("127.0.0.1");
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why); /* all anew */
    assert_int_equal(results[COUNT / 2], -EPERM);
    times[3] = clock_monotonic_us();
    assert_int_equal(put(enforce, MAIL, "192.0.2.1", until_us), 0);
    times[4] = clock_monotonic_us();
    assert_int_equal(poll(&(struct pollfd){.fd = enforce_watch_fd(enforce), .events = POLLIN}, 1,
                          0), 0);
    for (unsigned i = 0; i < COUNT; i++)
        orders[i].is_drop = true;
    int64_t before_drop = clock_monotonic_us();
    must_why(enforce_apply(enforce, orders, COUNT, results, &why), &why);
    print_message("# 100000 addresses: put %.3f s, list %.3f s, put again %.3f s, one more %.3f "
                  "ms, drop %.3f s\n",
                  (double)(times[1] - times[0]) / 1e6, (double)(times[2] - times[1]) / 1e6,
                  (double)(times[3] - times[2]) / 1e6, (double)(times[4] - times[3]) / 1e3,
                  (double)(clock_monotonic_us() - before_drop) / 1e6);
    LISTED(few, enforce);
    assert_int_equal(few.count, 2); /* the one whose order became 127.0.0.1, and one more */
    free(orders);
    free(results);
}

/* ---- random orders against a model ------------------------------------------------------- */

static uint64_t random_state;

static uint32_t random_below(uint32_t most) { /* SplitMix64, so that a seed is a run */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32) % most;
}

/* Disjoint networks that touch one another, up to both ends of the space, and hosts. */
static struct prefix random_prefix(void) {
    static const char *const bases[] = {"0.0.0.0/12", "64.32.0.0/12", "255.240.0.0/12",
                                        "2001:db8::/36", "ffff:ffff:f000::/36"};
    struct prefix base = P(bases[random_below(ELEMENTS_OF(bases))]);
    bool is_v4 = prefix_is_v4(&base);
    uint32_t which = random_below(16), host = random_below(24);
    struct address address = base.address;
    address.at[is_v4 ? 13 : 4] |= (uint8_t)(which & 15);
    switch (random_below(3)) {
    case 0: /* a network of its own length: the sixteen lie side by side */
        return prefix_cut(&address, (uint8_t)((is_v4 ? 16 : 40) + which));
    case 1: /* hosts of the edges */
        if (random_below(2))
            memset(address.at + (is_v4 ? 14 : 8), 0xff, is_v4 ? 2 : 8);
        address.at[15] ^= (uint8_t)host;
        return prefix_of(&address);
    default:
        address.at[is_v4 ? 15 : 7] = (uint8_t)host;
        return is_v4 ? prefix_of(&address) : prefix_cut(&address, 64);
    }
}

struct model {
    struct row rows[4096];
    size_t count;
};

static struct row *model_find(struct model *model, uint16_t scope, const struct prefix *prefix) {
    for (size_t i = 0; i < model->count; i++)
        if (model->rows[i].scope == scope && prefix_equals(&model->rows[i].prefix, prefix))
            return &model->rows[i];
    return NULL;
}

static void model_apply(struct model *model, const struct enforce_order *order) {
    struct row *row = model_find(model, order->scope, &order->prefix);
    if (order->is_drop) {
        if (row)
            *row = model->rows[--model->count];
        return;
    }
    if (!row) {
        assert_true(model->count < ELEMENTS_OF(model->rows));
        row = &model->rows[model->count++];
    }
    *row = (struct row){.scope = order->scope, .prefix = order->prefix,
                        .expires_us = order->until_us};
}

static void model_compare(struct model *model, struct enforce *enforce) {
    LISTED(rows, enforce);
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *row = model_find(model, rows.at[i].scope, &rows.at[i].prefix);
        char text[PREFIX_TEXT_MAX];
        if (!row)
            fail_msg("%s is in %s and should not be", prefix_format(&rows.at[i].prefix, text),
                     rows.at[i].set);
        else
            assert_about(rows.at[i].expires_us, row->expires_us);
    }
    assert_int_equal(rows.count, model->count);
}

static void test_random_orders(void **state) {
    struct enforce *enforce = ready(state);
    static struct model model;
    const char *seed = getenv("SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 20261121;
    model.count = 0;
    for (unsigned round = 0; round < 150; round++) {
        enum { MOST = 60 };
        struct enforce_order orders[MOST];
        int results[MOST];
        uint32_t count = 1 + random_below(MOST);
        for (uint32_t i = 0; i < count; i++) {
            orders[i] = (struct enforce_order){.scope = (uint16_t)random_below(SCOPES),
                                               .is_drop = random_below(3) == 0,
                                               .prefix = random_prefix(),
                                               .until_us = random_below(4) == 0
                                                               ? UNTIL_PERMANENT
                                                               : in_seconds(100 + random_below(
                                                                                      100000))};
            model_apply(&model, &orders[i]);
        }
        struct why why = {0};
        must_why(enforce_apply(enforce, orders, count, results, &why), &why);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(results[i], 0);
        if (round % 40 == 39)
            must_why(enforce_set_scopes(enforce, scopes, SCOPES, &why), &why);
        model_compare(&model, enforce);
    }
}

/* Networks that cover one another, begin or end together: what is refused is known beforehand. */
static struct prefix random_network(void) {
    struct prefix prefix = P("20.0.0.0");
    static const uint8_t lengths[] = {9, 10, 11, 12, 16, 17, 24, 31};
    prefix.address.at[13] = (uint8_t)(random_below(8) << 5);
    if (random_below(4) == 0) /* the last of its kind in each */
        memset(prefix.address.at + 14, 0xff, 2), prefix.address.at[13] |= 0x1f;
    return prefix_cut(&prefix.address, lengths[random_below(ELEMENTS_OF(lengths))]);
}

static bool model_overlaps(const struct model *model, uint16_t scope, const struct prefix *prefix) {
    for (size_t i = 0; i < model->count; i++)
        if (model->rows[i].scope == scope &&
            !prefix_equals(&model->rows[i].prefix, prefix) &&
            prefix_overlaps(&model->rows[i].prefix, prefix))
            return true;
    return false;
}

static int wider_first(const void *a, const void *b) {
    const struct enforce_order *left = a, *right = b;
    return (int)left->prefix.length - (int)right->prefix.length;
}

static void test_random_networks(void **state) {
    struct enforce *enforce = ready(state);
    static struct model model;
    const char *seed = getenv("SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 20261121;
    model.count = 0;
    unsigned refused = 0;
    for (unsigned round = 0; round < 400; round++) {
        enum { MOST = 12 };
        struct enforce_order orders[MOST];
        int results[MOST];
        uint32_t count = 0, wanted = 1 + random_below(MOST);
        while (count < wanted) { /* each network once: of two orders the last holds, see above */
            struct prefix prefix = random_network();
            bool is_new = true;
            for (uint32_t i = 0; i < count; i++)
                is_new = is_new && !prefix_equals(&orders[i].prefix, &prefix);
            if (is_new)
                orders[count++] = (struct enforce_order){.is_drop = random_below(2) == 0,
                                                         .prefix = prefix,
                                                         .until_us = UNTIL_PERMANENT};
        }
        qsort(orders, count, sizeof(*orders), wider_first);
        refused += enforce_apply(enforce, orders, count, results, NULL) < 0;
        for (uint32_t i = 0; i < count; i++) {
            if (!orders[i].is_drop)
                continue;
            assert_int_equal(results[i], 0);
            model_apply(&model, &orders[i]);
        }
        for (uint32_t i = 0; i < count; i++) {
            if (orders[i].is_drop)
                continue;
            bool is_refused = model_overlaps(&model, 0, &orders[i].prefix);
            assert_int_equal(results[i], is_refused ? -EEXIST : 0);
            if (!is_refused)
                model_apply(&model, &orders[i]);
        }
        model_compare(&model, enforce);
    }
    assert_true(refused > 20);
}

/* ---- watching ---------------------------------------------------------------------------- */

static bool is_readable(int fd, int timeout_ms) {
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, timeout_ms) == 1;
}

static struct enforce_changes changes_of(struct enforce *enforce) {
    struct enforce_changes changes;
    struct why why = {0};
    assert_true(is_readable(enforce_watch_fd(enforce), SOON_MS));
    must_why(enforce_read_changes(enforce, &changes, &why), &why);
    assert_false(is_readable(enforce_watch_fd(enforce), 0));
    return changes;
}

static void test_watch(void **state) {
    struct enforce *enforce = ready(state);
    int fd = enforce_watch_fd(enforce);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.1"), 0);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    assert_int_equal(enforce_lift(enforce, NULL), 0);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    assert_false(is_readable(fd, NEVER_MS));

    NFT_DO("add table inet other; add set inet other s { type ipv4_addr; elements = "
           "{ 192.0.2.1 }; }; add table ip hauberk");
    struct enforce_changes changes;
    assert_int_equal(enforce_read_changes(enforce, &changes, NULL), 0);
    assert_false(changes.table_touched);

    pid_t pid = NFT_DO("add element inet hauberk ssh_4 { 192.0.2.7 }");
    changes = changes_of(enforce);
    assert_true(changes.table_touched);
    assert_false(changes.table_gone);
    assert_false(changes.own_addresses);
    assert_int_equal(changes.by_port, pid);

    NFT_DO("flush ruleset");
    changes = changes_of(enforce);
    assert_true(changes.table_touched);
    assert_true(changes.table_gone);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_false(is_readable(fd, 0));

    NFT_DO("delete table inet hauberk; add table inet hauberk");
    changes = changes_of(enforce);
    assert_true(changes.table_touched);
    assert_false(changes.table_gone);
    assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
    assert_true(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT) == 0);
}

static void test_watch_addresses(void **state) {
    struct enforce *enforce = ready(state);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    RUN(IP, "address", "add", "192.0.2.1/24", "dev", "lo");
    struct enforce_changes changes = changes_of(enforce);
    assert_true(changes.own_addresses);
    assert_false(changes.table_touched);
    assert_int_equal(enforce_read_own(enforce, NULL), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), -EPERM);
    RUN(IP, "route", "add", "198.51.100.0/24", "via", "192.0.2.99");
    assert_true(changes_of(enforce).own_addresses);
    assert_int_equal(enforce_read_own(enforce, NULL), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.99", UNTIL_PERMANENT), -EPERM);
    RUN(IP, "route", "add", "198.51.101.0/24", "via", "192.0.2.98", "table", "5");
    assert_int_equal(enforce_read_changes(enforce, &changes, NULL), 0);
    assert_false(changes.own_addresses);
    RUN(IP, "address", "flush", "dev", "lo");
    assert_true(changes_of(enforce).own_addresses);
    assert_int_equal(enforce_read_own(enforce, NULL), 0);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
}

static void test_watch_overflow(void **state) {
    struct enforce *enforce = ready(state);
    int fd = mnl_socket_get_fd(enforce->watch.routes.socket);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){1}, sizeof(int)), 0);
    for (unsigned i = 1; i < 20; i++) {
        char address[32];
        snprintf(address, sizeof(address), "192.0.2.%u/32", i);
        RUN(IP, "address", "add", address, "dev", "lo");
    }
    struct enforce_changes changes = changes_of(enforce);
    assert_true(changes.own_addresses);
    assert_true(changes.table_touched);
    assert_false(changes.table_gone);
}

/* During many orders nobody listens; what came meanwhile is told all the same. */
static void test_watch_paused(void **state) {
    struct enforce *enforce = ready(state);
    int fd = enforce_watch_fd(enforce);
    struct watch_pause pause = watch_pause(enforce);
    assert_true(pause.is_paused);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    assert_int_equal(put(enforce, SSH, "127.0.0.1", UNTIL_PERMANENT), -EPERM);
    assert_int_equal(drop(enforce, SSH, "192.0.2.1"), 0);
    watch_resume(enforce, &pause);
    assert_false(is_readable(fd, 0));

    assert_int_equal(put(enforce, SSH, "10.0.0.0/8", UNTIL_PERMANENT), 0);
    pause = watch_pause(enforce);
    assert_int_equal(put(enforce, SSH, "10.1.0.0/16", UNTIL_PERMANENT), -EEXIST);
    watch_resume(enforce, &pause);
    assert_false(is_readable(fd, 0));

    pause = watch_pause(enforce);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", UNTIL_PERMANENT), 0);
    NFT_DO("flush set inet hauberk ssh_4");
    assert_int_equal(put(enforce, SSH, "192.0.2.2", UNTIL_PERMANENT), 0);
    assert_false(is_readable(fd, 0));
    watch_resume(enforce, &pause);
    struct enforce_changes changes = changes_of(enforce);
    assert_true(changes.table_touched);
    assert_false(changes.table_gone);
    NFT_DO("flush set inet hauberk ssh_4");
    assert_true(changes_of(enforce).table_touched);
}

static void test_expiry_is_not_a_change(void **state) {
    struct enforce *enforce = ready(state);
    assert_int_equal(put(enforce, SSH, "192.0.2.1", clock_now_us() + 100 * 1000), 0);
    assert_int_equal(put(enforce, SSH, "192.0.3.0/24", clock_now_us() + 100 * 1000), 0);
    assert_int_equal(put(enforce, SSH, "192.0.4.0/24", UNTIL_PERMANENT), 0);
    int64_t patience_us = clock_monotonic_us() + 10 * SECOND_US;
    while (is_in(enforce, SSH, "192.0.2.1") || is_in(enforce, SSH, "192.0.3.0/24")) {
        assert_true(clock_monotonic_us() < patience_us);
        poll(NULL, 0, 20);
    }
    /* Also once the garbage collection, which runs each second, has been at it. */
    assert_false(is_readable(enforce_watch_fd(enforce), 1500));
    assert_int_equal(put(enforce, SSH, "192.0.3.0/24", UNTIL_PERMANENT), 0);
    assert_int_equal(drop(enforce, SSH, "192.0.2.1"), 0);
    LISTED(rows, enforce);
    assert_int_equal(rows.count, 2);
}

/* ---- connections ------------------------------------------------------------------------- */

static void go(int namespace) {
    assert_int_equal(setns(namespace, CLONE_NEWNET), 0);
}

/* A further namespace joined to this one: `here` on the interface v0 (v2 for the second), the
 * addresses in `there` on the other end. */
static int neighbour(int here, const char *near, const char *far, const char *const here_has[],
                     const char *const there_has[]) {
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    lo_up();
    int there = this_namespace();
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), here);
    RUN(IP, "link", "add", far, "type", "veth", "peer", "name", near);
    RUN(IP, "link", "set", near, "netns", path);
    for (; *there_has; there_has++)
        RUN(IP, "address", "add", *there_has, "dev", far, strchr(*there_has, ':') ? "nodad" : NULL);
    RUN(IP, "link", "set", far, "up");
    go(here);
    for (; *here_has; here_has++)
        RUN(IP, "address", "add", *here_has, "dev", near, strchr(*here_has, ':') ? "nodad" : NULL);
    RUN(IP, "link", "set", near, "up");
    return there;
}

static void join_client(struct world *world) {
    world->client = neighbour(
        world->here, "v0", "v1",
        (const char *const[]){"10.9.0.1/24", "2001:db8:9::1/64", NULL},
        (const char *const[]){"10.9.0.2/24", "10.9.0.3/24", "2001:db8:9::2/64",
                              "2001:db8:9::3/64", NULL});
    assert_int_equal(enforce_read_own(world->enforce, NULL), 0);
}

struct end {
    struct sockaddr_storage at;
    socklen_t length;
};

static struct end end_of(const char *text, uint16_t port) {
    struct prefix prefix = P(text);
    struct end end = {0};
    if (prefix_is_v4(&prefix)) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, prefix.address.at + 12, 4);
        memcpy(&end.at, &in, end.length = sizeof(in));
    } else {
        struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&in.sin6_addr, prefix.address.at, 16);
        memcpy(&end.at, &in, end.length = sizeof(in));
    }
    return end;
}

static int tcp(const struct end *bound) {
    int fd = socket(bound->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    assert_int_equal(bind(fd, (const struct sockaddr *)&bound->at, bound->length), 0);
    return fd;
}

static int listen_at(int namespace, struct world *world, const char *text, uint16_t port) {
    go(namespace);
    struct end end = end_of(text, port);
    int fd = tcp(&end);
    go(world->here);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

/* A connection from `from` in `namespace` to (to, port); -1 if it does not come about. */
static int connect_from(struct world *world, int namespace, const char *from, const char *to,
                        uint16_t port, int timeout_ms) {
    go(namespace);
    struct end mine = end_of(from, 0), theirs = end_of(to, port);
    int fd = tcp(&mine);
    go(world->here);
    if (connect(fd, (const struct sockaddr *)&theirs.at, theirs.length) == 0)
        return fd;
    assert_int_equal(errno, EINPROGRESS);
    int error = ETIMEDOUT;
    if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, timeout_ms) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
    if (error == 0)
        return fd;
    close(fd);
    return -1;
}

struct pair {
    int began, accepted;
};

static struct pair connection(struct world *world, int namespace, const char *from, const char *to,
                              uint16_t port, int listener) {
    struct pair pair;
    pair.began = connect_from(world, namespace, from, to, port, SOON_MS);
    assert_true(pair.began >= 0);
    assert_true(is_readable(listener, SOON_MS));
    pair.accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(pair.accepted >= 0);
    return pair;
}

static bool passes(int from, int to, int timeout_ms) {
    char byte = 'x';
    if (send(from, &byte, 1, MSG_NOSIGNAL) != 1)
        return false;
    return is_readable(to, timeout_ms) && recv(to, &byte, 1, 0) == 1;
}

static void assert_alive(struct pair pair) {
    assert_true(passes(pair.began, pair.accepted, SOON_MS));
    assert_true(passes(pair.accepted, pair.began, SOON_MS));
}

static void assert_reset(int fd) {
    char byte;
    assert_true(is_readable(fd, SOON_MS));
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_true(errno == ECONNRESET || errno == ECONNABORTED);
}

static void pair_close(struct pair *pair) {
    cleanup_close_fd(&pair->began);
    cleanup_close_fd(&pair->accepted);
}
#define PAIR at_scope_end(pair_close) struct pair

static bool is_refused(struct world *world, const char *from, const char *to, uint16_t port) {
    cleanup_close int fd = connect_from(world, world->client, from, to, port, NEVER_MS);
    return fd < 0;
}

static void test_ban_closes_the_door(void **state) {
    struct enforce *enforce = ready(state);
    struct world *world = *state;
    join_client(world);
    static const struct {
        const char *banned, *near, *other;
        const char *as; /* the prefix put */
    } cases[] = {
        {"10.9.0.2", "10.9.0.1", "10.9.0.3", "10.9.0.2"},
        {"10.9.0.2", "10.9.0.1", NULL, "10.9.0.2/31"},
        {"2001:db8:9::2", "2001:db8:9::1", "2001:db8:9::3", "2001:db8:9::2"},
        {"2001:db8:9::2", "2001:db8:9::1", NULL, "2001:db8:9::2/127"},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_close int listener = listen_at(world->here, world, cases[i].near, 993);
        cleanup_close int elsewhere = listen_at(world->here, world, cases[i].near, 80);
        cleanup_close int outside = listen_at(world->client, world, cases[i].banned, 25);
        PAIR open = connection(world, world->client, cases[i].banned, cases[i].near, 993, listener);
        PAIR ours = connection(world, world->here, cases[i].near, cases[i].banned, 25, outside);
        uint64_t before, after;
        assert_int_equal(enforce_count_refused(enforce, MAIL, &before, NULL), 0);
        assert_int_equal(put(enforce, MAIL, cases[i].as, UNTIL_PERMANENT), 0);
        assert_true(is_refused(world, cases[i].banned, cases[i].near, 993));
        assert_int_equal(enforce_count_refused(enforce, MAIL, &after, NULL), 0);
        assert_true(after > before);
        assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
        assert_int_equal(enforce_count_refused(enforce, MAIL, &before, NULL), 0);
        assert_true(before >= after); /* the count outlives the rules */
        assert_alive(open); /* cut was not asked for */
        assert_alive(ours);
        PAIR more = connection(world, world->here, cases[i].near, cases[i].banned, 25, outside);
        assert_alive(more); /* mail to a banned host still leaves */
        PAIR web = connection(world, world->client, cases[i].banned, cases[i].near, 80, elsewhere);
        assert_alive(web);
        if (cases[i].other) {
            PAIR other = connection(world, world->client, cases[i].other, cases[i].near, 993,
                                    listener);
            assert_alive(other);
        }
        /* The scope of every port and protocol, and still our own connections. */
        assert_int_equal(put(enforce, ALL, cases[i].as, UNTIL_PERMANENT), 0);
        assert_true(is_refused(world, cases[i].banned, cases[i].near, 80));
        PAIR again = connection(world, world->here, cases[i].near, cases[i].banned, 25, outside);
        assert_alive(again);
        /* An exemption stands before every ban. */
        struct prefix banned = P(cases[i].banned);
        assert_int_equal(enforce_spare(enforce, &banned, in_seconds(60), NULL), 0);
        PAIR spared = connection(world, world->client, cases[i].banned, cases[i].near, 993,
                                 listener);
        assert_alive(spared);
        assert_int_equal(exempt_tidy(&enforce->exempt, in_seconds(3600)), 1);
        assert_int_equal(enforce_set_scopes(enforce, scopes, SCOPES, NULL), 0);
        assert_true(is_refused(world, cases[i].banned, cases[i].near, 80));
        assert_int_equal(drop(enforce, ALL, cases[i].as), 0);
        assert_int_equal(drop(enforce, MAIL, cases[i].as), 0);
        PAIR free = connection(world, world->client, cases[i].banned, cases[i].near, 993, listener);
        assert_alive(free);
    }
}

static void test_ban_of_a_64(void **state) {
    struct enforce *enforce = ready(state);
    struct world *world = *state;
    join_client(world);
    RUN(IP, "-6", "address", "add", "2001:db8:a::1/64", "dev", "v0", "nodad");
    RUN(IP, "-6", "route", "add", "2001:db8:b::/48", "dev", "v0");
    go(world->client);
    RUN(IP, "-6", "address", "add", "2001:db8:b:1::2/64", "dev", "v1", "nodad");
    RUN(IP, "-6", "address", "add", "2001:db8:b:2::2/64", "dev", "v1", "nodad");
    RUN(IP, "-6", "route", "add", "2001:db8:a::/64", "dev", "v1");
    go(world->here);
    cleanup_close int listener = listen_at(world->here, world, "2001:db8:a::1", 22);
    PAIR before =
        connection(world, world->client, "2001:db8:b:1::2", "2001:db8:a::1", 22, listener);
    assert_int_equal(put(enforce, SSH, "2001:db8:b:1::/64", in_seconds(3600)), 0);
    assert_true(is_refused(world, "2001:db8:b:1::2", "2001:db8:a::1", 22));
    PAIR other = connection(world, world->client, "2001:db8:b:2::2", "2001:db8:a::1", 22, listener);
    assert_alive(other);
    assert_alive(before);
    struct prefix prefix = P("2001:db8:b:1::/64");
    assert_int_equal(enforce_cut(enforce, SSH, &prefix, NULL), 1);
    assert_reset(before.accepted);
    assert_alive(other);
}

static void test_cut(void **state) {
    struct enforce *enforce = ready(state);
    struct world *world = *state;
    join_client(world);
    cleanup_close int imap = listen_at(world->here, world, "10.9.0.1", 993);
    cleanup_close int ssh = listen_at(world->here, world, "10.9.0.1", 22);
    cleanup_close int high = listen_at(world->here, world, "10.9.0.1", 4190);
    cleanup_close int outside = listen_at(world->client, world, "10.9.0.2", 25);
    PAIR banned = connection(world, world->client, "10.9.0.2", "10.9.0.1", 993, imap);
    PAIR other = connection(world, world->client, "10.9.0.3", "10.9.0.1", 993, imap);
    PAIR other_port = connection(world, world->client, "10.9.0.2", "10.9.0.1", 22, ssh);
    PAIR sieve = connection(world, world->client, "10.9.0.2", "10.9.0.1", 4190, high);
    PAIR ours = connection(world, world->here, "10.9.0.1", "10.9.0.2", 25, outside);

    assert_int_equal(put_and_cut(enforce, MAIL, "10.9.0.2"), 0);
    assert_reset(banned.accepted);
    assert_reset(banned.began);
    assert_alive(other);
    assert_alive(other_port);
    assert_alive(ours);
    assert_true(is_refused(world, "10.9.0.2", "10.9.0.1", 993));
    struct prefix prefix = P("10.9.0.2");
    assert_int_equal(enforce_cut(enforce, MAIL, &prefix, NULL), 0);

    /* Ports that our own outgoing connections may have: only where something listens. */
    assert_int_equal(enforce_cut(enforce, WIDE, &prefix, NULL), 1);
    assert_reset(sieve.accepted);
    assert_alive(ours);

    /* Every port, a network, and still nothing of our own; listeners that are gone since. */
    struct prefix net = P("10.9.0.0/24");
    assert_int_equal(enforce_cut(enforce, ALL, &net, NULL), 2);
    assert_reset(other.accepted);
    assert_reset(other_port.accepted);
    assert_alive(ours);
    assert_int_equal(enforce_cut(enforce, SCOPES, &net, NULL), -EINVAL);
}

static void test_cut_without_a_listener(void **state) {
    struct enforce *enforce = ready(state);
    struct world *world = *state;
    join_client(world);
    int listener = listen_at(world->here, world, "10.9.0.1", 22);
    PAIR pair = connection(world, world->client, "10.9.0.2", "10.9.0.1", 22, listener);
    close(listener);
    assert_alive(pair);
    assert_int_equal(put_and_cut(enforce, SSH, "10.9.0.2/31"), 0);
    assert_reset(pair.accepted);
}

static void test_cut_six_and_mapped(void **state) {
    struct enforce *enforce = ready(state);
    struct world *world = *state;
    join_client(world);
    cleanup_close int both = listen_at(world->here, world, "::", 993);
    PAIR six = connection(world, world->client, "2001:db8:9::2", "2001:db8:9::1", 993, both);
    PAIR other = connection(world, world->client, "2001:db8:9::3", "2001:db8:9::1", 993, both);
    PAIR four = connection(world, world->client, "10.9.0.2", "10.9.0.1", 993, both);
    PAIR four_other = connection(world, world->client, "10.9.0.3", "10.9.0.1", 993, both);
    assert_int_equal(put_and_cut(enforce, MAIL, "2001:db8:9::2"), 0);
    assert_reset(six.accepted);
    assert_alive(other);
    assert_alive(four);
    assert_int_equal(put_and_cut(enforce, ALL, "10.9.0.2"), 0);
    assert_reset(four.accepted);
    assert_alive(four_other);
    assert_alive(other);
}

static void test_cut_many(void **state) {
    struct enforce *enforce = ready(state);
    struct world *world = *state;
    join_client(world);
    cleanup_close int imap = listen_at(world->here, world, "10.9.0.1", 993);
    cleanup_close int ssh = listen_at(world->here, world, "10.9.0.1", 22);
    PAIR a = connection(world, world->client, "10.9.0.2", "10.9.0.1", 993, imap);
    PAIR b = connection(world, world->client, "10.9.0.3", "10.9.0.1", 22, ssh);
    PAIR c = connection(world, world->client, "10.9.0.3", "10.9.0.1", 993, imap);
    struct enforce_order orders[] = {
        {MAIL, false, true, P("10.9.0.2"), UNTIL_PERMANENT},
        {MAIL, true, true, P("10.9.0.3"), UNTIL_PERMANENT},  /* dropped: not cut */
        {MAIL, false, true, P("10.9.0.1"), UNTIL_PERMANENT}, /* refused: not cut */
        {SSH, false, true, P("10.9.0.3"), UNTIL_PERMANENT},
        {SSH, false, false, P("10.9.0.2"), UNTIL_PERMANENT},
    };
    int results[ELEMENTS_OF(orders)];
    assert_int_equal(enforce_apply(enforce, orders, ELEMENTS_OF(orders), results, NULL), 0);
    assert_reset(a.accepted);
    assert_reset(b.accepted);
    assert_alive(c);
}

/* A service in a container: port 25 of this machine is DNATed, its own packets are masqueraded. */
static void join_container(struct world *world) {
    world->container =
        neighbour(world->here, "v2", "v3", (const char *const[]){"10.8.0.1/24", NULL},
                  (const char *const[]){"10.8.0.2/24", NULL});
    go(world->container);
    RUN(IP, "route", "add", "default", "via", "10.8.0.1");
    go(world->here);
    write_text("/proc/sys/net/ipv4/ip_forward", "1");
    NFT_DO("add table ip nat; "
           "add chain ip nat pre { type nat hook prerouting priority -100; }; "
           "add chain ip nat post { type nat hook postrouting priority 100; }; "
           "add rule ip nat pre iif v0 tcp dport 25 dnat to 10.8.0.2; "
           "add rule ip nat pre iif v0 tcp dport 993 dnat to 10.8.0.2:1993; "
           "add rule ip nat pre iif v0 tcp dport 8080 dnat to 10.8.0.2:22; "
           "add rule ip nat post ip saddr 10.8.0.0/24 masquerade");
}

static void test_container(void **state) {
    struct enforce *enforce = ready(state);
    struct world *world = *state;
    join_client(world);
    join_container(world);
    cleanup_close int smtp = listen_at(world->container, world, "10.8.0.2", 25);
    cleanup_close int imap = listen_at(world->container, world, "10.8.0.2", 1993);
    cleanup_close int ssh = listen_at(world->container, world, "10.8.0.2", 22);
    cleanup_close int outside = listen_at(world->client, world, "10.9.0.2", 25);
    PAIR a = connection(world, world->client, "10.9.0.2", "10.9.0.1", 25, smtp);
    PAIR b = connection(world, world->client, "10.9.0.2", "10.9.0.1", 993, imap);
    PAIR c = connection(world, world->client, "10.9.0.3", "10.9.0.1", 25, smtp);
    PAIR d = connection(world, world->client, "10.9.0.2", "10.9.0.1", 8080, ssh);
    PAIR theirs = connection(world, world->container, "10.8.0.2", "10.9.0.2", 25, outside);

    /* Without a cut the door is closed and what is open stays. */
    assert_int_equal(put(enforce, MAIL, "10.9.0.2", UNTIL_PERMANENT), 0);
    assert_true(is_refused(world, "10.9.0.2", "10.9.0.1", 25));
    assert_true(is_refused(world, "10.9.0.2", "10.9.0.1", 993));
    assert_alive(a);
    assert_alive(b);
    /* The port asked for is 8080; that it becomes 22 behind the wall is not ssh's ban. */
    assert_int_equal(put(enforce, SSH, "10.9.0.2", UNTIL_PERMANENT), 0);
    PAIR web = connection(world, world->client, "10.9.0.2", "10.9.0.1", 8080, ssh);
    assert_alive(web);

    struct prefix prefix = P("10.9.0.2");
    assert_int_equal(enforce_cut(enforce, MAIL, &prefix, NULL), 2);
    /* The container speaks first: conntrack would take it for its beginner. */
    passes(a.accepted, a.began, NEVER_MS);
    passes(b.accepted, b.began, NEVER_MS);
    assert_false(passes(a.began, a.accepted, NEVER_MS));
    assert_false(passes(b.began, b.accepted, NEVER_MS));
    assert_alive(c);
    assert_alive(d);
    assert_alive(web);
    assert_alive(theirs);
    PAIR more = connection(world, world->container, "10.8.0.2", "10.9.0.2", 25, outside);
    assert_alive(more);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_skeleton),
        TEST(test_skeleton_is_mended),
        TEST(test_scopes_change),
        TEST(test_most_scopes),
        TEST(test_a_shadow_has_sets_and_no_rules),
        TEST(test_lift),
        TEST(test_put_and_drop),
        TEST(test_drop_of_a_part),
        TEST(test_top_of_the_space),
        TEST(test_refusals),
        TEST(test_spare),
        TEST(test_keep_exempt),
        TEST(test_bad_orders_stay_alone),
        TEST(test_kernel_refuses_some),
        TEST(test_small_buffer),
        TEST(test_same_element_twice),
        TEST(test_foreign_elements_are_listed),
        TEST(test_drop_everywhere),
        TEST(test_a_hundred_thousand),
        TEST(test_random_orders),
        TEST(test_random_networks),
        TEST(test_watch),
        TEST(test_watch_addresses),
        TEST(test_watch_overflow),
        TEST(test_watch_paused),
        TEST(test_expiry_is_not_a_change),
        TEST(test_ban_closes_the_door),
        TEST(test_ban_of_a_64),
        TEST(test_cut),
        TEST(test_cut_without_a_listener),
        TEST(test_cut_six_and_mapped),
        TEST(test_cut_many),
        TEST(test_container),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
