/* The event loop: see loop.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/loop.h"

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <sys/wait.h>
#include <time.h>

struct loop {
    sd_event *event;
};

struct watch {
    sd_event_source *source;
    void *context;
    union {
        loop_fd_fn *on_fd;
        loop_call_fn *on_call;
        loop_signal_fn *on_signal;
        loop_child_fn *on_child;
    };
};

struct loop *loop_new(void) {
    struct loop *loop = calloc(1, sizeof(*loop));
    must(loop);
    must(sd_event_new(&loop->event) >= 0);
    return loop;
}

struct loop *loop_free(struct loop *loop) {
    if (!loop)
        return NULL;
    sd_event_unref(loop->event);
    free(loop);
    return NULL;
}

int loop_run(struct loop *loop) {
    return sd_event_loop(loop->event);
}

void loop_end(struct loop *loop, int result) {
    must(sd_event_exit(loop->event, result) >= 0);
}

static struct watch *watch_new(void *context) {
    struct watch *watch = calloc(1, sizeof(*watch));
    must(watch);
    watch->context = context;
    return watch;
}

/* sd-event only disables a source whose callback fails; here a failure ends the loop. */
static int ended(sd_event_source *source, int result) {
    if (result < 0)
        sd_event_exit(sd_event_source_get_event(source), result);
    return 0;
}

static int fd_ready(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct watch *watch = userdata;
    sd_event_source_ref(source);
    ended(source, watch->on_fd(watch->context, fd, events));
    sd_event_source_unref(source);
    return 0;
}

static int call_due(sd_event_source *source, struct watch *watch) {
    sd_event_source_ref(source);
    ended(source, watch->on_call(watch->context));
    sd_event_source_unref(source);
    return 0;
}

static int timer_due(sd_event_source *source, uint64_t usec, void *userdata) {
    (void)usec;
    return call_due(source, userdata);
}

static int idle_due(sd_event_source *source, void *userdata) {
    return call_due(source, userdata);
}

static int signal_came(sd_event_source *source, const struct signalfd_siginfo *info,
                       void *userdata) {
    struct watch *watch = userdata;
    return ended(source, watch->on_signal(watch->context, (int)info->ssi_signo,
                                          (pid_t)info->ssi_pid));
}

static int child_ended(sd_event_source *source, const siginfo_t *info, void *userdata) {
    struct watch *watch = userdata;
    sd_event_source_ref(source);
    ended(source, watch->on_child(watch->context, info->si_pid, info));
    sd_event_source_unref(source);
    return 0;
}

struct watch *loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *call,
                          void *context) {
    struct watch *watch = watch_new(context);
    watch->on_fd = call;
    must(sd_event_add_io(loop->event, &watch->source, fd, events, fd_ready, watch) >= 0);
    return watch;
}

void watch_set_events(struct watch *watch, uint32_t events) {
    must(sd_event_source_set_io_events(watch->source, events) >= 0);
}

struct watch *loop_add_timer(struct loop *loop, int64_t after_us, loop_call_fn *call,
                             void *context) {
    struct watch *watch = watch_new(context);
    watch->on_call = call;
    must(sd_event_add_time_relative(loop->event, &watch->source, CLOCK_MONOTONIC,
                                    after_us < 0 ? 0 : (uint64_t)after_us, 1000, timer_due,
                                    watch) >= 0);
    if (after_us < 0)
        must(sd_event_source_set_enabled(watch->source, SD_EVENT_OFF) >= 0);
    return watch;
}

void watch_set_timer(struct watch *watch, int64_t after_us) {
    if (after_us >= 0)
        must(sd_event_source_set_time_relative(watch->source, (uint64_t)after_us) >= 0);
    must(sd_event_source_set_enabled(watch->source, after_us < 0 ? SD_EVENT_OFF
                                                                 : SD_EVENT_ONESHOT) >= 0);
}

bool watch_is_armed(struct watch *watch) {
    int enabled = SD_EVENT_OFF;
    must(sd_event_source_get_enabled(watch->source, &enabled) >= 0);
    return enabled != SD_EVENT_OFF;
}

struct watch *loop_add_idle(struct loop *loop, loop_call_fn *call, void *context) {
    struct watch *watch = watch_new(context);
    watch->on_call = call;
    must(sd_event_add_defer(loop->event, &watch->source, idle_due, watch) >= 0);
    must(sd_event_source_set_priority(watch->source, SD_EVENT_PRIORITY_IDLE) >= 0);
    must(sd_event_source_set_enabled(watch->source, SD_EVENT_OFF) >= 0);
    return watch;
}

void watch_set_idle(struct watch *watch, bool on) {
    must(sd_event_source_set_enabled(watch->source, on ? SD_EVENT_ONESHOT : SD_EVENT_OFF) >= 0);
}

struct watch *loop_add_signal(struct loop *loop, int number, loop_signal_fn *call, void *context) {
    struct watch *watch = watch_new(context);
    watch->on_signal = call;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, number);
    must(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    must(sd_event_add_signal(loop->event, &watch->source, number, signal_came, watch) >= 0);
    return watch;
}

struct watch *loop_add_child(struct loop *loop, pid_t pid, loop_child_fn *call, void *context) {
    struct watch *watch = watch_new(context);
    watch->on_child = call;
    must(sd_event_add_child(loop->event, &watch->source, pid, WEXITED, child_ended, watch) >= 0);
    return watch;
}

struct watch *loop_forget(struct watch *watch) {
    if (!watch)
        return NULL;
    sd_event_source_disable_unref(watch->source);
    free(watch);
    return NULL;
}

void loop_notify(const char *state) {
    sd_notify(0, state);
}
