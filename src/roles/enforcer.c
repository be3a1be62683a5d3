/* The enforcer: puts numbers into the kernel. CAP_NET_ADMIN and nothing else; reads no
 * configuration and no text of an attacker.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "base/log.h"
#include "enforce/enforce.h"
#include "roles/role.h"

enum { EXEMPT_MAX = 4096 };

struct enforcer_role {
    struct role_supervisor supervisor;
    struct channel *decider;
    struct enforce *enforce;
    struct prefix exempt[EXEMPT_MAX];
    uint32_t exempt_count;
    struct scope scopes[SCOPES_MAX];
    uint16_t scope_count;   /* 0: nothing is enforced */
    bool drift_is_told;     /* until the decider has sent the scopes again */
};

static void say_error(const char *what, const struct why *why) {
    char text[900];
    log_error("%s: %s", what, why_format(why, text, sizeof(text)));
}

/* ---- what this machine is ---- */

struct own_telling {
    struct enforcer_role *role;
    struct wire_exemption items[512];
    uint32_t count;
};

static void tell_own(void *context, const struct prefix *prefix, bool is_own) {
    struct own_telling *telling = context;
    if (telling->count == ELEMENTS_OF(telling->items)) {
        (void)channel_send(telling->role->decider, SAY_OWN, NULL, telling->items, telling->count);
        telling->count = 0;
    }
    telling->items[telling->count++] = (struct wire_exemption){.is_own = is_own, .prefix = *prefix};
}

static void tell_all_own(struct enforcer_role *role) {
    static struct own_telling telling;
    telling.role = role;
    telling.count = 0;
    enforce_each_exempt(role->enforce, tell_own, &telling);
    if (telling.count)
        (void)channel_send(role->decider, SAY_OWN, NULL, telling.items, telling.count);
    (void)channel_send(role->decider, SAY_OWN_END, NULL, NULL, 0);
}

static int from_supervisor(void *context, struct message *message) {
    struct enforcer_role *role = context;
    struct why why = {0};
    if (message->type == SAY_EXEMPT) {
        const struct wire_exemption *exemptions = message->items;
        for (uint32_t i = 0; i < message->count && role->exempt_count < EXEMPT_MAX; i++)
            role->exempt[role->exempt_count++] = exemptions[i].prefix;
    } else if (message->type == SAY_SOURCES_END) {
        if (enforce_set_exempt(role->enforce, role->exempt, role->exempt_count, &why) < 0)
            say_error("the addresses never to be banned cannot be set", &why);
        tell_all_own(role);
        (void)channel_send(role->supervisor.channel, SAY_READY, NULL, NULL, 0);
    }
    return 0;
}

static void on_quit(void *context, bool lift) {
    struct enforcer_role *role = context;
    struct why why = {0};
    if (lift && enforce_lift(role->enforce, &why) < 0)
        say_error("our table cannot be deleted", &why);
}

/* ---- what the decider wants ---- */

/* Our own view of what the socket still tells of an earlier change must not be taken for news. */
static void forget_changes(struct enforcer_role *role) {
    struct enforce_changes changes;
    struct why why = {0};
    (void)!enforce_read_changes(role->enforce, &changes, &why);
    if (changes.own_addresses && enforce_read_own(role->enforce, &why) >= 0)
        tell_all_own(role);
}

static void take_scopes(struct enforcer_role *role, const struct wire_scope *scopes,
                        uint32_t count) {
    struct why why = {0};
    forget_changes(role);
    role->drift_is_told = false;
    role->scope_count = 0;
    if (count == 0) {
        if (enforce_lift(role->enforce, &why) < 0)
            say_error("our table cannot be deleted", &why);
        return;
    }
    for (uint32_t i = 0; i < count && i < SCOPES_MAX; i++) {
        struct scope *scope = &role->scopes[i];
        *scope = (struct scope){.is_shadow = scopes[i].is_shadow,
                                .range_count = scopes[i].range_count};
        memcpy(scope->name, scopes[i].name.at, scopes[i].name.length);
        scope->name[SCOPE_NAME_MAX - 1] = '\0';
        for (uint8_t r = 0; r < scope->range_count; r++) {
            scope->ranges[r].first = scopes[i].ranges[r].first;
            scope->ranges[r].last = scopes[i].ranges[r].last;
        }
        role->scope_count++;
    }
    if (enforce_set_scopes(role->enforce, role->scopes, role->scope_count, &why) < 0) {
        say_error("the table cannot be made in the kernel", &why);
        role->scope_count = 0;
    }
}

static void take_orders(struct enforcer_role *role, const struct wire_order *wired,
                        uint32_t count) {
    static struct enforce_order orders[ORDERS_MAX];
    static struct wire_receipt receipts[ORDERS_MAX];
    static int results[ORDERS_MAX];
    struct why why = {0};
    bool is_valid = true;
    for (uint32_t i = 0; i < count; i++) {
        orders[i] = (struct enforce_order){wired[i].scope, wired[i].is_drop, wired[i].cut,
                                           wired[i].prefix, wired[i].until_us};
        results[i] = -ENODEV;
        is_valid = is_valid && wired[i].scope < role->scope_count;
    }
    if (is_valid && enforce_apply(role->enforce, orders, count, results, &why) < 0)
        say_error("some orders could not be carried out", &why);
    for (uint32_t i = 0; i < count; i++)
        receipts[i] = (struct wire_receipt){.scope = wired[i].scope,
                                            .is_drop = wired[i].is_drop,
                                            .error = (uint32_t)-results[i],
                                            .prefix = wired[i].prefix,
                                            .until_us = wired[i].until_us};
    (void)channel_send(role->decider, SAY_RECEIPTS, NULL, receipts, count);
}

struct listing {
    struct enforcer_role *role;
    struct wire_answer answer;
    struct wire_element elements[ORDERS_MAX];
    uint32_t count;
};

static void list_one(void *context, const char *set_name, uint16_t scope,
                     const struct prefix *prefix, int64_t expires_us, uint64_t packets) {
    (void)set_name;
    struct listing *listing = context;
    if (listing->count == ORDERS_MAX) {
        (void)channel_send(listing->role->decider, SAY_ELEMENTS, &listing->answer,
                           listing->elements, listing->count);
        listing->count = 0;
    }
    listing->elements[listing->count++] = (struct wire_element){
        .scope = scope, .prefix = *prefix, .until_us = expires_us, .packets = packets};
}

static void answer_query(struct enforcer_role *role, const struct wire_query *query) {
    static struct listing listing;
    struct why why = {0};
    listing.role = role;
    listing.answer = (struct wire_answer){.ticket = query->ticket};
    listing.count = 0;
    if (enforce_list_about(role->enforce, &query->prefix, list_one, &listing, &why) < 0) {
        say_error("the kernel's sets cannot be read", &why);
        listing.answer.error = EIO;
    }
    listing.answer.is_last = 1;
    (void)channel_send(role->decider, SAY_ELEMENTS, &listing.answer, listing.elements,
                       listing.count);
}

static void spare(struct enforcer_role *role, const struct prefix *prefix, int64_t until_us) {
    struct why why = {0};
    int error = until_us == 0 ? enforce_unspare(role->enforce, prefix, &why)
                              : enforce_spare(role->enforce, prefix, until_us, &why);
    if (error < 0)
        say_error("an address cannot be spared, or no longer", &why);
}

static int from_decider(void *context, struct message *message) {
    struct enforcer_role *role = context;
    if (message->type == SAY_SCOPES) {
        take_scopes(role, message->items, message->count);
    } else if (message->type == SAY_ORDERS) {
        take_orders(role, message->items, message->count);
    } else if (message->type == SAY_ASK) {
        answer_query(role, message->head);
    } else if (message->type == SAY_SPARE) {
        const struct wire_exemption *spared = message->items;
        for (uint32_t i = 0; i < message->count; i++)
            spare(role, &spared[i].prefix, spared[i].until_us);
    }
    return 0;
}

static int decider_ended(void *context, int error, const char *what) {
    struct enforcer_role *role = context;
    return role_peer_ended(&role->supervisor, DECIDER, error, what);
}

/* ---- what others do to the kernel ---- */

static int kernel_changed(void *context, int fd, uint32_t events) {
    (void)fd;
    (void)events;
    struct enforcer_role *role = context;
    struct enforce_changes changes = {0};
    struct why why = {0};
    if (enforce_read_changes(role->enforce, &changes, &why) < 0) {
        say_error("changes in the kernel cannot be read", &why);
        return 0;
    }
    if (changes.own_addresses) {
        if (enforce_read_own(role->enforce, &why) < 0)
            say_error("own addresses cannot be read", &why);
        tell_all_own(role);
    }
    bool is_drift = (changes.table_touched || changes.table_gone) && role->scope_count > 0;
    if (is_drift && !role->drift_is_told) {
        struct wire_drift drift = {.table_gone = changes.table_gone,
                                   .table_touched = changes.table_touched,
                                   .by_port = changes.by_port};
        role->drift_is_told = true;
        (void)channel_send(role->decider, SAY_DRIFT, &drift, NULL, 0);
    }
    return 0;
}

/* `hauberk-enforcer --lift`: deletes our table and ends. For the unit and the package, when no
 * hauberkd is left that could be asked. */
static int lift_alone(void) {
    struct why why = {0};
    struct enforce *enforce = NULL;
    log_open("hauberk");
    hash_open();
    int error = enforce_open(&enforce, &why);
    if (error >= 0)
        error = enforce_lift(enforce, &why);
    enforce_free(enforce);
    if (error >= 0)
        return 0;
    say_error("the bans cannot be lifted", &why);
    return 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--lift") == 0)
        return lift_alone();
    struct why why = {0};
    struct role_options options = role_begin(ENFORCER, argc, argv);
    static struct enforcer_role role;
    role.supervisor = (struct role_supervisor){.loop = loop_new(),
                                               .on_message = from_supervisor,
                                               .on_quit = on_quit,
                                               .context = &role};
    struct loop *loop = role.supervisor.loop;
    if (enforce_open(&role.enforce, &why) < 0)
        role_fail(&why);
    role_enter_sandbox(ENFORCER, &options, NULL, NULL);
    role_connect_supervisor(&role.supervisor, ENFORCER);
    static const struct channel_calls decider_calls = {from_decider, NULL, decider_ended};
    role.decider = channel_new(loop, ROLE_FD_PEER, ENFORCER, DECIDER, &decider_calls, &role);
    (void)loop_add_fd(loop, enforce_watch_fd(role.enforce), EPOLLIN, kernel_changed, &role);
    int result = loop_run(loop);
    role.enforce = enforce_free(role.enforce);
    return result < 0 ? 1 : 0;
}
