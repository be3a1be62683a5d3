/* The tools of the probes, and running one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/files.h"
#include "probe/probe.h"
#include "probe/run.h"
#include "probe/words.h"

enum { VALUE_MOST_BYTES = 4000, FILE_MOST_BYTES = 4 << 20, OUTPUT_MOST_BYTES = 16 << 20,
       PARTS_MOST = 16 };
#define RUN_MOST_US (8 * SECOND_US)
#define RUN_LEAST_US (SECOND_US / 10)
#define BEFORE_END_US (SECOND_US / 2)

struct look {
    const struct probe *probe;
    char *const *arguments;
    size_t argument_count;
    struct text *into;
    int64_t until_us; /* when whoever runs us will have had enough */
};

/* In the order of probes[]. */
static void (*const functions[])(struct look *look) = {
#define PROBE(name, seconds, means) probe_##name,
#include "probe/probes.def"
#undef PROBE
};

void probe_run(const struct probe *probe, char *const arguments[], size_t count,
               struct text *into) {
    struct look look = {probe, arguments, count, into,
                        clock_monotonic_us() + probe->seconds * SECOND_US};
    functions[probe - probes](&look);
}

/* ---- saying ---- */

void look_say(struct look *look, const char *key, const char *subject, struct span value) {
    char safe[VALUE_MOST_BYTES];
    char name[READING_NAME_MAX];
    if (snprintf(name, sizeof(name), "%s.%s", look->probe->name, key) >= READING_NAME_MAX)
        return; /* longer than any rule could ask for */
    text_add_safe(look->into, span_of(name));
    text_add_char(look->into, '\t');
    safe_copy(safe, 1000, span_of(subject));
    text_add_string(look->into, safe);
    text_add_char(look->into, '\t');
    safe_copy(safe, sizeof(safe), span_trim(value));
    text_add_string(look->into, safe);
    text_add_char(look->into, '\n');
}

void look_say_text(struct look *look, const char *key, const char *subject, const char *value) {
    look_say(look, key, subject, span_of(value));
}

void look_say_format(struct look *look, const char *key, const char *subject, const char *format,
                     ...) {
    char value[VALUE_MOST_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    look_say(look, key, subject, span_of(value));
}

void look_say_not(struct look *look, const char *key, const char *format, ...) {
    char reason[500];
    char safe[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    for (char *at = reason; (at = strchr(at, '\n'));)
        *at = ' '; /* several lines of a complaint are one reason */
    safe_copy(safe, sizeof(safe), span_trim(span_of(reason)));
    text_add_format(look->into, "!\t%s.%s\t%s\n", look->probe->name, key ? key : "", safe);
}

void look_say_warnings(struct look *look, struct span complaint, const char *mark) {
    unsigned number = 0;
    struct span line;
    while (next_line(&complaint, &line)) {
        char subject[20];
        if (!span_starts_with(line, span_of(mark)))
            continue;
        snprintf(subject, sizeof(subject), "%u", ++number);
        look_say(look, "warning", subject, span_skip(line, strlen(mark)));
    }
}

size_t look_mark(const struct look *look) { return look->into->length; }

void look_back(struct look *look, size_t mark) {
    must(mark <= look->into->length);
    if (look->into->at)
        look->into->at[mark] = '\0';
    look->into->length = mark;
}

const char *look_argument(const struct look *look, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < look->argument_count; i++)
        if (strncmp(look->arguments[i], name, length) == 0 && look->arguments[i][length] == '=')
            return look->arguments[i] + length + 1;
    return NULL;
}

/* ---- files and programs ---- */

int look_file(const char *path, struct text *text) {
    return file_read(path, FILE_MOST_BYTES, text);
}

static bool find_program(const char *name, char into[200]) {
    static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
    if (name[0] == '/') {
        snprintf(into, 200, "%s", name);
        return access(into, X_OK) == 0;
    }
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++) {
        snprintf(into, 200, "%s/%s", folders[i], name);
        if (access(into, X_OK) == 0)
            return true;
    }
    return false;
}

bool look_has_program(const char *name) {
    char path[200];
    return find_program(name, path);
}

int look_run(struct look *look, const char *const arguments[], struct text *output,
             struct text *ret_complaint) {
    char path[200];
    if (!find_program(arguments[0], path))
        return -ENOENT;
    /* A program that outlives us would have nobody left to end it. */
    int64_t left_us = look->until_us - BEFORE_END_US - clock_monotonic_us();
    if (left_us < RUN_LEAST_US)
        return -ETIMEDOUT;
    struct run run = {.path = path, .arguments = arguments,
                      .limit_us = left_us < RUN_MOST_US ? left_us : RUN_MOST_US,
                      .most_bytes = OUTPUT_MOST_BYTES};
    run_all(&run, 1, 1);
    text_add(output, text_span(&run.output));
    if (ret_complaint)
        text_add(ret_complaint, text_span(&run.complaint));
    text_free(&run.output);
    text_free(&run.complaint);
    return run.status;
}

/* ---- parts of a probe ---- */

static void take_part(struct look *look, const struct look_part *part, struct run *run) {
    if (run->status == -ETIMEDOUT)
        look_say_not(look, NULL, "%s: it took longer than %d s", part->name,
                     (int)(run->limit_us / SECOND_US));
    else if (run->status != 0)
        look_say_not(look, NULL, "%s: the probe failed (%d)", part->name, run->status);
    if (run->output.length > 0 && run->output.at[run->output.length - 1] == '\n')
        text_add(look->into, text_span(&run->output));
    text_free(&run->output);
    text_free(&run->complaint);
}

void look_run_parts(struct look *look, const struct look_part parts[], size_t count,
                    int64_t limit_us) {
    const char *words[PARTS_MOST][4];
    struct run runs[PARTS_MOST];
    must(count <= PARTS_MOST);
    for (size_t i = 0; i < count; i++) {
        words[i][0] = "hauberk-prober";
        words[i][1] = look->probe->name;
        words[i][2] = parts[i].argument;
        words[i][3] = NULL;
        runs[i] = (struct run){.path = "/proc/self/exe", .arguments = words[i],
                               .limit_us = limit_us, .most_bytes = OUTPUT_MOST_BYTES};
    }
    run_all(runs, count, count + 1);
    for (size_t i = 0; i < count; i++)
        take_part(look, &parts[i], &runs[i]);
}
