/* What others do to our table, and what is not a change of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "firewall.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_watch),
        TEST(test_watch_addresses),
        TEST(test_watch_overflow),
        TEST(test_watch_paused),
        TEST(test_expiry_is_not_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
