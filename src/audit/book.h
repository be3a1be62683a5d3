/* What the audit remembers between two runs: since when something is found, what the owner was
 * mailed, and which risks he accepted and why. A folder of root's own, STATE/audit: the rest of the
 * state folder belongs to the decider, who must not lead root's pen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/judge.h"

struct book;

/* Opens it; makes the folder if it is not there. -EACCES: not ours to keep, with the reason. A book
 * that cannot be read is put aside and said. */
must_use int book_open(const char *state_folder, struct book **ret_book, struct why *reterr_why);
struct book *book_close(struct book *book); /* saves nothing; returns NULL; NULL is fine */
must_use int book_save(struct book *book, struct why *reterr_why);

/* Where it lies: what may be written while everything else is closed. */
const char *book_folder(const struct book *book);

void book_accept(struct book *book, const char *id, const char *why, int64_t now_us);
bool book_withdraw(struct book *book, const char *id); /* false: it was not accepted */

/* Fills since_us, is_new and accepted_… of each judged from the book; what is found now and was not
 * at the last run is new. NULL: everything is new since now_us, nothing accepted. */
void book_mark(const struct book *book, struct judgement *judgement, int64_t now_us);

/* What the last run found and this one passed or no longer asks: calls `each` with the rule's id
 * (which may have gone with the rule). */
typedef void book_gone_fn(void *context, const char *id, int64_t since_us);
void book_each_gone(const struct book *book, const struct judgement *judgement, book_gone_fn *each,
                    void *context);

/* This run becomes the last one. What could not be looked at stays as it was. */
void book_take(struct book *book, const struct judgement *judgement, int64_t now_us);
int64_t book_last_us(const struct book *book); /* 0: there was none */
char book_last_grade(const struct book *book); /* '-' */

/* The same against what the owner was mailed last. */
bool book_has_news(const struct book *book, const struct judgement *judgement);
bool book_was_told(const struct book *book, const char *id);
void book_each_mended(const struct book *book, const struct judgement *judgement,
                      book_gone_fn *each, void *context);
void book_tell(struct book *book, const struct judgement *judgement);

/* ---- how fast the disks fill ---- */

/* Keeps how much is used today, and adds pace.days_left for each file system that was looked at
 * three days ago or before: in how many days it is full, 9999 when it does not grow. */
must_use int pace_take(const struct book *book, struct readings *readings, int64_t now_us,
                       struct why *reterr_why);

/* ---- the accepted state of the machine ---- */

/* Keeps a digest of every reading that a person decides about (baseline.c names the families). */
must_use int baseline_accept(const struct book *book, struct readings *readings, int64_t now_us,
                             struct why *reterr_why);
/* Adds drift.accepted (when, or "never") and drift.changed for each reading that is otherwise, gone
 * or new since. What could not be looked at is not judged. */
void baseline_compare(const struct book *book, struct readings *readings);
