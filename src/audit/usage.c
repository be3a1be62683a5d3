/* Who uses what: see usage.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/usage.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

enum { NAMES_MOST = 8, SUBJECT_MAX = 160 };

/* ---- what hauberkd remembers ---- */

static void add_days(struct readings *readings, const char *name, const char *subject,
                     int64_t since_us, int64_t now_us) {
    char days[24];
    int64_t length_us = now_us > since_us ? now_us - since_us : 0;
    snprintf(days, sizeof(days), "%lld", (long long)(length_us / DAY_US));
    readings_add(readings, name, subject, days);
}

/* "12 times, last 2026-11-20", of what was used lately. */
static void add_times(struct readings *readings, const char *name, const struct usage_login *login,
                      int64_t times, int64_t last_us, int64_t now_us) {
    char subject[SUBJECT_MAX];
    char last[CLOCK_TEXT_MAX];
    char value[CLOCK_TEXT_MAX + 40];
    if (times <= 0 || now_us - last_us > USAGE_DAYS * DAY_US)
        return;
    snprintf(subject, sizeof(subject), "%s, %s", login->account, login->service);
    snprintf(value, sizeof(value), "%lld times, last %.10s", (long long)times,
             clock_format_utc(last_us, last));
    readings_add(readings, name, subject, value);
}

static const char *account_of_login(const struct usage_login *login) {
    return login->account;
}

static const char *service_of_login(const struct usage_login *login) {
    return login->service;
}

static int compare(const void *a, const void *b, void *text_of) {
    const char *(*const *text)(const struct usage_login *) = text_of;
    return strcmp((*text)(*(const struct usage_login *const *)a),
                  (*text)(*(const struct usage_login *const *)b));
}

/* The days since the last login of each account, or by each service. */
static void add_last(struct readings *readings, const char *name, const struct usage_login *logins,
                     size_t count, const char *(*text_of)(const struct usage_login *),
                     int64_t now_us) {
    const struct usage_login **sorted = calloc(count + 1, sizeof(*sorted));
    must(sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &logins[i];
    qsort_r(sorted, count, sizeof(*sorted), compare, &text_of);
    int64_t last_us = 0;
    for (size_t i = 0; i < count; i++) {
        const char *text = text_of(sorted[i]);
        last_us = sorted[i]->last_us > last_us ? sorted[i]->last_us : last_us;
        if (i + 1 < count && strcmp(text, text_of(sorted[i + 1])) == 0)
            continue;
        add_days(readings, name, text, last_us, now_us);
        last_us = 0;
    }
    free(sorted);
}

void usage_add(struct readings *readings, const struct usage_login *logins, size_t count,
               int64_t now_us) {
    int64_t first_us = now_us;
    readings_add(readings, "logins.there", "", count ? "yes" : "no");
    for (size_t i = 0; i < count; i++) {
        const struct usage_login *login = &logins[i];
        first_us = login->first_us < first_us ? login->first_us : first_us;
        if (login->clear < 0)
            add_times(readings, "logins.untold", login, login->logins, login->last_us, now_us);
        else
            add_times(readings, "logins.clear", login, login->clear, login->clear_us, now_us);
    }
    add_days(readings, "logins.since", "", first_us, now_us);
    add_last(readings, "logins.last", logins, count, account_of_login, now_us);
    add_last(readings, "logins.service", logins, count, service_of_login, now_us);
}

void usage_fail(struct readings *readings, const char *reason) {
    readings_fail(readings, "logins.", reason);
}

/* ---- of one rule ---- */

/* The words behind `clear`. */
static bool is_about(const struct rule *rule, struct span service) {
    struct span rest = span_of(rule->usage);
    struct span word = span_word(&rest);
    while ((word = span_word(&rest)).length > 0)
        if (span_equals(word, service))
            return true;
    return false;
}

/* A log that nobody reads says nothing of who uses what. */
static bool was_seen(const struct rule *rule, struct readings *readings) {
    const struct reading *first = NULL;
    size_t count = readings_find(readings, "logins.service", &first);
    for (size_t i = 0; i < count; i++)
        if (is_about(rule, span_of(first[i].subject)))
            return true;
    return false;
}

/* "alice (imap, pop3), bob (imap)", and how many accounts these are. */
static unsigned name_accounts(const struct rule *rule, struct readings *readings, const char *name,
                              struct text *names) {
    const struct reading *first = NULL;
    size_t count = readings_find(readings, name, &first);
    struct span before = {NULL, 0};
    unsigned accounts = 0;
    for (size_t i = 0; i < count; i++) {
        const char *comma = strrchr(first[i].subject, ',');
        if (!comma || !is_about(rule, span_of(comma + 2)))
            continue;
        struct span account = {first[i].subject, (size_t)(comma - first[i].subject)};
        bool is_same = before.at && span_equals(before, account);
        accounts += !is_same;
        before = account;
        if (accounts > NAMES_MOST)
            continue;
        if (is_same)
            text_add_format(names, ", %s", comma + 2);
        else
            text_add_format(names, "%s%.*s (%s", accounts == 1 ? "" : "), ", SPAN_FORMAT(account),
                            comma + 2);
    }
    if (accounts)
        text_add_char(names, ')');
    if (accounts > NAMES_MOST)
        text_add_format(names, " and %u more", accounts - NAMES_MOST);
    return accounts;
}

bool usage_tell(const struct rule *rule, struct readings *readings, struct text *text) {
    cleanup_text struct text names = {0};
    const char *there = readings_value(readings, "logins.there", "");
    const char *since = readings_value(readings, "logins.since", "");
    if (!rule->usage[0] || !there || strcmp(there, "yes") != 0 || !since)
        return false;
    unsigned count = name_accounts(rule, readings, "logins.clear", &names);
    if (count) {
        text_add_format(text, "%u %s used it in %d days: ", count,
                        count == 1 ? "account" : "accounts", USAGE_DAYS);
        text_add(text, text_span(&names));
        text_add_format(text, "; turning it off cuts %s", count == 1 ? "it" : "them");
        return true;
    }
    count = name_accounts(rule, readings, "logins.untold", &names);
    if (count) {
        text_add_format(text,
                        "%u %s logged in in %d days, and the log does not say which in clear "
                        "text: ",
                        count, count == 1 ? "account" : "accounts", USAGE_DAYS);
        text_add(text, text_span(&names));
        return true;
    }
    int64_t days;
    if (span_to_integer(span_of(since), 0, USAGE_DAYS, &days) < 0)
        days = USAGE_DAYS; /* it remembers more */
    if (was_seen(rule, readings))
        text_add_format(text, "nobody used it in %lld days, as far as hauberkd saw",
                        (long long)days);
    else
        text_add_format(text, "hauberkd has seen no login by %s at all, in clear text or not",
                        strchr(rule->usage, ' ') + 1);
    return true;
}
