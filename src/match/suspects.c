/* Suspects: see suspects.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/suspects.h"

#include <ctype.h>
#include <strings.h>

const char *const suspect_words[] = {
    "authentication fail", "failed password", "auth failed",       "invalid user",
    "password mismatch",   "login failed",    "failed login",      "authentication error",
    "unknown user",        "bad password",    "invalid password",  "invalid credentials",
    "incorrect password",  "wrong password",
};
const size_t suspect_word_count = ELEMENTS_OF(suspect_words);

static bool holds(struct span line, const char *word) {
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= line.length; i++)
        if (tolower((unsigned char)line.at[i]) == word[0] &&
            strncasecmp(line.at + i, word, length) == 0)
            return true;
    return false;
}

bool suspect_looks_so(struct span line) {
    for (size_t i = 0; i < suspect_word_count; i++)
        if (holds(line, suspect_words[i]))
            return true;
    return false;
}

/* "HOST TAG[PID]: …", as syslog writes it. */
bool suspect_is_of(struct span text, struct span service) {
    struct span left = text;
    (void)span_word(&left);
    struct span tag = span_word(&left);
    const char *hyphen = service.length ? memchr(service.at, '-', service.length) : NULL;
    struct span stem = {service.at, hyphen ? (size_t)(hyphen - service.at) : service.length};
    return stem.length > 0 && span_starts_with(tag, stem);
}
