/* Without a hauberkd: see alone.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/alone.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/files.h"

/* The orders file belongs to the decider's user, who owns the state folder. */
int alone_leave_order(const struct cli *cli, const char *line) {
    char path[500];
    struct stat status;
    snprintf(path, sizeof(path), "%.480s/orders", cli->state_folder);
    int error = folder_make(cli->state_folder, 0700); /* hauberkd gives it to its user */
    if (error >= 0 && stat(cli->state_folder, &status) < 0)
        error = -errno;
    if (error >= 0)
        error = file_append_durably(path, span_of(line));
    if (error >= 0 && lchown(path, status.st_uid, status.st_gid) < 0 && errno != ENOENT)
        error = -errno; /* (not there: a hauberkd that began has taken it) */
    if (error < 0)
        return cli_fail(EXIT_FAILED, "the order cannot be left in %s: %s", path,
                        strerror(-error));
    return EXIT_FINE;
}

struct enforce *alone_open_kernel(void) {
    struct why why = {0};
    struct enforce *enforce = NULL;
    if (enforce_open(&enforce, &why) < 0) {
        cli_fail_why(EXIT_FAILED, &why);
        return NULL;
    }
    return enforce;
}

bool alone_must(int error, const char **ret_who) {
    *ret_who = error == -EBUSY ? "hauberkd runs, but takes no orders" : "No hauberkd runs";
    return error == -ENOENT || error == -EBUSY;
}

int alone_ask(const struct cli *cli, const char *word, js *args,
              int (*alone)(const struct cli *cli, const char *who, void *context), void *context) {
    cleanup_js js *again = js_copy(args);
    const char *who;
    int asked = cli_order(cli, word, args);
    if (!alone_must(asked, &who))
        return asked;
    int exit_code = alone(cli, who, context);
    if (exit_code != EXIT_FINE || asked == -EBUSY)
        return exit_code;
    exit_code = cli_order(cli, word, js_copy(again));
    return exit_code < 0 ? EXIT_FINE : exit_code;
}
