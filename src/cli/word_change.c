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

#include "base/clock.h"
#include "base/duration.h"
#include "base/files.h"
#include "cli/alone.h"
#include "config/exempt.h"

#define RELOAD_PATIENCE_US MINUTE_US

int cli_read_prefix(const char *text, struct prefix *ret_prefix) {
    if (prefix_parse(span_of(text), ret_prefix) >= 0)
        return EXIT_FINE;
    return cli_fail(EXIT_USAGE,
                    "'%s' is no address and no prefix (like 203.0.113.9 or 2001:db8::/64)", text);
}

/* ---- unban ---- */

static int check_jail(const struct cli *cli, const char *jail) {
    struct why why = {0};
    if (strcmp(jail, "by-hand") == 0)
        return EXIT_FINE;
    struct config *config = cli_read_config(cli);
    if (!config)
        return EXIT_FAILED;
    int number = config_find_jail(config, span_of(jail), &why);
    config_free(config);
    return number < 0 ? cli_fail_why(EXIT_USAGE, &why) : EXIT_FINE;
}

struct unban_wish {
    const struct prefix *prefix; /* NULL: all */
    const char *jail;            /* NULL: all */
    bool is_false_positive;
};

static int unban_alone(const struct cli *cli, const char *who, void *context) {
    const struct unban_wish *wish = context;
    const struct prefix *prefix = wish->prefix;
    const char *jail = wish->jail;
    struct prefix all[2] = {{.address.at = {[10] = 0xff, [11] = 0xff}}, {.length = 0}};
    char line[200];
    char text[PREFIX_TEXT_MAX];
    struct why why = {0};
    if (jail && check_jail(cli, jail) != EXIT_FINE)
        return EXIT_USAGE;
    /* One jail's ban only: another may want the same element, and only hauberkd knows. */
    struct enforce *enforce = jail ? NULL : alone_open_kernel();
    if (!jail && !enforce)
        return EXIT_FAILED;
    int dropped = jail     ? 0
                  : prefix ? enforce_drop_everywhere(enforce, prefix, true, &why)
                           : enforce_lift(enforce, &why);
    enforce_free(enforce);
    if (dropped < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    for (int i = 0; i < (prefix ? 1 : 2); i++) {
        snprintf(line, sizeof(line), "%s %lld %s%s %s\n",
                 wish->is_false_positive ? "false-positive" : "unban", (long long)clock_now_us(),
                 prefix ? prefix_format(prefix, text) : address_format(&all[i].address, text),
                 prefix ? "" : "/0", jail ? jail : "");
        if (alone_leave_order(cli, line) != 0)
            return EXIT_FAILED;
    }
    if (jail)
        printf("%s: what jail %s wants is lifted when it starts.\n", who, jail);
    else
        printf("%s: %s %s the kernel; the next one will know.\n", who,
               prefix ? prefix_format(prefix, text) : "every ban",
               prefix && dropped == 0 ? "was not in" : "was taken out of");
    return EXIT_FINE;
}

int word_unban(struct cli *cli) {
    const char *jail = NULL;
    struct prefix prefix;
    bool is_all = cli_take_flag(cli, "--all");
    bool is_false_positive = cli_take_flag(cli, "--false-positive");
    (void)cli_take_option(cli, "--jail", &jail);
    if (is_false_positive && (is_all || jail))
        return cli_fail(EXIT_USAGE, "--false-positive is about one address, in every jail");
    if (cli->argument_count != (is_all ? 0 : 1))
        return cli_fail(EXIT_USAGE, "unban wants one address or prefix, or --all");
    if (!is_all && cli_read_prefix(cli->arguments[0], &prefix) != EXIT_FINE)
        return EXIT_USAGE;
    js *args = js_object();
    js_set_flag(args, "all", is_all);
    if (!is_all)
        js_set_string(args, "address", cli->arguments[0]);
    if (jail)
        js_set_string(args, "jail", jail);
    js_set_flag(args, "false_positive", is_false_positive);
    struct unban_wish wish = {is_all ? NULL : &prefix, jail, is_false_positive};
    return alone_ask(cli, "unban", args, unban_alone, &wish);
}

/* ---- ban ---- */

struct exemptions {
    struct prefix at[4096];
    uint32_t count;
};

static void add_exempt(void *context, const struct prefix *prefix) {
    struct exemptions *exemptions = context;
    if (exemptions->count < ELEMENTS_OF(exemptions->at))
        exemptions->at[exemptions->count++] = *prefix;
}

/* What hauberkd would exempt, as far as it is known here, and what it has exempted. */
static int exempt_alone(struct enforce *enforce, const struct config *config, struct why *why) {
    static struct exemptions exemptions;
    config_each_exempt(config, EXEMPT_EVERYWHERE, add_exempt, &exemptions);
    int error = enforce_keep_exempt(enforce, why);
    return error < 0 ? error
                     : enforce_set_exempt(enforce, exemptions.at, exemptions.count, why);
}

static int put_alone(const struct config *config, const struct prefix *prefix, int64_t until_us,
                     bool cut) {
    struct why why = {0};
    int result = 0;
    struct enforce_order order = {SCOPE_ALL, false, cut, *prefix, until_us};
    struct enforce *enforce = alone_open_kernel();
    if (!enforce)
        return EXIT_FAILED;
    int error = exempt_alone(enforce, config, &why);
    if (error >= 0)
        error = enforce_set_scopes(enforce, config->scopes, config->scope_count, &why);
    if (error >= 0)
        error = enforce_apply(enforce, &order, 1, &result, &why);
    enforce_free(enforce);
    if (error >= 0 && result == -EPERM)
        return cli_fail(EXIT_FAILED, "that is or holds an address that is never banned (this "
                                     "machine's own, its gateway, or one that hauberkd spared)");
    if (error < 0 || result < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    return EXIT_FINE;
}

/* Why a ban would not be enforced now; NULL: it would. */
static const char *why_not_now(const struct cli *cli, const struct config *config, int64_t now_us,
                               char into[80]) {
    char path[500];
    char until[CLOCK_TEXT_MAX];
    cleanup_text struct text text = {0};
    int64_t until_us = 0;
    if (config->observe == OBSERVE_YES)
        return "observing: bans nobody, as configured";
    snprintf(path, sizeof(path), "%.480s/pause", cli->runtime_folder);
    if (file_read(path, 64, &text) < 0 ||
        span_to_integer(span_trim(text_span(&text)), 0, INT64_MAX, &until_us) < 0 ||
        until_us <= now_us)
        return NULL;
    snprintf(into, 80, "paused until %s", clock_format_local(until_us, now_us, until));
    return into;
}

static int check_exempt(const struct config *config, const struct prefix *prefix) {
    char text[PREFIX_TEXT_MAX];
    enum config_exemption exemption = config_exemption_of(config, EXEMPT_BY_HAND, prefix);
    if (exemption == CONFIG_NOT_EXEMPT)
        return EXIT_FINE;
    return cli_fail(EXIT_FAILED,
                    "%s is never banned: it is, holds or lies in an address that is %s",
                    prefix_format(prefix, text), config_exemption_text(exemption));
}

struct ban_wish {
    struct prefix prefix;
    int64_t seconds;
    const char *why;
    bool cut;
};

static int ban_alone(const struct cli *cli, const char *who, void *context) {
    const struct ban_wish *wish = context;
    const struct prefix *prefix = &wish->prefix;
    struct config *config = cli_read_config(cli);
    if (!config)
        return EXIT_FAILED;
    char not_now_text[80];
    int64_t now_us = clock_now_us();
    int64_t until_us =
        wish->seconds < 0 ? UNTIL_PERMANENT : now_us + wish->seconds * SECOND_US;
    config_read_resolvers(config);
    const char *not_now = why_not_now(cli, config, now_us, not_now_text);
    int exit_code = check_exempt(config, prefix);
    if (exit_code == EXIT_FINE && !not_now)
        exit_code = put_alone(config, prefix, until_us, wish->cut);
    config_free(config);
    if (exit_code != EXIT_FINE)
        return exit_code;
    char text[PREFIX_TEXT_MAX];
    char reason[160];
    char line[400];
    safe_copy(reason, sizeof(reason), span_of(wish->why));
    snprintf(line, sizeof(line), "ban %lld %s %lld %s\n", (long long)now_us,
             prefix_format(prefix, text), (long long)until_us, reason);
    if (alone_leave_order(cli, line) != 0)
        return EXIT_FAILED;
    if (not_now)
        printf("%s: %s is noted for the next one; not enforced: %s.\n", who, text, not_now);
    else
        printf("%s: %s was put into the kernel; the next one will know.\n", who, text);
    return EXIT_FINE;
}

int word_ban(struct cli *cli) {
    const char *length = "1h";
    struct ban_wish wish = {.why = "", .cut = cli_take_flag(cli, "--cut")};
    (void)cli_take_option(cli, "--for", &length);
    (void)cli_take_option(cli, "--why", &wish.why);
    if (cli->argument_count != 1)
        return cli_fail(EXIT_USAGE, "ban wants one address or prefix");
    if (cli_read_prefix(cli->arguments[0], &wish.prefix) != EXIT_FINE)
        return EXIT_USAGE;
    if (duration_parse(span_of(length), &wish.seconds) < 0 || wish.seconds == 0)
        return cli_fail(EXIT_USAGE, "'%s' is no time (like 90s, 10m, 2h, 7d, or -1 for ever)",
                        length);
    js *args = js_object();
    js_set_string(args, "address", cli->arguments[0]);
    js_set_number(args, "seconds", wish.seconds);
    js_set_string(args, "why", wish.why);
    js_set_flag(args, "cut", wish.cut);
    return alone_ask(cli, "ban", args, ban_alone, &wish);
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
    struct enforce *enforce = until_us ? alone_open_kernel() : NULL;
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
    return alone_must(exit_code, &who) ? pause_alone(until_us, who) : exit_code;
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
