/* hauberk forget: deletes what hauberkd keeps about an address or an account. Only hauberkd opens
 * the database, so one has to run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "cli/cli.h"

int word_forget(struct cli *cli) {
    if (cli->argument_count != 1 || cli->arguments[0][0] == '\0')
        return cli_fail(EXIT_USAGE, "forget wants one address, prefix or account");
    js *args = js_object();
    js_set_string(args, "subject", cli->arguments[0]);
    int exit_code = cli_ask(cli, "forget", args, NULL, NULL);
    return exit_code == -ENOENT ? cli_no_daemon(cli) : exit_code;
}
