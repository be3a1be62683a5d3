/* hauberk test: does a filter match, and if not, how far did the line get.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "cli/cli.h"
#include "match/match.h"
#include "match/samples.h"

enum { FILE_MOST_BYTES = 256 << 20 };

static struct filter_rules *find_filter(const struct config *config, const char *name) {
    struct why why = {0};
    for (uint32_t i = 0; i < config->filter_count; i++)
        if (strcmp(config->filters[i].name, name) == 0) {
            struct filter_rules *rules = filter_rules_new(&config->filters[i], &why);
            if (!rules)
                cli_fail_why(EXIT_FAILED, &why);
            return rules;
        }
    cli_fail(EXIT_USAGE, "no enabled jail uses a filter '%s'; see hauberk config", name);
    return NULL;
}

static void print_safe(const char *name, struct span value) {
    char text[300];
    if (!value.length)
        return;
    safe_copy(text, sizeof(text), value);
    printf("  %-8s %s\n", name, text);
}

static int test_line(const struct filter_rules *rules, struct span line) {
    struct match_trial trial;
    char at[CLOCK_TEXT_MAX];
    match_try(rules, line, clock_now_us(), &trial);
    if (!trial.has_stamp) {
        printf("No match: the line does not begin with a time we know (ISO 8601, or syslog's).\n");
        return EXIT_FAILED;
    }
    printf("Time: %s\n", clock_format_utc(trial.at_us, at));
    if (!trial.passes_prefix) {
        printf("No match: the prefregex does not match what follows the time:\n");
        print_safe("text", trial.text);
        return EXIT_FAILED;
    }
    if (trial.is_ignored) {
        printf("No match: an ignoreregex takes it out.\n");
        return EXIT_FAILED;
    }
    if (trial.matched_pattern < 0) {
        printf("No match: %snone of %u failregex and %u successregex matches:\n",
               rules->prefix ? "prefregex yes, but " : "", rules->fail_count,
               rules->success_count);
        print_safe("text", trial.text);
        return EXIT_FAILED;
    }
    uint32_t number = (uint32_t)trial.matched_pattern;
    bool is_failure = number < rules->fail_count;
    bool is_auxiliary = trial.groups.groups[GROUP_NOFAIL].length > 0;
    const struct config_pattern *pattern =
        is_failure ? &rules->config->fail.at[number]
                   : &rules->config->success.at[number - rules->fail_count];
    printf("%s, by %s:%d\n",
           !is_failure    ? "A success"
           : is_auxiliary ? "An auxiliary line (it completes others and is no failure itself)"
                          : "A failure",
           pattern->origin.file, pattern->origin.line);
    print_safe("address", trial.groups.groups[GROUP_IP4].length ? trial.groups.groups[GROUP_IP4]
                                                                : trial.groups.groups[GROUP_IP6]);
    print_safe("account", trial.groups.groups[GROUP_USER]);
    print_safe("session", trial.groups.groups[GROUP_SESSION]);
    print_safe("attempts", trial.groups.groups[GROUP_ATTEMPTS]);
    return EXIT_FINE;
}

struct tally {
    uint64_t failures, successes;
    uint64_t by_pattern[256];
};

static void count_event(void *context, const struct wire_event *event) {
    struct tally *tally = context;
    if (event->kind == EVENT_FAILURE)
        tally->failures++;
    else if (event->kind == EVENT_SUCCESS)
        tally->successes++;
    if (event->pattern < ELEMENTS_OF(tally->by_pattern))
        tally->by_pattern[event->pattern]++;
}

static int test_file(const struct cli *cli, struct filter_rules *rules, const char *path) {
    cleanup_text struct text text = {0};
    struct why why = {0};
    struct tally tally = {0};
    uint16_t number = 0;
    int error = file_read(path, FILE_MOST_BYTES, &text);
    if (error < 0)
        return cli_fail(EXIT_FAILED, "%s cannot be read: %s", path, strerror(-error));
    if (text.length && text.at[text.length - 1] != '\n')
        text_add_char(&text, '\n');
    struct match *match = match_new(&rules, &number, 1, false, &why);
    if (!match)
        return cli_fail_why(EXIT_FAILED, &why);
    match_feed(match, text_span(&text), 0, clock_now_us(), count_event, &tally);
    const struct match_counts *counts = match_counts(match);
    if (cli->wants_json) {
        cleanup_js js *all = js_object();
        js_set_number(all, "lines", (int64_t)counts->lines);
        js_set_number(all, "failures", (int64_t)tally.failures);
        js_set_number(all, "successes", (int64_t)tally.successes);
        js_set_number(all, "undated", (int64_t)counts->undated);
        cli_print_json(all);
    } else {
        printf("%llu lines: %llu failures, %llu successes; %llu without a time we know\n",
               (unsigned long long)counts->lines, (unsigned long long)tally.failures,
               (unsigned long long)tally.successes, (unsigned long long)counts->undated);
        for (uint32_t i = 0; i < rules->fail_count + rules->success_count; i++) {
            const struct config_pattern *pattern =
                i < rules->fail_count ? &rules->config->fail.at[i]
                                      : &rules->config->success.at[i - rules->fail_count];
            printf("  %8llu  %s:%d\n", (unsigned long long)tally.by_pattern[i],
                   pattern->origin.file, pattern->origin.line);
        }
    }
    match_free(match);
    return tally.failures + tally.successes > 0 ? EXIT_FINE : EXIT_FAILED;
}

static int test_samples(const struct cli *cli, struct filter_rules *rules, const char *name) {
    char path[PATH_MAX + 64];
    cleanup_text struct text report = {0};
    unsigned passed = 0;
    unsigned failed = 0;
    snprintf(path, sizeof(path), "%s/filters/%s.samples", cli->config_folder, name);
    if (access(path, F_OK) != 0)
        snprintf(path, sizeof(path), "%s/filters/%s.samples", cli->installed.data, name);
    int error = samples_check(rules, path, &report, &passed, &failed);
    if (report.length)
        fputs(report.at, stdout);
    if (error < 0)
        return cli_fail(EXIT_FAILED, "%s: %s", path, strerror(-error));
    printf("%s: %u passed, %u failed\n", path, passed, failed);
    return failed ? EXIT_FAILED : EXIT_FINE;
}

int word_test(struct cli *cli) {
    bool wants_samples = cli_take_flag(cli, "--samples");
    if (cli->argument_count != (wants_samples ? 1 : 2))
        return cli_fail(EXIT_USAGE, "test wants a filter, and a line, a file or --samples");
    struct config *config = cli_read_config(cli);
    struct filter_rules *rules = config ? find_filter(config, cli->arguments[0]) : NULL;
    int exit_code = EXIT_FAILED;
    if (rules && wants_samples)
        exit_code = test_samples(cli, rules, cli->arguments[0]);
    else if (rules && access(cli->arguments[1], F_OK) == 0)
        exit_code = test_file(cli, rules, cli->arguments[1]);
    else if (rules)
        exit_code = test_line(rules, span_of(cli->arguments[1]));
    filter_rules_free(rules);
    config_free(config);
    return exit_code;
}
