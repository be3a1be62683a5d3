/* hauberk-prober NAME [WORD=VALUE…]: one probe of the audit. It looks, prints what it read
 * (probe/readings.h), and ends. Before it looks it gives up writing: no file can be changed or made
 * by it or by a program it runs; one that looks at processes gives up running any, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <stdio.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "probe/probe.h"
#include "sandbox/sandbox.h"

int main(int argc, char **argv) {
    struct why why = {0};
    char text[900];
    cleanup_text struct text said = {0};
    log_open("prober");
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up in the middle of TLS is an answer, too */
    hash_open();
    const struct probe *probe = argc >= 2 ? probe_find(argv[1]) : NULL;
    if (!probe) {
        log_error("which probe? hauberk-prober NAME [ARGUMENT]; "
                  "hauberk audit --readings runs them all");
        return 2;
    }
    /* Where it cannot be had, the probe itself tells what it could not do without. */
    bool has_tmp = probe_needs_tmp(probe) && sandbox_own_tmp(&why) >= 0;
    int error = probe->sees_processes ? sandbox_only_reading(&why)
                                      : sandbox_read_only(has_tmp ? "/tmp" : NULL, &why);
    if (error < 0) {
        log_error("%s", why_format(&why, text, sizeof(text)));
        return 1;
    }
    probe_run(probe, argv + 2, (size_t)argc - 2, &said);
    return write_all(STDOUT_FILENO, text_span(&said)) < 0;
}
