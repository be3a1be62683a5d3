/* Checking a filter against its samples: see samples.h.
 *
 * Two matchers read the lines one by one, as a sensor would; when a line disappoints, match_try()
 * says how far it got.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/samples.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/files.h"
#include "match/match.h"
#include "match/stamp.h"

enum { SAMPLES_MOST_BYTES = 4 << 20, EXPRESSIONS_MOST = 512, SHOWN_BYTES = 400 };
#define SAMPLES_NOW_US (INT64_C(1798760400) * SECOND_US) /* 2026-12-31T23:40:00Z */

enum expectation { EXPECT_NOTHING, EXPECT_FAILURE, EXPECT_SUCCESS, EXPECT_DELIVERED };
static const char *const expectation_names[] = {"nothing", "failure", "success", "delivered"};

struct expected {
    enum expectation what;
    bool has_address, has_account, has_session, has_attempts, has_time, wants_nouser, wants_known,
        wants_secured, wants_clear;
    struct address address;
    struct span account, session;
    int64_t attempts, at_us;
    struct span written; /* the directive */
};

struct found {
    uint32_t count;
    struct wire_event event; /* the last one */
};

struct checking {
    struct filter_rules *rules;
    const char *path;
    struct text *report;
    struct match *match, *plain; /* with and without the prefilter */
    struct expected expected;
    int line;
    uint64_t ordinal;
    unsigned passed, failed;
    bool has_hit[EXPRESSIONS_MOST];
};

prints(2, 3) static int malformed(struct checking *checking, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    text_add_format(checking->report, "%s:%d: %s\n", checking->path, checking->line, text);
    return -EINVAL;
}

/* Cuts one `word`, `key=value` or `key="value"` off *rest. */
static struct span cut_item(struct span *rest, struct span *ret_value) {
    *rest = span_trim(*rest);
    struct span item = *rest;
    *ret_value = (struct span){NULL, 0};
    size_t at = 0;
    while (at < item.length && item.at[at] != ' ' && item.at[at] != '=')
        at++;
    struct span key = {item.at, at};
    if (at == item.length || item.at[at] == ' ') {
        *rest = span_skip(item, at);
        return key;
    }
    struct span value = span_skip(item, at + 1);
    bool is_quoted = value.length && value.at[0] == '"';
    if (is_quoted)
        value = span_skip(value, 1);
    size_t end = 0;
    while (end < value.length &&
           !(is_quoted ? value.at[end] == '"' &&
                             (end + 1 == value.length || value.at[end + 1] == ' ')
                       : value.at[end] == ' '))
        end++;
    *rest = span_skip(value, end + (is_quoted && end < value.length));
    *ret_value = (struct span){value.at, end};
    return key;
}

static int read_item(struct checking *checking, struct span key, struct span value) {
    struct expected *expected = &checking->expected;
    if (span_is(key, "address")) {
        expected->has_address = true;
        if (address_parse(value, &expected->address) < 0)
            return malformed(checking, "'%.*s' is no address", SPAN_FORMAT(value));
    } else if (span_is(key, "account")) {
        expected->has_account = true;
        expected->account = value;
    } else if (span_is(key, "session")) {
        expected->has_session = true;
        expected->session = value;
    } else if (span_is(key, "attempts")) {
        expected->has_attempts = true;
        if (span_to_integer(value, 0, 1000, &expected->attempts) < 0)
            return malformed(checking, "'%.*s' is no number up to 1000", SPAN_FORMAT(value));
    } else if (span_is(key, "nouser")) {
        expected->wants_nouser = true;
    } else if (span_is(key, "known")) {
        expected->wants_known = true;
    } else if (span_is(key, "secured")) {
        expected->wants_secured = true;
    } else if (span_is(key, "clear")) {
        expected->wants_clear = true;
    } else {
        return malformed(checking, "unknown key '%.*s'", SPAN_FORMAT(key));
    }
    return 0;
}

static int forget_sessions(struct checking *checking) {
    static const uint16_t number = 0;
    struct why why;
    checking->match = match_free(checking->match);
    checking->plain = match_free(checking->plain);
    checking->match = match_new(&checking->rules, &number, 1, false, &why);
    checking->plain = match_new(&checking->rules, &number, 1, true, &why);
    if (!checking->match || !checking->plain)
        return malformed(checking, "%.200s", why.text);
    return 0;
}

static int read_time(struct checking *checking, struct span value) {
    struct stamp stamp;
    value = span_trim(value);
    if (!stamp_read(value, SAMPLES_NOW_US, &stamp) || stamp.end != value.length)
        return malformed(checking, "'%.*s' is no time", SPAN_FORMAT(value));
    checking->expected.has_time = true;
    checking->expected.at_us = stamp.at_us;
    return 0;
}

static int read_directive(struct checking *checking, struct span directive) {
    struct span rest = directive;
    struct span value;
    struct span word = cut_item(&rest, &value);
    if (span_is(word, "again"))
        return forget_sessions(checking);
    if (span_is(word, "at"))
        return read_time(checking, rest);
    for (size_t what = 0; what < ELEMENTS_OF(expectation_names); what++) {
        if (!span_is(word, expectation_names[what]))
            continue;
        checking->expected = (struct expected){.what = (enum expectation)what,
                                               .written = directive};
        int error = 0;
        while (error == 0 && (rest = span_trim(rest)).length > 0) {
            word = cut_item(&rest, &value);
            error = read_item(checking, word, value);
        }
        return error;
    }
    return malformed(checking, "unknown directive '%.*s'; there are failure, success, delivered, "
                               "nothing, at and again", SPAN_FORMAT(word));
}

static void note_event(void *context, const struct wire_event *event) {
    struct found *found = context;
    found->count++;
    found->event = *event;
}

static enum expectation expectation_of(const struct wire_event *event) {
    return event->kind == EVENT_FAILURE     ? EXPECT_FAILURE
           : event->kind == EVENT_DELIVERED ? EXPECT_DELIVERED
                                            : EXPECT_SUCCESS;
}

/* "address 203.0.113.9" and so on: the first thing that differs, or NULL. */
static const char *first_difference(const struct expected *expected, const struct found *found) {
    const struct wire_event *event = &found->event;
    if (expected->what == EXPECT_NOTHING)
        return found->count == 0 ? NULL : "an event where there should be none";
    if (found->count != 1)
        return found->count == 0 ? "no event" : "more than one event";
    if (expectation_of(event) != expected->what)
        return "the other kind of event";
    if (expected->has_address &&
        (!event->has_address ||
         memcmp(&event->address, &expected->address, sizeof(event->address)) != 0))
        return "another address";
    if (expected->has_account && !span_equals(wire_bytes(event->account), expected->account))
        return "another account";
    if (expected->has_session && !span_equals(wire_bytes(event->session), expected->session))
        return "another session";
    if (expected->has_attempts && event->attempts != expected->attempts)
        return "another number of attempts";
    if (expected->wants_nouser && !event->no_such_account)
        return "no word that the account does not exist";
    if (expected->wants_known && event->no_such_account)
        return "that the account does not exist";
    if (expected->wants_secured && event->secrecy != SECRECY_SECURED)
        return "no word that it was secured";
    if (expected->wants_clear && event->secrecy != SECRECY_CLEAR)
        return "no word that it was in clear text";
    if (expected->has_time && event->at_us != expected->at_us)
        return "another time";
    return NULL;
}

static void report_event(struct text *report, const struct wire_event *event) {
    char address[PREFIX_TEXT_MAX] = "none";
    char when[CLOCK_TEXT_MAX];
    static const char *const secrecy[SECRECIES] = {"", " secured", " clear"};
    if (event->has_address)
        address_format(&event->address, address);
    text_add_format(report, "    came: %s address=%s account=\"",
                    expectation_names[expectation_of(event)], address);
    text_add(report, wire_bytes(event->account));
    text_add_string(report, "\" session=\"");
    text_add(report, wire_bytes(event->session));
    text_add_format(report, "\" attempts=%u %s%s at %s + %lld us\n", (unsigned)event->attempts,
                    event->no_such_account ? "nouser" : "known",
                    secrecy[event->secrecy % SECRECIES], clock_format_utc(event->at_us, when),
                    (long long)(event->at_us % SECOND_US));
}

static const struct config_pattern *expression(const struct filter_rules *rules, uint32_t number,
                                               const char **ret_key, uint32_t *ret_place) {
    bool is_fail = number < rules->fail_count;
    *ret_key = is_fail ? "failregex" : "successregex";
    *ret_place = (is_fail ? number : number - rules->fail_count) + 1;
    return is_fail ? &rules->config->fail.at[number]
                   : &rules->config->success.at[number - rules->fail_count];
}

/* How far the line got. */
static void report_trial(struct checking *checking, const struct match_trial *trial) {
    struct text *report = checking->report;
    const char *key = "";
    uint32_t place = 0;
    if (!trial->has_stamp) {
        text_add_string(report, "    it got nowhere: no time at its beginning is understood\n");
        return;
    }
    text_add_string(report, "    text: '");
    text_add_safe(report, (struct span){trial->text.at, trial->text.length < SHOWN_BYTES
                                                            ? trial->text.length
                                                            : SHOWN_BYTES});
    text_add_string(report, "'\n");
    if (!trial->passes_prefix) {
        text_add_string(report, "    it got to prefregex, which does not match that\n");
    } else if (trial->matched_pattern < 0) {
        text_add_format(report, "    %s%s\n",
                        checking->rules->prefix ? "it got past prefregex; " : "",
                        trial->is_ignored ? "an ignoreregex matches"
                                          : "no failregex and no successregex matches that");
    } else {
        const struct config_pattern *pattern =
            expression(checking->rules, (uint32_t)trial->matched_pattern, &key, &place);
        text_add_format(report, "    matched by %s %u (%s:%d)%s\n", key, place,
                        pattern->origin.file, pattern->origin.line,
                        trial->groups.groups[GROUP_SESSION_LINE].length
                            ? ", which belongs to a line session"
                            : "");
    }
}

static void check_line(struct checking *checking, struct span line) {
    cleanup_text struct text batch = {0};
    struct found found = {0};
    struct found plain = {0};
    text_add(&batch, line);
    text_add_char(&batch, '\n');
    must(!batch.error);
    match_feed(checking->match, text_span(&batch), checking->ordinal, SAMPLES_NOW_US, note_event,
               &found);
    match_feed(checking->plain, text_span(&batch), checking->ordinal, SAMPLES_NOW_US, note_event,
               &plain);
    checking->ordinal += batch.length;
    struct match_trial trial;
    match_try(checking->rules, line, SAMPLES_NOW_US, &trial);
    if (trial.matched_pattern >= 0 && trial.matched_pattern < EXPRESSIONS_MOST)
        checking->has_hit[trial.matched_pattern] = true;
    const char *difference = first_difference(&checking->expected, &found);
    if (!difference && first_difference(&checking->expected, &plain))
        difference = "something else without the prefilter";
    checking->expected.has_time = false;
    if (!difference) {
        checking->passed++;
        return;
    }
    checking->failed++;
    text_add_format(checking->report, "%s:%d: %s; expected: %.*s\n    line: ", checking->path,
                    checking->line, difference, SPAN_FORMAT(checking->expected.written));
    text_add_safe(checking->report, line);
    text_add_char(checking->report, '\n');
    if (found.count)
        report_event(checking->report, &found.event);
    report_trial(checking, &trial);
}

static void check_hits(struct checking *checking) {
    const struct filter_rules *rules = checking->rules;
    for (uint32_t i = 0; i < rules->fail_count + rules->success_count && i < EXPRESSIONS_MOST;
         i++) {
        const char *key;
        uint32_t place;
        if (checking->has_hit[i])
            continue;
        const struct config_pattern *pattern = expression(rules, i, &key, &place);
        checking->failed++;
        text_add_format(checking->report, "%s:%d: %s %u has no sample in %s\n",
                        pattern->origin.file, pattern->origin.line, key, place, checking->path);
    }
}

static int check_all(struct checking *checking, struct span bytes) {
    int error = forget_sessions(checking);
    while (error == 0 && bytes.at && bytes.length) {
        struct span line = span_cut(&bytes, '\n');
        checking->line++;
        if (line.length == 0 || line.at[0] == '#')
            continue;
        if (span_starts_with(line, SPAN("== ")))
            error = read_directive(checking, span_skip(line, 3));
        else if (!checking->expected.written.at)
            error = malformed(checking, "a line before the first '== ' says what to expect");
        else
            check_line(checking, line);
    }
    if (error == 0)
        check_hits(checking);
    return error;
}

int samples_check(struct filter_rules *rules, const char *samples_path, struct text *report,
                  unsigned *ret_passed, unsigned *ret_failed) {
    cleanup_text struct text bytes = {0};
    int error = file_read(samples_path, SAMPLES_MOST_BYTES, &bytes);
    if (error < 0) {
        text_add_format(report, "%s: cannot be read: %s\n", samples_path, strerror(-error));
        return error;
    }
    struct checking checking = {.rules = rules, .path = samples_path, .report = report};
    error = check_all(&checking, text_span(&bytes));
    match_free(checking.match);
    match_free(checking.plain);
    if (error < 0)
        return error;
    *ret_passed = checking.passed;
    *ret_failed = checking.failed;
    return 0;
}
