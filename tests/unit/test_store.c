/* The store: every kind of row there and back, earlier schemas, what is counted, found and
 * forgotten.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "stored.h"

/* ---- earlier schemas ---- */

static const char version_1[] =
    "CREATE TABLE position (source TEXT PRIMARY KEY, mark INTEGER NOT NULL, done INTEGER NOT NULL,"
    " resume INTEGER NOT NULL, done_identity BLOB NOT NULL, resume_identity BLOB NOT NULL) STRICT,"
    " WITHOUT ROWID;"
    "CREATE TABLE counter (jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL,"
    " weight INTEGER NOT NULL, failures INTEGER NOT NULL, kept INTEGER NOT NULL,"
    " first INTEGER NOT NULL, last INTEGER NOT NULL, began INTEGER NOT NULL,"
    " PRIMARY KEY (jail, address, length)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE session (key BLOB PRIMARY KEY, counted INTEGER NOT NULL, last INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE known (address BLOB NOT NULL, account INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " first INTEGER NOT NULL, last INTEGER NOT NULL, successes INTEGER NOT NULL,"
    " PRIMARY KEY (address, account, kind)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE ban (jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL,"
    " number INTEGER NOT NULL, scope TEXT NOT NULL, since INTEGER NOT NULL,"
    " until INTEGER NOT NULL, failures INTEGER NOT NULL, returns INTEGER NOT NULL,"
    " after_ban INTEGER NOT NULL, after_kept INTEGER NOT NULL, reason TEXT NOT NULL,"
    " PRIMARY KEY (jail, address, length)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE past (jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL,"
    " returns INTEGER NOT NULL, ended INTEGER NOT NULL, PRIMARY KEY (jail, address, length))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE evidence (id INTEGER PRIMARY KEY, source TEXT NOT NULL,"
    " ordinal INTEGER NOT NULL, jail TEXT NOT NULL, at INTEGER NOT NULL, address BLOB NOT NULL,"
    " account TEXT NOT NULL, verdict INTEGER NOT NULL, unknown INTEGER NOT NULL,"
    " text TEXT NOT NULL, UNIQUE (source, ordinal, jail)) STRICT;"
    "CREATE TABLE history (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,"
    " jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL, until INTEGER NOT NULL,"
    " text TEXT NOT NULL) STRICT;"
    "INSERT INTO counter VALUES ('sshd', x'00000000000000000000ffffcb007109', 32, 20, 2, 2, 5, 6,"
    " 5);"
    "INSERT INTO position VALUES ('/var/log/auth.log', 1, 20, 10, x'01', x'02');"
    "INSERT INTO position VALUES ('/var/log/mail.log', 1, 20, 10, x'01', x'02');"
    "INSERT INTO position VALUES ('/var/log/quiet.log', 1, 20, 10, x'01', x'02');"
    "INSERT INTO evidence VALUES (1, '/var/log/auth.log', 7, 'sshd', 70, x'', '', 0, 0, '');"
    "INSERT INTO evidence VALUES (2, '/var/log/auth.log', 9, 'sshd', 90, x'', '', 0, 0, '');"
    "INSERT INTO evidence VALUES (3, '/var/log/auth.log', 9, 'other', 80, x'', '', 0, 0, '');"
    "INSERT INTO evidence VALUES (4, '/var/log/mail.log', 9, 'sshd', 9000000000000000, x'', '', 0,"
    " 0, '');" /* its stamp is of the year 2255 */
    "PRAGMA user_version = 1;";

static void an_earlier_schema_is_brought_up_to_date(void **state) {
    (void)state;
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%s/hauberk.db", scratch_folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (int opening = 0; opening < 2; opening++) { /* once to change it, once as it is then */
        struct store *store = open_store();
        load(store);
        assert_int_equal(loaded.position_count, 3);
        assert_true(loaded.positions[0].read_until_us == 90);
        assert_true(loaded.positions[1].read_until_us > 90 &&
                    loaded.positions[1].read_until_us <= clock_now_us());
        assert_true(loaded.positions[2].read_until_us == 0);
        assert_int_equal(loaded.use_count, opening);
        assert_int_equal(loaded.positions[0].lost, 0);
        assert_string_equal(loaded.positions[0].jails, "");
        assert_int_equal(loaded.counter_count, 1);
        assert_int_equal(loaded.counters[0].counter.weight, 20);
        assert_int_equal(loaded.counters[0].counter.failures, 2);
        assert_int_equal(loaded.counters[0].counter.attempts, 2);
        assert_int_equal(loaded.counters[0].counter.key.window, WINDOW_SHORT);
        assert_true(loaded.counters[0].counter.last_us == 6);
        struct store_batch *batch = store_batch_new(); /* a table that version 1 had not */
        *rows_add(&batch->uses) = (struct row_use){.use = {.key = {"alice", "imap"}}};
        commit_and_wait(store, batch);
        store_close(store);
    }
}

/* ---- rows ---- */

static void every_row_comes_back(void **state) {
    (void)state;
    struct store *store = open_store();
    load(store);
    assert_int_equal(loaded.position_count + loaded.counter_count + loaded.ban_count, 0);
    commit_and_wait(store, batch_of_everything());
    store_close(store);
    store = open_store();
    load(store);
    struct store_batch *told = batch_of_everything();
    assert_int_equal(loaded.position_count, 1);
    assert_string_equal(loaded.positions[0].source, told->positions.at[0].source);
    assert_true(loaded.positions[0].position.is_known);
    assert_int_equal(loaded.positions[0].lost, 4321);
    assert_string_equal(loaded.positions[0].jails, "dovecot postfix-sasl");
    const struct wire_position *position = &loaded.positions[0].position;
    assert_true(position->mark == 5 && position->done == INT64_MAX && position->resume == 7);
    assert_true(span_equals(wire_bytes(position->done_identity),
                            wire_bytes(told->positions.at[0].position.done_identity)));
    assert_int_equal(position->resume_identity.length, 1);
    assert_int_equal(loaded.counter_count, 1);
    assert_string_equal(loaded.jails[0], "sshd");
    loaded.counters[0].counter.key.jail = 3; /* by name only */
    const struct counter *counter = &loaded.counters[0].counter;
    const struct counter *counted = &told->counters.at[0].counter;
    assert_memory_equal(&counter->key, &counted->key, sizeof(counter->key));
    assert_int_equal(counter->weight, counted->weight);
    assert_int_equal(counter->failures, counted->failures);
    assert_int_equal(counter->kept, counted->kept);
    assert_int_equal(counter->own_weight, counted->own_weight);
    assert_int_equal(counter->noted, counted->noted);
    assert_int_equal(counter->unknown, counted->unknown);
    assert_memory_equal(counter->accounts, counted->accounts, sizeof(counter->accounts));
    assert_true(counter->first_us == counted->first_us && counter->last_us == counted->last_us &&
                counter->began_us == counted->began_us);
    assert_int_equal(counter->attempts, counted->attempts);
    assert_int_equal(counter->protocols, counted->protocols);
    assert_string_equal(loaded.fact, "first={\"a\":1}");
    assert_int_equal(loaded.burst_count, 1);
    const struct burst *burst = &loaded.bursts[0].burst;
    assert_true(memcmp(&burst->key, &told->bursts.at[0].burst.key, sizeof(burst->key)) == 0);
    assert_int_equal(burst->bursts, 2);
    assert_int_equal(burst->failures, 5);
    assert_true(burst->began_us == 7 && burst->last_us == 8);
    assert_int_equal(loaded.join_count, 1);
    assert_true(digest_equals(&loaded.joins[0].join.key, &told->joins.at[0].join.key));
    assert_int_equal(loaded.joins[0].join.counted, 4);
    assert_true(loaded.joins[0].join.last_us == 99);
    assert_int_equal(loaded.joins[0].join.databases, 6);
    assert_int_equal(loaded.known_count, 1);
    assert_memory_equal(&loaded.known[0].entry.key, &told->known.at[0].entry.key,
                        sizeof(struct known_key));
    assert_int_equal(loaded.known[0].entry.successes, UINT32_MAX);
    assert_true(loaded.known[0].entry.first_us == 1 && loaded.known[0].entry.last_us == 2);
    assert_int_equal(loaded.use_count, 1);
    const struct use *use = &loaded.uses[0].use;
    assert_memory_equal(&use->key, &told->uses.at[0].use.key, sizeof(use->key));
    assert_true(use->logins == UINT32_MAX && use->clear == 2 && use->untold == 3);
    assert_true(use->first_us == 4 && use->last_us == 5 && use->clear_us == 6);
    assert_int_equal(loaded.ban_count, 1);
    assert_string_equal(loaded.jails[1], "by-hand");
    assert_string_equal(loaded.scope, "mail-login");
    loaded.bans[0].ban.key.jail = JAIL_BY_HAND;
    const struct ban *ban = &loaded.bans[0].ban;
    const struct ban *made = &told->bans.at[0].ban;
    assert_memory_equal(&ban->key, &made->key, sizeof(ban->key));
    assert_true(ban->number == UINT64_MAX && ban->since_us == 1 &&
                ban->until_us == UNTIL_PERMANENT);
    assert_true(ban->failures == 3 && ban->returns == 2 && ban->after_ban == 9 &&
                ban->after_kept == 5);
    assert_string_equal(ban->reason, made->reason);
    assert_int_equal(loaded.past_count, 1);
    assert_int_equal(loaded.past[0].past.returns, 3);
    assert_true(loaded.past[0].past.ended_us == 77);
    assert_int_equal(loaded.unban_count, 1);
    assert_true(loaded.unbans[0].at_us == 12);
    assert_true(prefix_equals(&loaded.unbans[0].id, &told->history.at[0].id));
    assert_int_equal(loaded.notice_count, 1);
    const struct notice *notice = &loaded.notices[0];
    assert_true(notice->number == INT64_MAX && notice->at_us == 13 && notice->mailed_us == 14);
    assert_true(notice->kind == NOTICE_SUSPICIOUS && notice->state == NOTICE_MAILED);
    assert_true(prefix_equals(&notice->id, &told->notices.at[0].id));
    assert_string_equal(notice->about, "alice");
    assert_string_equal(notice->text, "what");
    assert_int_equal(loaded.sight_count, 1);
    assert_string_equal(loaded.jails[2], "sshd");
    assert_memory_equal(&loaded.sights[0].sight, &told->sights.at[0].sight, sizeof(struct sight));

    /* Gone again, all that can go. */
    told->counters.at[0].is_gone = told->joins.at[0].is_gone = true;
    told->bursts.at[0].is_gone = true;
    told->known.at[0].is_gone = told->uses.at[0].is_gone = true;
    told->bans.at[0].is_gone = told->past.at[0].is_gone = true;
    told->history.count = 0;
    commit_and_wait(store, told);
    load(store);
    assert_int_equal(loaded.counter_count + loaded.join_count + loaded.burst_count +
                         loaded.known_count + loaded.use_count + loaded.ban_count +
                             loaded.past_count,
                     0);
    assert_int_equal(loaded.position_count, 1);
    store_close(store);
}

/* ---- the day ---- */

static struct told_day {
    bool is_told;
    uint64_t bans, strangers, losses;
    char bans_by[200], attacked[200], spared[200];
} told_day;

static void list_tallies(const struct row_tally *rows, size_t count, char into[200]) {
    size_t length = 0;
    into[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char address[PREFIX_TEXT_MAX];
        length += (size_t)snprintf(into + length, 200 - length, "%s=%u ",
                                   rows[i].name[0] ? rows[i].name
                                                   : address_format(&rows[i].address, address),
                                   (unsigned)rows[i].count);
    }
}

static void take_day(void *context, const struct store_day *day) {
    (void)context;
    assert_int_equal(day->error, 0);
    told_day = (struct told_day){.is_told = true, .bans = day->bans_in_all,
                                 .strangers = day->strangers, .losses = day->losses};
    list_tallies(day->bans.at, day->bans.count, told_day.bans_by);
    list_tallies(day->attacked.at, day->attacked.count, told_day.attacked);
    list_tallies(day->spared.at, day->spared.count, told_day.spared);
}

/* One failure or success of `account` from 203.0.113.LAST. */
static void add_evidence(struct store_batch *batch, int64_t at_us, unsigned last,
                         const char *account, enum verdict verdict) {
    static uint64_t ordinal;
    char address[32];
    struct row_evidence *row = rows_add(&batch->evidence);
    snprintf(address, sizeof(address), "203.0.113.%u", last);
    memcpy(row->source, "/a", 3);
    row->jail = "sshd";
    row->ordinal = ++ordinal;
    row->at_us = at_us;
    row->verdict = (uint8_t)verdict;
    row->address = prefix_from(address).address;
    snprintf(row->account, sizeof(row->account), "%s", account);
}

static void a_day_is_counted_from_what_is_kept(void **state) {
    (void)state;
    struct store *store = open_store();
    struct store_batch *batch = store_batch_new();
    add_evidence(batch, 5, 1, "alice", VERDICT_SUCCESS); /* long ago, and she is no stranger */
    for (unsigned i = 0; i < 5; i++)
        add_evidence(batch, 100 + i, 10 + i, "alice", VERDICT_COUNTED);
    add_evidence(batch, 100, 10, "alice", VERDICT_AFTER_BAN);
    add_evidence(batch, 100, 10, "hunter2", VERDICT_COUNTED);
    add_evidence(batch, 100, 11, "admin", VERDICT_COUNTED);
    add_evidence(batch, 99, 12, "admin", VERDICT_COUNTED); /* the day before */
    for (unsigned i = 0; i < 4; i++)
        add_evidence(batch, 100, 77, "bob", VERDICT_EXEMPT);
    add_evidence(batch, 100, 78, "bob", VERDICT_EXEMPT);
    static const struct {
        int64_t at_us;
        const char *kind, *jail;
    } rows[] = {{100, "ban", "sshd"},   {101, "ban", "dovecot"}, {102, "ban", "dovecot"},
                {99, "ban", "dovecot"}, {100, "lost", ""},       {100, "unban", "sshd"}};
    for (size_t i = 0; i < ELEMENTS_OF(rows); i++) {
        struct row_history *history = rows_add(&batch->history);
        *history = (struct row_history){.at_us = rows[i].at_us, .jail = rows[i].jail};
        snprintf(history->kind, sizeof(history->kind), "%s", rows[i].kind);
    }
    commit_and_wait(store, batch);
    told_day.is_told = false;
    assert_int_equal(store_ask_day(store, 100, take_day, NULL), 0);
    while (!told_day.is_told) {
        struct pollfd one = {.fd = store_fd(store), .events = POLLIN};
        assert_true(poll(&one, 1, PATIENCE_MS) > 0);
        store_finished(store);
    }
    assert_string_equal(told_day.bans_by, "dovecot=2 sshd=1 ");
    assert_string_equal(told_day.attacked, "alice=5 ");
    assert_string_equal(told_day.spared, "203.0.113.77=4 ");
    assert_int_equal(told_day.bans, 3);
    assert_int_equal(told_day.strangers, 2);
    assert_int_equal(told_day.losses, 1);
    store_close(store);
}

static void evidence_is_found_by_prefix_and_by_account(void **state) {
    (void)state;
    struct store *store = open_store();
    struct store_batch *batch = store_batch_new();
    for (uint32_t i = 0; i < 40; i++) {
        struct row_evidence *row = rows_add(&batch->evidence);
        memcpy(row->source, "/a", 3);
        row->jail = "sshd";
        row->ordinal = i + 1;
        row->at_us = (int64_t)(100 + i);
        row->address = prefix_from(i % 2 ? "203.0.113.9" : "2001:db8:1:2::5").address;
        snprintf(row->account, sizeof(row->account), "u%u", i % 4);
        struct row_history *history = rows_add(&batch->history);
        *history = (struct row_history){.at_us = (int64_t)i, .kind = "ban", .jail = "sshd",
                                        .id = prefix_from(i % 2 ? "203.0.113.9"
                                                                : "2001:db8:1:2::/64")};
    }
    *rows_add(&batch->evidence) = batch->evidence.at[0]; /* the same line again: ignored */
    commit_and_wait(store, batch);
    assert_int_equal(ask(store, "203.0.113.9", NULL, 60).evidence, 20);
    assert_int_equal(ask(store, "203.0.113.0/24", NULL, 60).evidence, 20);
    assert_int_equal(ask(store, "203.0.112.0/24", NULL, 60).evidence, 0);
    assert_int_equal(ask(store, "2001:db8:1:2::/64", NULL, 60).evidence, 20);
    assert_int_equal(ask(store, "2001:db8:1:2::/64", NULL, 60).history, 20);
    assert_int_equal(ask(store, "::/0", NULL, 60).evidence, 40); /* ::ffff:0:0/96 lies in it */
    assert_int_equal(ask(store, NULL, "u3", 60).evidence, 10);
    struct asked newest = ask(store, "203.0.113.9", NULL, 3);
    assert_int_equal(newest.evidence, 3);
    assert_int_equal(newest.ordinals[0], 36);
    assert_int_equal(newest.ordinals[2], 40);
    store_purge(store, 130, 0);
    assert_int_equal(ask(store, "::/0", NULL, 60).evidence, 10);
    store_close(store);
}

/* ---- forgetting ---- */

static void add_line(struct store_batch *batch, const char *address, const char *account,
                     int64_t at_us, bool is_unknown, const char *text) {
    struct row_evidence *row = rows_add(&batch->evidence);
    memcpy(row->source, "/a", 3);
    row->jail = "sshd";
    row->ordinal = batch->evidence.count;
    row->at_us = at_us;
    row->address = prefix_from(address).address;
    row->no_such_account = is_unknown;
    snprintf(row->account, sizeof(row->account), "%s", account);
    snprintf(row->text, sizeof(row->text), "%s", text);
}

/* Whether the bytes are in any file of the store, also in pages nobody uses. */
static bool is_on_disk(const char *bytes) {
    static const char *const files[] = {"hauberk.db", "hauberk.db-wal"};
    bool found = false;
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        char path[128];
        cleanup_text struct text content = {0};
        snprintf(path, sizeof(path), "%s/%s", scratch_folder, files[i]);
        if (file_read(path, 64 << 20, &content) >= 0 && content.length)
            found = found || memmem(content.at, content.length, bytes, strlen(bytes));
    }
    return found;
}

static void commit_forgetting(struct store *store, const char *prefix, const char *account) {
    struct store_batch *batch = store_batch_new();
    struct row_forgotten *who = rows_add(&batch->forgotten);
    who->has_prefix = prefix != NULL;
    if (prefix)
        who->prefix = prefix_from(prefix);
    snprintf(who->account, sizeof(who->account), "%s", account ? account : prefix);
    commit_and_wait(store, batch);
}

static void who_is_forgotten_is_not_even_on_the_disk(void **state) {
    (void)state;
    struct store *store = open_store();
    struct store_batch *batch = batch_of_everything();
    add_line(batch, "198.51.100.7", "quagga", 1, false, "user quagga of the first address");
    add_line(batch, "198.51.100.8", "quagga", 2, false, "user quagga of the second address");
    add_line(batch, "198.51.100.8", "okapi", 3, false, "user okapi of the second address");
    add_line(batch, "2001:db8:1:2::5", "zebra", 4, false, "user zebra of the third address");
    *rows_add(&batch->history) = (struct row_history){
        .at_us = 5, .kind = "ban", .jail = "sshd", .id = prefix_from("2001:db8:1:2::/64")};
    commit_and_wait(store, batch);
    assert_true(is_on_disk("quagga of the first"));

    commit_forgetting(store, NULL, "quagga");
    assert_false(is_on_disk("quagga"));
    assert_int_equal(count_rows("evidence"), 2);
    assert_int_equal(count_rows("known"), 1); /* pairs are memory's to forget */
    commit_forgetting(store, "198.51.100.0/24", NULL);
    assert_false(is_on_disk("okapi"));
    assert_int_equal(count_rows("known"), 0);
    assert_int_equal(count_rows("evidence"), 1);
    /* One address of a /64 takes with it what is kept about the whole. */
    assert_int_equal(count_rows("counter"), 1);
    assert_int_equal(count_rows("history"), 2);
    commit_forgetting(store, "2001:db8:1:2::5", NULL);
    assert_int_equal(count_rows("counter"), 0);
    assert_int_equal(count_rows("history"), 1);
    assert_int_equal(count_rows("evidence"), 0);
    commit_forgetting(store, "203.0.113.9", NULL);
    assert_int_equal(count_rows("past"), 0);
    assert_int_equal(count_rows("history"), 0);
    assert_int_equal(count_rows("ban"), 1); /* a decision, not evidence */
    assert_int_equal(count_rows("position"), 1);
    store_close(store);
}

static void rows_of_the_same_batch_are_newer_than_what_is_forgotten(void **state) {
    (void)state;
    struct store *store = open_store();
    struct store_batch *batch = store_batch_new();
    *rows_add(&batch->forgotten) =
        (struct row_forgotten){.has_prefix = true, .prefix = prefix_from("198.51.100.7")};
    add_line(batch, "198.51.100.7", "", 1, false, "later");
    commit_and_wait(store, batch);
    assert_int_equal(count_rows("evidence"), 1);
    store_close(store);
}

static void unknown_names_leave_their_lines(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *after;
    } cases[] = {
        {"hunter2", "Invalid user hunter2 from x", "Invalid user … from x"},
        {"bob", "Invalid user bob from bobby <bob@a>", "Invalid user … from bobby <…@a>"},
        {"Bob", "bob, BOB.", "…, …."},
        {"a", "a man a plan", "… man … plan"},
        {"$1", "user $1 from $12", "user … from $12"},
        {"gone", "the name stands elsewhere", ""},
        {"bob", "bobby only", ""},
    };
    struct store *store = open_store();
    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
        add_line(batch, "198.51.100.7", cases[i].name, 100, true, cases[i].text);
    add_line(batch, "198.51.100.7", "young", 200, true, "user young");
    add_line(batch, "198.51.100.7", "known", 100, false, "user known");
    for (int i = 0; i < 1200; i++) /* more than are done at once */
        add_line(batch, "198.51.100.9", "crowd", 100, true, "user crowd");
    commit_and_wait(store, batch);
    store_purge(store, 0, 150);
    (void)ask(store, "198.51.100.7", NULL, 1); /* behind the purge */
    char path[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    snprintf(path, sizeof(path), "%s/hauberk.db", scratch_folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT text,account FROM evidence ORDER BY id", -1,
                                        &rows, NULL), SQLITE_OK);
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(rows, 0), cases[i].after);
        assert_string_equal((const char *)sqlite3_column_text(rows, 1), "");
    }
    for (int i = 0; i < 2; i++) { /* too young; an account that exists */
        assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(rows, 1), i ? "known" : "young");
    }
    while (sqlite3_step(rows) == SQLITE_ROW)
        assert_string_equal((const char *)sqlite3_column_text(rows, 0), "user …");
    sqlite3_finalize(rows);
    sqlite3_close(db);
    store_close(store);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(a_day_is_counted_from_what_is_kept),
        TEST(an_earlier_schema_is_brought_up_to_date),
        TEST(every_row_comes_back),
        TEST(evidence_is_found_by_prefix_and_by_account),
        TEST(who_is_forgotten_is_not_even_on_the_disk),
        TEST(rows_of_the_same_batch_are_newer_than_what_is_forgotten),
        TEST(unknown_names_leave_their_lines),
    };
    hash_open();
    make_disk();
    alarm(120); /* a test that hangs is a failed one */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
