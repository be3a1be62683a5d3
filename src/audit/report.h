/* A judgement as people and programs read it. What the book knows (since when, new, accepted) has
 * been marked before (audit/book.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/book.h"
#include "control/json.h"

struct report {
    const struct judgement *judgement;
    const struct book *book; /* NULL: nothing is remembered */
    const char *host;
    int64_t now_us;
};

enum { FIRST_THINGS = 3 };
/* The n-th thing to do first: the gravest findings that nobody accepted. NULL: there are no more.
 */
const struct judged *report_first(const struct report *report, unsigned n);
/* How many findings of that severity nobody accepted. */
unsigned report_count(const struct report *report, enum severity severity);
unsigned report_count_accepted(const struct report *report);
/* Is it the first of its service that `shows` something? For grouping. */
bool report_begins_service(const struct report *report, size_t index);

/* {host, at, score, grade, passed, findings: [{id, service, severity, title, why, breaks, evidence,
 * fix, sources, harmful, usage, since, new, accepted}], mended: [id], skipped: [{id, reason}]};
 * evidence and fix are arrays of lines, accepted is null or {why, at}. */
js *report_json(const struct report *report);

/* For a terminal: the grade, three things to do first, then the findings by service, the gravest
 * first, the accepted ones, and what could not be looked at; with shows_all also what passed. */
void report_text(const struct report *report, bool shows_all, struct text *text);
/* Only what is otherwise than at the last run. */
void report_changes(const struct report *report, struct text *text);

/* One self-contained page: readable at any width, light and dark, and on paper. */
void report_html(const struct report *report, struct text *text);

/* What the owner is mailed when something is otherwise than he was told last. */
enum { NEWS_MOST_BYTES = 24 << 10 }; /* of a question to hauberkd */
struct audit_news {
    char sentence[400]; /* in one line, for lists */
    struct text body;   /* whole lines; owned */
};
void report_news(const struct report *report, struct audit_news *ret_news);

/* All about one rule. */
void report_rule(const struct rule *rule, struct text *text);
