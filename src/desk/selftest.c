/* See selftest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/selftest.h"

#include <stdio.h>

#include "base/log.h"
#include "desk/answers.h"

static uint16_t scope_of(const struct desk *desk) {
    return desk->config->jails[desk->config->selftest_jail].scope;
}

bool selftest_is_source(const struct desk *desk, uint16_t source) {
    int jail = desk->config->selftest_jail;
    return jail >= 0 && (desk->decider->jails_of_source[source] >> jail & 1);
}

static const struct desk_source *find_source(const struct desk *desk) {
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        if (desk->sources[i].is_there && selftest_is_source(desk, i))
            return &desk->sources[i];
    return NULL;
}

/* ---- the end ---- */

static bool has_fault(const struct desk *desk) {
    for (uint16_t i = 0; i < SOURCES_MAX; i++)
        if (desk->sources[i].is_there &&
            (desk->sources[i].fault[0] || desk->sources[i].state == SOURCE_UNREADABLE))
            return true;
    return false;
}

static void set_step(js *row, const char *key, int64_t at_us) {
    if (at_us)
        js_set_number(row, key, at_us);
    else
        js_set_string(row, key, NULL);
}

static void finish(struct desk *desk, int exit, const char *text) {
    struct selftest *test = &desk->selftest;
    char why[WHY_NOT_MAX];
    bool is_effective = desk_why_not_effective(desk) == NULL;
    js *row = js_object();
    set_step(row, "matched_us", test->matched_us);
    set_step(row, "decided_us", test->decided_us);
    set_step(row, "kernel_us", test->kernel_us);
    js_set_number(row, "ban_seconds", SELFTEST_BAN_SECONDS);
    js_set_flag(row, "effective", is_effective);
    js_set_string(row, "why_not", is_effective ? NULL : desk_describe_why_not(desk, why));
    js_set(row, "sources", desk_status_sources(desk));
    control_row(desk->control, test->client, row);
    if (exit == 0 && (!is_effective || has_fault(desk)))
        exit = 3;
    control_end(desk->control, test->client, exit, "%s", text);
    watch_set_timer(test->patience, -1);
    test->client = 0;
    if (test->decided_us &&
        !projection_want(desk->decider->projection, scope_of(desk), &test->prefix, 0, false))
        log_warning("the element of the selftest stays in the kernel for %d s",
                    SELFTEST_BAN_SECONDS);
    desk_pump_orders(desk);
}

static int patience_is_over(void *context) {
    struct desk *desk = context;
    const struct selftest *test = &desk->selftest;
    if (test->client)
        finish(desk, 1,
               !test->matched_us   ? "the line was not read and matched within 5 s: see the log's "
                                     "state in `hauberk status --json`, and the sensor's"
               : !test->decided_us ? "the line was read, but no ban was decided within 5 s"
                                   : "the ban was decided, but the kernel did not confirm it "
                                     "within 5 s");
    return 0;
}

/* ---- the steps ---- */

bool selftest_takes(struct desk *desk, const struct wire_event *event, int64_t told_us) {
    struct selftest *test = &desk->selftest;
    struct prefix host = prefix_of(&event->address);
    char mark[SELFTEST_NONCE_BYTES + 3];
    snprintf(mark, sizeof(mark), "[%s]", test->nonce);
    struct span line = wire_bytes(event->evidence);
    if (!test->client || test->matched_us || !event->has_address ||
        !prefix_equals(&host, &test->prefix) ||
        !memmem(line.at, line.length, mark, strlen(mark)))
        return false;
    test->matched_us = told_us;
    return true;
}

void selftest_was_decided(struct desk *desk) {
    desk->selftest.decided_us = clock_now_us();
    if (!desk_enforces(desk))
        finish(desk, 0, "");
}

void selftest_was_answered(struct desk *desk, const struct wire_receipt *receipt) {
    struct selftest *test = &desk->selftest;
    char text[160];
    if (!test->client || !test->decided_us || receipt->scope != scope_of(desk) ||
        receipt->is_drop || !prefix_equals(&receipt->prefix, &test->prefix))
        return;
    if (receipt->error) {
        snprintf(text, sizeof(text), "the kernel did not take the ban: %s",
                 strerror((int)receipt->error));
        finish(desk, 1, text);
        return;
    }
    test->kernel_us = clock_now_us();
    finish(desk, 0, "");
}

/* ---- the beginning ---- */

static bool is_nonce(const char *text) {
    return strlen(text) == SELFTEST_NONCE_BYTES &&
           strspn(text, "0123456789abcdef") == SELFTEST_NONCE_BYTES;
}

/* One of the network's that may be banned here; which one depends on the nonce. */
static bool choose_address(struct desk *desk, struct prefix *ret_prefix) {
    unsigned first = (unsigned)hash_keyed(desk->selftest.nonce, SELFTEST_NONCE_BYTES) % 254;
    for (unsigned i = 0; i < 254; i++) {
        char text[32];
        snprintf(text, sizeof(text), SELFTEST_NETWORK "%u", 1 + (first + i) % 254);
        if (prefix_parse(span_of(text), ret_prefix) >= 0 &&
            !decider_is_exempt(desk->decider, (uint16_t)desk->config->selftest_jail, ret_prefix))
            return true;
    }
    return false;
}

static const char *why_impossible(const struct desk *desk) {
    const struct desk_source *source = find_source(desk);
    if (desk->config->selftest_jail < 0)
        return "there are as many jails, or as many sets of ports, as there can be: no room is "
               "left for the selftest's own";
    if (desk->selftest.client)
        return "another selftest is under way";
    if (!source)
        return "the selftest's log is not among those that are read: too many are, or the runtime "
               "folder's path is too long";
    if (source->fault[0])
        return source->fault;
    if (!source->position.is_known)
        return "hauberkd has not begun to read yet: it is starting, or the sensor is not there";
    return NULL;
}

void desk_word_selftest(struct desk *desk, const struct question *question) {
    struct selftest *test = &desk->selftest;
    const char *nonce = js_string(question->args, "nonce", "");
    char text[PREFIX_TEXT_MAX];
    if (!desk_may_change(desk, question))
        return;
    const char *why_not = why_impossible(desk);
    if (why_not || !is_nonce(nonce)) {
        control_end(desk->control, question->client, why_not ? 1 : 2, "%s",
                    why_not ? why_not : "a selftest wants a nonce of 16 hexadecimal digits");
        return;
    }
    *test = (struct selftest){.patience = test->patience};
    snprintf(test->nonce, sizeof(test->nonce), "%s", nonce);
    if (!choose_address(desk, &test->prefix)) {
        control_end(desk->control, question->client, 1,
                    "all of " SELFTEST_NETWORK "0/24 is exempt, so that nothing can be decided of "
                    "a made-up failure; see `hauberk config`");
        return;
    }
    test->client = question->client;
    if (!test->patience)
        test->patience = loop_add_timer(desk->loop, -1, patience_is_over, desk);
    watch_set_timer(test->patience, SELFTEST_PATIENCE_US);
    js *row = js_object();
    js_set_string(row, "address", address_format(&test->prefix.address, text));
    control_row(desk->control, question->client, row);
}
