/* "did you mean": the known name nearest to one that is unknown. Offer every candidate, then ask
 * for the hint.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/span.h"

struct nearest {
    struct span wanted;
    const char *best; /* borrowed from the candidates; NULL when none is near */
    unsigned distance;
};

struct nearest nearest_to(struct span wanted);
void nearest_offer(struct nearest *nearest, const char *candidate);

/* "; did you mean 'NAME'?", or "" when nothing is near. */
#define NEAREST_HINT_MAX 96
const char *nearest_hint(const struct nearest *nearest, char into[NEAREST_HINT_MAX]);

/* Text of a file as an error message may show it: escaped, and cut when long. */
#define SHOWN_MAX 72
const char *shown(struct span text, char into[SHOWN_MAX]);
