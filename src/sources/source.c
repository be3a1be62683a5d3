/* Which kind of source it is: see source.h. File and journal have the same verbs, so each of these
 * hands on to one or the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/source.h"

#include <sys/inotify.h>

#include "base/log.h"
#include "sources/file.h"
#include "sources/journal.h"
#include "sources/row.h"

struct source {
    struct file_source *file;       /* one of these is there */
    struct journal_source *journal;
    char file_name[257];            /* the path's last part */
};

bool source_is_journal(struct span name) {
    return span_starts_with(name, SPAN("journal: "));
}

void source_prepare(void) {
    row_prepare();
}

struct source *source_new(struct span name, bool is_fresh, const struct source_calls *calls,
                          void *context) {
    struct source *source = calloc(1, sizeof(*source));
    must(source && name.length < sizeof(source->file_name));
    if (source_is_journal(name)) {
        source->journal = journal_source_new(name, calls, context);
        return source;
    }
    const char *slash = name.length ? memrchr(name.at, '/', name.length) : NULL;
    struct span last = slash ? span_skip(name, (size_t)(slash - name.at) + 1) : name;
    memcpy(source->file_name, last.at, last.length);
    source->file = file_source_new(calls, is_fresh, context);
    return source;
}

struct source *source_free(struct source *source) {
    if (!source)
        return NULL;
    file_source_free(source->file);
    journal_source_free(source->journal);
    free(source);
    return NULL;
}

void source_start(struct source *source, const struct wire_position *position) {
    if (source->journal)
        journal_source_start(source->journal, position);
    else
        file_source_start(source->file, position);
}

void source_opened(struct source *source, const struct wire_opened *opened, int fd) {
    if (source->journal)
        journal_opened(source->journal, opened, fd);
    else
        file_opened(source->file, opened, fd);
}

void source_listed(struct source *source, const struct wire_sibling *siblings, uint32_t count) {
    if (source->journal)
        journal_listed(source->journal, siblings, count);
    else
        file_listed(source->file, siblings, count);
}

void source_sighted(struct source *source) {
    if (source->journal)
        journal_sighted(source->journal);
    else
        file_sighted(source->file);
}

static void notice_file(struct source *source, const struct inotify_event *event,
                        struct file_news *news) {
    if (event->len > 0 && strcmp(event->name, source->file_name) != 0)
        return; /* another file of the folder */
    news->grew = news->grew || (event->mask & IN_MODIFY);
    news->was_closed = news->was_closed || (event->mask & IN_CLOSE_WRITE);
    news->name_changed =
        news->name_changed || (event->mask & (uint32_t)~(IN_MODIFY | IN_CLOSE_WRITE));
}

/* One of journald's files came or went, or one of the folders they are in. Growing is no such
 * news: any look tells. */
static bool is_of_journal(const struct inotify_event *event) {
    enum { MACHINE_ID_LENGTH = 32 };
    static const char *const folders[] = {"log", "journal"};
    struct span name = span_of(event->len ? event->name : "");
    bool is_folder = name.length == MACHINE_ID_LENGTH || name.length == 0;
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++)
        is_folder = is_folder || span_is(name, folders[i]);
    return (event->mask & (uint32_t)~IN_MODIFY) &&
           (is_folder || span_starts_with(name, SPAN("system")));
}

void source_notice(struct source *source, const char *inotify_events, size_t length) {
    struct file_news news = {0};
    bool files_changed = false;
    for (size_t at = 0; at + sizeof(struct inotify_event) <= length;) {
        const struct inotify_event *event = (const void *)(inotify_events + at);
        at += sizeof(*event) + event->len;
        if (source->file)
            notice_file(source, event, &news);
        else
            files_changed = files_changed || is_of_journal(event);
    }
    if (source->file)
        file_source_notice(source->file, news);
    else if (files_changed)
        journal_files_changed(source->journal);
}

bool source_turn(struct source *source) {
    return source->journal ? journal_source_turn(source->journal)
                           : file_source_turn(source->file);
}

int64_t source_patience_us(const struct source *source, int64_t now_monotonic_us) {
    return source->journal ? journal_source_patience_us(source->journal, now_monotonic_us)
                           : file_source_patience_us(source->file, now_monotonic_us);
}

struct span source_identity_at(const struct source *source, uint64_t ordinal) {
    return source->journal ? journal_source_identity_at(source->journal, ordinal)
                           : file_source_identity_at(source->file, ordinal);
}

void source_committed(struct source *source, uint64_t ordinal) {
    if (source->journal)
        journal_source_committed(source->journal, ordinal);
    else
        file_source_committed(source->file, ordinal);
}

uint64_t source_take_lost(struct source *source) {
    return source->journal ? journal_source_take_lost(source->journal)
                           : file_source_take_lost(source->file);
}

uint64_t source_lag(const struct source *source) {
    return source->journal ? journal_source_lag(source->journal)
                           : file_source_lag(source->file);
}

enum source_state_kind source_state(const struct source *source) {
    return source->journal ? journal_source_state(source->journal)
                           : file_source_state(source->file);
}

uint64_t source_done(const struct source *source) {
    return source->journal ? journal_source_done(source->journal)
                           : file_source_done(source->file);
}
