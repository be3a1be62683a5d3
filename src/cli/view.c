/* The view: see view.h. Rates are what happened in the last minute, as far as the view was there to
 * see it: each `status` leaves a sample of every jail's counts, and the newest is compared with the
 * oldest that is no older than a minute.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/view.h"

#include <stdio.h>

#include "bans/decider.h"
#include "base/clock.h"
#include "cli/cli.h"

enum { EVENTS_KEPT = 128, BANS_KEPT = 32, SAMPLES_KEPT = 40, JAILS_MAX = DECIDER_JAILS_MAX };
enum { BANS_LEAST = 3, ADDRESS_WIDTH = 24, JAIL_WIDTH = 13, VERDICT_WIDTH = 15, TIME_WIDTH = 8 };

/* The newest rows of a kind; `next` is where the next one goes. */
struct ring {
    js *rows[EVENTS_KEPT];
    unsigned size, next, count;
};

struct sample {
    int64_t at_us;
    int64_t failures[JAILS_MAX], successes[JAILS_MAX];
};

struct view {
    js *status; /* the last one, or NULL */
    int64_t status_us;
    bool is_lost;
    struct ring events, bans;
    struct sample samples[SAMPLES_KEPT]; /* the newest last */
    unsigned sample_count;
};

struct view *view_new(void) {
    struct view *view = calloc(1, sizeof(*view));
    must(view);
    view->events.size = EVENTS_KEPT;
    view->bans.size = BANS_KEPT;
    return view;
}

static void empty(struct ring *ring) {
    for (unsigned i = 0; i < ring->size; i++)
        ring->rows[i] = js_free(ring->rows[i]);
}

struct view *view_free(struct view *view) {
    if (!view)
        return NULL;
    js_free(view->status);
    empty(&view->events);
    empty(&view->bans);
    free(view);
    return NULL;
}

/* ---- taking ---- */

static void keep(struct ring *ring, const js *row) {
    js_free(ring->rows[ring->next]);
    ring->rows[ring->next] = js_copy(row);
    ring->next = (ring->next + 1) % ring->size;
    ring->count += ring->count < ring->size;
}

/* The n-th newest, from 0. */
static const js *newest(const struct ring *ring, unsigned n) {
    return ring->rows[(ring->next + ring->size - 1 - n) % ring->size];
}

static void drop_samples(struct view *view, unsigned count) {
    view->sample_count -= count;
    memmove(view->samples, view->samples + count, view->sample_count * sizeof(struct sample));
}

static void take_sample(struct view *view, int64_t now_us) {
    const js *jails = js_get(view->status, "jails");
    struct sample now = {.at_us = now_us};
    for (size_t i = 0; i < js_count(jails) && i < JAILS_MAX; i++) {
        now.failures[i] = js_number(js_at(jails, i), "failures", 0);
        now.successes[i] = js_number(js_at(jails, i), "successes", 0);
    }
    if (view->sample_count > 0) { /* counts begin anew with hauberkd, and so do rates */
        const struct sample *last = &view->samples[view->sample_count - 1];
        bool is_anew = now_us < last->at_us;
        for (size_t i = 0; i < JAILS_MAX; i++)
            is_anew = is_anew || now.failures[i] < last->failures[i] ||
                      now.successes[i] < last->successes[i];
        if (is_anew)
            view->sample_count = 0;
    }
    unsigned old = 0;
    while (old < view->sample_count && view->samples[old].at_us < now_us - MINUTE_US)
        old++;
    drop_samples(view, old);
    if (view->sample_count == SAMPLES_KEPT)
        drop_samples(view, 1);
    view->samples[view->sample_count++] = now;
}

void view_take(struct view *view, const js *row, int64_t now_us) {
    view->is_lost = false;
    if (js_get(row, "event")) {
        keep(&view->events, row);
    } else if (js_get(row, "ban")) {
        keep(&view->bans, row);
    } else if (js_get(row, "jails")) {
        js_free(view->status);
        view->status = js_copy(row);
        view->status_us = now_us;
        take_sample(view, now_us);
    }
}

void view_lose(struct view *view) {
    view->is_lost = true;
}

/* ---- lines ---- */

/* Characters, which are columns in all but some scripts; those may stand ragged. */
static size_t count_characters(struct span bytes) {
    size_t count = 0;
    for (size_t i = 0; i < bytes.length; i++)
        count += ((unsigned char)bytes.at[i] & 0xc0) != 0x80;
    return count;
}

static void add_cut(struct text *text, struct span bytes, size_t width) {
    size_t count = 0;
    size_t at = 0;
    bool is_whole = count_characters(bytes) <= width;
    for (; at < bytes.length; at++)
        if (((unsigned char)bytes.at[at] & 0xc0) != 0x80 && count++ == width - !is_whole)
            break;
    text_add(text, (struct span){bytes.at, at});
    if (!is_whole)
        text_add_string(text, "…");
}

/* A column of that width, and a blank. */
static void add_column(struct text *text, const char *value, size_t width) {
    size_t length = count_characters(span_of(value));
    add_cut(text, span_of(value), width);
    text_add_format(text, "%*s ", (int)(length < width ? width - length : 0), "");
}

static const char *verdict_of(const js *event) {
    static const char *const verdicts[VERDICTS] = {
        [VERDICT_COUNTED] = "counted",
        [VERDICT_JOINED] = "told twice",
        [VERDICT_AFTER_BAN] = "while banned",
        [VERDICT_EXEMPT] = "never banned",
        [VERDICT_MEMORY] = "before our time",
        [VERDICT_PARDONED] = "pardoned",
        [VERDICT_SUCCESS] = "logged in",
        [VERDICT_FOLDED] = "same mistake",
        [VERDICT_OWN] = "own user",
    };
    int64_t verdict = js_number(event, "verdict", -1);
    return verdict >= 0 && verdict < VERDICTS && verdicts[verdict] ? verdicts[verdict] : "?";
}

void view_format_line(const js *row, int64_t now_us, struct text *into) {
    char at[CLOCK_TEXT_MAX];
    const js *event = js_get(row, "event");
    const js *ban = js_get(row, "ban");
    const js *one = event ? event : ban;
    if (!one)
        return;
    text_add_format(into, "%s  %-12s %-24s ",
                    clock_format_local(cli_time(one, "at"), now_us, at),
                    js_string(one, "jail", ""), js_string(one, "address", ""));
    if (event)
        text_add_format(into, "%-20s %s", js_string(event, "account", ""), verdict_of(event));
    else
        text_add_format(into, "%s: %s",
                        js_flag(ban, "observed", false) ? "WOULD BE BANNED" : "BANNED",
                        js_string(ban, "reason", ""));
}

/* ---- drawing ---- */

struct page {
    struct text *lines;
    unsigned columns, left;
};

/* Appends the line if there is room for it, and empties it. */
static void end_line(struct page *page, struct text *line) {
    if (page->left > 0) {
        if (page->lines->length)
            text_add_char(page->lines, '\n');
        add_cut(page->lines, text_span(line), page->columns);
        page->left--;
    }
    text_clear(line);
}

static void say(struct page *page, const char *text) {
    cleanup_text struct text line = {0};
    text_add_string(&line, text);
    end_line(page, &line);
}

static void draw_head(const struct view *view, struct page *page) {
    cleanup_text struct text line = {0};
    char at[CLOCK_TEXT_MAX];
    const js *status = view->status;
    bool is_effective = js_flag(status, "effective", false) && !view->is_lost;
    const char *why_not = view->is_lost ? "hauberkd does not answer; it is asked again every second"
                                        : js_string(status, "why_not", NULL);
    const char *store_error = js_string(status, "store_error", NULL);
    if (status)
        text_add_format(&line, "hauberk %s is %s: %lld ban%s, %lld in the kernel",
                        js_string(status, "version", "?"),
                        is_effective                          ? "guarding"
                        : js_flag(status, "observing", false) ? "observing"
                                                              : "NOT in force",
                        (long long)js_number(status, "bans", 0),
                        js_number(status, "bans", 0) == 1 ? "" : "s",
                        (long long)js_number(status, "enforced", 0));
    else
        text_add_string(&line, "hauberk");
    size_t width = count_characters(text_span(&line));
    if (status && page->columns > width + TIME_WIDTH)
        text_add_format(&line, "%*s", (int)(page->columns - width),
                        clock_format_local(view->status_us, view->status_us, at));
    text_add_string(page->lines, is_effective || !status ? "\033[1m" : "\033[1;31m");
    add_cut(page->lines, text_span(&line), page->columns);
    text_add_string(page->lines, "\033[0m");
    page->left--;
    text_clear(&line);
    if (why_not) {
        text_add_format(&line, "! %s", why_not);
        end_line(page, &line);
    }
    if (store_error) {
        text_add_format(&line, "! The state cannot be stored: %s", store_error);
        end_line(page, &line);
    }
}

static void add_rate(struct text *line, const struct view *view, size_t jail, bool of_successes) {
    const struct sample *from = &view->samples[0];
    const struct sample *to = &view->samples[view->sample_count ? view->sample_count - 1 : 0];
    int64_t count = jail >= JAILS_MAX ? 0
                    : of_successes    ? to->successes[jail] - from->successes[jail]
                                      : to->failures[jail] - from->failures[jail];
    text_add_format(line, "%8lld", (long long)count);
}

/* "waiting: sshd, recidive" */
static void draw_others(const js *jails, const char *state, struct page *page) {
    cleanup_text struct text line = {0};
    for (size_t i = 0; i < js_count(jails); i++)
        if (strcmp(js_string(js_at(jails, i), "state", ""), state) == 0)
            text_add_format(&line, "%s%s", line.length ? ", " : "",
                            js_string(js_at(jails, i), "jail", ""));
    if (!line.length)
        return;
    cleanup_text struct text whole = {0};
    text_add_format(&whole, "%s: %s", state, line.at);
    end_line(page, &whole);
}

static bool is_working(const js *jail) {
    const char *state = js_string(jail, "state", "");
    return strcmp(state, "active") == 0 || strcmp(state, "blind") == 0;
}

static void draw_blind(const js *jail, struct page *page) {
    cleanup_text struct text line = {0};
    if (strcmp(js_string(jail, "state", ""), "blind") != 0)
        return;
    text_add_format(&line, "! %s may be blind: %s", js_string(jail, "jail", ""),
                    js_string(jail, "why", ""));
    end_line(page, &line);
}

static void draw_jails(const struct view *view, struct page *page) {
    const js *jails = js_get(view->status, "jails");
    cleanup_text struct text line = {0};
    text_add_format(&line, "%-*s %10s %8s %10s %8s %8s", JAIL_WIDTH, "active", "failures", "/min",
                    "logins", "/min", "bans");
    end_line(page, &line);
    for (size_t i = 0; i < js_count(jails); i++) {
        const js *jail = js_at(jails, i);
        if (!is_working(jail))
            continue;
        add_column(&line, js_string(jail, "jail", ""), JAIL_WIDTH);
        text_add_format(&line, "%10lld ", (long long)js_number(jail, "failures", 0));
        add_rate(&line, view, i, false);
        text_add_format(&line, " %10lld ", (long long)js_number(jail, "successes", 0));
        add_rate(&line, view, i, true);
        text_add_format(&line, " %8lld", (long long)js_number(jail, "bans", 0));
        end_line(page, &line);
        draw_blind(jail, page);
    }
    draw_others(jails, "waiting", page);
    draw_others(jails, "off", page);
}

static void add_time(struct text *line, const js *row, int64_t now_us) {
    char at[CLOCK_TEXT_MAX];
    const char *text = clock_format_local(cli_time(row, "at"), now_us, at);
    size_t length = strlen(text); /* of another day it has a date before it: too long here */
    text_add_format(line, "%s  ", length > TIME_WIDTH ? text + length - TIME_WIDTH : text);
}

static void draw_ban(const js *ban, int64_t now_us, struct page *page) {
    cleanup_text struct text line = {0};
    add_time(&line, ban, now_us);
    add_column(&line, js_string(ban, "address", ""), ADDRESS_WIDTH);
    text_add_format(&line, "%s%s", js_flag(ban, "observed", false) ? "(would be) " : "",
                    js_string(ban, "reason", ""));
    end_line(page, &line);
}

static void draw_event(const js *event, int64_t now_us, struct page *page) {
    cleanup_text struct text line = {0};
    unsigned others = TIME_WIDTH + 2 + JAIL_WIDTH + 1 + ADDRESS_WIDTH + 1 + 1 + VERDICT_WIDTH;
    unsigned room = page->columns > others + 8 ? page->columns - others : 8;
    add_time(&line, event, now_us);
    add_column(&line, js_string(event, "jail", ""), JAIL_WIDTH);
    add_column(&line, js_string(event, "address", ""), ADDRESS_WIDTH);
    add_column(&line, js_string(event, "account", ""), room < 32 ? room : 32);
    text_add_string(&line, verdict_of(event));
    end_line(page, &line);
}

void view_draw(const struct view *view, unsigned columns, unsigned lines_most, int64_t now_us,
               struct text *lines) {
    struct page page = {lines, columns < 20 ? 20 : columns, lines_most < 1 ? 1 : lines_most};
    draw_head(view, &page);
    if (!view->status)
        return;
    say(&page, "");
    draw_jails(view, &page);
    /* A third of what is left for bans; two titles and two blank lines go off. */
    unsigned left = page.left > 4 ? page.left - 4 : 0;
    unsigned bans = left / 3 > BANS_LEAST ? left / 3 : BANS_LEAST;
    say(&page, "");
    say(&page, "Last bans");
    if (view->bans.count == 0)
        say(&page, "  none since this view began");
    for (unsigned i = 0; i < view->bans.count && i < bans; i++)
        draw_ban(js_get(newest(&view->bans, i), "ban"), now_us, &page);
    say(&page, "");
    say(&page, "Last events");
    if (view->events.count == 0)
        say(&page, "  none since this view began");
    for (unsigned i = 0; i < view->events.count && page.left > 0; i++)
        draw_event(js_get(newest(&view->events, i), "event"), now_us, &page);
}
