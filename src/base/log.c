/* Logging: see log.h. One write(2) per line, so that lines of several roles never mix.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static const char *log_role = "hauberk";
static bool log_for_journal;
static bool log_debugs;

void log_open(const char *role) {
    log_role = role;
    log_for_journal = getenv("JOURNAL_STREAM") != NULL;
    log_debugs = getenv("HAUBERK_DEBUG") != NULL;
}

void log_say(enum log_level level, const char *format, ...) {
    if (level == LOG_SAY_DEBUG && !log_debugs)
        return;
    char line[1024];
    int head = log_for_journal ? snprintf(line, sizeof(line), "<%d>%s: ", (int)level, log_role)
                               : snprintf(line, sizeof(line), "%s: ", log_role);
    size_t room = sizeof(line) - 1 - (size_t)head;
    va_list arguments;
    va_start(arguments, format);
    int body = vsnprintf(line + head, room, format, arguments);
    va_end(arguments);
    size_t length = (size_t)head + (body < 0 ? 0 : (size_t)body >= room ? room - 1 : (size_t)body);
    line[length++] = '\n';
    ssize_t written may_be_unused = write(STDERR_FILENO, line, length);
}

void must_failed(const char *expression, const char *file, int line) {
    log_error("this cannot happen: %s (%s:%d); please report it", expression, file, line);
    abort();
}
