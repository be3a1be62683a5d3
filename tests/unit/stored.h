/* A store in a folder of its own for each test, on a disk with faults (faulty_disk.h), and what
 * tests put into it and find there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/decider.h"
#include "faulty_disk.h"
#include "scratch.h"
#include "store/store.h"

enum { PATIENCE_MS = 20000 };

int stored_begin(void **state);
int stored_finish(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, stored_begin, stored_finish)

/* Fails the test when it cannot be opened, or was damaged. */
struct store *open_store(void);

struct prefix prefix_from(const char *text);

/* ---- commits ---- */

struct outcome {
    int calls, error; /* of the last call */
    char what[200];
};

/* For store_commit(), with a struct outcome as its context. */
void committed(void *context, int error, const char *what);

/* Until it was called that often. */
void wait_for_call(struct store *store, const struct outcome *verdict, int calls);

/* Fails the test when the store refuses. */
void commit_and_wait(struct store *store, struct store_batch *batch);

/* A row of each kind. */
struct store_batch *batch_of_everything(void);

/* ---- what is there ---- */

/* Everything loaded, as it came. Texts are copied, they are good during the call only. */
extern struct loaded {
    struct row_position positions[8];
    struct row_counter counters[8];
    struct row_join joins[8];
    struct row_burst bursts[8];
    struct row_known known[8];
    struct row_use uses[8];
    struct row_ban bans[8];
    struct row_past past[8];
    struct row_history unbans[300];
    struct notice notices[8];
    struct row_sight sights[8];
    char jails[8][32], scope[32], fact[64];
    uint32_t position_count, counter_count, join_count, burst_count, known_count, use_count, ban_count,
        past_count, unban_count, notice_count, sight_count;
} loaded;

/* In slices so small that they end in the middle of tables and between them. */
int load_all(struct store *store, struct why *reterr_why);

/* The same anew; fails the test when it cannot be loaded. */
void load(struct store *store);

/* In the file on the disk, by another connection. */
int64_t count_rows(const char *table);

/* What store_why() answers. */
struct asked {
    bool is_answered;
    size_t evidence, history;
    uint64_t ordinals[64];
};
void take_answer(void *context, const struct store_answer *answer);
struct asked ask(struct store *store, const char *prefix_text, const char *account, uint32_t most);
