/* From lines to facts: all filters of one source over a batch of whole lines.
 *
 * The prefilter (libhs, where the build has it) looks once over the batch for the literals the
 * patterns cannot do without (literals.h) and names candidate lines; only those are cut from their
 * date and shown to PCRE2. Results are identical without the prefilter, which is a test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "match/rules.h"
#include "wire/wire.h"

enum { MATCH_FILTERS_MAX = 32, MATCH_LINE_MAX = 32 << 10 };

struct match;

/* `filters[i]` is known to the world as number `numbers[i]`; both arrays are copied, the rules
 * borrowed. NULL with the reason when the prefilter cannot be built. */
struct match *match_new(struct filter_rules *const *filters, const uint16_t *numbers,
                        uint32_t count, bool without_prefilter, struct why *reterr_why);
struct match *match_free(struct match *match);

/* Told once per fact, in the order of the lines. event->evidence is the line, escaped and cut. */
typedef void match_event_fn(void *context, const struct wire_event *event);

/* Reads whole lines (the batch ends with a newline). `start` is the ordinal of the first byte;
 * a line's ordinal is that of the byte behind its newline. */
void match_feed(struct match *match, struct span batch, uint64_t start, int64_t now_us,
                match_event_fn *tell, void *context);

/* Start of the oldest line still held in a session, at most `done`. Call after match_feed(). */
uint64_t match_resume(const struct match *match, uint64_t done);

/* Start of the line being looked at, for use within a match_event_fn. */
uint64_t match_line_start(const struct match *match);

/* Where to note the ordinal of a candidate before it is looked at (a page shared with hauberkd),
 * and lines that killed us before, to be left out. */
void match_set_note(struct match *match, volatile uint64_t *note);
void match_skip_line(struct match *match, uint64_t ordinal);

/* Lines of a filter's service that look like failures (suspects.h) and matched nothing since they
 * were last taken: how many of which filter, or 0 when there are none. */
uint32_t match_take_unmatched(struct match *match, uint16_t *ret_number);

struct match_counts {
    uint64_t lines, candidates, undated, over_limit, skipped, too_long;
    int64_t last_time_us; /* of the last stamp read, 0 none */
};
const struct match_counts *match_counts(const struct match *match);
bool match_has_prefilter(const struct match *match);

/* How far one line gets with one filter, for `hauberk test`: a sentence per step. */
struct match_trial {
    bool has_stamp, passes_prefix, is_ignored;
    int64_t at_us;
    int matched_pattern; /* -1 none; counted through failregex, then successregex */
    struct rule_match groups;
    struct span text; /* after the date was cut, after the prefix */
};
void match_try(const struct filter_rules *rules, struct span line, int64_t now_us,
               struct match_trial *ret_trial);
