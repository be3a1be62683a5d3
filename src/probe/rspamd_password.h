/* What kind of thing a password in Rspamd's configuration is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

/* "hashed" (as rspamadm pw makes them), "malformed" (meant as a hash, and none: some versions let
 * any password pass then), "known" (everybody knows it), "clear", or "none" (empty). */
const char *rspamd_password_kind(struct span value);
