/* hauberk: the command line's main(), and what its words share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/cli.h"
#include "wire/build.h"

static const struct {
    const char *name;
    int (*run)(struct cli *cli);
    const char *arguments, *sentence;
} words[] = {
#define WORD(name, function, arguments, sentence) {name, function, arguments, sentence},
#include "cli/words.def"
#undef WORD
};

int cli_fail(int exit_code, const char *format, ...) {
    va_list arguments;
    fputs("hauberk: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return exit_code;
}

int cli_fail_why(int exit_code, const struct why *why) {
    char text[900];
    return cli_fail(exit_code, "%s", why_format(why, text, sizeof(text)));
}

static void remove_arguments(struct cli *cli, int at, int count) {
    for (int i = at; i + count < cli->argument_count; i++)
        cli->arguments[i] = cli->arguments[i + count];
    cli->argument_count -= count;
}

bool cli_take_flag(struct cli *cli, const char *name) {
    for (int i = 0; i < cli->argument_count; i++)
        if (strcmp(cli->arguments[i], name) == 0) {
            remove_arguments(cli, i, 1);
            return true;
        }
    return false;
}

bool cli_take_option(struct cli *cli, const char *name, const char **ret_value) {
    for (int i = 0; i + 1 < cli->argument_count; i++)
        if (strcmp(cli->arguments[i], name) == 0) {
            *ret_value = cli->arguments[i + 1];
            remove_arguments(cli, i, 2);
            return true;
        }
    return false;
}

struct config *cli_read_config(const struct cli *cli) {
    struct why why = {0};
    struct config *config = NULL;
    if (config_read(cli->config_folder, cli->installed.data, &config, &why) < 0) {
        cli_fail_why(EXIT_FAILED, &why);
        return NULL;
    }
    return config;
}

int cli_connect(const struct cli *cli, int *ret_fd) {
    int error = client_open(cli->runtime_folder, ret_fd);
    if (error == -EACCES)
        return cli_fail(EXIT_FAILED, "you may not talk to hauberkd: become root, or a member of "
                                     "group hauberk");
    return error == -EAGAIN ? -EBUSY : error < 0 ? -ENOENT : EXIT_FINE;
}

/* What hauberkd says of itself while none of its processes can answer; "" when it says nothing. */
static void read_rest(const struct cli *cli, char into[1000]) {
    char path[500];
    cleanup_text struct text text = {0};
    snprintf(path, sizeof(path), "%.480s/resting", cli->runtime_folder);
    into[0] = '\0';
    if (file_read(path, 4096, &text) >= 0 && text.length > 0)
        safe_copy(into, 1000, span_trim(text_span(&text)));
}

struct asking {
    const struct cli *cli;
    bool (*each)(void *context, const js *row);
    void *context;
};

static bool pass_row(void *context, const js *row) {
    struct asking *asking = context;
    return !asking->each || asking->each(asking->context, row);
}

static bool tell_waiting(void *context) {
    struct asking *asking = context;
    char rest[1000];
    read_rest(asking->cli, rest);
    fprintf(stderr, "hauberk: hauberkd runs, but takes no questions yet; waiting. %s\n",
            rest[0] ? rest : "It is starting its processes, or reading many stored bans.");
    return true;
}

static int ask(const struct cli *cli, const char *word, js *args,
               bool (*each)(void *context, const js *row), void *context,
               bool (*on_wait)(void *context)) {
    struct asking asking = {cli, each, context};
    cleanup_close int fd = -1;
    cleanup_text struct text text = {0};
    struct why why = {0};
    int connected = cli_connect(cli, &fd);
    if (connected != EXIT_FINE) {
        js_free(args);
        return connected;
    }
    int exit_code = client_ask(fd, word, args, strcmp(word, "watch") == 0 ? -1 : 30, pass_row,
                               &asking, on_wait, &text, &why);
    if (exit_code == -EBUSY)
        return -EBUSY;
    if (exit_code < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    if (text.length)
        fprintf(exit_code == EXIT_FINE ? stdout : stderr, "%s%s\n",
                exit_code == EXIT_FINE ? "" : "hauberk: ", text.at);
    return exit_code;
}

int cli_ask(const struct cli *cli, const char *word, js *args,
            bool (*each)(void *context, const js *row), void *context) {
    int exit_code = ask(cli, word, args, each, context, tell_waiting);
    char rest[1000];
    if (exit_code != -EBUSY)
        return exit_code;
    read_rest(cli, rest);
    return cli_fail(EXIT_FAILED, "hauberkd runs, but takes no questions. %s", rest);
}

int cli_order(const struct cli *cli, const char *word, js *args) {
    return ask(cli, word, args, NULL, NULL, NULL);
}

int cli_no_daemon(const struct cli *cli) {
    return cli_fail(EXIT_FAILED,
                    "no hauberkd answers at %s/control; is it running (systemctl status hauberk)?",
                    cli->runtime_folder);
}

bool cli_collect(void *array, const js *row) {
    js_append(array, js_copy(row));
    return true;
}

bool cli_keep_last(void *kept, const js *row) {
    js **last = kept;
    js_free(*last);
    *last = js_copy(row);
    return true;
}

void cli_print_json(const js *value) {
    cleanup_text struct text text = {0};
    js_write(value, true, &text);
    printf("%s\n", text.at);
}

int64_t cli_time(const js *row, const char *key) {
    int parts[6];
    const char *text = js_string(row, key, "");
    if (sscanf(text, "%d-%d-%dT%d:%d:%d", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4],
               &parts[5]) != 6)
        return 0;
    return clock_days(parts[0], parts[1], parts[2]) * DAY_US + parts[3] * HOUR_US +
           parts[4] * MINUTE_US + parts[5] * SECOND_US;
}

static int help(void) {
    printf("Usage: hauberk [--config DIR] [--state DIR] [--runtime DIR] WORD …\n\n");
    for (size_t i = 0; i < ELEMENTS_OF(words); i++)
        printf("  %-7s %s\n          %s\n", words[i].name, words[i].arguments, words[i].sentence);
    printf("\nTIME is like 90s, 10m, 2h, 7d. Words that print facts know --json.\n"
           "Exit: 0 fine, 1 failed, 2 wrong usage, 3 there is something to see. hauberk(1)\n");
    return EXIT_FINE;
}

static int help_word(size_t i) {
    printf("Usage: hauberk %s %s\n%s\n", words[i].name, words[i].arguments, words[i].sentence);
    return EXIT_FINE;
}

static int unknown_word(const char *word) {
    size_t nearest = 0;
    unsigned least = 100;
    for (size_t i = 0; i < ELEMENTS_OF(words); i++) {
        unsigned distance = span_distance(span_of(word), span_of(words[i].name));
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    if (least <= 3)
        return cli_fail(EXIT_USAGE, "there is no word '%s'; did you mean '%s'?", word,
                        words[nearest].name);
    return cli_fail(EXIT_USAGE, "there is no word '%s'; see hauberk --help", word);
}

static void take_folders(struct cli *cli) {
    (void)cli_take_option(cli, "--config", &cli->config_folder);
    (void)cli_take_option(cli, "--state", &cli->state_folder);
    (void)cli_take_option(cli, "--runtime", &cli->runtime_folder);
}

int main(int argc, char **argv) {
    struct cli cli = {.config_folder = "/etc/hauberk",
                      .state_folder = "/var/lib/hauberk",
                      .runtime_folder = "/run/hauberk",
                      .argument_count = argc - 1,
                      .arguments = argv + 1};
    log_open("hauberk");
    hash_open();
    take_folders(&cli);
    if (cli.argument_count == 0)
        return help() == EXIT_FINE ? EXIT_USAGE : EXIT_FAILED;
    const char *word = cli.arguments[0];
    if (strcmp(word, "--help") == 0 || strcmp(word, "help") == 0)
        return help();
    if (strcmp(word, "--version") == 0) {
        printf("hauberk %s\n", build_version);
        return EXIT_FINE;
    }
    cli.argument_count--;
    cli.arguments++;
    if (!install_find(&cli.installed))
        return cli_fail(EXIT_FAILED, "cannot find hauberk's data (filters and jails) beside this "
                                     "program; is it installed whole?");
    for (size_t i = 0; i < ELEMENTS_OF(words); i++) {
        if (strcmp(words[i].name, word) != 0)
            continue;
        if (cli_take_flag(&cli, "--help"))
            return help_word(i);
        cli.wants_json = cli_take_flag(&cli, "--json");
        return words[i].run(&cli);
    }
    return unknown_word(word);
}
