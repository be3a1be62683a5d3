/* `hauberk logins`: which account uses which service (ledger/uses.h), a row for each pair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/answers.h"

enum { ROWS_PER_TURN = 500 };

/* in_clear is null where the service's log never says. */
static js *row_of(const struct use *use) {
    js *row = js_object();
    js_set_string(row, "account", use->key.account);
    js_set_string(row, "service", use->key.service);
    js_set_time(row, "first", use->first_us);
    js_set_time(row, "last", use->last_us);
    js_set_number(row, "logins", use->logins);
    if (use->untold < use->logins)
        js_set_number(row, "in_clear", use->clear);
    else
        js_set_string(row, "in_clear", NULL);
    js_set_time(row, "last_in_clear", use->clear_us);
    return row;
}

static void more_logins(void *context, uint64_t client, uint32_t *cursor) {
    struct desk *desk = context;
    for (int i = 0; i < ROWS_PER_TURN && control_is_clear(desk->control, client); i++) {
        const struct use *use = uses_next(desk->decider->uses, cursor);
        if (!use) {
            control_end(desk->control, client, 0, "%s", "");
            return;
        }
        control_row(desk->control, client, row_of(use));
    }
}

void desk_word_logins(struct desk *desk, const struct question *question) {
    control_stream(desk->control, question->client, more_logins, desk);
}
