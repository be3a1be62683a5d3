/* The sensor: reads logs and says what they say. It parses what attackers wrote, and so may do
 * nothing: no files, no network, no privileges; descriptors come from hauberkd.
 *
 * Each source reads a turn of at most 256 KiB, then the next one has its turn: a flood in one log
 * does not delay another. When the decider is slow, nobody reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/selftest.h"
#include "match/match.h"
#include "roles/role.h"
#include "sources/source.h"

enum { FRAME_EVENTS = 64 }; /* a frame is cut after so many, at the end of a line */

struct sensor_role;

/* One source, what it says and how far that was told. */
struct feed {
    struct sensor_role *role;
    uint16_t number;
    int inotify_fd;
    struct watch *inotify_watch, *patience;
    struct source *source;
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
    struct feed *feeds[SOURCES_MAX];
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

static void tell_frame(struct feed *feed, uint64_t last, uint64_t resume) {
    struct sensor_role *role = feed->role;
    struct wire_batch batch = {.source = feed->number, .first = feed->frame_start,
                               .last = last, .resume = resume,
                               .lost = source_take_lost(feed->source),
                               .lag = source_lag(feed->source),
                               .told_us = clock_now_us()};
    const struct match_counts *counts = match_counts(feed->match);
    batch.lines = (uint32_t)(counts->lines - feed->lines_told);
    feed->lines_told = counts->lines;
    wire_set_bytes(batch.last_identity, source_identity_at(feed->source, last));
    wire_set_bytes(batch.resume_identity, source_identity_at(feed->source, batch.resume));
    if (channel_send(role->decider, SAY_EVENTS, &batch, feed->events, feed->event_count) ==
        -ENOBUFS) {
        struct why why = {.text = "the decider is too far behind; starting anew loses nothing"};
        role_fail(&why);
    }
    feed->event_count = 0;
    feed->frame_start = last;
}

static void on_event(void *context, const struct wire_event *event) {
    struct feed *feed = context;
    bool is_full = feed->event_count >= FRAME_EVENTS;
    if (is_full && feed->events[feed->event_count - 1].line_end != event->line_end)
        tell_frame(feed, feed->events[feed->event_count - 1].line_end,
                   feed->event_resume);
    must(feed->event_count < EVENTS_MAX); /* at most MATCH_FILTERS_MAX events a line */
    feed->events[feed->event_count++] = *event;
    /* As of this line, which other filters may not have looked at yet: lines after it may end
     * sessions that a reader starting at a cut right here still needs. */
    uint64_t resume = match_resume(feed->match, event->line_end);
    uint64_t start = match_line_start(feed->match);
    feed->event_resume = resume < start ? resume : start;
}

static void tell_state(struct feed *feed) {
    struct wire_source_state state = {
        .source = feed->number,
        .state = (uint8_t)source_state(feed->source),
        .has_jit = feed->role->has_jit,
        .has_prefilter = match_has_prefilter(feed->match),
        .skipped_lines = (uint32_t)(match_counts(feed->match)->skipped +
                                    match_counts(feed->match)->over_limit +
                                    match_counts(feed->match)->too_long)};
    if (feed->state_is_told &&
        memcmp(&state, &feed->told_state, sizeof(state)) == 0)
        return;
    feed->told_state = state;
    feed->state_is_told = true;
    (void)channel_send(feed->role->decider, SAY_SOURCE_STATE, &state, NULL, 0);
}

/* ---- the source's wishes ---- */

static void ask_open(void *context, uint16_t sibling, uint32_t ticket) {
    struct feed *feed = context;
    struct wire_open open = {.source = feed->number, .sibling = sibling, .ticket = ticket};
    (void)channel_send(feed->role->supervisor.channel, SAY_OPEN, &open, NULL, 0);
}

static void ask_list(void *context) {
    struct feed *feed = context;
    struct wire_source_number number = {.source = feed->number};
    (void)channel_send(feed->role->supervisor.channel, SAY_LIST, &number, NULL, 0);
}

static void tell_sight(void *context, uint64_t mark, uint64_t start, struct span identity) {
    struct feed *feed = context;
    struct wire_sight sight = {.source = feed->number, .mark = mark, .start = start};
    wire_set_bytes(sight.identity, identity);
    feed->frame_start = start;
    (void)channel_send(feed->role->decider, SAY_SIGHT, &sight, NULL, 0);
}

static void tell_lines(void *context, struct span lines, uint64_t start) {
    struct feed *feed = context;
    feed->role->note->source = feed->number;
    match_feed(feed->match, lines, start, clock_now_us(), on_event, feed);
    feed->role->note->ordinal = 0;
}

static void tell_unmatched(struct feed *feed) {
    struct wire_unmatched unmatched = {.source = feed->number};
    while ((unmatched.lines = match_take_unmatched(feed->match, &unmatched.filter)) > 0)
        (void)channel_send(feed->role->decider, SAY_UNMATCHED, &unmatched, NULL, 0);
}

static void tell_turn(void *context) {
    struct feed *feed = context;
    uint64_t done = source_done(feed->source);
    tell_frame(feed, done, match_resume(feed->match, done));
    tell_unmatched(feed);
}

static const struct source_calls source_calls = {ask_open, ask_list, tell_sight, tell_lines,
                                                 tell_turn};

/* ---- turns ---- */

static void want_turn(struct feed *feed) {
    feed->wants_turn = true;
    watch_set_idle(feed->role->idle, true);
}

static int patience_is_over(void *context) {
    want_turn(context);
    return 0;
}

static void set_patience(struct feed *feed) {
    int64_t wait_us = source_patience_us(feed->source, clock_monotonic_us());
    watch_set_timer(feed->patience, wait_us);
}

static int take_turns(void *context) {
    struct sensor_role *role = context;
    bool more = false;
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct feed *feed = role->feeds[(role->next_turn + i) % SOURCES_MAX];
        if (!feed || !feed->wants_turn || !channel_is_clear(role->decider))
            continue;
        feed->wants_turn = source_turn(feed->source);
        more = more || feed->wants_turn;
        tell_state(feed);
        set_patience(feed);
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

static int inotify_ready(void *context, int fd, uint32_t events) {
    (void)events;
    struct feed *feed = context;
    _Alignas(8) char buffer[16384];
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got > 0 && feed->has_position) {
        source_notice(feed->source, buffer, (size_t)got);
        want_turn(feed);
    }
    return 0;
}

/* ---- hauberkd ---- */

/* The filters of the jails that read a source, each once. */
static struct match *match_for(struct sensor_role *role, uint64_t jails) {
    struct filter_rules *rules[MATCH_FILTERS_MAX];
    uint16_t numbers[MATCH_FILTERS_MAX];
    uint32_t count = 0;
    for (uint32_t f = 0; f < role->config->filter_count && count < MATCH_FILTERS_MAX; f++) {
        bool is_wanted = false;
        for (uint32_t j = 0; j < role->config->jail_count && !is_wanted; j++) {
            const struct config_jail *jail = &role->config->jails[j];
            is_wanted = (jails >> j & 1) && jail->is_enabled && jail->counts != COUNTS_RETURNS &&
                        jail->filter == f;
        }
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
    struct feed *feed = calloc(1, sizeof(*feed));
    must(feed);
    feed->role = role;
    feed->number = named->source;
    feed->match = match_for(role, named->jails);
    match_set_note(feed->match, &role->note->ordinal);
    for (uint32_t i = 0; i < role->skip_count; i++)
        if (role->skips[i].source == feed->number)
            match_skip_line(feed->match, role->skips[i].ordinal);
    feed->source = source_new(wire_bytes(named->path), named->is_fresh, &source_calls, feed);
    feed->patience = loop_add_timer(role->supervisor.loop, -1, patience_is_over, feed);
    feed->inotify_fd = fd;
    if (fd >= 0)
        feed->inotify_watch =
            loop_add_fd(role->supervisor.loop, fd, EPOLLIN, inotify_ready, feed);
    role->feeds[feed->number] = feed;
}

static int from_supervisor(void *context, struct message *message) {
    struct sensor_role *role = context;
    if (message->type == SAY_SOURCE) {
        const struct wire_source *named = message->head;
        if (!role->feeds[named->source])
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
        struct feed *feed = role->feeds[opened->source];
        if (feed) {
            source_opened(feed->source, opened, take_fd(&message->fd));
            want_turn(feed);
        }
    } else if (message->type == SAY_LISTED) {
        const struct wire_source_number *number = message->head;
        struct feed *feed = role->feeds[number->source];
        if (feed) {
            source_listed(feed->source, message->items, message->count);
            want_turn(feed);
        }
    }
    return 0;
}

/* ---- the decider ---- */

static void start_feeds(struct sensor_role *role) {
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct feed *feed = role->feeds[i];
        if (!feed)
            continue;
        feed->has_position = true;
        feed->frame_start = feed->position.done;
        source_start(feed->source, &feed->position);
    }
}

static int from_decider(void *context, struct message *message) {
    struct sensor_role *role = context;
    if (message->type == SAY_POSITION) {
        const struct wire_position *position = message->head;
        if (role->feeds[position->source])
            role->feeds[position->source]->position = *position;
    } else if (message->type == SAY_POSITIONS_END) {
        start_feeds(role);
    } else if (message->type == SAY_SIGHTED) {
        const struct wire_source_number *number = message->head;
        struct feed *feed = role->feeds[number->source];
        if (feed) {
            source_sighted(feed->source);
            want_turn(feed);
        }
    } else if (message->type == SAY_ACK) {
        const struct wire_line *line = message->head;
        struct feed *feed = role->feeds[line->source];
        if (feed) /* lines of sessions still open may lie in an older file */
            source_committed(feed->source, match_resume(feed->match, line->ordinal));
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
    config_add_selftest(config);
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
    source_prepare();
    role_enter_sandbox(SENSOR, &options, NULL, NULL);
    role_connect_supervisor(&role.supervisor, SENSOR);
    static const struct channel_calls decider_calls = {from_decider, decider_clear,
                                                       decider_ended};
    role.decider = channel_new(loop, ROLE_FD_PEER, SENSOR, DECIDER, &decider_calls, &role);
    role.idle = loop_add_idle(loop, take_turns, &role);
    return loop_run(loop) < 0 ? 1 : 0;
}
