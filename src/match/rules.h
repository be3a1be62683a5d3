/* A filter, compiled: fail2ban's regex dialect turned into PCRE2, with what each named group means.
 *
 * Tags: <HOST> and <ADDR> (an address; names are never looked up, so <HOST> is no name either),
 * <IP4>, <IP6>, <F-NAME>...</F-NAME> a named group, <F-ID/> <F-PORT/> self-closed. Groups that mean
 * something: ip4, ip6, user, alt_user*, mlfid, nofail, mlfforget, mlfgained, content (prefregex);
 * and hauberk's own: session (joins one login logged by two processes), attempts (how many this
 * line sums up), summary (not empty: it sums up one), nouser (not empty: no such account), protocol
 * (by which one they came), database (which password database says no), method (of a success:
 * "publickey" tells a key from a password), secured (of a success: not empty where the password
 * could not be overheard; a pattern with this group that leaves it empty tells of a login in clear
 * text), delivered (not empty, in a successregex: mail was delivered; no login), again (not empty:
 * a failure only where its session has told of one), void (not empty: its session's failures are
 * none of theirs).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/why.h"
#include "config/config.h"
#include "match/literals.h"

enum rule_group {
    GROUP_IP4,
    GROUP_IP6,
    GROUP_USER,
    GROUP_ALT_USER,
    GROUP_ID,
    GROUP_SESSION_LINE, /* mlfid */
    GROUP_NOFAIL,
    GROUP_FORGET,
    GROUP_GAINED,
    GROUP_CONTENT,
    GROUP_SESSION,
    GROUP_ATTEMPTS,
    GROUP_SUMMARY,
    GROUP_NO_USER,
    GROUP_PROTOCOL,
    GROUP_DATABASE,
    GROUP_METHOD,
    GROUP_SECURED,
    GROUP_DELIVERED,
    GROUP_AGAIN,
    GROUP_VOID,
    RULE_GROUPS
};

struct rule; /* one compiled regex */

/* Spans of the groups in the text matched; .at == NULL where a group took no part. */
struct rule_match {
    struct span groups[RULE_GROUPS];
};

enum rule_kind { RULE_PREFIX, RULE_IGNORE, RULE_FAIL, RULE_SUCCESS };

struct rule *rule_new(const struct config_pattern *pattern, enum rule_kind kind,
                      struct why *reterr_why);
struct rule *rule_free(struct rule *rule);

/* 1 matched, 0 not, -E2BIG: the limits of matching were reached (the line is skipped and counted).
 * ret_match may be NULL. */
int rule_match(const struct rule *rule, struct span text, struct rule_match *ret_match);

bool rule_has_group(const struct rule *rule, enum rule_group group);
bool rule_has_jit(const struct rule *rule);
struct span rule_expanded(const struct rule *rule); /* the PCRE2 pattern */

struct filter_rules {
    const struct config_filter *config;
    struct rule *prefix; /* or NULL */
    struct rule **fail, **success, **ignore;
    uint32_t fail_count, success_count, ignore_count;
    struct literal_set literals; /* count 0: every line is a candidate */
    /* Of each failregex, then each successregex: together they are `literals`. NULL where these are
     * the prefix's, or none. */
    struct literal_set *literals_of_each;
};

/* Counted through failregex, then successregex. */
uint32_t filter_pattern_count(const struct filter_rules *rules);
const struct rule *filter_rule(const struct filter_rules *rules, uint32_t pattern);

struct filter_rules *filter_rules_new(const struct config_filter *filter, struct why *reterr_why);
struct filter_rules *filter_rules_free(struct filter_rules *rules);
