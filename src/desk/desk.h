/* The decider's desk: everything it holds between its neighbours. Events come in from the sensor,
 * orders go out to the enforcer, changes to the store, answers to people.
 *
 *   sensor.c    positions out, marks and events in, acknowledgements out
 *   enforcer.c  scopes and orders out, receipts and drift in
 *   keeping.c   what changed, batch by batch, into the store; what was stored, at start
 *   words.c     questions of the command line, with status.c, change.c, why.c (answers.h)
 *   telling.c   what the owner is told, and `hauberk notify`
 *   sight.c     do the jails still see
 *   logins.c    `hauberk logins`: which account uses which service
 *   forget.c    `hauberk forget`: what is kept about an address or an account is deleted
 *   selftest.c  `hauberk selftest`: one made-up failure, the whole way
 *   first.c     the first start: what the logs say of the last day, on one page
 *   changeover.c  a jail that changes from its file to the journal, or back
 *   observing.c does it ban at all, beside another program that does
 *   sparing.c   what people trust, and where administrators are logged in
 *   pausing.c   the pause file and the orders people gave while no hauberkd ran
 *
 * One event's way through here: desk_events() applies a frame to the decider and marks the
 * source's position; the projection's orders leave in the same turn of the loop; keeping.c commits
 * within COMMIT_AFTER_US; the commit's end acknowledges the position to the sensor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/decider.h"
#include "base/clock.h"
#include "base/logins.h"
#include "base/loop.h"
#include "control/server.h"
#include "desk/first.h"
#include "desk/selftest.h"
#include "notify/notices.h"
#include "notify/sight.h"
#include "store/store.h"
#include "wire/channel.h"

#define COMMIT_AFTER_US (100 * INT64_C(1000)) /* promised: within 200 ms */
#define SWEEP_EVERY_US (5 * SECOND_US)
#define SECOND_FLUSH_US (60 * SECOND_US) /* a second flush this soon is a person's will */
#define WILL_WAIT_US (10 * MINUTE_US)

/* More elements than that are not listed: the kernel takes seconds over it. */
enum { RECONCILE_MOST = 50000 };
enum { EVIDENCE_QUEUE_MAX = 8192, HISTORY_QUEUE_MAX = 16384 };

struct desk_source {
    bool is_there, is_sighting, is_dirty;
    char path[257];
    struct wire_position position; /* as applied in memory */
    uint64_t committed;            /* ordinal, durable */
    uint64_t lost, lines, lag;
    bool has_lag;                  /* a frame has told it */
    uint64_t lost_kept; /* of `lost`, what the position accounts for */
    int64_t read_until_us; /* of its lines the newest that told something, or when it was sighted */
    int64_t takes_over_us; /* what it holds of later than that counts, though it was there; or 0 */
    uint32_t skipped;
    uint8_t state;
    bool has_state; /* the sensor has told it */
    bool has_jit, has_prefilter;
    char fault[201]; /* why hauberkd cannot follow it, or "" */
};

/* A change somebody asked for, answered when it is durable. */
struct pending_answer {
    struct pending_answer *next;
    uint64_t client;
    int exit;
    char text[512];
};

/* What the owner was told, and what is on its way to him. */
struct telling {
    struct notices *notices;
    char host[128];           /* this machine's name in mails */
    struct letter *letters;   /* newest first */
    uint32_t next_ticket;
    uint64_t reached;         /* the last notice that some way carried */
    char faults[MAIL_WAYS][201]; /* of the last letter of each way; "" */
    bool test_failed, is_summing;
    int64_t summed_since_us;
    int64_t not_in_force_us, wrong_us; /* monotonic: since when; 0 not */
};

struct jail_sight {
    struct sight sight;
    uint64_t failures_seen, successes_seen; /* of the decider's counts */
    bool is_dirty;
};

struct desk {
    struct loop *loop;
    const struct config *config;
    struct decider *decider;
    struct store *store;
    struct control *control;
    struct channel *supervisor, *sensor, *enforcer;
    const char *state_folder, *runtime_folder;

    struct desk_source sources[SOURCES_MAX];
    ROWS(row_position) stored; /* positions by path, until hauberkd has numbered the sources */
    bool sources_are_known, sensor_is_there, positions_are_sent;

    bool enforcer_is_there, scopes_are_sent, own_is_known, is_ready;
    struct prefix *own_coming; /* being received */
    uint32_t own_coming_count;
    int64_t last_drift_us;     /* when somebody last changed our table */
    int64_t waits_until_us;    /* a person's will: enforce nothing before; 0 */
    uint32_t drifts;
    int64_t paused_until_us;   /* `hauberk pause`; 0 */
    struct watch *resume_timer, *pause_timer;
    struct refusals {           /* by the kernel, since they were last told */
        uint64_t count;
        int error;              /* of the first of them */
        struct prefix prefix;
        int64_t told_us;        /* monotonic */
    } refusals;
    struct bans_losses losses_told;
    int64_t losses_told_us;     /* monotonic; 0 never */

    struct store_batch *batch; /* the next one: history and evidence wait here */
    struct watch *commit_timer, *sweep_timer;
    bool is_dirty;
    struct first first;
    struct selftest selftest;
    uint32_t bouncers;         /* who else bans here; bit n for enum bouncer's n */
    bool bouncers_are_known;
    bool observing_is_open;    /* `observe = auto`, and what was decided is not loaded yet */
    bool observing_is_stored;
    uint32_t observes_for;     /* who banned here when that was decided; 0: it does not observe */
    bool is_loading;           /* what was stored comes in, slice by slice; nothing is read,
                                  committed or answered from it before that is over */
    uint32_t bans_loaded, bans_left_out;
    struct watch *load_idle;
    struct deferred *deferred; /* questions asked meanwhile, newest first */
    char store_error[200];     /* "" when the store works */
    int64_t store_error_since_us;
    struct pending_answer *answers;      /* for the next commit */
    struct pending_answer *answers_sent; /* in the commit under way */
    /* What STATE/orders held at start was applied, and waits for the commit to be removed. */
    enum { LEFT_ORDERS_NONE, LEFT_ORDERS_APPLIED, LEFT_ORDERS_SET_ASIDE } left_orders;
    struct ack {
        uint64_t ordinal;
        bool is_due, is_mark;
    } acks[SOURCES_MAX]; /* in the commit under way */

    struct logins *logins; /* NULL: no logind */
    int64_t logins_seen_us;

    struct role_view {
        struct wire_role_state state;
        bool is_there;
    } roles[ROLES];
    struct wire_in_force in_force; /* which configuration, and what is wrong with the disk's */
    uint64_t reload_client; /* 0: nobody waits */
    uint64_t next_ticket;
    struct asking *askings; /* questions to the kernel under way */
    struct telling telling;
    struct jail_sight sights[DECIDER_JAILS_MAX];
    bool is_reconciled;
    int64_t started_us, last_wall_us, last_monotonic_us, purged_us;
};

/* The whole desk, before the channels are made. */
struct desk *desk_new(struct loop *loop, const struct config *config, const char *state_folder,
                      const char *runtime_folder);
struct desk *desk_free(struct desk *desk);

/* Messages from hauberkd. */
int desk_from_supervisor(struct desk *desk, struct message *message);

/* keeping.c */
/* Opens it and begins to load, slice by slice between other events of the loop. When that is over,
 * desk_is_loaded() follows; a database that cannot be read ends the loop. */
must_use int desk_open_store(struct desk *desk, struct why *reterr_why);
void desk_changed(struct desk *desk);     /* something is to be stored soon */
void desk_commit_now(struct desk *desk);
void desk_keep_fact(struct desk *desk, const char *name, struct span value);
void desk_finish(struct desk *desk);      /* a last commit, waited for */
void desk_note(struct desk *desk, const char *kind, const char *jail, const struct prefix *id,
               int64_t until_us, const char *text);
/* Answers the client once everything changed so far is durable. */
void desk_answer_when_kept(struct desk *desk, uint64_t client, int exit, const char *format, ...)
    prints(4, 5);
extern const struct decider_calls desk_decider_calls;

/* sensor.c */
int desk_from_sensor(struct desk *desk, struct message *message);
void desk_send_positions(struct desk *desk);
void desk_acknowledge(struct desk *desk);

/* enforcer.c */
int desk_from_enforcer(struct desk *desk, struct message *message);
void desk_begin_enforcing(struct desk *desk);
void desk_pump_orders(struct desk *desk); /* sends what is due */
void desk_check_ready(struct desk *desk); /* says READY once stored bans are in the kernel */
bool desk_enforces(const struct desk *desk);
/* Drops from the kernel what nobody wants; once, when all sources have caught up. */
void desk_reconcile(struct desk *desk);
/* Logs what the kernel refused, as one line for all of the last seconds. */
void desk_tell_refusals(struct desk *desk);
void desk_lift(struct desk *desk);        /* takes every element out of the kernel */
typedef void desk_elements_fn(void *context, const struct wire_element *elements, uint32_t count,
                              bool is_last);
/* What the kernel holds of a prefix. */
void desk_ask_kernel(struct desk *desk, const struct prefix *prefix, desk_elements_fn *answer,
                     void *context);

/* words.c */
void desk_answer_question(void *context, const struct question *question);
void desk_answer_deferred(struct desk *desk); /* what was asked while it was loading */
void desk_drop_deferred(struct desk *desk);
void desk_tell_watchers(struct desk *desk, const char *kind, js *row); /* takes row */

/* What was stored is all here. */
void desk_is_loaded(struct desk *desk);
/* Where reading of a source stands, by what was stored of its path. */
void desk_find_position(struct desk *desk, struct desk_source *source);
/* forget.c: one of the words. */
void desk_word_forget(struct desk *desk, const struct question *question);
/* False after refusing: only root changes anything; no prefix. */
bool desk_may_change(struct desk *desk, const struct question *question);
bool desk_read_prefix(struct desk *desk, const struct question *question,
                      struct prefix *ret_prefix);

/* changeover.c */
/* Their names with a blank between them; those that there is no room for are left out. */
void desk_name_jails(const struct desk *desk, uint64_t jails, char into[JAILS_TEXT_MAX]);
/* Lets go the positions of logs whose jails read another now; again when that one was sighted. */
void desk_forget_left_sources(struct desk *desk);
/* Was it there before hauberk looked, and is therefore remembered only? */
bool desk_is_memory(const struct desk_source *source, const struct wire_event *event);
void desk_note_read(struct desk_source *source, const struct wire_event *event, int64_t now_us);

/* observing.c */
void desk_begin_observing(struct desk *desk, bool is_told_to); /* by hauberkd's --observe */
bool desk_restore_observing(struct desk *desk, const char *name, const char *value); /* a fact */
void desk_decide_observing(struct desk *desk); /* when everything for it is known, and but once */
void desk_take_bouncers(struct desk *desk, uint32_t running);
const char *desk_why_observing(const struct desk *desk);

/* sparing.c */
void desk_word_trust(struct desk *desk, const struct question *question);
void desk_word_untrust(struct desk *desk, const struct question *question);
void desk_word_trusted(struct desk *desk, const struct question *question);
js *desk_spared_row(const struct desk *desk, const struct spared *entry);
void desk_spare_all(struct desk *desk); /* to an enforcer that knows none yet */
void desk_was_spared(void *context, const struct spared *entry, bool is_new, uint32_t lifted);
void desk_sparing_is_over(void *context, const struct spared *entry);
void desk_was_exempt(void *context, const struct exempt_case *one);
void desk_watch_logins(struct desk *desk);
void desk_look_at_logins(struct desk *desk);
void desk_sweep_logins(struct desk *desk);
void desk_spare_by_new_clock(struct desk *desk, int64_t now_us); /* it was set */

/* telling.c. desk_begin_telling() is called with full rights, before the sandbox. */
void desk_begin_telling(struct desk *desk);
void desk_end_telling(struct desk *desk);
void desk_tell_suspicion(struct desk *desk, const struct suspicion *suspicion);
/* Of a known-good address. */
void desk_tell_ban(struct desk *desk, const struct decision *decision);
void desk_tell_lost(struct desk *desk, const char *log, uint64_t bytes);
void desk_sweep_telling(struct desk *desk, int64_t now_us); /* what lasts too long; the summary */
void desk_collect_notices(struct desk *desk, struct store_batch *batch);
/* Letters written so far go with the commit that is made now, and out when it is durable. */
void desk_seal_letters(struct desk *desk);
void desk_send_letters(struct desk *desk);
void desk_mail_is_done(struct desk *desk, const struct wire_mailed *mailed);

/* sight.c */
void desk_take_unmatched(struct desk *desk, const struct wire_unmatched *unmatched);
void desk_sweep_sight(struct desk *desk, int64_t now_us);
void desk_load_sight(struct desk *desk, const struct row_sight *row);
void desk_collect_sights(struct desk *desk, struct store_batch *batch);
/* Why a jail is taken for blind, or NULL. */
const char *desk_sight_fault(const struct desk *desk, uint32_t jail, char into[SIGHT_TEXT_MAX]);

/* A person's change, for every way it can come. */
must_use int desk_trust(struct desk *desk, const struct prefix *prefix, int64_t until_us,
                        struct span why, int64_t at_us, uint32_t *ret_lifted,
                        struct why *reterr_why);
uint32_t desk_untrust(struct desk *desk, const struct prefix *prefix, int64_t at_us);
/* Lets it in again, trusts it for 30 days, and notes which ban was wrong. Returns how many bans
 * were lifted; -ENOENT, and nothing is done, when none touched it within 30 days. */
must_use int desk_false_positive(struct desk *desk, const struct prefix *prefix, int64_t at_us);
uint32_t desk_unban(struct desk *desk, const struct prefix *prefix, int jail, int64_t at_us);
void desk_pause(struct desk *desk, int64_t until_us);

/* pausing.c: what was ordered while no hauberkd ran. desk_read_pause() is called with full rights,
 * before the sandbox; desk_apply_left_orders() when the store is loaded. */
void desk_read_pause(struct desk *desk);
bool desk_orders_wait(const struct desk *desk); /* and were not applied yet */
void desk_apply_left_orders(struct desk *desk);
void desk_left_orders_are_kept(struct desk *desk);
