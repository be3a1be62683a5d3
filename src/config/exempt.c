/* Exemptions by configuration: see exempt.h.
 *
 * An `ignoreip` of one jail is that jail's alone, so the kernel, which lets exempt addresses pass
 * whatever jail banned them, is given only what lies in the lists of all jails. Prefixes contain
 * each other or have nothing in common: what lies in all lists are those prefixes of any list that
 * each of the others contains.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/exempt.h"

#include "base/files.h"
#include "config/inside.h"

enum { RESOLV_CONF_MOST = 64 << 10, RESOLVERS_MOST = 16 };

void config_take_resolvers(struct config *config, struct span left) {
    while (left.at && left.length > 0) {
        struct span line = span_cut(&left, '\n');
        struct address address;
        struct span word = span_word(&line);
        if (!span_is(word, "nameserver") || address_parse(span_word(&line), &address) < 0 ||
            config->resolver_count == RESOLVERS_MOST)
            continue;
        config->resolvers = keep_grown(&config->inside->keep, config->resolvers,
                                       config->resolver_count, sizeof(*config->resolvers));
        config->resolvers[config->resolver_count++] = prefix_of(&address);
    }
}

void config_read_resolvers(struct config *config) {
    cleanup_text struct text text = {0};
    if (file_read("/etc/resolv.conf", RESOLV_CONF_MOST, &text) >= 0)
        config_take_resolvers(config, text_span(&text));
}

static bool overlaps_any(const struct prefix *list, uint32_t count, const struct prefix *prefix) {
    for (uint32_t i = 0; i < count; i++)
        if (prefix_overlaps(&list[i], prefix))
            return true;
    return false;
}

static bool is_in_every_list(const struct config *config, const struct prefix *prefix) {
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct config_jail *jail = &config->jails[j];
        bool is_in = !jail->is_enabled;
        for (uint32_t i = 0; i < jail->ignore_count && !is_in; i++)
            is_in = prefix_contains(&jail->ignore[i], prefix);
        if (!is_in)
            return false;
    }
    return true;
}

static bool holds_ignored(const struct config *config, int wanted, uint32_t number) {
    return wanted < 0 ? config->jails[number].is_enabled : number == (uint32_t)wanted;
}

enum config_exemption config_exemption_of(const struct config *config, int wanted,
                                          const struct prefix *prefix) {
    if (overlaps_any(config->admin, config->admin_count, prefix))
        return CONFIG_EXEMPT_ADMIN;
    if (overlaps_any(config->resolvers, config->resolver_count, prefix))
        return CONFIG_EXEMPT_RESOLVER;
    uint32_t first = wanted < 0 ? 0 : (uint32_t)wanted;
    uint32_t end = wanted < 0 ? config->jail_count : first + 1;
    for (uint32_t j = first; j < end; j++) {
        const struct config_jail *jail = &config->jails[j];
        for (uint32_t i = 0; holds_ignored(config, wanted, j) && i < jail->ignore_count; i++)
            if (prefix_overlaps(&jail->ignore[i], prefix) &&
                (wanted != EXEMPT_EVERYWHERE || is_in_every_list(config, &jail->ignore[i])))
                return CONFIG_EXEMPT_IGNOREIP;
    }
    return CONFIG_NOT_EXEMPT;
}

const char *config_exemption_text(enum config_exemption exemption) {
    static const char *const texts[] = {
        [CONFIG_NOT_EXEMPT] = "",
        [CONFIG_EXEMPT_ADMIN] = "named in `admin`",
        [CONFIG_EXEMPT_RESOLVER] = "a resolver of this machine",
        [CONFIG_EXEMPT_IGNOREIP] = "named in `ignoreip`",
    };
    return texts[exemption];
}

void config_each_exempt(const struct config *config, int wanted,
                        void (*each)(void *context, const struct prefix *prefix), void *context) {
    for (uint32_t i = 0; i < config->admin_count; i++)
        each(context, &config->admin[i]);
    for (uint32_t i = 0; i < config->resolver_count; i++)
        each(context, &config->resolvers[i]);
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct config_jail *jail = &config->jails[j];
        for (uint32_t i = 0; holds_ignored(config, wanted, j) && i < jail->ignore_count; i++)
            if (wanted != EXEMPT_EVERYWHERE || is_in_every_list(config, &jail->ignore[i]))
                each(context, &jail->ignore[i]);
    }
}
