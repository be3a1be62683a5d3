/* Forgetting: see store.h. Rows about somebody are deleted and overwritten; names of accounts that
 * do not exist are taken out of lines that stay.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <strings.h>

#include "base/text.h"
#include "store/inside.h"

enum { BLANK_AT_ONCE = 500 };
static const char blank[] = "…";

void rows_erase(sqlite3 *db, bool on) {
    sqlite3_exec(db, on ? "PRAGMA secure_delete=ON" : "PRAGMA secure_delete=OFF", NULL, NULL, NULL);
}

void rows_erase_log(sqlite3 *db) {
    sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
}

/* ---- somebody ---- */

/* The addresses of a prefix, and what stands under the /64 of an address in it. */
static int delete_range(sqlite3 *db, const char *sql, const struct prefix *prefix) {
    sqlite3_stmt *statement = NULL;
    struct address last = rows_last_of(prefix);
    struct prefix net = prefix_cut(&prefix->address, 64);
    bool has_net = !prefix_is_v4(prefix) && prefix->length > 64;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_blob(statement, 1, prefix->address.at, sizeof(prefix->address.at), SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, last.at, sizeof(last.at), SQLITE_STATIC);
    if (sqlite3_bind_parameter_count(statement) > 2)
        sqlite3_bind_blob(statement, 3, net.address.at, has_net ? sizeof(net.address.at) : 0,
                          SQLITE_STATIC);
    result = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int delete_account(sqlite3 *db, const char *sql, const char *account) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_text(statement, 1, account, -1, SQLITE_STATIC);
    result = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int rows_forget(sqlite3 *db, const struct row_forgotten *forgotten) {
    /* Those that memory holds too are deleted by it; here are also those of jails that are off. */
    static const char *const of_addresses[] = {
        "DELETE FROM evidence WHERE address BETWEEN ? AND ?",
        "DELETE FROM known WHERE address BETWEEN ? AND ?",
        "DELETE FROM history WHERE address BETWEEN ? AND ? OR (address=? AND length=64)",
        "DELETE FROM counter WHERE address BETWEEN ? AND ? OR (address=? AND length=64)",
        "DELETE FROM past WHERE address BETWEEN ? AND ? OR (address=? AND length=64)",
        "DELETE FROM notice WHERE address BETWEEN ? AND ? OR (address=? AND length=64)",
    };
    static const char *const of_accounts[] = {"DELETE FROM evidence WHERE account=?",
                                              "DELETE FROM notice WHERE about=?",
                                              "DELETE FROM use WHERE account=?"};
    int result = SQLITE_OK;
    for (size_t i = 0;
         !forgotten->has_prefix && i < ELEMENTS_OF(of_accounts) && result == SQLITE_OK; i++)
        result = delete_account(db, of_accounts[i], forgotten->account);
    if (!forgotten->has_prefix)
        return result;
    for (size_t i = 0; i < ELEMENTS_OF(of_addresses) && result == SQLITE_OK; i++)
        result = delete_range(db, of_addresses[i], &forgotten->prefix);
    return result;
}

/* ---- names that are nobody's ---- */

static bool is_word(unsigned char c) {
    return isalnum(c) || c == '_';
}

/* The line without the name; empty when the name is not found in it as it was written, for it may
 * be there in another spelling. */
static void blank_name(struct text *line, const char *text, const char *name) {
    size_t length = strlen(name);
    size_t blanked = 0;
    const char *at = text;
    while (*at) {
        bool is_begin = at == text || !is_word((unsigned char)at[-1]) ||
                        !is_word((unsigned char)name[0]);
        if (is_begin && strncasecmp(at, name, length) == 0 &&
            (!is_word((unsigned char)name[length - 1]) || !is_word((unsigned char)at[length]))) {
            text_add(line, span_of(blank));
            at += length;
            blanked++;
        } else {
            text_add(line, (struct span){at++, 1});
        }
    }
    if (!blanked)
        text_clear(line);
}

static int blank_row(sqlite3_stmt *update, sqlite3_stmt *row) {
    cleanup_text struct text line = {0};
    blank_name(&line, (const char *)sqlite3_column_text(row, 1),
               (const char *)sqlite3_column_text(row, 2));
    sqlite3_bind_text(update, 1, line.length ? line.at : "", (int)line.length, SQLITE_TRANSIENT);
    sqlite3_bind_int64(update, 2, sqlite3_column_int64(row, 0));
    int result = sqlite3_step(update);
    sqlite3_reset(update);
    return result;
}

/* Some hundred at a time, so that commits do not wait for long. */
static bool blank_some(sqlite3 *db, sqlite3_stmt *select, sqlite3_stmt *update, int64_t before_us) {
    int rows = 0;
    int result = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    sqlite3_bind_int64(select, 1, before_us);
    sqlite3_bind_int(select, 2, BLANK_AT_ONCE);
    while (result == SQLITE_OK && sqlite3_step(select) == SQLITE_ROW) {
        rows++;
        if (blank_row(update, select) != SQLITE_DONE)
            result = SQLITE_ERROR;
    }
    sqlite3_reset(select);
    sqlite3_exec(db, result == SQLITE_OK ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    return result == SQLITE_OK && rows == BLANK_AT_ONCE;
}

void rows_blank_names(sqlite3 *db, int64_t before_us) {
    sqlite3_stmt *select = NULL;
    sqlite3_stmt *update = NULL;
    if (sqlite3_prepare_v2(db,
                           "SELECT id,text,account FROM evidence"
                           " WHERE unknown=1 AND account<>'' AND at<? LIMIT ?",
                           -1, &select, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "UPDATE evidence SET account='',text=? WHERE id=?", -1, &update,
                           NULL) == SQLITE_OK)
        while (blank_some(db, select, update, before_us))
            ;
    sqlite3_finalize(select);
    sqlite3_finalize(update);
}
