/* The judgement for a person at a terminal, and for the owner's mail. Texts of rules are wrapped;
 * commands and evidence are not, so that they can be copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/report.h"

#include <stdio.h>
#include <strings.h>

#include "base/clock.h"

enum { COLUMNS = 96, INDENT = 12 };

/* ---- lines ---- */

/* Wraps at blanks; every line begins with INDENT blanks. */
static void add_wrapped(struct text *text, const char *words) {
    struct span rest = span_of(words);
    struct span word;
    size_t column = 0;
    while ((word = span_word(&rest)).length > 0) {
        if (column && column + 1 + word.length > COLUMNS) {
            text_add_char(text, '\n');
            column = 0;
        }
        if (column == 0)
            text_add_format(text, "%*s", INDENT, "");
        else
            text_add_char(text, ' ');
        column = (column ? column + 1 : INDENT) + word.length;
        text_add(text, word);
    }
    text_add_char(text, '\n');
}

/* "label  line", further lines under the first. */
static void add_lines(struct text *text, int width, const char *label, const char *lines) {
    struct span rest = span_of(lines);
    for (bool is_first = true; rest.length > 0; is_first = false) {
        struct span line = span_cut(&rest, '\n');
        text_add_format(text, "%*s  %.*s\n", width, is_first ? label : "", SPAN_FORMAT(line));
    }
}

/* What the fix takes away, when it takes away anything. */
static void add_breaks(struct text *text, const struct rule *rule) {
    if (strcasecmp(rule->breaks, "nothing") != 0 && strcasecmp(rule->breaks, "nothing.") != 0)
        add_lines(text, 10, "breaks", rule->breaks);
}

static const char *day_of(int64_t at_us, int64_t now_us, char into[CLOCK_TEXT_MAX]) {
    return clock_format_minute(at_us, now_us, into);
}

static void add_finding(struct text *text, const struct report *report,
                        const struct judged *judged) {
    const struct rule *rule = judged->rule;
    char since[CLOCK_TEXT_MAX];
    text_add_format(
        text, "  %-8s  %s  [%s]%s%s\n", severity_names[rule->severity], rule->title, rule->id,
        !report->book    ? ""
        : judged->is_new ? "  new"
                         : "  since ",
        !report->book || judged->is_new ? "" : day_of(judged->since_us, report->now_us, since));
    add_wrapped(text, rule->why);
    if (judged->evidence)
        add_lines(text, 10, "found", judged->evidence);
    add_lines(text, 10, "fix", rule->fix);
    if (judged->usage)
        add_lines(text, 10, "used", judged->usage);
    add_breaks(text, rule);
    if (rule->harmful[0])
        add_lines(text, 10, "guide", rule->harmful);
    add_lines(text, 10, "also says", rule->sources);
}

static void add_head(struct text *text, const struct report *report) {
    const struct judgement *judgement = report->judgement;
    if (judgement->grade == '-')
        text_add_format(text, "%s: nothing to judge.\n", report->host);
    else
        text_add_format(text, "%s: grade %c, %u of 100.\n", report->host, judgement->grade,
                        judgement->score);
    for (int i = SEVERITIES - 1; i >= 0; i--)
        if (report_count(report, (enum severity)i))
            text_add_format(text, "%u %s, ", report_count(report, (enum severity)i),
                            severity_names[i]);
    text_add_format(text, "%u passed, %u accepted, %u not looked at.\n", judgement->passed,
                    report_count_accepted(report), judgement->not_looked);
}

static void add_first_things(struct text *text, const struct report *report) {
    const struct judged *judged;
    for (unsigned n = 0; n < FIRST_THINGS && (judged = report_first(report, n)); n++) {
        text_add_format(text, "%s  %u. %s (%s)\n", n ? "" : "\nFirst:\n", n + 1,
                        judged->rule->title, judged->rule->service);
        add_lines(text, 3, "", judged->rule->fix);
        add_breaks(text, judged->rule); /* whoever pastes from here has read no further */
    }
}

/* ---- the whole ---- */

static void add_service(struct text *text, const struct report *report, const char *service,
                        bool shows_all) {
    bool has_head = false;
    for (size_t i = 0; i < report->judgement->count; i++) {
        const struct judged *judged = &report->judgement->at[i];
        bool is_finding = judged->outcome == OUTCOME_FOUND && !judged->accepted_why;
        if (!(is_finding || (shows_all && judged->outcome == OUTCOME_PASSED)) ||
            strcmp(judged->rule->service, service) != 0)
            continue;
        if (!has_head)
            text_add_format(text, "\n%s\n", service);
        has_head = true;
        if (is_finding)
            add_finding(text, report, judged);
        else
            text_add_format(text, "  passed    not so: %s  [%s]\n", judged->rule->title,
                            judged->rule->id);
    }
}

static void add_accepted(struct text *text, const struct report *report) {
    bool has_head = false;
    for (size_t i = 0; i < report->judgement->count; i++) {
        const struct judged *judged = &report->judgement->at[i];
        char at[CLOCK_TEXT_MAX];
        if (judged->outcome != OUTCOME_FOUND || !judged->accepted_why)
            continue;
        text_add_format(text, "%s  %-8s  %s  [%s]\n", has_head ? "" : "\nAccepted risks\n",
                        severity_names[judged->rule->severity], judged->rule->title,
                        judged->rule->id);
        text_add_format(text, "%*s  %s: %s\n", 10, "accepted",
                        day_of(judged->accepted_us, report->now_us, at), judged->accepted_why);
        has_head = true;
    }
}

static bool is_for_the_same(const struct judged *a, const struct judged *b) {
    return a->outcome == OUTCOME_NOT_LOOKED && b->outcome == OUTCOME_NOT_LOOKED &&
           strcmp(a->reason ? a->reason : "", b->reason ? b->reason : "") == 0;
}

/* Each reason once, with the rules that it keeps from being asked. */
static void add_not_looked(struct text *text, const struct report *report) {
    const struct judgement *judgement = report->judgement;
    bool has_head = false;
    for (size_t i = 0; i < judgement->count; i++) {
        const struct judged *judged = &judgement->at[i];
        cleanup_text struct text ids = {0};
        size_t j = 0;
        while (j < i && !is_for_the_same(&judgement->at[j], judged))
            j++;
        if (judged->outcome != OUTCOME_NOT_LOOKED || j < i)
            continue;
        for (; j < judgement->count; j++)
            if (is_for_the_same(&judgement->at[j], judged))
                text_add_format(&ids, "%s%s", ids.length ? " " : "", judgement->at[j].rule->id);
        text_add_format(text, "%s  %s\n", has_head ? "" : "\nNot looked at\n",
                        judged->reason ? judged->reason : "");
        add_wrapped(text, ids.at);
        has_head = true;
    }
}

void report_text(const struct report *report, bool shows_all, struct text *text) {
    add_head(text, report);
    add_first_things(text, report);
    for (size_t i = 0; i < report->judgement->count; i++)
        if (report_begins_service(report, i))
            add_service(text, report, report->judgement->at[i].rule->service, shows_all);
    add_accepted(text, report);
    add_not_looked(text, report);
    if (report->judgement->found)
        text_add_string(text, "\nhauberk audit --explain ID tells all about one; --except ID --why "
                              "TEXT accepts a risk.\n");
}

/* ---- what is otherwise ---- */

struct mended {
    const struct report *report;
    struct text *text;
};

static void add_mended(void *context, const char *id, int64_t since_us) {
    const struct mended *mended = context;
    char since[CLOCK_TEXT_MAX];
    text_add_format(mended->text, "  mended    %s, found since %s\n", id,
                    day_of(since_us, mended->report->now_us, since));
}

void report_changes(const struct report *report, struct text *text) {
    char at[CLOCK_TEXT_MAX];
    size_t before = 0;
    struct mended mended = {report, text};
    add_head(text, report);
    if (!report->book || book_last_us(report->book) == 0) {
        text_add_string(text, "There was no audit before this one to compare with.\n");
        return;
    }
    text_add_format(text, "Since %s (grade %c then):\n",
                    day_of(book_last_us(report->book), report->now_us, at),
                    book_last_grade(report->book));
    before = text->length;
    for (size_t i = 0; i < report->judgement->count; i++)
        if (report->judgement->at[i].is_new)
            add_finding(text, report, &report->judgement->at[i]);
    book_each_gone(report->book, report->judgement, add_mended, &mended);
    if (text->length == before)
        text_add_string(text, "  nothing changed\n");
}

static void count_mended(void *context, const char *id, int64_t since_us) {
    (void)id, (void)since_us;
    ++*(unsigned *)context;
}

void report_news(const struct report *report, struct audit_news *ret_news) {
    struct audit_news news = {{0}, {0}};
    struct mended mended = {report, &news.body};
    unsigned fresh = 0;
    unsigned gone = 0;
    const struct rule *gravest = NULL;
    add_head(&news.body, report);
    text_add_char(&news.body, '\n');
    for (size_t i = 0; i < report->judgement->count; i++) {
        const struct judged *judged = &report->judgement->at[i];
        if (judged->outcome != OUTCOME_FOUND || judged->accepted_why ||
            book_was_told(report->book, judged->rule->id))
            continue;
        gravest = gravest ? gravest : judged->rule;
        if (news.body.length < NEWS_MOST_BYTES)
            add_finding(&news.body, report, judged);
        fresh++;
    }
    book_each_mended(report->book, report->judgement, add_mended, &mended);
    book_each_mended(report->book, report->judgement, count_mended, &gone);
    text_add_string(&news.body, "\nAll of it: hauberk audit\n");
    snprintf(news.sentence, sizeof(news.sentence), "audit: grade %c; %u new%s%.200s%s, %u mended",
             report->judgement->grade, fresh, gravest ? " (" : "", gravest ? gravest->title : "",
             gravest ? ")" : "", gone);
    *ret_news = news;
}

/* ---- one rule ---- */

static void add_clauses(struct text *text, const char *label, const struct clauses *clauses) {
    for (size_t i = 0; i < clauses->count; i++)
        add_lines(text, 9, i ? "" : label, clauses->at[i].text);
}

void report_rule(const struct rule *rule, struct text *text) {
    text_add_format(text, "%s  (%s, %s)\n%s\n\n", rule->id, rule->service,
                    severity_names[rule->severity], rule->title);
    add_lines(text, 9, "why", rule->why);
    add_lines(text, 9, "breaks", rule->breaks);
    add_clauses(text, "applies", &rule->applies);
    add_clauses(text, "where", &rule->where);
    add_clauses(text, "wanted", &rule->wanted);
    add_lines(text, 9, "fix", rule->fix);
    add_lines(text, 9, "also says", rule->sources);
    add_lines(text, 9, "answers", rule->answers);
    add_lines(text, 9, "guide", rule->harmful);
    add_lines(text, 9, "written", rule->written);
    text_add_format(text, "%9s  %s:%d\n", "stands in", rule->file, rule->line);
}
