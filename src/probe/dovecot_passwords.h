/* Which password schemes a Dovecot passwd-file has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/probe.h"

/* The scheme of one password field: "{SCHEME}…", "$6$…", or what the file's default makes of it
 * (NULL or "": CRYPT). In capitals, without an encoding; "CRYPT" where the field tells no better.
 */
#define SCHEME_MAX 40
void password_scheme(struct span field, const char *otherwise, char into[SCHEME_MAX]);

/* Says password.scheme, the subject being "PATH SCHEME (N accounts)". */
void say_password_schemes(struct look *look, const char *path, const char *otherwise);
