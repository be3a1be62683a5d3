/* Whom a ban keeps out, and which connections it ends. They run over veth pairs to further
 * namespaces: a client, and a container behind DNAT.
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
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firewall.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
