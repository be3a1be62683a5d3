/* The sensor: reads logs and says what they say. It parses what attackers wrote, and so may do
 * nothing: no files, no network, no privileges; descriptors come from hauberkd.
 *
 * Each source reads a turn of at most 256 KiB, then the next one has its turn: a flood in one log
 * does not delay another. When the decider is slow, nobody reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fnmatch.h>
#include <libgen.h>
#include <sys/inotify.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "match/match.h"
#include "roles/role.h"
#include "sources/file.h"

enum { FRAME_EVENTS = 64 }; /* a frame is cut after so many, at the end of a line */

struct sensor_role;

struct source {
    struct sensor_role *role;
    uint16_t number;
    char path[257];
    char name[257]; /* the path's last part */
    int inotify_fd;
    struct watch *inotify_watch, *patience;
    struct file_source *file;
    struct match *match;
    bool wants_turn, has_position;
    struct wire_position position;
    struct wire_source_state told_state;
    bool state_is_told;

    struct wire_event events[EVENTS_MAX]; /* of the frame being filled */
    uint32_t event_count;
    uint64_t event_resume; /* where to resume if the frame is cut behind its last event */
    uint64_t frame_start;  /* ordinal where the frame begins */
    uint64_t lines_told;
};

struct sensor_role {
    struct role_supervisor supervisor;
    struct channel *decider;
    const struct config *config;
    struct filter_rules **rules; /* by filter number */
    struct source *sources[SOURCES_MAX];
    uint16_t next_turn;
    struct watch *idle;
    struct note_page *note;
    bool has_jit;
    struct {
        uint16_t source;
        uint64_t ordinal;
    } skips[16];
    uint32_t skip_count;
};

/* ---- telling the decider ---- */

static void tell_frame(struct source *source, uint64_t last, uint64_t resume) {
    struct sensor_role *role = source->role;
    struct wire_batch batch = {.source = source->number, .first = source->frame_start,
                               .last = last, .resume = resume,
                               .lost = file_source_take_lost(source->file),
                               .lag = file_source_lag(source->file)};
    const struct match_counts *counts = match_counts(source->match);
    batch.lines = (uint32_t)(counts->lines - source->lines_told);
    source->lines_told = counts->lines;
    wire_set_bytes(batch.last_identity, file_source_identity_at(source->file, last));
    wire_set_bytes(batch.resume_identity, file_source_identity_at(source->file, batch.resume));
    if (channel_send(role->decider, SAY_EVENTS, &batch, source->events, source->event_count) ==
        -ENOBUFS) {
        struct why why = {.text = "the decider is too far behind; starting anew loses nothing"};
        role_fail(&why);
    }
    source->event_count = 0;
    source->frame_start = last;
}

static void on_event(void *context, const struct wire_event *event) {
    struct source *source = context;
    bool is_full = source->event_count >= FRAME_EVENTS;
    if (is_full && source->events[source->event_count - 1].line_end != event->line_end)
        tell_frame(source, source->events[source->event_count - 1].line_end,
                   source->event_resume);
    must(source->event_count < EVENTS_MAX); /* at most MATCH_FILTERS_MAX events a line */
    source->events[source->event_count++] = *event;
    /* As of this line, which other filters may not have looked at yet: lines after it may end
     * sessions that a reader starting at a cut right here still needs. */
    uint64_t resume = match_resume(source->match, event->line_end);
    uint64_t start = match_line_start(source->match);
    source->event_resume = resume < start ? resume : start;
}

static void tell_state(struct source *source) {
    struct wire_source_state state = {
        .source = source->number,
        .state = (uint8_t)file_source_state(source->file),
        .has_jit = source->role->has_jit,
        .has_prefilter = match_has_prefilter(source->match),
        .skipped_lines = (uint32_t)(match_counts(source->match)->skipped +
                                    match_counts(source->match)->over_limit +
                                    match_counts(source->match)->too_long)};
    if (source->state_is_told &&
        memcmp(&state, &source->told_state, sizeof(state)) == 0)
        return;
    source->told_state = state;
    source->state_is_told = true;
    (void)channel_send(source->role->decider, SAY_SOURCE_STATE, &state, NULL, 0);
}

/* ---- the file's wishes ---- */

static void ask_open(void *context, uint16_t sibling, uint32_t ticket) {
    struct source *source = context;
    struct wire_open open = {.source = source->number, .sibling = sibling, .ticket = ticket};
    (void)channel_send(source->role->supervisor.channel, SAY_OPEN, &open, NULL, 0);
}

static void ask_list(void *context) {
    struct source *source = context;
    struct wire_source_number number = {.source = source->number};
    (void)channel_send(source->role->supervisor.channel, SAY_LIST, &number, NULL, 0);
}

static void tell_sight(void *context, uint64_t mark, uint64_t start, struct span identity) {
    struct source *source = context;
    struct wire_sight sight = {.source = source->number, .mark = mark, .start = start};
    wire_set_bytes(sight.identity, identity);
    source->frame_start = start;
    (void)channel_send(source->role->decider, SAY_SIGHT, &sight, NULL, 0);
}

static void tell_lines(void *context, struct span lines, uint64_t start) {
    struct source *source = context;
    source->role->note->source = source->number;
    match_feed(source->match, lines, start, clock_now_us(), on_event, source);
    source->role->note->ordinal = 0;
}

static void tell_unmatched(struct source *source) {
    struct wire_unmatched unmatched = {.source = source->number};
    while ((unmatched.lines = match_take_unmatched(source->match, &unmatched.filter)) > 0)
        (void)channel_send(source->role->decider, SAY_UNMATCHED, &unmatched, NULL, 0);
}

static void tell_turn(void *context) {
    struct source *source = context;
    uint64_t done = file_source_done(source->file);
    tell_frame(source, done, match_resume(source->match, done));
    tell_unmatched(source);
}

static const struct file_calls file_calls = {ask_open, ask_list, tell_sight, tell_lines,
                                             tell_turn};

/* ---- turns ---- */

static void want_turn(struct source *source) {
    source->wants_turn = true;
    watch_set_idle(source->role->idle, true);
}

static int patience_is_over(void *context) {
    want_turn(context);
    return 0;
}

static void set_patience(struct source *source) {
    int64_t wait_us = file_source_patience_us(source->file, clock_monotonic_us());
    watch_set_timer(source->patience, wait_us);
}

static int take_turns(void *context) {
    struct sensor_role *role = context;
    bool more = false;
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct source *source = role->sources[(role->next_turn + i) % SOURCES_MAX];
        if (!source || !source->wants_turn || !channel_is_clear(role->decider))
            continue;
        source->wants_turn = file_source_turn(source->file);
        more = more || source->wants_turn;
        tell_state(source);
        set_patience(source);
    }
    role->next_turn = (uint16_t)((role->next_turn + 1) % SOURCES_MAX);
    watch_set_idle(role->idle, more && channel_is_clear(role->decider));
    return 0;
}

static int decider_clear(void *context) {
    struct sensor_role *role = context;
    watch_set_idle(role->idle, true);
    return 0;
}

static void read_news(struct source *source, const char *buffer, size_t length) {
    struct file_news news = {0};
    for (size_t at = 0; at + sizeof(struct inotify_event) <= length;) {
        const struct inotify_event *event = (const void *)(buffer + at);
        at += sizeof(*event) + event->len;
        bool is_other = event->len > 0 && strcmp(event->name, source->name) != 0;
        if (is_other)
            continue;
        news.grew = news.grew || (event->mask & IN_MODIFY);
        news.was_closed = news.was_closed || (event->mask & IN_CLOSE_WRITE);
        news.name_changed =
            news.name_changed || (event->mask & (uint32_t)~(IN_MODIFY | IN_CLOSE_WRITE));
    }
    file_source_notice(source->file, news);
}

static int inotify_ready(void *context, int fd, uint32_t events) {
    (void)events;
    struct source *source = context;
    _Alignas(struct inotify_event) char buffer[16384];
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got > 0 && source->has_position) {
        read_news(source, buffer, (size_t)got);
        want_turn(source);
    }
    return 0;
}

/* ---- hauberkd ---- */

static bool source_wants(const struct config_jail *jail, const char *path, uint32_t filter) {
    if (!jail->is_enabled || jail->counts == COUNTS_RETURNS || jail->filter != filter)
        return false;
    for (uint32_t i = 0; i < jail->log_paths.count; i++)
        if (fnmatch(jail->log_paths.at[i].text, path, FNM_PATHNAME) == 0)
            return true;
    return false;
}

static struct match *match_for(struct sensor_role *role, const char *path) {
    struct filter_rules *rules[MATCH_FILTERS_MAX];
    uint16_t numbers[MATCH_FILTERS_MAX];
    uint32_t count = 0;
    for (uint32_t f = 0; f < role->config->filter_count && count < MATCH_FILTERS_MAX; f++) {
        bool is_wanted = false;
        for (uint32_t j = 0; j < role->config->jail_count && !is_wanted; j++)
            is_wanted = source_wants(&role->config->jails[j], path, f);
        if (is_wanted) {
            rules[count] = role->rules[f];
            numbers[count++] = (uint16_t)f;
        }
    }
    struct why why = {0};
    struct match *match = match_new(rules, numbers, count, false, &why);
    if (!match)
        role_fail(&why);
    return match;
}

static void add_source(struct sensor_role *role, const struct wire_source *named, int fd) {
    struct source *source = calloc(1, sizeof(*source));
    must(source);
    source->role = role;
    source->number = named->source;
    memcpy(source->path, named->path.at, named->path.length);
    const char *slash = strrchr(source->path, '/');
    memcpy(source->name, slash ? slash + 1 : source->path,
           strlen(slash ? slash + 1 : source->path) + 1);
    source->match = match_for(role, source->path);
    match_set_note(source->match, &role->note->ordinal);
    for (uint32_t i = 0; i < role->skip_count; i++)
        if (role->skips[i].source == source->number)
            match_skip_line(source->match, role->skips[i].ordinal);
    source->file = file_source_new(&file_calls, named->is_fresh, source);
    source->patience = loop_add_timer(role->supervisor.loop, -1, patience_is_over, source);
    source->inotify_fd = fd;
    if (fd >= 0)
        source->inotify_watch =
            loop_add_fd(role->supervisor.loop, fd, EPOLLIN, inotify_ready, source);
    role->sources[source->number] = source;
}

static int from_supervisor(void *context, struct message *message) {
    struct sensor_role *role = context;
    if (message->type == SAY_SOURCE) {
        const struct wire_source *named = message->head;
        if (!role->sources[named->source])
            add_source(role, named, take_fd(&message->fd));
    } else if (message->type == SAY_SKIP) {
        const struct wire_line *line = message->head;
        if (role->skip_count < ELEMENTS_OF(role->skips)) {
            role->skips[role->skip_count].source = line->source;
            role->skips[role->skip_count++].ordinal = line->ordinal;
        }
    } else if (message->type == SAY_SOURCES_END) {
        (void)channel_send(role->supervisor.channel, SAY_READY, NULL, NULL, 0);
    } else if (message->type == SAY_OPENED) {
        const struct wire_opened *opened = message->head;
        struct source *source = role->sources[opened->source];
        if (source) {
            file_opened(source->file, opened, take_fd(&message->fd));
            want_turn(source);
        }
    } else if (message->type == SAY_LISTED) {
        const struct wire_source_number *number = message->head;
        struct source *source = role->sources[number->source];
        if (source) {
            file_listed(source->file, message->items, message->count);
            want_turn(source);
        }
    }
    return 0;
}

/* ---- the decider ---- */

static void start_sources(struct sensor_role *role) {
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct source *source = role->sources[i];
        if (!source)
            continue;
        source->has_position = true;
        source->frame_start = source->position.done;
        file_source_start(source->file, &source->position);
    }
}

static int from_decider(void *context, struct message *message) {
    struct sensor_role *role = context;
    if (message->type == SAY_POSITION) {
        const struct wire_position *position = message->head;
        if (role->sources[position->source])
            role->sources[position->source]->position = *position;
    } else if (message->type == SAY_POSITIONS_END) {
        start_sources(role);
    } else if (message->type == SAY_SIGHTED) {
        const struct wire_source_number *number = message->head;
        struct source *source = role->sources[number->source];
        if (source) {
            file_sighted(source->file);
            want_turn(source);
        }
    } else if (message->type == SAY_ACK) {
        const struct wire_line *line = message->head;
        struct source *source = role->sources[line->source];
        if (source) /* lines of sessions still open may lie in an older file */
            file_source_committed(source->file, match_resume(source->match, line->ordinal));
    }
    return 0;
}

static int decider_ended(void *context, int error, const char *what) {
    struct sensor_role *role = context;
    return role_peer_ended(&role->supervisor, DECIDER, error, what);
}

static void compile_filters(struct sensor_role *role) {
    struct why why = {0};
    role->rules = calloc(role->config->filter_count + 1, sizeof(*role->rules));
    must(role->rules);
    role->has_jit = role->config->filter_count > 0;
    for (uint32_t i = 0; i < role->config->filter_count; i++) {
        role->rules[i] = filter_rules_new(&role->config->filters[i], &why);
        if (!role->rules[i])
            role_fail(&why);
        for (uint32_t k = 0; k < role->rules[i]->fail_count; k++)
            role->has_jit = role->has_jit && rule_has_jit(role->rules[i]->fail[k]);
    }
}

int main(int argc, char **argv) {
    struct why why = {0};
    struct config *config = NULL;
    struct role_options options = role_begin(SENSOR, argc, argv);
    if (config_read(options.config_folder, options.data_folder, &config, &why) < 0)
        role_fail(&why);
    if (!digest_equals(&config->digest, &options.digest)) {
        why_set(&why, -1, options.config_folder, 0, "changed while hauberk was starting");
        role_fail(&why);
    }
    static struct sensor_role role;
    role.config = config;
    role.supervisor = (struct role_supervisor){.loop = loop_new(),
                                               .on_message = from_supervisor,
                                               .context = &role};
    struct loop *loop = role.supervisor.loop;
    role.note = mmap(NULL, sizeof(*role.note), PROT_READ | PROT_WRITE, MAP_SHARED, ROLE_FD_SECOND,
                     0);
    must(role.note != MAP_FAILED);
    compile_filters(&role);
    role_enter_sandbox(SENSOR, &options, NULL);
    role_connect_supervisor(&role.supervisor, SENSOR);
    static const struct channel_calls decider_calls = {from_decider, decider_clear,
                                                       decider_ended};
    role.decider = channel_new(loop, ROLE_FD_PEER, SENSOR, DECIDER, &decider_calls, &role);
    role.idle = loop_add_idle(loop, take_turns, &role);
    return loop_run(loop) < 0 ? 1 : 0;
}
