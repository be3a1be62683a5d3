/* Scopes: which ports a ban closes. The named ones stand in scopes.c as a table; a jail with other
 * ports gets one named ports_HASH.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/why.h"

enum { SCOPES_MAX = 32, SCOPE_RANGES_MAX = 32, SCOPE_NAME_MAX = 24 };

/* No ranges at all: every port and protocol (scope `all`); of a shadow: none at all. */
struct scope {
    char name[SCOPE_NAME_MAX]; /* [a-z][a-z0-9_-]*, NUL-terminated; names the sets */
    bool is_shadow;            /* its sets are in the kernel, but no rule refuses by them */
    uint8_t range_count;
    struct {
        uint16_t first, last; /* inclusive, host byte order */
    } ranges[SCOPE_RANGES_MAX];
};

enum { SCOPE_SSH, SCOPE_MAIL_LOGIN, SCOPE_MAIL, SCOPE_WEB, SCOPE_ALL, SCOPES_NAMED };
extern const struct scope scopes_named[SCOPES_NAMED];

/* "mail-login", "ssh", "25,587", "smtp,submission", "1000:2000" (service names of services(5),
 * fail2ban's colon ranges), "0:65535" = all. Ports are sorted and merged, so equal sets of ports
 * give equal names. */
must_use int scope_parse(struct span text, struct scope *ret_scope, struct why *reterr_why);

/* "the mail login ports", "every port", "ports 1000-2000, 8080" for sentences. */
const char *scope_describe(const struct scope *scope, char *into, size_t room);
