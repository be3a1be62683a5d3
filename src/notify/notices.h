/* What the owner was told, or is to be told: a book of notices. It knows how many mails a day may
 * be sent, what was told already, and when the summary is due; it takes a clock and sends nothing.
 *
 * A notice that may not be mailed now waits for the summary. The same thing (kind, what it is
 * about, and address) is told once in QUIET time, over restarts too, because notices are stored.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

enum notice_kind {
    NOTICE_NOT_IN_FORCE,
    NOTICE_BLIND,
    NOTICE_SUSPICIOUS,
    NOTICE_OWN_BANNED,
    NOTICE_LOST,
    NOTICE_CONFIGURATION,
    NOTICE_SUMMARY,
    NOTICE_TEST, /* on a person's order; neither counted nor kept from being told again */
    NOTICE_AUDIT,
    NOTICE_KINDS
};
/* SILENT: a summary that had nothing to say. */
enum notice_state { NOTICE_WAITING, NOTICE_MAILED, NOTICE_SUMMED, NOTICE_SILENT, NOTICE_STATES };
extern const char *const notice_kind_names[NOTICE_KINDS]; /* "suspicious", as stored and shown */
extern const char *const notice_state_names[NOTICE_STATES];

enum { NOTICE_ABOUT_MAX = 129, NOTICE_TEXT_MAX = 400, NOTICES_MOST = 256 };

struct notice {
    uint64_t number; /* random, below 2^63 */
    int64_t at_us, mailed_us; /* mailed_us 0: not mailed */
    uint8_t kind, state;
    bool is_dirty;
    struct prefix id;             /* all zero: of no address */
    char about[NOTICE_ABOUT_MAX]; /* an account, a jail, a log; "" */
    char text[NOTICE_TEXT_MAX];   /* one sentence, safe to print */
};

struct notices;

/* daily_minute: of the day, local time; -1: there is no summary. */
struct notices *notices_new(uint32_t most_a_day, int64_t daily_minute);
struct notices *notices_free(struct notices *notices);

/* A new notice, waiting; borrowed, good until the next call. NULL: this was told not long ago. */
struct notice *notices_add(struct notices *notices, enum notice_kind kind, const char *about,
                           const struct prefix *id, const char *text, int64_t now_us);

/* May one more mail that is not the summary be sent today? Room is kept for the summary. */
bool notices_may_mail(const struct notices *notices, int64_t now_us);
void notices_set_mailed(struct notice *notice, int64_t now_us);
/* No way worked: it waits for the summary after all. */
void notices_take_back(struct notices *notices, uint64_t number);

/* Since when the summary that is due has to tell; 0: none is due. The first one is due after a
 * whole day of its own. */
int64_t notices_summary_since(struct notices *notices, int64_t now_us);
/* The summary was made: what waited is told in it. */
struct notice *notices_sum_up(struct notices *notices, const char *text, bool is_mailed,
                              int64_t now_us);

/* From the newest (0) on; NULL behind the oldest. */
const struct notice *notices_newest(const struct notices *notices, uint32_t n);

/* Was stored; in any order. */
void notices_restore(struct notices *notices, const struct notice *notice);
/* One that changed since it was taken last, or NULL. */
const struct notice *notices_take_dirty(struct notices *notices);
/* Somebody is to be forgotten: of an address in the prefix, or about the account. */
void notices_forget_prefix(struct notices *notices, const struct prefix *prefix);
void notices_forget_account(struct notices *notices, const char *account);
