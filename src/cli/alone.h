/* Acting while no hauberkd runs: the order is left in STATE/orders for the next one, and what can
 * be done in the kernel is done here and now.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "cli/cli.h"
#include "enforce/enforce.h"

/* Appends a line ("unban …\n") to STATE/orders. EXIT_FINE or, after saying why, EXIT_FAILED. */
int alone_leave_order(const struct cli *cli, const char *line);

/* NULL after saying why. */
struct enforce *alone_open_kernel(void);

/* Why an order is carried out here, for a person: `error` is cli_order()'s. False: it is not. */
bool alone_must(int error, const char **ret_who);

/* Orders hauberkd; where none runs or takes orders, acts by `alone`, and orders again a hauberkd
 * that began meanwhile: it may have read the orders before this one was among them, and done twice
 * it changes nothing. `who`: the beginning of what is told. Takes args. */
int alone_ask(const struct cli *cli, const char *word, js *args,
              int (*alone)(const struct cli *cli, const char *who, void *context), void *context);
