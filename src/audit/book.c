/* One JSON object in STATE/audit/book, replaced by a rename:
 *   {"last": time, "grade": "B", "found": [{"id", "since"}], "told": [{"id", "since"}],
 *    "accepted": [{"id", "why", "since"}]}      times in microseconds
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/book.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "audit/book_inside.h"
#include "base/files.h"
#include "base/log.h"
#include "control/json.h"

enum { BOOK_MOST_BYTES = 8 << 20, LISTS = 3 };

struct entry {
    const char *id, *why;
    int64_t since_us;
};

struct list {
    struct entry *at;
    size_t count;
};

enum { FOUND, TOLD, ACCEPTED };
static const char *const list_names[LISTS] = {"found", "told", "accepted"};

struct book {
    struct keep keep;
    char folder[4200];
    int fd;
    struct list lists[LISTS];
    int64_t last_us;
    char grade;
};

/* ---- lists ---- */

static const struct entry *find(const struct list *list, const char *id) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].id, id) == 0)
            return &list->at[i];
    return NULL;
}

static void add(struct book *book, int which, const char *id, const char *why, int64_t since_us) {
    struct list *list = &book->lists[which];
    list->at = keep_grown(&book->keep, list->at, list->count, sizeof(*list->at));
    list->at[list->count++] = (struct entry){keep_text(&book->keep, span_of(id)),
                                             keep_text(&book->keep, span_of(why)), since_us};
}

static bool take_out(struct list *list, const char *id) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].id, id) == 0) {
            list->at[i] = list->at[--list->count];
            return true;
        }
    return false;
}

/* ---- the file ---- */

static int open_folder(struct book *book, const char *state_folder, struct why *reterr_why) {
    struct stat status;
    snprintf(book->folder, sizeof(book->folder), "%s/audit", state_folder);
    if (mkdir(state_folder, 0700) < 0 && errno != EEXIST) /* before hauberkd ever ran */
        return why_set(reterr_why, -errno, state_folder, 0, "cannot be made: %s", strerror(errno));
    if (mkdir(book->folder, 0700) < 0 && errno != EEXIST)
        return why_set(reterr_why, -errno, book->folder, 0, "cannot be made: %s", strerror(errno));
    book->fd = open(book->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (book->fd < 0 || fstat(book->fd, &status) < 0)
        return why_set(reterr_why, -errno, book->folder, 0, "cannot be opened: %s",
                       strerror(errno));
    if (status.st_uid != geteuid() || (status.st_mode & 022))
        return why_set(reterr_why, -EACCES, book->folder, 0,
                       "must be a folder of user %d that nobody else may write to; remove it",
                       (int)geteuid());
    return 0;
}

int book_read_file(const struct book *book, const char *name, struct text *text) {
    cleanup_close int fd = openat(book->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : file_read_fd(fd, BOOK_MOST_BYTES, text);
}

int book_write_file(const struct book *book, const char *name, struct span bytes,
                    struct why *reterr_why) {
    char coming[64];
    snprintf(coming, sizeof(coming), "%s.new", name);
    cleanup_close int fd = openat(book->fd, coming,
                                  O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = fd < 0 ? -errno : write_all(fd, bytes);
    if (error >= 0 && (fsync(fd) < 0 || renameat(book->fd, coming, book->fd, name) < 0))
        error = -errno;
    return error < 0 ? why_set(reterr_why, error, book->folder, 0, "%s cannot be written: %s", name,
                               strerror(-error))
                     : 0;
}

static void read_list(struct book *book, int which, const js *rows) {
    for (size_t i = 0; i < js_count(rows); i++) {
        const js *row = js_at(rows, i);
        const char *id = js_string(row, "id", "");
        if (id[0])
            add(book, which, id, js_string(row, "why", ""), js_number(row, "since", 0));
    }
}

static void read_book(struct book *book) {
    cleanup_text struct text text = {0};
    int error = book_read_file(book, "book", &text);
    if (error == -ENOENT)
        return;
    cleanup_js js *all = error < 0 ? NULL : js_parse(text_span(&text));
    if (!all) {
        (void)renameat(book->fd, "book", book->fd, "book.broken");
        log_warning("%s/book cannot be read (%s); it is now book.broken, and a new one begins",
                    book->folder, error < 0 ? strerror(-error) : "no JSON");
        return;
    }
    for (int i = 0; i < LISTS; i++)
        read_list(book, i, js_get(all, list_names[i]));
    book->last_us = js_number(all, "last", 0);
    book->grade = js_string(all, "grade", "-")[0];
}

int book_open(const char *state_folder, struct book **ret_book, struct why *reterr_why) {
    struct book *book = calloc(1, sizeof(*book));
    must(book);
    book->fd = -1;
    book->grade = '-';
    int error = open_folder(book, state_folder, reterr_why);
    if (error < 0) {
        book_close(book);
        return error;
    }
    read_book(book);
    *ret_book = book;
    return 0;
}

struct book *book_close(struct book *book) {
    if (book) {
        cleanup_close_fd(&book->fd);
        keep_free(&book->keep);
    }
    free(book);
    return NULL;
}

int book_save(struct book *book, struct why *reterr_why) {
    cleanup_js js *all = js_object();
    cleanup_text struct text text = {0};
    char grade[2] = {book->grade, '\0'};
    js_set_number(all, "last", book->last_us);
    js_set_string(all, "grade", grade);
    for (int i = 0; i < LISTS; i++) {
        js *rows = js_array();
        for (size_t j = 0; j < book->lists[i].count; j++) {
            const struct entry *entry = &book->lists[i].at[j];
            js *row = js_object();
            js_set_string(row, "id", entry->id);
            js_set_number(row, "since", entry->since_us);
            if (entry->why[0])
                js_set_string(row, "why", entry->why);
            js_append(rows, row);
        }
        js_set(all, list_names[i], rows);
    }
    js_write(all, true, &text);
    return book_write_file(book, "book", text_span(&text), reterr_why);
}

const char *book_folder(const struct book *book) {
    return book->folder;
}

/* ---- accepted risks ---- */

void book_accept(struct book *book, const char *id, const char *why, int64_t now_us) {
    (void)take_out(&book->lists[ACCEPTED], id);
    add(book, ACCEPTED, id, why, now_us);
}

bool book_withdraw(struct book *book, const char *id) {
    return take_out(&book->lists[ACCEPTED], id);
}

/* ---- this run and the ones before ---- */

void book_mark(const struct book *book, struct judgement *judgement, int64_t now_us) {
    for (size_t i = 0; i < judgement->count; i++) {
        struct judged *judged = &judgement->at[i];
        const struct entry *found = book ? find(&book->lists[FOUND], judged->rule->id) : NULL;
        const struct entry *accepted = book ? find(&book->lists[ACCEPTED], judged->rule->id) : NULL;
        judged->is_new = judged->outcome == OUTCOME_FOUND && !found;
        judged->since_us = found ? found->since_us : now_us;
        judged->accepted_why = accepted ? accepted->why : NULL;
        judged->accepted_us = accepted ? accepted->since_us : 0;
    }
}

static bool is_over(const struct judgement *judgement, const char *id) {
    for (size_t i = 0; i < judgement->count; i++)
        if (strcmp(judgement->at[i].rule->id, id) == 0)
            return judgement->at[i].outcome == OUTCOME_PASSED ||
                   judgement->at[i].outcome == OUTCOME_NOT_ASKED;
    return true;
}

static void each_over(const struct list *list, const struct judgement *judgement,
                      book_gone_fn *each, void *context) {
    for (size_t i = 0; i < list->count; i++)
        if (is_over(judgement, list->at[i].id))
            each(context, list->at[i].id, list->at[i].since_us);
}

void book_each_gone(const struct book *book, const struct judgement *judgement, book_gone_fn *each,
                    void *context) {
    each_over(&book->lists[FOUND], judgement, each, context);
}

void book_each_mended(const struct book *book, const struct judgement *judgement,
                      book_gone_fn *each, void *context) {
    each_over(&book->lists[TOLD], judgement, each, context);
}

/* The list becomes what is found now; what could not be looked at keeps its place. */
static void renew(struct book *book, int which, const struct judgement *judgement) {
    const struct list old = book->lists[which];
    book->lists[which] = (struct list){0};
    for (size_t i = 0; i < judgement->count; i++) {
        const struct judged *judged = &judgement->at[i];
        if (judged->outcome == OUTCOME_FOUND ||
            (judged->outcome == OUTCOME_NOT_LOOKED && find(&old, judged->rule->id)))
            add(book, which, judged->rule->id, "", judged->since_us);
    }
}

void book_take(struct book *book, const struct judgement *judgement, int64_t now_us) {
    renew(book, FOUND, judgement);
    book->last_us = now_us;
    book->grade = judgement->grade;
}

int64_t book_last_us(const struct book *book) {
    return book->last_us;
}

char book_last_grade(const struct book *book) {
    return book->grade;
}

/* ---- what the owner was mailed ---- */

static void count_one(void *context, const char *id, int64_t since_us) {
    (void)id, (void)since_us;
    ++*(size_t *)context;
}

bool book_was_told(const struct book *book, const char *id) {
    return find(&book->lists[TOLD], id) != NULL;
}

bool book_has_news(const struct book *book, const struct judgement *judgement) {
    size_t count = 0;
    book_each_mended(book, judgement, count_one, &count);
    for (size_t i = 0; i < judgement->count; i++)
        count += judgement->at[i].outcome == OUTCOME_FOUND && !judgement->at[i].accepted_why &&
                 !book_was_told(book, judgement->at[i].rule->id);
    return count > 0;
}

void book_tell(struct book *book, const struct judgement *judgement) {
    renew(book, TOLD, judgement);
}
