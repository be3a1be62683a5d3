/* A line that kills: PCRE2's matcher dies of a segmentation fault whenever it is shown the word
 * POISON, as a bug in it would. Preloaded into hauberkd and so into the sensor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

typedef int match_fn(const void *, const uint8_t *, size_t, size_t, uint32_t, void *, void *);

int pcre2_jit_match_8(const void *code, const uint8_t *subject, size_t length, size_t start,
                      uint32_t options, void *data, void *context) {
    match_fn *real = (match_fn *)dlsym(RTLD_NEXT, "pcre2_jit_match_8");
    if (memmem(subject, length, "POISON", 6))
        *(volatile int *)0 = 0;
    return real(code, subject, length, start, options, data, context);
}
