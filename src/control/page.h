/* The first page, from its facts: for the log at the first start, and for `hauberk status --first`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "control/json.h"

/* At most 80 columns where the facts allow it; ends with a newline. */
void page_write(const js *page, struct text *text);
