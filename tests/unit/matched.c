/* Events told of, and small filters: see matched.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "matched.h"

enum { EVENTS_ROOM = 1 << 16 };

void facts_free(struct facts *facts) {
    free(facts->at);
}

void add_fact(void *context, const struct wire_event *event) {
    struct facts *facts = context;
    if (event->line_end <= facts->ignored_up_to)
        return;
    if (!facts->at)
        facts->at = calloc(EVENTS_ROOM, sizeof(*facts->at));
    assert_non_null(facts->at);
    assert_true(facts->count < EVENTS_ROOM);
    facts->at[facts->count++] = *event;
}

struct match *match_of(struct filter_rules *one) {
    static const uint16_t number = 4;
    struct why why;
    struct match *match = match_new(&one, &number, 1, false, &why);
    assert_non_null(match);
    return match;
}

struct filter_rules *rules_with(struct config_filter *filter, const char *prefix,
                                       const char *const *fail, const char *ignore) {
    static struct config_pattern patterns[16], ignored;
    struct why why;
    static char name[] = "made-up";
    *filter = (struct config_filter){.name = name, .service = name};
    filter->prefix.text = (char *)(uintptr_t)prefix;
    for (filter->fail.at = patterns; fail[filter->fail.count]; filter->fail.count++)
        patterns[filter->fail.count] =
            (struct config_pattern){.text = (char *)(uintptr_t)fail[filter->fail.count]};
    if (ignore) {
        ignored = (struct config_pattern){.text = (char *)(uintptr_t)ignore};
        filter->ignore = (struct config_patterns){&ignored, 1};
    }
    struct filter_rules *made = filter_rules_new(filter, &why);
    if (!made)
        fail_msg("%s", why.text);
    return made;
}
