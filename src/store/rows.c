/* The statements of the store, one table after the other: writing, then reading. Forgetting is in
 * forget.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "store/inside.h"

static const char schema[] = {
#include "schema.h"
};
static const char to_version_2[] = {
#include "schema_2.h"
};
static const char to_version_3[] = {
#include "schema_3.h"
};
static const char to_version_4[] = {
#include "schema_4.h"
};
static const char to_version_5[] = {
#include "schema_5.h"
};

/* What makes version n + 1 of version n; schema.sql is the newest whole. */
enum { SCHEMA_VERSION = 5 };
static const char *const upgrades[SCHEMA_VERSION] = {
    [1] = to_version_2, [2] = to_version_3, [3] = to_version_4, [4] = to_version_5};

static const char *const texts[STATEMENTS] = {
    [PUT_POSITION] = "INSERT OR REPLACE INTO position VALUES (?,?,?,?,?,?,?,?,?,?)",
    [DROP_POSITION] = "DELETE FROM position WHERE source=?",
    [PUT_COUNTER] = "INSERT OR REPLACE INTO counter VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [DROP_COUNTER] = "DELETE FROM counter WHERE jail=? AND address=? AND length=? AND window=?",
    [PUT_BURST] = "INSERT OR REPLACE INTO burst VALUES (?,?,?,?,?)",
    [DROP_BURST] = "DELETE FROM burst WHERE key=?",
    [PUT_SESSION] = "INSERT OR REPLACE INTO session VALUES (?,?,?,?)",
    [DROP_SESSION] = "DELETE FROM session WHERE key=?",
    [PUT_KNOWN] = "INSERT OR REPLACE INTO known VALUES (?,?,?,?,?,?)",
    [DROP_KNOWN] = "DELETE FROM known WHERE address=? AND account=? AND kind=?",
    [PUT_USE] = "INSERT OR REPLACE INTO use VALUES (?,?,?,?,?,?,?,?)",
    [DROP_USE] = "DELETE FROM use WHERE account=? AND service=?",
    [PUT_BAN] = "INSERT OR REPLACE INTO ban VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
    [DROP_BAN] = "DELETE FROM ban WHERE jail=? AND address=? AND length=?",
    [PUT_PAST] = "INSERT OR REPLACE INTO past VALUES (?,?,?,?,?)",
    [DROP_PAST] = "DELETE FROM past WHERE jail=? AND address=? AND length=?",
    [PUT_SPARED] = "INSERT OR REPLACE INTO spared VALUES (?,?,?,?,?,?)",
    [DROP_SPARED] = "DELETE FROM spared WHERE address=? AND length=? AND kind=?",
    [PUT_FACT] = "INSERT OR REPLACE INTO fact VALUES (?,?)",
    [PUT_EVIDENCE] = "INSERT OR IGNORE INTO evidence (source,ordinal,jail,at,address,account,"
                     "verdict,unknown,text) VALUES (?,?,?,?,?,?,?,?,?)",
    [PUT_HISTORY] = "INSERT INTO history (at,kind,jail,address,length,until,text) "
                    "VALUES (?,?,?,?,?,?,?)",
    [PUT_NOTICE] = "INSERT OR REPLACE INTO notice VALUES (?,?,?,?,?,?,?,?,?)",
    [PUT_SIGHT] = "INSERT OR REPLACE INTO sight VALUES (?,?,?,?,?,?)",
};

/* ---- binding, in the order of the question marks ---- */

struct binder {
    sqlite3_stmt *statement;
    int place;
};

static void bind_text(struct binder *b, const char *text) {
    sqlite3_bind_text(b->statement, ++b->place, text ? text : "", -1, SQLITE_STATIC);
}

static void bind_number(struct binder *b, int64_t value) {
    sqlite3_bind_int64(b->statement, ++b->place, value);
}

static void bind_blob(struct binder *b, const void *at, size_t length) {
    sqlite3_bind_blob(b->statement, ++b->place, length ? at : "", (int)length, SQLITE_STATIC);
}

static void bind_prefix(struct binder *b, const struct prefix *prefix) {
    bind_blob(b, prefix->address.at, sizeof(prefix->address.at));
    bind_number(b, prefix->length);
}

static int step(struct binder *b) {
    int result = sqlite3_step(b->statement);
    sqlite3_reset(b->statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static struct binder begin(const struct statements *statements, enum statement which) {
    return (struct binder){statements->at[which], 0};
}

static int put_position(const struct statements *s, const struct row_position *row) {
    struct binder b = begin(s, row->is_gone ? DROP_POSITION : PUT_POSITION);
    bind_text(&b, row->source);
    if (row->is_gone)
        return step(&b);
    bind_number(&b, (int64_t)row->position.mark);
    bind_number(&b, (int64_t)row->position.done);
    bind_number(&b, (int64_t)row->position.resume);
    bind_blob(&b, row->position.done_identity.at, row->position.done_identity.length);
    bind_blob(&b, row->position.resume_identity.at, row->position.resume_identity.length);
    bind_number(&b, (int64_t)row->lost);
    bind_number(&b, row->read_until_us);
    bind_number(&b, row->takes_over_us);
    bind_text(&b, row->jails);
    return step(&b);
}

static int put_counter(const struct statements *s, const struct row_counter *row) {
    struct binder b = begin(s, row->is_gone ? DROP_COUNTER : PUT_COUNTER);
    const struct counter *counter = &row->counter;
    bind_text(&b, row->jail);
    bind_prefix(&b, &counter->key.id);
    bind_number(&b, counter->key.window);
    if (!row->is_gone) {
        bind_number(&b, counter->weight);
        bind_number(&b, counter->own_weight);
        bind_number(&b, counter->failures);
        bind_number(&b, counter->noted);
        bind_number(&b, counter->unknown);
        bind_number(&b, counter->kept);
        bind_blob(&b, counter->accounts, sizeof(counter->accounts));
        bind_number(&b, counter->first_us);
        bind_number(&b, counter->last_us);
        bind_number(&b, counter->began_us);
        bind_number(&b, counter->attempts);
        bind_number(&b, counter->protocols);
    }
    return step(&b);
}

static int put_session(const struct statements *s, const struct row_join *row) {
    struct binder b = begin(s, row->is_gone ? DROP_SESSION : PUT_SESSION);
    bind_blob(&b, row->join.key.at, sizeof(row->join.key.at));
    if (!row->is_gone) {
        bind_number(&b, row->join.counted);
        bind_number(&b, row->join.last_us);
        bind_number(&b, row->join.databases);
    }
    return step(&b);
}

static int put_burst(const struct statements *s, const struct row_burst *row) {
    struct binder b = begin(s, row->is_gone ? DROP_BURST : PUT_BURST);
    bind_blob(&b, &row->burst.key, sizeof(row->burst.key));
    if (!row->is_gone) {
        bind_number(&b, row->burst.bursts);
        bind_number(&b, row->burst.failures);
        bind_number(&b, row->burst.began_us);
        bind_number(&b, row->burst.last_us);
    }
    return step(&b);
}

static int put_known(const struct statements *s, const struct row_known *row) {
    struct binder b = begin(s, row->is_gone ? DROP_KNOWN : PUT_KNOWN);
    const struct known_entry *entry = &row->entry;
    bind_blob(&b, entry->key.address.at, sizeof(entry->key.address.at));
    bind_number(&b, (int64_t)entry->key.account);
    bind_number(&b, (int64_t)entry->key.kind);
    if (!row->is_gone) {
        bind_number(&b, entry->first_us);
        bind_number(&b, entry->last_us);
        bind_number(&b, entry->successes);
    }
    return step(&b);
}

static int put_use(const struct statements *s, const struct row_use *row) {
    struct binder b = begin(s, row->is_gone ? DROP_USE : PUT_USE);
    const struct use *use = &row->use;
    bind_text(&b, use->key.account);
    bind_text(&b, use->key.service);
    if (!row->is_gone) {
        bind_number(&b, use->logins);
        bind_number(&b, use->clear);
        bind_number(&b, use->untold);
        bind_number(&b, use->first_us);
        bind_number(&b, use->last_us);
        bind_number(&b, use->clear_us);
    }
    return step(&b);
}

static int put_ban(const struct statements *s, const struct row_ban *row) {
    struct binder b = begin(s, row->is_gone ? DROP_BAN : PUT_BAN);
    const struct ban *ban = &row->ban;
    bind_text(&b, row->jail);
    bind_prefix(&b, &ban->key.id);
    if (!row->is_gone) {
        bind_number(&b, (int64_t)ban->number);
        bind_text(&b, row->scope);
        bind_number(&b, ban->since_us);
        bind_number(&b, ban->until_us);
        bind_number(&b, ban->failures);
        bind_number(&b, ban->returns);
        bind_number(&b, ban->after_ban);
        bind_number(&b, ban->after_kept);
        bind_text(&b, ban->reason);
    }
    return step(&b);
}

static int put_past(const struct statements *s, const struct row_past *row) {
    struct binder b = begin(s, row->is_gone ? DROP_PAST : PUT_PAST);
    bind_text(&b, row->jail);
    bind_prefix(&b, &row->past.key.id);
    if (!row->is_gone) {
        bind_number(&b, row->past.returns);
        bind_number(&b, row->past.ended_us);
    }
    return step(&b);
}

static int put_spared(const struct statements *s, const struct row_spared *row) {
    struct binder b = begin(s, row->is_gone ? DROP_SPARED : PUT_SPARED);
    bind_prefix(&b, &row->entry.key.prefix);
    bind_number(&b, row->entry.key.kind);
    if (!row->is_gone) {
        bind_number(&b, row->entry.since_us);
        bind_number(&b, row->entry.until_us);
        bind_text(&b, row->entry.why);
    }
    return step(&b);
}

static int put_evidence(const struct statements *s, const struct row_evidence *row) {
    struct binder b = begin(s, PUT_EVIDENCE);
    bind_text(&b, row->source);
    bind_number(&b, (int64_t)row->ordinal);
    bind_text(&b, row->jail);
    bind_number(&b, row->at_us);
    bind_blob(&b, row->address.at, sizeof(row->address.at));
    bind_text(&b, row->account);
    bind_number(&b, row->verdict);
    bind_number(&b, row->no_such_account);
    bind_text(&b, row->text);
    return step(&b);
}

static int put_history(const struct statements *s, const struct row_history *row) {
    struct binder b = begin(s, PUT_HISTORY);
    bind_number(&b, row->at_us);
    bind_text(&b, row->kind);
    bind_text(&b, row->jail);
    bind_prefix(&b, &row->id);
    bind_number(&b, row->until_us);
    bind_text(&b, row->text);
    return step(&b);
}

static int put_notice(const struct statements *s, const struct notice *notice) {
    struct binder b = begin(s, PUT_NOTICE);
    bind_number(&b, (int64_t)notice->number);
    bind_number(&b, notice->at_us);
    bind_number(&b, notice->mailed_us);
    bind_number(&b, notice->kind);
    bind_number(&b, notice->state);
    bind_prefix(&b, &notice->id);
    bind_text(&b, notice->about);
    bind_text(&b, notice->text);
    return step(&b);
}

static int put_sight(const struct statements *s, const struct row_sight *row) {
    struct binder b = begin(s, PUT_SIGHT);
    bind_text(&b, row->jail);
    bind_number(&b, row->sight.since_us);
    bind_number(&b, row->sight.failure_us);
    bind_number(&b, row->sight.success_us);
    bind_number(&b, row->sight.unmatched);
    bind_number(&b, row->sight.unmatched_us);
    return step(&b);
}

static int put_fact(const struct statements *s, const struct row_fact *row) {
    struct binder b = begin(s, PUT_FACT);
    bind_text(&b, row->name);
    bind_text(&b, row->value);
    return step(&b);
}

#define PUT_ALL(rows, put)                                             \
    for (size_t i = 0; i < batch->rows.count && result == SQLITE_OK; i++) \
        result = put(statements, &batch->rows.at[i]);

static int put_batch(sqlite3 *db, const struct statements *statements,
                     const struct store_batch *batch) {
    int result = SQLITE_OK;
    for (size_t i = 0; i < batch->forgotten.count && result == SQLITE_OK; i++)
        result = rows_forget(db, &batch->forgotten.at[i]);
    PUT_ALL(counters, put_counter)
    PUT_ALL(bursts, put_burst)
    PUT_ALL(joins, put_session)
    PUT_ALL(known, put_known)
    PUT_ALL(uses, put_use)
    PUT_ALL(bans, put_ban)
    PUT_ALL(past, put_past)
    PUT_ALL(spared, put_spared)
    PUT_ALL(evidence, put_evidence)
    PUT_ALL(history, put_history)
    PUT_ALL(notices, put_notice)
    PUT_ALL(sights, put_sight)
    PUT_ALL(facts, put_fact)
    PUT_ALL(positions, put_position)
    return result;
}

int rows_commit(sqlite3 *db, const struct statements *statements, const struct store_batch *batch,
                char *what, size_t room) {
    /* A row of `use` names somebody and is replaced again and again: an old one left in a page's
     * free bytes would be there still when its successor is forgotten. */
    rows_erase(db, batch->forgotten.count > 0 || batch->uses.count > 0);
    int result = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = put_batch(db, statements, batch);
    if (result == SQLITE_OK)
        result = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (result != SQLITE_OK)
        snprintf(what, room, "%s", sqlite3_errmsg(db));
    rows_erase(db, false);
    if (result == SQLITE_OK && batch->forgotten.count > 0)
        rows_erase_log(db);
    if (result == SQLITE_OK)
        return 0;
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result == SQLITE_FULL ? -ENOSPC : -EIO;
}

int rows_prepare_schema(sqlite3 *db) {
    sqlite3_stmt *statement = NULL;
    int version = -1;
    int result = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
    if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        version = sqlite3_column_int(statement, 0);
    int end = sqlite3_finalize(statement);
    if (result != SQLITE_OK || end != SQLITE_OK)
        return result != SQLITE_OK ? result : end;
    if (version < 0 || version > SCHEMA_VERSION)
        return SQLITE_MISMATCH; /* made by a newer hauberk: never touch it */
    if (version == SCHEMA_VERSION)
        return SQLITE_OK;
    result = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (result == SQLITE_OK && version == 0)
        result = sqlite3_exec(db, schema, NULL, NULL, NULL);
    for (; result == SQLITE_OK && version > 0 && version < SCHEMA_VERSION; version++)
        result = sqlite3_exec(db, upgrades[version], NULL, NULL, NULL);
    if (result == SQLITE_OK)
        return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

int rows_prepare(sqlite3 *db, struct statements *statements) {
    for (int i = 0; i < STATEMENTS; i++) {
        int result = sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &statements->at[i], NULL);
        if (result != SQLITE_OK)
            return result;
    }
    return SQLITE_OK;
}

void rows_finalize(struct statements *statements) {
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(statements->at[i]);
}

/* ---- reading ---- */

static void read_blob(sqlite3_stmt *s, int column, void *into, size_t room, uint16_t *ret_length) {
    const void *at = sqlite3_column_blob(s, column);
    size_t length = (size_t)sqlite3_column_bytes(s, column);
    if (length > room)
        length = 0;
    if (length)
        memcpy(into, at, length);
    if (ret_length)
        *ret_length = (uint16_t)length;
}

static struct prefix read_prefix(sqlite3_stmt *s, int column) {
    struct address address = {0};
    read_blob(s, column, address.at, sizeof(address.at), NULL);
    int length = sqlite3_column_int(s, column + 1);
    int most = address_is_v4(&address) ? 32 : 128;
    return prefix_cut(&address, (uint8_t)(length < 0 || length > most ? most : length));
}

static const char *read_text(sqlite3_stmt *s, int column) {
    const unsigned char *text = sqlite3_column_text(s, column);
    return text ? (const char *)text : "";
}

static void copy_text(char *into, size_t room, sqlite3_stmt *s, int column) {
    snprintf(into, room, "%s", read_text(s, column));
}

static uint32_t read_u32(sqlite3_stmt *s, int column) {
    int64_t value = sqlite3_column_int64(s, column);
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void load_position(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_position row = {.position = {.is_known = 1}};
    copy_text(row.source, sizeof(row.source), s, 0);
    row.position.mark = (uint64_t)sqlite3_column_int64(s, 1);
    row.position.done = (uint64_t)sqlite3_column_int64(s, 2);
    row.position.resume = (uint64_t)sqlite3_column_int64(s, 3);
    read_blob(s, 4, row.position.done_identity.at, sizeof(row.position.done_identity.at),
              &row.position.done_identity.length);
    read_blob(s, 5, row.position.resume_identity.at, sizeof(row.position.resume_identity.at),
              &row.position.resume_identity.length);
    row.lost = (uint64_t)sqlite3_column_int64(s, 6);
    row.read_until_us = sqlite3_column_int64(s, 7);
    row.takes_over_us = sqlite3_column_int64(s, 8);
    copy_text(row.jails, sizeof(row.jails), s, 9);
    readers->position(context, &row);
}

static void load_counter(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_counter row = {.jail = read_text(s, 0)};
    struct counter *counter = &row.counter;
    counter->key.id = read_prefix(s, 1);
    counter->key.window = sqlite3_column_int(s, 3) == WINDOW_LONG ? WINDOW_LONG : WINDOW_SHORT;
    counter->weight = read_u32(s, 4);
    counter->own_weight = read_u32(s, 5);
    counter->failures = read_u32(s, 6);
    counter->noted = read_u32(s, 7);
    counter->unknown = read_u32(s, 8);
    counter->kept = read_u32(s, 9);
    read_blob(s, 10, counter->accounts, sizeof(counter->accounts), NULL);
    counter->first_us = sqlite3_column_int64(s, 11);
    counter->last_us = sqlite3_column_int64(s, 12);
    counter->began_us = sqlite3_column_int64(s, 13);
    counter->attempts = read_u32(s, 14);
    counter->protocols = read_u32(s, 15);
    readers->counter(context, &row);
}

static void load_burst(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_burst row = {0};
    read_blob(s, 0, &row.burst.key, sizeof(row.burst.key), NULL);
    row.burst.bursts = read_u32(s, 1);
    row.burst.failures = read_u32(s, 2);
    row.burst.began_us = sqlite3_column_int64(s, 3);
    row.burst.last_us = sqlite3_column_int64(s, 4);
    readers->burst(context, &row);
}

static void load_session(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_join row = {0};
    read_blob(s, 0, row.join.key.at, sizeof(row.join.key.at), NULL);
    row.join.counted = read_u32(s, 1);
    row.join.last_us = sqlite3_column_int64(s, 2);
    row.join.databases = read_u32(s, 3);
    readers->join(context, &row);
}

static void load_known(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_known row = {0};
    read_blob(s, 0, row.entry.key.address.at, sizeof(row.entry.key.address.at), NULL);
    row.entry.key.account = (uint64_t)sqlite3_column_int64(s, 1);
    row.entry.key.kind = (uint64_t)sqlite3_column_int64(s, 2);
    row.entry.first_us = sqlite3_column_int64(s, 3);
    row.entry.last_us = sqlite3_column_int64(s, 4);
    row.entry.successes = read_u32(s, 5);
    readers->known(context, &row);
}

static void load_use(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_use row = {0};
    copy_text(row.use.key.account, sizeof(row.use.key.account), s, 0);
    copy_text(row.use.key.service, sizeof(row.use.key.service), s, 1);
    row.use.logins = read_u32(s, 2);
    row.use.clear = read_u32(s, 3);
    row.use.untold = read_u32(s, 4);
    row.use.first_us = sqlite3_column_int64(s, 5);
    row.use.last_us = sqlite3_column_int64(s, 6);
    row.use.clear_us = sqlite3_column_int64(s, 7);
    readers->use(context, &row);
}

static void load_ban(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_ban row = {.jail = read_text(s, 0), .scope = read_text(s, 4)};
    row.ban.key.id = read_prefix(s, 1);
    row.ban.number = (uint64_t)sqlite3_column_int64(s, 3);
    row.ban.since_us = sqlite3_column_int64(s, 5);
    row.ban.until_us = sqlite3_column_int64(s, 6);
    row.ban.failures = read_u32(s, 7);
    row.ban.returns = read_u32(s, 8);
    row.ban.after_ban = read_u32(s, 9);
    row.ban.after_kept = read_u32(s, 10);
    copy_text(row.ban.reason, sizeof(row.ban.reason), s, 11);
    readers->ban(context, &row);
}

static void load_past(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_past row = {.jail = read_text(s, 0)};
    row.past.key.id = read_prefix(s, 1);
    row.past.returns = read_u32(s, 3);
    row.past.ended_us = sqlite3_column_int64(s, 4);
    readers->past(context, &row);
}

static void load_spared(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_spared row = {.entry = {.since_us = sqlite3_column_int64(s, 3),
                                       .until_us = sqlite3_column_int64(s, 4)}};
    uint32_t kind = read_u32(s, 2);
    if (kind >= SPARED_KINDS)
        return;
    row.entry.key = (struct spared_key){read_prefix(s, 0), (uint8_t)kind};
    copy_text(row.entry.why, sizeof(row.entry.why), s, 5);
    readers->spared(context, &row);
}

static void load_unban(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_history row = {.at_us = sqlite3_column_int64(s, 0), .jail = read_text(s, 1)};
    row.id = read_prefix(s, 2);
    readers->unban(context, &row);
}

static void load_notice(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct notice notice = {.number = (uint64_t)sqlite3_column_int64(s, 0)};
    notice.at_us = sqlite3_column_int64(s, 1);
    notice.mailed_us = sqlite3_column_int64(s, 2);
    uint32_t kind = read_u32(s, 3);
    uint32_t state = read_u32(s, 4);
    notice.id = read_prefix(s, 5);
    copy_text(notice.about, sizeof(notice.about), s, 7);
    copy_text(notice.text, sizeof(notice.text), s, 8);
    notice.kind = (uint8_t)(kind < NOTICE_KINDS ? kind : NOTICE_KINDS);
    notice.state = (uint8_t)(state < NOTICE_STATES ? state : NOTICE_STATES);
    readers->notice(context, &notice);
}

static void load_sight(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    struct row_sight row = {.jail = read_text(s, 0)};
    row.sight.since_us = sqlite3_column_int64(s, 1);
    row.sight.failure_us = sqlite3_column_int64(s, 2);
    row.sight.success_us = sqlite3_column_int64(s, 3);
    row.sight.unmatched = read_u32(s, 4);
    row.sight.unmatched_us = sqlite3_column_int64(s, 5);
    readers->sight(context, &row);
}

static void load_fact(sqlite3_stmt *s, const struct store_readers *readers, void *context) {
    readers->fact(context, read_text(s, 0), read_text(s, 1));
}

int rows_load(sqlite3 *db, struct load *load, uint32_t most, const struct store_readers *readers,
              void *context) {
    static const struct {
        const char *sql;
        void (*load)(sqlite3_stmt *, const struct store_readers *, void *);
    } tables[] = {
        {"SELECT * FROM fact", load_fact}, /* whether to enforce at all: before any ban */
        {"SELECT * FROM position", load_position},
        {"SELECT * FROM known", load_known},
        {"SELECT * FROM use", load_use},
        {"SELECT * FROM counter", load_counter},
        {"SELECT * FROM session", load_session},
        {"SELECT * FROM burst", load_burst},
        {"SELECT * FROM spared", load_spared},
        {"SELECT * FROM past", load_past},
        {"SELECT * FROM ban", load_ban},
        {"SELECT * FROM (SELECT at,jail,address,length FROM history WHERE kind='unban'"
         " ORDER BY at DESC LIMIT 65536) ORDER BY at", /* PARDONS_MOST */
         load_unban},
        {"SELECT * FROM notice ORDER BY at DESC LIMIT 256", load_notice},
        {"SELECT * FROM sight", load_sight},
    };
    int result = SQLITE_ROW;
    for (; most > 0 && load->table < ELEMENTS_OF(tables); most--) {
        if (!load->statement) {
            result = sqlite3_prepare_v2(db, tables[load->table].sql, -1, &load->statement, NULL);
            if (result != SQLITE_OK)
                return result;
        }
        result = sqlite3_step(load->statement);
        if (result == SQLITE_ROW) {
            tables[load->table].load(load->statement, readers, context);
            continue;
        }
        rows_load_end(load);
        if (result != SQLITE_DONE)
            return result;
        load->table++;
    }
    if (load->table < ELEMENTS_OF(tables))
        return SQLITE_ROW;
    load->table = 0;
    return SQLITE_DONE;
}

void rows_load_end(struct load *load) {
    sqlite3_finalize(load->statement);
    load->statement = NULL;
}

struct address rows_last_of(const struct prefix *prefix) {
    struct address last = prefix->address;
    for (unsigned i = prefix->length + (prefix_is_v4(prefix) ? 96u : 0u); i < 128; i++)
        last.at[i / 8] |= (uint8_t)(0x80u >> i % 8);
    return last;
}

/* First and last address of a prefix: a range over the index. */
static void bind_range(struct binder *b, const struct prefix *prefix, struct address *last) {
    *last = rows_last_of(prefix);
    bind_blob(b, prefix->address.at, sizeof(prefix->address.at));
    bind_blob(b, last->at, sizeof(last->at));
}

static void take_evidence(sqlite3_stmt *s, struct store_answer *answer) {
    struct row_evidence *row = rows_add(&answer->evidence);
    copy_text(row->source, sizeof(row->source), s, 0);
    row->ordinal = (uint64_t)sqlite3_column_int64(s, 1);
    row->jail = span_copy(span_of(read_text(s, 2)));
    row->at_us = sqlite3_column_int64(s, 3);
    read_blob(s, 4, row->address.at, sizeof(row->address.at), NULL);
    copy_text(row->account, sizeof(row->account), s, 5);
    row->verdict = (uint8_t)sqlite3_column_int(s, 6);
    row->no_such_account = sqlite3_column_int(s, 7) != 0;
    copy_text(row->text, sizeof(row->text), s, 8);
}

static void take_history(sqlite3_stmt *s, struct store_answer *answer) {
    struct row_history *row = rows_add(&answer->history);
    row->at_us = sqlite3_column_int64(s, 0);
    copy_text(row->kind, sizeof(row->kind), s, 1);
    row->jail = span_copy(span_of(read_text(s, 2)));
    row->id = read_prefix(s, 3);
    row->until_us = sqlite3_column_int64(s, 5);
    copy_text(row->text, sizeof(row->text), s, 6);
}

static int ask(sqlite3 *db, const char *sql, const struct prefix *prefix, const char *account,
               uint32_t most, void (*take)(sqlite3_stmt *, struct store_answer *),
               struct store_answer *answer) {
    struct binder b = {NULL, 0};
    struct address last;
    int result = sqlite3_prepare_v2(db, sql, -1, &b.statement, NULL);
    if (result != SQLITE_OK)
        return result;
    if (prefix)
        bind_range(&b, prefix, &last);
    else
        bind_text(&b, account);
    bind_number(&b, most);
    while ((result = sqlite3_step(b.statement)) == SQLITE_ROW)
        take(b.statement, answer);
    sqlite3_finalize(b.statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

#define EVIDENCE_COLUMNS "source,ordinal,jail,at,address,account,verdict,unknown,text"

int rows_why(sqlite3 *db, const struct prefix *prefix, const char *account, uint32_t most,
             struct store_answer *answer, char *what, size_t room) {
    int result;
    if (prefix) {
        result = ask(db,
                     "SELECT * FROM (SELECT " EVIDENCE_COLUMNS " FROM evidence"
                     " WHERE address BETWEEN ? AND ? ORDER BY at DESC, id DESC LIMIT ?)"
                     " ORDER BY at, ordinal",
                     prefix, NULL, most, take_evidence, answer);
        if (result == SQLITE_OK)
            result = ask(db,
                         "SELECT at,kind,jail,address,length,until,text FROM history"
                         " WHERE address BETWEEN ? AND ? ORDER BY at DESC LIMIT ?",
                         prefix, NULL, most, take_history, answer);
    } else {
        result = ask(db,
                     "SELECT * FROM (SELECT " EVIDENCE_COLUMNS " FROM evidence WHERE account=?"
                     " ORDER BY at DESC, id DESC LIMIT ?) ORDER BY at, ordinal",
                     NULL, account, most, take_evidence, answer);
    }
    if (result == SQLITE_OK)
        return 0;
    snprintf(what, room, "%s", sqlite3_errmsg(db));
    return -EIO;
}

void rows_purge(sqlite3 *db, int64_t before_us, int64_t names_before_us) {
    static const char *const sql[] = {"DELETE FROM evidence WHERE at < ?",
                                      "DELETE FROM history WHERE at < ?",
                                      "DELETE FROM notice WHERE at < ?"};
    rows_erase(db, true);
    for (size_t i = 0; i < ELEMENTS_OF(sql); i++) {
        struct binder b = {NULL, 0};
        if (sqlite3_prepare_v2(db, sql[i], -1, &b.statement, NULL) != SQLITE_OK)
            continue;
        bind_number(&b, before_us);
        (void)step(&b);
        sqlite3_finalize(b.statement);
    }
    rows_blank_names(db, names_before_us);
    rows_erase(db, false);
}
