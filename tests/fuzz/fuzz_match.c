/* Foreign bytes as one batch of a log, through the shipped filters: with and without the prefilter,
 * in one piece and line by line. All four readings must tell the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/clock.h"
#include "match/match.h"

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "."
#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { FILTERS_MOST = 8 };
#define NOW_US INT64_C(1798760400000000)

static struct filter_rules *rules[FILTERS_MOST];
static uint32_t rule_count;

static void read_filters(void) {
    static struct config *config; /* lives as long as the process */
    struct why why;
    hash_open();
    must(config_read("/nonexistent", SOURCE_ROOT, &config, &why) >= 0);
    for (; rule_count < config->filter_count && rule_count < FILTERS_MOST; rule_count++)
        must(rules[rule_count] = filter_rules_new(&config->filters[rule_count], &why));
}

/* Of each event what must not depend on how it was read. */
static void add_event(void *context, const struct wire_event *event) {
    struct digest_state *told = context;
    must(event->has_address);
    must(event->account.length <= sizeof(event->account.at));
    must(event->session.length <= sizeof(event->session.at));
    must(event->evidence.length <= sizeof(event->evidence.at));
    digest_add(told, (struct span){(const char *)&event->line_end, sizeof(event->line_end)});
    digest_add(told, (struct span){(const char *)&event->at_us, sizeof(event->at_us)});
    digest_add(told, (struct span){(const char *)&event->filter, sizeof(event->filter)});
    digest_add(told, (struct span){(const char *)&event->pattern, sizeof(event->pattern)});
    digest_add(told, (struct span){(const char *)&event->attempts, sizeof(event->attempts)});
    digest_add(told, (struct span){(const char *)&event->address, sizeof(event->address)});
    digest_add(told, wire_bytes(event->account));
    digest_add(told, wire_bytes(event->session));
    digest_add(told, wire_bytes(event->evidence));
}

static struct digest read_all(struct span batch, bool without_prefilter, bool by_line) {
    static const uint16_t numbers[FILTERS_MOST] = {0, 1, 2, 3, 4, 5, 6, 7};
    static struct match *matches[2]; /* made once: building the prefilter takes its time */
    struct why why;
    struct digest_state told;
    uint64_t resume;
    struct match *match = matches[without_prefilter];
    if (!match)
        match = match_new(rules, numbers, rule_count, without_prefilter, &why);
    must(match);
    matches[without_prefilter] = match;
    digest_begin(&told);
    if (by_line)
        for (size_t at = 0, end; at < batch.length; at = end) {
            end = (size_t)((const char *)memchr(batch.at + at, '\n', batch.length - at) -
                           batch.at) + 1;
            match_feed(match, (struct span){batch.at + at, end - at}, at, NOW_US, add_event, &told);
        }
    else
        match_feed(match, batch, 0, NOW_US, add_event, &told);
    resume = match_resume(match, batch.length);
    must(resume <= batch.length);
    digest_add(&told, (struct span){(const char *)&resume, sizeof(resume)});
    /* The next input begins without sessions; those of the last minutes that a stamp can name go
     * with the whole. */
    match_feed(match, SPAN("2200-12-31T23:59:59-15:59 x\n"), batch.length, NOW_US, add_event,
               &told);
    if (match_resume(match, UINT64_MAX) != UINT64_MAX)
        matches[without_prefilter] = match_free(match);
    return digest_end(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (rule_count == 0)
        read_filters();
    char *batch = malloc(size + 1);
    must(batch);
    if (size)
        memcpy(batch, bytes, size);
    batch[size] = '\n';
    struct span lines = {batch, size + 1};
    struct digest expected = read_all(lines, true, false);
    struct digest others[] = {read_all(lines, false, false), read_all(lines, false, true),
                              read_all(lines, true, true)};
    for (size_t i = 0; i < ELEMENTS_OF(others); i++)
        must(digest_equals(&expected, &others[i]));
    free(batch);
    return 0;
}
