/* hauberkd's body: it starts the roles, opens files for them, and starts them again.
 *
 *   supervise.c  the life: check, start, watch over, restart, end
 *   children.c   processes: forking, descriptors, deaths
 *   logs.c       the log files: globs, inotify, opening, siblings
 *   journal.c    the journal's files, and which jails read them
 *   check.c      asking the checker what the configuration says
 *   in_force.c   the copy of the configuration in force, which the roles read
 *   premises.c   folders, locks, the control socket (premises.h)
 *   mails.c      what the owner is told is handed to sendmail (mails.h)
 *   poison.c     lines at which the sensor died, remembered over restarts
 *
 * It parses nothing but frames and fixed records.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/loop.h"
#include "base/why.h"
#include "sandbox/sandbox.h"
#include "wire/channel.h"

struct supervise_options {
    const char *config_folder, *data_folder, *state_folder, *runtime_folder, *libexec_folder;
    const char *journal_folder; /* NULL: where journald keeps this machine's */
    bool observe;
    uid_t uid_base;
};

/* What the checker handed back. */
struct checked_config {
    struct digest digest;
    bool follow_symlinks;
    uint64_t on_file, on_journal; /* jails for which there is no choice */
    struct wire_glob globs[128];
    uint32_t glob_count;
    struct wire_exemption exempt[1024];
    uint32_t exempt_count;
    char notices[901];
    char notify[257], notify_command[257]; /* "" none */
};

/* check.c: runs the checker on the folders in `options` and waits for it (at most 10 s). -EINVAL
 * with the configuration's fault in words. */
must_use int check_configuration(const struct supervise_options *options,
                                 const struct sandbox_users *users,
                                 struct checked_config *ret_checked, struct why *reterr_why);

/* in_force.c: what was checked last and found good. Roles read the copy of it, so that what is in
 * force stays readable when the folders of the owner or of the package change. */
struct in_force {
    bool is_there;
    bool is_copied; /* no: the copy could not be made, and roles read the folders themselves */
    bool is_doubted; /* roles died of something: make the copy anew, whatever is there */
    int64_t since_us;
    struct checked_config checked;
    struct supervise_options options; /* ours, with the folders that roles are to read */
    char folders[2][512];             /* what these point to */
    char disk_fault[901];             /* what is wrong with the disk's version now; "" */
};
/* Checks the folders of `options`; what is good is in force from now on. -errno with the fault
 * (also in disk_fault): then what was in force stays. */
must_use int in_force_renew(struct in_force *in_force, const struct supervise_options *options,
                            const struct sandbox_users *users, struct why *reterr_why);
/* The copy an earlier hauberkd left in RUNTIME, checked again. -ENOENT: there is none. */
must_use int in_force_find(struct in_force *in_force, const struct supervise_options *options,
                           const struct sandbox_users *users, struct why *reterr_why);

/* poison.c: which lines killed the sensor, and how often, by log and ordinal; kept in STATE/poison.
 * The oldest is forgotten when there are too many. */
enum { POISON_MAX = 64, DEATHS_TO_POISON = 2 };
struct poison {
    char path[257];
    uint64_t ordinal;
    uint32_t deaths;
    bool is_told;
};
struct poisons {
    struct poison at[POISON_MAX]; /* oldest first */
    uint32_t count;
};
void poison_remember(struct poisons *poisons, const char *path, uint64_t ordinal);
/* A file that is not exactly as poison_save() wrote it, or is another user's, is no memory. */
void poison_load(struct poisons *poisons, const char *state_folder);
must_use int poison_save(const struct poisons *poisons, const char *state_folder);

/* bouncers.c: which other programs that ban are running as root; bit n for enum bouncer's n. */
uint32_t bouncers_running(void);

/* logs.c */
struct logs;
/* `earlier` (may be NULL): logs that are in none of the earlier ones appeared while we ran. */
struct logs *logs_new(struct loop *loop, const struct checked_config *checked,
                      const char *journal_folder, const struct logs *earlier,
                      int (*on_new_source)(void *context), void *context);
struct logs *logs_free(struct logs *logs);
void logs_tell_sensor(struct logs *logs, struct channel *sensor); /* SOURCE for each, and the end */
void logs_tell_decider(struct logs *logs, struct channel *decider);
/* What the decider is to know of a log that cannot be followed, told when it changed; all: each. */
void logs_tell_faults(struct logs *logs, struct channel *decider, bool all);
const char *logs_path(const struct logs *logs, uint64_t number); /* NULL: there is none */
int logs_find(const struct logs *logs, const char *path);        /* its number, or -ENOENT */
void logs_open(struct logs *logs, struct channel *sensor, const struct wire_open *open);
void logs_list(struct logs *logs, struct channel *sensor, const struct wire_source_number *number);

/* journal.c. `only_folder` is options.journal_folder. */
bool journal_is_named(const struct wire_glob *glob); /* a part of the journal, not a file */
/* The jails that read the journal and not their files: bit j for jail j. A jail with a choice reads
 * the file that was written to within a day, else the journal if there is one. */
uint64_t journal_choose(const struct checked_config *checked, const char *only_folder);
void journal_watch(const char *only_folder, int inotify_fd);
/* The files there are, newest first; returns how many. */
uint32_t journal_list(const char *only_folder, struct wire_sibling files[SIBLINGS_MAX]);

/* children.c */
struct child {
    enum role role;
    pid_t pid; /* 0: not running */
    struct channel *channel;
    struct watch *watch;
    bool is_ready, is_silent; /* silent: killed by our own watchdog */
    int64_t started_us;       /* wall clock */
    int64_t asked_us, answered_us; /* monotonic: last PING and PONG */
    uint32_t restarts;
    char last_death[121];
};

/* What a role inherits besides its channel to us, in the order of ROLE_FD_PEER and so on;
 * -1 none. */
struct child_fds {
    int at[4];
};
must_use int child_start(struct child *child, const struct supervise_options *options,
                         const struct digest *digest, const struct sandbox_users *users,
                         const struct child_fds *fds, int *ret_channel_fd,
                         struct why *reterr_why);
/* "killed by SIGSEGV", "exit 1". */
void child_describe_death(const siginfo_t *how, char into[121]);
/* Died by its own fault, in a way that can be a poison line's doing. */
bool child_death_is_crash(const struct child *child, const siginfo_t *how);

/* deaths.c: a letter to the owner: so many processes died within an hour, whatever of, and how the
 * last ones did. Once a day; what could not be sent is tried anew at a death ten minutes later. Its
 * ticket is none of the decider's. Times are monotonic, 0 never. */
struct mails;
enum { DEATHS_TICKET = 0, DEATHS_TO_TELL = 7 };
struct deaths {
    int64_t at_us[DEATHS_TO_TELL]; /* the last ones, in a ring */
    uint32_t next;
    int64_t tried_us, told_us;
};
bool deaths_count(struct deaths *deaths, int64_t now_us); /* true: the owner is to be told now */
void deaths_tell(struct mails *mails, const struct checked_config *checked, const char *how);
void deaths_were_told(struct deaths *deaths, int64_t now_us); /* a letter went out */

/* supervise.c: runs until told to end (SIGTERM, SIGINT). Returns main()'s result. */
int supervise_run(const struct supervise_options *options);
