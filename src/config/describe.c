/* `hauberk config`: the effective values and where each came from. The text is itself a
 * configuration, one block per section, but for the origins behind the values; the JSON gives
 * numbers as numbers (durations in seconds) and says where to look.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "config/inside.h"

enum { ORIGIN_COLUMN = 48 };

/* A jail that counts returns reads no log: what is set about logs means nothing to it. */
static bool is_meaningless(const struct setting *setting, const struct config_jail *jail) {
    static const char *const about_logs[] = {"filter", "logpath", "backend"};
    for (size_t i = 0; jail && jail->counts == COUNTS_RETURNS && i < ELEMENTS_OF(about_logs); i++)
        if (strcmp(setting->key, about_logs[i]) == 0)
            return true;
    return false;
}

static void describe_line(struct text *text, const struct setting *setting,
                          const struct config_shown *shown) {
    size_t from = text->length;
    text_add_format(text, "%s = ", setting->key);
    text_add_safe(text, span_of(shown->text));
    size_t width = text->length - from;
    text_add_format(text, "%*s    # ", width < ORIGIN_COLUMN ? (int)(ORIGIN_COLUMN - width) : 0,
                    "");
    if (shown->origin.line > 0) {
        text_add_safe(text, span_of(shown->origin.file));
        text_add_format(text, ":%d\n", shown->origin.line);
    } else {
        text_add_string(text, "built in\n");
    }
}

/* jail: NULL for a section that is none. */
static void describe_block(struct text *text, const struct config_jail *jail,
                           const struct setting *settings, size_t count,
                           const struct config_shown *all) {
    text_add_format(text, "[%s%s]\n", jail ? "jail " : "hauberk", jail ? jail->name : "");
    for (size_t i = 0; i < count; i++)
        if (!is_meaningless(&settings[i], jail))
            describe_line(text, &settings[i], &all[i]);
    text_add_char(text, '\n');
}

static void describe_as_text(const struct config *config, struct text *text) {
    describe_block(text, NULL, hauberk_settings, hauberk_setting_count,
                   config->inside->hauberk);
    for (uint32_t i = 0; i < config->jail_count; i++)
        describe_block(text, &config->jails[i], jail_settings, jail_setting_count,
                       config->inside->jail_shown[i]);
    for (uint32_t i = 0; i < config->notice_count; i++) {
        char line[1024];
        text_add_string(text, "# notice: ");
        text_add_safe(text, span_of(why_format(&config->notices[i], line, sizeof(line))));
        text_add_char(text, '\n');
    }
}

static void add_words(struct text *text, const char *shown) {
    struct span left = span_of(shown);
    text_add_char(text, '[');
    bool is_first = true;
    while (left.length > 0) {
        struct span part = span_cut(&left, ',');
        for (struct span word; (word = span_word(&part)).length > 0; is_first = false) {
            text_add_string(text, is_first ? "" : ",");
            text_add_json(text, word);
        }
    }
    text_add_char(text, ']');
}

/* The value in its own type: true, 600, ["192.0.2.0/24"], "sshd". */
static void add_value(struct text *text, const struct setting *setting, const void *object,
                      const struct config_shown *shown) {
    switch (setting->type) {
    case TYPE_BOOLEAN:
    case TYPE_IGNORESELF:
        text_add_string(text, strcmp(shown->text, "yes") == 0 ? "true" : "false");
        break;
    case TYPE_NUMBER:
    case TYPE_DURATION:
    case TYPE_DURATION_OR_EVER:
        text_add_format(text, "%lld", (long long)setting_load(setting, object));
        break;
    case TYPE_ADDRESSES:
    case TYPE_GROUPS:
    case TYPE_DOMAINS:
        add_words(text, shown->text);
        break;
    default:
        text_add_json(text, span_of(shown->text));
    }
}

static void add_paths(struct text *text, const struct config_jail *jail) {
    text_add_char(text, '[');
    for (uint32_t i = 0; i < jail->log_paths.count; i++) {
        text_add_string(text, i ? "," : "");
        text_add_json(text, span_of(jail->log_paths.at[i].text));
    }
    text_add_char(text, ']');
}

static void add_settings(struct text *text, const struct config_jail *jail,
                         const struct setting *settings, size_t count,
                         const struct config_shown *all, const void *object) {
    const char *comma = "";
    text_add_char(text, '{');
    for (size_t i = 0; i < count; i++) {
        if (is_meaningless(&settings[i], jail))
            continue;
        text_add_format(text, "%s\"%s\":{\"value\":", comma, settings[i].key);
        comma = ",";
        if (settings[i].type == TYPE_PATHS)
            add_paths(text, object);
        else
            add_value(text, &settings[i], object, &all[i]);
        text_add_string(text, ",\"file\":");
        text_add_json(text, span_of(all[i].origin.file));
        text_add_format(text, ",\"line\":%d}", all[i].origin.line);
    }
    text_add_char(text, '}');
}

static void describe_as_json(const struct config *config, struct text *text) {
    char digest[DIGEST_TEXT_MAX];
    text_add_format(text, "{\"digest\":\"%s\",\"hauberk\":",
                    digest_format(&config->digest, digest));
    add_settings(text, NULL, hauberk_settings, hauberk_setting_count, config->inside->hauberk,
                 config);
    text_add_string(text, ",\"jails\":[");
    for (uint32_t i = 0; i < config->jail_count; i++) {
        const struct config_jail *jail = &config->jails[i];
        text_add_string(text, i ? ",{\"name\":" : "{\"name\":");
        text_add_json(text, span_of(jail->name));
        text_add_format(text, ",\"scope\":\"%s\",\"settings\":", config->scopes[jail->scope].name);
        add_settings(text, jail, jail_settings, jail_setting_count, config->inside->jail_shown[i],
                     jail);
        text_add_char(text, '}');
    }
    text_add_string(text, "],\"notices\":[");
    for (uint32_t i = 0; i < config->notice_count; i++) {
        const struct why *notice = &config->notices[i];
        text_add_string(text, i ? ",{\"file\":" : "{\"file\":");
        text_add_json(text, span_of(notice->file));
        text_add_format(text, ",\"line\":%d,\"text\":", notice->line);
        text_add_json(text, span_of(notice->text));
        text_add_char(text, '}');
    }
    text_add_string(text, "]}\n");
}

void config_describe(const struct config *config, bool as_json, struct text *text) {
    if (as_json)
        describe_as_json(config, text);
    else
        describe_as_text(config, text);
}
