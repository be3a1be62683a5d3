/* Processes: see supervise.h. A role is another program: no memory of ours goes along, only the
 * descriptors it is meant to have, at fixed numbers, and the lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervise/supervise.h"
#include "wire/inherited.h"

enum { PARK_FD = 100 };

/* What a role gets of our environment. The LD_ and sanitizer variables are root's own doing. */
static char *const *kept_environment(void) {
    static const char *const kept[] = {"TZ=",          "JOURNAL_STREAM=", "HAUBERK_",
                                       "LD_PRELOAD=",  "LD_LIBRARY_PATH=", "ASAN_OPTIONS=",
                                       "UBSAN_OPTIONS=", "LC_ALL=",        "LANG="};
    static char *environment[32];
    size_t count = 0;
    for (char **one = environ; *one && count + 1 < ELEMENTS_OF(environment); one++)
        for (size_t i = 0; i < ELEMENTS_OF(kept); i++)
            if (strncmp(*one, kept[i], strlen(kept[i])) == 0) {
                environment[count++] = *one;
                break;
            }
    environment[count] = NULL;
    return environment;
}

/* In the child, after fork: descriptors to their numbers, signals as at birth. Everything else of
 * hauberkd's closes at exec, but the locks, which are meant to be held by all. */
never_returns static void become_role(const char *program, char *const *arguments,
                                      const int *fds, size_t count) {
    /* Two steps, because a source number may be another one's target. */
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0 && dup2(fds[i], PARK_FD + (int)i) < 0)
            _exit(126);
    for (size_t i = 0; i < count; i++) {
        int target = ROLE_FD_SUPERVISOR + (int)i;
        if (fds[i] < 0)
            close(target);
        else if (dup2(PARK_FD + (int)i, target) < 0)
            _exit(126);
    }
    for (int fd = PARK_FD; fd < PARK_FD + (int)count; fd++)
        close(fd);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN); /* the terminal's Ctrl-C is hauberkd's to handle */
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    execve(program, arguments, kept_environment());
    _exit(127);
}

int child_start(struct child *child, const struct supervise_options *options,
                const struct digest *digest, const struct sandbox_users *users,
                const struct child_fds *fds, int *ret_channel_fd, struct why *reterr_why) {
    char program[512];
    char digest_text[DIGEST_TEXT_MAX];
    char uid[16];
    char gid[16];
    int ends[2];
    int error = channel_pair(ends);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "no socket pair for the %s",
                       role_names[child->role]);
    snprintf(program, sizeof(program), "%.400s/hauberk-%s", options->libexec_folder,
             role_names[child->role]);
    digest_format(digest, digest_text);
    snprintf(uid, sizeof(uid), "%u", (unsigned)users->uid[child->role]);
    snprintf(gid, sizeof(gid), "%u", (unsigned)users->gid[child->role]);
    const char *arguments[] = {program,     "--config",  options->config_folder,
                               "--data",    options->data_folder,
                               "--state",   options->state_folder,
                               "--runtime", options->runtime_folder,
                               "--digest",  digest_text, "--uid", uid, "--gid", gid,
                               options->observe ? "--observe" : NULL, NULL};
    int all[5] = {ends[1], fds->at[0], fds->at[1], fds->at[2], fds->at[3]};
    pid_t pid = fork();
    if (pid == 0)
        become_role(program, (char *const *)(uintptr_t)arguments, all, ELEMENTS_OF(all));
    int fork_error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return why_set(reterr_why, -fork_error, NULL, 0, "cannot start the %s",
                       role_names[child->role]);
    }
    child->pid = pid;
    child->is_ready = child->is_silent = false;
    child->started_us = clock_now_us();
    child->asked_us = child->answered_us = clock_monotonic_us();
    *ret_channel_fd = ends[0];
    return 0;
}

void child_describe_death(const siginfo_t *how, char into[121]) {
    if (how->si_code == CLD_EXITED)
        snprintf(into, 121, "%s %d", how->si_status == 127 ? "its program cannot be run, exit"
                                                           : "exit",
                 how->si_status);
    else
        snprintf(into, 121, "killed by SIG%s", sigabbrev_np(how->si_status));
}

bool child_death_is_crash(const struct child *child, const siginfo_t *how) {
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
    if (child->is_silent)
        return true;
    if (how->si_code == CLD_EXITED)
        return false;
    for (size_t i = 0; i < ELEMENTS_OF(deadly); i++)
        if (how->si_status == deadly[i])
            return true;
    return false;
}
