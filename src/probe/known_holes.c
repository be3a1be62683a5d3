/* debsecan, started daily by its cron file, keeps what it reported: "VERSION 1", the time, then
 * "BUG,PACKAGE,F" where an update is to be had and "BUG,PACKAGE, " where none is. Which updates
 * wait apt's lists tell; here is the rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/known_holes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "probe/found.h"

enum { NAMED_MOST = 5, OLD_DAYS = 7, HOLES_MOST = 50000 };

struct hole {
    struct span package, bug;
};

static int compare(const void *a, const void *b) {
    const struct hole *left = a;
    const struct hole *right = b;
    size_t least = left->package.length < right->package.length ? left->package.length
                                                                : right->package.length;
    int packages = memcmp(left->package.at, right->package.at, least);
    if (packages)
        return packages;
    if (left->package.length != right->package.length)
        return left->package.length < right->package.length ? -1 : 1;
    return left->bug.at < right->bug.at ? -1 : left->bug.at > right->bug.at;
}

static size_t read_holes(struct span text, const struct installed *installed, struct hole *holes) {
    size_t count = 0;
    while (text.length > 0 && count < HOLES_MOST) {
        struct span line = span_cut(&text, '\n');
        struct span bug = span_cut(&line, ',');
        struct span package = span_cut(&line, ',');
        if (bug.length > 0 && package.length > 0 && line.at && span_is(line, " ") &&
            installed_find(installed, package))
            holes[count++] = (struct hole){package, bug};
    }
    return count;
}

static void say(struct found *found, const struct hole *holes, size_t count) {
    cleanup_text struct text names = {0};
    char package[200];
    snprintf(package, sizeof(package), "%.*s", SPAN_FORMAT(holes->package));
    for (size_t i = 0; i < count && i < NAMED_MOST; i++)
        text_add_format(&names, "%s%.*s", i ? ", " : "", SPAN_FORMAT(holes[i].bug));
    if (count > NAMED_MOST)
        text_add_format(&names, " and %zu more", count - NAMED_MOST);
    found_one(found, package, "%s", names.at);
}

static void say_all(struct look *look, struct span text, const struct installed *installed) {
    struct found found = {look, "known_hole", 0};
    struct hole *holes = calloc(HOLES_MOST, sizeof(*holes));
    must(holes);
    size_t count = read_holes(text, installed, holes);
    if (count > 0)
        qsort(holes, count, sizeof(*holes), compare);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first; next < count && span_equals(holes[next].package, holes[first].package);)
            next++;
        say(&found, holes + first, next - first);
    }
    if (count == HOLES_MOST)
        look_say_not(look, "known_hole", "there are more than %d", HOLES_MOST);
    found_end(&found);
    free(holes);
}

void known_holes_say(struct look *look, const struct installed *installed, const char *path) {
    cleanup_text struct text text = {0};
    int error = look_file(path, &text);
    if (error == -ENOENT)
        return;
    struct span rest = text_span(&text);
    struct span version = span_cut(&rest, '\n');
    int64_t at_sec = 0;
    if (error < 0)
        look_say_not(look, "known_hole", "%s: %s", path, strerror(-error));
    else if (!span_is(version, "VERSION 1") ||
             span_to_integer(span_cut(&rest, '\n'), 0, INT64_MAX / SECOND_US, &at_sec) < 0)
        look_say_not(look, "known_hole", "%s is not as debsecan writes it", path);
    else if (clock_now_us() / SECOND_US - at_sec > OLD_DAYS * 86400)
        look_say_not(look, "known_hole", "debsecan last asked %lld days ago",
                     (long long)((clock_now_us() / SECOND_US - at_sec) / 86400));
    else
        say_all(look, rest, installed);
}
