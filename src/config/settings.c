/* The table of settings and its types: see settings.h. One small reader per type; each says in its
 * error what it wants, and the line that is to blame is that of the value's own line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/duration.h"
#include "config/journal.h"
#include "config/nearest.h"

enum { ADDRESSES_MOST = 1024, PATHS_MOST = 64, GROUPS_MOST = 16, DOMAINS_MOST = 40 };

#define FIELD(structure, field) \
    offsetof(struct structure, field), sizeof(((struct structure *)0)->field)

const struct setting jail_settings[] = {
#define JAIL_SETTING(key, type, field, unit, fallback, least, most, reach, help)           \
    {key,   TYPE_##type, FIELD(config_jail, field), unit, fallback, least, most, reach, help},
#define JAIL_FIXED(key, type, fallback, help) \
    {key, TYPE_##type, 0, 0, "", fallback, 0, 0, REACHES_ALL, help},
#include "config/settings.def"
};
const size_t jail_setting_count = ELEMENTS_OF(jail_settings);

const struct setting hauberk_settings[] = {
#define HAUBERK_SETTING(key, type, field, unit, fallback, least, most, help) \
    {key, TYPE_##type, FIELD(config, field), unit, fallback, least, most, REACHES_NONE, help},
#include "config/settings.def"
};
const size_t hauberk_setting_count = ELEMENTS_OF(hauberk_settings);

const struct named_text filter_settings[] = {
#define FILTER_SETTING(key, help) {key, help},
#include "config/settings.def"
    {NULL, NULL},
};

const struct named_text ignored_keys[] = {
#define IGNORED_KEY(key, help) {key, help},
#include "config/settings.def"
    {NULL, NULL},
};

const struct named_text refused_keys[] = {
#define REFUSED_KEY(key, help) {key, help},
#include "config/settings.def"
    {NULL, NULL},
};

const struct named_text known_variables[] = {
#define KNOWN_VARIABLE(name, text) {name, text},
#include "config/settings.def"
    {NULL, NULL},
};

const struct setting *setting_find(const struct setting *settings, size_t count,
                                   const char *key) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].key, key) == 0)
            return &settings[i];
    return NULL;
}

const struct named_text *named_text_find(const struct named_text *texts, const char *key) {
    for (; texts->name; texts++) {
        size_t length = strlen(texts->name);
        bool is_open = length > 0 && texts->name[length - 1] == '*';
        if (is_open ? strncmp(key, texts->name, length - 1) == 0 : strcmp(key, texts->name) == 0)
            return texts;
    }
    return NULL;
}

bool setting_is_name(struct span name) {
    if (name.length == 0 || name.length >= CONFIG_NAME_MAX || name.at[0] == '.' ||
        name.at[0] == '-')
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return true;
}

/* --- types ---------------------------------------------------------------------------------- */

struct reading {
    const struct setting *setting;
    const struct setting_text *text;
    struct keep *keep;
    struct setting_value *value;
    struct why *why;
    struct span whole; /* all lines joined by a blank */
};

static const struct ini_line *line_of(const struct reading *reading, uint32_t i) {
    return &reading->text->lines.at[i];
}

#define value_error(reading, i, format, ...)                                                  \
    why_set((reading)->why, -EINVAL, line_of((reading), (i))->file, line_of((reading), (i))->line, \
            "%s in [%s] " format, (reading)->setting->key, (reading)->text->where, __VA_ARGS__)

static const struct {
    const char *word;
    bool value;
} boolean_words[] = {{"yes", true}, {"no", false},  {"true", true}, {"false", false},
                     {"on", true},  {"off", false}, {"1", true},    {"0", false}};

static bool span_is_folded(struct span text, const char *lower) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i] >= 'A' && text.at[i] <= 'Z' ? (char)(text.at[i] - 'A' + 'a')
                                                        : text.at[i];
        if (lower[i] == '\0' || lower[i] != c)
            return false;
    }
    return lower[text.length] == '\0';
}

static int boolean_parse(struct span text, bool *ret_value) {
    for (size_t i = 0; i < ELEMENTS_OF(boolean_words); i++)
        if (span_is_folded(text, boolean_words[i].word)) {
            *ret_value = boolean_words[i].value;
            return 0;
        }
    return -EINVAL;
}

static int read_boolean(struct reading *reading) {
    char what[SHOWN_MAX];
    bool value = false;
    if (boolean_parse(reading->whole, &value) < 0)
        return value_error(reading, 0, "is yes or no, not '%s'", shown(reading->whole, what));
    reading->value->number = value;
    return 0;
}

static int read_number(struct reading *reading) {
    const struct setting *setting = reading->setting;
    char what[SHOWN_MAX];
    if (span_to_integer(reading->whole, setting->least, setting->most, &reading->value->number) < 0)
        return value_error(reading, 0, "is a number of %s from %lld to %lld, not '%s'",
                           setting->unit, (long long)setting->least, (long long)setting->most,
                           shown(reading->whole, what));
    return 0;
}

static int read_duration(struct reading *reading) {
    const struct setting *setting = reading->setting;
    bool may_be_ever = setting->type == TYPE_DURATION_OR_EVER;
    char what[SHOWN_MAX];
    char most[DURATION_TEXT_MAX];
    int64_t seconds = 0;
    int error = duration_parse(reading->whole, &seconds);
    if (error == -EINVAL)
        return value_error(reading, 0, "is a time such as 90s, 10m, 12h or 1d 12h%s, not '%s'",
                           may_be_ever ? ", or -1 for ever" : "", shown(reading->whole, what));
    bool is_ever = seconds == -1 && may_be_ever;
    if (error < 0 || (!is_ever && (seconds < setting->least || seconds > setting->most)))
        return value_error(reading, 0, "lies between %lld s and %s%s, '%s' does not",
                           (long long)setting->least, duration_format(setting->most, most),
                           may_be_ever ? " or is -1" : "", shown(reading->whole, what));
    reading->value->number = seconds;
    return 0;
}

static int read_counts(struct reading *reading) {
    static const char *const words[] = {[COUNTS_FAILURES] = "failures",
                                        [COUNTS_RETURNS] = "returns",
                                        [COUNTS_ACCOUNTS] = "accounts"};
    char what[SHOWN_MAX];
    for (size_t i = 0; i < ELEMENTS_OF(words); i++)
        if (span_is(reading->whole, words[i])) {
            reading->value->number = (int64_t)i;
            return 0;
        }
    return value_error(reading, 0, "is failures, returns or accounts, not '%s'",
                       shown(reading->whole, what));
}

static int read_observe(struct reading *reading) {
    bool value = false;
    char what[SHOWN_MAX];
    if (span_is_folded(reading->whole, "auto"))
        return 0; /* OBSERVE_AUTO */
    if (boolean_parse(reading->whole, &value) < 0)
        return value_error(reading, 0, "is yes, no or auto, not '%s'", shown(reading->whole, what));
    reading->value->number = value ? OBSERVE_YES : OBSERVE_NO;
    return 0;
}

static int read_backend(struct reading *reading) {
    static const struct {
        const char *word;
        enum config_backend backend;
    } words[] = {
        {"auto", BACKEND_AUTO},      {"file", BACKEND_FILE},  {"journal", BACKEND_JOURNAL},
        {"polling", BACKEND_FILE},   {"gamin", BACKEND_FILE}, {"systemd", BACKEND_JOURNAL},
        {"pyinotify", BACKEND_FILE},
    };
    char what[SHOWN_MAX];
    char hint[NEAREST_HINT_MAX];
    struct nearest nearest = nearest_to(reading->whole);
    for (size_t i = 0; i < ELEMENTS_OF(words); i++) {
        if (span_is(reading->whole, words[i].word)) {
            reading->value->number = words[i].backend;
            return 0;
        }
        nearest_offer(&nearest, words[i].word);
    }
    return value_error(reading, 0, "is auto, file or journal, not '%s'%s",
                       shown(reading->whole, what), nearest_hint(&nearest, hint));
}

static bool looks_like_name(struct span word) {
    bool has_letter_beyond_hex = false;
    for (size_t i = 0; i < word.length; i++) {
        char c = word.at[i];
        has_letter_beyond_hex |= (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z');
    }
    return has_letter_beyond_hex && !memchr(word.at, ':', word.length);
}

static int read_address(struct reading *reading, uint32_t i, struct span word) {
    struct setting_value *value = reading->value;
    char what[SHOWN_MAX];
    struct prefix prefix;
    if (prefix_parse(word, &prefix) < 0)
        return value_error(reading, i,
                           "holds '%s', which is %s; write the address, or a prefix such as "
                           "192.0.2.0/24",
                           shown(word, what),
                           looks_like_name(word) ? "a name, and names are never looked up"
                                                 : "no address");
    if (value->prefix_count == ADDRESSES_MOST)
        return value_error(reading, i, "holds more than %d addresses; use prefixes",
                           ADDRESSES_MOST);
    value->prefixes = keep_grown(reading->keep, value->prefixes, value->prefix_count,
                                 sizeof(*value->prefixes));
    value->prefixes[value->prefix_count++] = prefix;
    return 0;
}

static int read_addresses(struct reading *reading) {
    for (uint32_t i = 0; i < reading->text->lines.count; i++) {
        struct span left = span_of(line_of(reading, i)->text);
        while (left.length > 0) {
            struct span part = span_cut(&left, ',');
            for (struct span word; (word = span_word(&part)).length > 0;) {
                int error = read_address(reading, i, word);
                if (error < 0)
                    return error;
            }
        }
    }
    return 0;
}

static bool has_upward_part(struct span path) {
    while (path.at)
        if (span_is(span_cut(&path, '/'), ".."))
            return true;
    return false;
}

static int read_path(struct reading *reading, uint32_t i, struct span word) {
    struct config_patterns *paths = &reading->value->paths;
    char what[SHOWN_MAX];
    if (word.at[0] != '/' || has_upward_part(word))
        return value_error(reading, i, "holds '%s'; a log file is named from the root on, as in "
                                       "/var/log/mail.log, and without '..'",
                           shown(word, what));
    if (word.length >= CONFIG_PATH_MAX)
        return value_error(reading, i, "holds '%s', which is longer than %d bytes",
                           shown(word, what), CONFIG_PATH_MAX - 1);
    for (uint32_t p = 0; p < paths->count; p++)
        if (span_is(word, paths->at[p].text))
            return 0; /* once is enough: its lines must not be counted twice */
    if (paths->count == PATHS_MOST)
        return value_error(reading, i, "holds more than %d paths; use patterns", PATHS_MOST);
    paths->at = keep_grown(reading->keep, paths->at, paths->count, sizeof(*paths->at));
    paths->at[paths->count++] = (struct config_pattern){
        .text = keep_text(reading->keep, word),
        .origin = {line_of(reading, i)->file, line_of(reading, i)->line}};
    return 0;
}

static int read_paths(struct reading *reading) {
    for (uint32_t i = 0; i < reading->text->lines.count; i++) {
        struct span left = span_of(line_of(reading, i)->text);
        bool is_behind_path = false;
        for (struct span word; (word = span_word(&left)).length > 0;) {
            if (is_behind_path && (span_is(word, "tail") || span_is(word, "head"))) {
                is_behind_path = false;
                continue;
            }
            int error = read_path(reading, i, word);
            if (error < 0)
                return error;
            is_behind_path = true;
        }
    }
    return 0;
}

static int read_groups(struct reading *reading) {
    struct config_patterns *groups = &reading->value->paths;
    char what[SHOWN_MAX];
    for (uint32_t i = 0; i < reading->text->lines.count; i++) {
        struct span left = span_of(line_of(reading, i)->text);
        for (struct span word; (word = span_word(&left)).length > 0;) {
            if (!setting_is_name(word))
                return value_error(reading, i, "holds '%s', which is no name of a group",
                                   shown(word, what));
            if (groups->count == GROUPS_MOST)
                return value_error(reading, i, "holds more than %d groups", GROUPS_MOST);
            groups->at = keep_grown(reading->keep, groups->at, groups->count, sizeof(*groups->at));
            groups->at[groups->count++] = (struct config_pattern){
                .text = keep_text(reading->keep, word),
                .origin = {line_of(reading, i)->file, line_of(reading, i)->line}};
        }
    }
    return 0;
}

static bool is_domain(struct span word) {
    size_t label = 0;
    bool has_dot = false;
    for (size_t i = 0; i < word.length; i++) {
        char c = word.at[i];
        if (c == '.' ? label == 0 : !isalnum((unsigned char)c) && c != '-')
            return false;
        has_dot = has_dot || c == '.';
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return has_dot && label > 0 && word.length < 254;
}

static int read_domains(struct reading *reading) {
    cleanup_text struct text domains = {0};
    char what[SHOWN_MAX];
    unsigned count = 0;
    for (uint32_t i = 0; i < reading->text->lines.count; i++) {
        struct span left = span_of(line_of(reading, i)->text);
        while (left.length > 0) {
            struct span part = span_cut(&left, ',');
            for (struct span word; (word = span_word(&part)).length > 0;) {
                if (!is_domain(word))
                    return value_error(reading, i, "holds '%s', which is no domain",
                                       shown(word, what));
                if (count++ == DOMAINS_MOST)
                    return value_error(reading, i, "holds more than %d domains", DOMAINS_MOST);
                text_add_format(&domains, "%s%.*s", domains.length ? "," : "",
                                SPAN_FORMAT(word));
            }
        }
    }
    reading->value->text = keep_text(reading->keep, text_span(&domains));
    return 0;
}

static int read_journal(struct reading *reading) {
    const char *what = "";
    int error = journal_name_read(reading->whole, reading->keep, &reading->value->journal, &what);
    return error < 0 ? value_error(reading, 0, "%s", what) : 0;
}

static int read_ports(struct reading *reading) {
    struct why inner = {0};
    int error = scope_parse(reading->whole, &reading->value->scope, &inner);
    return error < 0 ? value_error(reading, 0, "cannot be used: %s", inner.text) : 0;
}

static int check_mode(struct reading *reading, struct span mode) {
    char what[SHOWN_MAX];
    if (span_is(mode, "normal"))
        return 0;
    return value_error(reading, 0,
                       "asks for mode '%s', which hauberk's filters do not know yet; leave it out "
                       "or write normal",
                       shown(mode, what));
}

static int read_mode(struct reading *reading) {
    return check_mode(reading, reading->whole);
}

static int read_parameter(struct reading *reading, struct span parameter) {
    char what[SHOWN_MAX];
    struct span text = parameter;
    struct span key = span_trim(span_cut(&text, '='));
    if (!text.at)
        return value_error(reading, 0, "holds '%s', which is no parameter such as mode=normal",
                           shown(parameter, what));
    text = span_trim(text);
    if (text.length >= 2 && (text.at[0] == '"' || text.at[0] == '\'') &&
        text.at[text.length - 1] == text.at[0])
        text = (struct span){text.at + 1, text.length - 2};
    if (!span_is(key, "mode"))
        return value_error(reading, 0, "holds the unknown parameter '%s'; filters have 'mode'",
                           shown(key, what));
    return check_mode(reading, text);
}

/* Cuts the parameters in one pair of brackets off *text: up to the comma or bracket that stands in
 * no quotes. */
static int read_bracket(struct reading *reading, struct span *text) {
    char what[SHOWN_MAX];
    struct span whole = *text;
    char quote = '\0';
    size_t from = 1;
    for (size_t i = 1; i < whole.length; i++) {
        char c = whole.at[i];
        if (quote) {
            quote = c == quote ? '\0' : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == ',' || c == ']') {
            struct span parameter = span_trim((struct span){whole.at + from, i - from});
            bool is_empty = parameter.length == 0 && c == ']';
            int error = is_empty ? 0 : read_parameter(reading, parameter);
            if (error < 0)
                return error;
            from = i + 1;
            if (c == ']') {
                *text = span_skip(whole, i + 1);
                return 0;
            }
        }
    }
    return value_error(reading, 0, "holds '%s', a bracket or quote that is never closed",
                       shown(whole, what));
}

static int read_filter(struct reading *reading) {
    char what[SHOWN_MAX];
    struct span left = reading->whole;
    const char *bracket = left.length ? memchr(left.at, '[', left.length) : NULL;
    struct span name = left;
    if (bracket)
        name = span_trim((struct span){left.at, (size_t)(bracket - left.at)});
    if (!setting_is_name(name))
        return value_error(reading, 0,
                           "is the name of a file in filters/ without its .conf: letters, digits, "
                           "'_', '-' and '.', not '%s'",
                           shown(name, what));
    left = bracket ? span_skip(left, (size_t)(bracket - left.at)) : SPAN("");
    while ((left = span_trim(left)).length > 0) {
        if (left.at[0] != '[')
            return value_error(reading, 0, "goes on with '%s' behind its parameters",
                               shown(left, what));
        int error = read_bracket(reading, &left);
        if (error < 0)
            return error;
    }
    snprintf(reading->value->filter, sizeof(reading->value->filter), "%.*s", SPAN_FORMAT(name));
    return 0;
}

static int read_ignoreself(struct reading *reading) {
    int error = read_boolean(reading);
    if (error >= 0 && !reading->value->number)
        return value_error(reading, 0, "%s",
                           "cannot be no: this machine's own addresses are never banned");
    return error;
}

static int read_usedns(struct reading *reading) {
    const struct ini_line *line = line_of(reading, 0);
    char what[SHOWN_MAX];
    bool value = true;
    if (boolean_parse(reading->whole, &value) >= 0 && !value)
        return 0;
    if (!span_is_folded(reading->whole, "warn"))
        return value_error(reading, 0,
                           "cannot be '%s': names found in logs are never looked up; leave it out "
                           "or write no",
                           shown(reading->whole, what));
    (void)why_set(&reading->value->notice, 0, line->file, line->line,
                  "usedns = warn in [%s] is read as no: names found in logs are never looked up",
                  reading->text->where);
    return 0;
}

static int read_time_of_day(struct reading *reading) {
    struct span rest = reading->whole;
    struct span hour = span_cut(&rest, ':');
    char what[SHOWN_MAX];
    int64_t hours = 0;
    int64_t minutes = 0;
    if (span_is(reading->whole, "off")) {
        reading->value->number = -1;
        return 0;
    }
    if (hour.length > 2 || rest.length != 2 || span_to_integer(hour, 0, 23, &hours) < 0 ||
        span_to_integer(rest, 0, 59, &minutes) < 0)
        return value_error(reading, 0, "is a time of day such as 07:00, or off, not '%s'",
                           shown(reading->whole, what));
    reading->value->number = hours * 60 + minutes;
    return 0;
}

/* What stands in a mail's header is no place for quoting and comments: the plain forms only. */
static bool is_recipient(struct span text) {
    bool has_at = false;
    if (text.length > 254 || text.at[0] == '-' || text.at[0] == '@' ||
        text.at[text.length - 1] == '@')
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' || c == '+' ||
                        c == '=';
        if (!is_plain && (c != '@' || has_at))
            return false;
        has_at = has_at || c == '@';
    }
    return true;
}

static int read_recipient(struct reading *reading) {
    char what[SHOWN_MAX];
    if (reading->whole.length > 0 && !is_recipient(reading->whole))
        return value_error(reading, 0,
                           "is one mail address or local user such as root or me@example.org, or "
                           "empty, not '%s'",
                           shown(reading->whole, what));
    reading->value->text = keep_text(reading->keep, reading->whole);
    return 0;
}

static int read_command(struct reading *reading) {
    char what[SHOWN_MAX];
    struct span path = reading->whole;
    if (path.length > 0 &&
        (path.at[0] != '/' || has_upward_part(path) || path.length >= CONFIG_PATH_MAX ||
         memchr(path.at, ' ', path.length)))
        return value_error(reading, 0,
                           "is the path of a program from the root on, without arguments, or "
                           "empty, not '%s'; what needs arguments goes into a script",
                           shown(path, what));
    reading->value->text = keep_text(reading->keep, path);
    return 0;
}

static int (*const readers[])(struct reading *) = {
    [TYPE_BOOLEAN] = read_boolean,
    [TYPE_NUMBER] = read_number,
    [TYPE_DURATION] = read_duration,
    [TYPE_DURATION_OR_EVER] = read_duration,
    [TYPE_COUNTS] = read_counts,
    [TYPE_OBSERVE] = read_observe,
    [TYPE_BACKEND] = read_backend,
    [TYPE_TIME_OF_DAY] = read_time_of_day,
    [TYPE_ADDRESSES] = read_addresses,
    [TYPE_PATHS] = read_paths,
    [TYPE_GROUPS] = read_groups,
    [TYPE_JOURNAL] = read_journal,
    [TYPE_PORTS] = read_ports,
    [TYPE_FILTER] = read_filter,
    [TYPE_RECIPIENT] = read_recipient,
    [TYPE_COMMAND] = read_command,
    [TYPE_DOMAINS] = read_domains,
    [TYPE_MODE] = read_mode,
    [TYPE_IGNORESELF] = read_ignoreself,
    [TYPE_USEDNS] = read_usedns,
};

static char *join_lines(const struct ini_lines *lines, struct keep *keep) {
    cleanup_text struct text text = {0};
    for (uint32_t i = 0; i < lines->count; i++) {
        if (lines->at[i].text[0] == '\0')
            continue;
        if (text.length > 0)
            text_add_char(&text, ' ');
        text_add_string(&text, lines->at[i].text);
    }
    must(!text.error);
    return keep_text(keep, text_span(&text));
}

int setting_read(const struct setting *setting, const struct setting_text *text,
                 struct keep *keep, struct setting_value *ret_value, struct why *reterr_why) {
    struct setting_value value = {0};
    struct reading reading = {.setting = setting,
                              .text = text,
                              .keep = keep,
                              .value = &value,
                              .why = reterr_why,
                              .whole = span_of(join_lines(&text->lines, keep))};
    int error = readers[setting->type](&reading);
    if (error >= 0)
        *ret_value = value;
    return error;
}

void setting_store(const struct setting *setting, int64_t number, void *object) {
    char *at = (char *)object + setting->offset;
    uint8_t as_byte = (uint8_t)number;
    uint32_t as_word = (uint32_t)number;
    switch (setting->size) {
    case sizeof(as_byte):
        memcpy(at, &as_byte, sizeof(as_byte));
        break;
    case sizeof(as_word):
        memcpy(at, &as_word, sizeof(as_word));
        break;
    default:
        must(setting->size == sizeof(number));
        memcpy(at, &number, sizeof(number));
    }
}

int64_t setting_load(const struct setting *setting, const void *object) {
    const char *at = (const char *)object + setting->offset;
    uint8_t as_byte = 0;
    uint32_t as_word = 0;
    int64_t number = 0;
    switch (setting->size) {
    case sizeof(as_byte):
        memcpy(&as_byte, at, sizeof(as_byte));
        return as_byte;
    case sizeof(as_word):
        memcpy(&as_word, at, sizeof(as_word));
        return as_word;
    default:
        must(setting->size == sizeof(number));
        memcpy(&number, at, sizeof(number));
        return number;
    }
}

char *setting_show(const struct setting *setting, const struct ini_lines *lines,
                   struct keep *keep) {
    char *joined = join_lines(lines, keep);
    bool value = false;
    bool is_boolean = setting->type == TYPE_BOOLEAN || setting->type == TYPE_IGNORESELF;
    if (setting->type == TYPE_USEDNS)
        return keep_text(keep, SPAN("no"));
    if (is_boolean && boolean_parse(span_of(joined), &value) >= 0)
        return keep_text(keep, value ? SPAN("yes") : SPAN("no"));
    return joined;
}
