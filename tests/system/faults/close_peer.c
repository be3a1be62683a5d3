/* A role that shuts its wire to a peer and lives on, on SIGUSR2. Preloaded into hauberkd and so
 * into its roles.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <unistd.h>

static void shut(int number) {
    (void)number;
    close(4); /* ROLE_FD_PEER */
}

__attribute__((constructor)) static void begin(void) {
    signal(SIGUSR2, shut);
}
