/* hauberk notify: what the owner was told lately; with --test, whether he can be told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"

static bool print_notice(void *context, const js *row) {
    uint64_t *count = context;
    char at[CLOCK_TEXT_MAX];
    (*count)++;
    printf("%-15s  %-14s  %s\n", clock_format_local(cli_time(row, "at"), clock_now_us(), at),
           js_string(row, "state", ""), js_string(row, "text", ""));
    return true;
}

static bool print_outcome(void *context, const js *row) {
    (void)context;
    const char *why_not = js_string(row, "why_not", NULL);
    bool is_mail = strcmp(js_string(row, "way", ""), "mail") == 0;
    printf("%s %s: %s%s\n", is_mail ? "mail to" : "command", js_string(row, "to", ""),
           why_not ? "not sent: " : is_mail ? "sendmail took it" : "ended well",
           why_not ? why_not : "");
    return true;
}

int word_notify(struct cli *cli) {
    bool is_test = cli_take_flag(cli, "--test");
    uint64_t count = 0;
    if (cli->argument_count > 0)
        return cli_fail(EXIT_USAGE, "notify takes no argument but --test");
    cleanup_js js *rows = js_array();
    js *args = js_object();
    js_set_flag(args, "test", is_test);
    int exit_code = cli->wants_json ? cli_ask(cli, "notify", args, cli_collect, rows)
                    : is_test       ? cli_ask(cli, "notify", args, print_outcome, NULL)
                                    : cli_ask(cli, "notify", args, print_notice, &count);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (cli->wants_json)
        cli_print_json(rows);
    else if (exit_code == EXIT_FINE && !is_test && count == 0)
        printf("Nothing was worth telling yet.\n");
    return exit_code;
}
