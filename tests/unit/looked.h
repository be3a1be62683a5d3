/* For tests of one probe's readers, whose .c they include: what the probe says goes to a text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/files.h"
#include "probe/probe.h"

static struct text said;

static void say_line(const char *key, const char *subject, const char *value) {
    text_add_format(&said, "%s\t%s\t%s\n", key, subject, value);
}

void look_say(struct look *look, const char *key, const char *subject, struct span value) {
    char copy[1000];
    (void)look;
    snprintf(copy, sizeof(copy), "%.*s", SPAN_FORMAT(value));
    say_line(key, subject, copy);
}
void look_say_text(struct look *look, const char *key, const char *subject, const char *value) {
    (void)look;
    say_line(key, subject, value);
}
void look_say_format(struct look *look, const char *key, const char *subject, const char *format,
                     ...) {
    char value[1000];
    va_list arguments;
    (void)look;
    va_start(arguments, format);
    vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    say_line(key, subject, value);
}
void look_say_not(struct look *look, const char *key, const char *format, ...) {
    (void)look, (void)format;
    say_line(key ? key : "", "", "NOT");
}
int look_run(struct look *look, const char *const arguments[], struct text *output,
             struct text *ret_complaint) {
    (void)look, (void)arguments, (void)output, (void)ret_complaint;
    return -ENOENT;
}
bool look_has_program(const char *name) {
    (void)name;
    return false;
}
int look_file(const char *path, struct text *text) {
    return file_read(path, 4 << 20, text);
}

