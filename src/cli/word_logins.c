/* hauberk logins: which account logs in by which service, and when it did last.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"

/* The latest first. Times are written so that they sort as texts. */
static int compare(const void *a, const void *b) {
    const js *left = *(const js *const *)a;
    const js *right = *(const js *const *)b;
    int order = strcmp(js_string(right, "last", ""), js_string(left, "last", ""));
    if (order == 0)
        order = strcmp(js_string(left, "account", ""), js_string(right, "account", ""));
    return order ? order : strcmp(js_string(left, "service", ""), js_string(right, "service", ""));
}

static js *sorted(const js *rows) {
    size_t count = js_count(rows);
    const js **order = calloc(count + 1, sizeof(*order));
    must(order);
    for (size_t i = 0; i < count; i++)
        order[i] = js_at(rows, i);
    qsort(order, count, sizeof(*order), compare);
    js *all = js_array();
    for (size_t i = 0; i < count; i++)
        js_append(all, js_copy(order[i]));
    free(order);
    return all;
}

js *cli_logins(const struct cli *cli, struct why *reterr_why) {
    cleanup_js js *rows = js_array();
    cleanup_text struct text text = {0};
    cleanup_close int fd = -1;
    int result = client_open(cli->runtime_folder, &fd);
    if (result == -EACCES)
        why_set(reterr_why, result, NULL, 0,
                "only root and the group hauberk may ask hauberkd who logs in");
    else if (result < 0)
        why_set(reterr_why, result, NULL, 0,
                "no hauberkd answers that could know who logs in (systemctl status hauberk)");
    else
        result = client_ask(fd, "logins", NULL, CLIENT_PATIENCE_SEC, cli_collect, rows, NULL, &text,
                            reterr_why);
    if (result > 0)
        why_set(reterr_why, -EPROTO, NULL, 0, "hauberkd does not say who logs in: %s",
                text.length ? text.at : "");
    return result == 0 ? sorted(rows) : NULL;
}

struct wanted {
    const char *account; /* NULL: all */
    js *rows;
};

static bool collect_wanted(void *context, const js *row) {
    const struct wanted *wanted = context;
    if (!wanted->account || strcmp(js_string(row, "account", ""), wanted->account) == 0)
        js_append(wanted->rows, js_copy(row));
    return true;
}

/* Times may be of last year, so they are written whole. */
static void print_login(const js *row) {
    char clear[32] = "not told";
    if (js_number(row, "in_clear", -1) >= 0)
        snprintf(clear, sizeof(clear), "%lld", (long long)js_number(row, "in_clear", 0));
    printf("%-32s %-13s %-20s  %-20s %7lld  %8s\n", js_string(row, "account", ""),
           js_string(row, "service", ""), js_string(row, "last", ""), js_string(row, "first", ""),
           (long long)js_number(row, "logins", 0), clear);
}

int word_logins(struct cli *cli) {
    cleanup_js js *rows = js_array();
    if (cli->argument_count > 1)
        return cli_fail(EXIT_USAGE, "logins takes one account, or none for all");
    struct wanted wanted = {cli->argument_count ? cli->arguments[0] : NULL, rows};
    int exit_code = cli_ask(cli, "logins", NULL, collect_wanted, &wanted);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code != EXIT_FINE)
        return exit_code;
    cleanup_js js *all = sorted(rows);
    if (cli->wants_json) {
        cli_print_json(all);
        return EXIT_FINE;
    }
    if (js_count(all) == 0) {
        printf("No login%s%s is remembered.\n", wanted.account ? " of " : "",
               wanted.account ? wanted.account : "");
        return EXIT_FINE;
    }
    printf("%-32s %-13s %-20s  %-20s %7s  %8s\n", "account", "service", "last", "first", "logins",
           "in clear");
    for (size_t i = 0; i < js_count(all); i++)
        print_login(js_at(all, i));
    return EXIT_FINE;
}
