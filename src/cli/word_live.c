/* hauberk live: what happens, a line each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "bans/decider.h"
#include "cli/cli.h"

static void print_event(const js *event) {
    static const char *const verdicts[VERDICTS] = {
        [VERDICT_COUNTED] = "counted",
        [VERDICT_JOINED] = "told twice",
        [VERDICT_AFTER_BAN] = "while banned",
        [VERDICT_EXEMPT] = "never banned",
        [VERDICT_MEMORY] = "before our time",
        [VERDICT_PARDONED] = "pardoned",
        [VERDICT_SUCCESS] = "logged in",
        [VERDICT_FOLDED] = "same mistake",
        [VERDICT_OWN] = "own user",
    };
    char at[CLOCK_TEXT_MAX];
    int64_t verdict = js_number(event, "verdict", 0);
    printf("%s  %-12s %-24s %-20s %s\n",
           clock_format_local(cli_time(event, "at"), clock_now_us(), at),
           js_string(event, "jail", ""), js_string(event, "address", ""),
           js_string(event, "account", ""),
           verdict >= 0 && verdict < VERDICTS ? verdicts[verdict] : "?");
}

static void print_ban(const js *ban) {
    char at[CLOCK_TEXT_MAX];
    printf("%s  %-12s %-24s %s: %s\n",
           clock_format_local(cli_time(ban, "at"), clock_now_us(), at),
           js_string(ban, "jail", ""), js_string(ban, "address", ""),
           js_flag(ban, "observed", false) ? "WOULD BE BANNED" : "BANNED",
           js_string(ban, "reason", ""));
}

static bool show(void *context, const js *row) {
    const struct cli *cli = context;
    if (cli->wants_json) {
        cleanup_text struct text text = {0};
        js_write(row, false, &text);
        printf("%s\n", text.at);
    } else if (js_get(row, "event")) {
        print_event(js_get(row, "event"));
    } else if (js_get(row, "ban")) {
        print_ban(js_get(row, "ban"));
    }
    fflush(stdout);
    return !ferror(stdout);
}

int word_live(struct cli *cli) {
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "live takes no argument");
    int exit_code = cli_ask(cli, "watch", NULL, show, cli);
    return exit_code == -ENOENT ? cli_no_daemon(cli) : exit_code;
}
