/* The scanner: see match.h.
 *
 * State per source: the literals' database, the sessions, counters. One pass of the prefilter
 * collects (line, which patterns of which filters) in the order of the lines; filters without
 * literals want every line, and then the walk goes over all of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/match.h"

#include <errno.h>
#ifdef HAVE_HS
#include <hs.h>
#endif

#include "base/log.h"
#include "match/sessions.h"
#include "match/stamp.h"
#include "match/suspects.h"

/* What one literal, or all of a line's, may be of. Patterns have a bit each, counted through all
 * filters; beyond 64 they share them. */
struct hit {
    uint32_t filters; /* bit i: filter i */
    uint64_t patterns;
    bool is_suspect; /* one of suspect_words */
};

struct candidate {
    uint32_t start, end; /* in the batch; end is behind the newline */
    struct hit hit;
};

enum { SUSPECT_WORDS_MAX = 32 };
#define EVERY_PATTERN UINT64_MAX
enum { SKIPS_MAX = 16, LITERALS_ALL_MAX = MATCH_FILTERS_MAX * LITERALS_MAX + SUSPECT_WORDS_MAX };

#define MARK_EVERY (UINT64_C(64) << 10)

struct match {
    uint64_t next_mark; /* ordinal */
    struct filter_rules *filters[MATCH_FILTERS_MAX];
    uint16_t numbers[MATCH_FILTERS_MAX];
    uint32_t count;
    uint32_t always;   /* filters that want every line */
    uint32_t unsorted; /* filters of whose patterns the literals say nothing */
    uint32_t first_bit[MATCH_FILTERS_MAX]; /* of each filter's patterns */
#ifdef HAVE_HS
    struct hit hits[LITERALS_ALL_MAX]; /* by the literal's id */
    hs_database_t *database;
    hs_scratch_t *scratch;
#endif
    struct candidate *candidates;
    uint32_t candidate_count, candidate_room;
    bool is_prefilter_lost;
    struct sessions *sessions;
    struct match_counts counts;
    uint32_t unmatched[MATCH_FILTERS_MAX]; /* suspect lines, since they were last taken */
    uint64_t line_start; /* of the line being looked at */
    volatile uint64_t *note;
    uint64_t skips[SKIPS_MAX];
    uint32_t skip_count;
};

#ifdef HAVE_HS
/* What libhs is given. */
struct wanted {
    unsigned count;
    const char *texts[LITERALS_ALL_MAX];
    unsigned flags[LITERALS_ALL_MAX];
    unsigned ids[LITERALS_ALL_MAX];
    size_t lengths[LITERALS_ALL_MAX];
};

static void add_hit(struct hit *to, const struct hit *hit) {
    to->filters |= hit->filters;
    to->patterns |= hit->patterns;
    to->is_suspect |= hit->is_suspect;
}

/* Once each: what is found is told per literal. */
static void want(struct match *match, struct wanted *wanted, struct span text, bool folds_case,
                 const struct hit *hit) {
    unsigned flags = folds_case ? HS_FLAG_CASELESS : 0;
    unsigned id = 0;
    while (id < wanted->count &&
           (wanted->flags[id] != flags ||
            !span_equals((struct span){wanted->texts[id], wanted->lengths[id]}, text)))
        id++;
    add_hit(&match->hits[id], hit);
    if (id < wanted->count)
        return;
    must(id < LITERALS_ALL_MAX);
    wanted->texts[id] = text.at;
    wanted->lengths[id] = text.length;
    wanted->flags[id] = flags;
    wanted->ids[id] = id;
    wanted->count++;
}

static void want_set(struct match *match, struct wanted *wanted, const struct literal_set *set,
                     const struct hit *hit) {
    for (uint32_t i = 0; i < set->count; i++)
        want(match, wanted, (struct span){set->at[i].at, set->at[i].length},
             set->at[i].folds_case, hit);
}

static int build_prefilter(struct match *match, struct why *reterr_why) {
    struct wanted wanted = {0};
    uint32_t bit = 0;
    for (uint32_t f = 0; f < match->count; f++) {
        const struct filter_rules *rules = match->filters[f];
        struct hit hit = {.filters = UINT32_C(1) << f};
        match->first_bit[f] = bit % 64;
        if (!rules->literals_of_each)
            want_set(match, &wanted, &rules->literals, &hit);
        for (uint32_t i = 0; rules->literals_of_each && i < filter_pattern_count(rules); i++) {
            hit.patterns = UINT64_C(1) << bit++ % 64;
            want_set(match, &wanted, &rules->literals_of_each[i], &hit);
        }
    }
    if (wanted.count == 0)
        return 0;
    must(suspect_word_count <= SUSPECT_WORDS_MAX);
    for (size_t i = 0; i < suspect_word_count; i++)
        want(match, &wanted, span_of(suspect_words[i]), true, &(struct hit){.is_suspect = true});
    hs_compile_error_t *error = NULL;
    if (hs_compile_lit_multi(wanted.texts, wanted.flags, wanted.ids, wanted.lengths, wanted.count,
                             HS_MODE_BLOCK, NULL, &match->database, &error) != HS_SUCCESS) {
        why_set(reterr_why, -EINVAL, NULL, 0, "the prefilter cannot be built: %s",
                error ? error->message : "no reason given");
        hs_free_compile_error(error);
        return -EINVAL;
    }
    if (hs_alloc_scratch(match->database, &match->scratch) != HS_SUCCESS)
        return why_set(reterr_why, -ENOMEM, NULL, 0, "no memory for the prefilter");
    return 0;
}

static void free_prefilter(struct match *match) {
    hs_free_scratch(match->scratch);
    hs_free_database(match->database);
}
#else
static int build_prefilter(struct match *match, struct why *reterr_why) {
    (void)match;
    (void)reterr_why;
    return 0;
}

static void free_prefilter(struct match *match) {
    (void)match;
}
#endif

bool match_has_prefilter(const struct match *match) {
#ifdef HAVE_HS
    return match->database != NULL;
#else
    (void)match;
    return false;
#endif
}

struct match *match_new(struct filter_rules *const *filters, const uint16_t *numbers,
                        uint32_t count, bool without_prefilter, struct why *reterr_why) {
    must(count <= MATCH_FILTERS_MAX);
    struct match *match = calloc(1, sizeof(*match));
    must(match);
    match->count = count;
    for (uint32_t i = 0; i < count; i++) {
        match->filters[i] = filters[i];
        match->numbers[i] = numbers[i];
    }
    match->sessions = sessions_new();
#ifndef HAVE_HS
    without_prefilter = true;
#endif
    if (!without_prefilter && build_prefilter(match, reterr_why) < 0)
        return match_free(match);
    for (uint32_t i = 0; i < count; i++) {
        if (filters[i]->literals.count == 0 || !match_has_prefilter(match))
            match->always |= UINT32_C(1) << i;
        if (!filters[i]->literals_of_each)
            match->unsorted |= UINT32_C(1) << i;
    }
    match->unsorted |= match->always;
    return match;
}

struct match *match_free(struct match *match) {
    if (!match)
        return NULL;
    free_prefilter(match);
    sessions_free(match->sessions);
    free(match->candidates);
    free(match);
    return NULL;
}

uint64_t match_line_start(const struct match *match) {
    return match->line_start;
}

void match_set_note(struct match *match, volatile uint64_t *note) {
    match->note = note;
}

void match_skip_line(struct match *match, uint64_t ordinal) {
    if (match->skip_count < SKIPS_MAX)
        match->skips[match->skip_count++] = ordinal;
}

static bool is_skipped(const struct match *match, uint64_t ordinal) {
    for (uint32_t i = 0; i < match->skip_count; i++)
        if (match->skips[i] == ordinal)
            return true;
    return false;
}

const struct match_counts *match_counts(const struct match *match) {
    return &match->counts;
}

/* The line without its date: mostly what follows it; the rare bytes before it are glued on in
 * `scratch`. */
static struct span cut_stamp(struct span line, const struct stamp *stamp, char *scratch) {
    struct span rest = span_skip(line, stamp->end);
    if (stamp->before == 0)
        return rest;
    memcpy(scratch, line.at, stamp->before);
    memcpy(scratch + stamp->before, rest.at, rest.length);
    return (struct span){scratch, stamp->before + rest.length};
}

/* Groups the prefix captured hold for the failregex too, unless that captures them itself. */
static void inherit(struct rule_match *match, const struct rule_match *prefix) {
    for (int group = 0; group < RULE_GROUPS; group++)
        if (!match->groups[group].at)
            match->groups[group] = prefix->groups[group];
}

/* 1 with the pattern's number and groups, 0, or -E2BIG. `possible`: bit i for pattern i, modulo
 * 64. */
static int first_match(const struct filter_rules *rules, struct span text, uint64_t possible,
                       struct rule_match *ret_match, uint32_t *ret_pattern,
                       bool *ret_passes_prefix, bool *ret_is_ignored, struct span *ret_text) {
    struct rule_match prefix = {0};
    *ret_passes_prefix = true;
    *ret_is_ignored = false;
    if (rules->prefix) {
        int result = rule_match(rules->prefix, text, &prefix);
        *ret_passes_prefix = result == 1;
        if (result != 1)
            return result;
        if (prefix.groups[GROUP_CONTENT].at)
            text = prefix.groups[GROUP_CONTENT];
    }
    *ret_text = text;
    for (uint32_t i = 0; i < filter_pattern_count(rules); i++) {
        if (!(possible >> i % 64 & 1))
            continue;
        int result = rule_match(filter_rule(rules, i), text, ret_match);
        if (result < 0 && rules->literals_of_each &&
            !literal_set_is_in(&rules->literals_of_each[i], text))
            continue; /* what took too long could not match, and another prefilter had known */
        if (result < 0)
            return result;
        if (result == 0)
            continue;
        for (uint32_t k = 0; k < rules->ignore_count; k++) {
            result = rule_match(rules->ignore[k], text, NULL);
            *ret_is_ignored = result == 1;
            if (result != 0)
                return result == 1 ? 0 : result;
        }
        inherit(ret_match, &prefix);
        *ret_pattern = i;
        return 1;
    }
    return 0;
}

static bool read_address(const struct rule_match *match, struct address *ret_address) {
    struct span text = match->groups[GROUP_IP4].length ? match->groups[GROUP_IP4]
                                                       : match->groups[GROUP_IP6];
    return text.length && address_parse(text, ret_address) >= 0;
}

enum { PLAIN_ROW = 32 };

/* Controls, bytes from 0x7f, backslashes would be escaped. Written so that it fits a vector. */
static bool is_plain_row(const char at[PLAIN_ROW]) {
    uint8_t odd = 0;
    for (unsigned i = 0; i < PLAIN_ROW; i++) {
        signed char byte = (signed char)at[i];
        odd |= (uint8_t)((byte < ' ') | (byte == 0x7f) | (byte == '\\'));
    }
    return !odd;
}

/* Nothing in it that would be escaped. In rows, the last of which may begin in the one before. */
static bool is_plain(struct span bytes) {
    char short_one[PLAIN_ROW];
    if (bytes.length < PLAIN_ROW) {
        memset(short_one, ' ', sizeof(short_one));
        if (bytes.length)
            memcpy(short_one, bytes.at, bytes.length);
        return is_plain_row(short_one);
    }
    for (size_t i = 0; i + PLAIN_ROW < bytes.length; i += PLAIN_ROW)
        if (!is_plain_row(bytes.at + i))
            return false;
    return is_plain_row(bytes.at + bytes.length - PLAIN_ROW);
}

static size_t copy_escaped(char *at, size_t room, struct span bytes) {
    char copy[512];
    size_t length = safe_copy(copy, room < sizeof(copy) ? room + 1 : sizeof(copy), bytes);
    memcpy(at, copy, length);
    return length;
}

/* Escaped and cut to the field's room; evidence is long and mostly plain, which is quick. */
static void set_safe(uint16_t *ret_length, char *at, size_t room, struct span bytes) {
    size_t length = bytes.length < room ? bytes.length : room;
    if (!is_plain((struct span){bytes.at, length}))
        length = copy_escaped(at, room, bytes);
    else if (length)
        memcpy(at, bytes.at, length);
    *ret_length = (uint16_t)length;
}

static uint8_t protocol_of(struct span name) {
    for (uint8_t i = PROTOCOL_IMAP; i < PROTOCOLS; i++)
        if (span_is(name, protocol_words[i]))
            return i;
    return PROTOCOL_UNTOLD;
}

/* Databases have whatever names the administrator or Dovecot's next version gives them, so a number
 * is made of the name. Two names with one number are taken for one database, which counts more. */
static uint8_t database_of(struct span name) {
    return name.length ? (uint8_t)(1 + hash_named(name) % DATABASES) : 0;
}

static void fill_event(struct wire_event *event, const struct rule_match *match) {
    event->has_address = read_address(match, &event->address);
    struct span account = match->groups[GROUP_USER];
    set_safe(&event->account.length, event->account.at, sizeof(event->account.at), account);
    set_safe(&event->session.length, event->session.at, sizeof(event->session.at),
             match->groups[GROUP_SESSION]);
    event->no_such_account = match->groups[GROUP_NO_USER].length > 0;
    event->protocol = protocol_of(match->groups[GROUP_PROTOCOL]);
    event->database = database_of(match->groups[GROUP_DATABASE]);
    event->by_key = span_is(match->groups[GROUP_METHOD], "publickey");
    int64_t attempts = 0;
    if (match->groups[GROUP_ATTEMPTS].length &&
        span_to_integer(match->groups[GROUP_ATTEMPTS], 0, INT64_MAX, &attempts) >= 0)
        event->attempts = (uint16_t)(attempts > 1000 ? 1000 : attempts);
    if (event->attempts == 0 && match->groups[GROUP_SUMMARY].length)
        event->attempts = 1;
}

/* A line that could say that it was encrypted, and does not, says that it was not. */
static uint8_t secrecy_of(const struct rule *rule, const struct rule_match *match) {
    if (match->groups[GROUP_SECURED].length)
        return SECRECY_SECURED;
    return rule_has_group(rule, GROUP_SECURED) ? SECRECY_CLEAR : SECRECY_UNTOLD;
}

static void set_evidence(struct wire_event *event, struct span line) {
    set_safe(&event->evidence.length, event->evidence.at, sizeof(event->evidence.at), line);
}

/* Whether the filter knows the line: something matched, if only to be ignored. */
static bool confirm(struct match *match, uint32_t f, uint64_t possible, struct span line,
                    uint64_t start, uint64_t end, const struct stamp *stamp, struct span text,
                    match_event_fn *tell, void *context) {
    const struct filter_rules *rules = match->filters[f];
    struct rule_match groups;
    uint32_t pattern = 0;
    bool passes_prefix;
    bool is_ignored;
    struct span content;
    int result = first_match(rules, text, possible, &groups, &pattern, &passes_prefix, &is_ignored,
                             &content);
    if (result < 0)
        match->counts.over_limit++;
    if (result != 1)
        return result < 0 || is_ignored;
    struct wire_event event = {.line_end = end, .at_us = stamp->at_us,
                               .filter = match->numbers[f], .pattern = (uint16_t)pattern};
    event.kind = pattern < rules->fail_count              ? EVENT_FAILURE
                 : groups.groups[GROUP_DELIVERED].length ? EVENT_DELIVERED
                                                          : EVENT_SUCCESS;
    fill_event(&event, &groups);
    if (event.kind == EVENT_SUCCESS)
        event.secrecy = secrecy_of(filter_rule(rules, pattern), &groups);
    bool tells = event.has_address;
    struct span session_line = groups.groups[GROUP_SESSION_LINE];
    if (session_line.length && event.kind == EVENT_FAILURE)
        tells = sessions_fold(match->sessions, match->numbers[f], &groups, start, &event);
    else if (session_line.length && (event.kind == EVENT_DELIVERED || !event.has_address)) {
        sessions_complete(match->sessions, match->numbers[f], session_line, &event);
        tells = event.has_address;
    } else if (session_line.length)
        sessions_end(match->sessions, match->numbers[f], session_line);
    else if (groups.groups[GROUP_NOFAIL].length)
        tells = false;
    if (tells) {
        set_evidence(&event, line);
        tell(context, &event);
    }
    return true;
}

/* Which patterns of a filter the line may match, from its first one on. */
static uint64_t possible_patterns(const struct match *match, const struct hit *hit, uint32_t f) {
    uint32_t first = match->first_bit[f];
    if (match->unsorted & UINT32_C(1) << f)
        return EVERY_PATTERN;
    return hit->patterns >> first | hit->patterns << (64 - first) % 64;
}

/* A line that looks like a failure, and none of the filters knows it: it is counted for those that
 * know logins and whose service wrote it. A log that one filter alone reads is that one's. */
static void count_unmatched(struct match *match, struct span text) {
    for (uint32_t f = 0; f < match->count; f++)
        if (match->count == 1 ||
            (match->filters[f]->success_count > 0 &&
             suspect_is_of(text, span_of(match->filters[f]->config->service))))
            match->unmatched[f]++;
}

/* The line of a candidate, without its line end. */
static struct span line_of(struct span batch, uint32_t start, uint32_t end) {
    struct span line = {batch.at + start, end - start - 1};
    if (line.length && line.at[line.length - 1] == '\r')
        line.length--;
    return line;
}

static void look_at(struct match *match, struct span batch, const struct candidate *candidate,
                    uint64_t start, int64_t now_us, match_event_fn *tell, void *context) {
    static char scratch[MATCH_LINE_MAX];
    uint64_t line_start = start + candidate->start;
    uint64_t line_end = start + candidate->end;
    match->line_start = line_start;
    struct span line = line_of(batch, candidate->start, candidate->end);
    match->counts.candidates++;
    if (line.length > MATCH_LINE_MAX) {
        match->counts.too_long++;
        return;
    }
    if (match->skip_count && is_skipped(match, line_end)) {
        struct wire_event event = {.line_end = line_end, .kind = EVENT_SKIPPED};
        match->counts.skipped++;
        set_evidence(&event, line);
        tell(context, &event);
        return;
    }
    if (match->note)
        *match->note = line_end;
    struct stamp stamp;
    if (!stamp_read(line, now_us, &stamp)) {
        match->counts.undated++;
        return;
    }
    match->counts.last_time_us = stamp.at_us;
    struct span text = cut_stamp(line, &stamp, scratch);
    uint32_t knowing = 0;
    for (uint32_t left = candidate->hit.filters; left; left &= left - 1) {
        uint32_t f = (uint32_t)__builtin_ctz(left);
        if (confirm(match, f, possible_patterns(match, &candidate->hit, f), line, line_start,
                    line_end, &stamp, text, tell, context))
            knowing |= UINT32_C(1) << f;
    }
    /* Where the prefilter was not asked, the line is. */
    bool is_suspect = candidate->hit.is_suspect ||
                      (!match_has_prefilter(match) && knowing == 0 && suspect_looks_so(line));
    if (is_suspect && knowing == 0)
        count_unmatched(match, text);
}

/* Sessions that have ended are swept out before the line over each 64th KiB is read, by its stamp:
 * where that is does not depend on where a batch or the reading began. */
static void pass_marks(struct match *match, struct span batch, uint32_t to, uint64_t start,
                       int64_t now_us) {
    for (; match->next_mark < start + to; match->next_mark += MARK_EVERY) {
        if (sessions_count(match->sessions) == 0)
            continue;
        size_t at = (size_t)(match->next_mark - start);
        const char *before = memrchr(batch.at, '\n', at);
        const char *newline = memchr(batch.at + at, '\n', batch.length - at);
        must(newline);
        uint32_t end = (uint32_t)(newline - batch.at) + 1;
        struct span line = line_of(batch, before ? (uint32_t)(before - batch.at) + 1 : 0, end);
        struct stamp stamp;
        if (line.length <= MATCH_LINE_MAX &&
            !(match->skip_count && is_skipped(match, start + end)) &&
            stamp_read(line, now_us, &stamp))
            sessions_sweep(match->sessions, stamp.at_us);
    }
}

/* Counts the newlines, in columns that fit a vector. */
static uint64_t count_lines(struct span batch) {
    enum { COLUMNS = 64, ROWS_MOST = 255 };
    uint64_t count = 0;
    size_t at = 0;
    while (batch.length - at >= COLUMNS) {
        uint8_t sums[COLUMNS] = {0};
        for (unsigned row = 0; row < ROWS_MOST && batch.length - at >= COLUMNS; row++) {
            for (size_t i = 0; i < COLUMNS; i++)
                sums[i] = (uint8_t)(sums[i] + (batch.at[at + i] == '\n'));
            at += COLUMNS;
        }
        for (size_t i = 0; i < COLUMNS; i++)
            count += sums[i];
    }
    for (; at < batch.length; at++)
        count += batch.at[at] == '\n';
    return count;
}

#ifdef HAVE_HS
struct collecting {
    struct match *match;
    struct span batch;
};

/* Hits come in the order of their ends, so a line's hits stand together. Should libhs ever do
 * otherwise, the batch is read without it. */
static int collect(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                   void *context) {
    (void)from;
    (void)flags;
    struct collecting *collecting = context;
    struct match *match = collecting->match;
    struct span batch = collecting->batch;
    if (match->candidate_count > 0) {
        struct candidate *last = &match->candidates[match->candidate_count - 1];
        if (to <= last->start) {
            match->is_prefilter_lost = true;
            return 1;
        }
        if (to <= last->end) {
            add_hit(&last->hit, &match->hits[id]);
            return 0;
        }
    }
    if (match->candidate_count == match->candidate_room) {
        uint32_t room = match->candidate_room ? match->candidate_room * 2 : 1024;
        struct candidate *more = realloc(match->candidates, room * sizeof(*more));
        if (!more) {
            match->is_prefilter_lost = true;
            return 1;
        }
        match->candidates = more;
        match->candidate_room = room;
    }
    const char *start = memrchr(batch.at, '\n', to - 1);
    const char *end = memchr(batch.at + to - 1, '\n', batch.length - (to - 1));
    must(end);
    struct candidate *made = &match->candidates[match->candidate_count++];
    *made = (struct candidate){.start = start ? (uint32_t)(start - batch.at) + 1 : 0,
                               .end = (uint32_t)(end - batch.at) + 1,
                               .hit = match->hits[id]};
    return 0;
}

static bool collect_candidates(struct match *match, struct span batch) {
    struct collecting collecting = {match, batch};
    match->candidate_count = 0;
    match->is_prefilter_lost = false;
    hs_error_t result = hs_scan(match->database, batch.at, (unsigned)batch.length, 0,
                                match->scratch, collect, &collecting);
    return result == HS_SUCCESS && !match->is_prefilter_lost;
}
#else
static bool collect_candidates(struct match *match, struct span batch) {
    (void)match;
    (void)batch;
    return false;
}
#endif

/* Every line, for the filters that want all of them, with the prefilter's finds added. */
static void feed_all_lines(struct match *match, struct span batch, uint32_t always,
                           uint64_t start, int64_t now_us, match_event_fn *tell, void *context) {
    uint32_t next = 0;
    for (uint32_t at = 0; at < batch.length;) {
        const char *end = memchr(batch.at + at, '\n', batch.length - at);
        must(end);
        struct candidate line = {.start = at, .end = (uint32_t)(end - batch.at) + 1,
                                 .hit = {.patterns = EVERY_PATTERN}};
        if (next < match->candidate_count && match->candidates[next].start == at)
            line.hit = match->candidates[next++].hit;
        line.hit.filters |= always;
        pass_marks(match, batch, line.end, start, now_us);
        look_at(match, batch, &line, start, now_us, tell, context);
        at = line.end;
    }
}

static void feed_candidates(struct match *match, struct span batch, uint64_t start,
                            int64_t now_us, match_event_fn *tell, void *context) {
    for (uint32_t i = 0; i < match->candidate_count; i++) {
        const struct candidate *candidate = &match->candidates[i];
        pass_marks(match, batch, candidate->end, start, now_us);
        look_at(match, batch, candidate, start, now_us, tell, context);
    }
}

void match_feed(struct match *match, struct span batch, uint64_t start, int64_t now_us,
                match_event_fn *tell, void *context) {
    if (batch.length == 0)
        return;
    must(batch.at[batch.length - 1] == '\n' && batch.length < UINT32_MAX);
    match->counts.lines += count_lines(batch);
    uint32_t everything = (uint32_t)((UINT64_C(1) << match->count) - 1);
    uint32_t always = match->always;
    match->candidate_count = 0;
    match->next_mark = (start + MARK_EVERY - 1) / MARK_EVERY * MARK_EVERY;
    if (always != everything && !collect_candidates(match, batch)) {
        match->candidate_count = 0; /* no prefilter just now: look at every line instead */
        always = everything;
    }
    if (always)
        feed_all_lines(match, batch, always, start, now_us, tell, context);
    else
        feed_candidates(match, batch, start, now_us, tell, context);
    if (match->note)
        *match->note = 0; /* what kills us from here on was not a line */
    pass_marks(match, batch, (uint32_t)batch.length, start, now_us);
}

uint32_t match_take_unmatched(struct match *match, uint16_t *ret_number) {
    for (uint32_t f = 0; f < match->count; f++) {
        uint32_t lines = match->unmatched[f];
        match->unmatched[f] = 0;
        *ret_number = match->numbers[f];
        if (lines > 0)
            return lines;
    }
    return 0;
}

uint64_t match_resume(const struct match *match, uint64_t done) {
    return sessions_oldest(match->sessions, done);
}

void match_try(const struct filter_rules *rules, struct span line, int64_t now_us,
               struct match_trial *ret_trial) {
    static char scratch[MATCH_LINE_MAX];
    struct match_trial trial = {.matched_pattern = -1};
    struct stamp stamp = {0};
    trial.has_stamp = line.length <= MATCH_LINE_MAX && stamp_read(line, now_us, &stamp);
    if (trial.has_stamp) {
        trial.at_us = stamp.at_us;
        uint32_t pattern = 0;
        struct span text = cut_stamp(line, &stamp, scratch);
        trial.text = text;
        if (first_match(rules, text, EVERY_PATTERN, &trial.groups, &pattern, &trial.passes_prefix,
                        &trial.is_ignored, &trial.text) == 1)
            trial.matched_pattern = (int)pattern;
    }
    *ret_trial = trial;
}
