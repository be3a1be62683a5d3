/* The probes: each looks at one part of the machine and says what it read. A probe is a process of
 * its own (roles/prober.c) that cannot write, with a time limit, so that one that hangs, or is led
 * astray by what it reads, takes nothing with it. probes.def lists them; readings.def lists
 * every name they may say, which is what a rule may ask for.
 *
 * A probe judges nothing. It says what is, in the service's own words, and what it may not see.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "probe/readings.h"

struct look; /* a probe at work */

struct probe {
    const char *name;
    unsigned seconds;  /* it is ended after that */
    const char *means; /* how it looks, for people */
    bool sees_processes; /* other people's too; it then runs no program */
};

extern const struct probe probes[];
extern const size_t probe_count;
const struct probe *probe_find(const char *name); /* NULL: there is none */

/* Does it run programs that write to /tmp before they tell anything? It then gets its own one. */
bool probe_needs_tmp(const struct probe *probe);

/* Is `name` what some probe may say? Families (postfix.*) take any key. */
bool probe_knows_reading(const char *name);
/* Is it of a family, so that name and value are the service's own? */
bool probe_reads_settings(const char *name);

/* Runs it; what it says goes to `into` as text (readings.h). arguments: "name=value", as many as
 * `count`; a probe knows which it takes. */
void probe_run(const struct probe *probe, char *const arguments[], size_t count, struct text *into);

/* ---- for the probes ---- */

/* The value of an argument, or NULL. */
const char *look_argument(const struct look *look, const char *name);

/* Say NAME.key of `subject`. The value is made safe and cut at some kilobytes. */
void look_say(struct look *look, const char *key, const char *subject, struct span value);
void look_say_text(struct look *look, const char *key, const char *subject, const char *value);
void look_say_format(struct look *look, const char *key, const char *subject, const char *format,
                     ...) prints(4, 5);
/* `key` cannot be looked at; NULL: nothing of this probe can. */
void look_say_not(struct look *look, const char *key, const char *format, ...) prints(3, 4);

/* Takes back all that was said since that mark: for a probe that says again, better. */
size_t look_mark(const struct look *look);
void look_back(struct look *look, size_t mark);
/* A part of a probe: the same probe, run again with that argument. */
struct look_part {
    char name[80]; /* for people: "port 25" */
    char argument[400];
};
/* Runs them in processes side by side, each for so long at most, and says what they say. */
void look_run_parts(struct look *look, const struct look_part parts[], size_t count,
                    int64_t limit_us);

/* What a program warned of: the lines of `complaint` that begin with `mark`, without it, as the
 * reading `warning`, a number each. */
void look_say_warnings(struct look *look, struct span complaint, const char *mark);

/* Runs a program of Debian's (absolute path or found in /usr/sbin, /usr/bin, /sbin, /bin), without
 * a shell, stdin closed, LC_ALL=C, for at most some seconds; appends what it prints (at most
 * 16 MiB). Its exit status, or -errno: -ENOENT not installed, -ETIMEDOUT, -EACCES. What it says on
 * standard error comes to `ret_complaint` when that is not NULL. */
must_use int look_run(struct look *look, const char *const arguments[], struct text *output,
                      struct text *ret_complaint);
bool look_has_program(const char *name);

/* A file of at most 4 MiB. -errno; also for folders and devices. */
must_use int look_file(const char *path, struct text *text);

#define PROBE(name, seconds, means) void probe_##name(struct look *look);
#include "probe/probes.def"
#undef PROBE
