/* Reading and asking conditions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/condition.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <strings.h>

#include "config/nearest.h"
#include "probe/probe.h"

enum takes { NOTHING, ONE, WORDS, EXPRESSION, READING };

/* In an order in which no comparison's words begin those of a later one. */
static const struct {
    const char *words;
    enum takes takes;
} comparisons[] = {
#define COMPARISON(name, words, takes, sentence) {words, takes},
#include "audit/comparisons.def"
#undef COMPARISON
};

/* ---- reading ---- */

static bool starts_with_words(struct span text, const char *words) {
    struct span head = span_of(words);
    return span_starts_with(text, head) &&
           (text.length == head.length || text.at[head.length] == ' ');
}

static int compile(struct condition *condition, struct why *reterr_why) {
    char problem[200];
    regex_t *expression = calloc(1, sizeof(*expression));
    must(expression);
    int error = regcomp(expression, condition->operand, REG_EXTENDED | REG_ICASE | REG_NOSUB);
    if (error) {
        regerror(error, expression, problem, sizeof(problem));
        free(expression);
        return why_set(reterr_why, -EINVAL, NULL, 0, "'%s': %s", condition->operand, problem);
    }
    condition->expression = expression;
    return 0;
}

static int check_reading(const char *name, struct why *reterr_why) {
    if (probe_knows_reading(name))
        return 0;
    return why_set(reterr_why, -ENOENT, NULL, 0,
                   "no probe reads '%s'; hauberk audit --readings lists what is read", name);
}

static int read_condition(struct keep *keep, struct span text, struct condition *condition,
                          struct why *reterr_why) {
    struct span rest = span_trim(text);
    struct span reading = span_word(&rest);
    char what[SHOWN_MAX];
    rest = span_trim(rest);
    size_t i = 0;
    while (i < ELEMENTS_OF(comparisons) && !starts_with_words(rest, comparisons[i].words))
        i++;
    if (i == ELEMENTS_OF(comparisons))
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "'%s' is no condition: READING, then is, is not, one of, none of, at least, "
                       "at most, matches, matches not, has, lacks, only, same as, absent or present",
                       shown(text, what));
    struct span operand = span_trim(span_skip(rest, strlen(comparisons[i].words)));
    if ((operand.length == 0) != (comparisons[i].takes == NOTHING))
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       operand.length ? "'%s': nothing may follow 'absent' and 'present'"
                                      : "'%s': what is it compared with?",
                       shown(text, what));
    *condition = (struct condition){.reading = keep_text(keep, reading),
                                    .how = (enum comparison)i,
                                    .operand = keep_text(keep, operand)};
    int error = check_reading(condition->reading, reterr_why);
    if (error >= 0 && comparisons[i].takes == EXPRESSION)
        error = compile(condition, reterr_why);
    if (error >= 0 && comparisons[i].takes == READING)
        error = check_reading(condition->operand, reterr_why);
    return error;
}

int clause_read(struct keep *keep, const char *text, struct clause *ret_clause,
                struct why *reterr_why) {
    struct clause clause = {.text = keep_text(keep, span_of(text))};
    int error = 0;
    for (const char *at = clause.text; at && error >= 0;) {
        const char *bar = strstr(at, "||");
        struct span part = bar ? (struct span){at, (size_t)(bar - at)} : span_of(at);
        at = bar ? bar + 2 : NULL;
        if (clause.count == ALTERNATIVES_MOST)
            error = why_set(reterr_why, -E2BIG, NULL, 0, "more than %d alternatives",
                            ALTERNATIVES_MOST);
        else
            error = read_condition(keep, part, &clause.at[clause.count++], reterr_why);
    }
    if (error < 0)
        clause_free(&clause);
    else
        *ret_clause = clause;
    return error;
}

void clause_free(struct clause *clause) {
    for (size_t i = 0; i < clause->count; i++)
        if (clause->at[i].expression) {
            regfree(clause->at[i].expression);
            free(clause->at[i].expression);
            clause->at[i].expression = NULL;
        }
}

/* ---- comparing ---- */

/* "30", "1.5G", "10m", "2 hours": the whole of it, in bytes or seconds. */
static bool read_amount(struct span text, double *ret_amount) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {
        {"", 1},       {"s", 1},        {"sec", 1},      {"secs", 1},     {"m", 60},
        {"min", 60},   {"mins", 60},    {"h", 3600},     {"hour", 3600},  {"hours", 3600},
        {"d", 86400},  {"day", 86400},  {"days", 86400}, {"w", 604800},   {"weeks", 604800},
        {"y", 31557600}, {"b", 1},      {"k", 1024},     {"kb", 1024},    {"ki", 1024},
        {"mb", 1048576}, {"mi", 1048576}, {"g", 1073741824}, {"gb", 1073741824},
        {"gi", 1073741824}, {"t", 1099511627776},
    };
    char copy[64];
    char *end = NULL;
    if (text.length == 0 || text.length >= sizeof(copy) || !isdigit((unsigned char)text.at[0]))
        return false;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    double amount = strtod(copy, &end);
    struct span unit = span_trim(span_of(end));
    for (size_t i = 0; i < ELEMENTS_OF(units); i++)
        if (unit.length == strlen(units[i].unit) &&
            strncasecmp(unit.at, units[i].unit, unit.length) == 0) {
            /* A capital M is a size where a small one is a time. */
            bool is_mega = unit.length == 1 && unit.at[0] == 'M';
            *ret_amount = amount * (is_mega ? 1048576 : units[i].factor);
            return true;
        }
    return false;
}

static bool is_plain_number(struct span text) {
    size_t dots = 0;
    for (size_t i = 0; i < text.length; i++)
        dots += text.at[i] == '.';
    return dots < 1;
}

static size_t digits_at(struct span text) {
    size_t count = 0;
    while (count < text.length && isdigit((unsigned char)text.at[count]))
        count++;
    return count;
}

/* 9.2p1 against 10.0p1: runs of digits as numbers, the rest byte by byte. */
static int compare_versions(struct span a, struct span b) {
    while (a.length > 0 && b.length > 0) {
        size_t left = digits_at(a);
        size_t right = digits_at(b);
        if (left && right) {
            uint64_t x = strtoull(a.at, NULL, 10);
            uint64_t y = strtoull(b.at, NULL, 10);
            if (x != y)
                return x < y ? -1 : 1;
            a = span_skip(a, left);
            b = span_skip(b, right);
        } else {
            if (a.at[0] != b.at[0])
                return (unsigned char)a.at[0] < (unsigned char)b.at[0] ? -1 : 1;
            a = span_skip(a, 1);
            b = span_skip(b, 1);
        }
    }
    return a.length ? 1 : b.length ? -1 : 0;
}

int compare_amounts(struct span a, struct span b) {
    double x;
    double y;
    if (is_plain_number(a) && is_plain_number(b) && read_amount(a, &x) && read_amount(b, &y))
        return x < y ? -1 : x > y ? 1 : 0;
    return compare_versions(a, b);
}

/* ---- asking ---- */

static bool next_word(struct span *list, struct span *ret_word) {
    while (list->length > 0 && strchr(" \t,", list->at[0]))
        *list = span_skip(*list, 1);
    size_t length = 0;
    while (length < list->length && !strchr(" \t,", list->at[length]))
        length++;
    *ret_word = (struct span){list->at, length};
    *list = span_skip(*list, length);
    return length > 0;
}

static bool equals(struct span a, struct span b) {
    return a.length == b.length && strncasecmp(a.at, b.at, a.length) == 0;
}

static bool list_has(struct span list, struct span word) {
    struct span one;
    while (next_word(&list, &one))
        if (equals(one, word))
            return true;
    return false;
}

/* How many words of `these` the list has. */
static size_t count_in(struct span these, struct span list, size_t *ret_of) {
    size_t count = 0;
    struct span word;
    *ret_of = 0;
    while (next_word(&these, &word)) {
        count += list_has(list, word);
        ++*ret_of;
    }
    return count;
}

static const char *value_for(struct readings *readings, const char *name, const char *subject) {
    const char *value = readings_value(readings, name, subject);
    return value ? value : readings_value(readings, name, "");
}

static bool holds(const struct condition *condition, struct readings *readings,
                  const char *subject, const char *value) {
    struct span read = span_trim(span_of(value ? value : ""));
    struct span operand = span_of(condition->operand);
    size_t of;
    if (condition->how == COMPARE_ABSENT)
        return read.length == 0;
    if (!value)
        return false;
    switch (condition->how) {
    case COMPARE_IS: return equals(read, operand);
    case COMPARE_IS_NOT: return !equals(read, operand);
    case COMPARE_ONE_OF: return list_has(operand, read);
    case COMPARE_NONE_OF: return !list_has(operand, read);
    case COMPARE_AT_LEAST: return read.length && compare_amounts(read, operand) >= 0;
    case COMPARE_AT_MOST: return read.length && compare_amounts(read, operand) <= 0;
    case COMPARE_MATCHES: return regexec(condition->expression, value, 0, NULL, 0) == 0;
    case COMPARE_MATCHES_NOT: return regexec(condition->expression, value, 0, NULL, 0) != 0;
    case COMPARE_HAS: return count_in(operand, read, &of) == of;
    case COMPARE_LACKS: return count_in(operand, read, &of) == 0;
    case COMPARE_ONLY: return count_in(read, operand, &of) == of;
    case COMPARE_SAME_AS: {
        const char *other = value_for(readings, condition->operand, subject);
        return other && equals(read, span_trim(span_of(other)));
    }
    case COMPARE_PRESENT: return read.length > 0;
    case COMPARE_ABSENT: break;
    }
    return false;
}

bool clause_holds(const struct clause *clause, struct readings *readings, const char *subject,
                  const char *value) {
    for (size_t i = 0; i < clause->count; i++)
        if (holds(&clause->at[i], readings, subject,
                  i == 0 ? value : value_for(readings, clause->at[i].reading, subject)))
            return true;
    return false;
}

bool clause_wants_nothing(const struct clause *clause) {
    for (size_t i = 0; i < clause->count; i++)
        if (clause->at[i].how == COMPARE_ABSENT)
            return true;
    return false;
}
