/* "Include /etc/ssh/sshd_config.d/…" as Debian has it, on the first line but for what says
 * where sshd listens (sshd_config(5): keywords in any case).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/sshd_folder.h"

#include <errno.h>
#include <strings.h>

#include "probe/words.h"

static bool is_keyword(struct span word, const char *keyword) {
    return word.length == strlen(keyword) && strncasecmp(word.at, keyword, word.length) == 0;
}

bool sshd_folder_is_first(struct span sshd_config) {
    static const char *const others[] = {"Port", "ListenAddress", "AddressFamily", "HostKey",
                                         "Subsystem"};
    struct span line;
    while (next_line(&sshd_config, &line)) {
        struct span key = cut_key(&line);
        bool is_other = false;
        for (size_t i = 0; i < ELEMENTS_OF(others); i++)
            is_other = is_other || is_keyword(key, others[i]);
        if (is_keyword(key, "Include") && (span_is(line, "/etc/ssh/sshd_config.d/*.conf") ||
                                           span_is(line, "sshd_config.d/*.conf")))
            return true;
        if (!is_other && !is_keyword(key, "Include"))
            return false;
    }
    return false;
}

void sshd_folder_say(struct look *look) {
    cleanup_text struct text text = {0};
    int error = look_file("/etc/ssh/sshd_config", &text);
    if (error < 0)
        look_say_not(look, "folder", "/etc/ssh/sshd_config: %s", strerror(-error));
    else
        look_say_text(look, "folder", "",
                      sshd_folder_is_first(text_span(&text)) ? "read first" : "not read first");
}
