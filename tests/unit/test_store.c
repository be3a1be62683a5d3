/* The store: every kind of row there and back, and what happens when the disk hangs, is full, is
 * damaged, or the process is killed between two bytes. A shim around SQLite's own file layer makes
 * the faults; a tmpfs of one megabyte makes them for real.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "store/store.h"

enum { PATIENCE_MS = 20000 };

static char folder[64];
static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

/* ---- a disk with faults ---- */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opened = PTHREAD_COND_INITIALIZER;
static bool gate_is_shut, someone_waits;
static int write_fails_with; /* SQLite's code, 0 */

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs faulty_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods faulty_methods;

static sqlite3_file *real_of(sqlite3_file *file) {
    return ((struct faulty_file *)(void *)file)->real;
}

static int fault(void) {
    pthread_mutex_lock(&gate_lock);
    while (gate_is_shut) {
        someone_waits = true;
        pthread_cond_wait(&gate_opened, &gate_lock);
    }
    someone_waits = false;
    int result = write_fails_with;
    pthread_mutex_unlock(&gate_lock);
    return result;
}

static void set_gate(bool is_shut, int fails_with) {
    pthread_mutex_lock(&gate_lock);
    gate_is_shut = is_shut;
    write_fails_with = fails_with;
    pthread_cond_broadcast(&gate_opened);
    pthread_mutex_unlock(&gate_lock);
}

static bool is_waited_at_the_gate(void) {
    pthread_mutex_lock(&gate_lock);
    bool waits = someone_waits;
    pthread_mutex_unlock(&gate_lock);
    return waits;
}

static int faulty_write(sqlite3_file *file, const void *at, int count, sqlite3_int64 offset) {
    int result = fault();
    return result ? result : real_of(file)->pMethods->xWrite(real_of(file), at, count, offset);
}

static int faulty_sync(sqlite3_file *file, int flags) {
    int result = fault();
    return result == SQLITE_FULL || result == 0
               ? real_of(file)->pMethods->xSync(real_of(file), flags)
               : SQLITE_IOERR_FSYNC;
}

static int pass_close(sqlite3_file *file) {
    int result = real_of(file)->pMethods->xClose(real_of(file));
    sqlite3_free(real_of(file));
    return result;
}
static int pass_read(sqlite3_file *file, void *into, int count, sqlite3_int64 offset) {
    return real_of(file)->pMethods->xRead(real_of(file), into, count, offset);
}
static int pass_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}
static int pass_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int pass_lock(sqlite3_file *file, int kind) {
    return real_of(file)->pMethods->xLock(real_of(file), kind);
}
static int pass_unlock(sqlite3_file *file, int kind) {
    return real_of(file)->pMethods->xUnlock(real_of(file), kind);
}
static int pass_reserved(sqlite3_file *file, int *result) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}
static int pass_control(sqlite3_file *file, int what, void *argument) {
    return real_of(file)->pMethods->xFileControl(real_of(file), what, argument);
}
static int pass_sector(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int pass_device(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int pass_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, at);
}
static int pass_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
static void pass_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int pass_shm_unmap(sqlite3_file *file, int deletes) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), deletes);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *ret_flags) {
    (void)vfs;
    struct faulty_file *faulty = (void *)file;
    faulty->base.pMethods = NULL;
    faulty->real = sqlite3_malloc(real_vfs->szOsFile);
    if (!faulty->real)
        return SQLITE_NOMEM;
    memset(faulty->real, 0, (size_t)real_vfs->szOsFile);
    int result = real_vfs->xOpen(real_vfs, name, faulty->real, flags, ret_flags);
    if (result != SQLITE_OK) {
        sqlite3_free(faulty->real);
        return result;
    }
    faulty->base.pMethods = &faulty_methods;
    return SQLITE_OK;
}

static void make_disk(void) {
    real_vfs = sqlite3_vfs_find(NULL);
    faulty_methods = (sqlite3_io_methods){
        .iVersion = 2, .xClose = pass_close, .xRead = pass_read, .xWrite = faulty_write,
        .xTruncate = pass_truncate, .xSync = faulty_sync, .xFileSize = pass_size,
        .xLock = pass_lock, .xUnlock = pass_unlock, .xCheckReservedLock = pass_reserved,
        .xFileControl = pass_control, .xSectorSize = pass_sector,
        .xDeviceCharacteristics = pass_device, .xShmMap = pass_shm_map,
        .xShmLock = pass_shm_lock, .xShmBarrier = pass_shm_barrier, .xShmUnmap = pass_shm_unmap};
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = sizeof(struct faulty_file);
    faulty_vfs.xOpen = faulty_open;
    must(sqlite3_vfs_register(&faulty_vfs, 1) == SQLITE_OK);
}

/* ---- helpers ---- */

static int begin(void **state) {
    (void)state;
    memcpy(folder, "/tmp/hauberk-store-XXXXXX", sizeof("/tmp/hauberk-store-XXXXXX"));
    set_gate(false, 0);
    seed = 7;
    return mkdtemp(folder) ? 0 : -1;
}

static void empty_folder(const char *path) {
    DIR *open_folder = opendir(path);
    char name[512];
    for (struct dirent *entry; open_folder && (entry = readdir(open_folder));)
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s/%.200s", path, entry->d_name);
            unlink(name);
        }
    if (open_folder)
        closedir(open_folder);
}

static int finish(void **state) {
    (void)state;
    set_gate(false, 0);
    empty_folder(folder);
    return rmdir(folder);
}

static struct store *open_store(void) {
    struct store *store = NULL;
    struct why why = {0};
    bool was_damaged = true;
    if (store_open(folder, &store, &was_damaged, &why) < 0)
        fail_msg("%s", why.text);
    assert_false(was_damaged);
    return store;
}

static struct prefix prefix_from(const char *text) {
    struct prefix prefix = {0};
    assert_int_equal(prefix_parse(span_of(text), &prefix), 0);
    return prefix;
}

struct verdict {
    int calls, error; /* of the last call */
    char what[200];
};

static void committed(void *context, int error, const char *what) {
    struct verdict *verdict = context;
    verdict->calls++;
    verdict->error = error;
    snprintf(verdict->what, sizeof(verdict->what), "%s", what);
}

static void wait_for_call(struct store *store, const struct verdict *verdict, int calls) {
    while (verdict->calls < calls) {
        struct pollfd one = {.fd = store_fd(store), .events = POLLIN};
        if (poll(&one, 1, PATIENCE_MS) <= 0)
            fail_msg("nothing came from the store");
        store_finished(store);
    }
}

static void commit_and_wait(struct store *store, struct store_batch *batch) {
    struct verdict verdict = {0};
    assert_int_equal(store_commit(store, batch, committed, &verdict), 0);
    wait_for_call(store, &verdict, 1);
    if (verdict.error)
        fail_msg("%s", verdict.what);
    assert_false(store_is_busy(store));
}

/* Everything loaded, as it came. Texts are copied, they are good during the call only. */
static struct loaded {
    struct row_position positions[8];
    struct row_counter counters[8];
    struct row_join joins[8];
    struct row_burst bursts[8];
    struct row_known known[8];
    struct row_ban bans[8];
    struct row_past past[8];
    struct row_history unbans[300];
    char jails[8][32], scope[32], fact[64];
    uint32_t position_count, counter_count, join_count, burst_count, known_count, ban_count,
        past_count, unban_count;
} loaded;

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

static void load_fact(void *context, const char *name, const char *value) {
    (void)context;
    snprintf(loaded.fact, sizeof(loaded.fact), "%s=%s", name, value);
}

static const struct store_readers readers = {load_position, load_counter, load_burst, load_join,
                                             load_known,    load_ban,     load_past,  load_unban,
                                             .fact = load_fact};

/* In slices so small that they end in the middle of tables and between them. */
static int load_all(struct store *store, struct why *reterr_why) {
    int has_more;
    do
        has_more = store_load(store, 1 + chance(3), &readers, NULL, reterr_why);
    while (has_more > 0);
    return has_more;
}

static void load(struct store *store) {
    struct why why = {0};
    memset(&loaded, 0, sizeof(loaded));
    if (load_all(store, &why) < 0)
        fail_msg("%s", why.text);
}

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
    "PRAGMA user_version = 1;";

static void an_earlier_schema_is_brought_up_to_date(void **state) {
    (void)state;
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%s/hauberk.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (int opening = 0; opening < 2; opening++) { /* once to change it, once as it is then */
        struct store *store = open_store();
        load(store);
        assert_int_equal(loaded.position_count, 1);
        assert_int_equal(loaded.positions[0].lost, 0);
        assert_int_equal(loaded.counter_count, 1);
        assert_int_equal(loaded.counters[0].counter.weight, 20);
        assert_int_equal(loaded.counters[0].counter.failures, 2);
        assert_int_equal(loaded.counters[0].counter.attempts, 2);
        assert_int_equal(loaded.counters[0].counter.key.window, WINDOW_SHORT);
        assert_true(loaded.counters[0].counter.last_us == 6);
        store_close(store);
    }
}

/* ---- rows ---- */

static struct store_batch *batch_of_everything(void) {
    struct store_batch *batch = store_batch_new();
    struct row_position *position = rows_add(&batch->positions);
    memcpy(position->source, "/var/log/mail.log", sizeof("/var/log/mail.log"));
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
        .burst = {.key = {prefix_from("203.0.113.9").address, UINT64_MAX, 7}, .bursts = 2, .failures = 5, .began_us = 7,
                  .last_us = 8}};
    *rows_add(&batch->joins) = (struct row_join){
        .join = {.key = digest_of(SPAN("x")), .counted = 4, .last_us = 99, .databases = 6}};
    *rows_add(&batch->known) = (struct row_known){
        .entry = {.key = {prefix_from("198.51.100.7").address, UINT64_MAX, KNOWN_PAIR},
                  .first_us = 1, .last_us = 2, .successes = UINT32_MAX}};
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
    return batch;
}

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

    /* Gone again, all that can go. */
    told->counters.at[0].is_gone = told->joins.at[0].is_gone = true;
    told->bursts.at[0].is_gone = true;
    told->known.at[0].is_gone = told->bans.at[0].is_gone = told->past.at[0].is_gone = true;
    told->history.count = 0;
    commit_and_wait(store, told);
    load(store);
    assert_int_equal(loaded.counter_count + loaded.join_count + loaded.burst_count + loaded.known_count +
                         loaded.ban_count + loaded.past_count, 0);
    assert_int_equal(loaded.position_count, 1);
    store_close(store);
}

struct asked {
    bool is_answered;
    size_t evidence, history;
    uint64_t ordinals[64];
};

static void take_answer(void *context, const struct store_answer *answer) {
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

static struct asked ask(struct store *store, const char *prefix_text, const char *account,
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

static int64_t count_rows(const char *table) {
    char path[128];
    char sql[64];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    snprintf(path, sizeof(path), "%s/hauberk.db", folder);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return count;
}

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
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
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
    snprintf(path, sizeof(path), "%s/hauberk.db", folder);
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

/* ---- a disk that hangs ---- */

static void a_hanging_disk_delays_nobody(void **state) {
    (void)state;
    struct store *store = open_store();
    struct verdict verdict = {0};
    struct asked asked = {0};
    set_gate(true, 0);
    assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
    while (!is_waited_at_the_gate())
        sched_yield();
    /* The thread stands still; every call of the main thread returns all the same. */
    assert_true(store_is_busy(store));
    struct store_batch *second = store_batch_new();
    assert_int_equal(store_commit(store, second, committed, &verdict), -EBUSY);
    store_batch_free(second);
    struct prefix prefix = prefix_from("203.0.113.9");
    int accepted = 0;
    while (accepted < 1000 && store_why(store, &prefix, SPAN(""), 1, take_answer, &asked) == 0)
        accepted++;
    assert_true(accepted > 0 && accepted < 100); /* and the queue is bounded */
    store_finished(store);
    assert_int_equal(verdict.calls, 0);
    set_gate(false, 0);
    wait_for_call(store, &verdict, 1);
    assert_int_equal(verdict.error, 0);
    assert_false(store_is_busy(store));
    store_close(store);
    store = open_store();
    load(store);
    assert_int_equal(loaded.ban_count, 1);
    store_close(store);
}

/* ---- a disk that is full ---- */

static void a_refusing_disk_is_told_and_tried_again(void **state) {
    (void)state;
    static const struct {
        int fails_with, error;
    } cases[] = {{SQLITE_FULL, -ENOSPC}, {SQLITE_IOERR_WRITE, -EIO}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct store *store = open_store();
        struct verdict verdict = {0};
        set_gate(false, cases[i].fails_with);
        assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
        wait_for_call(store, &verdict, 2); /* told each time */
        assert_int_equal(verdict.error, cases[i].error);
        assert_true(verdict.what[0] != '\0');
        assert_true(store_is_busy(store));
        set_gate(false, 0);
        while (verdict.error != 0)
            wait_for_call(store, &verdict, verdict.calls + 1);
        assert_false(store_is_busy(store));
        commit_and_wait(store, batch_of_everything());
        store_close(store);
        assert_int_equal(count_rows("history"), 2 * ((int)i + 1)); /* neither lost nor doubled */
        assert_int_equal(count_rows("ban"), 1);
    }
}

static void closing_with_a_full_disk_does_not_hang(void **state) {
    (void)state;
    struct store *store = open_store();
    struct verdict verdict = {0};
    set_gate(false, SQLITE_FULL);
    assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
    wait_for_call(store, &verdict, 1);
    store_close(store);
    set_gate(false, 0);
    store = open_store();
    load(store);
    assert_int_equal(loaded.position_count + loaded.ban_count, 0); /* all or nothing */
    store_close(store);
}

static struct store_batch *batch_of_evidence(uint32_t number) {
    struct store_batch *batch = store_batch_new();
    struct row_position *position = rows_add(&batch->positions);
    memcpy(position->source, "/a", 3);
    position->position.done = number;
    for (uint32_t i = 0; i < 200; i++) {
        struct row_evidence *row = rows_add(&batch->evidence);
        memcpy(row->source, "/a", 3);
        row->jail = "sshd";
        row->ordinal = (uint64_t)number * 1000 + i;
        memset(row->text, 'x', sizeof(row->text) - 1);
    }
    struct row_history *history = rows_add(&batch->history);
    *history = (struct row_history){.kind = "note", .jail = "", .id = prefix_from("203.0.113.9")};
    return batch;
}

/* In a child, for its mount namespace. Exit status 0: as promised; 77: no right to mount. */
static int live_on_a_small_disk(void) {
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("small", folder, "tmpfs", 0, "size=1m") < 0)
        return errno == EPERM ? 77 : 1;
    struct store *store = open_store();
    uint32_t number = 0;
    struct verdict verdict = {0};
    while (verdict.error == 0 && number < 200) {
        int calls = verdict.calls;
        if (store_commit(store, batch_of_evidence(++number), committed, &verdict) < 0)
            return 2;
        wait_for_call(store, &verdict, calls + 1);
    }
    if (verdict.error != -ENOSPC || number < 2)
        return 3;
    if (mount("small", folder, "tmpfs", MS_REMOUNT, "size=16m") < 0)
        return 4;
    while (verdict.error != 0)
        wait_for_call(store, &verdict, verdict.calls + 1);
    store_close(store);
    if (count_rows("history") != number || count_rows("evidence") != 200 * (int64_t)number)
        return 5;
    store = open_store();
    load(store);
    int result = loaded.positions[0].position.done == number ? 0 : 6;
    store_close(store);
    return result;
}

static int status_of(pid_t child) {
    int status = 0;
    must(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_really_full_disk(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(live_on_a_small_disk());
    int status = status_of(child);
    if (status == 77) {
        print_message("# a disk of one megabyte needs CAP_SYS_ADMIN for its own mount namespace\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* ---- damage ---- */

static void overwrite(const char *name, off_t offset, size_t length) {
    char path[128];
    char junk[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    memset(junk, 'z', sizeof(junk));
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t done = 0; done < length; done += sizeof(junk))
        assert_int_equal(pwrite(fd, junk, sizeof(junk), offset + (off_t)done), sizeof(junk));
}

static int count_set_aside(void) {
    int count = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; open_folder && (entry = readdir(open_folder));)
        count += strstr(entry->d_name, "hauberk.db.damaged-") == entry->d_name;
    closedir(open_folder);
    return count;
}

static void a_file_that_is_no_database_is_set_aside(void **state) {
    (void)state;
    struct store *store = NULL;
    struct why why = {0};
    bool was_damaged = false;
    overwrite("hauberk.db", 0, 8192);
    assert_int_equal(store_open(folder, &store, &was_damaged, &why), 0);
    assert_true(was_damaged);
    assert_true(count_set_aside() >= 1);
    load(store);
    commit_and_wait(store, batch_of_everything());
    store_close(store);
    store = open_store();
    load(store);
    assert_int_equal(loaded.ban_count, 1);
    store_close(store);
}

static void a_damaged_page_is_found_at_the_start(void **state) {
    (void)state;
    struct store *store = open_store();
    for (uint32_t i = 1; i < 20; i++)
        commit_and_wait(store, batch_of_evidence(i));
    commit_and_wait(store, batch_of_everything());
    store_close(store);
    overwrite("hauberk.db", 4096, 16 * 4096); /* the small tables, which are all read */
    bool was_damaged = false;
    struct why why = {0};
    int error = store_open(folder, &store, &was_damaged, &why);
    if (error == 0 && !was_damaged) {
        error = load_all(store, &why);
        assert_int_equal(error, -EBADMSG);
        store_close(store);
        store = open_store(); /* the next start */
    }
    assert_true(count_set_aside() >= 1);
    load(store);
    assert_int_equal(loaded.position_count, 0);
    commit_and_wait(store, batch_of_everything());
    store_close(store);
}

static void a_newer_schema_is_left_alone(void **state) {
    (void)state;
    char path[128];
    sqlite3 *db = NULL;
    struct store *store = NULL;
    struct why why = {0};
    bool was_damaged = false;
    snprintf(path, sizeof(path), "%s/hauberk.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_true(store_open(folder, &store, &was_damaged, &why) < 0);
    assert_non_null(strstr(why.text, "newer"));
    assert_int_equal(count_set_aside(), 0);
}

/* ---- killed ---- */

/* Commits as fast as it can: position, counter and history tell the same number. */
static void commit_for_ever(int tell) {
    struct store *store = open_store();
    load(store);
    uint32_t number = loaded.counter_count ? loaded.counters[0].counter.failures : 0;
    for (;;) {
        struct store_batch *batch = batch_of_evidence(++number);
        *rows_add(&batch->counters) = (struct row_counter){
            .jail = "sshd",
            .counter = {.key = {prefix_from("203.0.113.9"), 0, 0}, .failures = number}};
        struct verdict verdict = {0};
        must(store_commit(store, batch, committed, &verdict) == 0);
        while (!verdict.calls) {
            struct pollfd one = {.fd = store_fd(store), .events = POLLIN};
            (void)poll(&one, 1, PATIENCE_MS);
            store_finished(store);
        }
        if (write(tell, &number, sizeof(number)) != sizeof(number))
            _exit(0);
    }
}

static void a_kill_leaves_both_or_neither(void **state) {
    (void)state;
    uint32_t told = 0;
    for (int round = 0; round < 25; round++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            commit_for_ever(ends[1]);
        }
        close(ends[1]);
        /* Anywhere in a commit: how long one takes is measured first. */
        int64_t cycle_us = 0;
        for (uint32_t i = 0; i < 3; i++) {
            int64_t from_us = clock_monotonic_us();
            assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
            cycle_us = clock_monotonic_us() - from_us;
        }
        int64_t kill_us = clock_monotonic_us() + chance((uint32_t)cycle_us * 3 / 2 + 1);
        while (clock_monotonic_us() < kill_us)
            ;
        assert_int_equal(kill(child, SIGKILL), 0);
        (void)status_of(child);
        while (read(ends[0], &told, sizeof(told)) == sizeof(told))
            ; /* what was said to be durable before the end */
        close(ends[0]);
        struct store *store = open_store();
        load(store);
        store_close(store);
        uint32_t number = loaded.counters[0].counter.failures;
        assert_int_equal(loaded.positions[0].position.done, number);
        assert_int_equal(count_rows("history"), number);
        assert_int_equal(count_rows("evidence"), 200 * (int64_t)number);
        assert_true(number >= told && number <= told + 1);
    }
}

static void what_is_queued_is_finished_at_the_end(void **state) {
    (void)state;
    struct store *store = open_store();
    struct verdict verdict = {0};
    assert_int_equal(store_commit(store, batch_of_everything(), committed, &verdict), 0);
    store_close(store);
    assert_int_equal(count_rows("ban"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(an_earlier_schema_is_brought_up_to_date),
        TEST(every_row_comes_back),
        TEST(evidence_is_found_by_prefix_and_by_account),
        TEST(who_is_forgotten_is_not_even_on_the_disk),
        TEST(rows_of_the_same_batch_are_newer_than_what_is_forgotten),
        TEST(unknown_names_leave_their_lines),
        TEST(a_hanging_disk_delays_nobody),
        TEST(a_refusing_disk_is_told_and_tried_again),
        TEST(closing_with_a_full_disk_does_not_hang),
        TEST(a_really_full_disk),
        TEST(a_file_that_is_no_database_is_set_aside),
        TEST(a_damaged_page_is_found_at_the_start),
        TEST(a_newer_schema_is_left_alone),
        TEST(a_kill_leaves_both_or_neither),
        TEST(what_is_queued_is_finished_at_the_end),
    };
    hash_open();
    make_disk();
    alarm(120); /* a test that hangs is a failed one */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
