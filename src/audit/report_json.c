/* The judgement for programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/report.h"

static js *lines_of(const char *text) {
    js *lines = js_array();
    struct span rest = span_of(text ? text : "");
    while (rest.length > 0) {
        struct span line = span_cut(&rest, '\n');
        char copy[READING_LINE_MOST_BYTES];
        safe_copy(copy, sizeof(copy), line);
        js_append_string(lines, copy);
    }
    return lines;
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
    return one;
}

js *report_json(const struct judgement *judgement) {
    char grade[2] = {judgement->grade, '\0'};
    js *report = js_object();
    js *findings = js_array();
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
    js_set_number(report, "score", judgement->score);
    js_set_string(report, "grade", grade);
    js_set_number(report, "passed", judgement->passed);
    js_set(report, "findings", findings);
    js_set(report, "skipped", skipped);
    return report;
}
