/* Each role, from inside its sandbox, tries what it must not; then what it needs. Every attempt is
 * a process of its own: most end refused, some end killed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/files.h"
#include "base/hash.h"
#include "match/rules.h"
#include "sandbox/sandbox.h"
#include "store/store.h"
#include "wire/channel.h"

static struct sandbox_users users;
static char folder[64];
static pid_t victim; /* a process of the sensor's user */
static int prepared = -1;

enum { REFUSED, ALLOWED, NOT_ENTERED = 9 };

/* ---- attempts: true when it worked ---- */

static bool opens(int fd) {
    return fd >= 0;
}

static bool try_internet(void) {
    return opens(socket(AF_INET, SOCK_STREAM, 0)) || opens(socket(AF_INET6, SOCK_DGRAM, 0)) ||
           opens(socket(AF_UNIX, SOCK_STREAM, 0));
}
static bool try_netlink(void) {
    return opens(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)) ||
           opens(socket(AF_PACKET, SOCK_RAW, 0));
}
static bool try_connect(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(25),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(prepared, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != EPERM;
}
static bool try_exec(void) {
    char *arguments[] = {(char *)(uintptr_t) "true", NULL};
    execve("/bin/true", arguments, arguments + 1);
    return false; /* had it worked, the exit status would be /bin/true's: 0, the same as refused */
}
static bool try_exec_that_tells(void) {
    char *arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                         (char *)(uintptr_t) "exit 1", NULL};
    execve("/bin/sh", arguments, arguments + 3);
    return false;
}
static bool try_shadow(void) {
    return opens(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}
static bool try_passwd(void) {
    return opens(open("/etc/passwd", O_RDONLY | O_CLOEXEC)) ||
           opens(open("/proc/self/environ", O_RDONLY | O_CLOEXEC)) ||
           opens((int)syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0));
}
static bool try_write_elsewhere(void) {
    return opens(open("/tmp/hauberk-sandbox-was-here", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) ||
           opens(open("/var/tmp/hauberk-sandbox-was-here", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static bool try_rename_elsewhere(void) {
    char path[128];
    snprintf(path, sizeof(path), "%s/bait", folder);
    return rename(path, "/tmp/hauberk-sandbox-bait") == 0 || link(path, "/tmp/x-bait") == 0 ||
           symlink("/etc/shadow", path) == 0;
}
static bool try_trace(void) {
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}
static bool try_root(void) {
    return setuid(0) == 0 || setreuid(0, 0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0;
}
static bool try_executable_memory(void) {
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                    -1, 0);
    return at != MAP_FAILED;
}
static bool try_making_memory_executable(void) {
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0 ||
           syscall(SYS_pkey_mprotect, at, 4096, PROT_EXEC, -1) == 0;
}
static bool try_kill(void) {
    return kill(getppid(), 0) == 0 || kill(victim, 0) == 0 ||
           syscall(SYS_tgkill, victim, victim, 0) == 0 || syscall(SYS_tkill, victim, 0) == 0 ||
           opens((int)syscall(SYS_pidfd_open, victim, 0));
}
static bool try_limits_of_others(void) {
    struct rlimit none = {0, 0};
    return prlimit(victim, RLIMIT_NOFILE, &none, NULL) == 0;
}
static bool try_fork(void) {
    pid_t child = fork();
    if (child == 0)
        _exit(ALLOWED);
    return child > 0;
}
static bool try_namespaces(void) {
    return unshare(CLONE_NEWUSER) == 0 || unshare(CLONE_NEWNET) == 0 ||
           mount("none", "/mnt", "tmpfs", 0, NULL) == 0 || chroot("/") == 0;
}
static bool try_strange_calls(void) {
    return syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno != EPERM ||
           syscall(SYS_userfaultfd, 0) != -1 || errno != EPERM ||
           syscall(SYS_keyctl, 0, 0, 0, 0, 0) != -1 || errno != EPERM ||
           syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0) != -1 || errno != EPERM;
}
static bool try_memory_file(void) {
    return syscall(SYS_memfd_create, "x", 0) != -1 || errno != EPERM;
}
static bool try_mode(void) {
    return chmod("/etc/hostname", 0666) == 0 || chown("/etc/hostname", 1, 1) == 0;
}
static bool try_time(void) {
    struct timespec now = {1, 0};
    return clock_settime(CLOCK_REALTIME, &now) == 0 || sethostname("x", 1) == 0;
}

struct attempt {
    const char *what;
    bool (*try)(void);
    unsigned except; /* bit of the role that may */
    bool may_be_killed;
};

static const struct attempt attempts[] = {
    {"internet and local sockets", try_internet, 0, false},
    {"netlink and packet sockets", try_netlink, 0, false},
    {"connect", try_connect, 0, false},
    {"exec", try_exec, 0, true},
    {"exec of a shell", try_exec_that_tells, 0, true},
    {"/etc/shadow", try_shadow, 0, false},
    {"/etc/passwd, /proc", try_passwd, 0, false},
    {"write elsewhere", try_write_elsewhere, 0, false},
    {"rename out of the folder", try_rename_elsewhere, 0, false},
    {"ptrace", try_trace, 0, true},
    {"become root", try_root, 0, false},
    {"executable memory", try_executable_memory, 1u << SENSOR, false},
    {"make memory executable", try_making_memory_executable, 1u << SENSOR, false},
    {"kill another process", try_kill, 0, false},
    {"limits of another process", try_limits_of_others, 0, false},
    {"fork", try_fork, 0, false},
    {"namespaces and mounts", try_namespaces, 0, false},
    {"strange calls", try_strange_calls, 0, false},
    {"a file in memory", try_memory_file, 1u << DECIDER, false}, /* mails for hauberkd to send */
    {"modes and owners", try_mode, 0, false},
    {"the clock", try_time, 0, false},
};

/* ---- in a child ---- */

static bool enter(enum role role) {
    struct why why = {0};
    struct sandbox_wish wish = {.role = role, .uid = users.uid[role], .gid = users.gid[role],
                                .writable_folder = role == DECIDER ? folder : NULL};
    if (sandbox_enter(&wish, &why) >= 0)
        return true;
    fprintf(stderr, "%s\n", why.text);
    return false;
}

static int status_of(pid_t child) {
    int status = 0;
    must(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int attempt_in(enum role role, bool (*try)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(!enter(role) ? NOT_ENTERED : try() ? ALLOWED : REFUSED);
    return status_of(child);
}

static void check_role(enum role role) {
    for (size_t i = 0; i < ELEMENTS_OF(attempts); i++) {
        const struct attempt *attempt = &attempts[i];
        if (attempt->except >> role & 1)
            continue;
        int status = attempt_in(role, attempt->try);
        if (status == REFUSED && !attempt->may_be_killed)
            continue;
        if (status == 128 + SIGSYS && attempt->may_be_killed)
            continue;
        fail_msg("%s: %s: status %d", role_names[role], attempt->what, status);
    }
}

/* What is tried here must work outside, or a refusal says nothing. */
static void the_attempts_work_without_a_sandbox(void **state) {
    (void)state;
    static const size_t harmless[] = {0, 1, 5, 6, 11, 12, 13, 15};
    for (size_t i = 0; i < ELEMENTS_OF(harmless); i++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            _exit(attempts[harmless[i]].try() ? ALLOWED : REFUSED);
        if (status_of(child) != ALLOWED)
            fail_msg("%s fails outside too", attempts[harmless[i]].what);
    }
}

static void the_sensor_is_held(void **state) {
    (void)state;
    check_role(SENSOR);
}
static void the_decider_is_held(void **state) {
    (void)state;
    check_role(DECIDER);
}
static void the_enforcer_is_held(void **state) {
    (void)state;
    check_role(ENFORCER);
}
static void the_checker_is_held(void **state) {
    (void)state;
    check_role(CHECKER);
}

/* ---- what they need ---- */

static bool need_jit(void) {
    struct why why = {0};
    char text[] = "^Failed password for .* from <HOST> port \\d+ ssh2$";
    struct config_pattern pattern = {.text = text};
    struct rule *rule = rule_new(&pattern, RULE_FAIL, &why);
    struct rule_match match;
    bool works = rule && rule_has_jit(rule) &&
                 rule_match(rule, SPAN("Failed password for a from 203.0.113.9 port 1 ssh2"),
                            &match) == 1;
    rule_free(rule);
    return works;
}

static void the_sensor_compiles_and_reads(void **state) {
    (void)state;
    assert_int_equal(attempt_in(SENSOR, need_jit), ALLOWED);
}

static void stored(void *context, int error, const char *what) {
    (void)what;
    *(int *)context = error == 0 ? 1 : -1;
}

static bool need_store(void) {
    struct store *store = NULL;
    struct why why = {0};
    bool was_damaged = false;
    int done = 0;
    if (store_open(folder, &store, &was_damaged, &why) < 0) {
        fprintf(stderr, "%s\n", why.text);
        return false;
    }
    struct store_batch *batch = store_batch_new();
    struct row_position *row = rows_add(&batch->positions);
    memcpy(row->source, "/a", 3);
    if (store_commit(store, batch, stored, &done) < 0)
        return false;
    while (!done) {
        struct pollfd one = {.fd = store_fd(store), .events = POLLIN};
        if (poll(&one, 1, 20000) <= 0)
            return false;
        store_finished(store);
    }
    store_close(store);
    char path[128];
    snprintf(path, sizeof(path), "%s/orders", folder);
    return done == 1 && file_append_durably(path, SPAN("x")) >= 0 && unlink(path) == 0;
}

static void the_decider_stores_in_its_folder_by_a_thread(void **state) {
    (void)state;
    assert_int_equal(attempt_in(DECIDER, need_store), ALLOWED);
}

/* Asks nf_tables for its generation: an answer comes only to who may administer the network. */
static bool need_netfilter(void) {
    struct {
        struct nlmsghdr head;
        struct nfgenmsg body;
    } question = {.head = {.nlmsg_len = sizeof(question),
                           .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
                           .nlmsg_flags = NLM_F_REQUEST},
                  .body = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0}};
    char answer[4096];
    if (send(prepared, &question, sizeof(question), 0) < 0)
        return false;
    ssize_t got = recv(prepared, answer, sizeof(answer), 0);
    struct nlmsghdr head = {0};
    memcpy(&head, answer, sizeof(head));
    return got > (ssize_t)sizeof(head) &&
           head.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN);
}

static void the_enforcer_still_speaks_to_nftables(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNET) < 0)
            _exit(NOT_ENTERED);
        prepared = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
        _exit(!enter(ENFORCER) ? NOT_ENTERED : need_netfilter() ? ALLOWED : REFUSED);
    }
    assert_int_equal(status_of(child), ALLOWED);
}

/* Every role's daily bread: a channel in a loop, a timer, abort() with its core of information. */
static int on_message(void *context, struct message *message) {
    (void)context;
    (void)message;
    return 0;
}
static int on_end(void *context, int error, const char *what) {
    (void)error;
    (void)what;
    loop_end(context, 0);
    return 0;
}
static int close_other(void *context) {
    shutdown(*(int *)context, SHUT_RDWR);
    return 0;
}

static bool need_loop(void) {
    static const struct channel_calls calls = {on_message, NULL, on_end};
    int ends[2];
    memcpy(ends, (int[2]){prepared, prepared}, sizeof(ends));
    struct loop *loop = loop_new();
    (void)channel_new(loop, prepared, SENSOR, SUPERVISOR, &calls, loop);
    (void)loop_add_timer(loop, 1000, close_other, &ends[0]);
    return loop_run(loop) >= 0;
}

static void every_role_can_loop(void **state) {
    (void)state;
    static const enum role roles[] = {SENSOR, DECIDER, ENFORCER, CHECKER};
    for (size_t i = 0; i < ELEMENTS_OF(roles); i++) {
        int ends[2];
        assert_int_equal(channel_pair(ends), 0);
        prepared = ends[0];
        if (attempt_in(roles[i], need_loop) != ALLOWED)
            fail_msg("%s cannot loop", role_names[roles[i]]);
        close(ends[0]);
        close(ends[1]);
        prepared = -1;
    }
}

static bool need_abort(void) {
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void a_role_that_aborts_is_seen_to_abort(void **state) {
    (void)state;
    assert_int_equal(attempt_in(SENSOR, need_abort), 128 + SIGABRT);
}

/* ---- who may run this ---- */

static void the_sandbox(void **state) {
    (void)state;
    print_message("# becoming the roles' users needs root (CAP_SETUID, CAP_SETGID, CAP_SETPCAP)\n");
    skip();
}

static int begin(void **state) {
    (void)state;
    struct why why = {0};
    char path[128];
    if (sandbox_find_users(64900, &users, &why) < 0)
        return -1;
    memcpy(folder, "/tmp/hauberk-sandbox-XXXXXX", sizeof("/tmp/hauberk-sandbox-XXXXXX"));
    if (!mkdtemp(folder) || chown(folder, users.uid[DECIDER], users.gid[DECIDER]) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/bait", folder);
    cleanup_close int bait = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (bait < 0 || fchown(bait, users.uid[DECIDER], users.gid[DECIDER]) < 0)
        return -1;
    fflush(NULL);
    victim = fork();
    if (victim == 0) {
        if (setgroups(0, NULL) < 0 || setgid(users.gid[SENSOR]) < 0 ||
            setresuid(users.uid[SENSOR], users.uid[SENSOR], users.uid[SENSOR]) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    return 0;
}

static int finish(void **state) {
    (void)state;
    static const char *const left[] = {"bait", "hauberk.db", "hauberk.db-wal", "hauberk.db-shm"};
    char path[128];
    kill(victim, SIGKILL);
    (void)status_of(victim);
    for (size_t i = 0; i < ELEMENTS_OF(left); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* ---- the prober that looks at processes ---- */

static bool reads_a_process(void) {
    char target[64];
    cleanup_close int fd = open("/proc/1/comm", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && readlink("/proc/self/exe", target, sizeof(target)) > 0;
}
static bool opens_for_writing(void) {
    return opens(open("/dev/null", O_WRONLY)) || opens(open("/dev/null", O_RDWR)) ||
           opens(open("/tmp/made-by-a-reader", O_RDONLY | O_CREAT, 0600));
}
static bool changes_names(void) {
    return unlink("/tmp/there-is-none") == 0 || errno != EPERM || mkdir("/tmp/made", 0700) == 0 ||
           errno != EPERM || kill(getppid(), 0) == 0;
}
static bool starts_a_program(void) {
    char name[] = "true";
    char *arguments[] = {name, NULL};
    execv("/bin/true", arguments);
    return true;
}

static void a_reader_of_processes_only_reads(void **state) {
    static const struct {
        bool (*attempt)(void);
        int wanted; /* the exit status; 128 + a signal that ended it */
    } trials[] = {
        {reads_a_process, ALLOWED},       {opens_for_writing, REFUSED}, {changes_names, REFUSED},
        {try_internet, REFUSED},          {try_netlink, REFUSED},
        {starts_a_program, 128 + SIGSYS},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(trials); i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct why why = {0};
            if (sandbox_only_reading(&why) < 0)
                _exit(NOT_ENTERED);
            _exit(trials[i].attempt() ? ALLOWED : REFUSED);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        int is = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (is != trials[i].wanted)
            fail_msg("attempt %zu ended with %d instead of %d", i, is, trials[i].wanted);
    }
}

/* ---- a program that only looks ---- */

static char bait[64];

static int refused_by(int result) {
    return result < 0 ? errno : 0;
}
static int empties_by_name(void) {
    return refused_by(truncate(bait, 0));
}
static int empties_by_opening(void) {
    return refused_by(open(bait, O_RDONLY | O_TRUNC | O_CLOEXEC));
}
static int opens_by_the_newest_call(void) {
    return refused_by((int)syscall(SYS_openat2, AT_FDCWD, bait, NULL, 0));
}
static int opens_to_write(void) {
    return refused_by(open(bait, O_WRONLY | O_CLOEXEC)) ? EACCES : 0;
}
static int changes_mode(void) {
    return refused_by(chmod(bait, 0666));
}
static int changes_mode_of_open(void) {
    return refused_by(fchmod(open(bait, O_RDONLY | O_CLOEXEC), 0666));
}
static int changes_mode_by_the_newest_call(void) {
    return refused_by((int)syscall(452 /* fchmodat2 */, AT_FDCWD, bait, 0666, 0));
}
static int changes_owner(void) {
    return refused_by(chown(bait, 1, 1));
}
static int changes_times(void) {
    return refused_by(utimensat(AT_FDCWD, bait, NULL, 0));
}
static int changes_attributes(void) {
    return refused_by(setxattr(bait, "user.x", "x", 1, 0));
}
static int changes_flags(void) {
    int flags = 0;
    return refused_by(ioctl(open(bait, O_RDONLY | O_CLOEXEC), FS_IOC_SETFLAGS, &flags));
}
static int makes_a_ring(void) {
    return refused_by((int)syscall(425 /* io_uring_setup */, 1, NULL));
}
static int renames(void) {
    return refused_by(rename(bait, "/tmp/hauberk-renamed"));
}
static int removes(void) {
    return refused_by(unlink(bait));
}
static int makes_a_folder(void) {
    return refused_by(mkdir("/tmp/hauberk-made", 0700));
}
static int reads(void) {
    char byte;
    return refused_by((int)read(open(bait, O_RDONLY | O_CLOEXEC), &byte, 1));
}
static int writes_nothing(void) {
    return refused_by(open("/dev/null", O_WRONLY | O_TRUNC | O_CLOEXEC));
}
static int writes_memory(void) {
    int fd = memfd_create("x", MFD_CLOEXEC);
    return refused_by(ftruncate(fd, 100));
}
static int talks(void) {
    return refused_by(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static int runs_a_program(void) {
    char *arguments[] = {(char *)(uintptr_t) "true", NULL};
    pid_t child = fork();
    int status = -1;
    if (child == 0)
        _exit(execv("/bin/true", arguments));
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : EIO;
}

/* EPERM is what seccomp says: whatever landlock there is, it is not what refuses. */
static void a_looker_changes_nothing(void **state) {
    static const struct {
        const char *what;
        int (*attempt)(void);
        int wanted; /* errno, or 0 */
    } trials[] = {
        {"truncate", empties_by_name, EPERM},
        {"opening with O_TRUNC", empties_by_opening, EPERM},
        {"openat2", opens_by_the_newest_call, ENOSYS},
        {"opening to write", opens_to_write, EACCES},
        {"chmod", changes_mode, EPERM},
        {"fchmod", changes_mode_of_open, EPERM},
        {"fchmodat2", changes_mode_by_the_newest_call, ENOSYS},
        {"chown", changes_owner, EPERM},
        {"utimensat", changes_times, EPERM},
        {"setxattr", changes_attributes, EPERM},
        {"FS_IOC_SETFLAGS", changes_flags, EPERM},
        {"io_uring_setup", makes_a_ring, ENOSYS},
        {"rename", renames, EPERM},
        {"unlink", removes, EPERM},
        {"mkdir", makes_a_folder, EPERM},
        {"read", reads, 0},
        {"/dev/null", writes_nothing, 0},
        {"memory", writes_memory, 0},
        {"socket", talks, 0},
        {"a program", runs_a_program, 0},
    };
    (void)state;
    memcpy(bait, "/tmp/hauberk-bait-XXXXXX", sizeof("/tmp/hauberk-bait-XXXXXX"));
    cleanup_close int fd = mkostemp(bait, O_CLOEXEC);
    assert_true(fd >= 0 && write(fd, "bait", 4) == 4);
    for (size_t i = 0; i < ELEMENTS_OF(trials); i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct why why = {0};
            _exit(sandbox_read_only(NULL, &why) < 0 ? 255 : trials[i].attempt());
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != trials[i].wanted)
            fail_msg("%s: %#x instead of %d", trials[i].what, (unsigned)status, trials[i].wanted);
    }
    assert_int_equal(unlink(bait), 0);
}

/* Names may change in a folder that may be written to, and nowhere else. */
static void a_looker_with_a_folder_changes_that(void **state) {
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char inside[100];
        char renamed[100];
        struct why why = {0};
        snprintf(inside, sizeof(inside), "%s/inside", folder);
        snprintf(renamed, sizeof(renamed), "%s/renamed", folder);
        bool is_held = sandbox_read_only(folder, &why) >= 0;
        bool is_written = opens(open(inside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) &&
                          rename(inside, renamed) == 0 && unlink(renamed) == 0;
        _exit(is_held && is_written && chmod(folder, 0777) < 0 &&
              mkdir("/tmp/hauberk-made", 0700) < 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_attempts_work_without_a_sandbox),
        cmocka_unit_test(the_sensor_is_held),
        cmocka_unit_test(the_decider_is_held),
        cmocka_unit_test(the_enforcer_is_held),
        cmocka_unit_test(the_checker_is_held),
        cmocka_unit_test(the_sensor_compiles_and_reads),
        cmocka_unit_test(the_decider_stores_in_its_folder_by_a_thread),
        cmocka_unit_test(the_enforcer_still_speaks_to_nftables),
        cmocka_unit_test(every_role_can_loop),
        cmocka_unit_test(a_role_that_aborts_is_seen_to_abort),
        cmocka_unit_test(a_reader_of_processes_only_reads),
        cmocka_unit_test(a_looker_changes_nothing),
        cmocka_unit_test(a_looker_with_a_folder_changes_that),
    };
    static const struct CMUnitTest skipped[] = {cmocka_unit_test(the_sandbox)};
    hash_open();
    if (geteuid() != 0)
        return cmocka_run_group_tests(skipped, NULL, NULL);
    return cmocka_run_group_tests(tests, begin, finish);
}
