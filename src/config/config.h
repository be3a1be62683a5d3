/* The configuration: read, checked and frozen into one snapshot.
 *
 * Order of reading, later wins key by key: DATA/jails/NAME.conf (shipped, sorted by name), then
 * CONFIG/hauberk.conf, CONFIG/hauberk.d/NAME.conf (sorted), CONFIG/hauberk.local. Every file may be
 * absent; an empty configuration is a good one. Filters: CONFIG/filters/NAME.conf before
 * DATA/filters/NAME.conf, each with its .local. Strict: an unknown section or key, a wrong type, a
 * value out of range, a filter that is not there is an error with file, line and the nearest known
 * name, and no snapshot is made.
 *
 * A snapshot never changes; a reload makes another. Everything in it is owned by it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/why.h"
#include "config/scopes.h"

enum {
    CONFIG_NAME_MAX = 32,  /* of a jail or filter, with its NUL */
    CONFIG_PATH_MAX = 256, /* of a log file or glob, with its NUL */
    CONFIG_JAILS_MOST = 64,
};

/* Where a value came from: file is owned by the snapshot; "" and 0 for built-in defaults. */
struct config_origin {
    const char *file;
    int line;
};

struct config_pattern {
    char *text; /* as written, after %(name)s; fail2ban tags (<HOST>, <F-USER>) still in it */
    struct config_origin origin;
};

struct config_patterns {
    struct config_pattern *at;
    uint32_t count;
};

/* One filter file. Only filters that an enabled jail names are in the snapshot. */
struct config_filter {
    char *name;
    char *service; /* for joins of one login logged twice; [Definition] service, default: name */
    struct config_patterns fail, success, ignore;
    struct config_pattern prefix;       /* prefregex; .text NULL when absent */
    struct config_pattern date_pattern; /* .text NULL when absent */
    const char *journal;                /* which entries it reads; NULL when absent */
    struct config_origin journal_origin;
    uint32_t max_lines;
};

/* What a jail counts: failures; bans again of any jail (recidive);
 * different accounts that failed. */
enum config_counts { COUNTS_FAILURES, COUNTS_RETURNS, COUNTS_ACCOUNTS };

/* Decide and tell, but ban nobody? By itself: while another program that bans is running. */
enum config_observe { OBSERVE_AUTO, OBSERVE_YES, OBSERVE_NO };

enum config_backend { BACKEND_AUTO, BACKEND_FILE, BACKEND_JOURNAL };

struct config_jail {
    char *name;
    bool is_enabled;
    uint32_t filter;   /* index into config.filters; meaningful only when enabled */
    uint16_t scope;    /* index into config.scopes */
    uint16_t mail_scope_if_delivered; /* reserved for postfix jails; equal to scope otherwise */
    enum config_backend backend;
    struct config_patterns log_paths; /* globs */
    const char *journal;              /* the journal source's name (journal.h); NULL: none */
    int64_t max_retry;
    int64_t find_seconds, ban_seconds;      /* ban: -1 permanent */
    int64_t ban_most_seconds;               /* growth per return stops here */
    bool ban_grows;                         /* doubled per return within 30 days */
    enum config_counts counts;              /* COUNTS_RETURNS: no filter, no log */
    bool is_humane;                         /* DESIGN 5 "Humane counting" */
    int64_t slow_max_retry;                 /* of the slow window; 0: it is off */
    int64_t slow_find_seconds, slow_ban_seconds;
    uint8_t prefix_v6;                      /* 64: ids of IPv6 addresses are /64; 33-128 */
    struct prefix *ignore;                  /* ignoreip of this jail */
    uint32_t ignore_count;
    struct config_origin origin; /* of the section that enabled or first named it */
};

struct config {
    struct digest digest; /* of everything read: equal digests, equal snapshots, wherever the
                             folders lie (only the paths in messages differ) */
    struct config_jail *jails; /* in order of first appearance */
    uint32_t jail_count;
    struct config_filter *filters;
    uint32_t filter_count;
    struct scope *scopes; /* the five named ones first, in the order of DESIGN 5; then ports_HASH */
    uint16_t scope_count;
    int selftest_jail; /* its number; -1 until config_add_selftest() (selftest.h) */
    struct prefix *admin; /* [hauberk] admin: never banned, whatever a jail says */
    uint32_t admin_count;
    const char *domains; /* "a.org,b.org": whose DNS the audit looks at, besides Postfix's */
    struct config_patterns admin_groups; /* whose members are administrators (admins.h) */
    struct prefix *resolvers; /* none until config_read_resolvers() (exempt.h) */
    uint32_t resolver_count;
    enum config_observe observe;
    bool follow_symlinks; /* for log files */
    uint32_t ledger_most; /* addresses counted at once */
    uint32_t bans_most;
    int64_t evidence_days; /* how long lines are kept */
    int64_t unknown_names_days; /* and in them the names of accounts that do not exist */
    const char *notify;          /* whom to tell by mail; "" nobody */
    const char *notify_command;  /* and by what program; "" none */
    int64_t notify_daily_minute; /* of the day: when the summary is due; -1 never */
    uint32_t notify_most;        /* mails a day */

    /* What was accepted but has no effect, or not the one it has in fail2ban: to be told, once. */
    struct why *notices;
    uint32_t notice_count;

    struct config_inside *inside; /* memory, and what config_describe() shows; config/'s own */
};

/* Reads and checks. `config_folder` need not exist; `data_folder` must. */
must_use int config_read(const char *config_folder, const char *data_folder,
                         struct config **ret_config, struct why *reterr_why);
struct config *config_free(struct config *config);

/* The number of a jail; -ENOENT with the nearest name. */
must_use int config_find_jail(const struct config *config, struct span name,
                              struct why *reterr_why);

/* Effective values of every jail and setting and where each came from, for `hauberk config`. */
void config_describe(const struct config *config, bool as_json, struct text *text);
