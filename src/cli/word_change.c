/* hauberk ban, unban, pause, reload: what a person changes. The first three work without hauberkd
 * too: the kernel is changed here and now, and the order is left in STATE/orders for the next
 * hauberkd, which applies it before it loads a single ban. They do the same when hauberkd runs but
 * its processes do not: should the question be found there later, the order is only given twice.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/files.h"
#include "cli/cli.h"
#include "enforce/enforce.h"

#define RELOAD_PATIENCE_US MINUTE_US

static int read_address(const char *text, struct prefix *ret_prefix) {
    if (prefix_parse(span_of(text), ret_prefix) >= 0)
        return EXIT_FINE;
    return cli_fail(EXIT_USAGE,
                    "'%s' is no address and no prefix (like 203.0.113.9 or 2001:db8::/64)", text);
}

/* The orders file belongs to the decider's user, who owns the state folder. */
static int leave_order(const struct cli *cli, const char *line) {
    char path[500];
    struct stat status;
    snprintf(path, sizeof(path), "%.480s/orders", cli->state_folder);
    int error = folder_make(cli->state_folder, 0700); /* hauberkd gives it to its user */
    if (error >= 0 && stat(cli->state_folder, &status) < 0)
        error = -errno;
    if (error >= 0)
        error = file_append_durably(path, span_of(line));
    if (error < 0 || lchown(path, status.st_uid, status.st_gid) < 0)
        return cli_fail(EXIT_FAILED, "the order cannot be left in %s: %s", path,
                        strerror(error < 0 ? -error : errno));
    return 0;
}

static struct enforce *open_kernel(void) {
    struct why why = {0};
    struct enforce *enforce = NULL;
    if (enforce_open(&enforce, &why) < 0) {
        cli_fail_why(EXIT_FAILED, &why);
        return NULL;
    }
    return enforce;
}

/* ---- unban ---- */

/* Why an order is carried out here, for a person; `error` is cli_order()'s. */
static bool is_alone(int error, const char **ret_who) {
    *ret_who = error == -EBUSY ? "hauberkd runs, but takes no orders" : "No hauberkd runs";
    return error == -ENOENT || error == -EBUSY;
}

static int unban_alone(const struct cli *cli, const struct prefix *prefix, const char *jail,
                       const char *who) {
    struct prefix all[2] = {{.address.at = {[10] = 0xff, [11] = 0xff}}, {.length = 0}};
    char line[200];
    char text[PREFIX_TEXT_MAX];
    struct why why = {0};
    /* One jail's ban only: another may want the same element, and only hauberkd knows. */
    struct enforce *enforce = jail ? NULL : open_kernel();
    if (!jail && !enforce)
        return EXIT_FAILED;
    int dropped = jail     ? 0
                  : prefix ? enforce_drop_everywhere(enforce, prefix, true, &why)
                           : enforce_lift(enforce, &why);
    enforce_free(enforce);
    if (dropped < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    for (int i = 0; i < (prefix ? 1 : 2); i++) {
        snprintf(line, sizeof(line), "unban %lld %s%s %s\n", (long long)clock_now_us(),
                 prefix ? prefix_format(prefix, text) : address_format(&all[i].address, text),
                 prefix ? "" : "/0", jail ? jail : "");
        if (leave_order(cli, line) != 0)
            return EXIT_FAILED;
    }
    if (jail)
        printf("%s: what jail %s wants is lifted when it starts.\n", who, jail);
    else
        printf("%s: %s taken out of the kernel; the next one will know.\n", who,
               prefix ? prefix_format(prefix, text) : "every ban was");
    return EXIT_FINE;
}

int word_unban(struct cli *cli) {
    const char *jail = NULL;
    struct prefix prefix;
    bool is_all = cli_take_flag(cli, "--all");
    (void)cli_take_option(cli, "--jail", &jail);
    if (cli->argument_count != (is_all ? 0 : 1))
        return cli_fail(EXIT_USAGE, "unban wants one address or prefix, or --all");
    if (!is_all && read_address(cli->arguments[0], &prefix) != EXIT_FINE)
        return EXIT_USAGE;
    js *args = js_object();
    js_set_flag(args, "all", is_all);
    if (!is_all)
        js_set_string(args, "address", cli->arguments[0]);
    if (jail)
        js_set_string(args, "jail", jail);
    const char *who;
    int exit_code = cli_order(cli, "unban", args);
    return is_alone(exit_code, &who) ? unban_alone(cli, is_all ? NULL : &prefix, jail, who)
                                     : exit_code;
}

/* ---- ban ---- */

static int put_alone(const struct config *config, const struct prefix *prefix, int64_t until_us,
                     bool cut) {
    struct why why = {0};
    int result = 0;
    struct enforce_order order = {SCOPE_ALL, false, cut, *prefix, until_us};
    struct enforce *enforce = open_kernel();
    if (!enforce)
        return EXIT_FAILED;
    int error = enforce_set_exempt(enforce, config->admin, config->admin_count, &why);
    if (error >= 0)
        error = enforce_set_scopes(enforce, config->scopes, config->scope_count, &why);
    if (error >= 0)
        error = enforce_apply(enforce, &order, 1, &result, &why);
    enforce_free(enforce);
    if (error >= 0 && result == -EPERM)
        return cli_fail(EXIT_FAILED, "that is or holds an address that is never banned (this "
                                     "machine's own, its gateway, or one of `admin`)");
    if (error < 0 || result < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    return EXIT_FINE;
}

static int ban_alone(const struct cli *cli, const struct prefix *prefix, int64_t seconds,
                     const char *why_text, bool cut, const char *who) {
    struct config *config = cli_read_config(cli);
    if (!config)
        return EXIT_FAILED;
    int64_t now_us = clock_now_us();
    int64_t until_us = seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US;
    int exit_code = put_alone(config, prefix, until_us, cut);
    config_free(config);
    if (exit_code != EXIT_FINE)
        return exit_code;
    char text[PREFIX_TEXT_MAX];
    char reason[160];
    char line[400];
    safe_copy(reason, sizeof(reason), span_of(why_text));
    snprintf(line, sizeof(line), "ban %lld %s %lld %s\n", (long long)now_us,
             prefix_format(prefix, text), (long long)until_us, reason);
    if (leave_order(cli, line) != 0)
        return EXIT_FAILED;
    printf("%s: %s was put into the kernel; the next one will know.\n", who, text);
    return EXIT_FINE;
}

int word_ban(struct cli *cli) {
    const char *length = "1h";
    const char *why_text = "";
    int64_t seconds = 0;
    struct prefix prefix;
    bool cut = cli_take_flag(cli, "--cut");
    (void)cli_take_option(cli, "--for", &length);
    (void)cli_take_option(cli, "--why", &why_text);
    if (cli->argument_count != 1)
        return cli_fail(EXIT_USAGE, "ban wants one address or prefix");
    if (read_address(cli->arguments[0], &prefix) != EXIT_FINE)
        return EXIT_USAGE;
    if (duration_parse(span_of(length), &seconds) < 0 || seconds == 0)
        return cli_fail(EXIT_USAGE, "'%s' is no time (like 90s, 10m, 2h, 7d, or -1 for ever)",
                        length);
    js *args = js_object();
    js_set_string(args, "address", cli->arguments[0]);
    js_set_number(args, "seconds", seconds);
    js_set_string(args, "why", why_text);
    js_set_flag(args, "cut", cut);
    const char *who;
    int exit_code = cli_order(cli, "ban", args);
    return is_alone(exit_code, &who) ? ban_alone(cli, &prefix, seconds, why_text, cut, who)
                                     : exit_code;
}

/* ---- pause ---- */

/* The pause outlives a restart of hauberkd, not one of the machine. */
static int write_pause(const struct cli *cli, int64_t until_us) {
    char path[500];
    char line[32];
    snprintf(path, sizeof(path), "%.480s/pause", cli->runtime_folder);
    if (unlink(path) < 0 && errno != ENOENT)
        return cli_fail(EXIT_FAILED, "%s cannot be removed: %s", path, strerror(errno));
    if (until_us == 0)
        return EXIT_FINE;
    snprintf(line, sizeof(line), "%lld\n", (long long)until_us);
    int error = folder_make(cli->runtime_folder, 0755);
    if (error >= 0)
        error = file_append_durably(path, span_of(line));
    if (error < 0)
        return cli_fail(EXIT_FAILED, "%s cannot be written: %s", path, strerror(-error));
    return EXIT_FINE;
}

static int pause_alone(int64_t until_us, const char *who) {
    struct why why = {0};
    struct enforce *enforce = until_us ? open_kernel() : NULL;
    if (until_us && !enforce)
        return EXIT_FAILED;
    int error = enforce ? enforce_lift(enforce, &why) : 0;
    enforce_free(enforce);
    if (error < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    printf("%s: %s\n", who, until_us ? "our table was deleted; the next one waits too."
                                              : "the next one enforces at once.");
    return EXIT_FINE;
}

int word_pause(struct cli *cli) {
    int64_t seconds = 0;
    bool ends = cli_take_flag(cli, "--end");
    if (cli->argument_count != (ends ? 0 : 1))
        return cli_fail(EXIT_USAGE, "pause wants one time, like 1h, or --end");
    if (!ends && (duration_parse(span_of(cli->arguments[0]), &seconds) < 0 || seconds <= 0))
        return cli_fail(EXIT_USAGE, "'%s' is no time (like 10m or 2h)", cli->arguments[0]);
    if (geteuid() != 0)
        return cli_fail(EXIT_FAILED, "only root may pause");
    int64_t until_us = ends ? 0 : clock_now_us() + seconds * SECOND_US;
    if (write_pause(cli, until_us) != EXIT_FINE)
        return EXIT_FAILED;
    js *args = js_object();
    js_set_number(args, "until_us", until_us);
    const char *who;
    int exit_code = cli_order(cli, "pause", args);
    return is_alone(exit_code, &who) ? pause_alone(until_us, who) : exit_code;
}

/* ---- reload ---- */

/* The pid of the decider that answers, once all processes of its start are ready; 0 before. */
static int64_t ready_decider(const js *status) {
    const js *roles = js_get(status, "roles");
    int64_t pid = 0;
    for (size_t i = 0; i < js_count(roles); i++) {
        const js *role = js_at(roles, i);
        if (!js_flag(role, "ready", false))
            return 0;
        if (strcmp(js_string(role, "role", ""), "decider") == 0)
            pid = js_number(role, "pid", 0);
    }
    return js_count(roles) == 3 ? pid : 0;
}

static bool keep_waiting(void *context) {
    (void)context;
    return true;
}

/* One question, quietly: the one who answers may be on its way out. */
static int64_t ask_for_decider(const struct cli *cli, js **status) {
    cleanup_close int fd = -1;
    cleanup_text struct text text = {0};
    struct why why = {0};
    if (client_open(cli->runtime_folder, &fd) < 0 ||
        client_ask(fd, "status", NULL, 10, cli_keep_last, status, keep_waiting, &text, &why) < 0)
        return 0;
    return ready_decider(*status);
}

/* A good configuration is answered by the decider that ends for it; in force it is when another
 * one answers and says so. */
static int await_restart(const struct cli *cli, int64_t before, const char *digest) {
    cleanup_js js *status = NULL;
    int64_t until_us = clock_monotonic_us() + RELOAD_PATIENCE_US;
    for (int64_t now = 0; now == 0 || now == before; now = ask_for_decider(cli, &status)) {
        if (clock_monotonic_us() > until_us)
            return cli_fail(EXIT_FAILED, "the configuration is good, but hauberkd's processes are "
                                         "not ready with it after a minute; see `hauberk status` "
                                         "and its log");
        (void)poll(NULL, 0, 20); /* nothing tells when a process of others is ready */
    }
    const js *configuration = js_get(status, "configuration");
    if (strcmp(js_string(configuration, "digest", ""), digest) != 0)
        return cli_fail(EXIT_FAILED, "the configuration was good, but it changed again while "
                                     "hauberkd restarted; see `hauberk status`");
    printf("The configuration is good and in force.\n");
    return EXIT_FINE;
}

int word_reload(struct cli *cli) {
    cleanup_js js *status = NULL;
    cleanup_js js *answer = NULL;
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "reload takes no argument");
    int exit_code = cli_ask(cli, "status", NULL, cli_keep_last, &status);
    if (exit_code == EXIT_FINE)
        exit_code = cli_ask(cli, "reload", NULL, cli_keep_last, &answer);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    return exit_code == EXIT_FINE
               ? await_restart(cli, ready_decider(status), js_string(answer, "digest", ""))
               : exit_code;
}
