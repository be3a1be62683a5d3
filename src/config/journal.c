/* Matches of the journal: see journal.h. Names of fields are as systemd.journal-fields(7) has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/journal.h"

#include <errno.h>

#include "base/text.h"

static bool is_term(struct span word) {
    size_t length = 0;
    while (length < word.length && ((word.at[length] >= 'A' && word.at[length] <= 'Z') ||
                                    (word.at[length] >= '0' && word.at[length] <= '9') ||
                                    word.at[length] == '_'))
        length++;
    return length > 0 && length <= 64 && length + 1 < word.length && word.at[length] == '=';
}

int journal_name_read(struct span written, struct keep *keep, const char **ret_name,
                      const char **reterr_what) {
    cleanup_text struct text name = {0};
    bool has_term = false;
    bool has_trusted = false;
    text_add_string(&name, "journal:");
    for (struct span word; (word = span_word(&written)).length > 0;) {
        bool ends_group = span_is(word, "+");
        if (ends_group ? !has_term : !is_term(word)) {
            *reterr_what =
                "is made of terms such as _SYSTEMD_UNIT=ssh.service, with '+' between groups";
            return -EINVAL;
        }
        if (ends_group && !has_trusted)
            break;
        has_term = !ends_group;
        has_trusted = !ends_group && (has_trusted || word.at[0] == '_');
        text_add_char(&name, ' ');
        text_add(&name, word);
    }
    must(!name.error);
    if (name.length == sizeof("journal:") - 1) {
        *ret_name = NULL;
        return 0;
    }
    *reterr_what = !has_term ? "ends with a '+'"
                   : !has_trusted
                       ? "needs in every group a field that journald fills in itself, such as "
                         "_SYSTEMD_UNIT or _UID: without one anybody who may log could have others "
                         "banned"
                       : "is too long: at most 256 bytes";
    if (!has_term || !has_trusted || name.length > JOURNAL_NAME_MAX)
        return -EINVAL;
    *ret_name = keep_text(keep, text_span(&name));
    return 0;
}
