/* Between store.c (thread and queue) and rows.c (statements) only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sqlite3.h>

#include "store/store.h"

enum statement {
    PUT_POSITION,
    DROP_POSITION, PUT_COUNTER, DROP_COUNTER, PUT_SESSION, DROP_SESSION, PUT_KNOWN, DROP_KNOWN,
    PUT_BAN, DROP_BAN, PUT_PAST, DROP_PAST, PUT_EVIDENCE, PUT_HISTORY, STATEMENTS
};

struct statements {
    sqlite3_stmt *at[STATEMENTS];
};

int rows_prepare_schema(sqlite3 *db);                       /* SQLite's codes */
int rows_prepare(sqlite3 *db, struct statements *statements);
void rows_finalize(struct statements *statements);
int rows_load(sqlite3 *db, const struct store_readers *readers, void *context);

/* One transaction. 0 or -errno with the reason; nothing is kept of it then. */
int rows_commit(sqlite3 *db, const struct statements *statements, const struct store_batch *batch,
                char *what, size_t room);
int rows_why(sqlite3 *db, const struct prefix *prefix, const char *account, uint32_t most,
             struct store_answer *answer, char *what, size_t room);
void rows_purge(sqlite3 *db, int64_t before_us);
