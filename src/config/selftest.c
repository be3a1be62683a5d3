/* See selftest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/selftest.h"

#include <stdio.h>

#include "base/clock.h"
#include "config/inside.h"

#define SAYS "a failure made up by `hauberk selftest`, from "

void selftest_format_line(int64_t at_us, const char *nonce, const char *address,
                          char into[SELFTEST_LINE_MAX]) {
    char second[CLOCK_TEXT_MAX];
    clock_format_utc(at_us, second);
    snprintf(into, SELFTEST_LINE_MAX, "%.19s.%06lld+00:00 " SELFTEST_NAME "[%s]: " SAYS "%s",
             second, (long long)(at_us % SECOND_US), nonce, address);
}

static void add_filter(struct config *config, struct keep *keep) {
    struct config_filter *filters =
        keep_bytes(keep, (config->filter_count + 1) * sizeof(*filters));
    struct config_filter *filter = &filters[config->filter_count];
    struct config_pattern *pattern = keep_bytes(keep, sizeof(*pattern));
    if (config->filter_count)
        memcpy(filters, config->filters, config->filter_count * sizeof(*filters));
    pattern->text = keep_text(keep, SPAN("^ " SELFTEST_NAME "\\[[0-9a-f]{16}\\]: " SAYS "<ADDR>$"));
    pattern->origin = (struct config_origin){"", 0};
    filter->name = filter->service = keep_text(keep, SPAN(SELFTEST_NAME));
    filter->fail = (struct config_patterns){pattern, 1};
    filter->max_lines = 1;
    config->filters = filters;
    config->filter_count++;
}

void config_add_selftest(struct config *config) {
    struct keep *keep = &config->inside->keep;
    if (config->jail_count == CONFIG_JAILS_MOST || config->scope_count == SCOPES_MAX)
        return;
    struct scope *scope = &config->scopes[config->scope_count];
    *scope = (struct scope){.name = SELFTEST_NAME, .is_shadow = true};
    add_filter(config, keep);
    config->selftest_jail = (int)config->jail_count;
    config->jails[config->jail_count++] =
        (struct config_jail){.name = keep_text(keep, SPAN(SELFTEST_NAME)),
                             .is_enabled = true,
                             .filter = config->filter_count - 1,
                             .scope = config->scope_count,
                             .mail_scope_if_delivered = config->scope_count,
                             .backend = BACKEND_FILE,
                             .max_retry = 1,
                             .find_seconds = 60,
                             .ban_seconds = SELFTEST_BAN_SECONDS,
                             .ban_most_seconds = SELFTEST_BAN_SECONDS,
                             .prefix_v6 = 64,
                             .origin = {"", 0}};
    config->scope_count++;
}
