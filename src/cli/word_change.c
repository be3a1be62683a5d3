/* hauberk ban, unban, pause, reload: what a person changes. The first three work without hauberkd
 * too: the kernel is changed here and now, and the order is left in STATE/orders for the next
 * hauberkd, which applies it before it loads a single ban.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/files.h"
#include "cli/cli.h"
#include "config/exempt.h"
#include "enforce/enforce.h"

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

/* A hauberkd that began meanwhile may have read the orders before this one was among them, so it is
 * asked itself; done twice it changes nothing. Takes args. */
static int tell_newcomer(const struct cli *cli, const char *word, js *args, int exit_code) {
    if (exit_code != EXIT_FINE) {
        js_free(args);
        return exit_code;
    }
    exit_code = cli_ask(cli, word, args, NULL, NULL);
    return exit_code == -ENOENT ? EXIT_FINE : exit_code;
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

static int unban_alone(const struct cli *cli, const struct prefix *prefix, const char *jail) {
    struct prefix all[2] = {{.address.at = {[10] = 0xff, [11] = 0xff}}, {.length = 0}};
    char line[200];
    char text[PREFIX_TEXT_MAX];
    struct why why = {0};
    if (jail && check_jail(cli, jail) != EXIT_FINE)
        return EXIT_USAGE;
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
        printf("No hauberkd runs: what jail %s wants is lifted when the next one starts.\n", jail);
    else
        printf("No hauberkd runs: %s taken out of the kernel; the next one will know.\n",
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
    js *again = js_copy(args);
    int exit_code = cli_ask(cli, "unban", args, NULL, NULL);
    if (exit_code == -ENOENT)
        return tell_newcomer(cli, "unban", again,
                             unban_alone(cli, is_all ? NULL : &prefix, jail));
    js_free(again);
    return exit_code;
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
    struct enforce *enforce = open_kernel();
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
    if (config->observe)
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
    return cli_fail(EXIT_FAILED, "%s is never banned: it is, holds or lies in an address that is %s",
                    prefix_format(prefix, text), config_exemption_text(exemption));
}

static int ban_alone(const struct cli *cli, const struct prefix *prefix, int64_t seconds,
                     const char *why_text, bool cut) {
    struct config *config = cli_read_config(cli);
    if (!config)
        return EXIT_FAILED;
    char not_now_text[80];
    int64_t now_us = clock_now_us();
    int64_t until_us = seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US;
    config_read_resolvers(config);
    const char *not_now = why_not_now(cli, config, now_us, not_now_text);
    int exit_code = check_exempt(config, prefix);
    if (exit_code == EXIT_FINE && !not_now)
        exit_code = put_alone(config, prefix, until_us, cut);
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
    if (not_now)
        printf("No hauberkd runs: %s is noted for the next one; not enforced: %s.\n", text, not_now);
    else
        printf("No hauberkd runs: %s was put into the kernel; the next one will know.\n", text);
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
    js *again = js_copy(args);
    int exit_code = cli_ask(cli, "ban", args, NULL, NULL);
    if (exit_code == -ENOENT)
        return tell_newcomer(cli, "ban", again, ban_alone(cli, &prefix, seconds, why_text, cut));
    js_free(again);
    return exit_code;
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

static int pause_alone(int64_t until_us) {
    struct why why = {0};
    struct enforce *enforce = until_us ? open_kernel() : NULL;
    if (until_us && !enforce)
        return EXIT_FAILED;
    int error = enforce ? enforce_lift(enforce, &why) : 0;
    enforce_free(enforce);
    if (error < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    printf("No hauberkd runs: %s\n", until_us ? "our table was deleted; the next one waits too."
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
    int exit_code = cli_ask(cli, "pause", args, NULL, NULL);
    return exit_code == -ENOENT ? pause_alone(until_us) : exit_code;
}

int word_reload(struct cli *cli) {
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "reload takes no argument");
    int exit_code = cli_ask(cli, "reload", NULL, NULL, NULL);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code == EXIT_FINE)
        printf("The configuration is good and in force.\n");
    return exit_code;
}
