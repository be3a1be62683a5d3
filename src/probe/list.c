/* What probes there are and what they may say: all of them that a program needs which does not run
 * any itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/probe.h"

const struct probe probes[] = {
#define PROBE(name, seconds, means) {#name, seconds, means, false},
#define PROBE_OF_PROCESSES(name, seconds, means) {#name, seconds, means, true},
#include "probe/probes.def"
#undef PROBE
};
const size_t probe_count = ELEMENTS_OF(probes);

static const char *const known_readings[] = {
#define READING(name, sentence) name,
#include "probe/readings.def"
#undef READING
};

const struct probe *probe_find(const char *name) {
    for (size_t i = 0; i < probe_count; i++)
        if (strcmp(probes[i].name, name) == 0)
            return &probes[i];
    return NULL;
}

/* Dovecot 2.4's doveconf compiles the configuration into a file of /tmp and reads that. */
bool probe_needs_tmp(const struct probe *probe) {
    return strcmp(probe->name, "dovecot") == 0;
}

static bool is_exactly(const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(known_readings); i++)
        if (strcmp(name, known_readings[i]) == 0)
            return true;
    return false;
}

static bool is_of_a_family(const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(known_readings); i++) {
        const char *known = known_readings[i];
        size_t length = strlen(known);
        if (known[length - 1] == '*' && strncmp(name, known, length - 1) == 0 && name[length - 1])
            return true;
    }
    return false;
}

bool probe_knows_reading(const char *name) {
    return is_exactly(name) || is_of_a_family(name);
}

bool probe_reads_settings(const char *name) {
    return !is_exactly(name) && is_of_a_family(name);
}
