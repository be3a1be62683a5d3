/* What outlives the process: SQLite (WAL, synchronous=FULL), written by one thread.
 *
 * The decider never waits for the disk. It loads everything once at start, in slices; afterwards it
 * hands over batches, one at a time, and is told through a descriptor when they are durable. A
 * batch is one transaction: positions and what reading up to them did stand or fall together. If
 * the disk refuses (full, failing), the batch is kept and tried again each second; what changes
 * meanwhile waits as dirty keys, which are bounded by the tables they name.
 *
 * Rows name jails and sources by text, because their numbers are a configuration's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/spared.h"
#include "ledger/bursts.h"
#include "ledger/joins.h"
#include "ledger/known.h"
#include "ledger/uses.h"
#include "notify/notices.h"
#include "notify/sight.h"
#include "wire/wire.h"

struct store;

enum { JAILS_TEXT_MAX = 2048 };

struct row_position {
    char source[257];
    char jails[JAILS_TEXT_MAX]; /* the names of those that read it, a blank between them */
    bool is_gone;
    struct wire_position position;
    uint64_t lost; /* bytes gone before they were read, ever */
    int64_t read_until_us, takes_over_us; /* desk.h */
};

struct row_counter {
    const char *jail; /* borrowed */
    bool is_gone;
    struct counter counter;
};

struct row_join {
    bool is_gone;
    struct join join;
};

struct row_burst {
    bool is_gone;
    struct burst burst;
};

struct row_known {
    bool is_gone;
    struct known_entry entry;
};

struct row_use {
    bool is_gone;
    struct use use;
};

struct row_ban {
    const char *jail;  /* borrowed */
    const char *scope; /* borrowed */
    bool is_gone;
    struct ban ban;
};

struct row_past {
    const char *jail;
    bool is_gone;
    struct past past;
};

struct row_spared {
    bool is_gone;
    struct spared entry;
};

struct row_evidence {
    char source[257]; /* "" none */
    const char *jail; /* borrowed when written; see store_why */
    uint8_t verdict;
    bool no_such_account;
    uint64_t ordinal;
    int64_t at_us;
    struct prefix id;
    struct address address;
    char account[97];
    char text[257];
};

/* One thing to be remembered, by its name. */
struct row_fact {
    char name[16];
    char *value; /* owned */
};

/* What happened to a ban, or was done by a person, for ever (90 days). */
struct row_history {
    int64_t at_us;
    char kind[16]; /* "ban", "unban", "end", "lost", "note" */
    const char *jail;
    struct prefix id;
    int64_t until_us;
    char text[BAN_REASON_MAX];
};

struct row_sight {
    const char *jail; /* borrowed */
    struct sight sight;
};

/* Somebody is to be forgotten: everything kept about the addresses of a prefix but a ban in force,
 * or every line with that account. */
struct row_forgotten {
    bool has_prefix;
    struct prefix prefix;
    char account[97];
};

#define ROWS(type)          \
    struct {                \
        struct type *at;    \
        size_t count, room; \
    }

/* What is forgotten goes first: rows of the same batch are newer. */
struct store_batch {
    ROWS(row_forgotten) forgotten;
    ROWS(row_position) positions;
    ROWS(row_counter) counters;
    ROWS(row_join) joins;
    ROWS(row_burst) bursts;
    ROWS(row_known) known;
    ROWS(row_use) uses;
    ROWS(row_ban) bans;
    ROWS(row_past) past;
    ROWS(row_spared) spared;
    ROWS(row_evidence) evidence;
    ROWS(row_history) history;
    ROWS(notice) notices;
    ROWS(row_sight) sights;
    ROWS(row_fact) facts;
};

/* Room for one more row at the end of `rows`; the row is zeroed. */
#define rows_add(rows)                                                                        \
    ({                                                                                        \
        if ((rows)->count == (rows)->room) {                                                  \
            (rows)->room = (rows)->room ? (rows)->room * 2 : 32;                              \
            (rows)->at = realloc((rows)->at, (rows)->room * sizeof(*(rows)->at));             \
            must((rows)->at);                                                                 \
        }                                                                                     \
        memset(&(rows)->at[(rows)->count], 0, sizeof(*(rows)->at));                           \
        &(rows)->at[(rows)->count++];                                                         \
    })

struct store_batch *store_batch_new(void);
struct store_batch *store_batch_free(struct store_batch *batch);

/* Opens or makes STATE/hauberk.db, brings its schema up to date and starts the thread. A damaged
 * database is set aside as hauberk.db.damaged-TIME and a new one begun (*ret_was_damaged). */
must_use int store_open(const char *state_folder, struct store **ret_store,
                        bool *ret_was_damaged, struct why *reterr_why);
/* Finishes what is queued. */
struct store *store_close(struct store *store);

/* Everything stored, in any order. Text is good during the call. */
struct store_readers {
    void (*position)(void *context, const struct row_position *row);
    void (*counter)(void *context, const struct row_counter *row);
    void (*burst)(void *context, const struct row_burst *row);
    void (*join)(void *context, const struct row_join *row);
    void (*known)(void *context, const struct row_known *row);
    void (*use)(void *context, const struct row_use *row);
    void (*ban)(void *context, const struct row_ban *row);
    void (*past)(void *context, const struct row_past *row);
    void (*unban)(void *context, const struct row_history *row); /* of the last week */
    void (*spared)(void *context, const struct row_spared *row); /* before any ban */
    void (*notice)(void *context, const struct notice *notice);  /* the newest */
    void (*sight)(void *context, const struct row_sight *row);
    void (*fact)(void *context, const char *name, const char *value);
};
/* Reads on, `most` rows at a time, so that whoever loads can answer others in between. 1: there is
 * more; 0: that was all, and only now may anything be committed or asked. -EBADMSG: damaged; it was
 * set aside, and the next store_open() begins a new one. */
must_use int store_load(struct store *store, uint32_t most, const struct store_readers *readers,
                        void *context, struct why *reterr_why);

/* Readable when something is finished; store_finished() then calls back. */
int store_fd(const struct store *store);

typedef void store_done_fn(void *context, int error, const char *what);

/* Takes the batch. At most one commit at a time: -EBUSY. `done` is called (from store_finished())
 * with 0, or with -errno and the reason each time the disk refuses; the batch is then kept and
 * tried again, and done(0) comes in the end. */
must_use int store_commit(struct store *store, struct store_batch *batch, store_done_fn *done,
                          void *context);
bool store_is_busy(const struct store *store);
void store_finished(struct store *store);

/* Evidence and history of what overlaps the prefix, or of an account (prefix NULL), oldest first,
 * the newest `most` of each. Answered behind queued commits. The rows' jail texts are owned by the
 * answer and good during the call of `done`. -EAGAIN: too many questions wait. */
struct store_answer {
    int error;
    const char *what;
    ROWS(row_evidence) evidence;
    ROWS(row_history) history;
};
typedef void store_answer_fn(void *context, const struct store_answer *answer);
must_use int store_why(struct store *store, const struct prefix *prefix, struct span account,
                       uint32_t most, store_answer_fn *done, void *context);

/* What happened since then, in numbers, for the summary; asked and answered like store_why(). */
struct row_tally {
    char name[97]; /* a jail, or an account that has logged in */
    struct address address;
    uint64_t count;
};
struct store_day {
    int error;
    ROWS(row_tally) bans;     /* by jail, most first */
    ROWS(row_tally) attacked; /* accounts, by the addresses that failed on them */
    ROWS(row_tally) spared;   /* exempt addresses, by their failures */
    uint64_t bans_in_all, strangers, losses;
};
typedef void store_day_fn(void *context, const struct store_day *day);
must_use int store_ask_day(struct store *store, int64_t since_us, store_day_fn *done,
                           void *context);

/* Removes evidence, notices and history older than that, and from younger evidence the names of
 * accounts that do not exist, when they are older than names_before_us: a password typed as a name
 * is one. Queued like a question. */
void store_purge(struct store *store, int64_t before_us, int64_t names_before_us);
