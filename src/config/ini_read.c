/* Bytes, files and includes: see ini.h. A file is first read whole into sections of its own, which
 * finds duplicates and the [INCLUDES]; then the files before it, itself and the files after it are
 * merged in that order. The grammar follows configparser's _read() line by line, with three
 * differences, all towards an error: text behind a section's bracket, a control over the sizes, and
 * a missing include.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/files.h"
#include "base/text.h"
#include "config/ini.h"
#include "config/ini_inside.h"
#include "config/nearest.h"

/* One file under way. */
struct parse {
    struct ini *ini;
    const char *path;
    unsigned folder;
    int line;
    size_t indent; /* of the last key or header */
    struct ini_section *first, *section;
    struct ini_value *value; /* that a continuation would belong to, or NULL */
    unsigned section_count;
    struct why *why;
};

/* --- characters ----------------------------------------------------------------------------- */

/* Bytes of the blank at the head of text, 0 if there is none. Pages that guides are pasted from
 * like to hold U+00A0, which Python takes as a blank too. */
static size_t blank_length(struct span text) {
    if (text.length == 0)
        return 0;
    if (strchr(" \t\r\v\f", text.at[0]) && text.at[0] != '\0')
        return 1;
    return span_starts_with(text, SPAN("\xc2\xa0")) ? 2 : 0;
}

static size_t count_indent(struct span *text) {
    size_t indent = 0;
    for (size_t blank; (blank = blank_length(*text)) > 0; indent++)
        *text = span_skip(*text, blank);
    return indent;
}

static struct span without_blanks_behind(struct span text) {
    for (;;) {
        if (text.length >= 1 && blank_length((struct span){text.at + text.length - 1, 1}))
            text.length -= 1;
        else if (text.length >= 2 && blank_length((struct span){text.at + text.length - 2, 2}) == 2)
            text.length -= 2;
        else
            return text;
    }
}

/* Length of the well-formed UTF-8 sequence at the head (RFC 3629), 0 if there is none. */
static size_t utf8_length(struct span text) {
    const unsigned char *at = (const unsigned char *)text.at;
    if (at[0] < 0x80)
        return 1;
    size_t length = at[0] >= 0xc2 && at[0] <= 0xdf   ? 2
                    : at[0] >= 0xe0 && at[0] <= 0xef ? 3
                    : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                     : 0;
    if (length == 0 || length > text.length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool is_wrong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return is_wrong ? 0 : length;
}

/* --- lines ---------------------------------------------------------------------------------- */

#define parse_error(parse, error, ...) \
    why_set((parse)->why, (error), (parse)->path, (parse)->line, __VA_ARGS__)

static int check_bytes(struct parse *parse, struct span line) {
    if (line.length > INI_LINE_MOST_BYTES)
        return parse_error(parse, -E2BIG, "this line is longer than %d bytes",
                           INI_LINE_MOST_BYTES);
    while (line.length > 0) {
        size_t length = line.at[0] ? utf8_length(line) : 0;
        if (length == 0 && line.at[0] == '\0')
            return parse_error(parse, -EILSEQ, "a NUL byte; this is not a text file");
        if (length == 0)
            return parse_error(parse, -EILSEQ,
                               "byte 0x%02x is not UTF-8; save the file in that encoding",
                               (unsigned char)line.at[0]);
        line = span_skip(line, length);
    }
    return 0;
}

/* Cuts a comment off: the whole line behind # or ;, or what follows a blank and a semicolon. */
static bool cut_comment(struct span *line) {
    struct span text = *line;
    count_indent(&text);
    if (text.length > 0 && (text.at[0] == '#' || text.at[0] == ';')) {
        line->length = 0;
        return true;
    }
    for (size_t i = 1; i < line->length; i++) {
        bool is_behind_blank = blank_length((struct span){line->at + i - 1, 1}) ||
                               (i >= 2 && blank_length((struct span){line->at + i - 2, 2}) == 2);
        if (line->at[i] == ';' && is_behind_blank) {
            line->length = i;
            return true;
        }
    }
    return false;
}

static void add_line(struct parse *parse, struct span text) {
    struct ini_lines *lines = &parse->value->raw;
    lines->at = keep_grown(parse->ini->keep, lines->at, lines->count, sizeof(*lines->at));
    lines->at[lines->count++] =
        (struct ini_line){keep_text(parse->ini->keep, text), parse->path, parse->line};
}

static void end_value(struct parse *parse) {
    struct ini_value *value = parse->value;
    while (value && value->raw.count > 1 && value->raw.at[value->raw.count - 1].text[0] == '\0')
        value->raw.count--;
    parse->value = NULL;
}

static int name_section(struct parse *parse, struct span written, char into[INI_NAME_MAX]) {
    char text[SHOWN_MAX];
    struct why inner = {0};
    int error = 0;
    if (written.length >= INI_NAME_MAX)
        return parse_error(parse, -ENAMETOOLONG, "section name [%s] is too long",
                           shown(written, text));
    snprintf(into, INI_NAME_MAX, "%.*s", SPAN_FORMAT(written));
    if (parse->ini->name_section && !span_is(written, INI_INCLUDES))
        error = parse->ini->name_section(parse->ini->context, parse->ini, parse->folder, written,
                                         into, &inner);
    return error < 0 ? parse_error(parse, error, "%s", inner.text) : 0;
}

static int parse_header(struct parse *parse, struct span text) {
    char name[INI_NAME_MAX];
    char what[SHOWN_MAX];
    const char *close = memchr(text.at, ']', text.length);
    if (!close || close != text.at + text.length - 1)
        return parse_error(parse, -EINVAL, "'%s' is not a section header such as [sshd]",
                           shown(text, what));
    struct span written = without_blanks_behind((struct span){text.at + 1, text.length - 2});
    count_indent(&written);
    if (written.length == 0)
        return parse_error(parse, -EINVAL, "a section header without a name");
    int error = name_section(parse, written, name);
    if (error < 0)
        return error;
    struct ini_section **link = &parse->first;
    for (; *link; link = &(*link)->next)
        if (strcmp((*link)->name, name) == 0)
            return parse_error(parse, -EEXIST,
                               "section [%s] stands twice in this file, first in line %d; put "
                               "the two together",
                               name, (*link)->line);
    if (parse->section_count++ == INI_SECTIONS_MOST)
        return parse_error(parse, -E2BIG, "more than %d sections", INI_SECTIONS_MOST);
    *link = parse->section = keep_bytes(parse->ini->keep, sizeof(**link));
    **link = (struct ini_section){.name = keep_text(parse->ini->keep, span_of(name)),
                                  .file = parse->path,
                                  .line = parse->line,
                                  .folder = parse->folder};
    return 0;
}

static int parse_key(struct parse *parse, struct span text) {
    char what[SHOWN_MAX];
    size_t at = 0;
    while (at < text.length && text.at[at] != '=' && text.at[at] != ':')
        at++;
    if (!parse->section)
        return parse_error(parse, -EINVAL,
                           "'%s' stands before the first section; a file begins with a header "
                           "such as [DEFAULT]",
                           shown(text, what));
    if (at == text.length)
        return parse_error(parse, -EINVAL,
                           "'%s' is no setting: there is no '=' in it (a further line of a value "
                           "is indented deeper than its key)",
                           shown(text, what));
    struct span key = without_blanks_behind((struct span){text.at, at});
    if (key.length == 0 || key.length >= INI_NAME_MAX)
        return parse_error(parse, -EINVAL, "'%s' %s before the '%c'", shown(text, what),
                           key.length ? "has too long a name" : "has no name", text.at[at]);
    char *lower = keep_text(parse->ini->keep, key);
    for (char *c = lower; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    struct ini_value *same = ini_find_value(parse->section, span_of(lower));
    if (same)
        return parse_error(parse, -EEXIST,
                           "'%s' is set twice in [%s], first in line %d; keep one of them",
                           shown(key, what), parse->section->name, same->line);
    if (parse->section->count == INI_KEYS_MOST)
        return parse_error(parse, -E2BIG, "more than %d settings in [%s]", INI_KEYS_MOST,
                           parse->section->name);
    parse->value = keep_bytes(parse->ini->keep, sizeof(*parse->value));
    *parse->value = (struct ini_value){
        .key = lower, .file = parse->path, .line = parse->line, .folder = parse->folder};
    ini_append_value(parse->section, parse->value);
    struct span value = span_skip(text, at + 1);
    count_indent(&value);
    add_line(parse, value);
    return 0;
}

static int parse_line(struct parse *parse, struct span line) {
    int error = check_bytes(parse, line);
    if (error < 0)
        return error;
    bool is_commented = cut_comment(&line);
    struct span text = without_blanks_behind(line);
    size_t indent = count_indent(&text);
    if (text.length == 0) {
        if (!is_commented && parse->value)
            add_line(parse, text);
        return 0;
    }
    if (parse->value && indent > parse->indent) {
        add_line(parse, text);
        return 0;
    }
    end_value(parse);
    parse->indent = indent;
    return text.at[0] == '[' ? parse_header(parse, text) : parse_key(parse, text);
}

static int parse_bytes(struct parse *parse, struct span bytes) {
    if (span_starts_with(bytes, SPAN("\xef\xbb\xbf")))
        bytes = span_skip(bytes, 3);
    while (bytes.length > 0) {
        parse->line++;
        struct span line = span_cut(&bytes, '\n');
        int error = parse_line(parse, line);
        if (error < 0)
            return error;
    }
    end_value(parse);
    return 0;
}

/* --- files ---------------------------------------------------------------------------------- */

struct unit { /* a file being read, and who included it */
    const struct unit *includer;
    unsigned folder;
    const char *name; /* within the folder */
    const char *path;
};

static int read_unit(struct ini *ini, const struct unit *includer, unsigned folder,
                     const char *name, bool and_local, struct why *reterr_why);

/* A relative name without any way up, and printable. */
static bool is_inner_name(struct span name) {
    if (name.length == 0 || name.length > NAME_MAX)
        return false;
    for (size_t i = 0; i < name.length; i++)
        if ((unsigned char)name.at[i] < 0x20 || name.at[i] == 0x7f)
            return false;
    while (name.at) {
        struct span part = span_cut(&name, '/');
        if (part.length == 0 || span_is(part, ".") || span_is(part, ".."))
            return false;
    }
    return true;
}

static char *join_path(struct ini *ini, unsigned folder, const char *name) {
    cleanup_text struct text path = {0};
    text_add_format(&path, "%s/%s", ini->folders[folder], name);
    must(!path.error);
    return keep_text(ini->keep, text_span(&path));
}

static bool ends_in(const char *name, const char *ending) {
    size_t length = strlen(name);
    return length > strlen(ending) && strcmp(name + length - strlen(ending), ending) == 0;
}

/* The name `written` in a file, relative to that file. */
static char *beside(struct ini *ini, const char *including, struct span written) {
    const char *slash = strrchr(including, '/');
    size_t head = slash ? (size_t)(slash - including) + 1 : 0;
    cleanup_text struct text name = {0};
    text_add(&name, (struct span){including, head});
    text_add(&name, written);
    must(!name.error);
    return keep_text(ini->keep, text_span(&name));
}

static int read_include(struct ini *ini, const struct unit *unit, const struct ini_line *line,
                        struct span written, struct why *reterr_why) {
    char what[SHOWN_MAX];
    if (!is_inner_name(written))
        return why_set(reterr_why, -EINVAL, line->file, line->line,
                       "'%s' is not a name of a file beside this one (no '/' in front, no '..')",
                       shown(written, what));
    const char *name = beside(ini, unit->name, written);
    int found = 0;
    if (unit->folder < ini->folder_count)
        found = read_unit(ini, unit, unit->folder, name, true, reterr_why);
    for (unsigned i = 0; i < ini->folder_count && found == 0; i++)
        if (i != unit->folder)
            found = read_unit(ini, unit, i, name, true, reterr_why);
    if (found == 0 && !ends_in(name, ".local"))
        return why_set(reterr_why, -ENOENT, line->file, line->line,
                       "the file to include, '%s', is not there", shown(written, what));
    return found < 0 ? found : 0;
}

static int read_includes(struct ini *ini, const struct unit *unit,
                         const struct ini_section *sections, const char *key,
                         struct why *reterr_why) {
    while (sections && strcmp(sections->name, INI_INCLUDES) != 0)
        sections = sections->next;
    const struct ini_value *value = sections ? ini_find_value(sections, span_of(key)) : NULL;
    for (uint32_t i = 0; value && i < value->raw.count; i++) {
        struct span left = span_of(value->raw.at[i].text);
        for (struct span word; (word = span_word(&left)).length > 0;) {
            int error = read_include(ini, unit, &value->raw.at[i], word, reterr_why);
            if (error < 0)
                return error;
        }
    }
    return 0;
}

static int check_includes(const struct ini_section *sections, struct why *reterr_why) {
    while (sections && strcmp(sections->name, INI_INCLUDES) != 0)
        sections = sections->next;
    for (const struct ini_value *v = sections ? sections->first : NULL; v; v = v->next)
        if (strcmp(v->key, "before") != 0 && strcmp(v->key, "after") != 0)
            return why_set(reterr_why, -EINVAL, v->file, v->line,
                           "unknown setting '%s' in [INCLUDES]; it has 'before' and 'after'",
                           v->key);
    return 0;
}

/* `sections` is walked for the includes before the merge takes it apart; those after it need the
 * section alone, which is not merged. */
static int take_bytes(struct ini *ini, const struct unit *unit, struct span bytes,
                      struct why *reterr_why) {
    struct parse parse = {
        .ini = ini, .path = unit->path, .folder = unit->folder, .why = reterr_why};
    if (ini->digest) {
        /* Not the path: hauberkd keeps a copy elsewhere and compares. */
        const char folder = (char)unit->folder;
        digest_add(ini->digest, (struct span){&folder, 1});
        digest_add(ini->digest, span_of(unit->name));
        digest_add(ini->digest, bytes);
    }
    int error = parse_bytes(&parse, bytes);
    if (error >= 0)
        error = check_includes(parse.first, reterr_why);
    struct ini_section includes = {.name = INI_INCLUDES};
    for (struct ini_section *section = parse.first; section; section = section->next)
        if (strcmp(section->name, INI_INCLUDES) == 0)
            includes.first = section->first;
    if (error >= 0)
        error = read_includes(ini, unit, &includes, "before", reterr_why);
    if (error >= 0)
        error = ini_merge(ini, parse.first, reterr_why);
    if (error >= 0)
        error = read_includes(ini, unit, &includes, "after", reterr_why);
    return error;
}

static int explain_read(int error, const char *path, struct why *reterr_why) {
    if (error == -EFBIG)
        return why_set(reterr_why, error, path, 0, "larger than 1 MiB; no configuration is");
    if (error == -EINVAL)
        return why_set(reterr_why, error, path, 0, "not a regular file");
    return why_set(reterr_why, error, path, 0, "cannot be read: %s", strerror(-error));
}

static int read_one(struct ini *ini, const struct unit *includer, unsigned folder,
                    const char *name, struct why *reterr_why) {
    struct unit unit = {includer, folder, name, join_path(ini, folder, name)};
    unsigned depth = 0;
    for (const struct unit *u = includer; u; u = u->includer, depth++)
        if (strcmp(u->path, unit.path) == 0)
            return why_set(reterr_why, -ELOOP, includer->path, 0,
                           "the includes lead back to %s", unit.path);
    if (depth > INI_INCLUDES_DEEPEST)
        return why_set(reterr_why, -ELOOP, unit.path, 0, "included more than %d files deep",
                       INI_INCLUDES_DEEPEST);
    cleanup_text struct text bytes = {0};
    int error = file_read(unit.path, INI_FILE_MOST_BYTES, &bytes);
    if (error == -ENOENT)
        return 0;
    if (error < 0)
        return explain_read(error, unit.path, reterr_why);
    if (ini->file_count == INI_FILES_MOST)
        return why_set(reterr_why, -E2BIG, unit.path, 0, "more than %d files to read",
                       INI_FILES_MOST);
    ini->read_paths =
        keep_grown(ini->keep, ini->read_paths, ini->file_count, sizeof(*ini->read_paths));
    ini->read_paths[ini->file_count++] = unit.path;
    error = take_bytes(ini, &unit, text_span(&bytes), reterr_why);
    return error < 0 ? error : 1;
}

/* Filters of fail2ban name their own .local in an `after`: it is then not read again as sibling. */
static bool was_read_since(const struct ini *ini, unsigned since, const char *path) {
    for (unsigned i = since; i < ini->file_count; i++)
        if (strcmp(ini->read_paths[i], path) == 0)
            return true;
    return false;
}

static int read_unit(struct ini *ini, const struct unit *includer, unsigned folder,
                     const char *name, bool and_local, struct why *reterr_why) {
    unsigned since = ini->file_count;
    int found = read_one(ini, includer, folder, name, reterr_why);
    if (found < 0 || !and_local || !ends_in(name, ".conf"))
        return found;
    size_t stem = strlen(name) - strlen(".conf");
    cleanup_text struct text sibling = {0};
    text_add_format(&sibling, "%.*s.local", (int)stem, name);
    must(!sibling.error);
    if (was_read_since(ini, since, join_path(ini, folder, sibling.at)))
        return found;
    int error = read_one(ini, includer, folder, keep_text(ini->keep, text_span(&sibling)),
                         reterr_why);
    return error < 0 ? error : found;
}

int ini_read(struct ini *ini, unsigned folder, const char *name, bool and_local,
             struct why *reterr_why) {
    must(folder < ini->folder_count);
    char what[SHOWN_MAX];
    if (!is_inner_name(span_of(name)))
        return why_set(reterr_why, -EINVAL, ini->folders[folder], 0,
                       "'%s' is not a name of a file in this folder", shown(span_of(name), what));
    return read_unit(ini, NULL, folder, keep_text(ini->keep, span_of(name)), and_local,
                     reterr_why);
}

static int is_configuration(const struct dirent *entry) {
    return entry->d_name[0] != '.' &&
           (ends_in(entry->d_name, ".conf") || ends_in(entry->d_name, ".local"));
}

/* Not alphasort(): the order must not depend on the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* A .local whose .conf is in the list was read with it. */
static bool has_conf(struct dirent **entries, int count, const char *local) {
    size_t stem = strlen(local) - strlen(".local");
    for (int i = 0; i < count; i++)
        if (ends_in(entries[i]->d_name, ".conf") &&
            strlen(entries[i]->d_name) == stem + strlen(".conf") &&
            strncmp(entries[i]->d_name, local, stem) == 0)
            return true;
    return false;
}

int ini_read_all(struct ini *ini, unsigned folder, const char *under, struct why *reterr_why) {
    must(folder < ini->folder_count && is_inner_name(span_of(under)));
    const char *path = join_path(ini, folder, under);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_configuration, compare_names);
    if (count < 0 && errno == ENOENT)
        return 0;
    if (count < 0)
        return why_set(reterr_why, -errno, path, 0, "cannot be read: %s", strerror(errno));
    int error = 0;
    for (int i = 0; i < count && error >= 0; i++) {
        const char *name = entries[i]->d_name;
        if (ends_in(name, ".local") && has_conf(entries, count, name))
            continue;
        cleanup_text struct text inner = {0};
        text_add_format(&inner, "%s/%s", under, name);
        must(!inner.error);
        error = ini_read(ini, folder, inner.at, true, reterr_why);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return error < 0 ? error : 1;
}

int ini_read_bytes(struct ini *ini, const char *name, struct span bytes, struct why *reterr_why) {
    struct unit unit = {NULL, INI_FOLDERS_MOST, name, keep_text(ini->keep, span_of(name))};
    if (bytes.length > INI_FILE_MOST_BYTES)
        return explain_read(-EFBIG, unit.path, reterr_why);
    return take_bytes(ini, &unit, bytes, reterr_why);
}
