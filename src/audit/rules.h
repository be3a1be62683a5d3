/* The rules of the audit: the hardened state, stated once, as data (hardening/NAME.rules, in the
 * dialect of all our files). A section is a rule, its name the rule's id; its keys are fields.def.
 *
 *   [ssh-no-root-password]
 *   service  = sshd
 *   severity = high
 *   title    = Root may log in by SSH with a password
 *   why      = Every password guesser in the world tries root first.
 *   breaks   = Whoever logs in as root with a password must have a key first.
 *   wanted   = sshd.permitrootlogin none of yes
 *   fix      = echo 'PermitRootLogin prohibit-password' > /etc/ssh/… && systemctl reload ssh
 *   sources  = lynis SSH-7408
 *   written  = sshd PermitRootLogin prohibit-password
 *
 * Read strictly: an unknown key, a missing one, an unknown reading or an id that another file has
 * is an error with file and line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/condition.h"

enum { CLAUSES_MOST = 8, RULE_ID_MAX = 64 };

enum severity {
    SEVERITY_NOTE, /* worth knowing; no points */
    SEVERITY_LOW,
    SEVERITY_MEDIUM,
    SEVERITY_HIGH,
    SEVERITY_CRITICAL,
    SEVERITIES,
};
extern const char *const severity_names[SEVERITIES];

struct clauses {
    struct clause at[CLAUSES_MOST];
    size_t count;
};

struct rule {
    const char *id, *file;
    int line;
    enum severity severity;
    const char *service, *title, *why, *breaks, *fix, *sources, *answers, *harmful, *usage,
        *written; /* "" when not given; lines are kept */
    struct clauses applies, where, wanted;
};

struct rules {
    struct keep keep;
    struct rule *at; /* by id within severity, the gravest first */
    size_t count;
};

/* Reads every *.rules in the folder. NULL with a reason. */
struct rules *rules_read(const char *folder, struct why *reterr_why);
struct rules *rules_free(struct rules *rules); /* returns NULL */
const struct rule *rules_find(const struct rules *rules, const char *id);
/* The id nearest to a misspelt one, or NULL. */
const char *rules_nearest(const struct rules *rules, const char *id);
