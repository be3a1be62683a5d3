/* Chance: see chance.h. Knuth's MMIX generator; its upper bits are the good ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "chance.h"

static uint64_t state;

void chance_begin(uint64_t seed) {
    state = seed;
}

uint32_t chance(uint32_t below) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}
