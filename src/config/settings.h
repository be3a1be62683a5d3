/* The table of settings (settings.def) as C sees it, and the reading of one value by its type.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "config/config.h"
#include "config/ini.h"

enum setting_type {
    TYPE_BOOLEAN,          /* yes, no, true, false, on, off, 1, 0 */
    TYPE_NUMBER,           /* within least and most */
    TYPE_DURATION,         /* the same in seconds */
    TYPE_DURATION_OR_EVER, /* or -1 */
    TYPE_COUNTS,           /* failures, returns, accounts */
    TYPE_OBSERVE,          /* yes, no, auto */
    TYPE_BACKEND,
    TYPE_TIME_OF_DAY, /* 07:00, in minutes; off: -1 */
    TYPE_ADDRESSES, /* and prefixes; from here on not one number */
    TYPE_PATHS,
    TYPE_GROUPS,  /* names of groups of accounts */
    TYPE_JOURNAL, /* which entries of the journal */
    TYPE_PORTS,
    TYPE_FILTER,
    TYPE_RECIPIENT, /* a mail address or a local user, or nothing */
    TYPE_COMMAND,   /* a program's path, or nothing */
    TYPE_DOMAINS,   /* names of the DNS, separated by commas when read */
    TYPE_MODE, /* from here on nothing is stored */
    TYPE_IGNORESELF,
    TYPE_USEDNS,
};

enum setting_reach { REACHES_NONE, REACHES_FAILURES, REACHES_ALL };

struct setting {
    const char *key;
    enum setting_type type;
    size_t offset, size; /* of the field in struct config_jail or struct config; size 0: none */
    const char *unit, *fallback;
    int64_t least, most;
    enum setting_reach reach;
    const char *help;
};

struct named_text {
    const char *name, *text;
};

extern const struct setting jail_settings[], hauberk_settings[];
extern const size_t jail_setting_count, hauberk_setting_count;

/* NULL-terminated by their names. */
extern const struct named_text filter_settings[], ignored_keys[], refused_keys[], known_variables[];

const struct setting *setting_find(const struct setting *settings, size_t count, const char *key);
/* The key's entry, a `*` at the end of a name standing for anything; NULL if there is none. */
const struct named_text *named_text_find(const struct named_text *texts, const char *key);

/* A value to be read: expanded, and whose it is, for messages. */
struct setting_text {
    const char *where; /* "sshd": a section's name */
    struct ini_lines lines;
};

/* What a value says. Only the member of its type is filled. */
struct setting_value {
    int64_t number;
    struct prefix *prefixes;
    uint32_t prefix_count;
    struct config_patterns paths;
    const char *journal;
    struct scope scope;
    char filter[CONFIG_NAME_MAX];
    char *text; /* of a recipient, a command or domains */
    struct why notice; /* accepted, but to be told; .text "" when there is none */
};

must_use int setting_read(const struct setting *setting, const struct setting_text *text,
                          struct keep *keep, struct setting_value *ret_value,
                          struct why *reterr_why);

/* Writes a number of the types up to TYPE_TIME_OF_DAY into its field of *object. */
void setting_store(const struct setting *setting, int64_t number, void *object);
int64_t setting_load(const struct setting *setting, const void *object);

/* What holds, as one line: "yes" for any word for yes, "no" for usedns = warn, and the rest as
 * written, joined by one blank. */
char *setting_show(const struct setting *setting, const struct ini_lines *lines,
                   struct keep *keep);

/* A name of a jail or filter: letters, digits, `_`, `-` and `.`, not in front; shorter than
 * CONFIG_NAME_MAX. */
bool setting_is_name(struct span name);
