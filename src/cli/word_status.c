/* hauberk status.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"

static bool take_row(void *context, const js *row) {
    js **kept = context;
    js_free(*kept);
    *kept = js_copy(row);
    return true;
}

static void print_jails(const js *jails) {
    printf("\n%-14s %-8s %10s %6s  %s\n", "jail", "", "failures", "bans", "reads");
    for (size_t i = 0; i < js_count(jails); i++) {
        const js *jail = js_at(jails, i);
        const js *logs = js_get(jail, "logs");
        printf("%-14s %-8s %10lld %6lld  ", js_string(jail, "jail", ""),
               js_string(jail, "state", ""), (long long)js_number(jail, "failures", 0),
               (long long)js_number(jail, "bans", 0));
        for (size_t k = 0; k < js_count(logs); k++)
            printf("%s%s", k ? ", " : "", js_at_string(logs, k, ""));
        const char *why = js_string(jail, "why", NULL);
        printf("%s%s\n", why ? " - " : "", why ? why : "");
    }
}

static void print_sources(const js *sources) {
    for (size_t i = 0; i < js_count(sources); i++) {
        const js *source = js_at(sources, i);
        int64_t lost = js_number(source, "lost", 0);
        int64_t lag = js_number(source, "lag", 0);
        int64_t skipped = js_number(source, "skipped", 0);
        if (lost)
            printf(strncmp(js_string(source, "path", ""), "journal: ", 9) == 0
                       ? "! up to %lld entries were gone before they could be read for \"%s\"\n"
                       : "! %lld bytes of %s were gone before they were read\n",
                   (long long)lost, js_string(source, "path", ""));
        if (lag > 1 << 20)
            printf("! %lld MiB of %s are still to be read\n", (long long)(lag >> 20),
                   js_string(source, "path", ""));
        if (skipped)
            printf("! %lld lines of %s were left out (too long, or too much work to match)\n",
                   (long long)skipped, js_string(source, "path", ""));
    }
}

static void print_status(const js *status) {
    const char *why_not = js_string(status, "why_not", NULL);
    const char *store_error = js_string(status, "store_error", NULL);
    printf("hauberk %s is %s.  Bans: %lld, in the kernel: %lld.  Known-good addresses: %lld.\n",
           js_string(status, "version", "?"),
           js_flag(status, "effective", false)   ? "guarding"
           : js_flag(status, "observing", false) ? "observing"
                                                 : "NOT in force",
           (long long)js_number(status, "bans", 0), (long long)js_number(status, "enforced", 0),
           (long long)js_number(status, "known_addresses", 0));
    if (why_not)
        printf("! %s\n", why_not);
    if (store_error)
        printf("! The state cannot be stored since %s: %s. Bans go on; make room on the disk.\n",
               js_string(status, "store_error_since", "?"), store_error);
    if (!js_flag(status, "jit", true))
        printf("! The regex compiler is off (no executable memory allowed): matching is slower.\n");
    print_sources(js_get(status, "sources"));
    print_jails(js_get(status, "jails"));
}

int word_status(struct cli *cli) {
    cleanup_js js *status = NULL;
    int exit_code = cli_ask(cli, "status", NULL, take_row, &status);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code != EXIT_FINE || !status)
        return exit_code;
    if (cli->wants_json)
        cli_print_json(status);
    else
        print_status(status);
    return js_flag(status, "effective", false) && !js_string(status, "store_error", NULL)
               ? EXIT_FINE
               : EXIT_LOOK;
}
