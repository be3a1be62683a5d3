/* "$1$salt$hash" (PBKDF2) and "$2$salt$hash" (Catena), both parts in letters and digits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/rspamd_password.h"

#include <ctype.h>

enum { SALT_LEAST = 20, HASH_LEAST = 30 };

static bool is_word(struct span text, size_t least) {
    for (size_t i = 0; i < text.length; i++)
        if (!isalnum((unsigned char)text.at[i]))
            return false;
    return text.length >= least;
}

const char *rspamd_password_kind(struct span value) {
    static const char *const known[] = {"q1",    "q2",       "password", "rspamd",
                                        "admin", "changeme", "secret",   "d1"};
    struct span rest = value;
    if (value.length == 0)
        return "none";
    for (size_t i = 0; i < ELEMENTS_OF(known); i++)
        if (span_is(value, known[i]))
            return "known";
    if (value.at[0] != '$')
        return "clear";
    (void)span_cut(&rest, '$');
    struct span kind = span_cut(&rest, '$');
    struct span salt = span_cut(&rest, '$');
    bool is_whole = (span_is(kind, "1") || span_is(kind, "2")) && is_word(salt, SALT_LEAST) &&
                    rest.at && is_word(rest, HASH_LEAST);
    return is_whole ? "hashed" : "malformed";
}
