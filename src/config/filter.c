/* One filter file: fail2ban's format, [Definition] with failregex and its kin. A key that begins
 * with `_`, or that another value refers to, is a variable; any other key must be known, so that a
 * misspelt failregex does not leave a jail blind.
 *
 * Expressions are taken as text; match/ compiles them. What is checked here is that each can find
 * somebody to blame: an address, an id, or the key of a session whose other line has one
 * (fail2ban refuses such expressions too).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "config/inside.h"
#include "config/journal.h"
#include "config/nearest.h"

enum { PATTERNS_MOST = 256, LINES_MOST = 100 };

struct filter_reading {
    struct keep *keep;
    struct ini *ini;
    struct config_filter *filter;
    struct why *why;
};

static const char *const sections[] = {"Definition", "Init", "DEFAULT"};

static int name_filter_section(void *context, const struct ini *ini, unsigned folder,
                               struct span written, char into[INI_NAME_MAX],
                               struct why *reterr_why) {
    (void)context, (void)ini, (void)folder, (void)into;
    char what[SHOWN_MAX];
    char hint[NEAREST_HINT_MAX];
    struct nearest nearest = nearest_to(written);
    for (size_t i = 0; i < ELEMENTS_OF(sections); i++) {
        if (span_is(written, sections[i]))
            return 0;
        nearest_offer(&nearest, sections[i]);
    }
    nearest_offer(&nearest, "INCLUDES");
    return why_set(reterr_why, -EINVAL, NULL, 0,
                   "unknown section [%s]; a filter has [Definition]%s", shown(written, what),
                   nearest_hint(&nearest, hint));
}

static const struct ini_value *find(const struct ini *ini, const char *key,
                                    const char **ret_section) {
    for (size_t i = 0; i < ELEMENTS_OF(sections); i++) {
        const struct ini_value *value = ini_value(ini, sections[i], key);
        *ret_section = sections[0];
        if (value)
            return value;
    }
    return NULL;
}

/* The expanded value of a key; zero lines when it is not there. */
static int expand(struct filter_reading *reading, const char *key, struct ini_lines *ret_lines) {
    const char *section = NULL;
    const struct ini_value *value = find(reading->ini, key, &section);
    *ret_lines = (struct ini_lines){0};
    if (!value)
        return 0;
    return ini_expand(reading->ini, section, value, ret_lines, reading->why);
}

static int read_patterns(struct filter_reading *reading, const char *key,
                         struct config_patterns *patterns) {
    struct ini_lines lines;
    int error = expand(reading, key, &lines);
    for (uint32_t i = 0; error >= 0 && i < lines.count; i++) {
        const struct ini_line *line = &lines.at[i];
        if (line->text[0] == '\0')
            continue;
        if (patterns->count == PATTERNS_MOST)
            return why_set(reading->why, -E2BIG, line->file, line->line,
                           "more than %d expressions in %s", PATTERNS_MOST, key);
        patterns->at = keep_grown(reading->keep, patterns->at, patterns->count,
                                  sizeof(*patterns->at));
        patterns->at[patterns->count++] =
            (struct config_pattern){keep_text(reading->keep, span_of(line->text)),
                                    {line->file, line->line}};
    }
    return error;
}

/* One line, or nothing. */
static int read_single(struct filter_reading *reading, const char *key,
                       struct config_pattern *pattern) {
    struct config_patterns patterns = {0};
    int error = read_patterns(reading, key, &patterns);
    if (error < 0 || patterns.count == 0)
        return error;
    if (patterns.count > 1)
        return why_set(reading->why, -EINVAL, patterns.at[1].origin.file,
                       patterns.at[1].origin.line, "%s is one line; this is a second", key);
    *pattern = patterns.at[0];
    return 0;
}

/* An expression with one of the first names somebody itself;
 * with one of the others its session may. */
static const char *const address_tags[] = {
    "<HOST>",   "<ADDR>",   "<IP4>",    "<IP6>",    "<SUBNET>", "<F-ID>",     "<F-ID/>",
    "<F-IP4>",  "<F-IP4/>", "<F-IP6>",  "<F-IP6/>", "<F-ADDR>", "(?P<fid>",   "(?P<ip4>",
    "(?P<ip6>", "(?<fid>",  "(?<ip4>",  "(?<ip6>",  "(?<host>", "(?P<host>",  NULL,
};
static const char *const session_tags[] = {"<F-MLFID>", "<F-MLFID/>", "(?P<mlfid>", "(?<mlfid>",
                                           NULL};

/* Whether the pattern has one of these, or the prefix of all of them. */
static bool has_tag(const struct config_filter *filter, const struct config_pattern *pattern,
                    const char *const *tags) {
    for (; *tags; tags++)
        if (strstr(pattern->text, *tags) ||
            (filter->prefix.text && strstr(filter->prefix.text, *tags)))
            return true;
    return false;
}

/* Whether an address can come into a session: only lines of failregex are folded into one. */
static bool sessions_have_addresses(const struct config_filter *filter) {
    for (uint32_t i = 0; i < filter->fail.count; i++)
        if (has_tag(filter, &filter->fail.at[i], address_tags) &&
            has_tag(filter, &filter->fail.at[i], session_tags))
            return true;
    return false;
}

static int check_ids(struct filter_reading *reading, const char *key,
                     const struct config_patterns *patterns) {
    const struct config_filter *filter = reading->filter;
    for (uint32_t i = 0; i < patterns->count; i++) {
        const struct config_pattern *pattern = &patterns->at[i];
        if (has_tag(filter, pattern, address_tags))
            continue;
        if (!has_tag(filter, pattern, session_tags))
            return why_set(reading->why, -EINVAL, pattern->origin.file, pattern->origin.line,
                           "this %s can never name an address: neither it nor prefregex has "
                           "<HOST>, <ADDR>, <IP4>, <IP6>, <F-ID> or <F-MLFID>",
                           key);
        if (!sessions_have_addresses(filter))
            return why_set(reading->why, -EINVAL, pattern->origin.file, pattern->origin.line,
                           "this %s can never name an address: it leaves that to its session, and "
                           "no failregex has both an address and <F-MLFID>",
                           key);
    }
    return 0;
}

static int read_max_lines(struct filter_reading *reading) {
    struct ini_lines lines;
    int error = expand(reading, "maxlines", &lines);
    reading->filter->max_lines = 1;
    if (error < 0 || lines.count == 0)
        return error;
    int64_t number = 0;
    if (lines.count > 1 || span_to_integer(span_of(lines.at[0].text), 1, LINES_MOST, &number) < 0)
        return why_set(reading->why, -EINVAL, lines.at[0].file, lines.at[0].line,
                       "maxlines is a number from 1 to %d", LINES_MOST);
    if (number > 1)
        return why_set(reading->why, -EINVAL, lines.at[0].file, lines.at[0].line,
                       "maxlines above 1 is not possible yet; join lines with <F-MLFID> instead");
    reading->filter->max_lines = (uint32_t)number;
    return 0;
}

static int read_service(struct filter_reading *reading) {
    struct ini_lines lines;
    int error = expand(reading, "service", &lines);
    reading->filter->service = reading->filter->name;
    if (error < 0 || lines.count == 0)
        return error;
    if (lines.count > 1 || !setting_is_name(span_of(lines.at[0].text)))
        return why_set(reading->why, -EINVAL, lines.at[0].file, lines.at[0].line,
                       "service is a short name such as dovecot");
    reading->filter->service = keep_text(reading->keep, span_of(lines.at[0].text));
    return 0;
}

static int read_journal(struct filter_reading *reading) {
    struct ini_lines lines;
    cleanup_text struct text whole = {0};
    const char *what = "";
    int error = expand(reading, "journalmatch", &lines);
    for (uint32_t i = 0; error >= 0 && i < lines.count; i++)
        text_add_format(&whole, "%s ", lines.at[i].text);
    if (error < 0 || lines.count == 0)
        return error;
    must(!whole.error);
    error = journal_name_read(text_span(&whole), reading->keep, &reading->filter->journal, &what);
    if (error < 0)
        return why_set(reading->why, error, lines.at[0].file, lines.at[0].line, "journalmatch %s",
                       what);
    reading->filter->journal_origin = (struct config_origin){lines.at[0].file, lines.at[0].line};
    return 0;
}

static int check_keys(struct filter_reading *reading) {
    for (const struct ini_section *section = ini_first(reading->ini); section;
         section = section->next)
        for (const struct ini_value *v = section->first; v; v = v->next) {
            char what[SHOWN_MAX];
            char hint[NEAREST_HINT_MAX];
            if (v->key[0] == '_' || v->is_referred || named_text_find(filter_settings, v->key))
                continue;
            struct nearest nearest = nearest_to(span_of(v->key));
            for (const struct named_text *known = filter_settings; known->name; known++)
                nearest_offer(&nearest, known->name);
            return why_set(reading->why, -EINVAL, v->file, v->line,
                           "'%s' in [%s] is no setting of filters, and nothing refers to it%s",
                           shown(span_of(v->key), what), section->name,
                           nearest_hint(&nearest, hint));
        }
    return 0;
}

static int read_definition(struct filter_reading *reading) {
    struct config_filter *filter = reading->filter;
    int error = read_single(reading, "prefregex", &filter->prefix);
    if (error >= 0)
        error = read_patterns(reading, "failregex", &filter->fail);
    if (error >= 0)
        error = read_patterns(reading, "successregex", &filter->success);
    if (error >= 0)
        error = read_patterns(reading, "ignoreregex", &filter->ignore);
    if (error >= 0)
        error = read_single(reading, "datepattern", &filter->date_pattern);
    if (error >= 0)
        error = read_max_lines(reading);
    if (error >= 0)
        error = read_service(reading);
    if (error >= 0)
        error = read_journal(reading);
    if (error >= 0)
        error = check_keys(reading);
    if (error >= 0)
        error = check_ids(reading, "failregex", &filter->fail);
    if (error >= 0)
        error = check_ids(reading, "successregex", &filter->success);
    return error;
}

static void offer_files(struct nearest *nearest, struct keep *keep, const char *folder) {
    cleanup_text struct text path = {0};
    text_add_format(&path, "%s/filters", folder);
    must(!path.error);
    DIR *entries = opendir(path.at);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        struct span name = span_of(entry->d_name);
        if (name.length <= 5 || !span_is(span_skip(name, name.length - 5), ".conf"))
            continue;
        name.length -= 5;
        nearest_offer(nearest, keep_text(keep, name));
    }
    if (entries)
        closedir(entries);
}

static int explain_absence(struct keep *keep, const char *const folders[FOLDERS],
                           const char *name, const char *asker, struct config_origin origin,
                           struct why *reterr_why) {
    char hint[NEAREST_HINT_MAX];
    struct nearest nearest = nearest_to(span_of(name));
    for (unsigned i = 0; i < FOLDERS; i++)
        offer_files(&nearest, keep, folders[i]);
    return why_set(reterr_why, -ENOENT, origin.file, origin.line,
                   "[%s] wants the filter '%s', but there is no filters/%s.conf in %.100s or "
                   "%.100s%s",
                   asker, name, name, folders[FOLDER_CONFIG], folders[FOLDER_DATA],
                   nearest_hint(&nearest, hint));
}

/* Returns 1 when a file was found. The owner's file stands in for the shipped one; the owner's
 * .local adds to either. */
static int read_files(struct ini *ini, const char *name, struct why *reterr_why) {
    char conf[CONFIG_NAME_MAX + 16];
    char local[CONFIG_NAME_MAX + 16];
    snprintf(conf, sizeof(conf), "filters/%s.conf", name);
    snprintf(local, sizeof(local), "filters/%s.local", name);
    int found = ini_read(ini, FOLDER_CONFIG, conf, false, reterr_why);
    if (found == 0)
        found = ini_read(ini, FOLDER_DATA, conf, true, reterr_why);
    if (found <= 0)
        return found;
    int error = ini_read(ini, FOLDER_CONFIG, local, false, reterr_why);
    return error < 0 ? error : 1;
}

int filter_read(struct keep *keep, const char *const folders[FOLDERS], const char *name,
                const char *asker, struct config_origin origin, struct digest_state *digest,
                struct config_filter *ret_filter, struct why *reterr_why) {
    struct config_filter filter = {.name = keep_text(keep, span_of(name))};
    struct filter_reading reading = {
        .keep = keep,
        .ini = ini_open(keep, folders, FOLDERS, digest, name_filter_section, NULL),
        .filter = &filter,
        .why = reterr_why};
    int found = read_files(reading.ini, name, reterr_why);
    if (found < 0)
        return found;
    if (found == 0)
        return explain_absence(keep, folders, name, asker, origin, reterr_why);
    int error = read_definition(&reading);
    if (error < 0)
        return error;
    if (filter.fail.count == 0)
        return why_set(reterr_why, -EINVAL, origin.file, origin.line,
                       "the filter '%s' of [%s] has no failregex, so it can find nothing", name,
                       asker);
    *ret_filter = filter;
    return 0;
}
