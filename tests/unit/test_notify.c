/* Telling the owner: the mails to the byte, headers that no stranger can write, how many a day on a
 * clock that is set by hand, what is told twice, and when a jail is taken for blind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "notify/compose.h"
#include "notify/mail.h"
#include "notify/notices.h"
#include "notify/sight.h"

/* 2026-11-21 12:33:51 UTC, a Saturday; the zone is set to UTC below. */
#define NOON_US (INT64_C(1795264431) * SECOND_US)

static struct prefix prefix_from(const char *text) {
    struct prefix prefix;
    assert_true(prefix_parse(span_of(text), &prefix) >= 0);
    return prefix;
}

/* ---- mails ---- */

static void a_suspicious_login_reads_as_it_should(void **state) {
    (void)state;
    cleanup_story struct story story = {0};
    cleanup_text struct text mail = {0};
    struct prefix id = prefix_from("203.0.113.9");
    compose_suspicious(&story, &id, "alice@example.org", 7, false);
    struct mail_head head = {.host = "mx.example.org", .to = "root", .subject = story.subject,
                             .kind = "suspicious", .at_us = NOON_US, .number = 0x1234};
    mail_write(&head, text_span(&story.body), &mail);
    assert_string_equal(
        mail.at,
        "From: hauberk <hauberk@mx.example.org>\n"
        "To: root\n"
        "Subject: hauberk on mx.example.org: suspicious login from 203.0.113.9\n"
        "Date: Sat, 21 Nov 2026 12:33:51 +0000\n"
        "Message-ID: <hauberk.1795264431.0000000000001234@mx.example.org>\n"
        "Auto-Submitted: auto-generated\n"
        "X-Hauberk: suspicious\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 8bit\n"
        "\n"
        "alice@example.org logged in from 203.0.113.9, after 7 failures from there within a day.\n"
        "\n"
        "The password was right, so hauberk did nothing about it. If this was not the account's "
        "owner, change its password now.\n"
        "The lines that tell of it:\n"
        "\n"
        "    hauberk why 203.0.113.9\n");
}

static void each_story_ends_with_one_command(void **state) {
    (void)state;
    struct prefix id = prefix_from("2001:db8:1:2::/64");
    struct story stories[8] = {0};
    static const char *const commands[ELEMENTS_OF(stories)] = {
        "hauberk why 2001:db8:1:2::/64", "hauberk unban --false-positive 2001:db8:1:2::/64",
        "hauberk status", "hauberk status; hauberk config", "hauberk status", "hauberk reload",
        "hauberk notify", "journalctl -u hauberk -n 100"};
    compose_suspicious(&stories[0], &id, "", 9, true);
    compose_own_banned(&stories[1], &id, "4 wrong IMAP passwords in 41 s", NOON_US, NOON_US);
    compose_not_in_force(&stories[2], "the enforcer is not there yet");
    compose_blind(&stories[3], "dovecot", "since 11:00 it matched nothing");
    compose_lost(&stories[4], "/var/log/mail.log", 4096);
    compose_configuration(&stories[5], "/etc/hauberk/hauberk.conf:3: unknown setting 'adnim'");
    compose_test(&stories[6]);
    compose_deaths(&stories[7], "How they ended last: sensor killed by SIGSEGV, decider well, enforcer well.");
    for (size_t i = 0; i < ELEMENTS_OF(stories); i++) {
        char end[100];
        snprintf(end, sizeof(end), "\n\n    %s\n", commands[i]);
        size_t length = strlen(end);
        assert_true(stories[i].body.length > length);
        assert_string_equal(stories[i].body.at + stories[i].body.length - length, end);
        assert_true(span_starts_with(text_span(&stories[i].body), span_of(stories[i].sentence)));
        assert_true(stories[i].subject[0] != '\0');
        story_free(&stories[i]);
    }
}

/* What strangers choose: an account's name. It may hold anything. */
static void no_text_begins_a_header(void **state) {
    (void)state;
    static const char *const names[] = {
        "x\nBcc: everybody@example.org", "x\r\nSubject: other\r\n\r\nbody", "\xff\xfe\x80",
        ("\xe2\x80\xae" "gro.elpmaxe@x"), "a\x1b[2Jb", "x\n.\nx", "From root", "%s%s%n"};
    struct prefix id = prefix_from("203.0.113.9");
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        cleanup_story struct story story = {0};
        cleanup_text struct text mail = {0};
        char subject[MAIL_SUBJECT_MAX];
        compose_suspicious(&story, &id, names[i], 5, false);
        struct mail_head head = {.host = "mx", .to = "root", .subject = story.subject,
                                 .kind = "suspicious", .at_us = NOON_US};
        mail_write(&head, text_span(&story.body), &mail);
        struct span left = text_span(&mail);
        unsigned headers = 0;
        for (struct span line; (line = span_cut(&left, '\n')).length > 0; headers++)
            for (size_t k = 0; k < line.length; k++)
                assert_in_range((unsigned char)line.at[k], 0x20, 0x7e);
        assert_int_equal(headers, 10);
        assert_null(memchr(mail.at, '\r', mail.length));
        assert_null(memchr(mail.at, '\x1b', mail.length));
        struct span first = span_cut(&left, '\n');
        assert_true(first.length > 0 && first.at[first.length - 1] == '.');
        /* The same where the subject itself is hostile. */
        (void)mail_subject("mx", names[i], subject);
        for (const char *c = subject; *c; c++)
            assert_in_range((unsigned char)*c, 0x20, 0x7e);
    }
}

static void lines_are_cut_between_characters(void **state) {
    (void)state;
    static char line[3000];
    cleanup_text struct text body = {0};
    for (size_t i = 0; i + 2 < sizeof(line); i += 2)
        memcpy(line + i, "\xc3\xa4", 2);
    line[0] = 'x'; /* so that 900 lies within a character */
    line[1] = 'y';
    memmove(line + 1, line + 2, sizeof(line) - 3);
    mail_write_body((struct span){line, 2001}, &body);
    assert_int_equal(body.length, 899 + 1);
    assert_int_equal(body.at[body.length - 1], '\n');
    text_clear(&body);
    mail_write_body(SPAN("one\n\nthree"), &body);
    assert_string_equal(body.at, "one\n\nthree\n");
}

static void the_host_has_a_name(void **state) {
    (void)state;
    static const struct {
        const char *host, *mailname, *chosen;
    } cases[] = {{"mx.example.org", "other.example.org\n", "mx.example.org"},
                 {"mx", "example.org\n", "example.org"},
                 {"mx", "", "mx"},
                 {"mx", "exam ple\nBcc: x\n", "mx"},
                 {"mx\nBcc: x", "", "localhost"},
                 {"", "-x", "localhost"}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char into[MAIL_HOST_MAX];
        assert_string_equal(mail_choose_host(cases[i].host, span_of(cases[i].mailname), into),
                            cases[i].chosen);
    }
}

/* ---- the summary ---- */

static void a_summary_reads_as_it_should(void **state) {
    (void)state;
    cleanup_story struct story story = {0};
    struct day day = {
        .since_us = NOON_US - DAY_US, .now_us = NOON_US, .bans_in_all = 42, .strangers = 77,
        .losses = 1, .waiting = "sshd", .blind = "postfix-sasl", .store_error = "disk full",
        .bans = {{"dovecot", 40}, {"sshd", 2}}, .ban_count = 2,
        .attacked = {{"alice@example.org", 12}}, .attacked_count = 1,
        .spared = {{"198.51.100.7", 31}}, .spared_count = 1,
        .untold = {"first", "second", "third"}, .untold_count = 3, .untold_in_all = 9};
    assert_true(compose_summary(&story, &day));
    assert_string_equal(story.subject, "42 bans, and something to look at");
    assert_string_equal(story.body.at,
                        "Since 20 Nov 12:33:\n"
                        "Banned: 42 (dovecot 40, sshd 2)\n"
                        "Most attacked of your accounts, by addresses: alice@example.org 12\n"
                        "Tried unknown accounts: 77 addresses\n"
                        "Spared, though they failed: 198.51.100.7 31 times\n"
                        "Waiting for their logs: sshd\n"
                        "May be blind: postfix-sasl\n"
                        "Log lines were gone before they were read: 1 times\n"
                        "The state cannot be stored: disk full\n"
                        "Not told before:\n"
                        "  first\n"
                        "  second\n"
                        "  third\n"
                        "  and 6 more: hauberk notify\n"
                        "More: hauberk status; hauberk bans\n");
}

static void a_quiet_day_is_no_mail(void **state) {
    (void)state;
    cleanup_story struct story story = {0};
    struct day day = {.since_us = NOON_US - DAY_US, .now_us = NOON_US, .strangers = 3,
                      .waiting = "sshd", .blind = "", .store_error = ""};
    assert_false(compose_summary(&story, &day));
    day.bans_in_all = 1;
    assert_true(compose_summary(&story, &day));
    assert_string_equal(story.subject, "1 bans");
}

/* ---- how many a day ---- */

static bool add_and_mail(struct notices *notices, const char *address, int64_t now_us) {
    struct prefix id = prefix_from(address);
    bool may_mail = notices_may_mail(notices, now_us);
    struct notice *notice =
        notices_add(notices, NOTICE_SUSPICIOUS, "alice", &id, "it happened", now_us);
    assert_non_null(notice);
    if (may_mail)
        notices_set_mailed(notice, now_us);
    return may_mail;
}

static uint32_t count_state(const struct notices *notices, enum notice_state state) {
    uint32_t count = 0;
    const struct notice *notice;
    for (uint32_t n = 0; (notice = notices_newest(notices, n)); n++)
        count += notice->state == state;
    return count;
}

static void five_a_day_and_the_rest_waits(void **state) {
    (void)state;
    struct notices *notices = notices_new(5, 7 * 60);
    int64_t midnight_us = NOON_US - NOON_US % DAY_US;
    /* The book's first day. */
    assert_true(notices_summary_since(notices, midnight_us - HOUR_US) == 0);
    char address[32];
    unsigned mailed = 0;
    for (int i = 0; i < 12; i++) { /* before seven: room is kept for the summary */
        snprintf(address, sizeof(address), "203.0.113.%d", i);
        mailed += add_and_mail(notices, address, midnight_us + i * MINUTE_US);
    }
    assert_int_equal(mailed, 4);
    assert_int_equal(count_state(notices, NOTICE_WAITING), 8);
    int64_t seven_us = midnight_us + 7 * HOUR_US;
    assert_true(notices_summary_since(notices, seven_us - 1) == 0);
    assert_true(notices_summary_since(notices, seven_us) == midnight_us - HOUR_US);
    assert_non_null(notices_sum_up(notices, "12 bans", true, seven_us));
    assert_int_equal(count_state(notices, NOTICE_WAITING), 0);
    assert_int_equal(count_state(notices, NOTICE_SUMMED), 8);
    assert_true(notices_summary_since(notices, seven_us + HOUR_US) == 0);
    assert_false(add_and_mail(notices, "203.0.113.99", seven_us + HOUR_US)); /* five were sent */
    assert_true(add_and_mail(notices, "203.0.113.98", midnight_us + DAY_US)); /* a new day */
    assert_true(notices_summary_since(notices, seven_us + DAY_US) == seven_us);
    notices_free(notices);
}

static void a_silent_summary_leaves_its_place(void **state) {
    (void)state;
    struct notices *notices = notices_new(1, 7 * 60);
    int64_t midnight_us = NOON_US - NOON_US % DAY_US;
    (void)notices_summary_since(notices, midnight_us - HOUR_US);
    assert_false(add_and_mail(notices, "203.0.113.1", midnight_us + HOUR_US));
    assert_non_null(notices_sum_up(notices, "nothing to say", false, midnight_us + 7 * HOUR_US));
    assert_int_equal(count_state(notices, NOTICE_WAITING), 1); /* nobody was told of it */
    assert_true(add_and_mail(notices, "203.0.113.2", midnight_us + 8 * HOUR_US));
    assert_false(add_and_mail(notices, "203.0.113.3", midnight_us + 9 * HOUR_US));
    notices_free(notices);
    notices = notices_new(2, -1);
    assert_true(notices_summary_since(notices, NOON_US) == 0);
    assert_true(add_and_mail(notices, "203.0.113.1", NOON_US));
    assert_true(add_and_mail(notices, "203.0.113.2", NOON_US));
    assert_false(add_and_mail(notices, "203.0.113.3", NOON_US));
    notices_free(notices);
}

/* Stored notices do what they did: the count of the day, what was told, the summary's place. */
static void a_restart_changes_nothing(void **state) {
    (void)state;
    struct notices *before = notices_new(3, 7 * 60);
    (void)notices_summary_since(before, NOON_US - DAY_US);
    assert_non_null(notices_sum_up(before, "x", true, NOON_US - HOUR_US));
    assert_true(add_and_mail(before, "203.0.113.1", NOON_US));
    struct notices *after = notices_new(3, 7 * 60);
    const struct notice *notice;
    while ((notice = notices_take_dirty(before)))
        notices_restore(after, notice);
    struct prefix id = prefix_from("203.0.113.1");
    assert_null(notices_add(after, NOTICE_SUSPICIOUS, "alice", &id, "again", NOON_US + HOUR_US));
    assert_true(add_and_mail(after, "203.0.113.2", NOON_US + HOUR_US));
    assert_false(add_and_mail(after, "203.0.113.3", NOON_US + HOUR_US));
    assert_true(notices_summary_since(after, NOON_US + HOUR_US) == 0);
    notices_free(before);
    notices_free(after);
}

static void the_same_is_told_once(void **state) {
    (void)state;
    struct notices *notices = notices_new(5, -1);
    struct prefix id = prefix_from("203.0.113.1");
    struct prefix other = prefix_from("203.0.113.2");
    assert_non_null(notices_add(notices, NOTICE_SUSPICIOUS, "alice", &id, "x", NOON_US));
    assert_null(notices_add(notices, NOTICE_SUSPICIOUS, "alice", &id, "y", NOON_US + HOUR_US));
    assert_non_null(notices_add(notices, NOTICE_SUSPICIOUS, "bob", &id, "x", NOON_US));
    assert_non_null(notices_add(notices, NOTICE_SUSPICIOUS, "alice", &other, "x", NOON_US));
    assert_non_null(notices_add(notices, NOTICE_OWN_BANNED, "alice", &id, "x", NOON_US));
    assert_non_null(notices_add(notices, NOTICE_SUSPICIOUS, "alice", &id, "x", NOON_US + DAY_US));
    assert_non_null(notices_add(notices, NOTICE_BLIND, "sshd", NULL, "x", NOON_US));
    assert_null(notices_add(notices, NOTICE_BLIND, "sshd", NULL, "x", NOON_US + 13 * DAY_US));
    assert_non_null(notices_add(notices, NOTICE_BLIND, "sshd", NULL, "x", NOON_US + 14 * DAY_US));
    assert_non_null(notices_add(notices, NOTICE_TEST, "", NULL, "x", NOON_US));
    assert_non_null(notices_add(notices, NOTICE_TEST, "", NULL, "x", NOON_US));
    notices_forget_prefix(notices, &other);
    assert_non_null(notices_add(notices, NOTICE_SUSPICIOUS, "alice", &other, "x", NOON_US));
    notices_forget_account(notices, "bob");
    assert_non_null(notices_add(notices, NOTICE_SUSPICIOUS, "bob", &id, "x", NOON_US));
    notices_free(notices);
}

static void what_nobody_got_waits_again(void **state) {
    (void)state;
    struct notices *notices = notices_new(2, 7 * 60);
    (void)notices_summary_since(notices, NOON_US - DAY_US);
    assert_true(add_and_mail(notices, "203.0.113.1", NOON_US));
    uint64_t first = notices_newest(notices, 0)->number;
    assert_false(add_and_mail(notices, "203.0.113.2", NOON_US + 1));
    notices_take_back(notices, first);
    assert_int_equal(count_state(notices, NOTICE_WAITING), 2);
    assert_true(notices_may_mail(notices, NOON_US + 2)); /* it was none */
    struct notice *summary = notices_sum_up(notices, "2 bans", true, NOON_US + 3);
    assert_int_equal(count_state(notices, NOTICE_SUMMED), 2);
    notices_take_back(notices, summary->number);
    assert_int_equal(count_state(notices, NOTICE_WAITING), 3);
    notices_free(notices);
}

static void a_full_book_drops_the_oldest(void **state) {
    (void)state;
    struct notices *notices = notices_new(5, -1);
    for (int i = 0; i < NOTICES_MOST + 10; i++)
        assert_non_null(notices_add(notices, NOTICE_TEST, "", NULL, "x", NOON_US + i));
    const struct notice *oldest = notices_newest(notices, NOTICES_MOST - 1);
    assert_non_null(oldest);
    assert_true(oldest->at_us == NOON_US + 10);
    assert_null(notices_newest(notices, NOTICES_MOST));
    assert_null(notices_add(notices, NOTICE_TEST, "", NULL, "x", NOON_US)); /* a clock set back */
    notices_free(notices);
}

/* ---- the clock ---- */

static void local_days_have_23_to_25_hours(void **state) {
    (void)state;
    assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
    tzset();
    /* 2026-10-25 02:30 comes twice; 07:00 CET of that day is 06:00 UTC. */
    int64_t change_us = clock_days(2026, 10, 25) * DAY_US;
    assert_true(clock_last_local(change_us + 6 * HOUR_US, 7 * 60) == change_us + 6 * HOUR_US);
    assert_true(clock_last_local(change_us + 6 * HOUR_US - 1, 7 * 60) ==
                change_us - 19 * HOUR_US);
    assert_true(clock_last_local(change_us + 12 * HOUR_US, 0) == change_us - 2 * HOUR_US);
    char text[CLOCK_TEXT_MAX];
    assert_string_equal(clock_format_mail(change_us, text), "Sun, 25 Oct 2026 02:00:00 +0200");
    assert_int_equal(setenv("TZ", "UTC0", 1), 0);
    tzset();
}

/* ---- sight ---- */

static void ten_lines_over_an_hour_are_blindness(void **state) {
    (void)state;
    char text[SIGHT_TEXT_MAX];
    struct sight sight = {.since_us = NOON_US};
    for (int i = 0; i < 12; i++)
        sight_missed(&sight, 1, NOON_US + i * MINUTE_US);
    assert_null(sight_fault(&sight, NOON_US + 59 * MINUTE_US, text));
    assert_non_null(sight_fault(&sight, NOON_US + HOUR_US, text));
    assert_string_equal(text, "since 12:33 it matched nothing, while 12 lines of its log look like "
                              "failures");
    assert_true(sight_matched(&sight, 1, 0, NOON_US + HOUR_US));
    assert_null(sight_fault(&sight, NOON_US + HOUR_US, text));
    sight_missed(&sight, 9, NOON_US + 2 * HOUR_US);
    assert_null(sight_fault(&sight, NOON_US + 5 * HOUR_US, text));
    assert_true(sight_matched(&sight, 0, 1, NOON_US + 5 * HOUR_US)); /* a login is a match, too */
    assert_false(sight_matched(&sight, 0, 1, NOON_US + 5 * HOUR_US + 1)); /* no news for the disk */
    assert_false(sight_matched(&sight, 0, 0, NOON_US + 9 * HOUR_US));
}

static void two_weeks_of_logins_alone_are_blindness(void **state) {
    (void)state;
    char text[SIGHT_TEXT_MAX];
    struct sight sight = {.since_us = NOON_US};
    for (int day = 0; day < 14; day++) {
        (void)sight_matched(&sight, 0, 3, NOON_US + day * DAY_US + HOUR_US);
        assert_null(sight_fault(&sight, NOON_US + day * DAY_US + 2 * HOUR_US, text));
    }
    assert_non_null(sight_fault(&sight, NOON_US + 14 * DAY_US, text));
    (void)sight_matched(&sight, 1, 0, NOON_US + 14 * DAY_US);
    assert_null(sight_fault(&sight, NOON_US + 14 * DAY_US, text));
    struct sight unused = {.since_us = NOON_US}; /* nobody uses the service: that is no fault */
    assert_null(sight_fault(&unused, NOON_US + 100 * DAY_US, text));
}

#define TEST(name) cmocka_unit_test(name)

int main(void) {
    hash_open();
    setenv("TZ", "UTC0", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        TEST(a_suspicious_login_reads_as_it_should),
        TEST(each_story_ends_with_one_command),
        TEST(no_text_begins_a_header),
        TEST(lines_are_cut_between_characters),
        TEST(the_host_has_a_name),
        TEST(a_summary_reads_as_it_should),
        TEST(a_quiet_day_is_no_mail),
        TEST(five_a_day_and_the_rest_waits),
        TEST(a_silent_summary_leaves_its_place),
        TEST(a_restart_changes_nothing),
        TEST(the_same_is_told_once),
        TEST(what_nobody_got_waits_again),
        TEST(a_full_book_drops_the_oldest),
        TEST(local_days_have_23_to_25_hours),
        TEST(ten_lines_over_an_hour_are_blindness),
        TEST(two_weeks_of_logins_alone_are_blindness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
