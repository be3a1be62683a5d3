/* Chance that can be repeated: the same numbers after the same beginning.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

void chance_begin(uint64_t seed);

/* From 0 to `below` - 1. */
uint32_t chance(uint32_t below);
