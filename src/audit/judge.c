/* Asking the rules.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/judge.h"

#include <stdlib.h>

#include "audit/usage.h"
#include "base/text.h"

enum { EVIDENCE_LINES_MOST = 20 };

static const unsigned points_of[SEVERITIES] = {0, 1, 2, 5, 10};

/* Why one of a clause's readings could not be looked at, or NULL. */
static const char *why_not(const struct clause *clause, const struct readings *readings) {
    const char *reason = NULL;
    for (size_t i = 0; i < clause->count && !reason; i++)
        reason = readings_why_not(readings, clause->at[i].reading);
    return reason;
}

/* Why a clause that does not hold might yet, had one of its readings from the `first` on been
 * looked at, or been comparable; NULL: it does not. */
static const char *unknown_for(const struct clause *clause, size_t first,
                               struct readings *readings, const char *subject, const char *value) {
    const char *reason = clause_why_unknown(clause, readings, subject, value);
    for (size_t i = first; i < clause->count && !reason; i++) {
        const char *name = clause->at[i].reading;
        if (!readings_value(readings, name, subject) && !readings_value(readings, name, ""))
            reason = readings_why_not(readings, name);
    }
    return reason;
}

/* When it is not, because of what could not be looked at, `ret_unknown` says why. */
static bool is_let_through(const struct clauses *where, struct readings *readings,
                           const char *subject, const char **ret_unknown) {
    const char *unknown = NULL;
    for (size_t i = 0; i < where->count; i++) {
        const char *name = where->at[i].at[0].reading;
        const char *value = readings_value(readings, name, subject);
        if (!value)
            value = readings_value(readings, name, "");
        if (clause_holds(&where->at[i], readings, subject, value))
            continue;
        unknown = unknown_for(&where->at[i], 0, readings, subject, value);
        if (!unknown)
            return false;
    }
    if (unknown)
        *ret_unknown = unknown;
    return !unknown;
}

/* The probe that reads it says that there is no such service here. */
static bool is_not_there(struct readings *readings, const char *name) {
    char there[READING_NAME_MAX];
    const char *dot = strchr(name, '.');
    size_t length = dot ? (size_t)(dot - name) : 0;
    if (length == 0 || length + sizeof(".there") > sizeof(there))
        return false;
    memcpy(there, name, length);
    memcpy(there + length, ".there", sizeof(".there"));
    const char *value = readings_value(readings, there, "");
    return value && strcmp(value, "no") == 0;
}

static void keep_reason(struct judged *judged, const char *reason) {
    judged->outcome = OUTCOME_NOT_LOOKED;
    if (!judged->reason)
        judged->reason = span_copy(span_of(reason));
}

/* True: the rule matters here. Sets the outcome when it does not, or nobody knows. */
static bool applies(struct judged *judged, struct readings *readings) {
    const struct clauses *clauses = &judged->rule->applies;
    for (size_t i = 0; i < clauses->count; i++) {
        const struct clause *clause = &clauses->at[i];
        const struct reading *first = NULL;
        size_t count = readings_find(readings, clause->at[0].reading, &first);
        const char *reason = why_not(clause, readings);
        bool is_so = count == 0 && clause_holds(clause, readings, "", NULL);
        for (size_t j = 0; j < count && !is_so; j++) {
            is_so = clause_holds(clause, readings, first[j].subject, first[j].value);
            if (!reason)
                reason = clause_why_unknown(clause, readings, first[j].subject, first[j].value);
        }
        if (is_so)
            continue;
        if (reason)
            keep_reason(judged, reason);
        return false;
    }
    return true;
}

/* A value that several conditions find is told once. */
static void add_evidence(struct text *evidence, const char *name, const char *subject,
                         const char *value, unsigned number) {
    cleanup_text struct text line = {0};
    text_add_format(&line, "%s%s%s%s = %s", number ? "\n" : "", subject, subject[0] ? ": " : "",
                    strchr(name, '.') + 1,
                    value == NULL ? "not there"
                    : value[0]    ? value
                                  : "(empty)");
    const char *same = evidence->at ? strstr(evidence->at, line.at + (number ? 1 : 0)) : NULL;
    size_t length = line.length - (number ? 1 : 0);
    bool is_told = same && (same == evidence->at || same[-1] == '\n') &&
                   (same[length] == '\n' || same[length] == '\0');
    if (is_told || number > EVIDENCE_LINES_MOST)
        return;
    text_add_string(evidence, number == EVIDENCE_LINES_MOST ? "\n…" : line.at);
}

static void ask(struct judged *judged, struct readings *readings) {
    const struct rule *rule = judged->rule;
    cleanup_text struct text evidence = {0};
    const char *unknown = NULL;
    unsigned asked = 0;
    unsigned failed = 0;
    for (size_t i = 0; i < rule->wanted.count; i++) {
        const struct clause *clause = &rule->wanted.at[i];
        const char *name = clause->at[0].reading;
        const struct reading *first = NULL;
        size_t count = readings_find(readings, name, &first);
        const char *reason = why_not(clause, readings);
        if (count == 0 && reason) {
            keep_reason(judged, reason);
            return;
        }
        /* Some of it was seen: enough to find, not enough to pass. */
        if ((reason = readings_why_not(readings, name)))
            unknown = reason;
        if (count == 0 && !is_not_there(readings, name) &&
            (clause->at[0].how == COMPARE_PRESENT || clause_wants_nothing(clause)) &&
            is_let_through(&rule->where, readings, "", &unknown)) {
            asked++;
            if (!clause_holds(clause, readings, "", NULL))
                add_evidence(&evidence, name, "", NULL, failed++);
        }
        for (size_t j = 0; j < count; j++) {
            if (!is_let_through(&rule->where, readings, first[j].subject, &unknown))
                continue;
            asked++;
            if (clause_holds(clause, readings, first[j].subject, first[j].value))
                continue;
            const char *hidden = unknown_for(clause, 1, readings, first[j].subject,
                                             first[j].value);
            if (hidden)
                unknown = hidden;
            else
                add_evidence(&evidence, name, first[j].subject, first[j].value, failed++);
        }
    }
    if (unknown && !failed) {
        keep_reason(judged, unknown);
        return;
    }
    judged->outcome = failed ? OUTCOME_FOUND : asked ? OUTCOME_PASSED : OUTCOME_NOT_ASKED;
    if (!failed)
        return;
    judged->evidence = text_take(&evidence);
    cleanup_text struct text usage = {0};
    if (usage_tell(rule, readings, &usage))
        judged->usage = text_take(&usage);
}

static char grade_of(unsigned score, enum severity gravest) {
    static const struct {
        unsigned from;
        char grade;
    } grades[] = {{95, 'A'}, {85, 'B'}, {70, 'C'}, {50, 'D'}, {0, 'F'}};
    size_t i = 0;
    while (score < grades[i].from)
        i++;
    if (gravest == SEVERITY_HIGH && i < 1)
        i = 1;
    if (gravest == SEVERITY_CRITICAL && i < 3)
        i = 3;
    return grades[i].grade;
}

static void score(struct judgement *judgement) {
    unsigned asked = 0;
    unsigned passed = 0;
    enum severity gravest = SEVERITY_NOTE;
    for (size_t i = 0; i < judgement->count; i++) {
        const struct judged *judged = &judgement->at[i];
        unsigned points = points_of[judged->rule->severity];
        judgement->passed += judged->outcome == OUTCOME_PASSED;
        judgement->found += judged->outcome == OUTCOME_FOUND;
        judgement->not_looked += judged->outcome == OUTCOME_NOT_LOOKED;
        if (judged->outcome == OUTCOME_PASSED || judged->outcome == OUTCOME_FOUND)
            asked += points;
        if (judged->outcome == OUTCOME_PASSED)
            passed += points;
        if (judged->outcome == OUTCOME_FOUND && judged->rule->severity > gravest)
            gravest = judged->rule->severity;
    }
    judgement->score = asked ? 100 * passed / asked : 0;
    judgement->grade = asked ? grade_of(judgement->score, gravest) : '-';
}

void audit_judge(const struct rules *rules, struct readings *readings, const char *service,
                 struct judgement *ret_judgement) {
    struct judgement judgement = {.at = calloc(rules->count + 1, sizeof(*judgement.at))};
    must(judgement.at);
    for (size_t i = 0; i < rules->count; i++) {
        if (service && strcmp(rules->at[i].service, service) != 0)
            continue;
        struct judged *judged = &judgement.at[judgement.count++];
        *judged = (struct judged){.rule = &rules->at[i], .outcome = OUTCOME_NOT_ASKED};
        if (applies(judged, readings))
            ask(judged, readings);
    }
    score(&judgement);
    *ret_judgement = judgement;
}

void judgement_free(struct judgement *judgement) {
    for (size_t i = 0; i < judgement->count; i++) {
        free(judgement->at[i].evidence);
        free(judgement->at[i].usage);
        free(judgement->at[i].reason);
    }
    free(judgement->at);
    *judgement = (struct judgement){0};
}
