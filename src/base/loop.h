/* The event loop of a process: a thin face over sd-event, so that one folder knows it.
 *
 * Callbacks run one at a time; they drain their source up to a budget and return. A callback that
 * returns a negative errno ends the loop with that value. Handles are freed with loop_forget(),
 * also from within their own callback.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "base/compiler.h"

struct loop;
struct watch; /* one source of events in a loop */

typedef int loop_fd_fn(void *context, int fd, uint32_t events);
typedef int loop_call_fn(void *context);
typedef int loop_signal_fn(void *context, int number, pid_t from);
typedef int loop_child_fn(void *context, pid_t pid, const siginfo_t *how);

struct loop *loop_new(void);
struct loop *loop_free(struct loop *loop);
int loop_run(struct loop *loop); /* until loop_end() or a callback's error */
void loop_end(struct loop *loop, int result);

struct watch *loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *call,
                          void *context);
void watch_set_events(struct watch *watch, uint32_t events);

/* Fires once, `after_us` from now; armed again with watch_set_timer(). after_us < 0: not armed. */
struct watch *loop_add_timer(struct loop *loop, int64_t after_us, loop_call_fn *call,
                             void *context);
void watch_set_timer(struct watch *watch, int64_t after_us);
bool watch_is_armed(struct watch *watch);

/* Runs after all other sources have been served once, then is off until watch_set_idle(). */
struct watch *loop_add_idle(struct loop *loop, loop_call_fn *call, void *context);
void watch_set_idle(struct watch *watch, bool on);

struct watch *loop_add_signal(struct loop *loop, int number, loop_signal_fn *call, void *context);
struct watch *loop_add_child(struct loop *loop, pid_t pid, loop_child_fn *call, void *context);

struct watch *loop_forget(struct watch *watch); /* returns NULL; NULL is fine */

/* sd_notify(3); does nothing outside systemd. */
void loop_notify(const char *state);
