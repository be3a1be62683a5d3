/* "user:{SCHEME}hash:uid:gid:…" a line; crypt(5)'s prefixes tell the scheme where no name does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/dovecot_passwords.h"

#include <ctype.h>
#include <stdio.h>

#include "probe/words.h"

enum { SCHEMES_MOST = 30 };

static const struct {
    const char *prefix, *scheme;
} crypts[] = {{"$1$", "MD5-CRYPT"},    {"$2", "BLF-CRYPT"},        {"$5$", "SHA256-CRYPT"},
              {"$6$", "SHA512-CRYPT"}, {"$y$", "YESCRYPT"},        {"$gy$", "YESCRYPT"},
              {"$7$", "SCRYPT"},       {"$argon2id$", "ARGON2ID"}, {"$argon2i$", "ARGON2I"},
              {"$apr1$", "MD5-CRYPT"}, {"$sha1$", "SHA1-CRYPT"}};

void password_scheme(struct span field, const char *otherwise, char into[SCHEME_MAX]) {
    struct span rest = field;
    struct span name = span_of(otherwise && otherwise[0] ? otherwise : "CRYPT");
    if (rest.length > 0 && rest.at[0] == '{') {
        rest = span_skip(rest, 1);
        name = span_cut(&rest, '}');
    }
    name = span_cut(&name, '.'); /* {SSHA.b64} */
    size_t length = name.length < SCHEME_MAX - 1 ? name.length : SCHEME_MAX - 1;
    for (size_t i = 0; i < length; i++)
        into[i] = (char)toupper((unsigned char)name.at[i]);
    into[length] = '\0';
    if (strcmp(into, "CRYPT") != 0)
        return;
    for (size_t i = 0; i < ELEMENTS_OF(crypts); i++)
        if (span_starts_with(rest, span_of(crypts[i].prefix))) {
            snprintf(into, SCHEME_MAX, "%s", crypts[i].scheme);
            return;
        }
    if (rest.length == 13)
        snprintf(into, SCHEME_MAX, "DES-CRYPT");
}

void say_password_schemes(struct look *look, const char *path, const char *otherwise) {
    char schemes[SCHEMES_MOST][SCHEME_MAX];
    unsigned counts[SCHEMES_MOST] = {0};
    size_t known = 0;
    cleanup_text struct text file = {0};
    struct span line;
    int error = look_file(path, &file);
    if (error < 0) {
        look_say_not(look, "password.scheme", "%s: %s", path, strerror(-error));
        return;
    }
    struct span lines = text_span(&file);
    while (next_line(&lines, &line)) {
        char scheme[SCHEME_MAX];
        (void)span_cut(&line, ':');
        struct span field = span_cut(&line, ':');
        if (field.length == 0 || field.at[0] == '!' || field.at[0] == '*')
            continue; /* nobody logs in with it */
        password_scheme(field, otherwise, scheme);
        size_t i = 0;
        while (i < known && strcmp(schemes[i], scheme) != 0)
            i++;
        if (i == SCHEMES_MOST)
            continue;
        if (i == known)
            memcpy(schemes[known++], scheme, sizeof(scheme));
        counts[i]++;
    }
    for (size_t i = 0; i < known; i++) {
        char subject[400];
        snprintf(subject, sizeof(subject), "%.300s %.40s (%u account%s)", path, schemes[i],
                 counts[i], counts[i] == 1 ? "" : "s");
        look_say_text(look, "password.scheme", subject, schemes[i]);
    }
}
