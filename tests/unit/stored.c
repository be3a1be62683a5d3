/* A store for each test: see stored.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "stored.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>

#include "chance.h"

int stored_begin(void **state) {
    set_gate(false, 0);
    chance_begin(7);
    return scratch_make(state);
}

int stored_finish(void **state) {
    set_gate(false, 0);
    return scratch_remove(state);
}

struct store *open_store(void) {
    struct store *store = NULL;
    struct why why = {0};
    bool was_damaged = true;
    if (store_open(scratch_folder, &store, &was_damaged, &why) < 0)
        fail_msg("%s", why.text);
    assert_false(was_damaged);
    return store;
}

struct prefix prefix_from(const char *text) {
    struct prefix prefix = {0};
    assert_int_equal(prefix_parse(span_of(text), &prefix), 0);
    return prefix;
}

void committed(void *context, int error, const char *what) {
    struct outcome *verdict = context;
    verdict->calls++;
    verdict->error = error;
    snprintf(verdict->what, sizeof(verdict->what), "%s", what);
}

void wait_for_call(struct store *store, const struct outcome *verdict, int calls) {
    while (verdict->calls < calls) {
        struct pollfd one = {.fd = store_fd(store), .events = POLLIN};
        if (poll(&one, 1, PATIENCE_MS) <= 0)
            fail_msg("nothing came from the store");
        store_finished(store);
    }
}

void commit_and_wait(struct store *store, struct store_batch *batch) {
    struct outcome verdict = {0};
    assert_int_equal(store_commit(store, batch, committed, &verdict), 0);
    wait_for_call(store, &verdict, 1);
    if (verdict.error)
        fail_msg("%s", verdict.what);
    assert_false(store_is_busy(store));
}

struct loaded loaded;

static void load_position(void *context, const struct row_position *row) {
    (void)context;
    loaded.positions[loaded.position_count++ % 8] = *row;
}
static void load_counter(void *context, const struct row_counter *row) {
    (void)context;
    snprintf(loaded.jails[0], sizeof(loaded.jails[0]), "%s", row->jail);
    loaded.counters[loaded.counter_count++ % 8] = *row;
}
static void load_join(void *context, const struct row_join *row) {
    (void)context;
    loaded.joins[loaded.join_count++ % 8] = *row;
}
static void load_burst(void *context, const struct row_burst *row) {
    (void)context;
    loaded.bursts[loaded.burst_count++ % 8] = *row;
}
static void load_known(void *context, const struct row_known *row) {
    (void)context;
    loaded.known[loaded.known_count++ % 8] = *row;
}
static void load_use(void *context, const struct row_use *row) {
    (void)context;
    loaded.uses[loaded.use_count++ % 8] = *row;
}
static void load_ban(void *context, const struct row_ban *row) {
    (void)context;
    snprintf(loaded.jails[1], sizeof(loaded.jails[1]), "%s", row->jail);
    snprintf(loaded.scope, sizeof(loaded.scope), "%s", row->scope);
    loaded.bans[loaded.ban_count++ % 8] = *row;
}
static void load_past(void *context, const struct row_past *row) {
    (void)context;
    loaded.past[loaded.past_count++ % 8] = *row;
}
static void load_unban(void *context, const struct row_history *row) {
    (void)context;
    loaded.unbans[loaded.unban_count++ % 300] = *row;
}

static void load_notice(void *context, const struct notice *notice) {
    (void)context;
    loaded.notices[loaded.notice_count++ % 8] = *notice;
}
static void load_sight(void *context, const struct row_sight *row) {
    (void)context;
    snprintf(loaded.jails[2], sizeof(loaded.jails[2]), "%s", row->jail);
    loaded.sights[loaded.sight_count++ % 8] = *row;
}

static void load_fact(void *context, const char *name, const char *value) {
    (void)context;
    snprintf(loaded.fact, sizeof(loaded.fact), "%s=%s", name, value);
}

static const struct store_readers readers = {load_position, load_counter, load_burst, load_join,
                                             load_known,    load_use,     load_ban,   load_past,
                                             load_unban,
                                             .notice = load_notice, .sight = load_sight,
                                             .fact = load_fact};

int load_all(struct store *store, struct why *reterr_why) {
    int has_more;
    do
        has_more = store_load(store, 1 + chance(3), &readers, NULL, reterr_why);
    while (has_more > 0);
    return has_more;
}

void load(struct store *store) {
    struct why why = {0};
    memset(&loaded, 0, sizeof(loaded));
    if (load_all(store, &why) < 0)
        fail_msg("%s", why.text);
}

struct store_batch *batch_of_everything(void) {
    struct store_batch *batch = store_batch_new();
    struct row_position *position = rows_add(&batch->positions);
    memcpy(position->source, "/var/log/mail.log", sizeof("/var/log/mail.log"));
    memcpy(position->jails, "dovecot postfix-sasl", sizeof("dovecot postfix-sasl"));
    position->position.mark = 5;
    position->lost = 4321;
    position->position.done = INT64_MAX;
    position->position.resume = 7;
    char identity[256];
    for (int i = 0; i < 256; i++)
        identity[i] = (char)i;
    wire_set_bytes(position->position.done_identity, ((struct span){identity, 256}));
    wire_set_bytes(position->position.resume_identity, ((struct span){identity, 1}));
    *rows_add(&batch->counters) =
        (struct row_counter){.jail = "sshd",
                             .counter = {.key = {prefix_from("2001:db8:1:2::/64"), WINDOW_LONG, 3},
                                         .own_weight = 7, .noted = 12, .unknown = 3,
                                         .accounts = {1, UINT64_MAX, 0},
                                         .weight = 15, .failures = 2, .kept = 1,
                                         .first_us = -1, .last_us = 2, .began_us = INT64_MIN,
                                         .attempts = 9, .protocols = UINT32_MAX}};
    struct row_fact *fact = rows_add(&batch->facts);
    memcpy(fact->name, "first", sizeof("first"));
    fact->value = strdup("{\"a\":1}");
    *rows_add(&batch->bursts) = (struct row_burst){
        .burst = {.key = {prefix_from("203.0.113.9").address, UINT64_MAX, 7},
                  .bursts = 2, .failures = 5, .began_us = 7,
                  .last_us = 8}};
    *rows_add(&batch->joins) = (struct row_join){
        .join = {.key = digest_of(SPAN("x")), .counted = 4, .last_us = 99, .databases = 6}};
    *rows_add(&batch->known) = (struct row_known){
        .entry = {.key = {prefix_from("198.51.100.7").address, UINT64_MAX, KNOWN_PAIR},
                  .first_us = 1, .last_us = 2, .successes = UINT32_MAX}};
    *rows_add(&batch->uses) = (struct row_use){
        .use = {.key = {"alice@example.org", "imap"}, .logins = UINT32_MAX, .clear = 2,
                .untold = 3, .first_us = 4, .last_us = 5, .clear_us = 6}};
    struct row_ban *ban = rows_add(&batch->bans);
    *ban = (struct row_ban){.jail = "by-hand", .scope = "mail-login",
                            .ban = {.key = {prefix_from("203.0.113.0/24"), 0, JAIL_BY_HAND},
                                    .number = UINT64_MAX, .since_us = 1,
                                    .until_us = UNTIL_PERMANENT, .failures = 3, .returns = 2,
                                    .after_ban = 9, .after_kept = 5}};
    memset(ban->ban.reason, 'r', sizeof(ban->ban.reason) - 1);
    *rows_add(&batch->past) = (struct row_past){
        .jail = "sshd",
        .past = {.key = {prefix_from("203.0.113.9"), 0, 0}, .returns = 3, .ended_us = 77}};
    *rows_add(&batch->history) = (struct row_history){
        .at_us = 12, .kind = "unban", .jail = "", .id = prefix_from("203.0.113.9"), .text = "why"};
    *rows_add(&batch->notices) = (struct notice){
        .number = INT64_MAX, .at_us = 13, .mailed_us = 14, .kind = NOTICE_SUSPICIOUS,
        .state = NOTICE_MAILED, .id = prefix_from("2001:db8::/64"), .about = "alice",
        .text = "what"};
    *rows_add(&batch->sights) = (struct row_sight){
        .jail = "sshd",
        .sight = {.since_us = 1, .failure_us = 2, .success_us = 3, .unmatched_us = 4,
                  .unmatched = UINT32_MAX}};
    return batch;
}

int64_t count_rows(const char *table) {
    char path[128];
    char sql[64];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    snprintf(path, sizeof(path), "%s/hauberk.db", scratch_folder);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return count;
}

void take_answer(void *context, const struct store_answer *answer) {
    struct asked *asked = context;
    assert_int_equal(answer->error, 0);
    asked->is_answered = true;
    asked->evidence = answer->evidence.count;
    asked->history = answer->history.count;
    for (size_t i = 0; i < answer->evidence.count && i < 64; i++) {
        asked->ordinals[i] = answer->evidence.at[i].ordinal;
        assert_string_equal(answer->evidence.at[i].jail, "sshd");
    }
}

struct asked ask(struct store *store, const char *prefix_text, const char *account,
                        uint32_t most) {
    struct asked asked = {0};
    struct prefix prefix = {0};
    if (prefix_text)
        prefix = prefix_from(prefix_text);
    assert_int_equal(store_why(store, prefix_text ? &prefix : NULL, span_of(account), most,
                               take_answer, &asked), 0);
    while (!asked.is_answered) {
        struct pollfd one = {.fd = store_fd(store), .events = POLLIN};
        assert_true(poll(&one, 1, PATIENCE_MS) > 0);
        store_finished(store);
    }
    return asked;
}
