/* How passwords are taken and kept: PAM's common files (pam.d(5)) and login.defs(5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "probe/found.h"
#include "probe/words.h"

/* The options of a module in a file of PAM's; false when the file does not use it. */
static bool find_module(struct span file, const char *module, struct span *ret_options) {
    struct span line;
    while (next_line(&file, &line)) {
        const char *at = memmem(line.at, line.length, module, strlen(module));
        if (!at)
            continue;
        *ret_options = span_skip(line, (size_t)(at - line.at) + strlen(module));
        return true;
    }
    return false;
}

static bool has_word(struct span text, const char *wanted) {
    for (struct span word; (word = span_word(&text)).length > 0;)
        if (span_is(word, wanted))
            return true;
    return false;
}

static struct span option_value(struct span options, const char *name) {
    size_t length = strlen(name);
    for (struct span word; (word = span_word(&options)).length > 0;)
        if (span_starts_with(word, span_of(name)) && word.length > length &&
            word.at[length] == '=')
            return span_skip(word, length + 1);
    return (struct span){0};
}

static void say_definition(struct look *look, struct span definitions, const char *name,
                           const char *key, const char *otherwise) {
    struct span line;
    struct span value = span_of(otherwise);
    while (next_line(&definitions, &line))
        if (span_is(cut_key(&line), name))
            value = line;
    look_say(look, key, "", value);
}

/* pam_unix's word for the scheme; without one it is login.defs' ENCRYPT_METHOD. */
static void say_scheme(struct look *look, struct span password) {
    static const char *const schemes[] = {"yescrypt", "gost_yescrypt", "blowfish", "sha512",
                                          "sha256",   "bigcrypt",      "md5"};
    struct span options;
    const char *scheme = "none";
    if (find_module(password, "pam_unix.so", &options))
        for (size_t i = ELEMENTS_OF(schemes); i-- > 0;)
            if (has_word(options, schemes[i]))
                scheme = schemes[i];
    look_say_text(look, "scheme", "", scheme);
}

/* pwquality.conf(5) holds what the module's own options do not say; its default is 8. */
static void say_quality(struct look *look, struct span password) {
    cleanup_text struct text file = {0};
    struct span options;
    struct span line;
    struct span least = SPAN("8");
    if (!find_module(password, "pam_pwquality.so", &options)) {
        look_say_text(look, "quality", "", "none");
        return;
    }
    read_quietly("/etc/security/pwquality.conf", &file);
    struct span rest = text_span(&file);
    while (next_line(&rest, &line))
        if (span_is(cut_key(&line), "minlen"))
            least = line;
    if (option_value(options, "minlen").length)
        least = option_value(options, "minlen");
    look_say(look, "quality", "", least);
}

void probe_login(struct look *look) {
    cleanup_text struct text authentication = {0};
    cleanup_text struct text password = {0};
    cleanup_text struct text definitions = {0};
    struct span options;
    int error = look_file("/etc/pam.d/common-password", &password);
    if (error == 0)
        error = look_file("/etc/pam.d/common-auth", &authentication);
    if (error == 0)
        error = look_file("/etc/login.defs", &definitions);
    if (error < 0) {
        look_say_not(look, NULL, "PAM's files: %s", strerror(-error));
        return;
    }
    say_scheme(look, text_span(&password));
    say_quality(look, text_span(&password));
    bool locks = find_module(text_span(&authentication), "pam_faillock.so", &options);
    look_say_text(look, "faillock", "", locks ? "yes" : "no");
    bool is_unix = find_module(text_span(&authentication), "pam_unix.so", &options);
    look_say_text(look, "nullok", "", is_unix && has_word(options, "nullok") ? "yes" : "no");
    say_definition(look, text_span(&definitions), "ENCRYPT_METHOD", "encrypt_method", "none");
    say_definition(look, text_span(&definitions), "UMASK", "umask", "022");
}
