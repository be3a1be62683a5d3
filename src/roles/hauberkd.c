/* hauberkd: reads its options, finds where it lies, and supervises.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>

#include "base/install.h"
#include "base/log.h"
#include "supervise/supervise.h"
#include "wire/build.h"

static const char usage[] =
    "Usage: hauberkd [OPTION…]\n"
    "Guards this host: reads its logs, decides, bans in the kernel. In the foreground; "
    "SIGTERM ends\n"
    "it and keeps the bans, SIGINT (Ctrl-C) lifts them, SIGHUP reads the configuration anew.\n"
    "\n"
    "  --config DIR    hauberk.conf and filters (/etc/hauberk; may be missing)\n"
    "  --state DIR     the database (/var/lib/hauberk)\n"
    "  --runtime DIR   the control socket (/run/hauberk)\n"
    "  --journal DIR   the journal's files (this machine's, below /var/log and /run/log)\n"
    "  --observe       decide and tell, but ban nobody\n"
    "  --uids N        numeric ids to use where the package's users do not exist (64900)\n"
    "  --version, --help\n";

static const char *absolute(const char *path, char into[PATH_MAX]) {
    if (path[0] == '/')
        return path;
    char here[PATH_MAX];
    must(getcwd(here, sizeof(here)));
    must(snprintf(into, PATH_MAX, "%.2000s/%.2000s", here, path) < PATH_MAX);
    return into;
}

int main(int argc, char **argv) {
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"state", required_argument, NULL, 's'},
                                          {"runtime", required_argument, NULL, 'r'},
                                          {"journal", required_argument, NULL, 'j'},
                                          {"observe", no_argument, NULL, 'o'},
                                          {"uids", required_argument, NULL, 'u'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static char paths[4][PATH_MAX];
    static struct install_paths installed;
    struct supervise_options options = {.config_folder = "/etc/hauberk",
                                        .state_folder = "/var/lib/hauberk",
                                        .runtime_folder = "/run/hauberk",
                                        .uid_base = 64900};
    log_open("hauberkd");
    hash_open();
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        int64_t id = 0;
        switch (c) {
        case 'c':
            options.config_folder = absolute(optarg, paths[0]);
            break;
        case 's':
            options.state_folder = absolute(optarg, paths[1]);
            break;
        case 'r':
            options.runtime_folder = absolute(optarg, paths[2]);
            break;
        case 'j':
            options.journal_folder = absolute(optarg, paths[3]);
            break;
        case 'o':
            options.observe = true;
            break;
        case 'u':
            if (span_to_integer(span_of(optarg), 1000, 4000000000, &id) < 0) {
                log_error("--uids wants a number from 1000 to 4000000000, not '%s'", optarg);
                return 2;
            }
            options.uid_base = (uid_t)id;
            break;
        case 'v':
            printf("hauberkd %s\n", build_version);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind < argc) {
        log_error("'%s' is not understood; see hauberkd --help", argv[optind]);
        return 2;
    }
    if (!install_find(&installed)) {
        log_error("cannot tell where this program lies (/proc/self/exe)");
        return 1;
    }
    options.data_folder = installed.data;
    options.libexec_folder = installed.libexec;
    return supervise_run(&options);
}
