/* What the probes read from this machine: a table of texts.
 *
 *   NAME                          SUBJECT          VALUE
 *   sshd.permitrootlogin          user root        without-password
 *   postfix.smtpd_tls_auth_only   submission/inet  yes
 *
 * NAME is the probe, a dot and what was read, in the service's own word where it has one. SUBJECT
 * says of which of several (a port, a file, a user), and is "" where there is only one. A probe
 * that finds what it looks at missing says so in a value (`none`, `no`), never by saying nothing:
 * no reading at all means that the question does not arise. What it may not or cannot look at is a
 * failure with a reason.
 *
 * As text, which is how a probe hands it on: a line each, "NAME TAB SUBJECT TAB VALUE", or
 * "! TAB NAME TAB REASON", where NAME ending in a dot means everything of that probe. The texts are
 * safe (base/text.h), so no tab or line end is in them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"
#include "base/text.h"
#include "base/why.h"

enum {
    READING_NAME_MAX = 96, /* with its NUL */
    READING_LINE_MOST_BYTES = 8192,
    READINGS_MOST = 100000,
};

struct reading {
    const char *name, *subject, *value;
};

struct readings;

struct readings *readings_new(void);
struct readings *readings_free(struct readings *readings); /* returns NULL */

/* Takes whole lines of text as above. -EINVAL with a reason at the first line that is none; what
 * stood before it is kept. Pointers got earlier stay good, orders do not. */
must_use int readings_take(struct readings *readings, struct span lines, struct why *reterr_why);

void readings_add(struct readings *readings, const char *name, const char *subject,
                  const char *value);
void readings_fail(struct readings *readings, const char *name, const char *reason);

/* All readings of that name, in the order of their subjects. */
size_t readings_find(struct readings *readings, const char *name,
                     const struct reading **ret_first);
/* The value of one subject, or NULL. */
const char *readings_value(struct readings *readings, const char *name, const char *subject);
/* Why that name could not be looked at, or NULL. */
const char *readings_why_not(const struct readings *readings, const char *name);

/* Calls `each` with every reading, sorted; it must not add any. */
void readings_each(struct readings *readings,
                   void (*each)(void *context, const struct reading *reading), void *context);

/* All of it as text, sorted. */
void readings_write(struct readings *readings, struct text *text);
