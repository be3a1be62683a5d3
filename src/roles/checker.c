/* The checker: reads the configuration for hauberkd, which never parses one itself, and hands back
 * fixed records: which logs, which exemptions, the digest, or why not. It also compiles every
 * filter, so that a reload with a broken regex leaves the running configuration in force.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "config/exempt.h"
#include "config/selftest.h"
#include "match/match.h"
#include "roles/role.h"

enum { GLOBS_MAX = 128, EXEMPT_MAX = 512 };

static void send_frame(enum message_type type, const void *head, const void *items,
                       uint32_t count) {
    _Alignas(8) static uint8_t frame[FRAME_MAX];
    size_t length = frame_build(frame, type, head, items, count);
    if (write(ROLE_FD_SUPERVISOR, frame, length) != (ssize_t)length)
        _exit(1);
}

static struct wire_glob globs[GLOBS_MAX];
static uint32_t glob_count;

static bool add_glob(const char *pattern, uint32_t jail) {
    for (uint32_t g = 0; g < glob_count; g++)
        if (span_is(wire_bytes(globs[g].pattern), pattern)) {
            globs[g].jails |= UINT64_C(1) << jail;
            return true;
        }
    if (glob_count == GLOBS_MAX)
        return false;
    globs[glob_count].jails = UINT64_C(1) << jail;
    wire_set_bytes(globs[glob_count].pattern, span_of(pattern));
    glob_count++;
    return true;
}

static bool send_globs(const struct config *config) {
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct config_jail *jail = &config->jails[j];
        if (!jail->is_enabled || jail->counts == COUNTS_RETURNS)
            continue;
        for (uint32_t i = 0; i < jail->log_paths.count; i++)
            if (!add_glob(jail->log_paths.at[i].text, j))
                return false;
        if (jail->journal && !add_glob(jail->journal, j))
            return false;
    }
    /* No logpath begins without a slash: hauberkd knows where the runtime folder is. */
    if (config->selftest_jail >= 0 && !add_glob(SELFTEST_LOG, (uint32_t)config->selftest_jail))
        return false;
    send_frame(SAY_CHECKED_GLOBS, NULL, globs, glob_count);
    return true;
}

/* What the owner laid down; between the others' files and the journal hauberkd chooses. */
static void name_backends(const struct config *config, struct wire_checked *checked) {
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct config_jail *jail = &config->jails[j];
        uint64_t bit = UINT64_C(1) << j;
        if (jail->backend == BACKEND_FILE || !jail->journal)
            checked->on_file |= bit;
        else if (jail->backend == BACKEND_JOURNAL || jail->log_paths.count == 0)
            checked->on_journal |= bit;
    }
}

struct exemptions {
    struct wire_exemption at[EXEMPT_MAX];
    uint32_t count;
    bool is_full;
};

/* The same exemption may stand in many jails. */
static void exempt(void *context, const struct prefix *prefix) {
    struct exemptions *exemptions = context;
    for (uint32_t i = 0; i < exemptions->count; i++)
        if (prefix_equals(&exemptions->at[i].prefix, prefix))
            return;
    if (exemptions->count == EXEMPT_MAX) {
        exemptions->is_full = true;
        return;
    }
    exemptions->at[exemptions->count++] =
        (struct wire_exemption){.prefix = *prefix, .until_us = -1};
}

/* What the enforcer refuses on its own. An ignoreip of one jail only is the decider's. */
static bool send_exemptions(const struct config *config) {
    static struct exemptions exemptions;
    config_each_exempt(config, EXEMPT_EVERYWHERE, exempt, &exemptions);
    send_frame(SAY_CHECKED_EXEMPT, NULL, exemptions.at, exemptions.count);
    return !exemptions.is_full;
}

static int compile_filters(const struct config *config, struct why *why) {
    for (uint32_t i = 0; i < config->filter_count; i++) {
        struct filter_rules *rules = filter_rules_new(&config->filters[i], why);
        if (!rules)
            return -1;
        filter_rules_free(rules);
    }
    return 0;
}

int main(int argc, char **argv) {
    struct why why = {0};
    struct wire_checked checked = {0};
    struct config *config = NULL;
    char text[900];
    struct role_options options = role_begin(CHECKER, argc, argv);
    int error = config_read(options.config_folder, options.data_folder, &config, &why);
    if (error >= 0) {
        config_read_resolvers(config);
        config_add_selftest(config);
    }
    role_enter_sandbox(CHECKER, &options, NULL, NULL);
    if (error >= 0)
        error = compile_filters(config, &why);
    if (error < 0) {
        wire_set_bytes(checked.text, span_of(why_format(&why, text, sizeof(text))));
        send_frame(SAY_CHECKED, &checked, NULL, 0);
        return 1;
    }
    cleanup_text struct text notices = {0};
    for (uint32_t i = 0; i < config->notice_count; i++)
        text_add_format(&notices, "%s%s", i ? "\n" : "",
                        why_format(&config->notices[i], text, sizeof(text)));
    if (!send_globs(config) || !send_exemptions(config)) {
        wire_set_bytes(checked.text,
                       SPAN("too much at once: at most 128 different logpaths and "
                            "journalmatches, and 512 addresses in admin and ignoreip together"));
        send_frame(SAY_CHECKED, &checked, NULL, 0);
        return 1;
    }
    checked.is_good = 1;
    checked.follow_symlinks = config->follow_symlinks;
    checked.digest = config->digest;
    name_backends(config, &checked);
    wire_set_bytes(checked.text, text_span(&notices));
    wire_set_bytes(checked.notify, span_of(config->notify));
    wire_set_bytes(checked.notify_command, span_of(config->notify_command));
    send_frame(SAY_CHECKED, &checked, NULL, 0);
    config_free(config);
    return 0;
}
