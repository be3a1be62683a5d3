/* hauberk status.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "control/page.h"

static bool is_off(const js *jail) {
    return strcmp(js_string(jail, "state", ""), "off") == 0;
}

static void print_jails(const js *jails) {
    printf("\n%-15s %-8s %10s %6s  %s\n", "jail", "", "failures", "bans", "reads");
    for (size_t i = 0; i < js_count(jails); i++) {
        const js *jail = js_at(jails, i);
        const js *logs = js_get(jail, "logs");
        if (is_off(jail))
            continue;
        printf("%-15s %-8s %10lld %6lld  ", js_string(jail, "jail", ""),
               js_string(jail, "state", ""), (long long)js_number(jail, "failures", 0),
               (long long)js_number(jail, "bans", 0));
        for (size_t k = 0; k < js_count(logs); k++)
            printf("%s%s", k ? ", " : "", js_at_string(logs, k, ""));
        const char *why = js_string(jail, "why", NULL);
        printf("%s%s\n", why ? " - " : "", why ? why : "");
    }
    const char *separator = "off: ";
    for (size_t i = 0; i < js_count(jails); i++)
        if (is_off(js_at(jails, i))) {
            printf("%s%s", separator, js_string(js_at(jails, i), "jail", ""));
            separator = ", ";
        }
    if (separator[0] == ',')
        printf("\n");
}

static void print_sources(const js *sources) {
    for (size_t i = 0; i < js_count(sources); i++) {
        const js *source = js_at(sources, i);
        const char *why = js_string(source, "why", NULL);
        if (why)
            printf("! %s is not followed: %s\n", js_string(source, "path", ""), why);
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

static void print_telling(const js *telling) {
    const char *mail_fault = js_string(telling, "mail_fault", NULL);
    const char *command_fault = js_string(telling, "command_fault", NULL);
    if (mail_fault)
        printf("! The owner cannot be told by mail: %s. Mend it, then: hauberk notify --test\n",
               mail_fault);
    if (command_fault)
        printf("! The owner cannot be told by notify-command: %s. Mend it, then: hauberk notify "
               "--test\n",
               command_fault);
}

static bool is_any_blind(const js *jails) {
    for (size_t i = 0; i < js_count(jails); i++)
        if (strcmp(js_string(js_at(jails, i), "state", ""), "blind") == 0)
            return true;
    return false;
}

static bool has_fault(const js *sources) {
    for (size_t i = 0; i < js_count(sources); i++)
        if (js_string(js_at(sources, i), "why", NULL))
            return true;
    return false;
}

static void print_origins(const js *origins) {
    for (size_t i = 0; i < js_count(origins); i++) {
        const js *one = js_at(origins, i);
        const char *jail = js_string(one, "jail", "");
        const char *address = js_string(one, "address", "");
        const char *exempt = js_string(one, "exempt", NULL);
        long long failures = (long long)js_number(one, "failures", 0);
        if (js_flag(one, "hides_others", false))
            printf("! All %lld failures of %s, on different accounts, come from %s: a proxy or a "
                   "container's bridge\n"
                   "! hides the true addresses, and attackers cannot be told from users. Mend it "
                   "with \"userland-proxy\": false\n"
                   "! (Docker), the PROXY protocol, or host networking; see docs/containers.md.\n",
                   failures, jail, address);
        if (exempt)
            printf("! Most failures of %s (%lld of %lld) come from %s, which is never banned "
                   "because it is\n! %s\n",
                   jail, failures, (long long)js_number(one, "of", 0), address, exempt);
    }
}

static bool hides_others(const js *origins) {
    for (size_t i = 0; i < js_count(origins); i++)
        if (js_flag(js_at(origins, i), "hides_others", false))
            return true;
    return false;
}

static void print_spared(const js *spared) {
    for (size_t i = 0; i < js_count(spared); i++) {
        const js *one = js_at(spared, i);
        const char *address = js_string(one, "address", "");
        int64_t length = js_number(one, "prefix", 0);
        bool is_host = length == (strchr(address, ':') ? 128 : 32);
        printf("%s%s", i ? "" : "\nNever banned now, besides what the configuration names:\n",
               "  ");
        if (is_host)
            printf("%s: %s\n", address, js_string(one, "reason", ""));
        else
            printf("%s/%lld: %s\n", address, (long long)length, js_string(one, "reason", ""));
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
    int64_t evicted = js_number(status, "counts_evicted", 0);
    if (evicted)
        printf("! %lld counts were forgotten for lack of room; raise ledger-addresses\n",
               (long long)evicted);
    int64_t mistakes = js_number(status, "mistakes_evicted", 0);
    if (mistakes)
        printf("! So many accounts are tried that %lld of them were forgotten within the time in "
               "which one mistake counts once\n", (long long)mistakes);
    const js *configuration = js_get(status, "configuration");
    long long past = (long long)js_number(status, "past_read", 100);
    if (past < 100)
        printf("! First start: %lld %% of the logs' past is read; nothing is enforced before\n",
               past);
    const char *disk_error = js_string(configuration, "disk_error", NULL);
    if (disk_error)
        printf("! The configuration on disk is wrong: %s\n"
               "! The one of %s stays in force. Mend it, then: hauberk reload\n",
               disk_error, js_string(configuration, "since", "?"));
    long long lost_bans = (long long)js_number(status, "bans_pushed_out", 0) +
                          (long long)js_number(status, "bans_not_made", 0);
    if (lost_bans)
        printf("! The book of bans is full: %lld bans were ended early or not made since the "
               "start. Raise bans-most.\n",
               lost_bans);
    if (!js_flag(status, "jit", true))
        printf("! The regex compiler is off (no executable memory allowed): matching is slower.\n");
    print_telling(js_get(status, "notify"));
    print_sources(js_get(status, "sources"));
    print_origins(js_get(status, "origins"));
    print_jails(js_get(status, "jails"));
    print_spared(js_get(status, "spared"));
}

static int show_first_page(const struct cli *cli) {
    cleanup_js js *page = NULL;
    cleanup_text struct text text = {0};
    int exit_code = cli_ask(cli, "first", NULL, cli_keep_last, &page);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code != EXIT_FINE || !page)
        return exit_code;
    page_write(page, &text);
    if (cli->wants_json)
        cli_print_json(page);
    else
        printf("%s", text.at);
    return EXIT_FINE;
}

int word_status(struct cli *cli) {
    cleanup_js js *status = NULL;
    if (cli_take_flag(cli, "--first"))
        return show_first_page(cli);
    int exit_code = cli_ask(cli, "status", NULL, cli_keep_last, &status);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code != EXIT_FINE || !status)
        return exit_code;
    if (cli->wants_json)
        cli_print_json(status);
    else
        print_status(status);
    return js_flag(status, "effective", false) && !js_string(status, "store_error", NULL) &&
                   !js_string(js_get(status, "configuration"), "disk_error", NULL) &&
                   !has_fault(js_get(status, "sources")) &&
                   !is_any_blind(js_get(status, "jails")) &&
                   !hides_others(js_get(status, "origins"))
               ? EXIT_FINE
               : EXIT_LOOK;
}
