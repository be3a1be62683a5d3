/* One ini per file, so that an id that stands in two files is seen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/rules.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "config/ini.h"
#include "config/nearest.h"

const char *const severity_names[SEVERITIES] = {"note", "low", "medium", "high", "critical"};

enum field {
#define FIELD(name, needed, sentence) FIELD_##name,
#include "audit/fields.def"
#undef FIELD
    FIELDS,
};

static const struct {
    const char *name;
    bool is_needed;
} fields[FIELDS] = {
#define FIELD(name, needed, sentence) {#name, needed},
#include "audit/fields.def"
#undef FIELD
};

struct rules_reading {
    struct rules *rules;
    struct ini *ini;
    const struct ini_section *section;
    struct why *why;
};

static int fail_at(struct rules_reading *reading, const struct ini_value *value, const char *format,
                   const char *what) {
    return why_set(reading->why, -EINVAL, value ? value->file : reading->section->file,
                   value ? value->line : reading->section->line, format, what);
}

/* A rule's id: small letters, digits and dashes. */
static int name_section(void *context, const struct ini *ini, unsigned folder, struct span written,
                        char into[INI_NAME_MAX], struct why *reterr_why) {
    char what[SHOWN_MAX];
    (void)context, (void)ini, (void)folder, (void)into;
    bool is_good = written.length > 0 && written.length < RULE_ID_MAX;
    for (size_t i = 0; i < written.length; i++)
        is_good = is_good && (islower((unsigned char)written.at[i]) ||
                              isdigit((unsigned char)written.at[i]) || written.at[i] == '-');
    if (is_good)
        return 0;
    return why_set(reterr_why, -EINVAL, NULL, 0,
                   "[%s]: a rule's name is made of small letters, digits and dashes, at most %d",
                   shown(written, what), RULE_ID_MAX - 1);
}

static int check_keys(struct rules_reading *reading) {
    for (const struct ini_value *value = reading->section->first; value; value = value->next) {
        struct nearest nearest = nearest_to(span_of(value->key));
        char hint[NEAREST_HINT_MAX];
        bool is_known = false;
        for (size_t i = 0; i < FIELDS; i++) {
            is_known = is_known || strcmp(fields[i].name, value->key) == 0;
            nearest_offer(&nearest, fields[i].name);
        }
        if (!is_known)
            return why_set(reading->why, -EINVAL, value->file, value->line,
                           "a rule has no key '%s'%s", value->key, nearest_hint(&nearest, hint));
    }
    return 0;
}

/* The lines of a field; none when it is not given. */
static int read_lines(struct rules_reading *reading, enum field field,
                      const struct ini_value **ret_value, struct ini_lines *ret_lines) {
    const char *section = reading->section->name;
    const struct ini_value *value = ini_value(reading->ini, section, fields[field].name);
    *ret_value = value;
    *ret_lines = (struct ini_lines){0};
    if (!value)
        return fields[field].is_needed
                   ? fail_at(reading, NULL, "the rule does not give '%s'", fields[field].name)
                   : 0;
    return ini_expand(reading->ini, section, value, ret_lines, reading->why);
}

static int read_text(struct rules_reading *reading, enum field field, const char **ret_text) {
    const struct ini_value *value = NULL;
    struct ini_lines lines;
    cleanup_text struct text text = {0};
    int error = read_lines(reading, field, &value, &lines);
    for (uint32_t i = 0; error >= 0 && i < lines.count; i++)
        if (lines.at[i].text[0])
            text_add_format(&text, "%s%s", text.length ? "\n" : "", lines.at[i].text);
    if (error < 0)
        return error;
    if (value && text.length == 0)
        return fail_at(reading, value, "'%s' is empty", fields[field].name);
    *ret_text = keep_text(&reading->rules->keep, span_of(text.length ? text.at : ""));
    return 0;
}

static int read_clauses(struct rules_reading *reading, enum field field, struct clauses *clauses) {
    const struct ini_value *value = NULL;
    struct ini_lines lines;
    int error = read_lines(reading, field, &value, &lines);
    for (uint32_t i = 0; error >= 0 && i < lines.count; i++) {
        if (!lines.at[i].text[0])
            continue;
        if (clauses->count == CLAUSES_MOST)
            return fail_at(reading, value, "'%s' has more than 8 lines", fields[field].name);
        struct why why = {0};
        error = clause_read(&reading->rules->keep, lines.at[i].text, &clauses->at[clauses->count],
                            &why);
        if (error < 0)
            return why_set(reading->why, error, lines.at[i].file, lines.at[i].line, "%s", why.text);
        clauses->count++;
    }
    if (error >= 0 && value && clauses->count == 0)
        return fail_at(reading, value, "'%s' is empty", fields[field].name);
    return error;
}

static int read_severity(struct rules_reading *reading, enum severity *ret_severity) {
    const char *text = NULL;
    int error = read_text(reading, FIELD_severity, &text);
    for (int i = 0; error >= 0 && i < SEVERITIES; i++)
        if (strcmp(severity_names[i], text) == 0) {
            *ret_severity = (enum severity)i;
            return 0;
        }
    return error < 0 ? error
                     : fail_at(reading, ini_value(reading->ini, reading->section->name, "severity"),
                               "severity is critical, high, medium, low or note, not '%s'", text);
}

/* What usage_tell() (audit/usage.h) can tell. */
static int check_usage(struct rules_reading *reading, const char *usage) {
    struct span rest = span_of(usage);
    struct span first = span_word(&rest);
    if (usage[0] == '\0' || (span_is(first, "clear") && span_word(&rest).length > 0))
        return 0;
    return fail_at(reading, ini_value(reading->ini, reading->section->name, "usage"),
                   "usage is 'clear' and the services whose logins are meant, not '%s'", usage);
}

static int read_rule(struct rules_reading *reading, struct rule *rule) {
    *rule = (struct rule){.id = keep_text(&reading->rules->keep, span_of(reading->section->name)),
                          .file = reading->section->file,
                          .line = reading->section->line};
    const struct {
        enum field field;
        const char **text;
    } texts[] = {
        {FIELD_service, &rule->service}, {FIELD_title, &rule->title},
        {FIELD_why, &rule->why},         {FIELD_breaks, &rule->breaks},
        {FIELD_fix, &rule->fix},         {FIELD_sources, &rule->sources},
        {FIELD_answers, &rule->answers}, {FIELD_harmful, &rule->harmful},
        {FIELD_usage, &rule->usage},     {FIELD_written, &rule->written},
    };
    int error = check_keys(reading);
    for (size_t i = 0; error >= 0 && i < ELEMENTS_OF(texts); i++)
        error = read_text(reading, texts[i].field, texts[i].text);
    if (error >= 0)
        error = check_usage(reading, rule->usage);
    if (error >= 0)
        error = read_severity(reading, &rule->severity);
    if (error >= 0)
        error = read_clauses(reading, FIELD_applies, &rule->applies);
    if (error >= 0)
        error = read_clauses(reading, FIELD_where, &rule->where);
    if (error >= 0)
        error = read_clauses(reading, FIELD_wanted, &rule->wanted);
    return error;
}

static void free_clauses(struct clauses *clauses) {
    for (size_t i = 0; i < clauses->count; i++)
        clause_free(&clauses->at[i]);
}

struct rules *rules_free(struct rules *rules) {
    for (size_t i = 0; rules && i < rules->count; i++) {
        free_clauses(&rules->at[i].applies);
        free_clauses(&rules->at[i].where);
        free_clauses(&rules->at[i].wanted);
    }
    if (rules)
        keep_free(&rules->keep);
    free(rules);
    return NULL;
}

static int read_file(struct rules *rules, const char *folder, const char *name,
                     struct why *reterr_why) {
    const char *const folders[] = {folder};
    struct rules_reading reading = {.rules = rules, .why = reterr_why};
    reading.ini = ini_open(&rules->keep, folders, 1, NULL, name_section, NULL);
    int error = ini_read(reading.ini, 0, name, false, reterr_why);
    reading.section = error < 0 ? NULL : ini_first(reading.ini);
    for (; error >= 0 && reading.section; reading.section = reading.section->next) {
        const struct rule *twin = rules_find(rules, reading.section->name);
        if (twin)
            return why_set(reterr_why, -EEXIST, reading.section->file, reading.section->line,
                           "[%s] stands in %s:%d already", twin->id, twin->file, twin->line);
        rules->at = keep_grown(&rules->keep, rules->at, rules->count, sizeof(*rules->at));
        rules->count++; /* also a rule that is broken is freed */
        error = read_rule(&reading, &rules->at[rules->count - 1]);
    }
    return error;
}

static int is_rules_file(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 6 &&
           strcmp(entry->d_name + length - 6, ".rules") == 0;
}

static int compare(const void *a, const void *b) {
    const struct rule *left = a;
    const struct rule *right = b;
    if (left->severity != right->severity)
        return left->severity > right->severity ? -1 : 1;
    return strcmp(left->id, right->id);
}

struct rules *rules_read(const char *folder, struct why *reterr_why) {
    struct dirent **entries = NULL;
    struct rules *rules = calloc(1, sizeof(*rules));
    must(rules);
    int count = scandir(folder, &entries, is_rules_file, alphasort);
    int error = count < 0
                    ? why_set(reterr_why, -errno, folder, 0, "cannot be read: %s", strerror(errno))
                    : 0;
    for (int i = 0; i < count; i++) {
        if (error >= 0)
            error = read_file(rules, folder, entries[i]->d_name, reterr_why);
        free(entries[i]);
    }
    free(entries);
    if (error < 0)
        return rules_free(rules);
    if (rules->count)
        qsort(rules->at, rules->count, sizeof(*rules->at), compare);
    return rules;
}

const struct rule *rules_find(const struct rules *rules, const char *id) {
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->at[i].id, id) == 0)
            return &rules->at[i];
    return NULL;
}

const char *rules_nearest(const struct rules *rules, const char *id) {
    struct nearest nearest = nearest_to(span_of(id));
    for (size_t i = 0; i < rules->count; i++)
        nearest_offer(&nearest, rules->at[i].id);
    return nearest.best;
}
