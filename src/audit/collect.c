/* One prober process for each probe: hauberk-prober NAME; the DNS probe is told the domains.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/collect.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "audit/secrets.h"
#include "base/clock.h"
#include "probe/probe.h"
#include "probe/run.h"

enum { OUTPUT_MOST_BYTES = 32 << 20, PROBES_MAX = 64, PROBE_SECONDS_MOST = 60 };

static bool needs(const struct clauses *clauses, const char *probe) {
    size_t length = strlen(probe);
    for (size_t i = 0; i < clauses->count; i++)
        for (size_t j = 0; j < clauses->at[i].count; j++) {
            const struct condition *condition = &clauses->at[i].at[j];
            const char *names[] = {condition->reading,
                                   condition->how == COMPARE_SAME_AS ? condition->operand : ""};
            for (size_t k = 0; k < ELEMENTS_OF(names); k++)
                if (strncmp(names[k], probe, length) == 0 && names[k][length] == '.')
                    return true;
        }
    return false;
}

static bool is_needed(const struct rules *rules, const char *service, const char *probe) {
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->at[i];
        if ((!service || strcmp(rule->service, service) == 0) &&
            (needs(&rule->applies, probe) || needs(&rule->where, probe) ||
             needs(&rule->wanted, probe)))
            return true;
    }
    return false;
}

static void take(struct run *run, const char *name, struct readings *into) {
    struct why why = {0};
    char all[READING_NAME_MAX];
    char reason[600];
    char complaint[400];
    cleanup_text struct text said = {0};
    cleanup_text struct text complained = {0};
    snprintf(all, sizeof(all), "%s.", name);
    safe_copy(complaint, sizeof(complaint), span_trim(text_span(&run->complaint)));
    secrets_hide_lines(text_span(&run->output), &said);
    secrets_hide("", span_of(complaint), &complained);
    if (readings_take(into, text_span(&said), &why) < 0)
        readings_fail(into, all, why.text);
    if (run->status == -ETIMEDOUT)
        snprintf(reason, sizeof(reason), "it took longer than %d s",
                 (int)(run->limit_us / SECOND_US));
    else if (run->status < 0)
        snprintf(reason, sizeof(reason), "%s: %s", run->path, strerror(-run->status));
    else
        snprintf(reason, sizeof(reason), "the probe failed (%d) %s", run->status,
                 complained.at ? complained.at : "");
    if (run->status != 0)
        readings_fail(into, all, reason);
    text_free(&run->output);
    text_free(&run->complaint);
}

static size_t processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

struct collecting {
    char path[4200];
    struct text domains; /* "domains=…" */
    const char *arguments[PROBES_MAX][4];
    const char *names[PROBES_MAX];
    struct run runs[PROBES_MAX];
    size_t count;
};

static void add(struct collecting *collecting, const struct probe *probe) {
    size_t at = collecting->count++;
    const char **arguments = collecting->arguments[at];
    collecting->names[at] = probe->name;
    arguments[0] = "hauberk-prober";
    arguments[1] = probe->name;
    arguments[2] = strcmp(probe->name, "dns") == 0 ? collecting->domains.at : NULL;
    arguments[3] = NULL;
    collecting->runs[at] = (struct run){.path = collecting->path,
                                        .arguments = arguments,
                                        .limit_us = probe->seconds * SECOND_US,
                                        .most_bytes = OUTPUT_MOST_BYTES};
}

struct collecting *collect_begin(const char *libexec, const struct rules *rules,
                                 const char *service, const char *domains) {
    struct collecting *collecting = calloc(1, sizeof(*collecting));
    must(collecting && probe_count <= PROBES_MAX);
    text_add_format(&collecting->domains, "domains=%s", domains);
    must(collecting->domains.at);
    snprintf(collecting->path, sizeof(collecting->path), "%s/hauberk-prober", libexec);
    /* Those that may take longest begin first. */
    for (unsigned seconds = PROBE_SECONDS_MOST; seconds > 0; seconds--)
        for (size_t i = 0; i < probe_count; i++)
            if (probes[i].seconds == seconds && is_needed(rules, service, probes[i].name))
                add(collecting, &probes[i]);
    /* Most of them wait for others most of the time. */
    run_all(collecting->runs, collecting->count, 4 * processors());
    return collecting;
}

void collect_finish(struct collecting *collecting, struct readings *into) {
    for (size_t i = 0; i < collecting->count; i++)
        take(&collecting->runs[i], collecting->names[i], into);
    text_free(&collecting->domains);
    free(collecting);
}
