/* How fast the disks fill, as STATE/audit/room: a line for each file system and day of an audit,
 * TIME (seconds) TAB PATH TAB MEGABYTES USED. The pace is taken from the oldest of these days that
 * is at least three and at most thirty days ago: what was deleted in between belongs to it, and one
 * day with a big import says little.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "audit/book_inside.h"
#include "base/clock.h"

enum { DAYS_LEAST = 3, DAYS_MOST = 30, NEVER_DAYS = 9999, DAY_SEC = 86400, LINES_MOST = 5000 };

struct sample {
    int64_t at_sec, used_mb;
    struct span path;
};

static bool read_sample(struct span line, struct sample *ret_sample) {
    struct span at = span_cut(&line, '\t');
    ret_sample->path = span_cut(&line, '\t');
    return line.at && span_to_integer(at, 0, INT64_MAX / SECOND_US, &ret_sample->at_sec) == 0 &&
           span_to_integer(line, 0, INT64_MAX / DAY_SEC, &ret_sample->used_mb) == 0;
}

/* Whole days from now until it is full at that pace. */
static int64_t days_left(int64_t room_mb, int64_t grown_mb, int64_t took_sec) {
    if (grown_mb <= 0 || room_mb / grown_mb > NEVER_DAYS)
        return NEVER_DAYS;
    int64_t days = room_mb * (took_sec / 60) / grown_mb / (DAY_SEC / 60);
    return days < NEVER_DAYS ? days : NEVER_DAYS;
}

struct pace {
    struct readings *readings;
    struct span kept;
    int64_t now_sec;
    struct text said, lines;
};

static void say_pace(void *context, const struct reading *reading) {
    struct pace *pace = context;
    struct span lines = pace->kept;
    struct sample oldest = {.at_sec = INT64_MAX};
    struct sample sample;
    int64_t used_mb;
    int64_t room_mb;
    if (strcmp(reading->name, "mounts.used_mb") != 0)
        return;
    const char *room = readings_value(pace->readings, "mounts.room_mb", reading->subject);
    if (span_to_integer(span_of(reading->value), 0, INT64_MAX / DAY_SEC, &used_mb) < 0 || !room ||
        span_to_integer(span_of(room), 0, INT64_MAX / DAY_SEC / DAYS_MOST, &room_mb) < 0)
        return;
    text_add_format(&pace->lines, "%lld\t%s\t%lld\n", (long long)pace->now_sec, reading->subject,
                    (long long)used_mb);
    while (lines.length > 0) {
        if (!read_sample(span_cut(&lines, '\n'), &sample) ||
            !span_is(sample.path, reading->subject) ||
            pace->now_sec - sample.at_sec < DAYS_LEAST * DAY_SEC ||
            pace->now_sec - sample.at_sec > DAYS_MOST * DAY_SEC)
            continue;
        if (sample.at_sec < oldest.at_sec)
            oldest = sample;
    }
    if (oldest.at_sec != INT64_MAX)
        text_add_format(&pace->said, "pace.days_left\t%s\t%lld\n", reading->subject,
                        (long long)days_left(room_mb, used_mb - oldest.used_mb,
                                             pace->now_sec - oldest.at_sec));
}

/* Those of today are replaced by what is now, older ones than are asked for forgotten. */
static void keep_others(struct pace *pace) {
    struct span lines = pace->kept;
    struct sample sample;
    unsigned count = 0;
    while (lines.length > 0 && count < LINES_MOST) {
        struct span line = span_cut(&lines, '\n');
        if (!read_sample(line, &sample) || sample.at_sec > pace->now_sec ||
            sample.at_sec / DAY_SEC == pace->now_sec / DAY_SEC ||
            pace->now_sec - sample.at_sec > DAYS_MOST * DAY_SEC)
            continue;
        text_add(&pace->lines, line);
        text_add_char(&pace->lines, '\n');
        count++;
    }
}

int pace_take(const struct book *book, struct readings *readings, int64_t now_us,
              struct why *reterr_why) {
    cleanup_text struct text text = {0};
    struct pace pace = {.readings = readings, .now_sec = now_us / SECOND_US};
    const struct reading *first = NULL;
    if (readings_find(readings, "mounts.used_mb", &first) == 0)
        return 0; /* nobody looked at them */
    int error = book_read_file(book, "room", &text);
    if (error < 0 && error != -ENOENT)
        text_clear(&text);
    pace.kept = text_span(&text);
    readings_each(readings, say_pace, &pace);
    keep_others(&pace);
    error = readings_take(readings, text_span(&pace.said), reterr_why);
    if (error >= 0 && pace.lines.length > 0)
        error = book_write_file(book, "room", text_span(&pace.lines), reterr_why);
    text_free(&pace.said);
    text_free(&pace.lines);
    return error;
}
