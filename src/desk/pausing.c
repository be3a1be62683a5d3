/* What a person ordered while no hauberkd ran: `hauberk ban`, `unban` and `pause` work
 * then too.
 *
 * The command line appends lines to STATE/orders, each with its time; they are applied when the
 * store is loaded and before anything is put into the kernel. The file is renamed to orders.taken
 * before it is read, so that an order that comes meanwhile begins a new one, and orders.taken is
 * removed when the effect is durable; one that an earlier start left is taken up first. Applying a
 * line twice changes nothing: an order only touches bans that are older than itself.
 *
 * Of a file that is too large the newest orders are carried out, because the last word is what a
 * person who is locked out has said; the file is kept as orders.left-out.
 *
 * RUNTIME/pause holds the end of a pause in microseconds.
 *
 *   unban TIME_US PREFIX [JAIL]
 *   ban TIME_US PREFIX UNTIL_US WHY
 *   trust TIME_US PREFIX UNTIL_US WHY
 *   untrust TIME_US PREFIX
 *   false-positive TIME_US PREFIX
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"

enum { ORDERS_MOST_BYTES = 1 << 20, SENSELESS_TOLD = 5, STATE_PATH_MAX = 400 };

static const char *state_path(const struct desk *desk, const char *name,
                              char into[STATE_PATH_MAX]) {
    snprintf(into, STATE_PATH_MAX, "%.380s/%s", desk->state_folder, name);
    return into;
}

void desk_read_pause(struct desk *desk) {
    char path[STATE_PATH_MAX];
    cleanup_text struct text pause = {0};
    int64_t until_us = 0;
    snprintf(path, sizeof(path), "%.380s/pause", desk->runtime_folder);
    if (file_read(path, 64, &pause) >= 0 &&
        span_to_integer(span_trim(text_span(&pause)), 0, INT64_MAX, &until_us) >= 0 &&
        until_us > clock_now_us())
        desk->paused_until_us = until_us;
}

static bool apply_unban(struct desk *desk, int64_t at_us, const struct prefix *prefix,
                        struct span rest) {
    char text[PREFIX_TEXT_MAX];
    struct span jail_text = span_trim(rest);
    int jail = jail_text.length ? decider_find_jail(desk->decider, jail_text) : -1;
    if (jail_text.length && jail < 0)
        return false;
    uint32_t lifted = desk_unban(desk, prefix, jail, at_us);
    log_notice("an unban of %s ordered while hauberkd was down is done (%u lifted)",
               prefix_format(prefix, text), lifted);
    return true;
}

static bool apply_ban(struct desk *desk, int64_t at_us, const struct prefix *prefix,
                      struct span rest) {
    int64_t until_us;
    int64_t now_us = clock_now_us();
    struct why why = {0};
    struct span until = span_word(&rest);
    if (span_to_integer(until, -1, INT64_MAX, &until_us) < 0)
        return false;
    if (until_us != UNTIL_PERMANENT && until_us <= now_us)
        return true;
    /* Made as of its own time, so that a later unban in the same file lifts it. */
    int64_t seconds = until_us == UNTIL_PERMANENT ? -1 : (until_us - at_us) / SECOND_US;
    if (decider_ban_by_hand(desk->decider, prefix, seconds, span_trim(rest), false, at_us,
                            &why) < 0)
        log_error("a ban ordered while hauberkd was down cannot be made: %s", why.text);
    return true;
}

static bool apply_trust(struct desk *desk, int64_t at_us, const struct prefix *prefix,
                        struct span rest) {
    int64_t until_us;
    uint32_t lifted;
    struct why why = {0};
    struct span until = span_word(&rest);
    if (span_to_integer(until, -1, INT64_MAX, &until_us) < 0)
        return false;
    if (until_us != UNTIL_PERMANENT && until_us <= clock_now_us())
        return true;
    if (desk_trust(desk, prefix, until_us, span_trim(rest), at_us, &lifted, &why) < 0)
        log_error("a trust ordered while hauberkd was down cannot be given: %s", why.text);
    return true;
}

static void apply_false_positive(struct desk *desk, int64_t at_us, const struct prefix *prefix) {
    char text[PREFIX_TEXT_MAX];
    if (desk_false_positive(desk, prefix, at_us) >= 0)
        return;
    /* The kernel may have had a ban that was never stored: its lines, read again, make none. */
    (void)desk_unban(desk, prefix, -1, at_us);
    log_notice("%s was called a false positive while hauberkd was down, but it was not banned "
               "within 30 days; it is not trusted",
               prefix_format(prefix, text));
}

static bool apply_line(struct desk *desk, struct span line) {
    struct span word = span_word(&line);
    struct span when = span_word(&line);
    struct span prefix_text = span_word(&line);
    struct prefix prefix;
    int64_t at_us;
    if (span_to_integer(when, 0, INT64_MAX, &at_us) < 0 || prefix_parse(prefix_text, &prefix) < 0)
        return false;
    if (span_is(word, "unban"))
        return apply_unban(desk, at_us, &prefix, line);
    if (span_is(word, "ban"))
        return apply_ban(desk, at_us, &prefix, line);
    if (span_is(word, "trust"))
        return apply_trust(desk, at_us, &prefix, line);
    if (span_is(word, "untrust"))
        return desk_untrust(desk, &prefix, at_us), true;
    if (span_is(word, "false-positive"))
        return apply_false_positive(desk, at_us, &prefix), true;
    return false;
}

static void apply_lines(struct desk *desk, struct span left) {
    unsigned senseless = 0;
    while (left.at && left.length > 0) {
        struct span line = span_trim(span_cut(&left, '\n'));
        if (line.length && !apply_line(desk, line) && ++senseless <= SENSELESS_TOLD)
            log_error("a line of the orders file makes no sense and is left out");
    }
}

/* ---- the file ---- */

/* The file is ours when whoever was still writing to it under its old name has finished. */
static int open_taken(const char *path) {
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return -errno;
    return take_fd(&fd);
}

/* Appends `more` to `taken`. Dying in between leaves lines in both, and that changes nothing. */
static int add_to_taken(const char *taken, const char *more) {
    char buffer[16384];
    cleanup_close int from = open_taken(more);
    if (from < 0)
        return from;
    cleanup_close int into = open(taken, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                                  0600);
    if (into < 0)
        return -errno;
    for (ssize_t got; (got = read(from, buffer, sizeof(buffer))) != 0;) {
        if (got < 0)
            return -errno;
        int error = write_all(into, (struct span){buffer, (size_t)got});
        if (error < 0)
            return error;
    }
    return fsync(into) < 0 || unlink(more) < 0 ? -errno : 0;
}

/* Everything ordered so far is in orders.taken then. */
static int take_orders(const char *orders, const char *taken, const char *more) {
    int error = add_to_taken(taken, more); /* an earlier start died over it */
    if (error < 0 && error != -ENOENT)
        return error;
    if (access(taken, F_OK) < 0)
        return rename(orders, taken) < 0 && errno != ENOENT ? -errno : 0;
    if (rename(orders, more) < 0)
        return errno == ENOENT ? 0 : -errno;
    return add_to_taken(taken, more);
}

/* The newest whole lines. Returns how many bytes before them are left out, or -errno. */
static int64_t read_newest(const char *path, struct text *text) {
    cleanup_close int fd = open_taken(path);
    struct stat status;
    if (fd < 0)
        return fd;
    if (fstat(fd, &status) < 0)
        return -errno;
    int64_t from = status.st_size > ORDERS_MOST_BYTES ? status.st_size - ORDERS_MOST_BYTES : 0;
    if (lseek(fd, from, SEEK_SET) < 0)
        return -errno;
    int error = file_read_fd(fd, ORDERS_MOST_BYTES, text);
    return error < 0 ? error : from;
}

bool desk_orders_wait(const struct desk *desk) {
    static const char *const names[] = {"orders", "orders.taken", "orders.more"};
    char path[STATE_PATH_MAX];
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        if (access(state_path(desk, names[i], path), F_OK) == 0)
            return true;
    return false;
}

void desk_apply_left_orders(struct desk *desk) {
    char orders[STATE_PATH_MAX], taken[STATE_PATH_MAX], more[STATE_PATH_MAX];
    cleanup_text struct text text = {0};
    state_path(desk, "orders.taken", taken);
    int error = take_orders(state_path(desk, "orders", orders), taken,
                            state_path(desk, "orders.more", more));
    int64_t left_out = error < 0 ? error : read_newest(taken, &text);
    if (left_out == -ENOENT)
        return;
    if (left_out < 0) {
        log_error("%s cannot be read: %s; what was ordered while hauberkd was down is not done",
                  error < 0 ? orders : taken, strerror((int)-left_out));
        return;
    }
    struct span left = text_span(&text);
    if (left_out > 0) {
        struct span cut = span_cut(&left, '\n'); /* the rest of a line */
        char said[BAN_REASON_MAX];
        snprintf(said, sizeof(said),
                 "too many orders were left while hauberkd was down: the oldest %lld bytes of them "
                 "are not carried out; all are kept in orders.left-out",
                 (long long)left_out + (long long)cut.length + 1);
        log_error("%s", said);
        desk_note(desk, "note", "", NULL, 0, said);
    }
    apply_lines(desk, left);
    desk->left_orders = left_out > 0 ? LEFT_ORDERS_SET_ASIDE : LEFT_ORDERS_APPLIED;
}

void desk_left_orders_are_kept(struct desk *desk) {
    char taken[STATE_PATH_MAX], aside[STATE_PATH_MAX];
    state_path(desk, "orders.taken", taken);
    state_path(desk, "orders.left-out", aside);
    if (desk->left_orders == LEFT_ORDERS_NONE)
        return;
    int result = desk->left_orders == LEFT_ORDERS_APPLIED ? unlink(taken) : rename(taken, aside);
    desk->left_orders = LEFT_ORDERS_NONE;
    if (result < 0 && errno != ENOENT)
        log_error("%s cannot be removed: %s", taken, strerror(errno));
}
