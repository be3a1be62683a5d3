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

enum takes { NOTHING, ONE, WORDS, AMOUNT, EXPRESSION, READING };

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

/* What it says when it meets something else. */
static int check_amount(struct keep *keep, struct condition *condition, struct why *reterr_why) {
    cleanup_text struct text unknown = {0};
    int order;
    if (!compare_amounts(span_of(condition->operand), span_of(condition->operand), &order))
        return why_set(reterr_why, -EINVAL, NULL, 0, "'%s' is no number, time, size or version",
                       condition->operand);
    text_add_format(&unknown, "%s cannot be compared with %s", condition->reading,
                    condition->operand);
    must(unknown.at);
    condition->unknown = keep_text(keep, text_span(&unknown));
    return 0;
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
                       "at most, matches, matches not, has, lacks, only, same as, absent or "
                       "present",
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
    if (error >= 0 && comparisons[i].takes == AMOUNT)
        error = check_amount(keep, condition, reterr_why);
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

enum dimension { PLAIN, TIME, SIZE };

struct amount {
    double value; /* in seconds or bytes, where it has a unit */
    enum dimension dimension;
    bool is_whole, is_negative;
};

static size_t digits_at(struct span text) {
    size_t count = 0;
    while (count < text.length && isdigit((unsigned char)text.at[count]))
        count++;
    return count;
}

static bool read_unit(struct span unit, struct amount *amount) {
    static const struct {
        const char *unit;
        double factor;
        enum dimension dimension;
    } units[] = {
        {"", 1, PLAIN},
        {"ms", 0.001, TIME},    {"msecs", 0.001, TIME},
        {"s", 1, TIME},         {"sec", 1, TIME},        {"secs", 1, TIME},
        {"m", 60, TIME},        {"min", 60, TIME},       {"mins", 60, TIME},
        {"h", 3600, TIME},      {"hour", 3600, TIME},    {"hours", 3600, TIME},
        {"d", 86400, TIME},     {"day", 86400, TIME},    {"days", 86400, TIME},
        {"w", 604800, TIME},    {"week", 604800, TIME},  {"weeks", 604800, TIME},
        {"y", 31557600, TIME},
        {"b", 1, SIZE},
        {"k", 1024, SIZE},      {"kb", 1024, SIZE},      {"ki", 1024, SIZE},
        {"mb", 1048576, SIZE},  {"mi", 1048576, SIZE},
        {"g", 1073741824, SIZE}, {"gb", 1073741824, SIZE}, {"gi", 1073741824, SIZE},
        {"t", 1099511627776, SIZE},
    };
    /* A capital M is a size where a small one is a time. */
    if (span_is(unit, "M"))
        unit = SPAN("mb");
    for (size_t i = 0; i < ELEMENTS_OF(units); i++)
        if (unit.length == strlen(units[i].unit) &&
            strncasecmp(unit.at, units[i].unit, unit.length) == 0) {
            amount->value *= units[i].factor;
            amount->dimension = units[i].dimension;
            return true;
        }
    return false;
}

/* "30", "-1", "1.5G", "10m", "2 hours", and nothing else: no "007", "0x10", "1e3", "5.". */
static bool read_amount(struct span text, struct amount *ret_amount) {
    struct amount amount = {.is_negative = text.length > 0 && text.at[0] == '-', .is_whole = true};
    text = span_skip(text, amount.is_negative);
    size_t whole = digits_at(text);
    if (whole == 0 || (whole > 1 && text.at[0] == '0'))
        return false;
    for (size_t i = 0; i < whole; i++)
        amount.value = amount.value * 10 + (text.at[i] - '0');
    text = span_skip(text, whole);
    if (text.length > 0 && text.at[0] == '.') {
        size_t part = digits_at(span_skip(text, 1));
        double worth = 1;
        if (part == 0)
            return false;
        for (size_t i = 1; i <= part; i++)
            amount.value += (text.at[i] - '0') * (worth /= 10);
        amount.is_whole = false;
        text = span_skip(text, 1 + part);
    }
    if (amount.is_negative)
        amount.value = -amount.value;
    if (!read_unit(span_trim(text), &amount))
        return false;
    *ret_amount = amount;
    return true;
}

/* "13", "3.7.11", "1:9.2p1-2+deb12u3": a dot where there is more than a whole number. */
static bool is_version(struct span text) {
    size_t digits = digits_at(text);
    if (digits == text.length)
        return digits == 1 || (digits > 1 && text.at[0] != '0');
    for (size_t i = 0; i < text.length; i++)
        if (!isalnum((unsigned char)text.at[i]) && !strchr(".+~:-", text.at[i]))
            return false;
    return digits > 0 && isalnum((unsigned char)text.at[text.length - 1]) &&
           memchr(text.at, '.', text.length);
}

static int compare_digits(struct span a, struct span b) {
    while (a.length > 1 && a.at[0] == '0')
        a = span_skip(a, 1);
    while (b.length > 1 && b.at[0] == '0')
        b = span_skip(b, 1);
    int order = a.length < b.length ? -1 : a.length > b.length ? 1 : memcmp(a.at, b.at, a.length);
    return order < 0 ? -1 : order > 0;
}

/* 9.2p1 against 10.0p1: runs of digits as numbers, however long, the rest byte by byte. */
static int compare_versions(struct span a, struct span b) {
    while (a.length > 0 && b.length > 0) {
        size_t left = digits_at(a);
        size_t right = digits_at(b);
        if (left && right) {
            int order = compare_digits((struct span){a.at, left}, (struct span){b.at, right});
            if (order)
                return order;
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

/* 3.10 is newer than 3.9; whole numbers may be longer than a double can tell apart. */
static bool are_versions(const struct amount *a, const struct amount *b) {
    return a->dimension == PLAIN && b->dimension == PLAIN && a->is_whole == b->is_whole &&
           !a->is_negative && !b->is_negative;
}

bool compare_amounts(struct span a, struct span b, int *ret_order) {
    struct amount x;
    struct amount y;
    if (read_amount(a, &x) && read_amount(b, &y) && !are_versions(&x, &y)) {
        if (x.dimension != y.dimension && x.dimension != PLAIN && y.dimension != PLAIN)
            return false;
        *ret_order = x.value < y.value ? -1 : x.value > y.value;
        return true;
    }
    if (!is_version(a) || !is_version(b))
        return false;
    *ret_order = compare_versions(a, b);
    return true;
}

/* Words of services and probes that stand where others say a number. */
static bool is_without_end(struct span value) {
    return span_is(value, "never") || span_is(value, "unlimited") || span_is(value, "infinite") ||
           span_is(value, "infinity");
}

static bool is_no_amount_at_all(struct span value) {
    return span_is(value, "none") || span_is(value, "no") || span_is(value, "off");
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

static bool compares_amounts(const struct condition *condition) {
    return condition->how == COMPARE_AT_LEAST || condition->how == COMPARE_AT_MOST;
}

/* What is no amount at all is neither. */
static bool is_on_that_side(const struct condition *condition, struct span read) {
    bool wants_more = condition->how == COMPARE_AT_LEAST;
    int order;
    if (is_without_end(read))
        return wants_more;
    return compare_amounts(read, span_of(condition->operand), &order) &&
           (wants_more ? order >= 0 : order <= 0);
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
    case COMPARE_AT_LEAST:
    case COMPARE_AT_MOST: return is_on_that_side(condition, read);
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

/* The value of the n-th condition, where the first one's is `value`. */
static const char *value_of(const struct clause *clause, size_t n, struct readings *readings,
                            const char *subject, const char *value) {
    return n == 0 ? value : value_for(readings, clause->at[n].reading, subject);
}

bool clause_holds(const struct clause *clause, struct readings *readings, const char *subject,
                  const char *value) {
    for (size_t i = 0; i < clause->count; i++)
        if (holds(&clause->at[i], readings, subject,
                  value_of(clause, i, readings, subject, value)))
            return true;
    return false;
}

const char *clause_why_unknown(const struct clause *clause, struct readings *readings,
                               const char *subject, const char *value) {
    for (size_t i = 0; i < clause->count; i++) {
        const struct condition *condition = &clause->at[i];
        const char *said = value_of(clause, i, readings, subject, value);
        struct span read = span_trim(span_of(said ? said : ""));
        int order;
        if (said && compares_amounts(condition) && !is_without_end(read) &&
            !is_no_amount_at_all(read) &&
            !compare_amounts(read, span_of(condition->operand), &order))
            return condition->unknown;
    }
    return NULL;
}

bool clause_wants_nothing(const struct clause *clause) {
    for (size_t i = 0; i < clause->count; i++)
        if (clause->at[i].how == COMPARE_ABSENT)
            return true;
    return false;
}
