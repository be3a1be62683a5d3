/* The book of notices: see notices.h. Kept by age, the oldest first; when it is full the oldest
 * goes from memory and stays in the store until it is purged there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify/notices.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

const char *const notice_kind_names[NOTICE_KINDS] = {
    [NOTICE_NOT_IN_FORCE] = "not-in-force", [NOTICE_BLIND] = "blind",
    [NOTICE_SUSPICIOUS] = "suspicious",     [NOTICE_OWN_BANNED] = "own-banned",
    [NOTICE_LOST] = "lost",                 [NOTICE_CONFIGURATION] = "configuration",
    [NOTICE_SUMMARY] = "summary",           [NOTICE_TEST] = "test",
    [NOTICE_AUDIT] = "audit",
};
const char *const notice_state_names[NOTICE_STATES] = {
    [NOTICE_WAITING] = "waiting",
    [NOTICE_MAILED] = "sent",
    [NOTICE_SUMMED] = "in the summary",
    [NOTICE_SILENT] = "nothing to say",
};

/* A blind jail stays blind until somebody mends it: he need not be told daily. */
static const int64_t quiet_us[NOTICE_KINDS] = {
    [NOTICE_NOT_IN_FORCE] = DAY_US, [NOTICE_BLIND] = 14 * DAY_US,   [NOTICE_SUSPICIOUS] = DAY_US,
    [NOTICE_OWN_BANNED] = DAY_US,   [NOTICE_LOST] = DAY_US,         [NOTICE_CONFIGURATION] = DAY_US,
};

struct notices {
    uint32_t most_a_day;
    int daily_minute;
    struct notice at[NOTICES_MOST]; /* oldest first */
    uint32_t count;
};

struct notices *notices_new(uint32_t most_a_day, int64_t daily_minute) {
    struct notices *notices = calloc(1, sizeof(*notices));
    must(notices);
    notices->most_a_day = most_a_day;
    notices->daily_minute = (int)daily_minute;
    return notices;
}

struct notices *notices_free(struct notices *notices) {
    free(notices);
    return NULL;
}

static void remove_at(struct notices *notices, uint32_t i) {
    notices->count--;
    memmove(&notices->at[i], &notices->at[i + 1],
            (notices->count - i) * sizeof(notices->at[0]));
}

/* A place for one of that time; NULL: the book is full of newer ones. */
static struct notice *make_place(struct notices *notices, int64_t at_us) {
    if (notices->count == NOTICES_MOST) {
        if (notices->at[0].at_us > at_us)
            return NULL;
        remove_at(notices, 0);
    }
    uint32_t i = notices->count++;
    for (; i > 0 && notices->at[i - 1].at_us > at_us; i--)
        notices->at[i] = notices->at[i - 1];
    return &notices->at[i];
}

static bool was_told(const struct notices *notices, enum notice_kind kind, const char *about,
                     const struct prefix *id, int64_t now_us) {
    for (uint32_t i = 0; i < notices->count; i++) {
        const struct notice *earlier = &notices->at[i];
        if (earlier->kind == kind && now_us - earlier->at_us < quiet_us[kind] &&
            prefix_equals(&earlier->id, id) && strcmp(earlier->about, about) == 0)
            return true;
    }
    return false;
}

struct notice *notices_add(struct notices *notices, enum notice_kind kind, const char *about,
                           const struct prefix *id, const char *text, int64_t now_us) {
    static const struct prefix nobody;
    struct notice made = {.number = random_u64() >> 1, .at_us = now_us, .kind = (uint8_t)kind,
                          .is_dirty = true, .id = id ? *id : nobody};
    safe_copy(made.about, sizeof(made.about), span_of(about ? about : ""));
    safe_copy(made.text, sizeof(made.text), span_of(text));
    if (was_told(notices, kind, made.about, &made.id, now_us))
        return NULL;
    struct notice *place = make_place(notices, now_us);
    if (place)
        *place = made;
    return place;
}

/* ---- how many a day ---- */

bool notices_may_mail(const struct notices *notices, int64_t now_us) {
    int64_t midnight_us = clock_last_local(now_us, 0);
    uint32_t mailed = 0;
    bool has_summary = notices->daily_minute < 0;
    for (uint32_t i = 0; i < notices->count; i++) {
        const struct notice *notice = &notices->at[i];
        bool is_of_today = notice->at_us >= midnight_us;
        has_summary = has_summary || (is_of_today && notice->kind == NOTICE_SUMMARY);
        mailed += notice->mailed_us >= midnight_us && notice->mailed_us > 0 &&
                  notice->kind != NOTICE_TEST;
    }
    return mailed + !has_summary < notices->most_a_day;
}

void notices_set_mailed(struct notice *notice, int64_t now_us) {
    notice->state = NOTICE_MAILED;
    notice->mailed_us = now_us;
    notice->is_dirty = true;
}

static void wait_again(struct notice *notice) {
    notice->state = NOTICE_WAITING;
    notice->mailed_us = 0;
    notice->is_dirty = true;
}

/* What a summary told that nobody got waits for the next one;
 * it is what came behind the one before. */
void notices_take_back(struct notices *notices, uint64_t number) {
    uint32_t i = 0;
    while (i < notices->count && notices->at[i].number != number)
        i++;
    if (i == notices->count || notices->at[i].state != NOTICE_MAILED)
        return;
    bool was_summary = notices->at[i].kind == NOTICE_SUMMARY;
    wait_again(&notices->at[i]);
    while (was_summary && i > 0 && notices->at[--i].kind != NOTICE_SUMMARY)
        if (notices->at[i].state == NOTICE_SUMMED)
            wait_again(&notices->at[i]);
}

/* ---- the summary ---- */

static const struct notice *last_summary(const struct notices *notices) {
    for (uint32_t i = notices->count; i > 0; i--)
        if (notices->at[i - 1].kind == NOTICE_SUMMARY)
            return &notices->at[i - 1];
    return NULL;
}

int64_t notices_summary_since(struct notices *notices, int64_t now_us) {
    if (notices->daily_minute < 0)
        return 0;
    const struct notice *last = last_summary(notices);
    if (!last) {
        (void)notices_sum_up(notices, "the first day begins", false, now_us);
        return 0;
    }
    int64_t due_us = clock_last_local(now_us, notices->daily_minute);
    int64_t oldest_us = now_us - 7 * DAY_US;
    if (last->at_us >= due_us)
        return 0;
    return last->at_us > oldest_us ? last->at_us : oldest_us;
}

struct notice *notices_sum_up(struct notices *notices, const char *text, bool is_mailed,
                              int64_t now_us) {
    for (uint32_t i = 0; i < notices->count; i++) {
        struct notice *notice = &notices->at[i];
        if (!is_mailed || notice->state != NOTICE_WAITING)
            continue;
        notice->state = NOTICE_SUMMED;
        notice->is_dirty = true;
    }
    struct notice *summary = notices_add(notices, NOTICE_SUMMARY, "", NULL, text, now_us);
    if (!summary)
        return NULL;
    summary->state = NOTICE_SILENT;
    if (is_mailed)
        notices_set_mailed(summary, now_us);
    return summary;
}

/* ---- looking, storing, forgetting ---- */

const struct notice *notices_newest(const struct notices *notices, uint32_t n) {
    return n < notices->count ? &notices->at[notices->count - 1 - n] : NULL;
}

void notices_restore(struct notices *notices, const struct notice *notice) {
    if (notice->kind >= NOTICE_KINDS || notice->state >= NOTICE_STATES)
        return;
    struct notice *place = make_place(notices, notice->at_us);
    if (place)
        *place = *notice;
}

const struct notice *notices_take_dirty(struct notices *notices) {
    for (uint32_t i = 0; i < notices->count; i++)
        if (notices->at[i].is_dirty) {
            notices->at[i].is_dirty = false;
            return &notices->at[i];
        }
    return NULL;
}

static bool has_address(const struct notice *notice) {
    static const struct prefix nobody;
    return !prefix_equals(&notice->id, &nobody);
}

void notices_forget_prefix(struct notices *notices, const struct prefix *prefix) {
    for (uint32_t i = notices->count; i > 0; i--)
        if (has_address(&notices->at[i - 1]) && prefix_overlaps(prefix, &notices->at[i - 1].id))
            remove_at(notices, i - 1);
}

void notices_forget_account(struct notices *notices, const char *account) {
    for (uint32_t i = notices->count; i > 0; i--)
        if (notices->at[i - 1].kind == NOTICE_SUSPICIOUS &&
            strcmp(notices->at[i - 1].about, account) == 0)
            remove_at(notices, i - 1);
}
