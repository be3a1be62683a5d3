/* Keeping: what changed goes to the store in batches, each one transaction; what was stored comes
 * back at start.
 *
 * At most one batch is under way. What changes meanwhile is remembered as dirty keys by the tables
 * themselves, and evidence and history wait in the next batch, evidence in bounded number: a disk
 * that hangs or is full delays no ban and grows no memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

#define LOAD_SLICE_US (10 * INT64_C(1000))
enum { LOAD_ROWS = 256 }; /* between two looks at the clock */

static void make_due(struct desk *desk, int64_t after_us) {
    if (!store_is_busy(desk->store))
        watch_set_timer(desk->commit_timer, after_us);
}

void desk_changed(struct desk *desk) {
    if (desk->is_dirty)
        return;
    desk->is_dirty = true;
    make_due(desk, COMMIT_AFTER_US);
}

/* ---- building a batch ---- */

static const char *jail_name(const struct desk *desk, uint16_t jail) {
    return decider_jail_name(desk->decider, jail);
}

static void collect_positions(struct desk *desk, struct store_batch *batch) {
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        struct desk_source *source = &desk->sources[i];
        if (!source->is_dirty)
            continue;
        source->is_dirty = false;
        if (!selftest_is_source(desk, i)) { /* of that, what was written before is of no interest */
            struct row_position *row = rows_add(&batch->positions);
            memcpy(row->source, source->path, sizeof(row->source));
            row->position = source->position;
            row->lost = source->lost_kept;
            row->read_until_us = source->read_until_us;
            row->takes_over_us = source->takes_over_us;
            desk_name_jails(desk, desk->decider->jails_of_source[i], row->jails);
        }
        desk->acks[i] = (struct ack){source->position.done, true, source->is_sighting};
        source->is_sighting = false;
    }
}

static void collect_ledger(struct desk *desk, struct store_batch *batch) {
    struct ledger_key key;
    while (ledger_take_dirty(desk->decider->ledger, &key)) {
        const struct counter *counter = ledger_find(desk->decider->ledger, &key);
        struct row_counter *row = rows_add(&batch->counters);
        row->jail = jail_name(desk, key.jail);
        row->is_gone = !counter;
        row->counter.key = key;
        if (counter)
            row->counter = *counter;
    }
    struct digest session;
    while (joins_take_dirty(desk->decider->joins, &session)) {
        const struct join *join = joins_find(desk->decider->joins, &session);
        struct row_join *row = rows_add(&batch->joins);
        row->is_gone = !join;
        row->join.key = session;
        if (join)
            row->join = *join;
    }
    struct burst_key burst_key;
    while (bursts_take_dirty(desk->decider->bursts, &burst_key)) {
        const struct burst *burst = bursts_find(desk->decider->bursts, &burst_key);
        struct row_burst *row = rows_add(&batch->bursts);
        row->is_gone = !burst;
        row->burst.key = burst_key;
        if (burst)
            row->burst = *burst;
    }
    struct known_key known;
    while (known_take_dirty(desk->decider->known, &known)) {
        const struct known_entry *entry = known_find(desk->decider->known, &known);
        struct row_known *row = rows_add(&batch->known);
        row->is_gone = !entry;
        row->entry.key = known;
        if (entry)
            row->entry = *entry;
    }
    struct use_key use_key;
    while (uses_take_dirty(desk->decider->uses, &use_key)) {
        const struct use *use = uses_find(desk->decider->uses, &use_key);
        struct row_use *row = rows_add(&batch->uses);
        row->is_gone = !use;
        row->use.key = use_key;
        if (use)
            row->use = *use;
    }
}

static void collect_bans(struct desk *desk, struct store_batch *batch) {
    struct ledger_key key;
    while (bans_take_dirty(desk->decider->bans, &key)) {
        const struct ban *ban = bans_record(desk->decider->bans, &key);
        struct row_ban *row = rows_add(&batch->bans);
        row->jail = jail_name(desk, key.jail);
        row->is_gone = !ban;
        row->ban.key = key;
        if (ban) {
            row->ban = *ban;
            row->scope = desk->config->scopes[ban->scope].name;
        }
    }
    while (bans_take_dirty_past(desk->decider->bans, &key)) {
        const struct past *past = bans_past(desk->decider->bans, key.jail, &key.id);
        struct row_past *row = rows_add(&batch->past);
        row->jail = jail_name(desk, key.jail);
        row->is_gone = !past;
        row->past.key = key;
        if (past)
            row->past = *past;
    }
}

static void collect_spared(struct desk *desk, struct store_batch *batch) {
    struct spared_key key;
    while (spared_take_dirty(desk->decider->spared, &key)) {
        const struct spared *entry = spared_find(desk->decider->spared, &key);
        struct row_spared *row = rows_add(&batch->spared);
        row->is_gone = !entry;
        row->entry.key = key;
        if (entry)
            row->entry = *entry;
    }
}

/* ---- committing ---- */

static void tell_answers(struct desk *desk, int error) {
    struct pending_answer **kept = &desk->answers_sent;
    while (desk->answers_sent) {
        struct pending_answer *answer = desk->answers_sent;
        *kept = answer->next;
        if (error == 0)
            control_end(desk->control, answer->client, answer->exit, "%s", answer->text);
        else
            control_end(desk->control, answer->client, 1,
                        "%s\nBut it could not be stored (%s): it holds until hauberkd restarts, "
                        "and is tried again every second.",
                        answer->text, desk->store_error);
        free(answer);
    }
}

static void committed(void *context, int error, const char *what) {
    struct desk *desk = context;
    if (error < 0) {
        if (!desk->store_error[0]) {
            desk->store_error_since_us = clock_now_us();
            log_error("the state cannot be stored: %s. Bans go on; it is tried every second", what);
        }
        snprintf(desk->store_error, sizeof(desk->store_error), "%s", what);
        tell_answers(desk, error);
        desk_send_letters(desk); /* told twice is better than not at all */
        return;
    }
    if (desk->store_error[0]) {
        log_notice("the state can be stored again");
        desk->store_error[0] = '\0';
    }
    desk_acknowledge(desk);
    desk_left_orders_are_kept(desk);
    desk_send_letters(desk);
    tell_answers(desk, 0);
    if (desk->answers)
        desk_commit_now(desk);
    else if (desk->is_dirty)
        make_due(desk, COMMIT_AFTER_US);
}

void desk_commit_now(struct desk *desk) {
    if (desk->is_loading || store_is_busy(desk->store) || (!desk->is_dirty && !desk->answers))
        return;
    struct store_batch *batch = desk->batch;
    desk->batch = store_batch_new();
    desk->is_dirty = false;
    desk->answers_sent = desk->answers;
    desk->answers = NULL;
    collect_positions(desk, batch);
    collect_ledger(desk, batch);
    collect_bans(desk, batch);
    collect_spared(desk, batch);
    desk_collect_notices(desk, batch);
    desk_collect_sights(desk, batch);
    desk_seal_letters(desk);
    watch_set_timer(desk->commit_timer, -1);
    int error = store_commit(desk->store, batch, committed, desk);
    must(error >= 0);
}

static int commit_due(void *context) {
    desk_commit_now(context);
    return 0;
}

static int store_ready(void *context, int fd, uint32_t events) {
    (void)fd;
    (void)events;
    struct desk *desk = context;
    store_finished(desk->store);
    return 0;
}

/* At most two seconds: what is not durable by then is read again next time. */
void desk_finish(struct desk *desk) {
    if (!desk->store || desk->is_loading)
        return;
    int64_t until_us = clock_monotonic_us() + 2 * SECOND_US;
    do {
        struct pollfd one = {.fd = store_fd(desk->store), .events = POLLIN};
        desk_commit_now(desk);
        if (store_is_busy(desk->store) && poll(&one, 1, 200) > 0)
            store_finished(desk->store);
    } while ((store_is_busy(desk->store) || desk->is_dirty) && !desk->store_error[0] &&
             clock_monotonic_us() < until_us);
}

void desk_answer_when_kept(struct desk *desk, uint64_t client, int exit, const char *format, ...) {
    struct pending_answer *answer = calloc(1, sizeof(*answer));
    must(answer);
    answer->client = client;
    answer->exit = exit;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(answer->text, sizeof(answer->text), format, arguments);
    va_end(arguments);
    if (desk->store_error[0]) { /* the batch under way is stuck: no use in waiting behind it */
        struct pending_answer *behind = desk->answers_sent;
        desk->answers_sent = answer;
        tell_answers(desk, -1);
        desk->answers_sent = behind;
        desk_changed(desk);
        return;
    }
    answer->next = desk->answers;
    desk->answers = answer;
    desk_commit_now(desk);
}

void desk_keep_fact(struct desk *desk, const char *name, struct span value) {
    struct row_fact *row = rows_add(&desk->batch->facts);
    snprintf(row->name, sizeof(row->name), "%s", name);
    row->value = span_copy(value);
    must(row->value);
    desk_changed(desk);
}

void desk_note(struct desk *desk, const char *kind, const char *jail, const struct prefix *id,
               int64_t until_us, const char *text) {
    if (desk->batch->history.count >= HISTORY_QUEUE_MAX)
        return; /* the disk has been stuck for long; bans themselves are kept elsewhere */
    struct row_history *row = rows_add(&desk->batch->history);
    row->at_us = clock_now_us();
    snprintf(row->kind, sizeof(row->kind), "%s", kind);
    row->jail = jail;
    if (id)
        row->id = *id;
    row->until_us = until_us;
    snprintf(row->text, sizeof(row->text), "%.*s", BAN_REASON_MAX - 1, text);
    desk_changed(desk);
}

/* ---- what the decider tells ---- */

static void keep_evidence(void *context, const struct evidence *evidence) {
    struct desk *desk = context;
    if (evidence->jail == desk->config->selftest_jail)
        return;
    if (desk->batch->evidence.count >= EVIDENCE_QUEUE_MAX) {
        desk->decider->evidence_shed++;
        return;
    }
    const struct wire_event *event = evidence->event;
    struct row_evidence *row = rows_add(&desk->batch->evidence);
    memcpy(row->source, desk->sources[evidence->source].path, sizeof(row->source));
    row->jail = decider_jail_name(desk->decider, evidence->jail);
    row->verdict = evidence->verdict;
    row->no_such_account = event->no_such_account;
    row->ordinal = evidence->ordinal;
    row->at_us = evidence->at_us;
    row->id = evidence->id;
    row->address = event->address;
    memcpy(row->account, event->account.at, event->account.length);
    memcpy(row->text, event->evidence.at, event->evidence.length);
    if (control_watchers(desk->control)) {
        char address[PREFIX_TEXT_MAX];
        js *told = js_object();
        js_set_time(told, "at", row->at_us);
        js_set_string(told, "jail", row->jail);
        js_set_string(told, "address", address_format(&row->address, address));
        js_set_string(told, "account", row->account);
        js_set_number(told, "verdict", row->verdict);
        js_set_flag(told, "unknown", row->no_such_account);
        desk_tell_watchers(desk, "event", told);
    }
}

static void ban_was_made(void *context, const struct decision *decision) {
    struct desk *desk = context;
    const struct ban *ban = decision->ban;
    if (ban->key.jail == desk->config->selftest_jail) {
        selftest_was_decided(desk);
        return;
    }
    char address[PREFIX_TEXT_MAX];
    const char *jail = decider_jail_name(desk->decider, ban->key.jail);
    prefix_format(&ban->key.id, address);
    log_notice("%s %s: %s", desk->decider->observes ? "would ban" : "ban", address, ban->reason);
    desk_note(desk, "ban", jail, &ban->key.id, ban->until_us, ban->reason);
    desk_tell_ban(desk, decision);
    if (control_watchers(desk->control)) {
        js *told = js_object();
        js_set_time(told, "at", ban->since_us);
        js_set_string(told, "jail", jail);
        js_set_string(told, "address", address);
        js_set_time(told, "until", ban->until_us > 0 ? ban->until_us : 0);
        js_set_string(told, "reason", ban->reason);
        js_set_flag(told, "observed", desk->decider->observes);
        desk_tell_watchers(desk, "ban", told);
    }
}

static void login_is_suspicious(void *context, const struct suspicion *suspicion) {
    struct desk *desk = context;
    char address[PREFIX_TEXT_MAX];
    char text[BAN_REASON_MAX];
    prefix_format(&suspicion->id, address);
    if (suspicion->is_banned)
        snprintf(text, sizeof(text), "a login from this banned address");
    else
        snprintf(text, sizeof(text), "a login after %u failures within a day",
                 suspicion->failures);
    log_warning("suspicious login from %s: %s; see `hauberk why %s`", address, text, address);
    desk_note(desk, "suspicious", decider_jail_name(desk->decider, suspicion->jail),
              &suspicion->id, 0, text);
    desk_tell_suspicion(desk, suspicion);
}

const struct decider_calls desk_decider_calls = {.on_evidence = keep_evidence,
                                                 .on_ban = ban_was_made,
                                                 .on_suspicion = login_is_suspicious,
                                                 .on_spare = desk_was_spared,
                                                 .on_spare_end = desk_sparing_is_over,
                                                 .on_exempt = desk_was_exempt};

/* ---- loading ---- */

static int known_jail(struct desk *desk, const char *name) {
    int jail = decider_find_jail(desk->decider, span_of(name));
    if (jail >= 0 && jail != JAIL_BY_HAND && !desk->config->jails[jail].is_enabled)
        return -1;
    return jail;
}

static void load_position(void *context, const struct row_position *row) {
    struct desk *desk = context;
    *rows_add(&desk->stored) = *row;
}

/* A person's pardon holds for the lines written before it, whenever they are read. */
static void load_unban(void *context, const struct row_history *row) {
    struct desk *desk = context;
    int jail = row->jail[0] ? decider_find_jail(desk->decider, span_of(row->jail)) : -1;
    decider_pardon(desk->decider, &row->id, jail, row->at_us);
}

static void load_notice(void *context, const struct notice *notice) {
    struct desk *desk = context;
    notices_restore(desk->telling.notices, notice);
}

static void load_sight(void *context, const struct row_sight *row) {
    desk_load_sight(context, row);
}

static void load_counter(void *context, const struct row_counter *row) {
    struct desk *desk = context;
    int jail = known_jail(desk, row->jail);
    struct counter counter = row->counter;
    counter.key.jail = (uint16_t)jail;
    if (jail >= 0)
        (void)ledger_restore(desk->decider->ledger, &counter);
}

static void load_join(void *context, const struct row_join *row) {
    struct desk *desk = context;
    (void)joins_restore(desk->decider->joins, &row->join);
}

static void load_burst(void *context, const struct row_burst *row) {
    struct desk *desk = context;
    (void)bursts_restore(desk->decider->bursts, &row->burst);
}

static void load_known(void *context, const struct row_known *row) {
    struct desk *desk = context;
    (void)known_restore(desk->decider->known, &row->entry);
}

static int find_scope(const struct config *config, const char *name) {
    for (uint16_t i = 0; i < config->scope_count; i++)
        if (strcmp(config->scopes[i].name, name) == 0)
            return i;
    return -1;
}

/* A ban by hand keeps its ports, and so does one that left port 25 open. */
static int choose_scope(const struct config *config, int jail, int stored_scope) {
    if (jail == JAIL_BY_HAND || stored_scope == config->jails[jail].mail_scope_if_delivered)
        return stored_scope;
    return config->jails[jail].scope;
}

/* A jail that is gone or off has no bans; one whose ports changed closes the new ones. */
static void load_use(void *context, const struct row_use *row) {
    struct desk *desk = context;
    (void)uses_restore(desk->decider->uses, &row->use);
}

static void load_ban(void *context, const struct row_ban *row) {
    struct desk *desk = context;
    int jail = known_jail(desk, row->jail);
    struct ban ban = row->ban;
    int stored_scope = find_scope(desk->config, row->scope);
    if (jail < 0) {
        if (stored_scope >= 0)
            projection_drop_unknown(desk->decider->projection, (uint16_t)stored_scope,
                                    &ban.key.id);
        return;
    }
    ban.key.jail = (uint16_t)jail;
    int scope = choose_scope(desk->config, jail, stored_scope);
    ban.scope = (uint16_t)(scope < 0 ? SCOPE_ALL : scope);
    if (stored_scope >= 0 && stored_scope != ban.scope)
        projection_drop_unknown(desk->decider->projection, (uint16_t)stored_scope, &ban.key.id);
    if (decider_is_exempt(desk->decider, ban.key.jail, &ban.key.id))
        return;
    if (bans_restore(desk->decider->bans, &ban, desk->started_us))
        desk->bans_loaded++;
    else
        desk->bans_left_out++;
}

static void load_past(void *context, const struct row_past *row) {
    struct desk *desk = context;
    int jail = known_jail(desk, row->jail);
    struct past past = row->past;
    past.key.jail = (uint16_t)jail;
    if (jail >= 0)
        (void)bans_restore_past(desk->decider->bans, &past);
}

static void load_fact(void *context, const char *name, const char *value) {
    if (strcmp(name, "first") == 0)
        first_restore(context, span_of(value));
    else if (strcmp(name, "first-begun") == 0)
        ((struct desk *)context)->first.was_begun = true;
    else
        (void)desk_restore_observing(context, name, value);
}

static void load_spared(void *context, const struct row_spared *row) {
    struct desk *desk = context;
    if (!spared_restore(desk->decider->spared, &row->entry))
        log_error("more trusted addresses are stored than can be; some are left out");
}

/* For about LOAD_SLICE_US; then whoever else has something to say has his turn. */
static int load_some(void *context) {
    static const struct store_readers readers = {.position = load_position,
                                                 .counter = load_counter,
                                                 .burst = load_burst,
                                                 .join = load_join,
                                                 .known = load_known,
                                                 .use = load_use,
                                                 .ban = load_ban,
                                                 .past = load_past,
                                                 .unban = load_unban,
                                                 .spared = load_spared,
                                                 .notice = load_notice,
                                                 .sight = load_sight,
                                                 .fact = load_fact};
    struct desk *desk = context;
    struct why why = {0};
    char text[900];
    int64_t until_us = clock_monotonic_us() + LOAD_SLICE_US;
    int has_more;
    do
        has_more = store_load(desk->store, LOAD_ROWS, &readers, desk, &why);
    while (has_more > 0 && clock_monotonic_us() < until_us);
    if (has_more < 0) {
        log_error("%s", why_format(&why, text, sizeof(text)));
        return has_more;
    }
    if (has_more) {
        desk_pump_orders(desk);
        watch_set_idle(desk->load_idle, true);
        return 0;
    }
    if (desk->bans_left_out)
        log_error("%u of %u stored bans are left out: bans-most allows %u, and %d networks that "
                  "are neither single addresses nor IPv6 /64s",
                  desk->bans_left_out, desk->bans_left_out + desk->bans_loaded,
                  desk->config->bans_most, NETS_MAX);
    desk_is_loaded(desk);
    return 0;
}

int desk_open_store(struct desk *desk, struct why *reterr_why) {
    bool was_damaged = false;
    int error = store_open(desk->state_folder, &desk->store, &was_damaged, reterr_why);
    if (error < 0)
        return error;
    if (was_damaged)
        log_error("the database in %s was damaged; it was set aside and a new one begun: bans and "
                  "positions of before are lost",
                  desk->state_folder);
    desk->batch = store_batch_new();
    desk->commit_timer = loop_add_timer(desk->loop, -1, commit_due, desk);
    (void)loop_add_fd(desk->loop, store_fd(desk->store), EPOLLIN, store_ready, desk);
    desk->is_loading = true;
    desk->load_idle = loop_add_idle(desk->loop, load_some, desk);
    watch_set_idle(desk->load_idle, true);
    return 0;
}
