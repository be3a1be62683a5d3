/* The desk's side towards the enforcer: orders out, receipts in, and what to do when somebody else
 * changed our table.
 *
 * A foreign change is repaired at once: scopes and all orders are sent again. If a second one comes
 * within a minute, somebody means it: nothing is enforced for ten minutes, and status says so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/desk.h"

#include "base/log.h"

struct asking {
    struct asking *next;
    uint64_t ticket;
    desk_elements_fn *answer;
    void *context;
};

/* The first look is not over; or it may have been cut short, which is known when all is loaded. */
static bool is_before_first_page(const struct desk *desk) {
    return desk->first.is_reading || (desk->is_loading && !desk->first.page);
}

bool desk_enforces(const struct desk *desk) {
    return desk->enforcer_is_there && desk->scopes_are_sent && !desk->decider->observes &&
           !desk->observing_is_open && desk->waits_until_us == 0 && desk->paused_until_us == 0 &&
           !is_before_first_page(desk);
}

static void send_scopes(struct desk *desk) {
    static struct wire_scope scopes[SCOPES_MAX];
    for (uint16_t i = 0; i < desk->config->scope_count; i++) {
        const struct scope *scope = &desk->config->scopes[i];
        scopes[i] = (struct wire_scope){.is_shadow = scope->is_shadow,
                                        .range_count = scope->range_count};
        wire_set_bytes(scopes[i].name, span_of(scope->name));
        for (uint8_t r = 0; r < scope->range_count; r++)
            scopes[i].ranges[r] =
                (struct wire_range){scope->ranges[r].first, scope->ranges[r].last};
    }
    (void)channel_send(desk->enforcer, SAY_SCOPES, NULL, scopes, desk->config->scope_count);
    desk->scopes_are_sent = true;
}

/* Elements in our sets that nobody wants: of a ban whose decision was never committed, of an unban
 * the enforcer did not live to carry out. They are judged when the sources have caught up, because
 * lines that are read again may still want them. */
static void judge_elements(void *context, const struct wire_element *elements, uint32_t count,
                           bool is_last) {
    struct desk *desk = context;
    for (uint32_t i = 0; i < count; i++) {
        if (elements[i].scope >= desk->config->scope_count)
            continue;
        const struct element *known = projection_find(
            desk->decider->projection, elements[i].scope, &elements[i].prefix);
        if (!known || known->wanted_us == 0)
            projection_drop_unknown(desk->decider->projection, elements[i].scope,
                                    &elements[i].prefix);
    }
    if (is_last)
        desk_pump_orders(desk);
}

void desk_reconcile(struct desk *desk) {
    static const struct prefix everything[] = {{.address.at = {[10] = 0xff, [11] = 0xff}},
                                               {.length = 0}};
    if (!desk_enforces(desk) || bans_count(desk->decider->bans) > RECONCILE_MOST)
        return;
    for (size_t i = 0; i < ELEMENTS_OF(everything); i++)
        desk_ask_kernel(desk, &everything[i], judge_elements, desk);
}

/* Stored bans are in the kernel (or there is nobody to put them there): hauberkd may say ready. */
void desk_check_ready(struct desk *desk) {
    if (desk->is_ready || desk->is_loading || desk->observing_is_open || !desk->own_is_known ||
        !desk->sources_are_known)
        return;
    if (desk_enforces(desk) && !projection_is_settled(desk->decider->projection))
        return;
    desk->is_ready = true;
    (void)channel_send(desk->supervisor, SAY_READY, NULL, NULL, 0);
    desk_send_positions(desk);
}

void desk_pump_orders(struct desk *desk) {
    static struct enforce_order due[ORDERS_MAX];
    static struct wire_order orders[ORDERS_MAX];
    if (!desk_enforces(desk) || !desk->own_is_known)
        return;
    /* What is loaded may go out while the rest is read: at a start elements are only added. Not if
     * a person's orders wait to be applied first, nor networks, which are flattened all at once. */
    if (desk->is_loading &&
        (desk_orders_wait(desk) || projection_has_stale_nets(desk->decider->projection)))
        return;
    while (channel_is_clear(desk->enforcer)) {
        uint32_t count =
            projection_orders(desk->decider->projection, clock_now_us(), due, ORDERS_MAX);
        if (count == 0)
            break;
        for (uint32_t i = 0; i < count; i++)
            orders[i] = (struct wire_order){.scope = due[i].scope,
                                            .is_drop = due[i].is_drop,
                                            .cut = due[i].cut,
                                            .prefix = due[i].prefix,
                                            .until_us = due[i].until_us};
        (void)channel_send(desk->enforcer, SAY_ORDERS, NULL, orders, count);
    }
    desk_check_ready(desk);
}

void desk_begin_enforcing(struct desk *desk) {
    desk->enforcer_is_there = true;
    if (desk->decider->observes)
        desk_lift(desk); /* what an earlier run enforced is not in force any more */
    desk_spare_all(desk);
    if (desk->decider->observes || desk->observing_is_open || desk->paused_until_us ||
        desk->waits_until_us || desk->first.is_reading) {
        desk_check_ready(desk);
        return;
    }
    send_scopes(desk);
    projection_order_again(desk->decider->projection);
    desk_pump_orders(desk);
    desk_check_ready(desk);
}

void desk_lift(struct desk *desk) {
    static struct wire_scope none;
    if (!desk->enforcer)
        return;
    (void)channel_send(desk->enforcer, SAY_SCOPES, NULL, &none, 0);
    desk->scopes_are_sent = false;
    projection_order_again(desk->decider->projection);
}

void desk_tell_refusals(struct desk *desk) {
    struct refusals *refusals = &desk->refusals;
    char text[PREFIX_TEXT_MAX];
    int64_t now_us = clock_monotonic_us();
    if (refusals->count == 0 ||
        (refusals->told_us && now_us - refusals->told_us < SWEEP_EVERY_US))
        return;
    prefix_format(&refusals->prefix, text);
    if (refusals->count == 1)
        log_error("the kernel did not take %s: %s", text, strerror(refusals->error));
    else
        log_error("the kernel did not take %llu elements; the first was %s: %s",
                  (unsigned long long)refusals->count, text, strerror(refusals->error));
    *refusals = (struct refusals){.told_us = now_us};
}

static void take_receipts(struct desk *desk, const struct wire_receipt *receipts,
                          uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct wire_receipt *receipt = &receipts[i];
        projection_receipt(desk->decider->projection, receipt->scope, &receipt->prefix,
                           receipt->is_drop, receipt->until_us, (int)receipt->error);
        selftest_was_answered(desk, receipt);
        if (receipt->error && desk->refusals.count++ == 0) {
            desk->refusals.error = (int)receipt->error;
            desk->refusals.prefix = receipt->prefix;
        }
    }
    desk_tell_refusals(desk);
    desk_pump_orders(desk);
    desk_check_ready(desk);
}

static int will_is_over(void *context) {
    struct desk *desk = context;
    desk->waits_until_us = 0;
    log_notice("ten minutes are over: enforcing again");
    desk_note(desk, "note", "", NULL, 0, "enforcing again after a second flush");
    desk_begin_enforcing(desk);
    return 0;
}

static void take_drift(struct desk *desk, const struct wire_drift *drift) {
    int64_t now_us = clock_monotonic_us();
    bool is_second = desk->last_drift_us && now_us - desk->last_drift_us < SECOND_FLUSH_US;
    desk->last_drift_us = now_us;
    desk->drifts++;
    if (!desk_enforces(desk))
        return;
    if (!is_second) {
        log_warning("another program (netlink port %u) %s our table; it is put back",
                    drift->by_port, drift->table_gone ? "deleted" : "changed");
        desk_note(desk, "note", "", NULL, 0, "our table was changed by another program; put back");
        desk_begin_enforcing(desk);
        return;
    }
    log_warning("our table was changed twice within a minute: somebody means it. Nothing is "
                "enforced for ten minutes; `hauberk pause 1h` is the quiet way");
    desk_note(desk, "note", "", NULL, 0,
              "our table was changed twice within a minute; waiting ten minutes");
    desk->waits_until_us = clock_now_us() + WILL_WAIT_US;
    desk_lift(desk); /* what is left goes too: status says nothing is in force, and so it is */
    if (!desk->resume_timer)
        desk->resume_timer = loop_add_timer(desk->loop, WILL_WAIT_US, will_is_over, desk);
    else
        watch_set_timer(desk->resume_timer, WILL_WAIT_US);
}

static void take_own(struct desk *desk, const struct wire_exemption *exemptions,
                     uint32_t count) {
    desk->own_coming = realloc(desk->own_coming, (desk->own_coming_count + count) *
                                                     sizeof(*desk->own_coming));
    must(desk->own_coming || desk->own_coming_count + count == 0);
    for (uint32_t i = 0; i < count; i++)
        desk->own_coming[desk->own_coming_count++] = exemptions[i].prefix;
}

static void own_is_complete(struct desk *desk) {
    decider_set_own(desk->decider, desk->own_coming, desk->own_coming_count);
    desk->own_coming_count = 0;
    desk->own_is_known = true;
    desk_pump_orders(desk);
    desk_check_ready(desk);
}

void desk_ask_kernel(struct desk *desk, const struct prefix *prefix, desk_elements_fn *answer,
                     void *context) {
    if (!desk->enforcer_is_there) {
        answer(context, NULL, 0, true);
        return;
    }
    struct asking *asking = calloc(1, sizeof(*asking));
    must(asking);
    *asking = (struct asking){desk->askings, ++desk->next_ticket, answer, context};
    desk->askings = asking;
    struct wire_query query = {.ticket = asking->ticket, .scope = UINT16_MAX, .prefix = *prefix};
    (void)channel_send(desk->enforcer, SAY_ASK, &query, NULL, 0);
}

static void take_elements(struct desk *desk, const struct wire_answer *answer,
                          const struct wire_element *elements, uint32_t count) {
    for (struct asking **at = &desk->askings; *at; at = &(*at)->next) {
        struct asking *asking = *at;
        if (asking->ticket != answer->ticket)
            continue;
        if (answer->is_last)
            *at = asking->next;
        asking->answer(asking->context, elements, count, answer->is_last);
        if (answer->is_last)
            free(asking);
        return;
    }
}

int desk_from_enforcer(struct desk *desk, struct message *message) {
    switch (message->type) {
    case SAY_RECEIPTS:
        take_receipts(desk, message->items, message->count);
        break;
    case SAY_DRIFT:
        take_drift(desk, message->head);
        break;
    case SAY_OWN:
        take_own(desk, message->items, message->count);
        break;
    case SAY_OWN_END:
        own_is_complete(desk);
        break;
    case SAY_ELEMENTS:
        take_elements(desk, message->head, message->items, message->count);
        break;
    default:
        break;
    }
    return 0;
}
