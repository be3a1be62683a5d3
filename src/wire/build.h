/* Which build this is: a digest over all of hauberk's sources, made by meson. Two programs that do
 * not share it do not speak the same wire.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/hash.h"

const struct digest *build_digest(void);
extern const char build_version[]; /* "0.1.0" */
