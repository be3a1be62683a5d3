/* Conditions on what was read: "sshd.maxauthtries at most 4".
 *
 *   READING COMPARISON [OPERAND]             comparisons.def
 *   CONDITION || CONDITION …               one of them is enough
 *
 * A condition is asked of one value; which subjects it is asked of is the judge's affair
 * (audit/judge.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "config/keep.h"
#include "base/why.h"
#include "probe/readings.h"

enum { ALTERNATIVES_MOST = 4 };

enum comparison {
#define COMPARISON(name, words, takes, sentence) COMPARE_##name,
#include "audit/comparisons.def"
#undef COMPARISON
};

struct condition {
    const char *reading;
    enum comparison how;
    const char *operand;
    const char *unknown; /* of AT_LEAST and AT_MOST: what to say of what cannot be compared */
    void *expression;    /* compiled, of MATCHES */
};

struct clause {
    struct condition at[ALTERNATIVES_MOST];
    size_t count; /* at least 1 */
    const char *text; /* as it was written */
};

/* Reads one line; what it holds lies in `keep`, but for expressions: clause_free(). */
must_use int clause_read(struct keep *keep, const char *text, struct clause *ret_clause,
                         struct why *reterr_why);
void clause_free(struct clause *clause);

/* Is it so for that subject? `value` is the first condition's reading of that subject (NULL: there
 * is none); others are looked up under the same subject, else under "". */
bool clause_holds(const struct clause *clause, struct readings *readings, const char *subject,
                  const char *value);

/* Does the clause hold where nothing was read at all ("absent")? */
bool clause_wants_nothing(const struct clause *clause);

/* Where it does not hold: why that is not known, because a value that was read is nothing to
 * compare with a number, time, size or version; NULL: it is known. `never` and `unlimited` are more
 * than everything, `none`, `no` and `off` neither at least nor at most anything. */
const char *clause_why_unknown(const struct clause *clause, struct readings *readings,
                               const char *subject, const char *value);

/* -1, 0, 1 for versions and for numbers with units (k, M, G; ms, s, m, h, d, w, y). False: these
 * two cannot be compared. */
bool compare_amounts(struct span a, struct span b, int *ret_order);
