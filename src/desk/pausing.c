/* What a person ordered while no hauberkd ran: `hauberk ban`, `unban` and `pause` work
 * then too.
 *
 * The command line appends lines to STATE/orders, each with its time; they are applied when the
 * store is loaded and before anything is put into the kernel, and the file is removed when their
 * effect is durable. Applying them twice changes nothing: an order only touches bans that are older
 * than itself. RUNTIME/pause holds the end of a pause in microseconds.
 *
 *   unban TIME_US PREFIX [JAIL]
 *   ban TIME_US PREFIX UNTIL_US WHY
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"

enum { ORDERS_MOST_BYTES = 1 << 20 };

void desk_read_left_orders(struct desk *desk) {
    char path[400];
    cleanup_text struct text pause = {0};
    snprintf(path, sizeof(path), "%.380s/orders", desk->state_folder);
    int error = file_read(path, ORDERS_MOST_BYTES, &desk->left_orders);
    if (error < 0 && error != -ENOENT)
        log_error("%s cannot be read: %s; what was ordered there is not done", path,
                  strerror(-error));
    snprintf(path, sizeof(path), "%.380s/pause", desk->runtime_folder);
    int64_t until_us = 0;
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
    return false;
}

void desk_apply_left_orders(struct desk *desk) {
    struct span left = text_span(&desk->left_orders);
    if (left.length == 0)
        return;
    while (left.at && left.length > 0) {
        struct span line = span_trim(span_cut(&left, '\n'));
        if (line.length && !apply_line(desk, line))
            log_error("a line of the orders file makes no sense and is left out");
    }
    desk->left_orders_are_applied = true;
}

void desk_left_orders_are_kept(struct desk *desk) {
    char path[400];
    if (!desk->left_orders_are_applied)
        return;
    desk->left_orders_are_applied = false;
    snprintf(path, sizeof(path), "%.380s/orders", desk->state_folder);
    if (unlink(path) < 0 && errno != ENOENT)
        log_error("%s cannot be removed: %s", path, strerror(errno));
}
