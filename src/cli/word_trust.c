/* hauberk trust, untrust, trusted: whom a person never wants banned. A name is looked up here,
 * once, by the person's own resolver: what it means tomorrow is not followed. Without hauberkd the
 * kernel exempts the address at once, if our table is there, and the next hauberkd knows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/alone.h"

enum { NAME_ADDRESSES_MOST = 16, WHY_ROOM = 160 };

struct trust_wish {
    struct prefix prefix;
    int64_t seconds; /* -1: for ever */
    const char *why;
};

/* Into the exempt sets, if they are there;
 * without a table nothing is enforced that could harm it. */
static int spare_alone(const struct trust_wish *wish, int64_t until_us, bool *ret_is_in_kernel) {
    struct why why = {0};
    struct enforce *enforce = alone_open_kernel();
    if (!enforce)
        return EXIT_FAILED;
    int error = enforce_keep_exempt(enforce, &why);
    bool has_table = error > 0;
    if (error >= 0)
        error = enforce_spare(enforce, &wish->prefix, until_us, &why);
    if (error >= 0)
        error = enforce_drop_everywhere(enforce, &wish->prefix, true, &why);
    enforce_free(enforce);
    if (error < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    *ret_is_in_kernel = has_table;
    return EXIT_FINE;
}

static int trust_alone(const struct cli *cli, const char *who, void *context) {
    const struct trust_wish *wish = context;
    char text[PREFIX_TEXT_MAX], why[WHY_ROOM], line[400];
    bool is_in_kernel = false;
    int64_t now_us = clock_now_us();
    int64_t until_us =
        wish->seconds < 0 ? UNTIL_PERMANENT : now_us + wish->seconds * SECOND_US;
    safe_copy(why, sizeof(why), span_of(wish->why));
    if (wish->prefix.length < (prefix_is_v4(&wish->prefix) ? 8 : 19))
        return cli_fail(EXIT_FAILED, "%s is too wide to be trusted: at most a /%d",
                        prefix_format(&wish->prefix, text), prefix_is_v4(&wish->prefix) ? 8 : 19);
    snprintf(line, sizeof(line), "trust %lld %s %lld %s\n", (long long)now_us,
             prefix_format(&wish->prefix, text), (long long)until_us, why);
    if (spare_alone(wish, until_us, &is_in_kernel) != EXIT_FINE ||
        alone_leave_order(cli, line) != EXIT_FINE)
        return EXIT_FAILED;
    printf(is_in_kernel ? "%s: %s is exempt in the kernel; the next one will know.\n"
                        : "%s: the next one will trust %s. The kernel has no table of ours now, so "
                          "there is nothing to exempt it from.\n",
           who, text);
    return EXIT_FINE;
}

static int trust_one(const struct cli *cli, struct trust_wish *wish) {
    char text[PREFIX_TEXT_MAX];
    js *args = js_object();
    js_set_string(args, "address", prefix_format(&wish->prefix, text));
    js_set_number(args, "seconds", wish->seconds);
    js_set_string(args, "why", wish->why);
    return alone_ask(cli, "trust", args, trust_alone, wish);
}

/* Each numeric address of the name, once. */
static uint32_t look_up(const char *name, struct prefix into[NAME_ADDRESSES_MOST],
                        const char **ret_error) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    uint32_t count = 0;
    int error = getaddrinfo(name, NULL, &hints, &all);
    if (error != 0) {
        *ret_error = gai_strerror(error);
        return 0;
    }
    for (const struct addrinfo *one = all; one && count < NAME_ADDRESSES_MOST;
         one = one->ai_next) {
        char text[64];
        struct address address;
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), NULL, 0,
                        NI_NUMERICHOST) != 0 ||
            address_parse(span_of(text), &address) < 0)
            continue;
        struct prefix prefix = prefix_of(&address);
        bool is_there = false;
        for (uint32_t i = 0; i < count; i++)
            is_there = is_there || prefix_equals(&into[i], &prefix);
        if (!is_there)
            into[count++] = prefix;
    }
    freeaddrinfo(all);
    *ret_error = "it has no address";
    return count;
}

static int trust_name(const struct cli *cli, const char *name, struct trust_wish *wish) {
    struct prefix prefixes[NAME_ADDRESSES_MOST];
    char why[WHY_ROOM];
    const char *error = NULL;
    int exit_code = EXIT_FINE;
    uint32_t count = look_up(name, prefixes, &error);
    if (count == 0)
        return cli_fail(EXIT_FAILED, "'%s' is no address and no prefix, and as a name it cannot be "
                                     "looked up: %s", name, error);
    snprintf(why, sizeof(why), "%.100s%s%s", name, wish->why[0] ? ": " : "", wish->why);
    wish->why = why;
    for (uint32_t i = 0; i < count; i++) {
        wish->prefix = prefixes[i];
        int one = trust_one(cli, wish);
        exit_code = one == EXIT_FINE ? exit_code : one;
    }
    return exit_code;
}

int word_trust(struct cli *cli) {
    const char *length = "30d";
    struct trust_wish wish = {.why = ""};
    (void)cli_take_option(cli, "--for", &length);
    (void)cli_take_option(cli, "--why", &wish.why);
    if (cli->argument_count != 1)
        return cli_fail(EXIT_USAGE, "trust wants one address, prefix or name");
    if (duration_parse(span_of(length), &wish.seconds) < 0 || wish.seconds == 0)
        return cli_fail(EXIT_USAGE, "'%s' is no time (like 12h, 30d, or -1 for ever)", length);
    if (prefix_parse(span_of(cli->arguments[0]), &wish.prefix) >= 0)
        return trust_one(cli, &wish);
    /* A mistyped address is no name to be looked up. */
    if (strspn(cli->arguments[0], "0123456789./:") == strlen(cli->arguments[0]))
        return cli_read_prefix(cli->arguments[0], &wish.prefix);
    return trust_name(cli, cli->arguments[0], &wish);
}

static int untrust_alone(const struct cli *cli, const char *who, void *context) {
    char text[PREFIX_TEXT_MAX], line[120];
    snprintf(line, sizeof(line), "untrust %lld %s\n", (long long)clock_now_us(),
             prefix_format(context, text));
    if (alone_leave_order(cli, line) != EXIT_FINE)
        return EXIT_FAILED;
    printf("%s: the next one no longer trusts %s.\n", who, text);
    return EXIT_FINE;
}

int word_untrust(struct cli *cli) {
    struct prefix prefix;
    if (cli->argument_count != 1)
        return cli_fail(EXIT_USAGE, "untrust wants one address or prefix");
    if (cli_read_prefix(cli->arguments[0], &prefix) != EXIT_FINE)
        return EXIT_USAGE;
    js *args = js_object();
    js_set_string(args, "address", cli->arguments[0]);
    return alone_ask(cli, "untrust", args, untrust_alone, &prefix);
}

static void print_trusted(const js *row, int64_t now_us) {
    char name[64], until[CLOCK_TEXT_MAX];
    const char *address = js_string(row, "address", "");
    const char *kind = js_string(row, "kind", "");
    int64_t until_us = cli_time(row, "until");
    int64_t length = js_number(row, "prefix", 0);
    bool is_host = length == (strchr(address, ':') ? 128 : 32);
    if (is_host)
        snprintf(name, sizeof(name), "%s", address);
    else
        snprintf(name, sizeof(name), "%s/%lld", address, (long long)length);
    printf("%-24s until %-15s %s%s\n", name,
           until_us ? clock_format_local(until_us, now_us, until) : "you say otherwise",
           strcmp(kind, "ssh-key") == 0       ? "SSH login with a key: "
           : strcmp(kind, "ssh-session") == 0 ? "logged in by SSH: "
                                              : "",
           js_string(row, "why", ""));
}

int word_trusted(struct cli *cli) {
    cleanup_js js *rows = js_array();
    if (cli->argument_count > 0)
        return cli_fail(EXIT_USAGE, "trusted takes no argument");
    int exit_code = cli_ask(cli, "trusted", NULL, cli_collect, rows);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code != EXIT_FINE)
        return exit_code;
    if (cli->wants_json) {
        cli_print_json(rows);
        return EXIT_FINE;
    }
    for (size_t i = 0; i < js_count(rows); i++)
        print_trusted(js_at(rows, i), clock_now_us());
    if (js_count(rows) == 0)
        printf("Nobody is trusted, besides what the configuration names.\n");
    return EXIT_FINE;
}
