/* The store: see store.h. Here are the thread, its queue, opening and closing; the statements are
 * in rows.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "store/inside.h"

enum { JOBS_MAX = 64, RETRY_SECONDS = 1 };

enum job_kind { JOB_COMMIT, JOB_WHY, JOB_DAY, JOB_PURGE };

struct job {
    struct job *next;
    enum job_kind kind;
    struct store_batch *batch;
    store_done_fn *done;
    store_answer_fn *answered;
    void *context;
    bool has_prefix;
    struct prefix prefix;
    char account[97];
    uint32_t most;
    int64_t before_us, names_before_us; /* of a day: since when */
    struct store_answer answer;
    store_day_fn *told_day;
    struct store_day day;
    int error; /* of a commit; it is tried again unless 0 */
    char what[200];
};

struct store {
    sqlite3 *db;
    struct statements statements;
    struct load load;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, **last;         /* to do */
    struct job *done_first, **done_last;
    uint32_t waiting;
    bool is_committing, is_closing;
    int event_fd;
};

struct store_batch *store_batch_new(void) {
    struct store_batch *batch = calloc(1, sizeof(*batch));
    must(batch);
    return batch;
}

struct store_batch *store_batch_free(struct store_batch *batch) {
    if (!batch)
        return NULL;
    free(batch->forgotten.at);
    free(batch->positions.at);
    free(batch->counters.at);
    free(batch->joins.at);
    free(batch->bursts.at);
    free(batch->known.at);
    free(batch->uses.at);
    free(batch->bans.at);
    free(batch->past.at);
    free(batch->spared.at);
    free(batch->evidence.at);
    free(batch->history.at);
    free(batch->notices.at);
    free(batch->sights.at);
    for (size_t i = 0; i < batch->facts.count; i++)
        free(batch->facts.at[i].value);
    free(batch->facts.at);
    free(batch);
    return NULL;
}

static void free_answer(struct store_answer *answer) {
    for (size_t i = 0; i < answer->evidence.count; i++)
        free((char *)(uintptr_t)answer->evidence.at[i].jail);
    for (size_t i = 0; i < answer->history.count; i++)
        free((char *)(uintptr_t)answer->history.at[i].jail);
    free(answer->evidence.at);
    free(answer->history.at);
}

static void free_job(struct job *job) {
    store_batch_free(job->batch);
    free_answer(&job->answer);
    free(job->day.bans.at);
    free(job->day.attacked.at);
    free(job->day.spared.at);
    free(job);
}

/* ---- the thread ---- */

static void push_done(struct store *store, struct job *job) {
    job->next = NULL;
    *store->done_last = job;
    store->done_last = &job->next;
    uint64_t one = 1;
    ssize_t written may_be_unused = write(store->event_fd, &one, sizeof(one));
}

/* A refusal is told at once, by a job of its own; the batch stays first in the queue. */
static void push_refusal(struct store *store, const struct job *job) {
    struct job *refusal = calloc(1, sizeof(*refusal));
    must(refusal);
    refusal->kind = JOB_COMMIT;
    refusal->done = job->done;
    refusal->context = job->context;
    refusal->error = job->error;
    memcpy(refusal->what, job->what, sizeof(job->what));
    push_done(store, refusal);
}

static void wait_a_second(struct store *store) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until); /* the wall clock may be set back meanwhile */
    until.tv_sec += RETRY_SECONDS;
    while (!store->is_closing &&
           pthread_cond_timedwait(&store->wake, &store->lock, &until) != ETIMEDOUT)
        ;
}

static void work(struct store *store, struct job *job) {
    if (job->kind == JOB_COMMIT) {
        job->error = rows_commit(store->db, &store->statements, job->batch, job->what,
                                 sizeof(job->what));
    } else if (job->kind == JOB_WHY) {
        job->answer.error = rows_why(store->db, job->has_prefix ? &job->prefix : NULL,
                                     job->account, job->most, &job->answer, job->what,
                                     sizeof(job->what));
        job->answer.what = job->what;
    } else if (job->kind == JOB_DAY) {
        job->day.error = rows_day(store->db, job->before_us, &job->day);
    } else {
        rows_purge(store->db, job->before_us, job->names_before_us);
    }
}

static void *run(void *argument) {
    struct store *store = argument;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        while (!store->first && !store->is_closing)
            pthread_cond_wait(&store->wake, &store->lock);
        struct job *job = store->first;
        if (!job)
            break;
        pthread_mutex_unlock(&store->lock);
        work(store, job);
        pthread_mutex_lock(&store->lock);
        bool is_again = job->kind == JOB_COMMIT && job->error < 0 && !store->is_closing;
        if (is_again) {
            push_refusal(store, job);
            wait_a_second(store);
            continue;
        }
        store->first = job->next;
        if (!store->first)
            store->last = &store->first;
        store->waiting--;
        push_done(store, job);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static struct job *new_job(enum job_kind kind) {
    struct job *job = calloc(1, sizeof(*job));
    must(job);
    job->kind = kind;
    return job;
}

static void push_job(struct store *store, struct job *job) {
    pthread_mutex_lock(&store->lock);
    *store->last = job;
    store->last = &job->next;
    store->waiting++;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

/* ---- opening ---- */

static int open_database(const char *path, sqlite3 **ret_db, struct why *reterr_why) {
    sqlite3 *db = NULL;
    int result = sqlite3_open_v2(path, &db,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                 NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(db,
                              "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                              "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;",
                              NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = rows_prepare_schema(db);
    if (result != SQLITE_OK) {
        why_set(reterr_why, result == SQLITE_NOTADB || result == SQLITE_CORRUPT ? -EBADMSG : -EIO,
                path, 0, "the database cannot be opened: %s",
                result == SQLITE_MISMATCH ? "a newer hauberk made it" : sqlite3_errmsg(db));
        int error = result == SQLITE_NOTADB || result == SQLITE_CORRUPT ? -EBADMSG : -EIO;
        sqlite3_close(db);
        return error;
    }
    *ret_db = db;
    return 0;
}

static int set_aside(const char *path) {
    char aside[512];
    char extra[512];
    char extra_aside[512];
    static const char *const companions[] = {"-wal", "-shm"};
    snprintf(aside, sizeof(aside), "%.400s.damaged-%lld", path,
             (long long)(clock_now_us() / SECOND_US));
    if (rename(path, aside) < 0)
        return -errno;
    for (size_t i = 0; i < ELEMENTS_OF(companions); i++) {
        snprintf(extra, sizeof(extra), "%.400s%s", path, companions[i]);
        snprintf(extra_aside, sizeof(extra_aside), "%.450s%s", aside, companions[i]);
        if (rename(extra, extra_aside) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

int store_open(const char *state_folder, struct store **ret_store, bool *ret_was_damaged,
               struct why *reterr_why) {
    char path[400];
    snprintf(path, sizeof(path), "%.380s/hauberk.db", state_folder);
    sqlite3 *db = NULL;
    int error = open_database(path, &db, reterr_why);
    *ret_was_damaged = error == -EBADMSG;
    if (error == -EBADMSG) {
        error = set_aside(path);
        if (error < 0)
            return why_set(reterr_why, error, path, 0,
                           "is damaged and cannot be set aside; move it away by hand");
        error = open_database(path, &db, reterr_why);
    }
    if (error < 0)
        return error;
    struct store *store = calloc(1, sizeof(*store));
    must(store);
    store->db = db;
    store->last = &store->first;
    store->done_last = &store->done_first;
    store->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(store->event_fd >= 0);
    if (rows_prepare(db, &store->statements) != SQLITE_OK) {
        why_set(reterr_why, -EIO, path, 0, "a statement does not compile: %s",
                sqlite3_errmsg(db));
        sqlite3_close(db);
        cleanup_close_fd(&store->event_fd);
        free(store);
        return -EIO;
    }
    must(pthread_mutex_init(&store->lock, NULL) == 0);
    pthread_condattr_t monotonic;
    must(pthread_condattr_init(&monotonic) == 0);
    must(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&store->wake, &monotonic) == 0);
    must(pthread_condattr_destroy(&monotonic) == 0);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
    must(pthread_create(&store->thread, NULL, run, store) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    *ret_store = store;
    return 0;
}

struct store *store_close(struct store *store) {
    if (!store)
        return NULL;
    pthread_mutex_lock(&store->lock);
    store->is_closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    while (store->done_first) {
        struct job *job = store->done_first;
        store->done_first = job->next;
        free_job(job);
    }
    rows_load_end(&store->load);
    rows_finalize(&store->statements);
    sqlite3_close(store->db);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    cleanup_close_fd(&store->event_fd);
    free(store);
    return NULL;
}

int store_load(struct store *store, uint32_t most, const struct store_readers *readers,
               void *context, struct why *reterr_why) {
    int result = rows_load(store->db, &store->load, most, readers, context);
    if (result == SQLITE_ROW || result == SQLITE_DONE)
        return result == SQLITE_ROW;
    const char *path = sqlite3_db_filename(store->db, "main");
    if (result != SQLITE_CORRUPT && result != SQLITE_NOTADB)
        return why_set(reterr_why, -EIO, path, 0, "cannot be read: %s",
                       sqlite3_errmsg(store->db));
    why_set(reterr_why, -EBADMSG, path, 0, "is damaged (%s) and was set aside; the next start "
            "begins a new one", sqlite3_errmsg(store->db));
    int error = set_aside(path);
    return error < 0 ? error : -EBADMSG;
}

int store_fd(const struct store *store) {
    return store->event_fd;
}

bool store_is_busy(const struct store *store) {
    return store->is_committing;
}

int store_commit(struct store *store, struct store_batch *batch, store_done_fn *done,
                 void *context) {
    if (store->is_committing)
        return -EBUSY;
    struct job *job = new_job(JOB_COMMIT);
    job->batch = batch;
    job->done = done;
    job->context = context;
    store->is_committing = true;
    push_job(store, job);
    return 0;
}

static bool has_too_many(struct store *store) {
    pthread_mutex_lock(&store->lock);
    bool is_full = store->waiting >= JOBS_MAX;
    pthread_mutex_unlock(&store->lock);
    return is_full;
}

int store_why(struct store *store, const struct prefix *prefix, struct span account,
              uint32_t most, store_answer_fn *done, void *context) {
    if (has_too_many(store))
        return -EAGAIN;
    struct job *job = new_job(JOB_WHY);
    job->has_prefix = prefix != NULL;
    if (prefix)
        job->prefix = *prefix;
    safe_copy(job->account, sizeof(job->account), account);
    job->most = most;
    job->answered = done;
    job->context = context;
    push_job(store, job);
    return 0;
}

int store_ask_day(struct store *store, int64_t since_us, store_day_fn *done, void *context) {
    if (has_too_many(store))
        return -EAGAIN;
    struct job *job = new_job(JOB_DAY);
    job->before_us = since_us;
    job->told_day = done;
    job->context = context;
    push_job(store, job);
    return 0;
}

void store_purge(struct store *store, int64_t before_us, int64_t names_before_us) {
    struct job *job = new_job(JOB_PURGE);
    job->before_us = before_us;
    job->names_before_us = names_before_us;
    push_job(store, job);
}

void store_finished(struct store *store) {
    uint64_t count;
    ssize_t got may_be_unused = read(store->event_fd, &count, sizeof(count));
    pthread_mutex_lock(&store->lock);
    struct job *done = store->done_first;
    store->done_first = NULL;
    store->done_last = &store->done_first;
    pthread_mutex_unlock(&store->lock);
    while (done) {
        struct job *job = done;
        done = job->next;
        if (job->kind == JOB_COMMIT && job->error == 0)
            store->is_committing = false;
        if (job->done)
            job->done(job->context, job->error, job->what);
        if (job->answered)
            job->answered(job->context, &job->answer);
        if (job->told_day)
            job->told_day(job->context, &job->day);
        free_job(job);
    }
}
