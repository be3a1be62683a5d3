/* hauberkd's life: see supervise.h.
 *
 * One fate. A role that dies, a role that misbehaves, a log that appears and a reload are one
 * thing: the configuration is checked, all roles are ended and started anew. The kernel keeps the
 * bans meanwhile, and positions are exact, so nothing is lost by it. The states are RUNNING,
 * ENDING (all were told to quit, those that linger are killed after a second) and RESTING (waiting
 * out a back-off).
 *
 * Faults. Whatever goes wrong by itself, a death or a broken rule, waits longer the more often it
 * follows within a minute of the start before. Whose fault it was does not matter for that: two
 * roles of different builds name each other in turn.
 *
 * Poison. The sensor notes each line before it looks at it. When it dies of something a line could
 * do to it, the noted line is remembered; a line it died at twice is left out from then on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervise/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "supervise/mails.h"
#include "supervise/premises.h"
#include "wire/inherited.h"

enum { FAULTS_TO_GIVE_UP = 3 };
#define LINGER_US SECOND_US          /* from QUIT to SIGKILL */
#define PING_EVERY_US SECOND_US
#define SILENCE_US (10 * SECOND_US)  /* without a PONG: killed */
#define HEALTHY_US (60 * SECOND_US)  /* this long alive: the back-off begins anew */
#define BOUNCERS_EVERY_US MINUTE_US
#define GONE_PATIENCE_US SECOND_US   /* from "its end is closed" to "it lives on": time to die */
#define TOLD_REST_US (200 * INT64_C(1000)) /* rests from here on are told to who asks */
/* The sensor's questions may take so much of our time: it is the one that attackers talk to, and
 * what others do to a log makes it ask. */
#define QUESTIONS_PER_US SECOND_US
#define QUESTIONS_MOST_US (300 * INT64_C(1000))

static const int64_t back_off_us[] = {0, 50000, 200000, SECOND_US, 5 * SECOND_US};

enum state { STATE_RUNNING, STATE_ENDING, STATE_RESTING };

struct supervisor {
    const struct supervise_options *options;
    struct loop *loop;
    struct sandbox_users users;
    struct in_force in_force;
    struct logs *logs;
    struct child children[ROLES];
    int control_fd, note_fd, lone_peer_fd;
    struct note_page *note;

    enum state state;
    struct watch *linger_timer, *rest_timer, *ping_timer;
    bool is_leaving, lifts, has_said_ready, gives_up;
    int64_t pinged_us; /* monotonic: when ping_roles() last ran */
    int64_t rest_us;   /* before the next start */
    struct digest logs_digest; /* of the configuration the last logs were made from */
    int64_t all_started_us;    /* monotonic */
    uint32_t faults;           /* in a row, each within HEALTHY_US of the start before */
    struct watch *gone_timer;  /* armed: the end of that role's wire is closed, but does it live? */
    enum role gone;
    uint32_t bouncers; /* as last told */
    int64_t bouncers_seen_us;
    int64_t questions_since_us, questions_took_us;
    struct watch *questions_timer; /* armed: they took too long, and wait */
    bool questions_are_told;
    struct deaths deaths;
    struct poisons poisons;
    struct mails *mails;
};

static const enum role started_roles[] = {SENSOR, DECIDER, ENFORCER};

static void start_all(struct supervisor *supervisor);
static void end_all(struct supervisor *supervisor, int64_t rest_us);

static const char *told_death(const struct supervisor *supervisor, enum role role) {
    const char *death = supervisor->children[role].last_death;
    return death[0] ? death : "well";
}

/* Of every kind of death: also of those that somebody from outside, the kernel out of memory say,
 * brings about again and again. */
static void count_death(struct supervisor *supervisor) {
    char how[500];
    if (!deaths_count(&supervisor->deaths, clock_monotonic_us()))
        return;
    snprintf(how, sizeof(how), "How they ended last: sensor %s, decider %s, enforcer %s.",
             told_death(supervisor, SENSOR), told_death(supervisor, DECIDER),
             told_death(supervisor, ENFORCER));
    deaths_tell(supervisor->mails, &supervisor->in_force.checked, how);
}

static int64_t rest_after_fault(struct supervisor *supervisor) {
    bool is_another = clock_monotonic_us() - supervisor->all_started_us < HEALTHY_US;
    supervisor->faults = is_another ? supervisor->faults + 1 : 1;
    supervisor->in_force.is_doubted = supervisor->faults > 1;
    size_t step = supervisor->faults - 1;
    return back_off_us[step < ELEMENTS_OF(back_off_us) ? step : ELEMENTS_OF(back_off_us) - 1];
}

/* Not a death, but it ends in the same way. */
static void end_for_fault(struct supervisor *supervisor, struct child *child, const char *what) {
    if (supervisor->state != STATE_RUNNING)
        return;
    snprintf(child->last_death, sizeof(child->last_death), "%.120s", what);
    child->restarts++;
    count_death(supervisor);
    end_all(supervisor, rest_after_fault(supervisor));
}

/* RUNTIME/resting: for the command line, which gets no answer while no decider runs. */
static void tell_rest(const struct supervisor *supervisor, const char *sentence) {
    char path[500];
    snprintf(path, sizeof(path), "%.480s/resting", supervisor->options->runtime_folder);
    (void)unlink(path);
    cleanup_close int fd =
        sentence ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;
    if (fd >= 0)
        (void)!write_all(fd, span_of(sentence));
}

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
    tell_rest(supervisor, NULL);
    loop_notify(
        supervisor->in_force.disk_fault[0]
            ? "READY=1\nSTATUS=guarding by an earlier configuration; the one on disk is wrong"
            : "READY=1\nSTATUS=guarding");
}

static void tell_bouncers(struct supervisor *supervisor) {
    struct wire_bouncers told = {.running = bouncers_running()};
    supervisor->bouncers = told.running;
    supervisor->bouncers_seen_us = clock_monotonic_us();
    (void)channel_send(supervisor->children[DECIDER].channel, SAY_OTHER_BOUNCERS, &told, NULL, 0);
}

static void tell_in_force(struct supervisor *supervisor) {
    const struct in_force *in_force = &supervisor->in_force;
    struct wire_in_force told = {.digest = in_force->checked.digest,
                                 .since_us = in_force->since_us,
                                 .disk_is_wrong = in_force->disk_fault[0] != '\0'};
    wire_set_bytes(told.text, span_of(in_force->disk_fault));
    if (supervisor->children[DECIDER].channel)
        (void)channel_send(supervisor->children[DECIDER].channel, SAY_IN_FORCE, &told, NULL, 0);
}

/* Looks at the disk. A configuration that is wrong there leaves the one in force in force, loudly:
 * false with the fault in `text`. */
static bool renew(struct supervisor *supervisor, char text[900]) {
    struct why why = {0};
    struct in_force *in_force = &supervisor->in_force;
    char since[CLOCK_TEXT_MAX];
    if (in_force_renew(in_force, supervisor->options, &supervisor->users, &why) >= 0)
        return true;
    (void)why_format(&why, text, 900);
    if (in_force->is_there && in_force->is_copied)
        log_error("the configuration on disk is wrong, the one of %s stays in force: %s",
                  clock_format_local(in_force->since_us, clock_now_us(), since), text);
    else
        log_error("the configuration became wrong: %s. The bans in the kernel stay", text);
    return false;
}

static void reload(struct supervisor *supervisor) {
    char text[900];
    struct wire_reloaded answer = {0};
    loop_notify("RELOADING=1");
    answer.is_good = renew(supervisor, text);
    answer.digest = supervisor->in_force.checked.digest;
    if (answer.is_good)
        log_notice("the configuration is good: starting anew");
    wire_set_bytes(answer.text,
                   span_of(answer.is_good ? supervisor->in_force.checked.notices : text));
    tell_in_force(supervisor);
    if (supervisor->children[DECIDER].channel)
        (void)channel_send(supervisor->children[DECIDER].channel, SAY_RELOADED, &answer, NULL, 0);
    if (answer.is_good)
        end_all(supervisor, 0);
    else
        loop_notify("READY=1");
}

/* ---- the sensor's questions ---- */

/* Its next one waits while it does not take our answers (each holds a descriptor), or while they
 * cost too much. */
static void let_sensor_ask(struct supervisor *supervisor) {
    struct channel *sensor = supervisor->children[SENSOR].channel;
    if (sensor)
        channel_pause(sensor, watch_is_armed(supervisor->questions_timer) ||
                                  !channel_is_clear(sensor));
}

static int questions_may_go_on(void *context) {
    struct supervisor *supervisor = context;
    supervisor->questions_took_us = 0;
    supervisor->children[SENSOR].answered_us = clock_monotonic_us(); /* its PONGs waited too */
    let_sensor_ask(supervisor);
    return 0;
}

static void answer_sensor(struct supervisor *supervisor, struct child *child,
                          const struct message *message) {
    int64_t began_us = clock_monotonic_us();
    if (message->type == SAY_OPEN) {
        logs_open(supervisor->logs, child->channel, message->head);
        if (supervisor->children[DECIDER].channel)
            logs_tell_faults(supervisor->logs, supervisor->children[DECIDER].channel, false);
    } else {
        logs_list(supervisor->logs, child->channel, message->head);
    }
    int64_t ended_us = clock_monotonic_us();
    if (ended_us - supervisor->questions_since_us > QUESTIONS_PER_US) {
        supervisor->questions_since_us = began_us;
        supervisor->questions_took_us = 0;
    }
    supervisor->questions_took_us += ended_us - began_us;
    if (supervisor->questions_took_us > QUESTIONS_MOST_US) {
        if (!supervisor->questions_are_told)
            log_warning("the sensor asks for files so often that it has to wait now and then");
        supervisor->questions_are_told = true;
        watch_set_timer(supervisor->questions_timer, QUESTIONS_PER_US);
    }
    let_sensor_ask(supervisor);
}

/* ---- a role that breaks the rules, or closes its end and lives on ---- */

static int gone_role_lives(void *context) {
    struct supervisor *supervisor = context;
    struct child *child = &supervisor->children[supervisor->gone];
    if (supervisor->state != STATE_RUNNING || !child->pid)
        return 0;
    log_error("the %s has closed its end of a wire, but lives on; it is killed",
              role_names[child->role]);
    kill(child->pid, SIGKILL);
    end_for_fault(supervisor, child, "closed its wire");
    return 0;
}

static void complained(struct supervisor *supervisor, const struct child *child,
                       const struct wire_complaint *complaint) {
    if (supervisor->state != STATE_RUNNING || complaint->about == child->role)
        return;
    if (complaint->is_gone) {
        if (!watch_is_armed(supervisor->gone_timer)) {
            supervisor->gone = complaint->about;
            watch_set_timer(supervisor->gone_timer, GONE_PATIENCE_US);
        }
        return;
    }
    log_error("the %s says of the %s: %.*s", role_names[child->role],
              role_names[complaint->about], SPAN_FORMAT(wire_bytes(complaint->text)));
    end_for_fault(supervisor, &supervisor->children[complaint->about], "broke the wire's rules");
}

/* ---- the owner is told ---- */

static void take_mail(struct supervisor *supervisor, struct child *child, struct message *message) {
    if (mails_take(supervisor->mails, message->head, take_fd(&message->fd),
                   supervisor->in_force.checked.notify_command) < 0)
        end_for_fault(supervisor, child, "sent a mail that is none");
}

static void mail_is_done(void *context, const struct wire_mailed *mailed) {
    struct supervisor *supervisor = context;
    if (mailed->ticket == DEATHS_TICKET) {
        if (mailed->is_sent)
            deaths_were_told(&supervisor->deaths, clock_monotonic_us());
        else
            log_warning("the owner cannot be told that processes die: %.*s",
                        SPAN_FORMAT(wire_bytes(mailed->text)));
    } else if (supervisor->children[DECIDER].channel) {
        (void)channel_send(supervisor->children[DECIDER].channel, SAY_MAILED, mailed, NULL, 0);
    }
}

static int from_role(struct supervisor *supervisor, struct child *child, struct message *message) {
    if (message->type == SAY_READY) {
        role_is_ready(supervisor, child);
    } else if (message->type == SAY_PONG) {
        child->answered_us = clock_monotonic_us();
    } else if (message->type == SAY_MISBEHAVED) {
        complained(supervisor, child, message->head);
    } else if (message->type == SAY_OPEN || message->type == SAY_LIST) {
        answer_sensor(supervisor, child, message);
    } else if (message->type == SAY_RELOAD) {
        reload(supervisor);
    } else if (message->type == SAY_MAIL) {
        take_mail(supervisor, child, message);
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

static int on_clear(void *context) {
    struct child_context *at = context;
    if (at->child->role == SENSOR)
        let_sensor_ask(at->supervisor);
    return 0;
}

static int on_end(void *context, int error, const char *what) {
    struct child_context *at = context;
    if (error == -EPROTO) {
        log_error("the %s %s", role_names[at->child->role], what);
        end_for_fault(at->supervisor, at->child, what);
    }
    return 0; /* its death is told by its pid; if it lives, it answers no PING */
}

/* ---- deaths ---- */

static void keep_poisons(const struct supervisor *supervisor) {
    int error = poison_save(&supervisor->poisons, supervisor->options->state_folder);
    if (error < 0)
        log_warning("which lines killed the sensor cannot be stored in %s: %s",
                    supervisor->options->state_folder, strerror(-error));
}

static void remember_poison(struct supervisor *supervisor) {
    uint64_t ordinal = supervisor->note->ordinal;
    const char *path = logs_path(supervisor->logs, supervisor->note->source);
    if (ordinal == 0 || ordinal > INT64_MAX || !path)
        return;
    poison_remember(&supervisor->poisons, path, ordinal);
    keep_poisons(supervisor);
}

static int64_t choose_rest(struct supervisor *supervisor, const struct child *child,
                           const siginfo_t *how) {
    bool is_from_outside = how->si_code != CLD_EXITED && !child->is_silent &&
                           (how->si_status == SIGKILL || how->si_status == SIGTERM);
    return is_from_outside ? 0 : rest_after_fault(supervisor);
}

/* Before we ever were ready, somebody waits: systemd for the start, a person for `make guard`. A
 * role that leaves by itself has said why, and leaves again. */
static bool is_hopeless(const struct supervisor *supervisor, const siginfo_t *how) {
    return !supervisor->has_said_ready && how->si_code == CLD_EXITED && how->si_status != 0 &&
           supervisor->faults >= FAULTS_TO_GIVE_UP;
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
        loop_end(supervisor->loop, supervisor->gives_up ? -ECHILD : 0);
        return;
    }
    supervisor->state = STATE_RESTING;
    watch_set_timer(supervisor->rest_timer, supervisor->rest_us);
    if (supervisor->rest_us >= TOLD_REST_US) {
        char sentence[700];
        snprintf(sentence, sizeof(sentence),
                 "Its processes ended %u times within a minute of their start (sensor: %s, "
                 "decider: %s, enforcer: %s); they are started again every %lld ms. See its log.\n",
                 supervisor->faults, told_death(supervisor, SENSOR),
                 told_death(supervisor, DECIDER), told_death(supervisor, ENFORCER),
                 (long long)(supervisor->rest_us / 1000));
        tell_rest(supervisor, sentence);
    }
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
        count_death(supervisor);
        int64_t rest_us = choose_rest(supervisor, child, how);
        if (is_hopeless(supervisor, how)) {
            char status[200];
            snprintf(status, sizeof(status),
                     "STATUS=not guarding: the %s does not start, the log says why",
                     role_names[child->role]);
            loop_notify(status);
            log_error("the %s does not start, see above; giving up", role_names[child->role]);
            supervisor->is_leaving = supervisor->gives_up = true;
        }
        end_all(supervisor, rest_us);
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
    watch_set_timer(supervisor->gone_timer, -1);
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

/* To the sensor before its sources; to the decider behind theirs, whose names it tells people. */
static void tell_poison(struct supervisor *supervisor, bool to_sensor) {
    bool is_news = false;
    /* The newest first: it has room for few. */
    for (uint32_t i = supervisor->poisons.count; i-- > 0;) {
        struct poison *poison = &supervisor->poisons.at[i];
        int number = logs_find(supervisor->logs, poison->path);
        if (poison->deaths < DEATHS_TO_POISON || number < 0)
            continue;
        struct wire_line line = {.source = (uint16_t)number, .ordinal = poison->ordinal};
        if (to_sensor) {
            (void)channel_send(supervisor->children[SENSOR].channel, SAY_SKIP, &line, NULL, 0);
            continue;
        }
        if (!poison->is_told)
            (void)channel_send(supervisor->children[DECIDER].channel, SAY_SKIPPED, &line, NULL, 0);
        is_news = is_news || !poison->is_told;
        poison->is_told = true;
    }
    if (is_news)
        keep_poisons(supervisor);
}

static void tell_enforcer(struct supervisor *supervisor) {
    struct channel *enforcer = supervisor->children[ENFORCER].channel;
    const struct checked_config *checked = &supervisor->in_force.checked;
    for (uint32_t at = 0; at < checked->exempt_count; at += 512) {
        uint32_t count = checked->exempt_count - at;
        (void)channel_send(enforcer, SAY_EXEMPT, NULL, &checked->exempt[at],
                           count < 512 ? count : 512);
    }
    (void)channel_send(enforcer, SAY_SOURCES_END, NULL, NULL, 0);
}

static int a_log_appeared(void *context) {
    if (((struct supervisor *)context)->state == STATE_RUNNING)
        log_notice("there is a log that could not be followed before: starting anew to read it");
    end_all(context, 0);
    return 0;
}

static bool start_one(struct supervisor *supervisor, enum role role, struct child_fds fds) {
    static const struct channel_calls calls = {.on_message = on_message, .on_clear = on_clear,
                                               .on_end = on_end};
    struct child *child = &supervisor->children[role];
    struct why why = {0};
    int fd = -1;
    child->role = role;
    if (child_start(child, &supervisor->in_force.options, &supervisor->in_force.checked.digest,
                    &supervisor->users, &fds, &fd, &why) < 0) {
        char text[900];
        log_error("%s", why_format(&why, text, sizeof(text)));
        return false;
    }
    contexts[role] = (struct child_context){supervisor, child};
    child->watch = loop_add_child(supervisor->loop, child->pid, child_died, &contexts[role]);
    child->channel = channel_new(supervisor->loop, fd, SUPERVISOR, role, &calls, &contexts[role]);
    return true;
}

/* Before each start the disk is looked at: what is good there is what is meant. */
static bool check_again(struct supervisor *supervisor) {
    char text[900];
    char sentence[1000];
    if (renew(supervisor, text) || supervisor->in_force.is_copied)
        return true;
    snprintf(sentence, sizeof(sentence),
             "The configuration is wrong and no earlier one is kept; it is looked at again every "
             "five seconds: %s\n", text);
    tell_rest(supervisor, sentence);
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
    const struct checked_config *checked = &supervisor->in_force.checked;
    bool is_same = digest_equals(&supervisor->logs_digest, &checked->digest);
    supervisor->logs = logs_new(supervisor->loop, checked, supervisor->options->journal_folder,
                                is_same ? earlier : NULL,
                                a_log_appeared, supervisor);
    logs_free(earlier);
    supervisor->logs_digest = checked->digest;
    supervisor->note->ordinal = 0;
    supervisor->all_started_us = clock_monotonic_us();
    supervisor->questions_took_us = 0;
    supervisor->questions_are_told = false;
    watch_set_timer(supervisor->questions_timer, -1);
    must(channel_pair(events) >= 0 && channel_pair(orders) >= 0);
    supervisor->state = STATE_RUNNING;
    struct child_fds of_decider = {{events[0], orders[0], supervisor->control_fd, -1}};
    struct child_fds of_sensor = {{events[1], supervisor->note_fd, -1, -1}};
    struct child_fds of_enforcer = {{orders[1], -1, -1, -1}};
    bool started = start_one(supervisor, DECIDER, of_decider) &&
                   start_one(supervisor, SENSOR, of_sensor) &&
                   start_one(supervisor, ENFORCER, of_enforcer);
    for (int i = 0; i < 2; i++) {
        close(events[i]);
        close(orders[i]);
    }
    if (!started) {
        end_all(supervisor, back_off_us[ELEMENTS_OF(back_off_us) - 1]);
        return;
    }
    tell_poison(supervisor, true);
    tell_enforcer(supervisor);
    logs_tell_sensor(supervisor->logs, supervisor->children[SENSOR].channel);
    tell_bouncers(supervisor);
    tell_in_force(supervisor);
    logs_tell_decider(supervisor->logs, supervisor->children[DECIDER].channel);
    logs_tell_faults(supervisor->logs, supervisor->children[DECIDER].channel, true);
    tell_poison(supervisor, false);
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

static void look_for_bouncers(struct supervisor *supervisor) {
    supervisor->bouncers_seen_us = clock_monotonic_us();
    if (supervisor->children[DECIDER].channel && bouncers_running() != supervisor->bouncers)
        tell_bouncers(supervisor);
}

static int ping_roles(void *context) {
    struct supervisor *supervisor = context;
    int64_t now_us = clock_monotonic_us();
    /* While resting nobody is there to answer, and nothing hangs. */
    bool all_answer = supervisor->state != STATE_ENDING;
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
    if (now_us - supervisor->bouncers_seen_us > BOUNCERS_EVERY_US)
        look_for_bouncers(supervisor);
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

/* ---- before anybody is started ---- */

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

/* The disk's configuration, or, when that is wrong, the one that was in force before us: a restart
 * must not take the guard away. */
static int find_configuration(struct supervisor *supervisor, struct why *reterr_why) {
    struct in_force *in_force = &supervisor->in_force;
    struct why none = {0};
    char since[CLOCK_TEXT_MAX];
    int error = in_force_renew(in_force, supervisor->options, &supervisor->users, reterr_why);
    if (error >= 0 ||
        in_force_find(in_force, supervisor->options, &supervisor->users, &none) < 0)
        return error;
    log_error("the configuration on disk is wrong: %s. Starting with the one of %s",
              in_force->disk_fault,
              clock_format_local(in_force->since_us, clock_now_us(), since));
    return 0;
}

static int prepare(struct supervisor *supervisor, struct why *reterr_why) {
    int error = sandbox_find_users(supervisor->options->uid_base, &supervisor->users, reterr_why);
    if (error >= 0)
        error = premises_take(supervisor->options, &supervisor->users, reterr_why);
    if (error >= 0)
        error = find_configuration(supervisor, reterr_why);
    if (error >= 0)
        error = premises_listen(supervisor->options, &supervisor->users, &supervisor->control_fd,
                                reterr_why);
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
    if (supervisor.in_force.checked.notices[0])
        log_notice("%s", supervisor.in_force.checked.notices);
    poison_load(&supervisor.poisons, options->state_folder);
    tell_rest(&supervisor, NULL);
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
    supervisor.gone_timer = loop_add_timer(supervisor.loop, -1, gone_role_lives, &supervisor);
    supervisor.questions_timer =
        loop_add_timer(supervisor.loop, -1, questions_may_go_on, &supervisor);
    supervisor.mails = mails_new(supervisor.loop, supervisor.users.uid[DECIDER],
                                 supervisor.users.gid[DECIDER], mail_is_done, &supervisor);
    supervisor.ping_timer =
        loop_add_timer(supervisor.loop, PING_EVERY_US, ping_roles, &supervisor);
    start_all(&supervisor);
    int result = loop_run(supervisor.loop);
    premises_close(options);
    tell_rest(&supervisor, NULL);
    return result < 0 ? 1 : 0;
}
