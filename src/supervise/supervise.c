/* hauberkd's life: see supervise.h.
 *
 * One fate. A role that dies, a role that misbehaves, a log that appears and a reload are one
 * thing: the configuration is checked, all roles are ended and started anew. The kernel keeps the
 * bans meanwhile, and positions are exact, so nothing is lost by it. The states are RUNNING,
 * ENDING (all were told to quit, those that linger are killed after a second) and RESTING (waiting
 * out a back-off).
 *
 * Poison. The sensor notes each line before it looks at it. When it dies of something a line could
 * do to it, the noted line is remembered; a line it died at twice is left out from then on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervise/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "wire/inherited.h"

enum { POISON_MAX = 64, DEATHS_TO_POISON = 2 };
#define LINGER_US SECOND_US          /* from QUIT to SIGKILL */
#define PING_EVERY_US SECOND_US
#define SILENCE_US (10 * SECOND_US)  /* without a PONG: killed */
#define HEALTHY_US (60 * SECOND_US)  /* this long alive: the back-off begins anew */
#define LOCK_PATIENCE_US (5 * SECOND_US)

static const int64_t back_off_us[] = {0, 50000, 200000, SECOND_US, 5 * SECOND_US};

enum state { STATE_RUNNING, STATE_ENDING, STATE_RESTING };

struct supervisor {
    const struct supervise_options *options;
    struct loop *loop;
    struct sandbox_users users;
    struct checked_config config;
    struct logs *logs;
    struct child children[ROLES];
    int control_fd, note_fd, lone_peer_fd;
    struct note_page *note;

    enum state state;
    struct watch *linger_timer, *rest_timer, *ping_timer;
    bool is_leaving, lifts, has_said_ready;
    int64_t pinged_us; /* monotonic: when ping_roles() last ran */
    int64_t rest_us;   /* before the next start */
    struct digest logs_digest; /* of the configuration the last logs were made from */
    enum role last_dead;
    int last_death_how;
    uint32_t same_deaths;

    struct {
        struct wire_line line;
        uint32_t deaths;
    } poison[POISON_MAX];
    uint32_t poison_count;
};

static const enum role started_roles[] = {SENSOR, DECIDER, ENFORCER};

static void start_all(struct supervisor *supervisor);
static void end_all(struct supervisor *supervisor, int64_t rest_us);

/* ---- what roles say ---- */

static void tell_role_states(struct supervisor *supervisor) {
    struct channel *decider = supervisor->children[DECIDER].channel;
    if (!decider)
        return;
    for (size_t i = 0; i < ELEMENTS_OF(started_roles); i++) {
        const struct child *child = &supervisor->children[started_roles[i]];
        struct wire_role_state state = {.role = (uint8_t)child->role,
                                        .is_ready = child->is_ready,
                                        .pid = (uint32_t)child->pid,
                                        .restarts = child->restarts,
                                        .since_us = child->started_us};
        wire_set_bytes(state.last_death, span_of(child->last_death));
        (void)channel_send(decider, SAY_ROLE, &state, NULL, 0);
    }
}

static void role_is_ready(struct supervisor *supervisor, struct child *child) {
    child->is_ready = true;
    tell_role_states(supervisor);
    for (size_t i = 0; i < ELEMENTS_OF(started_roles); i++)
        if (!supervisor->children[started_roles[i]].is_ready)
            return;
    if (!supervisor->has_said_ready) {
        log_notice("ready: stored bans are in the kernel, logs are being read");
        supervisor->has_said_ready = true;
    }
    loop_notify("READY=1\nSTATUS=guarding");
}

static void reload(struct supervisor *supervisor) {
    struct why why = {0};
    char text[900];
    struct wire_reloaded answer = {0};
    loop_notify("RELOADING=1");
    int error = check_configuration(supervisor->options, &supervisor->users, &supervisor->config, &why);
    answer.is_good = error >= 0;
    if (error < 0) {
        log_error("the configuration is wrong, the one in force stays: %s",
                  why_format(&why, text, sizeof(text)));
        wire_set_bytes(answer.text, span_of(text));
    } else {
        log_notice("the configuration is good: starting anew");
        wire_set_bytes(answer.text, span_of(supervisor->config.notices));
    }
    if (supervisor->children[DECIDER].channel)
        (void)channel_send(supervisor->children[DECIDER].channel, SAY_RELOADED, &answer, NULL, 0);
    if (error >= 0)
        end_all(supervisor, 0);
    else
        loop_notify("READY=1");
}

static int from_role(struct supervisor *supervisor, struct child *child, struct message *message) {
    if (message->type == SAY_READY) {
        role_is_ready(supervisor, child);
    } else if (message->type == SAY_PONG) {
        child->answered_us = clock_monotonic_us();
    } else if (message->type == SAY_MISBEHAVED) {
        const struct wire_complaint *complaint = message->head;
        log_error("the %s says of the %s: %.*s", role_names[child->role],
                  role_names[complaint->about], SPAN_FORMAT(wire_bytes(complaint->text)));
        end_all(supervisor, back_off_us[1]);
    } else if (message->type == SAY_OPEN) {
        logs_open(supervisor->logs, child->channel, message->head);
    } else if (message->type == SAY_LIST) {
        logs_list(supervisor->logs, child->channel, message->head);
    } else if (message->type == SAY_RELOAD) {
        reload(supervisor);
    }
    return 0;
}

/* One set of callbacks for all roles; which role it is, is where the pointer points. */
struct child_context {
    struct supervisor *supervisor;
    struct child *child;
};
static struct child_context contexts[ROLES];

static int on_message(void *context, struct message *message) {
    struct child_context *at = context;
    return from_role(at->supervisor, at->child, message);
}

static int on_end(void *context, int error, const char *what) {
    struct child_context *at = context;
    if (error == -EPROTO) {
        log_error("the %s %s", role_names[at->child->role], what);
        end_all(at->supervisor, back_off_us[1]);
    }
    return 0; /* its death is told by its pid */
}

/* ---- deaths ---- */

static void remember_poison(struct supervisor *supervisor) {
    struct wire_line line = {.source = (uint16_t)supervisor->note->source,
                             .ordinal = supervisor->note->ordinal};
    if (line.ordinal == 0 || line.source >= SOURCES_MAX)
        return;
    for (uint32_t i = 0; i < supervisor->poison_count; i++)
        if (supervisor->poison[i].line.source == line.source &&
            supervisor->poison[i].line.ordinal == line.ordinal) {
            supervisor->poison[i].deaths++;
            return;
        }
    if (supervisor->poison_count < POISON_MAX) {
        supervisor->poison[supervisor->poison_count].line = line;
        supervisor->poison[supervisor->poison_count++].deaths = 1;
    }
}

static int64_t choose_rest(struct supervisor *supervisor, const struct child *child,
                           const siginfo_t *how) {
    bool is_from_outside = how->si_code != CLD_EXITED && !child->is_silent &&
                           (how->si_status == SIGKILL || how->si_status == SIGTERM);
    if (is_from_outside)
        return 0;
    int64_t lived_us = clock_now_us() - child->started_us;
    bool is_same = supervisor->last_dead == child->role &&
                   supervisor->last_death_how == how->si_status && lived_us < HEALTHY_US;
    supervisor->same_deaths = is_same ? supervisor->same_deaths + 1 : 0;
    supervisor->last_dead = child->role;
    supervisor->last_death_how = how->si_status;
    size_t step = supervisor->same_deaths < ELEMENTS_OF(back_off_us)
                      ? supervisor->same_deaths
                      : ELEMENTS_OF(back_off_us) - 1;
    return back_off_us[step];
}

static bool all_are_dead(const struct supervisor *supervisor) {
    for (size_t i = 0; i < ELEMENTS_OF(started_roles); i++)
        if (supervisor->children[started_roles[i]].pid)
            return false;
    return true;
}

static int rest_is_over(void *context) {
    start_all(context);
    return 0;
}

static void go_on(struct supervisor *supervisor) {
    if (!all_are_dead(supervisor))
        return;
    watch_set_timer(supervisor->linger_timer, -1);
    if (supervisor->is_leaving) {
        loop_end(supervisor->loop, 0);
        return;
    }
    supervisor->state = STATE_RESTING;
    watch_set_timer(supervisor->rest_timer, supervisor->rest_us);
}

static int child_died(void *context, pid_t pid, const siginfo_t *how) {
    struct child_context *at = context;
    struct supervisor *supervisor = at->supervisor;
    struct child *child = at->child;
    (void)pid;
    child->pid = 0;
    child->watch = loop_forget(child->watch);
    child->channel = channel_free(child->channel);
    if (supervisor->state == STATE_RUNNING) {
        char death[121];
        child_describe_death(how, death);
        memcpy(child->last_death, death, sizeof(death));
        child->restarts++;
        log_warning("the %s ended (%s)", role_names[child->role], death);
        if (child->role == SENSOR && child_death_is_crash(child, how))
            remember_poison(supervisor);
        end_all(supervisor, choose_rest(supervisor, child, how));
    }
    if (supervisor->state == STATE_ENDING)
        go_on(supervisor);
    return 0;
}

static int lingered_too_long(void *context) {
    struct supervisor *supervisor = context;
    for (size_t i = 0; i < ELEMENTS_OF(started_roles); i++) {
        struct child *child = &supervisor->children[started_roles[i]];
        if (child->pid)
            kill(child->pid, SIGKILL);
    }
    return 0;
}

static void end_all(struct supervisor *supervisor, int64_t rest_us) {
    if (supervisor->state == STATE_RESTING) {
        if (supervisor->is_leaving)
            go_on(supervisor);
        return;
    }
    supervisor->rest_us = rest_us;
    if (supervisor->state == STATE_ENDING)
        return;
    supervisor->state = STATE_ENDING;
    struct wire_quit quit = {.lift = supervisor->is_leaving && supervisor->lifts};
    for (size_t i = 0; i < ELEMENTS_OF(started_roles); i++) {
        struct child *child = &supervisor->children[started_roles[i]];
        if (child->channel)
            (void)channel_send(child->channel, SAY_QUIT, &quit, NULL, 0);
    }
    watch_set_timer(supervisor->linger_timer, supervisor->is_leaving ? 5 * LINGER_US : LINGER_US);
    go_on(supervisor);
}

/* ---- starting ---- */

static void tell_poison(struct supervisor *supervisor) {
    for (uint32_t i = 0; i < supervisor->poison_count; i++) {
        if (supervisor->poison[i].deaths < DEATHS_TO_POISON)
            continue;
        const struct wire_line *line = &supervisor->poison[i].line;
        (void)channel_send(supervisor->children[SENSOR].channel, SAY_SKIP, line, NULL, 0);
        if (supervisor->poison[i].deaths == DEATHS_TO_POISON)
            (void)channel_send(supervisor->children[DECIDER].channel, SAY_SKIPPED, line, NULL, 0);
        supervisor->poison[i].deaths = DEATHS_TO_POISON + 1;
    }
}

static void tell_enforcer(struct supervisor *supervisor) {
    struct channel *enforcer = supervisor->children[ENFORCER].channel;
    for (uint32_t at = 0; at < supervisor->config.exempt_count; at += 512) {
        uint32_t count = supervisor->config.exempt_count - at;
        (void)channel_send(enforcer, SAY_EXEMPT, NULL, &supervisor->config.exempt[at],
                           count < 512 ? count : 512);
    }
    (void)channel_send(enforcer, SAY_SOURCES_END, NULL, NULL, 0);
}

static int a_log_appeared(void *context) {
    struct supervisor *supervisor = context;
    struct why why = {0};
    char text[900];
    struct checked_config *checked = calloc(1, sizeof(*checked));
    must(checked);
    if (check_configuration(supervisor->options, &supervisor->users, checked, &why) < 0) {
        log_error("a log that was missing is there, but the configuration became wrong: %s. "
                  "Everything goes on without that log",
                  why_format(&why, text, sizeof(text)));
    } else {
        log_notice("a log that was missing is there: starting anew to read it");
        end_all(supervisor, 0);
    }
    free(checked);
    return 0;
}

static bool start_one(struct supervisor *supervisor, enum role role, struct child_fds fds) {
    static const struct channel_calls calls = {.on_message = on_message, .on_end = on_end};
    struct child *child = &supervisor->children[role];
    struct why why = {0};
    int fd = -1;
    child->role = role;
    if (child_start(child, supervisor->options, &supervisor->config.digest, &supervisor->users,
                    &fds, &fd, &why) < 0) {
        char text[900];
        log_error("%s", why_format(&why, text, sizeof(text)));
        return false;
    }
    contexts[role] = (struct child_context){supervisor, child};
    child->watch = loop_add_child(supervisor->loop, child->pid, child_died, &contexts[role]);
    child->channel = channel_new(supervisor->loop, fd, SUPERVISOR, role, &calls, &contexts[role]);
    return true;
}

/* A configuration that became wrong while we ran leaves the one in force: its digest no longer
 * fits what the roles would read, so it is checked before each start and its fault told. */
static bool check_again(struct supervisor *supervisor) {
    struct why why = {0};
    char text[900];
    if (check_configuration(supervisor->options, &supervisor->users, &supervisor->config, &why) >= 0)
        return true;
    log_error("the configuration became wrong: %s. The bans in the kernel stay; it is looked at "
              "again in five seconds",
              why_format(&why, text, sizeof(text)));
    supervisor->state = STATE_RESTING;
    watch_set_timer(supervisor->rest_timer, back_off_us[ELEMENTS_OF(back_off_us) - 1]);
    return false;
}

static void start_all(struct supervisor *supervisor) {
    int events[2];
    int orders[2];
    if (!check_again(supervisor))
        return;
    struct logs *earlier = supervisor->logs;
    /* A log that another configuration names for the first time has a past; one that turns up
     * under the same configuration is new. */
    bool is_same = digest_equals(&supervisor->logs_digest, &supervisor->config.digest);
    supervisor->logs = logs_new(supervisor->loop, &supervisor->config,
                                supervisor->options->journal_folder, is_same ? earlier : NULL,
                                a_log_appeared, supervisor);
    logs_free(earlier);
    supervisor->logs_digest = supervisor->config.digest;
    supervisor->note->ordinal = 0;
    must(channel_pair(events) >= 0 && channel_pair(orders) >= 0);
    supervisor->state = STATE_RUNNING;
    bool started =
        start_one(supervisor, DECIDER,
                  (struct child_fds){{events[0], orders[0], supervisor->control_fd, -1}}) &&
        start_one(supervisor, SENSOR, (struct child_fds){{events[1], supervisor->note_fd, -1, -1}}) &&
        start_one(supervisor, ENFORCER, (struct child_fds){{orders[1], -1, -1, -1}});
    for (int i = 0; i < 2; i++) {
        close(events[i]);
        close(orders[i]);
    }
    if (!started) {
        end_all(supervisor, back_off_us[ELEMENTS_OF(back_off_us) - 1]);
        return;
    }
    tell_poison(supervisor);
    tell_enforcer(supervisor);
    logs_tell_sensor(supervisor->logs, supervisor->children[SENSOR].channel);
    logs_tell_decider(supervisor->logs, supervisor->children[DECIDER].channel);
    tell_role_states(supervisor);
}

/* Somebody has to lift the bans when the roles are down: an enforcer without a decider. */
static void start_enforcer_alone(struct supervisor *supervisor) {
    int orders[2];
    must(channel_pair(orders) >= 0);
    if (start_one(supervisor, ENFORCER, (struct child_fds){{orders[1], -1, -1, -1}}))
        supervisor->state = STATE_RUNNING;
    close(orders[1]);
    supervisor->lone_peer_fd = orders[0]; /* kept open: its end would be taken for a death */
}

/* ---- watching over ---- */

static int ping_roles(void *context) {
    struct supervisor *supervisor = context;
    int64_t now_us = clock_monotonic_us();
    bool all_answer = supervisor->state == STATE_RUNNING;
    /* We ourselves were stopped or busy: nobody is to be blamed for not having been asked. */
    bool was_away = now_us - supervisor->pinged_us > 3 * PING_EVERY_US;
    supervisor->pinged_us = now_us;
    for (size_t i = 0; i < ELEMENTS_OF(started_roles); i++) {
        struct child *child = &supervisor->children[started_roles[i]];
        if (!child->pid || !child->channel)
            continue;
        if (was_away)
            child->answered_us = now_us;
        if (now_us - child->answered_us > SILENCE_US && supervisor->state == STATE_RUNNING) {
            log_error("the %s has not answered for ten seconds; it is killed",
                      role_names[child->role]);
            child->is_silent = true;
            kill(child->pid, SIGKILL);
        }
        all_answer = all_answer && now_us - child->answered_us < 3 * PING_EVERY_US;
        struct wire_nonce nonce = {(uint64_t)now_us};
        (void)channel_send(child->channel, SAY_PING, &nonce, NULL, 0);
    }
    if (all_answer)
        loop_notify("WATCHDOG=1");
    watch_set_timer(supervisor->ping_timer, PING_EVERY_US);
    return 0;
}

static int told_to_end(void *context, int number, pid_t from) {
    (void)from;
    struct supervisor *supervisor = context;
    supervisor->is_leaving = true;
    supervisor->lifts = number == SIGINT;
    loop_notify("STOPPING=1");
    log_notice(supervisor->lifts ? "ending, and letting everybody in again"
                                 : "ending; the bans stay in the kernel");
    if (supervisor->lifts && !supervisor->children[ENFORCER].pid)
        start_enforcer_alone(supervisor);
    end_all(supervisor, 0);
    return 0;
}

static int told_to_reload(void *context, int number, pid_t from) {
    (void)number;
    (void)from;
    reload(context);
    return 0;
}

/* ---- folders, locks, the control socket ---- */

/* Keeps the lock's descriptor open over exec: whoever lives of us holds it. */
static int take_lock(const char *folder, struct why *reterr_why) {
    char path[500];
    char pid[32];
    snprintf(path, sizeof(path), "%.480s/lock", folder);
    /* Held through a descriptor that cannot write: every role inherits it. */
    cleanup_close int writable = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (writable < 0 || fd < 0) {
        int error = errno;
        cleanup_close_fd(&fd);
        return why_set(reterr_why, -error, path, 0, "cannot be made: %s", strerror(error));
    }
    int64_t until_us = clock_monotonic_us() + LOCK_PATIENCE_US;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);
        pid[got > 0 ? strspn(pid, "0123456789") : 0] = '\0';
        if (clock_monotonic_us() > until_us) {
            close(fd);
            return why_set(reterr_why, -EBUSY, folder, 0,
                           "another hauberkd works here (pid %s); end it first", pid);
        }
        poll(NULL, 0, 50); /* flock(2) has no descriptor to wait for, and LOCK_EX no time limit */
    }
    int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(writable, 0) < 0 || pwrite(writable, pid, (size_t)length, 0) != length)
        log_warning("%s cannot be written", path);
    int kept = fcntl(fd, F_DUPFD, ROLE_FD_LOCKS);
    close(fd);
    return kept < 0 ? why_set(reterr_why, -errno, path, 0, "no descriptor for the lock") : 0;
}

static int make_folders(const struct supervisor *supervisor, struct why *reterr_why) {
    const struct supervise_options *options = supervisor->options;
    uid_t uid = supervisor->users.uid[DECIDER];
    gid_t gid = supervisor->users.gid[DECIDER];
    int error = folder_make(options->state_folder, 0700);
    if (error < 0)
        return why_set(reterr_why, error, options->state_folder, 0, "cannot be made: %s",
                       strerror(-error));
    error = folder_make(options->runtime_folder, 0755);
    if (error < 0)
        return why_set(reterr_why, error, options->runtime_folder, 0, "cannot be made: %s",
                       strerror(-error));
    if (uid == (uid_t)-1)
        return 0;
    static const char *const files[] = {"", "/hauberk.db", "/hauberk.db-wal", "/hauberk.db-shm",
                                        "/orders"};
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        char path[500];
        snprintf(path, sizeof(path), "%.460s%s", options->state_folder, files[i]);
        if (lchown(path, uid, gid) < 0 && errno != ENOENT)
            return why_set(reterr_why, -errno, path, 0, "cannot be given to the decider's user");
    }
    return 0;
}

static int make_control_socket(struct supervisor *supervisor, struct why *reterr_why) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (snprintf(name.sun_path, sizeof(name.sun_path), "%s/control",
                 supervisor->options->runtime_folder) >= (int)sizeof(name.sun_path))
        return why_set(reterr_why, -ENAMETOOLONG, supervisor->options->runtime_folder, 0,
                       "is too long for a socket's name (108 bytes); choose another --runtime");
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)unlink(name.sun_path);
    mode_t before = umask(0117);
    int bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&name, sizeof(name));
    int bind_error = errno;
    umask(before);
    if (bound < 0 || listen(fd, 16) < 0)
        return why_set(reterr_why, -bind_error, name.sun_path, 0, "cannot be made: %s",
                       strerror(bind_error));
    gid_t gid = supervisor->users.gid[DECIDER];
    if (gid != (gid_t)-1 && lchown(name.sun_path, 0, gid) < 0)
        return why_set(reterr_why, -errno, name.sun_path, 0, "cannot be given to group hauberk");
    supervisor->control_fd = take_fd(&fd);
    return 0;
}

static int make_note_page(struct supervisor *supervisor) {
    supervisor->note_fd = memfd_create("hauberk-note", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (supervisor->note_fd < 0 ||
        ftruncate(supervisor->note_fd, sizeof(*supervisor->note)) < 0 ||
        fcntl(supervisor->note_fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    supervisor->note = mmap(NULL, sizeof(*supervisor->note), PROT_READ | PROT_WRITE, MAP_SHARED,
                            supervisor->note_fd, 0);
    return supervisor->note == MAP_FAILED ? -errno : 0;
}

static int prepare(struct supervisor *supervisor, struct why *reterr_why) {
    int error = sandbox_find_users(supervisor->options->uid_base, &supervisor->users, reterr_why);
    if (error >= 0)
        error = make_folders(supervisor, reterr_why);
    if (error >= 0)
        error = take_lock(supervisor->options->state_folder, reterr_why);
    if (error >= 0)
        error = take_lock(supervisor->options->runtime_folder, reterr_why);
    if (error >= 0)
        error = check_configuration(supervisor->options, &supervisor->users, &supervisor->config, reterr_why);
    if (error >= 0)
        error = make_control_socket(supervisor, reterr_why);
    if (error >= 0)
        error = make_note_page(supervisor);
    return error;
}

int supervise_run(const struct supervise_options *options) {
    static struct supervisor supervisor;
    struct why why = {0};
    char text[900];
    supervisor.options = options;
    supervisor.control_fd = supervisor.note_fd = -1;
    if (prepare(&supervisor, &why) < 0) {
        log_error("%s", why_format(&why, text, sizeof(text)));
        return 1;
    }
    if (supervisor.config.notices[0])
        log_notice("%s", supervisor.config.notices);
    if (supervisor.users.are_numeric)
        log_notice("the users hauberk, hauberk-sensor and hauberk-enforcer do not exist: running "
                   "with the unused numeric ids %u, %u and %u",
                   supervisor.users.uid[DECIDER], supervisor.users.uid[SENSOR],
                   supervisor.users.uid[ENFORCER]);
    supervisor.loop = loop_new();
    (void)signal(SIGPIPE, SIG_IGN);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    must(sigprocmask(SIG_BLOCK, &children, NULL) == 0);
    (void)loop_add_signal(supervisor.loop, SIGTERM, told_to_end, &supervisor);
    (void)loop_add_signal(supervisor.loop, SIGINT, told_to_end, &supervisor);
    (void)loop_add_signal(supervisor.loop, SIGHUP, told_to_reload, &supervisor);
    supervisor.linger_timer = loop_add_timer(supervisor.loop, -1, lingered_too_long, &supervisor);
    supervisor.rest_timer = loop_add_timer(supervisor.loop, -1, rest_is_over, &supervisor);
    supervisor.ping_timer =
        loop_add_timer(supervisor.loop, PING_EVERY_US, ping_roles, &supervisor);
    start_all(&supervisor);
    int result = loop_run(supervisor.loop);
    char socket_path[300];
    snprintf(socket_path, sizeof(socket_path), "%.280s/control", options->runtime_folder);
    (void)unlink(socket_path);
    return result < 0 ? 1 : 0;
}
