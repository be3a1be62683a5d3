/* Every shipped filter against the samples beside it, and the checker against wrong samples: it
 * must be able to fail.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/files.h"
#include "config/config.h"
#include "match/samples.h"

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "." /* meson names it; by hand, run from the root of the tree */
#endif

enum { LEAST_OF_EACH = 25 };

static struct config *config;

/* A jail for every filter there is: the configuration holds only what an enabled jail uses. */
static int write_jails(const char *folder) {
    cleanup_text struct text jails = {0};
    cleanup_text struct text path = {0};
    DIR *entries = opendir(SOURCE_ROOT "/filters");
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        struct span name = span_of(entry->d_name);
        if (name.length <= 5 || !span_is(span_skip(name, name.length - 5), ".conf"))
            continue;
        name.length -= 5;
        text_add_format(&jails, "[jail x-%.*s]\nenabled = yes\nfilter = %.*s\nlogpath = /x/y\n",
                        SPAN_FORMAT(name), SPAN_FORMAT(name));
    }
    if (entries)
        closedir(entries);
    text_add_format(&path, "%s/hauberk.conf", folder);
    cleanup_close int fd = open(path.at, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int error = fd < 0 ? -errno : write_all(fd, text_span(&jails));
    return jails.error ? jails.error : error;
}

static int open_config(void **state) {
    (void)state;
    struct why why = {0};
    char text[800];
    char folder[] = "/tmp/hauberk-filters-XXXXXX";
    char path[sizeof(folder) + 16];
    hash_open();
    if (!mkdtemp(folder) || write_jails(folder) < 0)
        return -1;
    int error = config_read(folder, SOURCE_ROOT, &config, &why);
    snprintf(path, sizeof(path), "%s/hauberk.conf", folder);
    unlink(path);
    rmdir(folder);
    if (error >= 0)
        return 0;
    print_error("%s\n", why_format(&why, text, sizeof(text)));
    return -1;
}

static int close_config(void **state) {
    (void)state;
    config = config_free(config);
    return 0;
}

static struct filter_rules *rules_of(const struct config_filter *filter) {
    struct why why = {0};
    char text[800];
    struct filter_rules *rules = filter_rules_new(filter, &why);
    if (!rules)
        print_error("%s\n", why_format(&why, text, sizeof(text)));
    assert_non_null(rules);
    return rules;
}

static const struct config_filter *filter_named(const char *name) {
    for (uint32_t i = 0; i < config->filter_count; i++)
        if (strcmp(config->filters[i].name, name) == 0)
            return &config->filters[i];
    fail_msg("no filter %s", name);
    return NULL;
}

/* How many log lines stand under directives that begin with `what`. */
static unsigned count_lines(const char *path, const char *what) {
    cleanup_text struct text bytes = {0};
    unsigned count = 0;
    bool counts = false;
    assert_true(file_read(path, 4 << 20, &bytes) >= 0);
    for (struct span left = text_span(&bytes); left.at && left.length;) {
        struct span line = span_cut(&left, '\n');
        if (span_starts_with(line, SPAN("== ")) && !span_starts_with(line, SPAN("== a")))
            counts = span_starts_with(span_skip(line, 3), span_of(what));
        else if (line.length && line.at[0] != '#' && line.at[0] != '=')
            count += counts;
    }
    return count;
}

static void filters_find_what_their_samples_say(void **state) {
    (void)state;
    assert_true(config->filter_count >= 14);
    for (uint32_t i = 0; i < config->filter_count; i++) {
        const struct config_filter *filter = &config->filters[i];
        cleanup_text struct text report = {0};
        char path[512];
        unsigned passed = 0;
        unsigned failed = 0;
        struct filter_rules *rules = rules_of(filter);
        snprintf(path, sizeof(path), SOURCE_ROOT "/filters/%s.samples", filter->name);
        int error = samples_check(rules, path, &report, &passed, &failed);
        if (error < 0 || failed)
            print_error("%.*s", SPAN_FORMAT(text_span(&report)));
        assert_int_equal(error, 0);
        assert_int_equal(failed, 0);
        assert_true(count_lines(path, "failure") + count_lines(path, "success") +
                        count_lines(path, "delivered") >=
                    LEAST_OF_EACH);
        assert_true(count_lines(path, "nothing") >= LEAST_OF_EACH);
        assert_true(rules->literals.count > 0);
        filter_rules_free(rules);
    }
}

#define LINE \
    "2026-11-21T08:00:00.500000Z h sshd[7]: " \
    "Failed password for bob from 203.0.113.1 port 9 ssh2\n"

static const struct {
    const char *samples, *says; /* in the report; NULL: all is well but for expressions unused */
    int error;
} wrong[] = {
    {"== failure address=203.0.113.1 account=bob session=7 attempts=0 known\n" LINE, NULL, 0},
    {"# note\n\n== failure\n== at 2026-11-21T08:00:00.500000Z\n" LINE, NULL, 0},
    {"== failure\n== at 2026-11-21T08:00:00.500001Z\n" LINE, ":3: another time; expected: failure",
     0},
    {"== nothing\n" LINE, ":2: an event where there should be none", 0},
    {"== success\n" LINE, ":2: the other kind of event", 0},
    {"== failure address=203.0.113.2\n" LINE, ":2: another address", 0},
    {"== failure account=\"bob x\"\n" LINE, ":2: another account", 0},
    {"== failure session=8\n" LINE, ":2: another session", 0},
    {"== failure attempts=1\n" LINE, ":2: another number of attempts", 0},
    {"== failure nouser\n" LINE, ":2: no word that the account does not exist", 0},
    {"== failure\nnonsense\n", ":2: no event", 0},
    {"== failure\nnonsense\n", "no time at its beginning", 0},
    {"== failure\n2026-11-21T08:00:00Z h cron[7]: x\n", "it got to prefregex", 0},
    {"== failure\n2026-11-21T08:00:00Z h sshd[7]: x\n", "no failregex and no successregex", 0},
    {"== failure\n2026-11-21T08:00:00Z h sshd[7]: Invalid user x from 203.0.113.1 port 9\n",
     "belongs to a line session", 0},
    {LINE, ":1: a line before the first", -EINVAL},
    {"== failing\n" LINE, ":1: unknown directive 'failing'", -EINVAL},
    {"== failure colour=red\n" LINE, ":1: unknown key 'colour'", -EINVAL},
    {"== failure address=h\n" LINE, ":1: 'h' is no address", -EINVAL},
    {"== failure attempts=-1\n" LINE, ":1: '-1' is no number", -EINVAL},
    {"== failure\n== at noon\n", ":2: 'noon' is no time", -EINVAL},
};

static void the_checker_can_fail(void **state) {
    (void)state;
    struct filter_rules *rules = rules_of(filter_named("sshd"));
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++) {
        cleanup_text struct text report = {0};
        char path[] = "/tmp/hauberk-samples-XXXXXX";
        cleanup_close int fd = mkstemp(path);
        unsigned passed = 0;
        unsigned failed = 0;
        assert_true(fd >= 0 && write_all(fd, span_of(wrong[i].samples)) >= 0);
        assert_int_equal(samples_check(rules, path, &report, &passed, &failed), wrong[i].error);
        unlink(path);
        text_add_char(&report, '\0');
        if (wrong[i].says && !strstr(report.at, wrong[i].says))
            fail_msg("'%s' is not in: %s", wrong[i].says, report.at);
        if (wrong[i].error == 0) {
            assert_int_equal(passed, wrong[i].says ? 0 : 1);
            assert_non_null(strstr(report.at, "successregex 1 has no sample"));
            /* All but one expression, or all and a line. */
            assert_true(failed >= rules->fail_count);
        }
    }
    filter_rules_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_find_what_their_samples_say),
        cmocka_unit_test(the_checker_can_fail),
    };
    return cmocka_run_group_tests_name("samples", tests, open_config, close_config);
}
