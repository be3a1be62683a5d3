/* The state of the machine that a person accepted, as STATE/audit/baseline: the time in the first
 * line, then NAME TAB SUBJECT TAB DIGEST for each reading, and what could not be looked at with its
 * reason (probe/readings.h): that is not new when it is seen later. Digests, because a value may
 * hold what should lie in no second file; of secrets not even that (audit/secrets.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "audit/book_inside.h"
#include "base/clock.h"
#include "base/hash.h"

/* What changes only when somebody changes it. The rest (ages, sizes, counts, what is listed
 * somewhere today) would drift by itself. */
static const char *const families[] = {
#define BASELINE(family) family,
#include "audit/baseline.def"
#undef BASELINE
};

static bool is_decided(const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(families); i++)
        if (strncmp(name, families[i], strlen(families[i])) == 0)
            return true;
    return false;
}

static const char *digest_text(const char *value, char into[20]) {
    snprintf(into, 20, "%016" PRIx64, hash_named(span_of(value)));
    return into;
}

static void add_line(void *context, const struct reading *reading) {
    char digest[20];
    if (is_decided(reading->name))
        text_add_format(context, "%s\t%s\t%s\n", reading->name, reading->subject,
                        digest_text(reading->value, digest));
}

static void add_failures(struct readings *readings, struct text *text) {
    cleanup_text struct text all = {0};
    readings_write(readings, &all);
    struct span lines = text_span(&all);
    while (lines.length > 0) {
        struct span line = span_cut(&lines, '\n');
        if (span_starts_with(line, SPAN("!\t")))
            text_add_format(text, "%.*s\n", SPAN_FORMAT(line));
    }
}

int baseline_accept(const struct book *book, struct readings *readings, int64_t now_us,
                    struct why *reterr_why) {
    cleanup_text struct text text = {0};
    char at[CLOCK_TEXT_MAX];
    text_add_format(&text, "%s\n", clock_format_utc(now_us, at));
    readings_each(readings, add_line, &text);
    add_failures(readings, &text);
    return book_write_file(book, "baseline", text_span(&text), reterr_why);
}

/* ---- comparing ---- */

struct comparing {
    struct readings *now, *accepted; /* the values of the latter are digests */
    struct text changes;             /* readings as text */
};

static void add_change(struct comparing *comparing, const struct reading *reading,
                       const char *what) {
    text_add_format(&comparing->changes, "drift.changed\t%s%s%s\t%s\n", reading->name,
                    reading->subject[0] ? " " : "", reading->subject, what);
}

/* A name may have several values of one subject (sshd's hostkey): it is asked for one of them. */
static bool was_accepted(struct readings *accepted, const struct reading *reading,
                         const char *digest, bool *ret_is_known) {
    const struct reading *first = NULL;
    size_t count = readings_find(accepted, reading->name, &first);
    *ret_is_known = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(first[i].subject, reading->subject) != 0)
            continue;
        *ret_is_known = true;
        if (strcmp(first[i].value, digest) == 0)
            return true;
    }
    return false;
}

static void compare_reading(void *context, const struct reading *reading) {
    struct comparing *comparing = context;
    char digest[20];
    bool is_known;
    if (!is_decided(reading->name) ||
        was_accepted(comparing->accepted, reading, digest_text(reading->value, digest), &is_known))
        return;
    if (is_known)
        add_change(comparing, reading, "changed since then");
    else if (!readings_why_not(comparing->accepted, reading->name))
        add_change(comparing, reading, "new since then");
}

static void find_gone(void *context, const struct reading *accepted) {
    struct comparing *comparing = context;
    if (!readings_why_not(comparing->now, accepted->name) &&
        !readings_value(comparing->now, accepted->name, accepted->subject))
        add_change(comparing, accepted, "gone since then");
}

void baseline_compare(const struct book *book, struct readings *readings) {
    cleanup_text struct text text = {0};
    struct why why = {0};
    int error = book_read_file(book, "baseline", &text);
    if (error == -ENOENT)
        readings_add(readings, "drift.accepted", "", "never");
    else if (error < 0)
        readings_fail(readings, "drift.", strerror(-error));
    if (error < 0)
        return;
    struct span lines = text_span(&text);
    struct span at = span_cut(&lines, '\n');
    struct comparing comparing = {.now = readings, .accepted = readings_new()};
    error = readings_take(comparing.accepted, lines, &why);
    if (error >= 0) {
        readings_each(readings, compare_reading, &comparing);
        readings_each(comparing.accepted, find_gone, &comparing);
        text_add_format(&comparing.changes, "drift.accepted\t\t%.*s\n", SPAN_FORMAT(at));
        error = readings_take(readings, text_span(&comparing.changes), &why);
    }
    if (error < 0)
        readings_fail(readings, "drift.", why.text);
    text_free(&comparing.changes);
    readings_free(comparing.accepted);
}
