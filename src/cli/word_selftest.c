/* hauberk selftest: the line is written here, because only root may write into that log; all other
 * times are hauberkd's, by the same clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "cli/cli.h"
#include "config/selftest.h"

enum { LOG_BYTES_MOST = 64 << 10 }; /* then a new one is begun */

struct test {
    char path[500], nonce[SELFTEST_NONCE_BYTES + 1], address[64];
    int64_t began_us, written_us;
    int exit_code; /* of what was done here */
    js *result;
};

/* Rotated as any log: hauberkd reads the old one to its end. */
static int write_line(struct test *test) {
    char line[SELFTEST_LINE_MAX];
    char whole[SELFTEST_LINE_MAX + 1];
    struct stat status;
    if (lstat(test->path, &status) == 0 && status.st_size > LOG_BYTES_MOST)
        (void)unlink(test->path);
    cleanup_close int fd = open(test->path,
                                O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
                                0600);
    test->began_us = clock_now_us();
    selftest_format_line(test->began_us, test->nonce, test->address, line);
    snprintf(whole, sizeof(whole), "%s\n", line);
    int error = fd < 0 ? -errno : write_all(fd, span_of(whole));
    if (error < 0)
        return cli_fail(EXIT_FAILED, "%s cannot be written: %s", test->path, strerror(-error));
    test->written_us = clock_now_us();
    return EXIT_FINE;
}

static bool take_row(void *context, const js *row) {
    struct test *test = context;
    if (test->written_us)
        return cli_keep_last(&test->result, row);
    struct address address;
    if (address_parse(span_of(js_string(row, "address", "")), &address) < 0)
        test->exit_code = cli_fail(EXIT_FAILED, "hauberkd's answer makes no sense");
    else if (address_format(&address, test->address))
        test->exit_code = write_line(test);
    return test->exit_code == EXIT_FINE;
}

static int64_t since(int64_t at_us, int64_t before_us) {
    return at_us > before_us ? at_us - before_us : 0;
}

static void print_step(const char *what, const js *result, const char *key, int64_t *before_us,
                       const char *by) {
    int64_t at_us = js_number(result, key, 0);
    if (!at_us) {
        printf("  %-18s         -  %s\n", what, "did not come");
        return;
    }
    printf("  %-18s %9lld µs  %s\n", what, (long long)since(at_us, *before_us), by);
    *before_us = at_us;
}

static void print_sources(const js *sources, const char *own_path) {
    int reading = 0, waiting = 0;
    for (size_t i = 0; i < js_count(sources); i++) {
        const char *path = js_string(js_at(sources, i), "path", "");
        const char *state = js_string(js_at(sources, i), "state", "");
        const char *why = js_string(js_at(sources, i), "why", NULL);
        int64_t lag = js_number(js_at(sources, i), "lag", 0);
        if (strcmp(path, own_path) == 0)
            continue;
        reading += strcmp(state, "reading") == 0;
        waiting += strcmp(state, "waiting") == 0;
        if (strcmp(state, "unreadable") == 0)
            printf("! %s is not followed: %s\n", path, why ? why : "it cannot be read");
        if (lag)
            printf("! %lld bytes of %s are still to be read\n", (long long)lag, path);
    }
    printf("Logs: %d read, %d waiting to be there.\n", reading, waiting);
}

static void print_result(const struct test *test) {
    const js *result = test->result;
    int64_t matched_us = js_number(result, "matched_us", 0);
    /* The sensor may have read the line before we were told that it is written. */
    int64_t before_us =
        matched_us && matched_us < test->written_us ? matched_us : test->written_us;
    char ban[80];
    const char *why_not = js_string(result, "why_not", NULL);
    snprintf(ban, sizeof(ban), "a ban of %lld s", (long long)js_number(result, "ban_seconds", 0));
    printf("One made-up failure of %s:\n", test->address);
    printf("  %-18s %9lld µs  %s\n", "line written",
           (long long)since(before_us, test->began_us), test->path);
    print_step("read and matched", result, "matched_us", &before_us, "by the sensor");
    print_step("decided", result, "decided_us", &before_us, ban);
    if (why_not && js_number(result, "decided_us", 0) && !js_number(result, "kernel_us", 0))
        printf("  %-18s         -  %s\n", "in the kernel", "not asked to, as nothing is enforced");
    else
        print_step("in the kernel", result, "kernel_us", &before_us,
                   "confirmed; in a set by which nothing is refused");
    printf("  %-18s %9lld µs\n", "together", (long long)since(before_us, test->began_us));
    if (why_not)
        printf("! Bans are not in force: %s\n", why_not);
    else
        printf("Bans are in force.\n");
    print_sources(js_get(result, "sources"), test->path);
}

int word_selftest(struct cli *cli) {
    struct test test = {0};
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "selftest takes no argument");
    if (geteuid() != 0)
        return cli_fail(EXIT_FAILED, "only root may run the selftest");
    snprintf(test.path, sizeof(test.path), "%.480s/" SELFTEST_LOG, cli->runtime_folder);
    snprintf(test.nonce, sizeof(test.nonce), "%016llx", (unsigned long long)random_u64());
    js *args = js_object();
    js_set_string(args, "nonce", test.nonce);
    int exit_code = cli_ask(cli, "selftest", args, take_row, &test);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (test.exit_code != EXIT_FINE)
        return test.exit_code;
    if (test.result && cli->wants_json) {
        js_set_string(test.result, "address", test.address);
        js_set_number(test.result, "began_us", test.began_us);
        js_set_number(test.result, "written_us", test.written_us);
        cli_print_json(test.result);
    } else if (test.result) {
        print_result(&test);
    }
    js_free(test.result);
    return exit_code;
}
