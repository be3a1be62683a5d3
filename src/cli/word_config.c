/* hauberk config: the effective configuration and where each value came from; or a folder checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "cli/cli.h"
#include "match/match.h"

/* Filters are part of it: a regex that does not compile is found here, not at a reload. */
static int check_filters(const struct config *config, struct text *every_line) {
    struct why why = {0};
    for (uint32_t i = 0; i < config->filter_count; i++) {
        struct filter_rules *rules = filter_rules_new(&config->filters[i], &why);
        if (!rules)
            return cli_fail_why(EXIT_FAILED, &why);
        if (rules->literals.count == 0)
            text_add_format(every_line, "%s%s", every_line->length ? ", " : "",
                            config->filters[i].name);
        filter_rules_free(rules);
    }
    return EXIT_FINE;
}

int word_config(struct cli *cli) {
    const char *folder = NULL;
    bool checks = cli_take_option(cli, "--check", &folder);
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "config takes --check DIR and --json, nothing else");
    if (checks)
        cli->config_folder = folder;
    struct config *config = cli_read_config(cli);
    if (!config)
        return EXIT_FAILED;
    cleanup_text struct text every_line = {0};
    cleanup_text struct text text = {0};
    int exit_code = check_filters(config, &every_line);
    for (uint32_t i = 0; exit_code == EXIT_FINE && i < config->notice_count; i++) {
        char notice[900];
        fprintf(stderr, "note: %s\n", why_format(&config->notices[i], notice, sizeof(notice)));
    }
    if (exit_code == EXIT_FINE && checks) {
        printf("%s is good.\n", folder);
    } else if (exit_code == EXIT_FINE) {
        config_describe(config, cli->wants_json, &text);
        printf("%s", text.at ? text.at : "");
        if (every_line.length && !cli->wants_json)
            printf("# Looked at on every line, because no literal is common to all their patterns: "
                   "%s\n",
                   every_line.at);
    }
    config_free(config);
    return exit_code;
}
