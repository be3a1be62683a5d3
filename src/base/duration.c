/* Durations: see duration.h. A recursive descent over  sum := product (('+'|'-') product)*,
 * product := value (('*'|'/') value)*, value := '(' sum ')' | '-' value | group+ with
 * group := number unit?.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

enum { DEEPEST = 16 };
static const double LONGEST_SECONDS = 1000.0 * 365.25 * 86400.0;

struct reader {
    struct span left;
    unsigned depth;
};

static const struct {
    const char *names[6];
    double seconds;
} units[] = {
    {{"s", "sec", "second", "seconds", "ss"}, 1},
    {{"m", "min", "minute", "minutes", "mm"}, 60},
    {{"h", "hh", "hour", "hours"}, 3600},
    {{"d", "day", "days"}, 86400},
    {{"w", "week", "weeks"}, 7 * 86400},
    {{"mo", "mon", "month", "months"}, 30.4375 * 86400},
    {{"y", "year", "years"}, 365.25 * 86400},
};

static int read_sum(struct reader *reader, double *ret_value);

static char peek(struct reader *reader) {
    while (reader->left.length > 0 && isspace((unsigned char)reader->left.at[0]))
        reader->left = span_skip(reader->left, 1);
    return reader->left.length > 0 ? reader->left.at[0] : '\0';
}

static int read_unit(struct reader *reader, double *ret_seconds) {
    struct span word = {reader->left.at, 0};
    while (word.length < reader->left.length && isalpha((unsigned char)word.at[word.length]))
        word.length++;
    for (size_t u = 0; u < ELEMENTS_OF(units); u++)
        for (size_t n = 0; n < ELEMENTS_OF(units[u].names) && units[u].names[n]; n++)
            if (span_is(word, units[u].names[n])) {
                reader->left = span_skip(reader->left, word.length);
                *ret_seconds = units[u].seconds;
                return 0;
            }
    return -EINVAL;
}

static int read_groups(struct reader *reader, double *ret_value) {
    double total = 0;
    do {
        double number = 0;
        double place = 1;
        bool is_fraction = false;
        bool has_digit = false;
        for (; reader->left.length > 0; reader->left = span_skip(reader->left, 1)) {
            char c = reader->left.at[0];
            if (c == '.' && !is_fraction) {
                is_fraction = true;
            } else if (isdigit((unsigned char)c)) {
                has_digit = true;
                number = number * 10 + (c - '0');
                if (is_fraction)
                    place *= 10;
            } else {
                break;
            }
        }
        if (!has_digit)
            return -EINVAL;
        double unit = 1;
        if (isalpha((unsigned char)peek(reader)) && read_unit(reader, &unit) < 0)
            return -EINVAL;
        total += number / place * unit;
    } while (isdigit((unsigned char)peek(reader)));
    *ret_value = total;
    return 0;
}

static int read_value(struct reader *reader, double *ret_value) {
    if (++reader->depth > DEEPEST)
        return -EINVAL;
    int error = 0;
    char c = peek(reader);
    if (c == '(') {
        reader->left = span_skip(reader->left, 1);
        error = read_sum(reader, ret_value);
        if (error >= 0 && peek(reader) != ')')
            error = -EINVAL;
        if (error >= 0)
            reader->left = span_skip(reader->left, 1);
    } else if (c == '-') {
        reader->left = span_skip(reader->left, 1);
        error = read_value(reader, ret_value);
        if (error >= 0)
            *ret_value = -*ret_value;
    } else {
        error = read_groups(reader, ret_value);
    }
    reader->depth--;
    return error;
}

static int read_product(struct reader *reader, double *ret_value) {
    double value = 0;
    int error = read_value(reader, &value);
    for (char c; error >= 0 && ((c = peek(reader)) == '*' || c == '/');) {
        reader->left = span_skip(reader->left, 1);
        double by = 0;
        error = read_value(reader, &by);
        if (error >= 0 && c == '/' && by == 0)
            error = -EINVAL;
        if (error >= 0)
            value = c == '*' ? value * by : value / by;
    }
    *ret_value = value;
    return error;
}

static int read_sum(struct reader *reader, double *ret_value) {
    double value = 0;
    int error = read_product(reader, &value);
    for (char c; error >= 0 && ((c = peek(reader)) == '+' || c == '-');) {
        reader->left = span_skip(reader->left, 1);
        double other = 0;
        error = read_product(reader, &other);
        value += c == '+' ? other : -other;
    }
    *ret_value = value;
    return error;
}

int duration_parse(struct span text, int64_t *ret_seconds) {
    struct reader reader = {span_trim(text), 0};
    double value = 0;
    int error = read_sum(&reader, &value);
    if (error < 0)
        return error;
    if (peek(&reader) != '\0')
        return -EINVAL;
    if (!(value <= LONGEST_SECONDS)) /* too many digits are infinite, or no number at all */
        return -ERANGE;
    if (value < 0 && value != -1)
        return -EINVAL;
    *ret_seconds = (int64_t)value;
    return 0;
}

const char *duration_format(int64_t seconds, char into[DURATION_TEXT_MAX]) {
    static const struct {
        int64_t seconds;
        const char *name;
    } shown[] = {{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
    if (seconds < 0) {
        snprintf(into, DURATION_TEXT_MAX, "ever");
        return into;
    }
    size_t u = 0;
    while (u + 1 < ELEMENTS_OF(shown) && seconds < shown[u].seconds)
        u++;
    int64_t large = seconds / shown[u].seconds;
    int64_t small = u + 1 < ELEMENTS_OF(shown)
                        ? seconds % shown[u].seconds / shown[u + 1].seconds
                        : 0;
    if (small > 0)
        snprintf(into, DURATION_TEXT_MAX, "%lld %s %lld %s", (long long)large, shown[u].name,
                 (long long)small, shown[u + 1].name);
    else
        snprintf(into, DURATION_TEXT_MAX, "%lld %s", (long long)large, shown[u].name);
    return into;
}
