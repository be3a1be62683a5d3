/* enforce/ against the real kernel, in network namespaces made here: every test gets a fresh one
 * (with user namespaces where root is not given), so that nobody's firewall is touched; where the
 * kernel permits neither, each test is skipped with the right it lacks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

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

extern const struct scope scopes[SCOPES];

struct world {
    const char *missing; /* the right this machine does not give us */
    struct enforce *enforce;
    int here;      /* this namespace, where enforce works */
    int client;    /* another, or -1 */
    int container; /* a third, or -1 */
};

/* For cmocka: a namespace for each test. */
int firewall_set_up(void **state);
int firewall_tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, firewall_set_up, firewall_tear_down)

/* The test's world, with a firewall of four scopes. */
struct enforce *ready(void **state);

/* A descriptor of the namespace this process is in. */
int this_namespace(void);
void lo_up(void);

/* Into a file that is there, as those of /proc are. */
void write_text(const char *path, const char *text);

/* Runs a program in this namespace; returns its pid after it has ended with status 0. */
pid_t run(const char *const arguments[]);
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
#define NFT_DO(text) RUN(NFT, text)

/* Fails the test with the reason when `result` is negative. */
void must_why(int result, const struct why *why);

/* ---- wishes ---- */

struct prefix P(const char *text);
int64_t in_seconds(int64_t seconds);

int put(struct enforce *enforce, uint16_t scope, const char *text, int64_t until_us);
int put_and_cut(struct enforce *enforce, uint16_t scope, const char *text);
int drop(struct enforce *enforce, uint16_t scope, const char *text);

/* ---- looks ---- */

/* What enforce_list() tells. */
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
struct rows list(struct enforce *enforce);
void rows_free(struct rows *rows);
#define LISTED(name, enforce) at_scope_end(rows_free) struct rows name = list(enforce)

const struct row *find(const struct rows *rows, uint16_t scope, const struct prefix *prefix);
bool is_in(struct enforce *enforce, uint16_t scope, const char *text);
void assert_about(int64_t expires_us, int64_t wanted_us);
void assert_expires(struct enforce *enforce, uint16_t scope, const char *text, int64_t wanted_us);

/* What `nft list table inet hauberk` prints. */
void nft_list(char *into, size_t room);

bool is_readable(int fd, int timeout_ms);
