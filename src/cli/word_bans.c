/* hauberk bans.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"

static void print_ban(const js *ban, int64_t now_us) {
    char until[CLOCK_TEXT_MAX];
    char name[64];
    int64_t until_us = cli_time(ban, "until");
    const char *address = js_string(ban, "address", "");
    int64_t length = js_number(ban, "prefix", 0);
    bool is_host = length == (strchr(address, ':') ? 128 : 32);
    if (is_host)
        snprintf(name, sizeof(name), "%s", address);
    else
        snprintf(name, sizeof(name), "%s/%lld", address, (long long)length);
    printf("%-24s %-13s until %-15s %s%s\n", name, js_string(ban, "jail", ""),
           until_us ? clock_format_local(until_us, now_us, until) : "lifted by hand",
           js_string(ban, "reason", ""),
           !js_flag(ban, "wanted", true)     ? "  [observing: not enforced]"
           : !js_flag(ban, "enforced", true) ? "  [not in the kernel]"
                                             : "");
}

struct printing {
    int64_t now_us;
    uint64_t count;
};

static bool print_next(void *context, const js *ban) {
    struct printing *printing = context;
    print_ban(ban, printing->now_us);
    printing->count++;
    return true;
}

int word_bans(struct cli *cli) {
    cleanup_js js *bans = js_array();
    if (cli->argument_count > 0)
        return cli_fail(EXIT_USAGE, "bans takes no argument; hauberk why ADDRESS tells of one");
    struct printing printing = {.now_us = clock_now_us()};
    int exit_code = cli->wants_json ? cli_ask(cli, "bans", NULL, cli_collect, bans)
                                    : cli_ask(cli, "bans", NULL, print_next, &printing);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code != EXIT_FINE)
        return exit_code;
    if (cli->wants_json) {
        cli_print_json(bans);
        return EXIT_FINE;
    }
    if (printing.count == 0)
        printf("Nobody is banned.\n");
    return EXIT_FINE;
}
