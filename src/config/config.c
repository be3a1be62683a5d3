/* The snapshot: see config.h. All files are first merged into one ini; then [DEFAULT] and each
 * jail are read setting by setting through the table, keys nobody knows are looked for, and at
 * last what an enabled jail cannot do without is fetched.
 *
 * What an owner writes in [DEFAULT] goes before the numbers of the shipped jails, as a guide's
 * reader expects: in fail2ban these jails have no numbers of their own, so there [DEFAULT] is what
 * holds. Jails that count returns keep theirs, as recidive does in fail2ban. What makes a jail that
 * jail (filter, logpath, port) is never taken from the owner's [DEFAULT]: docs in the table's
 * `reach` column.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config/inside.h"
#include "config/nearest.h"
#include "config/selftest.h"

#define DEFAULT_SECTION "DEFAULT"
#define HAUBERK_SECTION "hauberk"

enum { NOTICES_MOST = 64 };

struct jail_wish { /* the filter a jail asks for, until it is known whether it is needed */
    char filter[CONFIG_NAME_MAX];
    struct config_origin origin;
};

struct config_reading {
    struct config *config;
    struct keep *keep;
    const char *folders[FOLDERS];
    struct ini *ini;
    struct digest_state digest;
    struct jail_wish wishes[CONFIG_JAILS_MOST];
    struct why *why;
};

/* One for a line: what [DEFAULT] says is met again in every jail. */
static void add_notice(struct config_reading *reading, const struct why *notice) {
    struct config *config = reading->config;
    for (uint32_t i = 0; i < config->notice_count; i++)
        if (config->notices[i].line == notice->line &&
            strcmp(config->notices[i].file, notice->file) == 0)
            return;
    if (config->notice_count == NOTICES_MOST)
        return;
    config->notices = keep_grown(reading->keep, config->notices, config->notice_count,
                                 sizeof(*config->notices));
    config->notices[config->notice_count++] = *notice;
    if (config->notice_count == NOTICES_MOST)
        (void)why_set(&config->notices[NOTICES_MOST - 1], 0, NULL, 0,
                      "and more settings without effect; these are the first %d",
                      NOTICES_MOST - 1);
}

/* --- sections ------------------------------------------------------------------------------- */

static bool is_jail(const struct ini_section *section) {
    return strcmp(section->name, DEFAULT_SECTION) != 0 &&
           strcmp(section->name, HAUBERK_SECTION) != 0;
}

static bool is_shipped(const struct ini_section *section) {
    return section->folder == FOLDER_DATA && is_jail(section);
}

/* [jail NAME] may make a jail, a plain [NAME] means one that comes with hauberk. Both are kept as
 * NAME, so that they are one section. */
static int name_jail_section(const struct ini *ini, unsigned folder, struct span name,
                             bool is_plain, char into[INI_NAME_MAX], struct why *reterr_why) {
    static const char *const reserved[] = {DEFAULT_SECTION, HAUBERK_SECTION, "INCLUDES", "default",
                                           "known", SELFTEST_NAME};
    char what[SHOWN_MAX];
    char hint[NEAREST_HINT_MAX];
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < ELEMENTS_OF(reserved); i++)
        if (!is_plain && span_is(name, reserved[i]))
            return why_set(reterr_why, -EINVAL, NULL, 0, "a jail cannot be called '%s'",
                           reserved[i]);
    if (!is_plain && setting_is_name(name)) {
        snprintf(into, INI_NAME_MAX, "%.*s", SPAN_FORMAT(name));
        return 0;
    }
    if (!is_plain)
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "'%s' is no name for a jail: letters, digits, '_', '-' and '.', at most %d",
                       shown(name, what), CONFIG_NAME_MAX - 1);
    nearest_offer(&nearest, DEFAULT_SECTION);
    nearest_offer(&nearest, HAUBERK_SECTION);
    for (const struct ini_section *s = ini_first(ini); s; s = s->next) {
        if (is_shipped(s) && folder != FOLDER_DATA && span_is(name, s->name))
            return snprintf(into, INI_NAME_MAX, "%s", s->name) > 0 ? 0 : -EINVAL;
        nearest_offer(&nearest, s->name);
    }
    nearest_hint(&nearest, hint);
    return why_set(reterr_why, -EINVAL, NULL, 0,
                   "unknown section [%s]: no jail of that name comes with hauberk%s",
                   shown(name, what),
                   hint[0] ? hint : "; a jail of your own begins with [jail NAME]");
}

static int name_config_section(void *context, const struct ini *ini, unsigned folder,
                               struct span written, char into[INI_NAME_MAX],
                               struct why *reterr_why) {
    (void)context;
    if (span_is(written, DEFAULT_SECTION) || span_is(written, HAUBERK_SECTION))
        return 0;
    struct span left = written;
    struct span first = span_word(&left);
    struct span second = span_word(&left);
    if (span_is(first, "jail") && second.length > 0 && span_word(&left).length == 0)
        return name_jail_section(ini, folder, second, false, into, reterr_why);
    return name_jail_section(ini, folder, written, true, into, reterr_why);
}

/* --- values --------------------------------------------------------------------------------- */

/* Whether the owner's [DEFAULT] goes before what this shipped jail says. */
static bool reaches(const struct setting *setting, enum config_counts counts) {
    return setting->reach == REACHES_ALL ||
           (setting->reach == REACHES_FAILURES && counts != COUNTS_RETURNS);
}

static const struct ini_value *effective(const struct config_reading *reading, const char *section,
                                         const struct setting *setting, enum config_counts counts) {
    const struct ini_value *own = ini_value(reading->ini, section, setting->key);
    const struct ini_value *common = ini_value(reading->ini, DEFAULT_SECTION, setting->key);
    bool common_goes_first = own && own->folder == FOLDER_DATA && common &&
                             common->folder == FOLDER_CONFIG && reaches(setting, counts);
    /* Numbers in the owner's [DEFAULT] are about failures. */
    bool is_out_of_reach = setting->reach == REACHES_FAILURES && counts == COUNTS_RETURNS;
    if (own && !common_goes_first)
        return own;
    if (common && !is_out_of_reach)
        return common;
    return ini_value(reading->ini, NULL, setting->key);
}

static int read_setting(struct config_reading *reading, const char *section,
                        const struct setting *setting, const struct ini_value *from,
                        struct setting_value *ret_value, struct config_shown *ret_shown) {
    struct setting_text text = {.where = section};
    int error = ini_expand(reading->ini, section, from, &text.lines, reading->why);
    if (error < 0)
        return error;
    error = setting_read(setting, &text, reading->keep, ret_value, reading->why);
    if (error < 0)
        return error;
    if (ret_value->notice.text[0])
        add_notice(reading, &ret_value->notice);
    *ret_shown = (struct config_shown){setting_show(setting, &text.lines, reading->keep),
                                       {from->file, from->line}};
    return 0;
}

static int find_or_add_scope(struct config_reading *reading, const struct scope *scope,
                             struct config_origin origin, uint16_t *ret_index) {
    struct config *config = reading->config;
    for (uint16_t i = 0; i < config->scope_count; i++)
        if (strcmp(config->scopes[i].name, scope->name) == 0) {
            *ret_index = i;
            return 0;
        }
    if (config->scope_count == SCOPES_MAX)
        return why_set(reading->why, -E2BIG, origin.file, origin.line,
                       "more than %d different sets of ports; let jails share some", SCOPES_MAX);
    *ret_index = config->scope_count;
    config->scopes[config->scope_count++] = *scope;
    return 0;
}

static int store_in_jail(struct config_reading *reading, const struct setting *setting,
                         const struct setting_value *value, struct config_origin origin,
                         struct config_jail *jail, struct jail_wish *wish) {
    switch (setting->type) {
    case TYPE_ADDRESSES:
        jail->ignore = value->prefixes;
        jail->ignore_count = value->prefix_count;
        return 0;
    case TYPE_PATHS:
        jail->log_paths = value->paths;
        return 0;
    case TYPE_JOURNAL:
        jail->journal = value->journal;
        return 0;
    case TYPE_PORTS:
        return find_or_add_scope(reading, &value->scope, origin, &jail->scope);
    case TYPE_FILTER:
        memcpy(wish->filter, value->filter, sizeof(wish->filter));
        wish->origin = origin;
        return 0;
    case TYPE_MODE:
    case TYPE_IGNORESELF:
    case TYPE_USEDNS:
        return 0;
    default:
        setting_store(setting, value->number, jail);
        return 0;
    }
}

/* --- [hauberk] ------------------------------------------------------------------------------ */

static int read_hauberk(struct config_reading *reading) {
    struct config *config = reading->config;
    struct config_shown *all =
        keep_bytes(reading->keep, hauberk_setting_count * sizeof(*all));
    for (size_t i = 0; i < hauberk_setting_count; i++) {
        const struct setting *setting = &hauberk_settings[i];
        struct setting_value value;
        const struct ini_value *from = ini_value(reading->ini, HAUBERK_SECTION, setting->key);
        if (!from)
            from = ini_value(reading->ini, NULL, setting->key);
        int error = read_setting(reading, HAUBERK_SECTION, setting, from, &value, &all[i]);
        if (error < 0)
            return error;
        if (setting->type == TYPE_ADDRESSES) {
            config->admin = value.prefixes;
            config->admin_count = value.prefix_count;
        } else if (setting->type == TYPE_RECIPIENT) {
            config->notify = value.text;
        } else if (setting->type == TYPE_COMMAND) {
            config->notify_command = value.text;
        } else if (setting->type == TYPE_DOMAINS) {
            config->domains = value.text;
        } else if (setting->type == TYPE_GROUPS) {
            config->admin_groups = value.paths;
        } else {
            setting_store(setting, value.number, config);
        }
    }
    config->inside->hauberk = all;
    return 0;
}

/* --- jails ---------------------------------------------------------------------------------- */

/* Recidive of a pasted guide reads fail2ban's own log; ours counts in the ledger. */
static void note_unused(struct config_reading *reading, const struct config_jail *jail) {
    static const char *const keys[] = {"filter", "logpath", "journalmatch", "backend"};
    for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
        struct why notice = {0};
        const struct ini_value *value = ini_value(reading->ini, jail->name, keys[i]);
        if (!value)
            continue;
        (void)why_set(&notice, 0, value->file, value->line,
                      "%s in [%s] has no effect: the jail counts returns, which hauberk knows "
                      "without a log",
                      keys[i], jail->name);
        add_notice(reading, &notice);
    }
}

static int read_jail_settings(struct config_reading *reading, const char *section,
                              struct config_jail *jail, struct jail_wish *wish,
                              struct config_shown *all) {
    for (size_t i = 0; i < jail_setting_count; i++) {
        const struct setting *setting = &jail_settings[i];
        struct setting_value value;
        const struct ini_value *from =
            effective(reading, section, setting, jail->counts);
        int error = read_setting(reading, section, setting, from, &value, &all[i]);
        if (error < 0)
            return error;
        struct config_origin origin = {from->file, from->line};
        error = store_in_jail(reading, setting, &value, origin, jail, wish);
        if (error < 0)
            return error;
    }
    return 0;
}

static void finish_jail(struct config_reading *reading, struct config_jail *jail) {
    const struct ini_value *enabled = ini_value(reading->ini, jail->name, "enabled");
    if (enabled)
        jail->origin = (struct config_origin){enabled->file, enabled->line};
    if (jail->ban_most_seconds < jail->ban_seconds)
        jail->ban_most_seconds = jail->ban_seconds;
    jail->mail_scope_if_delivered = jail->scope == SCOPE_MAIL ? SCOPE_MAIL_LOGIN : jail->scope;
    if (jail->counts != COUNTS_RETURNS)
        return;
    note_unused(reading, jail);
    jail->log_paths = (struct config_patterns){0};
    jail->journal = NULL;
}

static int read_jail(struct config_reading *reading, const struct ini_section *section) {
    struct config *config = reading->config;
    uint32_t number = config->jail_count;
    if (number == CONFIG_JAILS_MOST)
        return why_set(reading->why, -E2BIG, section->file, section->line, "more than %d jails",
                       CONFIG_JAILS_MOST);
    struct config_jail *jail = &config->jails[config->jail_count++];
    struct config_shown *all = keep_bytes(reading->keep, jail_setting_count * sizeof(*all));
    config->inside->jail_shown[number] = all;
    jail->name = keep_text(reading->keep, span_of(section->name));
    jail->origin = (struct config_origin){section->file, section->line};
    int error = read_jail_settings(reading, section->name, jail, &reading->wishes[number], all);
    if (error >= 0)
        finish_jail(reading, jail);
    return error;
}

/* [DEFAULT] is read as a jail too, for its errors to be told of [DEFAULT]. */
static int check_default(struct config_reading *reading) {
    struct config_jail unused = {0};
    struct jail_wish wish;
    struct config_shown *all = keep_bytes(reading->keep, jail_setting_count * sizeof(*all));
    return read_jail_settings(reading, DEFAULT_SECTION, &unused, &wish, all);
}

static int read_jails(struct config_reading *reading) {
    struct config *config = reading->config;
    config->jails = keep_bytes(reading->keep, CONFIG_JAILS_MOST * sizeof(*config->jails));
    config->inside->jail_shown =
        keep_bytes(reading->keep, CONFIG_JAILS_MOST * sizeof(*config->inside->jail_shown));
    int error = check_default(reading);
    for (const struct ini_section *s = ini_first(reading->ini); s && error >= 0; s = s->next)
        if (is_jail(s))
            error = read_jail(reading, s);
    return error;
}

/* --- keys nobody knows ---------------------------------------------------------------------- */

static int unknown_key(struct config_reading *reading, const struct ini_section *section,
                       const struct ini_value *value, const struct setting *known, size_t count) {
    char what[SHOWN_MAX];
    char hint[NEAREST_HINT_MAX];
    bool is_of_jails = setting_find(jail_settings, jail_setting_count, value->key);
    bool is_of_hauberk = setting_find(hauberk_settings, hauberk_setting_count, value->key);
    if (is_of_jails || is_of_hauberk)
        return why_set(reading->why, -EINVAL, value->file, value->line,
                       "'%s' does not belong in [%s] but in %s", value->key, section->name,
                       is_of_jails ? "a jail or [DEFAULT]" : "[hauberk]");
    struct nearest nearest = nearest_to(span_of(value->key));
    for (size_t i = 0; i < count; i++)
        nearest_offer(&nearest, known[i].key);
    bool is_of_jail = strcmp(section->name, HAUBERK_SECTION) != 0;
    for (const struct named_text *t = ignored_keys; is_of_jail && t->name; t++)
        if (!strchr(t->name, '*'))
            nearest_offer(&nearest, t->name);
    return why_set(reading->why, -EINVAL, value->file, value->line,
                   "unknown setting '%s' in [%s]%s", shown(span_of(value->key), what),
                   section->name, nearest_hint(&nearest, hint));
}

static bool is_empty(const struct ini_value *value) {
    for (uint32_t i = 0; i < value->raw.count; i++)
        if (value->raw.at[i].text[0] != '\0')
            return false;
    return true;
}

static int check_jail_key(struct config_reading *reading, const struct ini_section *section,
                          const struct ini_value *value) {
    struct why notice = {0};
    if (setting_find(jail_settings, jail_setting_count, value->key))
        return 0;
    const struct named_text *ignored = named_text_find(ignored_keys, value->key);
    if (ignored) {
        (void)why_set(&notice, 0, value->file, value->line, "%s in [%s] has no effect: %s",
                      value->key, section->name, ignored->text);
        add_notice(reading, &notice);
        return 0;
    }
    const struct named_text *refused = named_text_find(refused_keys, value->key);
    if (refused && !is_empty(value))
        return why_set(reading->why, -EINVAL, value->file, value->line,
                       "%s in [%s] cannot be used: %s", value->key, section->name, refused->text);
    if (refused || value->is_referred || named_text_find(known_variables, value->key))
        return 0;
    return unknown_key(reading, section, value, jail_settings, jail_setting_count);
}

/* A key that any value refers to is a variable, also when that value is one without effect. */
static int check_keys(struct config_reading *reading) {
    for (const struct ini_section *s = ini_first(reading->ini); s; s = s->next)
        for (const struct ini_value *v = s->first; v; v = v->next)
            if (named_text_find(ignored_keys, v->key) || v->is_referred)
                ini_note_references(reading->ini, s->name, v);
    for (const struct ini_section *s = ini_first(reading->ini); s; s = s->next)
        for (const struct ini_value *v = s->first; v; v = v->next) {
            int error = 0;
            if (strcmp(s->name, HAUBERK_SECTION) != 0)
                error = check_jail_key(reading, s, v);
            else if (!setting_find(hauberk_settings, hauberk_setting_count, v->key) &&
                     !v->is_referred)
                error = unknown_key(reading, s, v, hauberk_settings, hauberk_setting_count);
            if (error < 0)
                return error;
        }
    return 0;
}

/* --- filters -------------------------------------------------------------------------------- */

static int find_or_read_filter(struct config_reading *reading, uint32_t number) {
    struct config *config = reading->config;
    struct config_jail *jail = &config->jails[number];
    const struct jail_wish *wish = &reading->wishes[number];
    for (uint32_t i = 0; i < config->filter_count; i++)
        if (strcmp(config->filters[i].name, wish->filter) == 0) {
            jail->filter = i;
            return 0;
        }
    struct config_origin origin = wish->origin.line ? wish->origin : jail->origin;
    config->filters = keep_grown(reading->keep, config->filters, config->filter_count,
                                 sizeof(*config->filters));
    int error = filter_read(reading->keep, reading->folders, wish->filter, jail->name, origin,
                            &reading->digest, &config->filters[config->filter_count], reading->why);
    if (error < 0)
        return error;
    jail->filter = config->filter_count++;
    return 0;
}

static int explain_no_log(struct config_reading *reading, uint32_t number) {
    const struct config_jail *jail = &reading->config->jails[number];
    const struct config_shown *all = reading->config->inside->jail_shown[number];
    const struct setting *setting = setting_find(jail_settings, jail_setting_count, "logpath");
    struct config_origin origin = all[setting - jail_settings].origin;
    if (origin.line == 0)
        origin = jail->origin;
    return why_set(reading->why, -EINVAL, origin.file, origin.line,
                   "[%s] is enabled but has no 'logpath' to read%s", jail->name,
                   jail->backend == BACKEND_FILE || jail->journal ? "" : ", and no 'journalmatch'");
}

/* The filter's match where the jail has none of its own, and shown as such. */
static void take_filters_match(struct config_reading *reading, uint32_t number) {
    struct config_jail *jail = &reading->config->jails[number];
    const struct config_filter *filter = &reading->config->filters[jail->filter];
    const struct setting *setting = setting_find(jail_settings, jail_setting_count, "journalmatch");
    struct config_shown *shown =
        &reading->config->inside->jail_shown[number][setting - jail_settings];
    if (jail->journal || !filter->journal)
        return;
    jail->journal = filter->journal;
    *shown = (struct config_shown){filter->journal + sizeof("journal: ") - 1,
                                   filter->journal_origin};
}

/* Is there something to read? A guide's [DEFAULT] may ask for the journal on behalf of jails that
 * have only a file. */
static int check_reading(struct config_reading *reading, uint32_t number) {
    struct config_jail *jail = &reading->config->jails[number];
    if (jail->log_paths.count == 0 && (!jail->journal || jail->backend == BACKEND_FILE))
        return explain_no_log(reading, number);
    if (jail->backend == BACKEND_JOURNAL && !jail->journal) {
        struct why notice = {0};
        (void)why_set(&notice, 0, jail->origin.file, jail->origin.line,
                      "[%s] asks for the journal, but neither it nor its filter has a "
                      "'journalmatch': its logpath is read instead",
                      jail->name);
        add_notice(reading, &notice);
        jail->backend = BACKEND_FILE;
    }
    return 0;
}

static int read_filters(struct config_reading *reading) {
    struct config *config = reading->config;
    for (uint32_t i = 0; i < config->jail_count; i++) {
        const struct config_jail *jail = &config->jails[i];
        if (!jail->is_enabled || jail->counts == COUNTS_RETURNS)
            continue;
        int error = find_or_read_filter(reading, i);
        if (error < 0)
            return error;
        take_filters_match(reading, i);
        error = check_reading(reading, i);
        if (error < 0)
            return error;
    }
    return 0;
}

/* --- the whole ------------------------------------------------------------------------------ */

static void add_builtins(struct config_reading *reading) {
    for (size_t i = 0; i < jail_setting_count; i++)
        ini_add_builtin(reading->ini, jail_settings[i].key, jail_settings[i].fallback);
    for (size_t i = 0; i < hauberk_setting_count; i++)
        ini_add_builtin(reading->ini, hauberk_settings[i].key, hauberk_settings[i].fallback);
    for (const struct named_text *v = known_variables; v->name; v++)
        ini_add_builtin(reading->ini, v->name, v->text);
}

/* Another build may have other defaults: they are part of what was read. */
static void digest_defaults(struct digest_state *digest) {
    for (size_t i = 0; i < jail_setting_count; i++) {
        digest_add(digest, span_of(jail_settings[i].key));
        digest_add(digest, span_of(jail_settings[i].fallback));
    }
    for (size_t i = 0; i < hauberk_setting_count; i++) {
        digest_add(digest, span_of(hauberk_settings[i].key));
        digest_add(digest, span_of(hauberk_settings[i].fallback));
    }
}

static int read_files(struct config_reading *reading) {
    struct ini *ini = reading->ini;
    struct stat status;
    if (stat(reading->folders[FOLDER_DATA], &status) < 0)
        return why_set(reading->why, -errno, reading->folders[FOLDER_DATA], 0,
                       "hauberk's data folder cannot be read: %s", strerror(errno));
    int found = ini_read_all(ini, FOLDER_DATA, "jails", reading->why);
    if (found == 0)
        return why_set(reading->why, -ENOENT, reading->folders[FOLDER_DATA], 0,
                       "there is no 'jails' in here; this is not hauberk's data folder");
    int error = found;
    if (error >= 0)
        error = ini_read(ini, FOLDER_CONFIG, "hauberk.conf", false, reading->why);
    if (error >= 0)
        error = ini_read_all(ini, FOLDER_CONFIG, "hauberk.d", reading->why);
    if (error >= 0)
        error = ini_read(ini, FOLDER_CONFIG, "hauberk.local", false, reading->why);
    return error;
}

static int read_everything(struct config_reading *reading) {
    struct config *config = reading->config;
    config->scopes = keep_bytes(reading->keep, SCOPES_MAX * sizeof(*config->scopes));
    memcpy(config->scopes, scopes_named, sizeof(scopes_named));
    config->scope_count = SCOPES_NAMED;
    digest_begin(&reading->digest);
    digest_defaults(&reading->digest);
    reading->ini = ini_open(reading->keep, reading->folders, FOLDERS, &reading->digest,
                            name_config_section, NULL);
    add_builtins(reading);
    int error = read_files(reading);
    if (error >= 0)
        error = read_hauberk(reading);
    if (error >= 0)
        error = read_jails(reading);
    if (error >= 0)
        error = check_keys(reading);
    if (error >= 0)
        error = read_filters(reading);
    config->digest = digest_end(&reading->digest);
    return error;
}

int config_read(const char *config_folder, const char *data_folder, struct config **ret_config,
                struct why *reterr_why) {
    struct config *config = calloc(1, sizeof(*config));
    must(config);
    config->inside = calloc(1, sizeof(*config->inside));
    must(config->inside);
    config->selftest_jail = -1;
    struct config_reading reading = {.config = config,
                                     .keep = &config->inside->keep,
                                     .folders = {config_folder, data_folder},
                                     .why = reterr_why};
    int error = read_everything(&reading);
    if (error < 0) {
        config_free(config);
        return error;
    }
    *ret_config = config;
    return 0;
}

int config_find_jail(const struct config *config, struct span name, struct why *reterr_why) {
    char what[SHOWN_MAX];
    char hint[NEAREST_HINT_MAX];
    struct nearest nearest = nearest_to(name);
    for (uint32_t i = 0; i < config->jail_count; i++) {
        if (span_is(name, config->jails[i].name))
            return (int)i;
        nearest_offer(&nearest, config->jails[i].name);
    }
    nearest_offer(&nearest, "by-hand"); /* the jail of what a person bans */
    return why_set(reterr_why, -ENOENT, NULL, 0, "there is no jail '%s'%s", shown(name, what),
                   nearest_hint(&nearest, hint));
}

struct config *config_free(struct config *config) {
    if (!config)
        return NULL;
    keep_free(&config->inside->keep);
    free(config->inside);
    free(config);
    return NULL;
}
