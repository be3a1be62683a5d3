/* Would port 25 let one mail pass for two, or take words before their time?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"
#include "probe/probe.h"

/* hops: a mail with so many Received lines is refused at its end, for certain; 0: that is not
 * known, and none is sent. Says `smuggling` and `early` of `subject`, asking as a stranger from
 * `own`. */
void smuggle_look(struct look *look, const char *subject, const struct address *own, unsigned hops,
                  int64_t until_us);
