/* Sections, values and interpolation: see ini.h. The reading of bytes is in ini_read.c.
 *
 * Every value keeps what it overrode, so %(known/x)s works through any number of files (fail2ban
 * keeps one earlier value only). Interpolation is a recursive descent with three bounds: depth, as
 * in configparser; the number of references, because ten levels of nothing can still take a year;
 * and the size of the result. Facts: docs.python.org/3/library/configparser.html.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/ini.h"

#include <errno.h>

#include "base/text.h"
#include "config/ini_inside.h"
#include "config/nearest.h"

struct ini *ini_open(struct keep *keep, const char *const *folders, unsigned folder_count,
                     struct digest_state *digest, ini_section_fn *name_section, void *context) {
    must(folder_count <= INI_FOLDERS_MOST);
    struct ini *ini = keep_bytes(keep, sizeof(*ini));
    ini->keep = keep;
    for (unsigned i = 0; i < folder_count; i++)
        ini->folders[i] = keep_text(keep, span_of(folders[i]));
    ini->folder_count = folder_count;
    ini->digest = digest;
    ini->name_section = name_section;
    ini->context = context;
    ini->builtin.name = "";
    return ini;
}

struct ini_value *ini_find_value(const struct ini_section *section, struct span key) {
    for (struct ini_value *value = section->first; value; value = value->next)
        if (span_is(key, value->key))
            return value;
    return NULL;
}

void ini_append_value(struct ini_section *section, struct ini_value *value) {
    value->next = NULL;
    if (section->last)
        section->last->next = value;
    else
        section->first = value;
    section->last = value;
    section->count++;
}

void ini_add_builtin(struct ini *ini, const char *key, const char *text) {
    struct ini_value *value = keep_bytes(ini->keep, sizeof(*value));
    struct ini_line *line = keep_bytes(ini->keep, sizeof(*line));
    *line = (struct ini_line){.text = text, .file = ""};
    *value = (struct ini_value){
        .key = key, .file = "", .folder = INI_FOLDERS_MOST, .raw = {line, 1}};
    ini_append_value(&ini->builtin, value);
}

static struct ini_section *find_section(const struct ini *ini, struct span name) {
    for (struct ini_section *section = ini->first; section; section = section->next)
        if (span_is(name, section->name))
            return section;
    return NULL;
}

const struct ini_section *ini_first(const struct ini *ini) {
    return ini->first;
}

const struct ini_section *ini_section(const struct ini *ini, const char *name) {
    return find_section(ini, span_of(name));
}

static struct ini_value *find_in(const struct ini *ini, struct span section, struct span key) {
    const struct ini_section *found = find_section(ini, section);
    return found ? ini_find_value(found, key) : NULL;
}

const struct ini_value *ini_value(const struct ini *ini, const char *section, const char *key) {
    if (!section)
        return ini_find_value(&ini->builtin, span_of(key));
    return find_in(ini, span_of(section), span_of(key));
}

/* Puts `value` in the place of the value it overrides. */
static void replace_value(struct ini_section *section, struct ini_value *old,
                          struct ini_value *value) {
    struct ini_value **link = &section->first;
    while (*link != old)
        link = &(*link)->next;
    value->earlier = old;
    value->next = old->next;
    *link = value;
    if (section->last == old)
        section->last = value;
}

static int merge_values(struct ini_section *into, struct ini_value *values,
                        struct why *reterr_why) {
    for (struct ini_value *value = values, *next; value; value = next) {
        next = value->next;
        struct ini_value *old = ini_find_value(into, span_of(value->key));
        if (old)
            replace_value(into, old, value);
        else if (into->count == INI_KEYS_MOST)
            return why_set(reterr_why, -E2BIG, value->file, value->line,
                           "more than %d settings in [%s]", INI_KEYS_MOST, into->name);
        else
            ini_append_value(into, value);
    }
    return 0;
}

int ini_merge(struct ini *ini, struct ini_section *sections, struct why *reterr_why) {
    for (struct ini_section *section = sections, *next; section; section = next) {
        next = section->next;
        if (strcmp(section->name, INI_INCLUDES) == 0)
            continue;
        struct ini_section *into = find_section(ini, span_of(section->name));
        if (into) {
            int error = merge_values(into, section->first, reterr_why);
            if (error < 0)
                return error;
            continue;
        }
        if (ini->section_count++ == INI_SECTIONS_MOST)
            return why_set(reterr_why, -E2BIG, section->file, section->line,
                           "more than %d sections", INI_SECTIONS_MOST);
        section->next = NULL;
        if (ini->last)
            ini->last->next = section;
        else
            ini->first = section;
        ini->last = section;
    }
    return 0;
}

/* --- interpolation ------------------------------------------------------------------------- */

struct mark { /* where a line of the result begins and where it came from */
    size_t offset;
    const char *file;
    int line;
};

struct expansion {
    struct ini *ini;
    struct span section;
    struct text text;
    struct mark *marks;
    uint32_t mark_count;
    unsigned references;
    struct why *why;
};

/* A reference's name as it is looked up: lower-cased behind the last slash, because sections keep
 * their case and keys do not. */
static struct span folded(struct span name, char into[INI_NAME_MAX * 2]) {
    if (name.length >= INI_NAME_MAX * 2)
        return (struct span){NULL, 0};
    size_t key = name.length;
    while (key > 0 && name.at[key - 1] != '/')
        key--;
    for (size_t i = 0; i < name.length; i++) {
        bool is_upper = i >= key && name.at[i] >= 'A' && name.at[i] <= 'Z';
        into[i] = is_upper ? (char)(name.at[i] - 'A' + 'a') : name.at[i];
    }
    return (struct span){into, name.length};
}

static struct ini_value *find_visible(const struct ini *ini, struct span section,
                                      struct span key) {
    struct ini_value *found = find_in(ini, section, key);
    if (!found)
        found = find_in(ini, SPAN(INI_DEFAULT), key);
    if (!found)
        found = ini_find_value(&ini->builtin, key);
    return found;
}

/* What `value` overrides: the same key in an earlier file, else [DEFAULT]'s, else the built-in. */
static struct ini_value *find_known(const struct ini *ini, struct span section, struct span key,
                                    const struct ini_value *value) {
    bool is_own = value && span_is(key, value->key);
    const struct ini_value *own = is_own ? value : find_in(ini, section, key);
    if (own && own->earlier)
        return own->earlier;
    struct ini_value *common = find_in(ini, SPAN(INI_DEFAULT), key);
    if (common && common != own && !span_is(section, INI_DEFAULT))
        return common;
    return ini_find_value(&ini->builtin, key);
}

static struct ini_value *find_referred(const struct ini *ini, struct span section,
                                       struct span name, const struct ini_value *value) {
    const char *slash = name.length ? memchr(name.at, '/', name.length) : NULL;
    if (!slash)
        return find_visible(ini, section, name);
    struct span key = name;
    struct span from = span_cut(&key, '/');
    if (span_is(from, "known"))
        return find_known(ini, section, key, value);
    if (span_is(from, "default"))
        from = SPAN(INI_DEFAULT);
    return find_visible(ini, from, key);
}

/* Cuts "%(name)s" off *text. False when there is none at its head. */
static bool cut_reference(struct span *text, struct span *ret_name) {
    if (!span_starts_with(*text, SPAN("%(")))
        return false;
    const char *close = memchr(text->at, ')', text->length);
    if (!close || close == text->at + 2)
        return false;
    size_t end = (size_t)(close - text->at) + 1;
    if (end >= text->length || text->at[end] != 's')
        return false;
    *ret_name = (struct span){text->at + 2, end - 3};
    *text = span_skip(*text, end + 1);
    return true;
}

static void begin_line(struct expansion *expansion, const struct ini_line *from) {
    expansion->marks = keep_grown(expansion->ini->keep, expansion->marks, expansion->mark_count,
                                  sizeof(*expansion->marks));
    expansion->marks[expansion->mark_count++] =
        (struct mark){expansion->text.length, from->file, from->line};
}

static int expand_value(struct expansion *expansion, const struct ini_value *value,
                        const struct ini_line *outer, unsigned depth);

static void hint_names(const struct expansion *expansion, struct nearest *nearest) {
    const struct ini_section *sections[] = {
        find_section(expansion->ini, expansion->section),
        find_section(expansion->ini, SPAN(INI_DEFAULT)), &expansion->ini->builtin};
    for (size_t i = 0; i < ELEMENTS_OF(sections); i++)
        for (struct ini_value *v = sections[i] ? sections[i]->first : NULL; v; v = v->next)
            nearest_offer(nearest, v->key);
}

static int expand_reference(struct expansion *expansion, const struct ini_value *value,
                            const struct ini_line *line, struct span name, bool stands_alone,
                            const struct ini_line *outer, unsigned depth) {
    char buffer[INI_NAME_MAX * 2];
    char text[SHOWN_MAX];
    char hint[NEAREST_HINT_MAX];
    if (span_is(name, "__name__")) {
        text_add(&expansion->text, expansion->section);
        return 0;
    }
    struct span key = folded(name, buffer);
    struct ini_value *found = find_referred(expansion->ini, expansion->section, key, value);
    if (!found) {
        struct nearest nearest = nearest_to(key);
        hint_names(expansion, &nearest);
        return why_set(expansion->why, -ENOENT, line->file, line->line,
                       "%%(%s)s in %s refers to nothing%s", shown(name, text), value->key,
                       nearest_hint(&nearest, hint));
    }
    found->is_referred = true;
    if (depth >= INI_REFERENCES_DEEPEST || ++expansion->references > INI_REFERENCES_MOST)
        return why_set(expansion->why, -ELOOP, line->file, line->line,
                       "%%(%s)s in %s leads in a circle, or through too many references",
                       shown(name, text), value->key);
    const struct ini_line *origin = outer ? outer : line;
    return expand_value(expansion, found, stands_alone && !outer ? NULL : origin, depth + 1);
}

static int expand_line(struct expansion *expansion, const struct ini_value *value,
                       const struct ini_line *line, const struct ini_line *outer,
                       unsigned depth) {
    char text[SHOWN_MAX];
    struct span left = span_of(line->text);
    struct span name;
    struct span rest = left;
    bool stands_alone = cut_reference(&rest, &name) && rest.length == 0;
    while (left.length > 0) {
        const char *sign = memchr(left.at, '%', left.length);
        size_t plain = sign ? (size_t)(sign - left.at) : left.length;
        text_add(&expansion->text, (struct span){left.at, plain});
        left = span_skip(left, plain);
        if (left.length == 0)
            break;
        if (span_starts_with(left, SPAN("%%"))) {
            text_add_char(&expansion->text, '%');
            left = span_skip(left, 2);
        } else if (cut_reference(&left, &name)) {
            int error = expand_reference(expansion, value, line, name, stands_alone, outer, depth);
            if (error < 0)
                return error;
        } else {
            return why_set(expansion->why, -EINVAL, line->file, line->line,
                           "'%s' in %s: a '%%' begins %%(name)s; write '%%%%' for the sign itself",
                           shown(left, text), value->key);
        }
        if (expansion->text.length > INI_VALUE_MOST_BYTES)
            return why_set(expansion->why, -E2BIG, line->file, line->line,
                           "%s grows beyond 256 KiB by its references", value->key);
    }
    return 0;
}

/* Appends the value. `outer` NULL: its lines keep their own origins, the first also becomes that
 * of the line under way; else they all are said to come from `outer`. */
static int expand_value(struct expansion *expansion, const struct ini_value *value,
                        const struct ini_line *outer, unsigned depth) {
    for (uint32_t i = 0; i < value->raw.count; i++) {
        const struct ini_line *line = &value->raw.at[i];
        if (i > 0) {
            text_add_char(&expansion->text, '\n');
            begin_line(expansion, outer ? outer : line);
        } else if (!outer) {
            struct mark *mark = &expansion->marks[expansion->mark_count - 1];
            mark->file = line->file;
            mark->line = line->line;
        }
        int error = expand_line(expansion, value, line, outer, depth);
        if (error < 0)
            return error;
    }
    return 0;
}

int ini_expand(struct ini *ini, const char *section, const struct ini_value *value,
               struct ini_lines *ret_lines, struct why *reterr_why) {
    struct expansion expansion = {.ini = ini, .section = span_of(section), .why = reterr_why};
    begin_line(&expansion, &value->raw.at[0]);
    int error = expand_value(&expansion, value, NULL, 0);
    if (error >= 0) {
        must(!expansion.text.error);
        uint32_t count = expansion.mark_count;
        struct ini_line *lines = keep_bytes(ini->keep, count * sizeof(*lines));
        struct span all = text_span(&expansion.text);
        for (uint32_t i = 0; i < count; i++) {
            const struct mark *mark = &expansion.marks[i];
            size_t end = i + 1 < count ? mark[1].offset - 1 : all.length;
            struct span text = {all.at + mark->offset, end - mark->offset};
            lines[i] = (struct ini_line){keep_text(ini->keep, span_trim(text)), mark->file,
                                         mark->line};
        }
        *ret_lines = (struct ini_lines){lines, count};
    }
    text_free(&expansion.text);
    return error;
}

void ini_note_references(struct ini *ini, const char *section, const struct ini_value *value) {
    char buffer[INI_NAME_MAX * 2];
    for (uint32_t i = 0; i < value->raw.count; i++) {
        struct span left = span_of(value->raw.at[i].text);
        while (left.length > 0) {
            struct span name;
            if (!cut_reference(&left, &name)) {
                left = span_skip(left, 1);
                continue;
            }
            struct ini_value *found =
                find_referred(ini, span_of(section), folded(name, buffer), value);
            if (found)
                found->is_referred = true;
        }
    }
}
