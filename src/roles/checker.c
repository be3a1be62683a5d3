/* The checker: reads the configuration for hauberkd, which never parses one itself, and hands back
 * fixed records: which logs, which exemptions, the digest, or why not. It also compiles every
 * filter, so that a reload with a broken regex leaves the running configuration in force.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "config/config.h"
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

static bool send_globs(const struct config *config) {
    static struct wire_glob globs[GLOBS_MAX];
    uint32_t count = 0;
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct config_jail *jail = &config->jails[j];
        if (!jail->is_enabled || jail->counts == COUNTS_RETURNS)
            continue;
        for (uint32_t i = 0; i < jail->log_paths.count; i++) {
            struct span path = span_of(jail->log_paths.at[i].text);
            bool is_there = false;
            for (uint32_t g = 0; g < count && !is_there; g++)
                is_there = span_equals(wire_bytes(globs[g].pattern), path);
            if (is_there)
                continue;
            if (count == GLOBS_MAX)
                return false;
            wire_set_bytes(globs[count].pattern, path);
            count++;
        }
    }
    send_frame(SAY_CHECKED_GLOBS, NULL, globs, count);
    return true;
}

struct exemptions {
    struct wire_exemption at[EXEMPT_MAX];
    uint32_t count;
    bool is_full;
};

static void exempt(struct exemptions *exemptions, const struct prefix *prefix) {
    if (exemptions->count == EXEMPT_MAX) {
        exemptions->is_full = true;
        return;
    }
    exemptions->at[exemptions->count++] =
        (struct wire_exemption){.prefix = *prefix, .until_us = -1};
}

/* The resolvers: without their answers no mail comes or goes. */
static void exempt_resolvers(struct exemptions *exemptions, struct span left) {
    while (left.at && left.length > 0) {
        struct span line = span_cut(&left, '\n');
        struct address address;
        struct span word = span_word(&line);
        if (span_is(word, "nameserver") && address_parse(span_word(&line), &address) >= 0) {
            struct prefix prefix = prefix_of(&address);
            exempt(exemptions, &prefix);
        }
    }
}

/* `admin`, the resolvers, and what every jail ignores: the enforcer refuses these on its own. An ignoreip of one
 * jail only is the decider's. */
static bool send_exemptions(const struct config *config, struct span resolvers) {
    static struct exemptions exemptions;
    for (uint32_t i = 0; i < config->admin_count; i++)
        exempt(&exemptions, &config->admin[i]);
    exempt_resolvers(&exemptions, resolvers);
    const struct config_jail *first = NULL;
    for (uint32_t j = 0; j < config->jail_count && !first; j++)
        if (config->jails[j].is_enabled)
            first = &config->jails[j];
    for (uint32_t i = 0; first && i < first->ignore_count; i++) {
        bool everywhere = true;
        for (uint32_t j = 0; j < config->jail_count && everywhere; j++) {
            const struct config_jail *jail = &config->jails[j];
            everywhere = !jail->is_enabled;
            for (uint32_t k = 0; k < jail->ignore_count && !everywhere; k++)
                everywhere = prefix_equals(&jail->ignore[k], &first->ignore[i]);
        }
        if (everywhere)
            exempt(&exemptions, &first->ignore[i]);
    }
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
    cleanup_text struct text resolvers = {0};
    if (file_read("/etc/resolv.conf", 64 << 10, &resolvers) < 0)
        text_clear(&resolvers); /* absent: no resolver to spare */
    role_enter_sandbox(CHECKER, &options, NULL);
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
    if (!send_globs(config) || !send_exemptions(config, text_span(&resolvers))) {
        wire_set_bytes(checked.text, SPAN("too much at once: at most 128 different logpaths, and 512 "
                                          "addresses in admin and ignoreip together"));
        send_frame(SAY_CHECKED, &checked, NULL, 0);
        return 1;
    }
    checked.is_good = 1;
    checked.follow_symlinks = config->follow_symlinks;
    checked.digest = config->digest;
    wire_set_bytes(checked.text, text_span(&notices));
    wire_set_bytes(checked.notify_command, span_of(config->notify_command));
    send_frame(SAY_CHECKED, &checked, NULL, 0);
    config_free(config);
    return 0;
}
