/* The judgement as one page. Everything it needs is in it: no script, no picture, no font, nothing
 * from elsewhere; the colours keep a contrast of at least 4.5 to 1 in both schemes (WCAG 2.1 AA).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/report.h"
#include "base/clock.h"

/* The page's style is data beside this file. */
static const char style[] =
#include "report_css.h"
    ;

static void add(struct text *text, const char *before, const char *inner, const char *after) {
    text_add_string(text, before);
    text_add_html(text, span_of(inner ? inner : ""));
    text_add_string(text, after);
}

static void add_lines(struct text *text, const char *label, const char *lines) {
    struct span rest = span_of(lines ? lines : "");
    if (!rest.length)
        return;
    add(text, "<dt>", label, "</dt><dd><pre tabindex=\"0\">");
    while (rest.length > 0) {
        text_add_html(text, span_cut(&rest, '\n'));
        text_add_string(text, rest.length ? "\n" : "");
    }
    text_add_string(text, "</pre></dd>\n");
}

static void add_words(struct text *text, const char *label, const char *words) {
    if (!words || !words[0])
        return;
    add(text, "<dt>", label, "</dt>");
    add(text, "<dd>", words, "</dd>\n");
}

static void add_finding(struct text *text, const struct report *report,
                        const struct judged *judged) {
    const struct rule *rule = judged->rule;
    char at[CLOCK_TEXT_MAX];
    add(text, "<article id=\"", rule->id, "\">\n");
    add(text, "<h3><span class=\"severity ", severity_names[rule->severity], "\">");
    add(text, "", severity_names[rule->severity], "</span> ");
    add(text, "", rule->title, "</h3>\n");
    add(text, "<p>", rule->why, "</p>\n<dl>\n");
    add_lines(text, "Found", judged->evidence);
    add_lines(text, "Fix", rule->fix);
    add_words(text, "What it breaks", rule->breaks);
    add_words(text, "Who uses it", judged->usage);
    add_words(text, "A guide says so", rule->harmful);
    add_words(text, "Who else says so", rule->sources);
    if (report->book && judged->since_us)
        add_words(text, "Found since", clock_format_utc(judged->since_us, at));
    add_words(text, "Accepted because", judged->accepted_why);
    add_words(text, "Rule", rule->id);
    text_add_string(text, "</dl>\n</article>\n");
}

static void add_services(struct text *text, const struct report *report) {
    const struct judgement *judgement = report->judgement;
    for (size_t i = 0; i < judgement->count; i++) {
        bool has_head = false;
        if (!report_begins_service(report, i))
            continue;
        for (size_t j = i; j < judgement->count; j++) {
            const struct judged *judged = &judgement->at[j];
            if (judged->outcome != OUTCOME_FOUND || judged->accepted_why ||
                strcmp(judged->rule->service, judgement->at[i].rule->service) != 0)
                continue;
            if (!has_head)
                add(text, "<section>\n<h2>", judged->rule->service, "</h2>\n");
            has_head = true;
            add_finding(text, report, judged);
        }
        if (has_head)
            text_add_string(text, "</section>\n");
    }
}

static void add_accepted(struct text *text, const struct report *report) {
    if (report_count_accepted(report) == 0)
        return;
    text_add_string(text, "<section>\n<h2>Accepted risks</h2>\n");
    for (size_t i = 0; i < report->judgement->count; i++) {
        const struct judged *judged = &report->judgement->at[i];
        if (judged->outcome == OUTCOME_FOUND && judged->accepted_why)
            add_finding(text, report, judged);
    }
    text_add_string(text, "</section>\n");
}

static void add_table(struct text *text, const struct report *report, enum outcome outcome,
                      const char *title, const char *column) {
    bool has_head = false;
    for (size_t i = 0; i < report->judgement->count; i++) {
        const struct judged *judged = &report->judgement->at[i];
        if (judged->outcome != outcome)
            continue;
        if (!has_head) {
            add(text, "<section>\n<h2>", title, "</h2>\n<table>\n<thead><tr><th scope=\"col\">");
            add(text, "Rule</th><th scope=\"col\">", column, "</th></tr></thead>\n<tbody>\n");
        }
        has_head = true;
        add(text, "<tr><th scope=\"row\">", judged->rule->id, "</th>");
        add(text, "<td>", outcome == OUTCOME_PASSED ? judged->rule->title : judged->reason,
            "</td></tr>\n");
    }
    if (has_head)
        text_add_string(text, "</tbody>\n</table>\n</section>\n");
}

static void add_head(struct text *text, const struct report *report) {
    const struct judgement *judgement = report->judgement;
    char at[CLOCK_TEXT_MAX];
    const struct judged *judged;
    text_add_format(text,
                    "<header>\n<p class=\"grade grade-%c\">"
                    "<span class=\"hidden\">Grade </span>%c</p>\n",
                    judgement->grade == '-' ? 'F' : judgement->grade, judgement->grade);
    add(text, "<div>\n<h1>", report->host, "</h1>\n");
    text_add_format(text, "<p>%u of 100. ", judgement->score);
    for (int i = SEVERITIES - 1; i >= 0; i--)
        if (report_count(report, (enum severity)i))
            text_add_format(text, "%u %s, ", report_count(report, (enum severity)i),
                            severity_names[i]);
    text_add_format(text, "%u passed, %u accepted, %u not looked at.</p>\n", judgement->passed,
                    report_count_accepted(report), judgement->not_looked);
    add(text, "<p>hauberk audit, ", clock_format_utc(report->now_us, at),
        "</p>\n</div>\n</header>\n");
    text_add_string(text, "<main>\n");
    for (unsigned n = 0; n < FIRST_THINGS && (judged = report_first(report, n)); n++) {
        text_add_string(text, n ? "" : "<section>\n<h2>First</h2>\n<ol>\n");
        add(text, "<li><a href=\"#", judged->rule->id, "\">");
        add(text, "", judged->rule->title, "</a> ");
        add(text, "(", judged->rule->service, ")</li>\n");
    }
    if (report_first(report, 0))
        text_add_string(text, "</ol>\n</section>\n");
}

void report_html(const struct report *report, struct text *text) {
    text_add_string(text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                          "<meta name=\"viewport\" content=\"width=device-width, "
                          "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">"
                          "\n");
    add(text, "<title>Audit of ", report->host, "</title>\n<style>\n");
    text_add_string(text, style);
    text_add_string(text, "</style>\n</head>\n<body>\n");
    add_head(text, report);
    add_services(text, report);
    add_accepted(text, report);
    add_table(text, report, OUTCOME_NOT_LOOKED, "Not looked at", "Why not");
    add_table(text, report, OUTCOME_PASSED, "Passed", "Not so");
    text_add_string(text, "</main>\n</body>\n</html>\n");
}
