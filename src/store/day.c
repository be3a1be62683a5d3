/* The day in numbers: see store.h. What is kept is enough for them, so nothing is counted beside it
 * and nothing is lost at a restart. Evidence sheds lines, not addresses; so attacks on an account
 * are counted by addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "bans/decider.h"
#include "store/inside.h"

/* In each: ?1 since when, ?2 and ?3 the verdicts of failures, ?4 that of logins,
 * ?5 that of the exempt. */
#define FAILURES "at>=?1 AND verdict IN (?2,?3)"
#define HAS_LOGGED_IN "EXISTS (SELECT 1 FROM evidence s WHERE s.account=e.account AND s.verdict=?4)"

static int ask(sqlite3 *db, const char *sql, int64_t since_us, sqlite3_stmt **ret_statement) {
    static const int verdicts[] = {VERDICT_COUNTED, VERDICT_AFTER_BAN, VERDICT_SUCCESS,
                                   VERDICT_EXEMPT};
    int result = sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL);
    if (result != SQLITE_OK)
        return result;
    int places = sqlite3_bind_parameter_count(*ret_statement);
    sqlite3_bind_int64(*ret_statement, 1, since_us);
    for (int i = 2; i <= places; i++)
        sqlite3_bind_int(*ret_statement, i, verdicts[i - 2]);
    return SQLITE_OK;
}

static int count(sqlite3 *db, const char *sql, int64_t since_us, uint64_t *ret_count) {
    sqlite3_stmt *statement = NULL;
    int result = ask(db, sql, since_us, &statement);
    if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        *ret_count = (uint64_t)sqlite3_column_int64(statement, 0);
    int end = sqlite3_finalize(statement);
    return result == SQLITE_OK ? end : result;
}

/* Rows of a name or an address, and a number. */
#define TALLY(db, sql, since_us, rows)                                                        \
    ({                                                                                        \
        sqlite3_stmt *statement_ = NULL;                                                      \
        int result_ = ask(db, sql, since_us, &statement_);                                    \
        while (result_ == SQLITE_OK && sqlite3_step(statement_) == SQLITE_ROW)                \
            read_tally(statement_, rows_add(rows));                                           \
        int end_ = sqlite3_finalize(statement_);                                              \
        result_ == SQLITE_OK ? end_ : result_;                                                \
    })

static void read_tally(sqlite3_stmt *statement, struct row_tally *row) {
    const void *bytes = sqlite3_column_blob(statement, 0);
    size_t length = (size_t)sqlite3_column_bytes(statement, 0);
    if (sqlite3_column_type(statement, 0) == SQLITE_TEXT)
        snprintf(row->name, sizeof(row->name), "%s",
                 (const char *)sqlite3_column_text(statement, 0));
    else if (length == sizeof(row->address.at))
        memcpy(row->address.at, bytes, length);
    row->count = (uint64_t)sqlite3_column_int64(statement, 1);
}

int rows_day(sqlite3 *db, int64_t since_us, struct store_day *day) {
    int result = TALLY(db,
                       "SELECT jail,count(*) FROM history WHERE kind='ban' AND at>=?1"
                       " GROUP BY jail ORDER BY 2 DESC, 1 LIMIT 12",
                       since_us, &day->bans);
    if (result == SQLITE_OK)
        result = count(db, "SELECT count(*) FROM history WHERE kind='ban' AND at>=?1", since_us,
                       &day->bans_in_all);
    if (result == SQLITE_OK)
        result = count(db, "SELECT count(*) FROM history WHERE kind='lost' AND at>=?1", since_us,
                       &day->losses);
    if (result == SQLITE_OK)
        result = TALLY(db,
                       "SELECT account,count(DISTINCT address) FROM evidence e WHERE " FAILURES
                       " AND account<>'' AND " HAS_LOGGED_IN
                       " GROUP BY account ORDER BY 2 DESC, 1 LIMIT 3",
                       since_us, &day->attacked);
    if (result == SQLITE_OK)
        result = count(db,
                       "SELECT count(DISTINCT address) FROM evidence e WHERE " FAILURES
                       " AND account<>'' AND NOT " HAS_LOGGED_IN,
                       since_us, &day->strangers);
    if (result == SQLITE_OK)
        result = TALLY(db,
                       "SELECT address,count(*) FROM evidence WHERE at>=?1 AND verdict=?5"
                       " GROUP BY address HAVING count(*)>2 ORDER BY 2 DESC, 1 LIMIT 3",
                       since_us, &day->spared);
    return result == SQLITE_OK ? 0 : -EIO;
}
