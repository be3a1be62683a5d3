/* The judgement: rules and what was read make findings, a score and a grade. Nothing is looked at
 * here, so the same readings always give the same judgement.
 *
 * Which subjects a wanted condition is asked of: all that its (first) reading has, less those that
 * a `where` does not let through. A rule is
 *   not asked     when an `applies` does not hold, or there is no subject to ask;
 *   not looked at when what it needs could not be read: with the reason, and never as passed;
 *   found         when a wanted condition does not hold for some subject: these are the evidence;
 *   passed        otherwise.
 *
 * The score is 100 times the points passed by the points asked; critical is worth 10, high 5,
 * medium 2, low 1, a note nothing. A risk that was accepted counts like one that was not: the score
 * tells what is, the owner's reason stands beside it. The grade: A from 95, B from 85, C from 70,
 * D from 50, else F; with a high finding at most B, with a critical one at most D.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/rules.h"

enum outcome { OUTCOME_NOT_ASKED, OUTCOME_PASSED, OUTCOME_FOUND, OUTCOME_NOT_LOOKED };

struct judged {
    const struct rule *rule;
    enum outcome outcome;
    char *evidence; /* found: a line for each failing subject, "postfix.main.x = y (…)"; owned */
    char *usage;    /* found: who would be cut off, where that is known (audit/usage.h); owned */
    char *reason;   /* not looked at: why; owned */

    /* What the book knows of it (audit/book.h). */
    int64_t since_us;         /* found since */
    bool is_new;              /* found now and not the last time */
    const char *accepted_why; /* NULL: nobody accepted it */
    int64_t accepted_us;
};

struct judgement {
    struct judged *at; /* one for each rule, in the order of the rules */
    size_t count;
    unsigned passed, found, not_looked;
    unsigned score; /* 0 to 100 */
    char grade;     /* A B C D F; '-' when nothing was asked */
};

/* service: only its rules (NULL: all). */
void audit_judge(const struct rules *rules, struct readings *readings, const char *service,
                 struct judgement *ret_judgement);
void judgement_free(struct judgement *judgement);
