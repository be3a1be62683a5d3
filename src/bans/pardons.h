/* What people forgave: failures of a prefix that were logged up to a moment do not count, though
 * their lines be read later. Most lines are newer than all pardons, and then asking costs one
 * comparison; else those given since are walked. Bounded: after a week, and beyond PARDONS_MOST,
 * the oldest go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/address.h"

enum { PARDONS_MOST = 65536 };

struct pardons;

struct pardons *pardons_new(void);
struct pardons *pardons_free(struct pardons *pardons);

/* jail -1: of all. */
void pardons_add(struct pardons *pardons, const struct prefix *prefix, int jail, int64_t at_us);
bool pardons_cover(const struct pardons *pardons, uint16_t jail, const struct prefix *id,
                   int64_t at_us);
