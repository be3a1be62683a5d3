/* Upkeep: is there a backup, does the clock follow others, do logs outlive a restart and not fill
 * the disk, does the virus scanner know of what is new.
 *
 * A backup is seen by the programs that make one being called by cron, a timer or a script that
 * they start; what cannot be seen from here (a hoster's snapshots) is declared in
 * /etc/hauberk/backup.declared: "what = …" and "proven = YEAR-MONTH-DAY", the day on which somebody
 * last restored from it and read what came back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "probe/dpkg.h"
#include "probe/found.h"
#include "probe/words.h"

#define DECLARED "/etc/hauberk/backup.declared"

enum { EFFORT_MOST = 20000 };

struct upkeep {
    struct look *look;
    struct text backups;
    unsigned backup_count;
    size_t effort; /* files asked for, and KiB of them read: a user's table may name any number */
};

/* ---- backups ---- */

static bool is_word(struct span text, const char *word) {
    size_t length = strlen(word);
    const char *at = text.at;
    size_t left = text.length;
    while (left > 0 && (at = memmem(at, left, word, length))) {
        bool starts = at == text.at || !isalnum((unsigned char)at[-1]);
        bool ends = at + length == text.at + text.length || !isalnum((unsigned char)at[length]);
        if (starts && ends)
            return true;
        at++;
        left = (size_t)(text.at + text.length - at);
    }
    return false;
}

static void note(struct upkeep *upkeep, const char *what, const char *where) {
    if (upkeep->backup_count++ < 10)
        text_add_format(&upkeep->backups, "%s%s in %s", upkeep->backups.length ? "; " : "", what,
                        where);
}

static bool names_program(struct upkeep *upkeep, struct span line, const char *where) {
    static const char *const programs[] = {"restic", "borg", "borgmatic", "duplicity", "duply",
                                           "rsnapshot", "backupninja", "kopia", "bacula", "bareos",
                                           "rdiff-backup", "backup-mail", "proxmox-backup-client",
                                           "tarsnap", "resticprofile", "rustic", "rclone", "burp",
                                           "btrbk", "syncoid", "zrepl", "dirvish"};
    for (size_t i = 0; i < ELEMENTS_OF(programs); i++)
        if (is_word(line, programs[i])) {
            note(upkeep, programs[i], where);
            return true;
        }
    /* To another machine: "rsync -a /srv/mail/ backup@vault.example.org:mail/". */
    bool has_rsync = is_word(line, "rsync");
    for (struct span word; has_rsync && (word = span_word(&line)).length > 0;)
        if (!strchr("-/'\"", word.at[0]) && memchr(word.at, ':', word.length)) {
            note(upkeep, "rsync", where);
            return true;
        }
    return false;
}

static bool names_backup(struct upkeep *upkeep, struct span text, const char *where, int depth);

/* The scripts a line starts: "ExecStart=-/usr/local/sbin/nightly --all". */
static bool starts_backup(struct upkeep *upkeep, struct span line, int depth) {
    for (struct span word; (word = span_word(&line)).length > 0;) {
        cleanup_text struct text script = {0};
        char path[300];
        struct stat status;
        const char *slash = memchr(word.at, '/', word.length);
        size_t length = slash ? word.length - (size_t)(slash - word.at) : 0;
        if (length == 0 || length >= sizeof(path))
            continue;
        memcpy(path, slash, length);
        path[length] = '\0';
        path[strcspn(path, "\"';&|)")] = '\0';
        if (upkeep->effort++ >= EFFORT_MOST)
            return false;
        if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
            continue;
        read_quietly(path, &script);
        upkeep->effort += script.length / 1024;
        if (span_starts_with(text_span(&script), SPAN("#!")) &&
            names_backup(upkeep, text_span(&script), path, depth + 1))
            return true;
    }
    return false;
}

static bool names_backup(struct upkeep *upkeep, struct span text, const char *where, int depth) {
    enum { SCRIPTS_DEEP = 2 };
    struct span line;
    while (next_line(&text, &line))
        if (names_program(upkeep, line, where) ||
            (depth < SCRIPTS_DEEP && starts_backup(upkeep, line, depth)))
            return true;
    return false;
}

static void take_table(void *context, const char *path) {
    cleanup_text struct text text = {0};
    read_quietly(path, &text);
    (void)names_backup(context, text_span(&text), path, 0);
}

/* A timer that is enabled (or a static one of this machine's own), and what its service starts:
 * NAME@WHAT.timer starts NAME@.service, unless it names another. */
static void take_timer(void *context, const char *path) {
    struct upkeep *upkeep = context;
    cleanup_text struct text text = {0};
    static const char *const folders[] = {"/etc/systemd/system", "/usr/local/lib/systemd/system",
                                          "/usr/lib/systemd/system"};
    const char *name = strrchr(path, '/') + 1;
    char unit[200];
    read_quietly(path, &text);
    if (!shell_value(text_span(&text), "Unit", unit, sizeof(unit)))
        snprintf(unit, sizeof(unit), "%.*s.service", (int)(strlen(name) - strlen(".timer")), name);
    char *at = strchr(unit, '@');
    for (size_t i = 0; i < 2 * ELEMENTS_OF(folders); i++) {
        char service[400];
        if (i == ELEMENTS_OF(folders) && at)
            snprintf(at + 1, sizeof(unit) - (size_t)(at + 1 - unit), "%s", ".service");
        snprintf(service, sizeof(service), "%s/%s", folders[i % ELEMENTS_OF(folders)], unit);
        read_quietly(service, &text);
        if (text.length && names_backup(upkeep, text_span(&text), name, 0))
            return;
    }
}

/* One that another machine fetches through. */
static void take_daemon(void *context, const char *path) {
    note(context, strrchr(path, '/') + 1, "systemd");
}

static bool read_date(const char *text, int64_t *ret_day) {
    int64_t numbers[3];
    struct span rest = span_of(text);
    for (int i = 0; i < 3; i++)
        if (span_to_integer(span_trim(span_cut(&rest, '-')), 1, 9999, &numbers[i]) < 0)
            return false;
    *ret_day = clock_days((int)numbers[0], (int)numbers[1], (int)numbers[2]);
    return true;
}

static void say_backups(struct look *look) {
    static const char *const tables[] = {"/etc/crontab",      "/etc/cron.d/*",
                                         "/etc/cron.hourly/*", "/etc/cron.daily/*",
                                         "/etc/cron.weekly/*", "/var/spool/cron/crontabs/*"};
    struct upkeep upkeep = {.look = look};
    cleanup_text struct text declared = {0};
    char value[200];
    int64_t day;
    for (size_t i = 0; i < ELEMENTS_OF(tables); i++)
        each_path(tables[i], take_table, &upkeep);
    each_path("/etc/systemd/system/timers.target.wants/*.timer", take_timer, &upkeep);
    static const char *const daemons[] = {"bacula-fd", "bareos-fd", "bareos-filedaemon",
                                          "urbackupclientbackend"};
    for (size_t i = 0; i < ELEMENTS_OF(daemons); i++) {
        char pattern[100];
        snprintf(pattern, sizeof(pattern), "/etc/systemd/system/*.wants/%s.service", daemons[i]);
        each_path(pattern, take_daemon, &upkeep);
    }
    read_quietly(DECLARED, &declared);
    struct span text = text_span(&declared);
    if (shell_value(text, "what", value, sizeof(value)) && value[0])
        note(&upkeep, value, DECLARED);
    if (!upkeep.backups.at && geteuid() != 0)
        look_say_not(look, "backup", "only root sees all tables of cron");
    else if (!upkeep.backups.at && upkeep.effort > EFFORT_MOST)
        look_say_not(look, "backup", "tables of cron name too many files to look into all");
    else
        look_say_text(look, "backup", "", upkeep.backups.at ? upkeep.backups.at : "none");
    if (upkeep.backup_count && shell_value(text, "proven", value, sizeof(value)) &&
        read_date(value, &day))
        look_say_format(look, "backup_proven", "", "%lld days",
                        (long long)(clock_now_us() / DAY_US - day));
    else if (upkeep.backup_count)
        look_say_text(look, "backup_proven", "", "never");
    text_free(&upkeep.backups);
}

/* ---- the clock ---- */

static bool is_container(void) {
    return access("/run/systemd/container", F_OK) == 0 || access("/.dockerenv", F_OK) == 0 ||
           access("/run/.containerenv", F_OK) == 0;
}

static void note_unit(void *context, const char *path) {
    const char **name = context;
    (void)path;
    *name = "yes";
}

static void say_clock(struct look *look) {
    static const char *const units[] = {"chrony", "chronyd", "ntp", "ntpsec", "openntpd",
                                        "systemd-timesyncd"};
    const char *keeps = "none";
    for (size_t i = 0; i < ELEMENTS_OF(units); i++) {
        const char *is_there = NULL;
        char pattern[200];
        snprintf(pattern, sizeof(pattern), "/etc/systemd/system/*.wants/%s.service", units[i]);
        each_path(pattern, note_unit, &is_there);
        if (is_there)
            keeps = units[i];
    }
    if (is_container() && strcmp(keeps, "none") == 0)
        look_say_not(look, "clock_keeper", "a container has the clock of its machine");
    else
        look_say_text(look, "clock_keeper", "", keeps);
    /* adjtimex(2) with no modes only tells; its answer 5, TIME_ERROR, is "not synchronised". Its
     * header has a field of a name that is banned here, so the call is made by number. */
    enum { NOT_SYNCHRONISED = 5 };
    uint64_t state[32] = {0};
    long answer = syscall(SYS_adjtimex, state);
    if (is_container())
        look_say_not(look, "clock", "a container has the clock of its machine");
    else if (answer < 0)
        look_say_not(look, "clock", "the kernel does not tell: %s", strerror(errno));
    else
        look_say_text(look, "clock", "",
                      answer == NOT_SYNCHRONISED ? "not synchronised" : "synchronised");
}

/* ---- logs ---- */

static void take_storage(void *context, const char *path) {
    cleanup_text struct text text = {0};
    read_quietly(path, &text);
    (void)shell_value(text_span(&text), "Storage", context, 40);
}

static void say_logs(struct look *look, const struct installed *installed) {
    cleanup_text struct text text = {0};
    char value[40] = "";
    struct stat status;
    bool is_kept = stat("/var/log/journal", &status) == 0 && S_ISDIR(status.st_mode);
    read_quietly("/etc/systemd/journald.conf", &text);
    (void)shell_value(text_span(&text), "Storage", value, sizeof(value));
    each_path("/etc/systemd/journald.conf.d/*.conf", take_storage, value);
    if (strcmp(value, "persistent") == 0)
        is_kept = true;
    if (strcmp(value, "volatile") == 0 || strcmp(value, "none") == 0)
        is_kept = false;
    bool has_syslog = installed_find(installed, SPAN("rsyslog")) ||
                      installed_find(installed, SPAN("syslog-ng-core"));
    bool rotates = installed_find(installed, SPAN("logrotate")) != NULL;
    look_say_text(look, "logs_kept", "",
                  is_kept ? "journal" : has_syslog ? "syslog" : "none");
    look_say_text(look, "logrotate", "", rotates ? "yes" : "no");
}

/* ---- the virus scanner ---- */

static void take_signatures(void *context, const char *path) {
    time_t *newest = context;
    struct stat status;
    if (stat(path, &status) == 0 && status.st_mtim.tv_sec > *newest)
        *newest = status.st_mtim.tv_sec;
}

/* ClamAV's daemon: freshclam(1) writes the daily signatures anew whenever there are any. */
static void say_scanner(struct look *look, const struct installed *installed) {
    time_t newest = 0;
    if (!installed_find(installed, SPAN("clamav-daemon")))
        return;
    each_path("/var/lib/clamav/daily.c[lv]d", take_signatures, &newest);
    look_say_format(look, "scanner_age", "", "%lld days",
                    newest ? (long long)((clock_now_us() / SECOND_US - newest) / 86400) : 9999);
}

void probe_upkeep(struct look *look) {
    cleanup_installed struct installed installed = {0};
    int error = installed_read(&installed);
    say_backups(look);
    say_clock(look);
    if (error < 0) {
        static const char *const keys[] = {"logs_kept", "logrotate", "scanner_age"};
        for (size_t i = 0; i < ELEMENTS_OF(keys); i++)
            look_say_not(look, keys[i], "/var/lib/dpkg/status: %s", strerror(-error));
        return;
    }
    say_logs(look, &installed);
    say_scanner(look, &installed);
}
