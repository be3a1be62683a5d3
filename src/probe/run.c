/* Each program leads a process group of its own, so that what it starts ends with it. One is over
 * when the process has ended and both its outputs are at their end: what it left running behind
 * itself with an output open is waited for within the limit, then killed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"

enum { OUTPUT, COMPLAINT, PROCESS, FDS };

static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                          "HOME=/", "DEBIAN_FRONTEND=noninteractive",
                                          /* rspamadm looks up names before it prints anything. */
                                          "RES_OPTIONS=timeout:1 attempts:1", NULL};

static int spawn(struct run *run, int output, int complaint) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t ignored; /* here, and not to be there */
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    must(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
    must(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
         posix_spawn_file_actions_adddup2(&actions, output, 1) == 0 &&
         posix_spawn_file_actions_adddup2(&actions, complaint, 2) == 0);
    must(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                   POSIX_SPAWN_SETSIGDEF) == 0 &&
         posix_spawnattr_setsigmask(&attributes, &none) == 0 &&
         posix_spawnattr_setsigdefault(&attributes, &ignored) == 0);
    int error = posix_spawn(&run->pid, run->path, &actions, &attributes,
                            (char *const *)run->arguments, (char *const *)environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -error;
}

static void start(struct run *run) {
    int pipes[2][2] = {{-1, -1}, {-1, -1}};
    run->status = 0;
    run->until_us = clock_monotonic_us() + run->limit_us;
    for (int i = 0; i < 2 && run->status == 0; i++)
        run->status = pipe2(pipes[i], O_CLOEXEC) < 0 ? -errno : 0;
    if (run->status == 0)
        run->status = spawn(run, pipes[0][1], pipes[1][1]);
    if (run->status == 0) {
        run->fds[PROCESS] = (int)syscall(SYS_pidfd_open, run->pid, 0);
        must(run->fds[PROCESS] >= 0);
        run->fds[OUTPUT] = take_fd(&pipes[0][0]);
        run->fds[COMPLAINT] = take_fd(&pipes[1][0]);
    }
    for (int i = 0; i < 2; i++) {
        cleanup_close_fd(&pipes[i][0]);
        cleanup_close_fd(&pipes[i][1]);
    }
}

static void finish(struct run *run, int error) {
    int status = 0;
    (void)kill(-run->pid, SIGKILL); /* whatever of it is left */
    for (int i = 0; i < FDS; i++)
        cleanup_close_fd(&run->fds[i]);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    run->status = error < 0             ? error
                  : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                        : WEXITSTATUS(status);
}

static bool runs(const struct run *run) {
    return run->fds[OUTPUT] >= 0 || run->fds[COMPLAINT] >= 0 || run->fds[PROCESS] >= 0;
}

/* Reads what is there; closes what is at its end. */
static int read_some(struct run *run, int which) {
    char buffer[16384];
    struct text *text = which == OUTPUT ? &run->output : &run->complaint;
    ssize_t got = which == PROCESS ? 0 : read(run->fds[which], buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR)
        return 0;
    if (got <= 0) {
        cleanup_close_fd(&run->fds[which]);
        return 0;
    }
    text_add(text, (struct span){buffer, (size_t)got});
    return text->length <= run->most_bytes ? 0 : -EFBIG;
}

static void serve(struct run *run, const struct pollfd polled[FDS]) {
    int error = clock_monotonic_us() >= run->until_us ? -ETIMEDOUT : 0;
    for (int i = 0; i < FDS && error == 0; i++)
        if (polled[i].revents)
            error = read_some(run, i);
    if (error < 0 || !runs(run))
        finish(run, error);
}

void run_all(struct run *all, size_t count, size_t at_once) {
    size_t begun = 0;
    size_t running = 0;
    struct pollfd *polled = calloc(count * FDS + 1, sizeof(*polled));
    must(polled);
    for (size_t i = 0; i < count; i++)
        all[i].fds[OUTPUT] = all[i].fds[COMPLAINT] = all[i].fds[PROCESS] = -1;
    do {
        int64_t until_us = INT64_MAX;
        while (begun < count && running < at_once) {
            start(&all[begun]);
            running += runs(&all[begun++]);
        }
        for (size_t i = 0; i < begun; i++) {
            for (size_t j = 0; j < FDS; j++)
                polled[i * FDS + j] = (struct pollfd){all[i].fds[j], POLLIN, 0};
            if (runs(&all[i]) && all[i].until_us < until_us)
                until_us = all[i].until_us;
        }
        if (running == 0)
            continue;
        int64_t left_us = until_us - clock_monotonic_us();
        (void)poll(polled, (nfds_t)(begun * FDS), left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
        for (size_t i = 0; i < begun; i++) {
            if (!runs(&all[i]))
                continue;
            serve(&all[i], &polled[i * FDS]);
            running -= !runs(&all[i]);
        }
    } while (running > 0 || begun < count);
    free(polled);
}
