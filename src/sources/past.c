/* Past entries: see past.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/past.h"

#include <stdlib.h>

#include "sources/entry.h"

struct past {
    struct row row;
};

int past_open(struct row *row, const char *name, int64_t since_us, struct past **ret_past) {
    struct past *past = calloc(1, sizeof(*past));
    must(past);
    past->row = *row;
    *row = (struct row){0};
    int error = row_open(&past->row, name);
    if (error >= 0 && past->row.reader)
        error = sd_journal_seek_realtime_usec(past->row.reader,
                                              since_us > 0 ? (uint64_t)since_us : 0);
    if (error < 0) {
        past_free(past);
        return error;
    }
    *ret_past = past;
    return 0;
}

struct past *past_free(struct past *past) {
    if (past)
        row_close(&past->row);
    free(past);
    return NULL;
}

ssize_t past_read(struct past *past, char *into, size_t most) {
    size_t filled = 0;
    while (past->row.reader && most - filled >= ENTRY_LINE_MAX) {
        uint64_t at_us = 0;
        int result = sd_journal_next(past->row.reader);
        if (result > 0)
            result = sd_journal_get_realtime_usec(past->row.reader, &at_us);
        else if (result == 0)
            break;
        if (result >= 0)
            result = entry_render(past->row.reader, (int64_t)at_us, into + filled);
        if (result < 0)
            return result;
        filled += (size_t)result;
    }
    return (ssize_t)filled;
}
