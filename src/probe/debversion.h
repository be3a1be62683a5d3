/* Which of two versions of a Debian package is the later one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

/* -1, 0, 1, as Debian policy 5.6.12 orders them: epoch, upstream version, revision. */
int debversion_compare(struct span a, struct span b);
