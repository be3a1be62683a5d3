/* Dropping rights: see sandbox.h. In order: user and capabilities (libcap-ng), no new privileges,
 * landlock (files; TCP where the kernel knows it), seccomp (system calls, last because the steps
 * before it need calls it forbids).
 *
 * A call that is not on a role's list fails with EPERM: a libc of another release that tries
 * something new then gets an answer it can live with. What no role ever has a reason to try
 * (executing a program, tracing another) kills it.
 *
 * To find a missing call: run the role under strace -f and look for EPERM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/log.h"

/* Every role: memory, time, its descriptors, its loop, its end. */
static const char *const calls_common[] = {
    "read", "write", "readv", "writev", "close", "recvmsg", "recvfrom", "sendmsg", "sendto",
    "recvmmsg", "getsockopt", "setsockopt", "getsockname", "shutdown",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
    "select", "pselect6", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime",
    "signalfd4", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait",
    "sigaltstack", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "futex", "futex_waitv", "brk", "munmap", "mremap", "madvise",
    "exit", "exit_group", "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid",
    "getrandom", "restart_syscall", "sched_yield", "sched_getaffinity", "getrusage", "getcpu",
    "rseq", "set_robust_list", "membarrier", "fcntl", "dup", "fstat", "lseek", "sysinfo", "uname",
};

static const char *const calls_sensor[] = {"pread64", "newfstatat"};

/* SQLite's files in the state folder (landlock holds it there), the store thread, the control
 * socket's clients, mails for hauberkd to send. */
static const char *const calls_decider[] = {
    "openat",    "open",      "pread64",    "pwrite64", "fsync",   "fdatasync", "ftruncate",
    "unlink",    "unlinkat",  "rename",     "renameat", "access",  "faccessat", "faccessat2",
    "stat",      "lstat",     "newfstatat", "statx",    "fchmod",  "fchown",    "getcwd",
    "readlink",  "readlinkat", "mkdir",     "getdents64", "fallocate", "umask", "accept4",
    "utimensat", "flock",     "statfs",     "fstatfs",    "memfd_create",
};

static const char *const calls_enforcer[] = {NULL};

static const struct right {
    const char *user; /* the account the package makes */
    bool net_admin;   /* keeps CAP_NET_ADMIN, and nothing else */
    bool may_run_jit; /* may map executable memory: PCRE2's compiler needs it */
    bool may_thread;
    const char *const *calls;
    size_t call_count;
} rights[ROLES] = {
    [SENSOR] = {"hauberk-sensor", false, true, false, calls_sensor, ELEMENTS_OF(calls_sensor)},
    [DECIDER] = {"hauberk", false, false, true, calls_decider, ELEMENTS_OF(calls_decider)},
    [ENFORCER] = {"hauberk-enforcer", true, false, false, calls_enforcer, 0},
    [CHECKER] = {"hauberk-sensor", false, false, false, NULL, 0},
};

static int become(uid_t uid, gid_t gid, bool keeps_net_admin, struct why *reterr_why) {
    if (uid == (uid_t)-1)
        return 0;
    capng_clear(CAPNG_SELECT_BOTH);
    if (keeps_net_admin)
        capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN, -1);
    int result = capng_change_id((int)uid, (int)gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
    if (result < 0)
        return why_set(reterr_why, -EPERM, NULL, 0,
                       "cannot become user %u with group %u (libcap-ng says %d); hauberkd must be "
                       "started as root with CAP_SETUID, CAP_SETGID and CAP_SETPCAP",
                       uid, gid, result);
    if (getuid() != uid || geteuid() != uid || setuid(0) == 0)
        return why_set(reterr_why, -EPERM, NULL, 0, "user %u can still become root", uid);
    return 0;
}

int sandbox_become(uid_t uid, gid_t gid, struct why *reterr_why) {
    return become(uid, gid, false, reterr_why);
}

/* Landlock, by system call: no library is packaged. Rights by ABI as in landlock(7); the numbers
 * newer than Debian 12's header are spelled out. */
enum { ABI_NETWORK = 4, ABI_SCOPES = 6 };
#define FILE_TRUNCATE (UINT64_C(1) << 14)
struct ruleset_attributes {
    uint64_t files, network, scopes;
};

static const uint64_t file_rights_by_abi[] = {
    0, (UINT64_C(1) << 13) - 1, (UINT64_C(1) << 14) - 1, (UINT64_C(1) << 15) - 1,
    (UINT64_C(1) << 15) - 1, (UINT64_C(1) << 16) - 1,
};

static int allow_path(int ruleset, const char *path, uint64_t rights_wanted) {
    cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct landlock_path_beneath_attr beneath = {rights_wanted, fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        return -errno;
    return 0;
}

/* The version the kernel has: 0 when it has none, or a container forbids it; the other walls
 * stand then. */
static int landlock_version(long *ret_abi, struct why *reterr_why) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) {
        log_warning("landlock is not to be had here (%s)", strerror(errno));
        abi = 0;
    } else if (abi <= 0) {
        return why_set(reterr_why, -errno, NULL, 0, "landlock does not answer");
    }
    *ret_abi = abi;
    return 0;
}

static uint64_t file_rights(long abi) {
    size_t known = ELEMENTS_OF(file_rights_by_abi) - 1;
    return file_rights_by_abi[(size_t)abi < known ? (size_t)abi : known];
}

static uint64_t without_devices(uint64_t rights_known) {
    return rights_known & ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                      LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM);
}

static int enter_landlock(const struct sandbox_wish *wish, struct why *reterr_why) {
    long abi;
    int error = landlock_version(&abi, reterr_why);
    if (error < 0 || abi == 0)
        return error;
    struct ruleset_attributes attributes = {.files = file_rights(abi)};
    size_t size = sizeof(attributes.files);
    if (abi >= ABI_NETWORK) {
        attributes.network = 3; /* TCP bind and connect */
        size = offsetof(struct ruleset_attributes, scopes);
    }
    if (abi >= ABI_SCOPES) {
        attributes.scopes = 3; /* abstract sockets and signals to others */
        size = sizeof(attributes);
    }
    cleanup_close int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0)
        return why_set(reterr_why, -errno, NULL, 0, "landlock refuses a rule set (ABI %ld)", abi);
    if (wish->writable_folder) {
        error = allow_path(ruleset, wish->writable_folder, without_devices(attributes.files));
        if (error < 0)
            return why_set(reterr_why, error, wish->writable_folder, 0,
                           "cannot be reached by user %u (%s): every folder above it must let "
                           "others through (chmod o+x), or give another one",
                           wish->uid, strerror(-error));
    }
    if (wish->readable_folder) {
        error = allow_path(ruleset, wish->readable_folder,
                           LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
        if (error < 0)
            return why_set(reterr_why, error, wish->readable_folder, 0, "cannot be read: %s",
                           strerror(-error));
    }
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return why_set(reterr_why, -errno, NULL, 0, "landlock does not take effect");
    return 0;
}

int sandbox_own_tmp(struct why *reterr_why) {
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=16m,mode=0700") < 0)
        return why_set(reterr_why, -errno, "/tmp", 0, "none of our own is to be had: %s",
                       strerror(errno));
    return 0;
}

static int allow_calls(scmp_filter_ctx filter, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number == __NR_SCMP_ERROR)
            continue; /* not on this architecture, or newer than this libseccomp */
        int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        if (error < 0)
            return error;
    }
    return 0;
}

static int allow_memory(scmp_filter_ctx filter, const struct right *right) {
    static const char *const both[] = {"mmap", "mprotect"};
    if (right->may_run_jit)
        return allow_calls(filter, both, ELEMENTS_OF(both));
    int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (error < 0)
        return error;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int allow_threads(scmp_filter_ctx filter, const struct right *right) {
    /* glibc tries clone3 first, whose flags a filter cannot see; ENOSYS sends it to clone. */
    int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (error < 0 || !right->may_thread)
        return error;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

/* abort() and getrlimit(), but only of ourselves: the sensor and the checker are one user. */
static int allow_ourselves(scmp_filter_ctx filter) {
    int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (error < 0)
        return error;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                            SCMP_A0(SCMP_CMP_EQ, 0));
}

static int deny_deadly(scmp_filter_ctx filter) {
    static const char *const deadly[] = {"execve", "execveat", "ptrace", "process_vm_writev",
                                         "init_module", "kexec_load", "bpf"};
    for (size_t i = 0; i < ELEMENTS_OF(deadly); i++) {
        int number = seccomp_syscall_resolve_name(deadly[i]);
        int error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, number, 0);
        if (error < 0)
            return error;
    }
    return 0;
}

/* Opening without any of these flags; `never`: 0 when openat is none of these calls' affair. */
static int allow_opening(scmp_filter_ctx filter, uint64_t never) {
    return never ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, never, 0))
                 : 0;
}

static int enter_seccomp(const struct right *right, uint64_t opens_without,
                         struct why *reterr_why) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return why_set(reterr_why, -ENOMEM, NULL, 0, "seccomp gives no filter");
    int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
    if (error == -EOPNOTSUPP || error == -EINVAL)
        error = 0;
    if (error >= 0)
        error = allow_calls(filter, calls_common, ELEMENTS_OF(calls_common));
    if (error >= 0)
        error = allow_calls(filter, right->calls, right->call_count);
    if (error >= 0)
        error = allow_opening(filter, opens_without);
    if (error >= 0)
        error = allow_memory(filter, right);
    if (error >= 0)
        error = allow_threads(filter, right);
    if (error >= 0)
        error = allow_ourselves(filter);
    if (error >= 0)
        error = deny_deadly(filter);
    if (error >= 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "the seccomp filter cannot be loaded");
    return 0;
}

int sandbox_enter(const struct sandbox_wish *wish, struct why *reterr_why) {
    const struct right *right = &rights[wish->role];
    must(right->user);
    tzset(); /* the zone's file is out of reach from here on */
    int error = become(wish->uid, wish->gid, right->net_admin, reterr_why);
    if (error < 0)
        return error;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return why_set(reterr_why, -errno, NULL, 0, "cannot give up new privileges");
    error = enter_landlock(wish, reterr_why);
    if (error < 0)
        return error;
    return enter_seccomp(right, 0, reterr_why);
}

/* 1 found, 0 no such account, -errno. */
static int find_account(const char *name, uid_t *ret_uid, gid_t *ret_gid) {
    char buffer[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    int error = getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);
    if (error != 0 && error != ENOENT)
        return -error;
    if (!found)
        return 0;
    *ret_uid = entry.pw_uid;
    *ret_gid = entry.pw_gid;
    return 1;
}

static bool id_is_owned(uid_t id) {
    char buffer[4096];
    struct passwd entry;
    struct passwd *user = NULL;
    struct group group_entry;
    struct group *group = NULL;
    (void)getpwuid_r(id, &entry, buffer, sizeof(buffer), &user);
    if (user)
        return true;
    (void)getgrgid_r((gid_t)id, &group_entry, buffer, sizeof(buffer), &group);
    return group != NULL;
}

int sandbox_find_users(uid_t base, struct sandbox_users *ret_users, struct why *reterr_why) {
    static const enum role order[] = {DECIDER, SENSOR, ENFORCER};
    struct sandbox_users users = {0};
    if (geteuid() != 0) {
        for (int role = 0; role < ROLES; role++) {
            users.uid[role] = (uid_t)-1;
            users.gid[role] = (gid_t)-1;
        }
        *ret_users = users;
        return 0;
    }
    unsigned found = 0;
    for (size_t i = 0; i < ELEMENTS_OF(order); i++) {
        int one = find_account(rights[order[i]].user, &users.uid[order[i]], &users.gid[order[i]]);
        if (one < 0)
            return why_set(reterr_why, one, NULL, 0, "cannot look up the user %s",
                           rights[order[i]].user);
        found += (unsigned)one;
    }
    if (found != 0 && found != ELEMENTS_OF(order))
        return why_set(reterr_why, -ENOENT, NULL, 0,
                       "of the users hauberk, hauberk-sensor and hauberk-enforcer only some exist; "
                       "make the missing ones (systemd-sysusers) or remove the others");
    users.are_numeric = found == 0;
    uid_t id = base;
    for (size_t i = 0; users.are_numeric && i < ELEMENTS_OF(order); i++) {
        while (id_is_owned(id))
            if (++id > base + 1000)
                return why_set(reterr_why, -EAGAIN, NULL, 0,
                               "no unused numeric ids from %u upwards; give others with --uids",
                               base);
        users.uid[order[i]] = id;
        users.gid[order[i]] = (gid_t)id;
        id++;
    }
    users.uid[CHECKER] = users.uid[SENSOR];
    users.gid[CHECKER] = users.gid[SENSOR];
    *ret_users = users;
    return 0;
}

static int hold_files(const char *writable_folder, struct why *reterr_why) {
    long abi;
    int error = landlock_version(&abi, reterr_why);
    if (error < 0 || abi == 0)
        return error;
    struct ruleset_attributes attributes = {.files = file_rights(abi)};
    cleanup_close int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.files), 0);
    if (ruleset < 0)
        return why_set(reterr_why, -errno, NULL, 0, "landlock refuses a rule set (ABI %ld)", abi);
    error = allow_path(ruleset, "/",
                       LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                           LANDLOCK_ACCESS_FS_READ_DIR);
    if (error >= 0)
        error = allow_path(ruleset, "/dev/null",
                           attributes.files & (LANDLOCK_ACCESS_FS_READ_FILE |
                                               LANDLOCK_ACCESS_FS_WRITE_FILE | FILE_TRUNCATE));
    if (error >= 0 && writable_folder)
        error = allow_path(ruleset, writable_folder, without_devices(attributes.files));
    if (error < 0)
        return why_set(reterr_why, error, writable_folder, 0, "landlock refuses to let it be: %s",
                       strerror(-error));
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return why_set(reterr_why, -errno, NULL, 0, "landlock does not take effect");
    return 0;
}

/* What landlock leaves open, by the system calls that do it: modes, owners, times, attributes and
 * flags on every kernel, emptying a file before Linux 6.2 (ABI 3; Debian 12 has 6.1), and what
 * io_uring would do past this filter. The newest have numbers because an older libseccomp does not
 * know their names; they are the same on every architecture. */
static const char *const calls_on_files[] = {
    "truncate",  "truncate64", "chmod",       "fchmod",       "fchmodat",     "chown",
    "chown32",   "fchown",     "fchown32",    "lchown",       "lchown32",     "fchownat",
    "utime",     "utimes",     "futimesat",   "utimensat",    "utimensat_time64",
    "setxattr",  "lsetxattr",  "fsetxattr",   "removexattr",  "lremovexattr", "fremovexattr",
};
static const int new_calls_on_files[] = {
    425 /* io_uring_setup */, 437 /* openat2 */,      452 /* fchmodat2 */,
    463 /* setxattrat */,     466 /* removexattrat */, 469 /* file_setattr */,
};

/* Where there is landlock, it refuses these, too. */
static const char *const calls_on_folders[] = {
    "rename",  "renameat", "renameat2", "unlink", "unlinkat", "rmdir",   "link",       "linkat",
    "symlink", "symlinkat", "mkdir",    "mkdirat", "mknod",   "mknodat", "mount",      "umount2",
    "pivot_root", "swapon", "swapoff",
};

static int deny_calls(scmp_filter_ctx filter, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        int error = number < 0 ? 0 /* not on this architecture */
                               : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
        if (error < 0)
            return error;
    }
    return 0;
}

static int deny_new_calls(scmp_filter_ctx filter) {
    for (size_t i = 0; i < ELEMENTS_OF(new_calls_on_files); i++) {
        /* As on a kernel that does not know it: whoever tries falls back on the older ones. */
        int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), new_calls_on_files[i], 0);
        if (error < 0)
            return error;
    }
    return 0;
}

/* Opened for reading and emptied by that: to landlock's older versions it is reading. */
static int deny_emptying(scmp_filter_ctx filter) {
    enum { ASKED = O_ACCMODE | O_TRUNC, EMPTIES = O_RDONLY | O_TRUNC };
    int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, ASKED, EMPTIES));
    if (error < 0 || SCMP_SYS(open) < 0)
        return error;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, ASKED, EMPTIES));
}

/* chattr(1) and freezing need no more than a file that is open for reading. */
static int deny_flags(scmp_filter_ctx filter) {
    static const unsigned requests[] = {FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS, FS_IOC_FSSETXATTR,
                                        FIFREEZE, FITHAW};
    for (size_t i = 0; i < ELEMENTS_OF(requests); i++) {
        int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
        if (error < 0)
            return error;
    }
    return 0;
}

static int hold_calls(bool may_change_folders, struct why *reterr_why) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return why_set(reterr_why, -ENOMEM, NULL, 0, "seccomp gives no filter");
    int error = deny_calls(filter, calls_on_files, ELEMENTS_OF(calls_on_files));
    if (error >= 0)
        error = deny_new_calls(filter);
    if (error >= 0)
        error = deny_emptying(filter);
    if (error >= 0)
        error = deny_flags(filter);
    if (error >= 0 && !may_change_folders)
        error = deny_calls(filter, calls_on_folders, ELEMENTS_OF(calls_on_folders));
    if (error >= 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    if (error < 0)
        return why_set(reterr_why, error, NULL, 0, "the seccomp filter cannot be loaded");
    return 0;
}

int sandbox_read_only(const char *writable_folder, struct why *reterr_why) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return why_set(reterr_why, -errno, NULL, 0, "the kernel knows no no_new_privs");
    int error = hold_files(writable_folder, reterr_why);
    return error < 0 ? error : hold_calls(writable_folder != NULL, reterr_why);
}

/* As landlock lets nobody look at a process outside its domain (ptrace(2), "landlock" in
 * security/landlock/ptrace.c), a looker at processes is held by its system calls alone: it opens
 * for reading only, makes no socket and no program. */
int sandbox_only_reading(struct why *reterr_why) {
    static const char *const calls[] = {"pread64",   "newfstatat", "statx",  "stat",
                                        "lstat",     "readlink",   "readlinkat", "getdents64",
                                        "access",    "faccessat",  "faccessat2", "statfs",
                                        "fstatfs",   "getcwd"};
    static const struct right reader = {"", false, false, false, calls, ELEMENTS_OF(calls)};
    enum { WRITES = O_ACCMODE | O_CREAT | O_TRUNC };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return why_set(reterr_why, -errno, NULL, 0, "the kernel knows no no_new_privs");
    return enter_seccomp(&reader, WRITES, reterr_why);
}
