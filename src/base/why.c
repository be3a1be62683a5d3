/* Reasons in words: see why.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>

int why_set(struct why *why, int error, const char *file, int line, const char *format, ...) {
    if (!why)
        return error;
    snprintf(why->file, sizeof(why->file), "%s", file ? file : "");
    why->line = line;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof(why->text), format, arguments);
    va_end(arguments);
    return error;
}

const char *why_format(const struct why *why, char *into, size_t room) {
    if (why->file[0] && why->line > 0)
        snprintf(into, room, "%s:%d: %s", why->file, why->line, why->text);
    else if (why->file[0])
        snprintf(into, room, "%s: %s", why->file, why->text);
    else
        snprintf(into, room, "%s", why->text);
    return into;
}
