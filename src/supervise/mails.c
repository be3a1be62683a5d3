/* The letter box: see mails.h.
 *
 * The child may use what is setgid, for Postfix's postdrop is: so none of the roles' "no new
 * privileges" here, but an ordinary user without capabilities, in a session of its own, with
 * limits, with no descriptor of ours and none of our environment. What it starts ends with it.
 *
 * Who owns the command is looked at each time, in the parent: a file that others could have written
 * is not run, even as an ordinary user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervise/mails.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "sandbox/sandbox.h"
#include "supervise/supervise.h"

#define MAIL_PATIENCE_US (30 * SECOND_US)
static const char sendmail_path[] = "/usr/sbin/sendmail";

struct waiting_mail {
    struct wire_mail mail;
    int fd;
    char command[257];
};

struct mails {
    struct loop *loop;
    uid_t uid;
    gid_t gid;
    mails_done_fn *done;
    void *context;
    struct waiting_mail waiting[MAILS_WAITING_MOST]; /* the first is under way when pid is set */
    uint32_t count;
    pid_t pid;
    bool is_late; /* killed for taking too long */
    struct watch *child, *patience;
    int64_t hour_us; /* when the hour began in which `sent` were */
    uint32_t sent;
};

static void start_next(struct mails *mails);

static void answer(struct mails *mails, uint32_t ticket, bool is_sent, const char *text) {
    struct wire_mailed mailed = {.ticket = ticket, .is_sent = is_sent};
    wire_set_bytes(mailed.text, span_of(text));
    mails->done(mails->context, &mailed);
}

/* ---- the child ---- */

static void limit(int what, rlim_t most) {
    struct rlimit limits = {most, most};
    if (setrlimit((__rlimit_resource_t)what, &limits) < 0)
        _exit(126);
}

never_returns static void become_courier(const struct mails *mails,
                                         const struct waiting_mail *waiting) {
    static char subject[sizeof("HAUBERK_SUBJECT=") + sizeof(waiting->mail.subject.at)];
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    static char language[] = "LANG=C.UTF-8";
    static char *environment[] = {path, language, subject, NULL};
    /* A sender of its own: Postfix asks who we are by name, and our user may have only a number. */
    static const char *const by_mail[] = {sendmail_path, "-oi", "-f", "root", "-t", NULL};
    const char *const by_command[] = {waiting->command, NULL};
    bool is_command = waiting->mail.way == MAIL_COMMAND;
    char name[64];
    struct why why = {0};
    snprintf(subject, sizeof(subject), "HAUBERK_SUBJECT=%.*s",
             SPAN_FORMAT(wire_bytes(waiting->mail.subject)));
    /* Opened anew: the decider holds the same file, and with it its position. */
    snprintf(name, sizeof(name), "/proc/self/fd/%d", waiting->fd);
    int text = open(name, O_RDONLY | O_CLOEXEC);
    if (text < 0 || dup2(text, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        _exit(126);
    if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0 || setsid() < 0 || chdir("/") < 0)
        _exit(126);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    limit(RLIMIT_CPU, 20);
    limit(RLIMIT_NOFILE, 256);
    limit(RLIMIT_FSIZE, 16 << 20);
    limit(RLIMIT_CORE, 0);
    if (sandbox_become(mails->uid, mails->gid, &why) < 0)
        _exit(126);
    const char *const *arguments = is_command ? by_command : by_mail;
    execve(arguments[0], (char *const *)(uintptr_t)arguments, environment);
    _exit(127);
}

/* ---- before and after ---- */

static bool is_guarded(const struct stat *status) {
    bool is_ours = status->st_uid == 0 || status->st_uid == geteuid();
    bool others_write = status->st_mode & S_IWOTH;
    bool group_writes = status->st_mode & S_IWGRP && status->st_gid != 0;
    return is_ours && !others_write && !group_writes;
}

/* NULL, or why the program of this mail is not run. */
static const char *find_fault(const struct waiting_mail *waiting) {
    struct stat status;
    char folder[257];
    if (waiting->mail.way == MAIL_SENDMAIL)
        return access(sendmail_path, X_OK) < 0 ? "there is no /usr/sbin/sendmail" : NULL;
    if (waiting->command[0] == '\0')
        return "no notify-command is in force";
    if (lstat(waiting->command, &status) < 0)
        return "the notify-command is not there";
    if (!S_ISREG(status.st_mode) || !(status.st_mode & 0111))
        return "the notify-command is no program";
    if (!is_guarded(&status))
        return "the notify-command is not root's alone to write";
    snprintf(folder, sizeof(folder), "%s", waiting->command);
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
    if (stat(folder, &status) < 0 || !is_guarded(&status))
        return "the notify-command lies in a folder that is not root's alone to write";
    return NULL;
}

static void remove_first(struct mails *mails) {
    cleanup_close_fd(&mails->waiting[0].fd);
    mails->count--;
    memmove(&mails->waiting[0], &mails->waiting[1], mails->count * sizeof(mails->waiting[0]));
}

static int takes_too_long(void *context) {
    struct mails *mails = context;
    mails->is_late = true;
    if (mails->pid)
        kill(-mails->pid, SIGKILL);
    return 0;
}

static void describe(const struct mails *mails, const siginfo_t *how, char into[121]) {
    if (mails->is_late)
        snprintf(into, 121, "took longer than 30 s and was killed");
    else if (how->si_code == CLD_EXITED && how->si_status == 126)
        snprintf(into, 121, "could not be started");
    else
        child_describe_death(how, into);
}

static int has_ended(void *context, pid_t pid, const siginfo_t *how) {
    struct mails *mails = context;
    char text[121] = "";
    uint32_t ticket = mails->waiting[0].mail.ticket;
    bool is_sent = !mails->is_late && how->si_code == CLD_EXITED && how->si_status == 0;
    if (!is_sent)
        describe(mails, how, text);
    kill(-pid, SIGKILL); /* what it left; it is not reaped yet, so the number is still its own */
    mails->pid = 0;
    mails->child = loop_forget(mails->child);
    watch_set_timer(mails->patience, -1);
    remove_first(mails);
    answer(mails, ticket, is_sent, text);
    start_next(mails);
    return 0;
}

static void start(struct mails *mails) {
    pid_t pid = fork();
    if (pid == 0)
        become_courier(mails, &mails->waiting[0]);
    if (pid < 0) {
        uint32_t ticket = mails->waiting[0].mail.ticket;
        remove_first(mails);
        answer(mails, ticket, false, "no process could be started");
        return;
    }
    mails->pid = pid;
    mails->is_late = false;
    mails->child = loop_add_child(mails->loop, pid, has_ended, mails);
    watch_set_timer(mails->patience, MAIL_PATIENCE_US);
}

static void start_next(struct mails *mails) {
    while (mails->count > 0 && !mails->pid) {
        uint32_t ticket = mails->waiting[0].mail.ticket;
        const char *fault = find_fault(&mails->waiting[0]);
        if (!fault) {
            start(mails);
            continue;
        }
        remove_first(mails);
        answer(mails, ticket, false, fault);
    }
}

/* ---- the way in ---- */

static bool is_sealed_memory(int fd, uint32_t size) {
    static const int wanted = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
    struct stat status;
    int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & wanted) == wanted && fstat(fd, &status) == 0 &&
           S_ISREG(status.st_mode) && status.st_size == (off_t)size;
}

static bool is_one_too_many(struct mails *mails) {
    int64_t now_us = clock_monotonic_us();
    if (now_us - mails->hour_us > HOUR_US || mails->hour_us == 0) {
        mails->hour_us = now_us;
        mails->sent = 0;
    }
    return ++mails->sent > MAILS_AN_HOUR;
}

int mails_take(struct mails *mails, const struct wire_mail *mail, int fd, const char *command) {
    cleanup_close int text = fd;
    if (!is_sealed_memory(text, mail->size))
        return -EPROTO;
    if (mails->count == MAILS_WAITING_MOST || is_one_too_many(mails)) {
        log_warning(
            "the decider wants to send more mails than there can be reason for; one is dropped");
        answer(mails, mail->ticket, false, "too many mails at once");
        return 0;
    }
    struct waiting_mail *waiting = &mails->waiting[mails->count++];
    *waiting = (struct waiting_mail){.mail = *mail, .fd = take_fd(&text)};
    snprintf(waiting->command, sizeof(waiting->command), "%s", command);
    start_next(mails);
    return 0;
}

struct mails *mails_new(struct loop *loop, uid_t uid, gid_t gid, mails_done_fn *done,
                        void *context) {
    struct mails *mails = calloc(1, sizeof(*mails));
    must(mails);
    mails->loop = loop;
    mails->uid = uid;
    mails->gid = gid;
    mails->done = done;
    mails->context = context;
    mails->patience = loop_add_timer(loop, -1, takes_too_long, mails);
    return mails;
}
