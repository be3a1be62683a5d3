/* The judgement for programs, and what all reports count.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/report.h"

const struct judged *report_first(const struct report *report, unsigned n) {
    for (size_t i = 0; i < report->judgement->count; i++) {
        const struct judged *judged = &report->judgement->at[i];
        if (judged->outcome == OUTCOME_FOUND && !judged->accepted_why &&
            judged->rule->severity != SEVERITY_NOTE && n-- == 0)
            return judged;
    }
    return NULL;
}

unsigned report_count(const struct report *report, enum severity severity) {
    unsigned count = 0;
    for (size_t i = 0; i < report->judgement->count; i++) {
        const struct judged *judged = &report->judgement->at[i];
        count += judged->outcome == OUTCOME_FOUND && !judged->accepted_why &&
                 judged->rule->severity == severity;
    }
    return count;
}

unsigned report_count_accepted(const struct report *report) {
    unsigned count = 0;
    for (size_t i = 0; i < report->judgement->count; i++)
        count += report->judgement->at[i].outcome == OUTCOME_FOUND &&
                 report->judgement->at[i].accepted_why;
    return count;
}

bool report_begins_service(const struct report *report, size_t index) {
    const struct judged *at = report->judgement->at;
    for (size_t i = 0; i < index; i++)
        if (strcmp(at[i].rule->service, at[index].rule->service) == 0)
            return false;
    return true;
}

static js *lines_of(const char *text) {
    js *lines = js_array();
    struct span rest = span_of(text ? text : "");
    while (rest.length > 0) {
        cleanup_free char *line = span_copy(span_cut(&rest, '\n'));
        must(line);
        js_append_string(lines, line);
    }
    return lines;
}

static js *acceptance(const struct judged *judged) {
    js *one = js_object();
    js_set_string(one, "why", judged->accepted_why);
    js_set_time(one, "at", judged->accepted_us);
    return one;
}

static js *finding(const struct judged *judged) {
    const struct rule *rule = judged->rule;
    js *one = js_object();
    js_set_string(one, "id", rule->id);
    js_set_string(one, "service", rule->service);
    js_set_string(one, "severity", severity_names[rule->severity]);
    js_set_string(one, "title", rule->title);
    js_set_string(one, "why", rule->why);
    js_set_string(one, "breaks", rule->breaks);
    js_set(one, "evidence", lines_of(judged->evidence));
    js_set(one, "fix", lines_of(rule->fix));
    js_set_string(one, "sources", rule->sources);
    js_set_string(one, "harmful", rule->harmful[0] ? rule->harmful : NULL);
    js_set_string(one, "usage", judged->usage);
    js_set_time(one, "since", judged->since_us);
    js_set_flag(one, "new", judged->is_new);
    if (judged->accepted_why)
        js_set(one, "accepted", acceptance(judged));
    else
        js_set_string(one, "accepted", NULL);
    return one;
}

static void add_mended(void *context, const char *id, int64_t since_us) {
    (void)since_us;
    js_append_string(context, id);
}

js *report_json(const struct report *report) {
    const struct judgement *judgement = report->judgement;
    char grade[2] = {judgement->grade, '\0'};
    js *all = js_object();
    js *findings = js_array();
    js *mended = js_array();
    js *skipped = js_array();
    for (size_t i = 0; i < judgement->count; i++) {
        const struct judged *judged = &judgement->at[i];
        if (judged->outcome == OUTCOME_FOUND)
            js_append(findings, finding(judged));
        if (judged->outcome != OUTCOME_NOT_LOOKED)
            continue;
        js *one = js_object();
        js_set_string(one, "id", judged->rule->id);
        js_set_string(one, "reason", judged->reason);
        js_append(skipped, one);
    }
    if (report->book)
        book_each_gone(report->book, judgement, add_mended, mended);
    js_set_string(all, "host", report->host);
    js_set_time(all, "at", report->now_us);
    js_set_number(all, "score", judgement->score);
    js_set_string(all, "grade", grade);
    js_set_number(all, "passed", judgement->passed);
    js_set(all, "findings", findings);
    js_set(all, "mended", mended);
    js_set(all, "skipped", skipped);
    return all;
}
