/* Rows of journal files: see row.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/row.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "sources/entry.h"

void row_prepare(void) {
    static const char *const libraries[] = {"libzstd.so.1", "liblz4.so.1", "liblzma.so.5"};
    for (size_t i = 0; i < ELEMENTS_OF(libraries); i++)
        if (!dlopen(libraries[i], RTLD_NOW | RTLD_NODELETE))
            log_debug("%s is not there: what is packed with it cannot be read", libraries[i]);
}

void row_close(struct row *row) {
    sd_journal_close(row->reader);
    for (uint32_t i = 0; i < row->count; i++)
        close(row->fds[i]);
    *row = (struct row){0};
}

int row_match(struct row *row, const char *name) {
    struct span left = span_skip(span_of(name), sizeof("journal: ") - 1);
    int error = 0;
    for (struct span word; error >= 0 && (word = span_word(&left)).length > 0;)
        error = span_is(word, "+") ? sd_journal_add_disjunction(row->reader)
                                   : sd_journal_add_match(row->reader, word.at, word.length);
    return error;
}

/* Leaves out the files that cannot be read; how many. One that was deleted meanwhile is none of
 * those a warning is due for. */
static uint32_t drop_unreadable(struct row *row) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < row->count; i++) {
        sd_journal *alone = NULL;
        int copy = fcntl(row->fds[i], F_DUPFD_CLOEXEC, 0);
        int error = copy < 0 ? -errno : sd_journal_open_files_fd(&alone, &copy, 1, 0);
        if (error >= 0) {
            sd_journal_close(alone);
            row->fds[kept++] = row->fds[i];
            continue;
        }
        row->lacks_live = row->lacks_live || row->fds[i] == row->live_fd;
        if (error != -EIDRM && row->fds[i] != row->live_fd)
            log_warning("a file of the journal cannot be read: %s", strerror(-error));
        cleanup_close_fd(&copy);
        close(row->fds[i]);
    }
    uint32_t dropped = row->count - kept;
    row->count = kept;
    return dropped;
}

int row_open(struct row *row, const char *name) {
    int error = 0;
    while (row->count > 0) {
        error = sd_journal_open_files_fd(&row->reader, row->fds, row->count, 0);
        if (error >= 0)
            break;
        row->reader = NULL;
        if (drop_unreadable(row) == 0)
            return error;
    }
    if (!row->reader)
        return 0;
    row->count = 0; /* they are the reader's now: systemd 252 and 257 both close them with it */
    (void)sd_journal_set_data_threshold(row->reader, ENTRY_MESSAGE_MAX + 64);
    return row_match(row, name);
}
