/* The table is an array that is sorted when somebody first asks after something was added: probes
 * end one after the other and are asked about once, at the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/readings.h"

#include <errno.h>

#include "config/keep.h"

struct failure {
    const char *name, *reason;
};

struct readings {
    struct keep keep;
    struct reading *at;
    size_t count;
    struct failure *failures;
    size_t failure_count;
    bool is_sorted;
};

struct readings *readings_new(void) {
    struct readings *readings = calloc(1, sizeof(*readings));
    must(readings);
    return readings;
}

struct readings *readings_free(struct readings *readings) {
    if (readings)
        keep_free(&readings->keep);
    free(readings);
    return NULL;
}

void readings_add(struct readings *readings, const char *name, const char *subject,
                  const char *value) {
    readings->at = keep_grown(&readings->keep, readings->at, readings->count,
                              sizeof(*readings->at));
    readings->at[readings->count++] =
        (struct reading){keep_text(&readings->keep, span_of(name)),
                         keep_text(&readings->keep, span_of(subject)),
                         keep_text(&readings->keep, span_of(value))};
    readings->is_sorted = false;
}

void readings_fail(struct readings *readings, const char *name, const char *reason) {
    readings->failures = keep_grown(&readings->keep, readings->failures, readings->failure_count,
                                    sizeof(*readings->failures));
    readings->failures[readings->failure_count++] =
        (struct failure){keep_text(&readings->keep, span_of(name)),
                         keep_text(&readings->keep, span_of(reason))};
}

static int take_line(struct readings *readings, struct span line) {
    if (line.length > READING_LINE_MOST_BYTES || memchr(line.at, '\0', line.length))
        return -EINVAL;
    struct span rest = line;
    struct span parts[3];
    for (size_t i = 0; i < ELEMENTS_OF(parts); i++) {
        if (!rest.at)
            return -EINVAL;
        parts[i] = span_cut(&rest, '\t');
    }
    bool is_failure = span_is(parts[0], "!");
    struct span name = is_failure ? parts[1] : parts[0];
    if (rest.at || name.length == 0 || name.length >= READING_NAME_MAX ||
        !memchr(name.at, '.', name.length))
        return -EINVAL;
    if (readings->count + readings->failure_count >= READINGS_MOST)
        return -E2BIG;
    struct text texts[3] = {{0}};
    for (size_t i = 0; i < ELEMENTS_OF(parts); i++) {
        text_add(&texts[i], parts[i]);
        text_add_char(&texts[i], '\0');
        must(!texts[i].error);
    }
    if (is_failure)
        readings_fail(readings, texts[1].at, texts[2].at);
    else
        readings_add(readings, texts[0].at, texts[1].at, texts[2].at);
    for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
        text_free(&texts[i]);
    return 0;
}

int readings_take(struct readings *readings, struct span lines, struct why *reterr_why) {
    char what[200];
    while (lines.length > 0) {
        struct span line = span_cut(&lines, '\n');
        int error = line.length ? take_line(readings, line) : 0;
        if (error < 0) {
            safe_copy(what, sizeof(what), line);
            return why_set(reterr_why, error, NULL, 0,
                           error == -E2BIG ? "more than %2$d readings, from: %1$s"
                                           : "this is no reading: %s",
                           what, READINGS_MOST);
        }
    }
    return 0;
}

static int compare(const void *a, const void *b) {
    const struct reading *left = a;
    const struct reading *right = b;
    int names = strcmp(left->name, right->name);
    int subjects = names ? names : strcmp(left->subject, right->subject);
    return subjects ? subjects : strcmp(left->value, right->value);
}

static void sort(struct readings *readings) {
    if (!readings->is_sorted && readings->count)
        qsort(readings->at, readings->count, sizeof(*readings->at), compare);
    readings->is_sorted = true;
}

/* The first that comes not before (`is_behind`: but behind) that name and, unless NULL, subject. */
static size_t find_place(const struct readings *readings, const char *name, const char *subject,
                         bool is_behind) {
    size_t first = 0;
    size_t behind = readings->count;
    while (first < behind) {
        size_t middle = first + (behind - first) / 2;
        int order = strcmp(readings->at[middle].name, name);
        if (order == 0 && subject)
            order = strcmp(readings->at[middle].subject, subject);
        if (order < 0 || (is_behind && order == 0))
            first = middle + 1;
        else
            behind = middle;
    }
    return first;
}

size_t readings_find(struct readings *readings, const char *name,
                     const struct reading **ret_first) {
    sort(readings);
    size_t first = find_place(readings, name, NULL, false);
    size_t count = find_place(readings, name, NULL, true) - first;
    *ret_first = count ? &readings->at[first] : NULL;
    return count;
}

const char *readings_value(struct readings *readings, const char *name, const char *subject) {
    sort(readings);
    size_t place = find_place(readings, name, subject, false);
    if (place == readings->count || strcmp(readings->at[place].name, name) != 0 ||
        strcmp(readings->at[place].subject, subject) != 0)
        return NULL;
    return readings->at[place].value;
}

const char *readings_why_not(const struct readings *readings, const char *name) {
    for (size_t i = 0; i < readings->failure_count; i++) {
        const struct failure *failure = &readings->failures[i];
        size_t length = strlen(failure->name);
        bool is_all = length > 0 && failure->name[length - 1] == '.';
        if (is_all ? strncmp(name, failure->name, length) == 0 : strcmp(name, failure->name) == 0)
            return failure->reason;
    }
    return NULL;
}

void readings_each(struct readings *readings,
                   void (*each)(void *context, const struct reading *reading), void *context) {
    sort(readings);
    for (size_t i = 0; i < readings->count; i++)
        each(context, &readings->at[i]);
}

void readings_write(struct readings *readings, struct text *text) {
    sort(readings);
    for (size_t i = 0; i < readings->count; i++)
        text_add_format(text, "%s\t%s\t%s\n", readings->at[i].name, readings->at[i].subject,
                        readings->at[i].value);
    for (size_t i = 0; i < readings->failure_count; i++)
        text_add_format(text, "!\t%s\t%s\n", readings->failures[i].name,
                        readings->failures[i].reason);
}
