/* The first start: see first.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/first.h"

#include "base/log.h"
#include "control/page.h"
#include "desk/answers.h"

#define TELL_EVERY_US (2 * SECOND_US)
#define OWN_TRUST_US (30 * DAY_US)

/* ---- reading ---- */

static void preview_banned(void *context, const struct decision *decision) {
    struct desk *desk = context;
    struct first *first = &desk->first;
    if (decider_is_exempt(desk->decider, decision->ban->key.jail, &decision->ban->key.id))
        return;
    if (first->ban_count == FIRST_BANS_MAX) {
        first->bans_beyond++;
        return;
    }
    first->bans[first->ban_count++] =
        (struct first_ban){decision->ban->key.jail, decision->ban->key.id, decision->tries_many,
                           decision->first_us};
}

void first_begin(struct desk *desk) {
    static const struct decider_calls calls = {.on_ban = preview_banned};
    struct first *first = &desk->first;
    first->is_reading = true;
    first->preview = decider_new(desk->config, &calls, desk);
    first->preview->observes = true;
    decider_store_nothing(first->preview);
    first->bans = calloc(FIRST_BANS_MAX, sizeof(*first->bans));
    must(first->bans);
    first->before = UINT64_MAX;
    first->began_us = first->moved_us = first->told_us = clock_monotonic_us();
    log_notice("first start on this host: reading what its logs say of the last day; "
               "bans are enforced when that is done");
    desk_keep_fact(desk, "first-begun", SPAN(""));
}

static void end_preview(struct first *first) {
    first->preview = decider_free(first->preview);
    free(first->bans);
    first->bans = NULL;
    first->is_reading = false;
}

void first_free(struct desk *desk) {
    end_preview(&desk->first);
    desk->first.page = js_free(desk->first.page);
}

void first_take(struct desk *desk, uint16_t source, const struct wire_event *event) {
    struct decider *preview = desk->first.preview;
    if (!preview)
        return;
    /* Each log is read at its own pace: the clock is the line's own. */
    preview->jails_of_source[source] = desk->decider->jails_of_source[source];
    bool is_yesterdays = event->at_us >= desk->started_us - DAY_US;
    if (is_yesterdays || event->kind == EVENT_SUCCESS || event->kind == EVENT_DELIVERED)
        decider_event(preview, source, event, false, event->at_us);
}

/* Bytes of it before its mark that are still to be read. Rotated logs have room for more ordinals
 * than they fill (sources/earlier.h), but the sensor knows what is left; of the journal it does
 * not. */
static uint64_t left_of(const struct desk_source *source) {
    uint64_t left = source->position.mark - source->position.done;
    bool is_file = source->path[0] == '/';
    return is_file && source->has_lag && source->lag > 0 && source->lag < left ? source->lag : left;
}

/* Of all. */
static uint64_t left_before(const struct desk *desk, bool *ret_is_known) {
    uint64_t left = 0;
    *ret_is_known = true;
    for (uint16_t i = 0; i < SOURCES_MAX; i++) {
        const struct desk_source *source = &desk->sources[i];
        if (!source->is_there || source->fault[0])
            continue;
        if (!source->has_state) { /* is it there at all? */
            *ret_is_known = false;
            continue;
        }
        if (source->state != SOURCE_READING)
            continue;
        if (!source->position.is_known)
            *ret_is_known = false;
        if (source->position.done >= source->position.mark)
            continue;
        if (source->path[0] == '/' && !source->has_lag)
            *ret_is_known = false;
        left += left_of(source);
    }
    return left;
}

int first_percent(const struct desk *desk) {
    bool is_known;
    uint64_t left = left_before(desk, &is_known);
    uint64_t most = desk->first.most;
    if (!is_known)
        return 0;
    return most == 0 || left > most ? 0 : (int)((most - left) * 100 / most);
}

/* ---- the page ---- */

static void add_prefix(js *list, const struct prefix *prefix, const char *more) {
    char text[PREFIX_TEXT_MAX];
    char whole[PREFIX_TEXT_MAX + SPARED_WHY_MAX + 40];
    snprintf(whole, sizeof(whole), "%s%s", prefix_format(prefix, text), more);
    js_append_string(list, whole);
}

/* What no stranger can have is not worth a line: loopback, link-local. */
static bool is_of_no_interest(const struct prefix *prefix) {
    const uint8_t *at = prefix->address.at;
    if (prefix_is_v4(prefix))
        return at[12] == 127;
    return (at[0] == 0xfe && (at[1] & 0xc0) == 0x80) || (at[0] == 0 && at[1] == 0);
}

static js *list_own(const struct desk *desk) {
    js *list = js_array();
    for (uint32_t i = 0; i < desk->decider->own_count; i++) {
        const struct prefix *own = desk->decider->own;
        bool is_told = is_of_no_interest(&own[i]);
        for (uint32_t k = 0; k < i; k++)
            is_told = is_told || prefix_equals(&own[k], &own[i]);
        if (!is_told)
            add_prefix(list, &own[i], "");
    }
    return list;
}

static js *list_you(const struct desk *desk, int64_t now_us) {
    js *list = js_array();
    uint32_t place = 0;
    for (uint32_t i = 0; i < desk->config->admin_count; i++)
        add_prefix(list, &desk->config->admin[i], " (admin)");
    for (const struct spared *one; (one = spared_next(desk->decider->spared, &place));) {
        char more[SPARED_WHY_MAX + 40];
        if (spared_is_over(one, now_us))
            continue;
        snprintf(more, sizeof(more), " (%s%s)", one->why,
                 one->key.kind == SPARED_TRUSTED ? "" : ", by SSH");
        add_prefix(list, &one->key.prefix, more);
    }
    return list;
}

static js *list_bouncers(const struct desk *desk) {
    js *list = js_array();
    for (int i = 0; i < BOUNCERS; i++)
        if (desk->bouncers >> i & 1)
            js_append_string(list, bouncer_names[i]);
    return list;
}

static bool was_listed(const js *list, const char *address) {
    for (size_t i = 0; i < js_count(list); i++)
        if (strcmp(js_string(js_at(list, i), "address", ""), address) == 0)
            return true;
    return false;
}

static bool did_try_many(const struct first *first, const struct prefix *id) {
    for (uint32_t i = 0; i < first->ban_count; i++)
        if (first->bans[i].tries_many && prefix_equals(&first->bans[i].id, id))
            return true;
    return false;
}

/* Own users among those it would have banned; they are trusted from now on. */
/* Has somebody logged in from there before all the failures? A login after them may be a guess that
 * was right. */
static bool was_known_before(const struct desk *desk, const struct prefix *id, int64_t now_us) {
    struct known_entry known;
    if (!known_has_prefix(desk->decider->known, id, now_us, &known))
        return false;
    for (uint32_t i = 0; i < desk->first.ban_count; i++)
        if (prefix_equals(&desk->first.bans[i].id, id) &&
            desk->first.bans[i].first_us <= known.first_us)
            return false;
    return true;
}

static js *list_users(struct desk *desk, int64_t now_us) {
    js *list = js_array();
    for (uint32_t i = 0; i < desk->first.ban_count; i++) {
        const struct first_ban *ban = &desk->first.bans[i];
        const char *jail = decider_jail_name(desk->decider, ban->jail);
        char address[PREFIX_TEXT_MAX];
        char why[SPARED_WHY_MAX];
        struct why error = {0};
        uint32_t lifted;
        prefix_format(&ban->id, address);
        if (!known_has_prefix(desk->decider->known, &ban->id, now_us, NULL) ||
            was_listed(list, address))
            continue;
        if (did_try_many(&desk->first, &ban->id)) {
            log_warning(
                "somebody logged in from %s who had tried many accounts; see `hauberk why %s`",
                address, address);
            continue;
        }
        if (!was_known_before(desk, &ban->id, now_us)) {
            log_warning("somebody logged in from %s only after failures that would have banned it; "
                        "see `hauberk why %s`",
                        address, address);
            continue;
        }
        snprintf(why, sizeof(why), "your own user: %s would have banned it before the first start",
                 jail);
        if (desk_trust(desk, &ban->id, now_us + OWN_TRUST_US, span_of(why), now_us, &lifted,
                       &error) < 0)
            log_warning("%s cannot be trusted: %s", address, error.text);
        js *one = js_object();
        js_set_string(one, "address", address);
        js_set_string(one, "jail", jail);
        js_append(list, one);
    }
    return list;
}

static void log_page(const js *page) {
    cleanup_text struct text text = {0};
    page_write(page, &text);
    struct span rest = text_span(&text);
    while (rest.length > 0) {
        struct span line = span_cut(&rest, '\n');
        log_notice("%.*s", SPAN_FORMAT(line));
    }
}

static void make_page(struct desk *desk) {
    int64_t now_us = clock_now_us();
    js *page = js_object();
    js_set_time(page, "at", now_us);
    js_set(page, "own", list_own(desk));
    js_set(page, "you", list_you(desk, now_us));
    js_set(page, "jails", desk_status_jails(desk));
    js_set_number(page, "known_addresses", known_count_addresses(desk->decider->known));
    js_set_number(page, "would_have_banned",
                  (int64_t)desk->first.ban_count + desk->first.bans_beyond);
    js_set(page, "own_users", list_users(desk, now_us));
    js_set(page, "bouncers", list_bouncers(desk));
    js_set_flag(page, "observing", desk->decider->observes);
    desk->first.page = page;
    end_preview(&desk->first);
    cleanup_text struct text text = {0};
    js_write(page, false, &text);
    desk_keep_fact(desk, "first", text_span(&text));
    log_page(page);
}

void first_check(struct desk *desk) {
    struct first *first = &desk->first;
    if (!first->is_reading || desk->is_loading || !desk->is_ready)
        return;
    bool is_known;
    uint64_t left = left_before(desk, &is_known);
    if (is_known && left > first->most)
        first->most = left;
    int64_t now_us = clock_monotonic_us();
    if (!is_known || left > 0) {
        if (is_known && left != first->before && now_us - first->told_us > TELL_EVERY_US) {
            log_notice("reading the past: %d %%", first_percent(desk));
            first->told_us = now_us;
        }
        if (left != first->before)
            first->moved_us = now_us;
        first->before = left;
        if (now_us - first->moved_us < FIRST_PATIENCE_US &&
            now_us - first->began_us < FIRST_MOST_US)
            return;
        log_warning("the page is made of %d %% of the past; the rest is remembered when it is read",
                    first_percent(desk));
    }
    make_page(desk);
    if (desk->enforcer_is_there)
        desk_begin_enforcing(desk);
}

void first_restore(struct desk *desk, struct span text) {
    js_free(desk->first.page);
    desk->first.page = js_parse(text);
}

void desk_word_first(struct desk *desk, const struct question *question) {
    if (desk->first.is_reading)
        control_end(desk->control, question->client, 1,
                    "the logs are still being read (%d %%); the page comes when that is done",
                    first_percent(desk));
    else if (!desk->first.page)
        control_end(desk->control, question->client, 1,
                    "there is no first page: this hauberk began before there was one");
    else {
        control_row(desk->control, question->client, js_copy(desk->first.page));
        control_end(desk->control, question->client, 0, "%s", "");
    }
}
