/* The command line. One file per word (words.def); here is what they share.
 *
 * Exit codes: 0 fine, 1 failed, 2 usage, 3 there is something to see.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/install.h"
#include "base/why.h"
#include "config/config.h"
#include "control/client.h"

struct cli {
    const char *config_folder, *state_folder, *runtime_folder;
    struct install_paths installed;
    bool wants_json;
    int argument_count; /* what is left after the common options, without the word */
    char **arguments;
};

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LOOK = 3 };

/* "hauberk: …" on standard error; returns `exit_code`. */
int cli_fail(int exit_code, const char *format, ...) prints(2, 3);
int cli_fail_why(int exit_code, const struct why *why);

/* Takes "--name" (or "--name VALUE") out of the arguments. True when it was there. */
bool cli_take_flag(struct cli *cli, const char *name);
bool cli_take_option(struct cli *cli, const char *name, const char **ret_value);

/* Reads the configuration with the folders of the command line; NULL after saying why not. */
struct config *cli_read_config(const struct cli *cli);

/* A connection to hauberkd; EXIT_FAILED after saying why not, or -ENOENT, -EBUSY as below. */
must_use int cli_connect(const struct cli *cli, int *ret_fd);

/* Asks hauberkd; rows go to `each`. Prints the answer's text. When hauberkd runs and takes no
 * question for some seconds, it says what it waits for, and waits. Exit code, or -ENOENT when no
 * hauberkd runs (nothing printed then). */
int cli_ask(const struct cli *cli, const char *word, js *args,
            bool (*each)(void *context, const js *row), void *context);
/* The same for an order that can be carried out without hauberkd: -EBUSY instead of waiting. */
int cli_order(const struct cli *cli, const char *word, js *args);
int cli_no_daemon(const struct cli *cli); /* says so; EXIT_FAILED */

/* EXIT_FINE, or EXIT_USAGE after saying that it is none. */
int cli_read_prefix(const char *text, struct prefix *ret_prefix);

/* What `hauberk logins` prints, the latest first, for whoever goes on without it: an array, or NULL
 * with a reason when no hauberkd answers. */
js *cli_logins(const struct cli *cli, struct why *reterr_why);

/* Collects rows into an array. */
bool cli_collect(void *array, const js *row);
/* Keeps the last row: `kept` is a js **, free or NULL at first. */
bool cli_keep_last(void *kept, const js *row);
void cli_print_json(const js *value);
/* Parses RFC 3339 as our own answers write it; 0 for null. */
int64_t cli_time(const js *row, const char *key);

#define WORD(name, function, arguments, sentence) int function(struct cli *cli);
#include "cli/words.def"
#undef WORD
