/* Nearest names: see nearest.h. How far apart two names may be grows with their length: one slip
 * in a short word, three at most, for beyond that a hint misleads more than it helps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/nearest.h"

#include <stdio.h>

#include "base/text.h"

struct nearest nearest_to(struct span wanted) {
    unsigned most = wanted.length < 4 ? 1 : wanted.length < 9 ? 2 : 3;
    return (struct nearest){.wanted = wanted, .distance = most + 1};
}

void nearest_offer(struct nearest *nearest, const char *candidate) {
    unsigned distance = span_distance(nearest->wanted, span_of(candidate));
    if (distance >= nearest->distance)
        return;
    nearest->distance = distance;
    nearest->best = candidate;
}

const char *nearest_hint(const struct nearest *nearest, char into[NEAREST_HINT_MAX]) {
    into[0] = '\0';
    if (nearest->best)
        snprintf(into, NEAREST_HINT_MAX, "; did you mean '%.64s'?", nearest->best);
    return into;
}

const char *shown(struct span text, char into[SHOWN_MAX]) {
    enum { DOTS = 4 };
    char whole[4 * SHOWN_MAX + 1];
    struct span head = {text.at, text.length < SHOWN_MAX ? text.length : SHOWN_MAX};
    size_t length = safe_copy(whole, sizeof(whole), head);
    if (length < SHOWN_MAX && head.length == text.length) {
        memcpy(into, whole, length + 1);
        return into;
    }
    length = safe_copy(into, SHOWN_MAX - DOTS, head);
    snprintf(into + length, SHOWN_MAX - length, "...");
    return into;
}
