/* Asking the checker: see supervise.h. The child's answer is fixed frames over a socket pair; its
 * words for a person come along in one of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "config/selftest.h"
#include "supervise/supervise.h"
#include "wire/inherited.h"

#define CHECK_PATIENCE_US (10 * SECOND_US)

/* The selftest's log is named by its file name only. */
static void take_glob(struct checked_config *checked, const struct supervise_options *options,
                      const struct wire_glob *glob) {
    struct wire_glob *taken = &checked->globs[checked->glob_count];
    char path[600];
    *taken = *glob;
    if (span_is(wire_bytes(glob->pattern), SELFTEST_LOG)) {
        int length = snprintf(path, sizeof(path), "%.500s/" SELFTEST_LOG, options->runtime_folder);
        if (length > 256)
            return; /* no log can have such a path; the selftest says that it is not read */
        wire_set_bytes(taken->pattern, span_of(path));
    }
    checked->glob_count++;
}

static void take_records(struct checked_config *checked, const struct supervise_options *options,
                         const struct message *message) {
    if (message->type == SAY_CHECKED_GLOBS) {
        const struct wire_glob *globs = message->items;
        for (uint32_t i = 0; i < message->count && checked->glob_count < 128; i++)
            take_glob(checked, options, &globs[i]);
    } else {
        const struct wire_exemption *exempt = message->items;
        for (uint32_t i = 0; i < message->count && checked->exempt_count < 1024; i++)
            checked->exempt[checked->exempt_count++] = exempt[i];
    }
}

/* 1: the verdict came; 0: more to come; -errno. */
static int take_frame(int fd, const struct supervise_options *options,
                      struct checked_config *checked, struct why *reterr_why) {
    _Alignas(8) static uint8_t frame[FRAME_MAX];
    ssize_t got = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
    if (got <= 0)
        return why_set(reterr_why, -EPROTO, NULL, 0, "the checker ended without a verdict");
    struct message message = {.fd = -1};
    const char *what = "";
    if (frame_check(frame, (size_t)got, CHECKER, SUPERVISOR, &message, &what) < 0)
        return why_set(reterr_why, -EPROTO, NULL, 0, "the checker's answer is wrong: %s", what);
    if (message.type != SAY_CHECKED) {
        take_records(checked, options, &message);
        return 0;
    }
    const struct wire_checked *verdict = message.head;
    if (!verdict->is_good)
        return why_set(reterr_why, -EINVAL, NULL, 0, "%.*s",
                       SPAN_FORMAT(wire_bytes(verdict->text)));
    checked->digest = verdict->digest;
    checked->follow_symlinks = verdict->follow_symlinks;
    snprintf(checked->notify, sizeof(checked->notify), "%.*s",
             SPAN_FORMAT(wire_bytes(verdict->notify)));
    snprintf(checked->notify_command, sizeof(checked->notify_command), "%.*s",
             SPAN_FORMAT(wire_bytes(verdict->notify_command)));
    checked->on_file = verdict->on_file;
    checked->on_journal = verdict->on_journal;
    snprintf(checked->notices, sizeof(checked->notices), "%.*s",
             SPAN_FORMAT(wire_bytes(verdict->text)));
    return 1;
}

static int await_verdict(int fd, const struct supervise_options *options,
                         struct checked_config *checked, struct why *reterr_why) {
    int64_t until_us = clock_monotonic_us() + CHECK_PATIENCE_US;
    for (int result = 0;;) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int64_t left_us = until_us - clock_monotonic_us();
        if (left_us <= 0)
            return why_set(reterr_why, -ETIMEDOUT, NULL, 0,
                           "checking the configuration takes longer than 10 s");
        if (poll(&one, 1, (int)(left_us / 1000) + 1) > 0)
            result = take_frame(fd, options, checked, reterr_why);
        if (result != 0)
            return result < 0 ? result : 0;
    }
}

int check_configuration(const struct supervise_options *options, const struct sandbox_users *users,
                        struct checked_config *ret_checked, struct why *reterr_why) {
    struct child child = {.role = CHECKER};
    struct child_fds none = {{-1, -1, -1, -1}};
    struct digest digest = {0};
    cleanup_close int fd = -1;
    struct checked_config *checked = calloc(1, sizeof(*checked));
    must(checked);
    int error = child_start(&child, options, &digest, users, &none, &fd, reterr_why);
    if (error >= 0) {
        error = await_verdict(fd, options, checked, reterr_why);
        cleanup_close_fd(&fd);
        kill(child.pid, SIGKILL); /* it has said all it had to say, or will not */
        while (waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (error >= 0)
        *ret_checked = *checked;
    free(checked);
    return error;
}
