/* Between store.c (thread and queue) and rows.c (statements) only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sqlite3.h>

#include "store/store.h"

enum statement {
    PUT_POSITION, DROP_POSITION, PUT_COUNTER, DROP_COUNTER, PUT_BURST, DROP_BURST, PUT_SESSION,
    DROP_SESSION, PUT_KNOWN, DROP_KNOWN, PUT_USE, DROP_USE, PUT_BAN, DROP_BAN, PUT_PAST, DROP_PAST,
    PUT_SPARED, DROP_SPARED, PUT_FACT, PUT_EVIDENCE, PUT_HISTORY, PUT_NOTICE, PUT_SIGHT, STATEMENTS
};

struct statements {
    sqlite3_stmt *at[STATEMENTS];
};

int rows_prepare_schema(sqlite3 *db);                       /* SQLite's codes */
int rows_prepare(sqlite3 *db, struct statements *statements);
void rows_finalize(struct statements *statements);

/* Where reading at start stands: a table, and the statement that goes through it. */
struct load {
    uint32_t table;
    sqlite3_stmt *statement;
};
/* SQLITE_ROW: there is more. SQLITE_DONE: that was all. */
int rows_load(sqlite3 *db, struct load *load, uint32_t most, const struct store_readers *readers,
              void *context);
void rows_load_end(struct load *load);

/* One transaction. 0 or -errno with the reason; nothing is kept of it then. */
int rows_commit(sqlite3 *db, const struct statements *statements, const struct store_batch *batch,
                char *what, size_t room);
int rows_why(sqlite3 *db, const struct prefix *prefix, const char *account, uint32_t most,
             struct store_answer *answer, char *what, size_t room);
/* day.c */
int rows_day(sqlite3 *db, int64_t since_us, struct store_day *day); /* 0 or -errno */
void rows_purge(sqlite3 *db, int64_t before_us, int64_t names_before_us);
struct address rows_last_of(const struct prefix *prefix);

/* forget.c */
int rows_forget(sqlite3 *db, const struct row_forgotten *forgotten); /* SQLite's codes */
/* What is deleted from here on is overwritten, not only unlinked. */
void rows_erase(sqlite3 *db, bool on);
/* Empties the log of older pages, too, as far as nobody reads. */
void rows_erase_log(sqlite3 *db);
void rows_blank_names(sqlite3 *db, int64_t before_us);
