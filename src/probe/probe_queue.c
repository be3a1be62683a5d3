/* Mail that waits, as postqueue -j lists it: a line a message, of which only what Postfix itself
 * writes before the sender's text is read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "probe/probe.h"
#include "probe/words.h"

static const char *const names[] = {"incoming", "active", "deferred", "hold", "maildrop"};

struct queue {
    uint64_t messages[ELEMENTS_OF(names)];
    uint64_t bounces; /* deferred ones with the empty sender */
    int64_t oldest_sec;
};

/* The text that follows the first `mark` of the line. */
static struct span behind(struct span line, const char *mark) {
    const char *found = memmem(line.at, line.length, mark, strlen(mark));
    return found ? span_skip(line, (size_t)(found - line.at) + strlen(mark)) : (struct span){0};
}

/* {"queue_name": "deferred", "queue_id": "…", "arrival_time": 1732190000, …, "sender": "…", …} */
static void count(struct queue *queue, struct span line) {
    struct span name = behind(line, "{\"queue_name\": \"");
    struct span arrived = behind(line, "\"arrival_time\": ");
    struct span sender = behind(line, "\"sender\": \"");
    struct span number = span_cut(&arrived, ',');
    int64_t at_sec;
    name = span_cut(&name, '"');
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        queue->messages[i] += span_is(name, names[i]);
    if (!span_is(name, "deferred"))
        return;
    queue->bounces += sender.length > 0 &&
                      (sender.at[0] == '"' || span_starts_with(sender, SPAN("MAILER-DAEMON\"")));
    if (span_to_integer(number, 1, INT64_MAX, &at_sec) == 0 &&
        (queue->oldest_sec == 0 || at_sec < queue->oldest_sec))
        queue->oldest_sec = at_sec;
}

static void say(struct look *look, const struct queue *queue) {
    int64_t now_sec = clock_now_us() / SECOND_US;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        look_say_format(look, names[i], "", "%llu", (unsigned long long)queue->messages[i]);
    look_say_format(look, "bounces", "", "%llu", (unsigned long long)queue->bounces);
    look_say_format(look, "oldest", "", "%lld",
                    queue->oldest_sec ? (long long)(now_sec - queue->oldest_sec) : 0LL);
}

void probe_queue(struct look *look) {
    static const char *const arguments[] = {"postqueue", "-j", NULL};
    cleanup_text struct text list = {0};
    cleanup_text struct text complaint = {0};
    struct queue queue = {0};
    bool is_there = look_has_program("postqueue");
    look_say_text(look, "there", "", is_there ? "yes" : "no");
    if (!is_there)
        return;
    int status = look_run(look, arguments, &list, &complaint);
    if (status < 0 && status != -EFBIG)
        look_say_not(look, NULL, "postqueue -j: %s", strerror(-status));
    else if (status > 0)
        look_say_not(look, NULL, "postqueue -j: %.300s",
                     complaint.length ? complaint.at : "it failed without a word");
    if (status != 0 && status != -EFBIG)
        return;
    struct span lines = text_span(&list);
    struct span line;
    while (next_line(&lines, &line))
        count(&queue, line);
    say(look, &queue);
}
