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

#include "audit/report.h"
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

static void wrong_conditions_are_refused(void **state) {
    static const struct {
        const char *condition, *says;
    } cases[] = {
        {"sshd.x", "no condition"},
        {"sshd.x equals no", "no condition"},
        {"sshd.x is", "compared with"},
        {"sshd.x absent yes", "nothing may follow"},
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
                                          "sshd.d\t\t1\n");
    struct readings *after = readings_of("sshd.a\t\tyes\nsshd.b\tuser x\tno\nsshd.e\t\t1\n"
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
    assert_string_equal(readings_value(after, "drift.changed", "sshd.e"), "new since then");
    readings_free(before);
    readings_free(after);
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
    struct rules *rules = rules_of(RULE("one", "high", "wanted = sshd.a is no")
                                   RULE("two", "low", "wanted = host.release is 13"), &why);
    assert_non_null(rules);
    run_at(NULL, rules, "sshd.a\t<b>\"&\t<script>\\x5c\n!\thost.release\tnobody may\n", 0, &judgement);
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
        cmocka_unit_test(wrong_conditions_are_refused),
        cmocka_unit_test(what_is_no_reading_is_refused),
        cmocka_unit_test(wrong_rules_are_refused_with_their_line),
        cmocka_unit_test(judgements_are_as_they_should),
        cmocka_unit_test(the_book_remembers),
        cmocka_unit_test(a_book_of_others_is_not_opened),
        cmocka_unit_test(drift_is_found),
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
    static const char *const left[] = {"audit/book", "audit/baseline", "audit", ""};
    for (size_t i = 0; i < ELEMENTS_OF(left); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
        (void)remove(path);
    }
    return failed;
}
