/* The reader of fail2ban's INI dialect, which is Python's configparser in its strict mode with
 * includes, `.local` files and `known/` added.
 *
 *   [SECTION]                    also indented; nothing may follow the bracket
 *   key = value   ; comment      or key: value; keys are lower-cased
 *     more of it                 deeper indented than its key: a further line of the value
 *   # comment                    whole lines; also `;`. Inside a value the line is dropped
 *
 * A key or section twice in one file is an error; of several files the later wins key by key.
 * %(name)s is the value of name in the same section, in [DEFAULT] or built in; %(SECTION/name)s
 * and %(default/name)s that of another section; %(known/name)s the value that this one overrides;
 * %(__name__)s the section's name; %% is a per cent sign.
 *
 * [INCLUDES] before/after name files that are read before and after this one, relative to it; a
 * missing one is an error unless it is called *.local. Names never leave the folders given.
 *
 * Everything lies in the keep given to ini_open() and lives as long as that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/hash.h"
#include "base/why.h"
#include "config/keep.h"

enum {
    INI_FILE_MOST_BYTES = 1 << 20,
    INI_LINE_MOST_BYTES = 1 << 16,
    INI_VALUE_MOST_BYTES = 1 << 18, /* after interpolation */
    INI_FILES_MOST = 512,        /* read by one ini, includes and siblings counted */
    INI_SECTIONS_MOST = 512,
    INI_KEYS_MOST = 4096,        /* per section */
    INI_INCLUDES_DEEPEST = 10,
    INI_REFERENCES_DEEPEST = 10, /* configparser's MAX_INTERPOLATION_DEPTH */
    INI_REFERENCES_MOST = 10000, /* in one value */
    INI_NAME_MAX = 64,           /* a section's name with its NUL */
    INI_FOLDERS_MOST = 2,
};

struct ini_line {
    const char *text; /* without blanks at its ends */
    const char *file; /* "" when built in */
    int line;
};

struct ini_lines {
    struct ini_line *at;
    uint32_t count; /* at least 1 for a value */
};

struct ini_value {
    const char *key; /* lower-cased */
    const char *file;
    int line;
    unsigned folder;         /* which of the folders it was read from */
    struct ini_lines raw;    /* before interpolation */
    bool is_referred;        /* some expanded value used it as %(key)s */
    struct ini_value *earlier; /* what it overrides, or NULL */
    struct ini_value *next;
};

struct ini_section {
    const char *name;
    const char *file; /* where it appeared first */
    int line;
    unsigned folder;
    uint32_t count;
    struct ini_value *first, *last;
    struct ini_section *next; /* in order of first appearance */
};

struct ini;

/* What a section header means: `written` is what stands between the brackets. Writes the name the
 * section is kept under, or says why it is refused. [INCLUDES] is not asked for. */
typedef int ini_section_fn(void *context, const struct ini *ini, unsigned folder,
                           struct span written, char into[INI_NAME_MAX], struct why *reterr_why);

/* `folders`: searched in that order for an include that is not beside the including file. `digest`
 * (may be NULL) is told of every file read the folder's number, the name in it and the bytes. */
struct ini *ini_open(struct keep *keep, const char *const *folders, unsigned folder_count,
                     struct digest_state *digest, ini_section_fn *name_section, void *context);

/* A value that is there when no file gives one. */
void ini_add_builtin(struct ini *ini, const char *key, const char *text);

/* Reads `name` (relative) in that folder, then with `and_local` its sibling NAME.local. Returns 1,
 * or 0 when NAME is not there (the sibling is read nevertheless). */
must_use int ini_read(struct ini *ini, unsigned folder, const char *name, bool and_local,
                      struct why *reterr_why);

/* Reads every *.conf with its .local, and every lone *.local, of a folder in the folder; sorted by
 * name. Hidden files are left alone. Returns 0 when the folder is not there, else 1. */
must_use int ini_read_all(struct ini *ini, unsigned folder, const char *under,
                          struct why *reterr_why);

/* The same for bytes in memory, called `name` in messages. */
must_use int ini_read_bytes(struct ini *ini, const char *name, struct span bytes,
                            struct why *reterr_why);

const struct ini_section *ini_first(const struct ini *ini); /* follow ->next; [DEFAULT] included */
const struct ini_section *ini_section(const struct ini *ini, const char *name);

/* The value of a key in that very section (NULL: a built-in one), or NULL. */
const struct ini_value *ini_value(const struct ini *ini, const char *section, const char *key);

/* The value after interpolation in that section. Each line of a value knows its own file and line;
 * lines that come from a %(reference)s which stands alone on a line keep theirs. */
must_use int ini_expand(struct ini *ini, const char *section, const struct ini_value *value,
                        struct ini_lines *ret_lines, struct why *reterr_why);

/* Only notes what the value refers to; for values that are never used. */
void ini_note_references(struct ini *ini, const char *section, const struct ini_value *value);
