/* The audit's rules and judgement: which conditions hold, what is found, passed, not looked at, and
 * what becomes of a rule file that is wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "audit/book_inside.h"
#include "audit/report.h"
#include "audit/usage.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"

static struct readings *readings_of(const char *text) {
    struct readings *readings = readings_new();
    struct why why = {0};
    if (readings_take(readings, span_of(text), &why) < 0)
        fail_msg("%s", why.text);
    return readings;
}

static void conditions_hold_or_not(void **state) {
    static const struct {
        const char *value, *condition;
        bool holds;
    } cases[] = {
        {"no", "is NO", true},
        {"no", "is not no", false},
        {"prohibit-password", "one of no prohibit-password", true},
        {"yes", "one of no prohibit-password", false},
        {"yes", "none of yes", false},
        {"10", "at least 9", true},
        {"9.2p1", "at least 10.0", false},
        {"10.0p2", "at least 10.0", true},
        {"3.7.11", "at least 3.10", false},
        {"2m", "at most 120", true},
        {"3 hours", "at least 3h", true},
        {"50M", "at least 49000k", true},
        {"", "at least 0", false},
        {"DROP", "matches ^(drop|reject)$", true},
        {"DROP", "matches not drop", false},
        {"permit_mynetworks, reject_unauth_destination", "has reject_unauth_destination", true},
        {"permit_mynetworks reject", "has reject_unauth_destination", false},
        {"TLSv1 TLSv1.2", "lacks TLSv1", false},
        {"TLSv1.2,TLSv1.3", "only TLSv1.2 TLSv1.3", true},
        {"TLSv1.1 TLSv1.2", "only TLSv1.2 TLSv1.3", false},
        {"", "absent", true},
        {"x", "present", true},
        {"no", "is yes || sshd.x is no", true},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_keep struct keep keep = {0};
        struct why why = {0};
        struct clause clause;
        char text[200];
        snprintf(text, sizeof(text), "sshd.x %s", cases[i].condition);
        if (clause_read(&keep, text, &clause, &why) < 0)
            fail_msg("%s: %s", text, why.text);
        struct readings *readings = readings_of("");
        readings_add(readings, "sshd.x", "", cases[i].value);
        if (clause_holds(&clause, readings, "", cases[i].value) != cases[i].holds)
            fail_msg("'%s' and '%s'", cases[i].value, cases[i].condition);
        clause_free(&clause);
        readings_free(readings);
    }
}

static void amounts_are_compared_or_not_at_all(void **state) {
    enum { LESS = -1, SAME, MORE, NOT };
    static const struct {
        const char *a, *b;
        int order;
    } cases[] = {
        {"1.5G", "1G", MORE}, {"1.5G", "1536M", SAME}, {"2.5G", "1.5 gb", MORE},
        {"10M", "10485760", SAME}, {"10m", "600", SAME}, {"10m", "10M", NOT}, {"64 k", "1 h", NOT},
        {"-1", "2", LESS}, {"-1", "0", LESS}, {"-2", "-1", LESS}, {"--1", "0", NOT},
        {"9.6", "8", MORE}, {"8.0", "8", SAME}, {"3.10", "3.9", MORE}, {"0.5", "1", LESS},
        {"18446744073709551617", "18446744073709551616", MORE}, {"2000 msecs", "2s", SAME},
        {"999999999999999999999999999999999999999999999999999999999999999999999999999", "1", MORE},
        {"9.2p1", "10", LESS}, {"1:9.2p1-2+deb12u3", "1:9.2p1-2", MORE}, {"3.007", "3.7", SAME},
        {"1e3", "5", NOT}, {"0x10", "5", NOT}, {"007", "5", NOT}, {"+5", "5", NOT},
        {"5.", "5", NOT}, {".5", "5", NOT}, {"1 5", "5", NOT}, {"1.5 5", "5", NOT},
        {"5x", "5", NOT}, {"inf", "5", NOT}, {"nan", "5", NOT}, {"", "5", NOT}, {"-", "5", NOT}, {"five", "5", NOT}, {"5%", "5", NOT},
        {"0", "0", SAME}, {"00", "0", NOT}, {"a.1", "1.1", NOT}, {"13", "13", SAME},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        int order = NOT;
        int back = NOT;
        (void)compare_amounts(span_of(cases[i].a), span_of(cases[i].b), &order);
        (void)compare_amounts(span_of(cases[i].b), span_of(cases[i].a), &back);
        if (order != cases[i].order || back != (order == NOT ? NOT : -order))
            fail_msg("'%s' and '%s': %d, %d", cases[i].a, cases[i].b, order, back);
    }
}

static void wrong_conditions_are_refused(void **state) {
    static const struct {
        const char *condition, *says;
    } cases[] = {
        {"sshd.x", "no condition"},
        {"sshd.x equals no", "no condition"},
        {"sshd.x is", "compared with"},
        {"sshd.x absent yes", "nothing may follow"},
        {"sshd.x at least ten", "'ten' is no number"},
        {"sshd.x at most 0x10", "'0x10' is no number"},
        {"sshd.x matches (", "'('"},
        {"shhd.x is no", "no probe reads"},
        {"sshd. is no", "no probe reads"},
        {"sshd.x same as nothing.x", "no probe reads"},
        {"sshd.x is a || sshd.x is b || sshd.x is c || sshd.x is d || sshd.x is e", "more than 4"},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cleanup_keep struct keep keep = {0};
        struct why why = {0};
        struct clause clause;
        assert_true(clause_read(&keep, cases[i].condition, &clause, &why) < 0);
        if (!strstr(why.text, cases[i].says))
            fail_msg("'%s': %s", cases[i].condition, why.text);
    }
}

static void what_is_no_reading_is_refused(void **state) {
    static const char *const lines[] = {"x", "sshd.x\tno", "sshdx\t\tno\n", "\t\t\n",
                                        "sshd.x\t\tno\tmore\n", "!\tsshd.\n"};
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(lines); i++) {
        struct readings *readings = readings_new();
        struct why why = {0};
        assert_int_equal(readings_take(readings, span_of(lines[i]), &why), -EINVAL);
        assert_true(strstr(why.text, "no reading"));
        readings_free(readings);
    }
}

/* ---- rules ---- */

static char folder[64];

#define RULE(id, severity, more)                                                              \
    "[" id "]\nservice = sshd\nseverity = " severity "\ntitle = T\nwhy = W\nbreaks = nothing\n" \
    "fix = F\nsources = own\nwritten = by hand\n" more "\n"

static struct rules *rules_of(const char *text, struct why *why) {
    char path[100];
    snprintf(path, sizeof(path), "%s/one.rules", folder);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write_all(fd, span_of(text)) >= 0);
    struct rules *rules = rules_read(folder, why);
    unlink(path);
    return rules;
}

static void what_cannot_be_compared_never_passes(void **state) {
    static const struct {
        const char *value;
        enum outcome at_least, at_most;
    } cases[] = {
        {"10", OUTCOME_PASSED, OUTCOME_PASSED},       {"11", OUTCOME_PASSED, OUTCOME_FOUND},
        {"9", OUTCOME_FOUND, OUTCOME_PASSED},         {"-1", OUTCOME_FOUND, OUTCOME_PASSED},
        {"never", OUTCOME_PASSED, OUTCOME_FOUND},     {"unlimited", OUTCOME_PASSED, OUTCOME_FOUND},
        {"none", OUTCOME_FOUND, OUTCOME_FOUND},       {"no", OUTCOME_FOUND, OUTCOME_FOUND},
        {"", OUTCOME_NOT_LOOKED, OUTCOME_NOT_LOOKED},
        {"0x10", OUTCOME_NOT_LOOKED, OUTCOME_NOT_LOOKED},
        {"$x", OUTCOME_NOT_LOOKED, OUTCOME_NOT_LOOKED},
    };
    (void)state;
    struct why why = {0};
    struct rules *rules = rules_of(
        RULE("least", "high", "wanted = sshd.a at least 10")
        RULE("most", "high", "wanted = sshd.a at most 10")
        RULE("where", "high", "where = sshd.a at least 10\nwanted = sshd.b is no")
        RULE("applies", "high", "applies = sshd.a at most 10\nwanted = sshd.b is no")
        RULE("either", "high", "wanted = sshd.a at least 10 || sshd.b is yes"), &why);
    if (!rules)
        fail_msg("%s:%d %s", why.file, why.line, why.text);
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct judgement judgement;
        struct readings *readings = readings_of("sshd.b\t\tyes\n");
        readings_add(readings, "sshd.a", "", cases[i].value);
        audit_judge(rules, readings, NULL, &judgement);
        for (size_t j = 0; j < judgement.count; j++) {
            const struct judged *judged = &judgement.at[j];
            char first = judged->rule->id[0];
            enum outcome side = first == 'l' || first == 'w' ? cases[i].at_least : cases[i].at_most;
            enum outcome outcome = side;
            if (first == 'w' || first == 'a') /* it then asks what is found */
                outcome = side == OUTCOME_PASSED  ? OUTCOME_FOUND
                          : side == OUTCOME_FOUND ? OUTCOME_NOT_ASKED
                                                  : side;
            if (first == 'e')
                outcome = OUTCOME_PASSED;
            if (judged->outcome != outcome)
                fail_msg("'%s': %s: %d", cases[i].value, judged->rule->id, (int)judged->outcome);
            if (outcome == OUTCOME_NOT_LOOKED)
                assert_string_equal(judged->reason, "sshd.a cannot be compared with 10");
        }
        judgement_free(&judgement);
        readings_free(readings);
    }
    rules_free(rules);
}

static void wrong_rules_are_refused_with_their_line(void **state) {
    static const struct {
        const char *text, *says;
        int line;
    } cases[] = {
        {RULE("a", "high", "wanted = sshd.x is no\ntitel = x"), "did you mean 'title'", 11},
        {RULE("a", "hihg", "wanted = sshd.x is no"), "not 'hihg'", 3},
        {RULE("a", "high", ""), "does not give 'wanted'", 1},
        {RULE("a", "high", "wanted =\n  sshd.x is no\n  ssh.x is no"), "no probe reads 'ssh.x'", 12},
        {RULE("A b", "high", "wanted = sshd.x is no"), "small letters", 1},
        {RULE("a", "high", "wanted = sshd.x is no\nusage ="), "'usage' is empty", 11},
        {RULE("a", "high", "wanted = sshd.x is no\nusage = clear"), "not 'clear'", 11},
        {RULE("a", "high", "wanted = sshd.x is no\nusage = open imap"), "not 'open imap'", 11},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct why why = {0};
        assert_null(rules_of(cases[i].text, &why));
        if (!strstr(why.text, cases[i].says) || why.line != cases[i].line)
            fail_msg("line %d: %s", why.line, why.text);
    }
}

static void judgements_are_as_they_should(void **state) {
    (void)state;
    struct why why = {0};
    struct rules *rules = rules_of(
        RULE("passes", "medium", "wanted = sshd.a is no")
        RULE("fails", "critical", "where = sshd.b is yes\nwanted = sshd.a is yes")
        RULE("is-not-let-through", "high", "where = sshd.b is no\nwanted = sshd.a is yes")
        RULE("does-not-apply", "high", "applies = sshd.a is 7\nwanted = sshd.a is yes")
        RULE("is-not-there", "high", "wanted = postfix.main.x present")
        RULE("has-no-subject", "high", "wanted = sshd.c is yes")
        RULE("is-missing", "low", "wanted = sshd.c present")
        RULE("may-not-look", "high", "wanted = host.release is 13")
        RULE("may-hold-otherwise", "high", "wanted = sshd.a is yes || host.release is 13")
        RULE("was-half-seen", "high", "wanted = tls.versions is yes")
        RULE("is-found-in-half", "low", "wanted = tls.versions is no")
        RULE("may-be-let-through", "high", "where = host.release is 13\nwanted = sshd.a is yes"),
        &why);
    if (!rules)
        fail_msg("%s:%d %s", why.file, why.line, why.text);
    struct readings *readings = readings_of("sshd.a\tuser x\tno\n"
                                            "sshd.a\t\tno\n"
                                            "sshd.b\t\tyes\n"
                                            "postfix.there\t\tno\n"
                                            "tls.versions\tport 25\tyes\n"
                                            "!\ttls.\tport 993: Connection refused\n"
                                            "!\thost.\tnobody may\n");
    static const struct {
        const char *id;
        enum outcome outcome;
    } wanted[] = {
        {"passes", OUTCOME_PASSED},           {"fails", OUTCOME_FOUND},
        {"is-not-let-through", OUTCOME_NOT_ASKED}, {"does-not-apply", OUTCOME_NOT_ASKED},
        {"is-not-there", OUTCOME_NOT_ASKED},  {"has-no-subject", OUTCOME_NOT_ASKED},
        {"is-missing", OUTCOME_FOUND},        {"may-not-look", OUTCOME_NOT_LOOKED},
        {"may-hold-otherwise", OUTCOME_NOT_LOOKED},
        {"was-half-seen", OUTCOME_NOT_LOOKED}, {"is-found-in-half", OUTCOME_FOUND},
        {"may-be-let-through", OUTCOME_NOT_LOOKED},
    };
    struct judgement judgement;
    audit_judge(rules, readings, NULL, &judgement);
    assert_int_equal(judgement.count, ELEMENTS_OF(wanted));
    for (size_t i = 0; i < judgement.count; i++)
        for (size_t j = 0; j < ELEMENTS_OF(wanted); j++)
            if (strcmp(judgement.at[i].rule->id, wanted[j].id) == 0 &&
                judgement.at[i].outcome != wanted[j].outcome)
                fail_msg("%s: %d", wanted[j].id, (int)judgement.at[i].outcome);
    assert_string_equal(judgement.at[0].rule->id, "fails");
    assert_string_equal(judgement.at[0].evidence, "a = no\nuser x: a = no");
    /* 2 of 14 points; a critical finding. */
    assert_int_equal(judgement.score, 14);
    assert_int_equal(judgement.grade, 'F');
    assert_int_equal(judgement.not_looked, 4);
    judgement_free(&judgement);
    readings_free(readings);
    rules_free(rules);
}

/* ---- who uses it ---- */

#define NOW_US (1000 * DAY_US)

static struct usage_login login_of(const char *account, const char *service, int64_t days_ago,
                                   int64_t clear, int64_t clear_days_ago) {
    return (struct usage_login){account, service, NOW_US - 300 * DAY_US, NOW_US - days_ago * DAY_US,
                                clear > 0 ? NOW_US - clear_days_ago * DAY_US : 0, 40, clear};
}

static void usage_is_told(void **state) {
    static const struct {
        struct {
            const char *account, *service;
            int64_t days_ago, clear, clear_days_ago;
        } logins[10];
        const char *says; /* NULL: nothing */
    } cases[] = {
        {{{0}}, NULL},
        {{{"alice", "imap", 1, 12, 2}, {"alice", "pop3", 1, 1, 30}, {"bob, jr", "imap", 0, 1, 0},
          {"carol", "imap", 0, 7, 31}, {"dave", "imap", 0, 0, 0}, {"eve", "sshd", 0, 5, 0}},
         "2 accounts used it in 30 days: alice (imap, pop3), bob, jr (imap); turning it off cuts "
         "them"},
        {{{"alice", "imap", 1, 12, 2}},
         "1 account used it in 30 days: alice (imap); turning it off cuts it"},
        {{{"alice", "imap", 1, 12, 31}, {"bob", "imap", 0, 0, 0}},
         "nobody used it in 30 days, as far as hauberkd saw"},
        {{{"bob", "imap", 0, -1, 0}, {"carol", "imap", 31, -1, 0}},
         "1 account logged in in 30 days, and the log does not say which in clear text: bob (imap)"},
        {{{"eve", "sshd", 0, 5, 0}},
         "hauberkd has seen no login by imap pop3 at all, in clear text or not"},
        {{{"a", "imap", 0, 1, 0}, {"b", "imap", 0, 1, 0}, {"c", "imap", 0, 1, 0},
          {"d", "imap", 0, 1, 0}, {"e", "imap", 0, 1, 0}, {"f", "imap", 0, 1, 0},
          {"g", "imap", 0, 1, 0}, {"h", "imap", 0, 1, 0}, {"i", "imap", 0, 1, 0}},
         "9 accounts used it in 30 days: a (imap), b (imap), c (imap), d (imap), e (imap), "
         "f (imap), g (imap), h (imap) and 1 more; turning it off cuts them"},
    };
    (void)state;
    struct why why = {0};
    struct rules *rules = rules_of(
        RULE("one", "high", "wanted = sshd.a is no\nusage = clear imap pop3"), &why);
    assert_non_null(rules);
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct usage_login logins[10];
        struct judgement judgement;
        size_t count = 0;
        for (; count < 10 && cases[i].logins[count].account; count++)
            logins[count] = login_of(cases[i].logins[count].account, cases[i].logins[count].service,
                                     cases[i].logins[count].days_ago, cases[i].logins[count].clear,
                                     cases[i].logins[count].clear_days_ago);
        for (int is_found = 0; is_found < 2; is_found++) {
            struct readings *readings = readings_of(is_found ? "sshd.a\t\tyes\n" : "sshd.a\t\tno\n");
            usage_add(readings, logins, count, NOW_US);
            audit_judge(rules, readings, NULL, &judgement);
            const char *says = is_found ? cases[i].says : NULL;
            if (!judgement.at[0].usage != !says ||
                (says && strcmp(judgement.at[0].usage, says) != 0))
                fail_msg("%zu: %s", i, judgement.at[0].usage);
            judgement_free(&judgement);
            readings_free(readings);
        }
    }
    rules_free(rules);
}

static void last_logins_are_by_whichever_service(void **state) {
    (void)state;
    struct why why = {0};
    struct usage_login logins[] = {login_of("bob", "imap", 10, 0, 0), login_of("alice", "imap", 9, 0, 0),
                                   login_of("bob", "sshd", 2, -1, 0)};
    struct readings *readings = readings_new();
    usage_add(readings, logins, ELEMENTS_OF(logins), NOW_US);
    assert_string_equal(readings_value(readings, "logins.there", ""), "yes");
    assert_string_equal(readings_value(readings, "logins.since", ""), "300");
    assert_string_equal(readings_value(readings, "logins.last", "bob"), "2");
    assert_string_equal(readings_value(readings, "logins.last", "alice"), "9");
    assert_string_equal(readings_value(readings, "logins.service", "imap"), "9");
    assert_string_equal(readings_value(readings, "logins.untold", "bob, sshd"),
                        "40 times, last 1972-09-25");
    readings_free(readings);

    /* The shipped rule waits until it knows of a year; when nobody can be asked, it says so. */
    struct rules *rules = rules_read(SOURCE_ROOT "/hardening", &why);
    assert_non_null(rules);
    static const struct {
        const char *readings;
        enum outcome outcome;
    } cases[] = {
        {"logins.there\t\tyes\nlogins.since\t\t364\nlogins.last\ta\t364\n", OUTCOME_NOT_ASKED},
        {"logins.there\t\tyes\nlogins.since\t\t390\nlogins.last\ta\t365\n", OUTCOME_PASSED},
        {"logins.there\t\tyes\nlogins.since\t\t390\nlogins.last\ta\t366\n", OUTCOME_FOUND},
        {"logins.there\t\tno\nlogins.since\t\t0\n", OUTCOME_NOT_ASKED},
        {"!\tlogins.\tno hauberkd\n", OUTCOME_NOT_LOOKED},
    };
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct judgement judgement;
        readings = readings_of(cases[i].readings);
        audit_judge(rules, readings, "logins", &judgement);
        assert_int_equal(judgement.count, 1);
        if (judgement.at[0].outcome != cases[i].outcome)
            fail_msg("%zu: %d", i, (int)judgement.at[0].outcome);
        judgement_free(&judgement);
        readings_free(readings);
    }
    rules_free(rules);
}

/* ---- the book ---- */

static void count(void *context, const char *id, int64_t since_us) {
    char *said = context;
    size_t length = strlen(said);
    snprintf(said + length, 200 - length, "%s@%d ", id, (int)since_us);
}

/* What a run with these readings finds; the book takes it. */
static void run_at(struct book *book, const struct rules *rules, const char *readings_text,
                   int64_t now_us, struct judgement *judgement) {
    struct readings *readings = readings_of(readings_text);
    audit_judge(rules, readings, NULL, judgement);
    book_mark(book, judgement, now_us);
    readings_free(readings);
}

static const struct judged *judged_of(const struct judgement *judgement, const char *id) {
    for (size_t i = 0; i < judgement->count; i++)
        if (strcmp(judgement->at[i].rule->id, id) == 0)
            return &judgement->at[i];
    return NULL;
}

static struct book *opened(void) {
    struct why why = {0};
    struct book *book = NULL;
    if (book_open(folder, &book, &why) < 0)
        fail_msg("%s: %s", why.file, why.text);
    return book;
}

static struct book *saved_and_opened(struct book *book) {
    struct why why = {0};
    if (book_save(book, &why) < 0)
        fail_msg("%s", why.text);
    book_close(book);
    return opened();
}

static void the_book_remembers(void **state) {
    (void)state;
    struct why why = {0};
    struct judgement judgement;
    char said[200];
    struct rules *rules = rules_of(RULE("one", "high", "wanted = sshd.a is no")
                                   RULE("two", "low", "wanted = host.release is 13"), &why);
    assert_non_null(rules);
    struct book *book = opened();
    assert_int_equal(book_last_us(book), 0);

    run_at(book, rules, "sshd.a\t\tyes\nhost.release\t\t12\n", 100, &judgement);
    assert_true(judged_of(&judgement, "one")->is_new);
    assert_true(book_has_news(book, &judgement));
    book_take(book, &judgement, 100);
    book_tell(book, &judgement);
    judgement_free(&judgement);
    book = saved_and_opened(book);

    /* The same again is neither new nor news; what cannot be looked at is not mended. */
    run_at(book, rules, "sshd.a\t\tyes\n!\thost.release\tnobody may\n", 200, &judgement);
    assert_false(judged_of(&judgement, "one")->is_new);
    assert_int_equal(judged_of(&judgement, "one")->since_us, 100);
    assert_false(book_has_news(book, &judgement));
    said[0] = '\0';
    book_each_gone(book, &judgement, count, said);
    assert_string_equal(said, "");
    book_take(book, &judgement, 200);
    judgement_free(&judgement);
    book = saved_and_opened(book);

    /* One is mended, the other is still the one of 100. */
    run_at(book, rules, "sshd.a\t\tno\nhost.release\t\t12\n", 300, &judgement);
    assert_int_equal(judged_of(&judgement, "two")->since_us, 100);
    assert_true(book_has_news(book, &judgement));
    book_each_mended(book, &judgement, count, said);
    assert_string_equal(said, "one@100 ");
    unsigned score = judgement.score;
    book_take(book, &judgement, 300);
    judgement_free(&judgement);

    /* Accepted: with its reason, found as before, the score the same, no news. */
    book_accept(book, "two", "soon", 350);
    book = saved_and_opened(book);
    run_at(book, rules, "sshd.a\t\tno\nhost.release\t\t12\n", 400, &judgement);
    assert_string_equal(judged_of(&judgement, "two")->accepted_why, "soon");
    assert_int_equal(judged_of(&judgement, "two")->outcome, OUTCOME_FOUND);
    assert_int_equal(judgement.score, score);
    judgement_free(&judgement);
    assert_true(book_withdraw(book, "two"));
    assert_false(book_withdraw(book, "two"));
    book_close(book);
    rules_free(rules);
}

static void a_book_of_others_is_not_opened(void **state) {
    (void)state;
    struct why why = {0};
    struct book *book = NULL;
    char path[100];
    snprintf(path, sizeof(path), "%s/audit", folder);
    assert_int_equal(chmod(path, 0722), 0);
    assert_int_equal(book_open(folder, &book, &why), -EACCES);
    assert_int_equal(chmod(path, 0700), 0);
    /* One that is broken is kept aside, and a new one begins. */
    snprintf(path, sizeof(path), "%s/audit/book", folder);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write_all(fd, SPAN("{\"last\": 1")) >= 0);
    book = opened();
    assert_int_equal(book_last_us(book), 0);
    book_close(book);
    snprintf(path, sizeof(path), "%s/audit/book.broken", folder);
    assert_int_equal(unlink(path), 0);
}

static void drift_is_found(void **state) {
    (void)state;
    struct why why = {0};
    struct book *book = opened();
    struct readings *before = readings_of("sshd.a\t\tyes\nsshd.b\tuser x\tyes\nsshd.c\t\t1\n"
                                          "sshd.d\t\t1\nsshd.f\t\tx\nsshd.f\t\ty\n"
                                          "sshd.g\tuser x\t1\n!\tsshd.g\tnobody may\n"
                                          "!\trspamd.\tit took longer than 15 s\n");
    struct readings *after = readings_of("sshd.a\t\tyes\nsshd.b\tuser x\tno\nsshd.e\t\t1\n"
                                         "sshd.f\t\tx\nsshd.f\t\ty\n"
                                         "sshd.g\tuser x\t2\nsshd.g\tuser y\t2\n"
                                         "rspamd.redis\t\tyes\n"
                                         "!\tsshd.d\tnobody may\n");
    baseline_compare(book, before);
    assert_string_equal(readings_value(before, "drift.accepted", ""), "never");
    assert_int_equal(baseline_accept(book, before, 1000000, &why), 0);
    baseline_compare(book, after);
    assert_string_equal(readings_value(after, "drift.accepted", ""), "1970-01-01T00:00:01Z");
    assert_null(readings_value(after, "drift.changed", "sshd.a"));
    assert_string_equal(readings_value(after, "drift.changed", "sshd.b user x"),
                        "changed since then");
    assert_string_equal(readings_value(after, "drift.changed", "sshd.c"), "gone since then");
    assert_null(readings_value(after, "drift.changed", "sshd.d"));
    assert_null(readings_value(after, "drift.changed", "sshd.f")); /* two values, both as before */
    assert_string_equal(readings_value(after, "drift.changed", "sshd.e"), "new since then");
    assert_string_equal(readings_value(after, "drift.changed", "sshd.g user x"),
                        "changed since then");
    /* What could not be looked at then may have been there. */
    assert_null(readings_value(after, "drift.changed", "sshd.g user y"));
    assert_null(readings_value(after, "drift.changed", "rspamd.redis"));
    readings_free(before);
    readings_free(after);
    book_close(book);
}

static const char *days_left(struct book *book, int64_t day, const char *lines) {
    static char days[40];
    struct why why = {0};
    struct readings *readings = readings_of(lines);
    assert_int_equal(pace_take(book, readings, day * DAY_US + 1, &why), 0);
    const char *value = readings_value(readings, "pace.days_left", "/");
    snprintf(days, sizeof(days), "%s", value ? value : "none");
    readings_free(readings);
    return days;
}

static void the_pace_of_disks_is_that_of_earlier_audits(void **state) {
    (void)state;
    struct book *book = opened();
    assert_string_equal(days_left(book, 100, "mounts.used_mb\t/\t1000\nmounts.room_mb\t/\t900\n"),
                        "none");
    assert_string_equal(days_left(book, 102, "mounts.used_mb\t/\t1050\nmounts.room_mb\t/\t850\n"),
                        "none"); /* too near */
    assert_string_equal(days_left(book, 104, "mounts.used_mb\t/\t1200\nmounts.room_mb\t/\t700\n"),
                        "14"); /* 50 a day */
    assert_string_equal(days_left(book, 104, "mounts.used_mb\t/\t1400\nmounts.room_mb\t/\t500\n"),
                        "5"); /* the same day once more */
    assert_string_equal(days_left(book, 110, "mounts.used_mb\t/\t1000\nmounts.room_mb\t/\t900\n"),
                        "9999"); /* cleared */
    assert_string_equal(days_left(book, 145, "mounts.used_mb\t/\t1400\nmounts.room_mb\t/\t500\n"),
                        "none"); /* too far */
    assert_string_equal(days_left(book, 150, "mounts.used_mb\t/\t1401\nmounts.room_mb\t/\tx\n"),
                        "none");
    assert_string_equal(days_left(book, 150, "mounts.used_mb\t/srv\t1\nmounts.room_mb\t/srv\t1\n"),
                        "none"); /* another one */
    struct why why = {0};
    assert_int_equal(book_write_file(book, "room", SPAN("x\n\t\t\n-1\t/\t1\n1\t/\t99999999999999999999\n"),
                                     &why),
                     0);
    assert_string_equal(days_left(book, 4, "mounts.used_mb\t/\t1\nmounts.room_mb\t/\t1\n"), "none");
    book_close(book);
}

/* ---- reports ---- */

/* Whoever pastes the first fix must have read whom it locks out. */
static void what_a_fix_breaks_stands_beside_it(void **state) {
    static const struct {
        const char *breaks, *shown;
    } cases[] = {
        {"nothing", "  1. T (sshd)\n     F\n\nsshd\n"},
        {"Nothing.", "  1. T (sshd)\n     F\n\nsshd\n"},
        {"Whoever has no key.", "  1. T (sshd)\n     F\n    breaks  Whoever has no key.\n\nsshd\n"},
    };
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct why why = {0};
        struct judgement judgement;
        cleanup_text struct text source = {0};
        cleanup_text struct text text = {0};
        text_add_format(&source,
                        "[one]\nservice = sshd\nseverity = high\ntitle = T\nwhy = W\nbreaks = %s\n"
                        "fix = F\nsources = own\nwritten = by hand\nwanted = sshd.a is no\n",
                        cases[i].breaks);
        struct rules *rules = rules_of(source.at, &why);
        assert_non_null(rules);
        run_at(NULL, rules, "sshd.a\t\tyes\n", 0, &judgement);
        struct report report = {&judgement, NULL, "mx", 1000000};
        report_text(&report, false, &text);
        if (!strstr(text.at, cases[i].shown))
            fail_msg("%s", text.at);
        judgement_free(&judgement);
        rules_free(rules);
    }
}

static void reports_read_as_they_should(void **state) {
    (void)state;
    struct why why = {0};
    struct judgement judgement;
    cleanup_text struct text text = {0};
    cleanup_text struct text page = {0};
    struct rules *rules = rules_of(RULE("one", "high", "wanted = sshd.a is no\nusage = clear imap")
                                   RULE("two", "low", "wanted = host.release is 13"), &why);
    assert_non_null(rules);
    run_at(NULL, rules,
           "sshd.a\t<b>\"&\t<script>\\x5c\n!\thost.release\tnobody may\nlogins.there\t\tyes\n"
           "logins.since\t\t90\nlogins.clear\t<i>, imap\t1 times, last 2026-11-20\n",
           0, &judgement);
    struct report report = {&judgement, NULL, "mx<>", 1000000};
    report_text(&report, false, &text);
    assert_string_equal(text.at, "mx<>: grade F, 0 of 100.\n"
                                 "1 high, 0 passed, 0 accepted, 1 not looked at.\n"
                                 "\n"
                                 "First:\n"
                                 "  1. T (sshd)\n"
                                 "     F\n"
                                 "\n"
                                 "sshd\n"
                                 "  high      T  [one]\n"
                                 "            W\n"
                                 "     found  <b>\"&: a = <script>\\x5c\n"
                                 "       fix  F\n"
                                 "      used  1 account used it in 30 days: <i> (imap); turning it "
                                 "off cuts it\n"
                                 " also says  own\n"
                                 "\n"
                                 "Not looked at\n"
                                 "  nobody may\n"
                                 "            two\n"
                                 "\n"
                                 "hauberk audit --explain ID tells all about one; --except ID --why "
                                 "TEXT accepts a risk.\n");
    report_html(&report, &page);
    assert_non_null(strstr(page.at, "&lt;b&gt;&quot;&amp;: a = &lt;script&gt;\\x5c"));
    assert_null(strstr(page.at, "<script"));
    assert_non_null(strstr(page.at, "<dt>Who uses it</dt><dd>1 account used it in 30 days: "
                                    "&lt;i&gt; (imap)"));
    cleanup_js js *all = report_json(&report);
    assert_string_equal(js_string(js_at(js_get(all, "findings"), 0), "usage", ""),
                        "1 account used it in 30 days: <i> (imap); turning it off cuts it");
    judgement_free(&judgement);
    rules_free(rules);
}

static void shipped_rules_can_be_read(void **state) {
    (void)state;
    struct why why = {0};
    struct rules *rules = rules_read(SOURCE_ROOT "/hardening", &why);
    if (!rules)
        fail_msg("%s:%d: %s", why.file, why.line, why.text);
    assert_true(rules->count > 0);
    rules_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_hold_or_not),
        cmocka_unit_test(amounts_are_compared_or_not_at_all),
        cmocka_unit_test(what_cannot_be_compared_never_passes),
        cmocka_unit_test(wrong_conditions_are_refused),
        cmocka_unit_test(what_is_no_reading_is_refused),
        cmocka_unit_test(wrong_rules_are_refused_with_their_line),
        cmocka_unit_test(judgements_are_as_they_should),
        cmocka_unit_test(usage_is_told),
        cmocka_unit_test(last_logins_are_by_whichever_service),
        cmocka_unit_test(the_book_remembers),
        cmocka_unit_test(a_book_of_others_is_not_opened),
        cmocka_unit_test(drift_is_found),
        cmocka_unit_test(the_pace_of_disks_is_that_of_earlier_audits),
        cmocka_unit_test(what_a_fix_breaks_stands_beside_it),
        cmocka_unit_test(reports_read_as_they_should),
        cmocka_unit_test(shipped_rules_can_be_read),
    };
    hash_open();
    snprintf(folder, sizeof(folder), "/tmp/hbaudit.%d", (int)getpid());
    if (folder_make(folder, 0700) < 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char path[100];
    static const char *const left[] = {"audit/book", "audit/baseline", "audit/room", "audit", ""};
    for (size_t i = 0; i < ELEMENTS_OF(left); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
        (void)remove(path);
    }
    return failed;
}
