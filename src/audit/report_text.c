/* The judgement for a person at a terminal, 100 columns at most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/report.h"

#include <stdio.h>

enum { FIRST_THINGS = 3, COLUMNS = 100 };

/* Wraps at blanks; every line begins with `indent` blanks. */
static void add_wrapped(struct text *text, int indent, struct span words) {
    size_t column = 0;
    struct span word;
    while ((word = span_word(&words)).length > 0) {
        if (column && column + 1 + word.length > COLUMNS) {
            text_add_char(text, '\n');
            column = 0;
        }
        if (column == 0)
            text_add_format(text, "%*s", indent, "");
        else
            text_add_char(text, ' ');
        column = (column ? column + 1 : (size_t)indent) + word.length;
        text_add(text, word);
    }
    text_add_char(text, '\n');
}

/* "label  text", further lines under the text. */
static void add_lines(struct text *text, const char *label, const char *lines) {
    struct span rest = span_of(lines);
    for (bool is_first = true; rest.length > 0; is_first = false) {
        struct span line = span_cut(&rest, '\n');
        text_add_format(text, "    %-6s %.*s\n", is_first ? label : "", SPAN_FORMAT(line));
    }
}

static void add_finding(struct text *text, const struct judged *judged) {
    const struct rule *rule = judged->rule;
    text_add_format(text, "  %-8s  %s  [%s]\n", severity_names[rule->severity], rule->title,
                    rule->id);
    add_wrapped(text, 4, span_of(rule->why));
    if (judged->evidence)
        add_lines(text, "found", judged->evidence);
    add_lines(text, "fix", rule->fix);
    if (rule->harmful[0])
        add_lines(text, "guide", rule->harmful);
}

static bool is_first_of_service(const struct judgement *judgement, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (strcmp(judgement->at[j].rule->service, judgement->at[i].rule->service) == 0)
            return false;
    return true;
}

static void add_service(struct text *text, const struct judgement *judgement, const char *service,
                        bool shows_all) {
    bool has_head = false;
    for (size_t i = 0; i < judgement->count; i++) {
        const struct judged *judged = &judgement->at[i];
        bool is_shown = judged->outcome == OUTCOME_FOUND ||
                        (shows_all && judged->outcome == OUTCOME_PASSED);
        if (!is_shown || strcmp(judged->rule->service, service) != 0)
            continue;
        if (!has_head)
            text_add_format(text, "\n%s\n", service);
        has_head = true;
        if (judged->outcome == OUTCOME_FOUND)
            add_finding(text, judged);
        else
            text_add_format(text, "  ok        not so: %s  [%s]\n", judged->rule->title,
                            judged->rule->id);
    }
}

static void add_first_things(struct text *text, const struct judgement *judgement) {
    unsigned number = 0;
    for (size_t i = 0; i < judgement->count && number < FIRST_THINGS; i++) {
        const struct judged *judged = &judgement->at[i];
        if (judged->outcome != OUTCOME_FOUND || judged->rule->severity == SEVERITY_NOTE)
            continue;
        if (number++ == 0)
            text_add_string(text, "\nFirst:\n");
        text_add_format(text, "  %u. %s (%s)\n", number, judged->rule->title,
                        judged->rule->service);
        add_lines(text, "", judged->rule->fix);
    }
}

void report_text(const struct judgement *judgement, bool shows_all, struct text *text) {
    text_add_format(text, "Grade %c, %u of 100: %u found, %u passed, %u not looked at.\n",
                    judgement->grade, judgement->score, judgement->found, judgement->passed,
                    judgement->not_looked);
    add_first_things(text, judgement);
    for (size_t i = 0; i < judgement->count; i++)
        if (is_first_of_service(judgement, i))
            add_service(text, judgement, judgement->at[i].rule->service, shows_all);
    bool has_head = false;
    for (size_t i = 0; i < judgement->count; i++) {
        const struct judged *judged = &judgement->at[i];
        if (judged->outcome != OUTCOME_NOT_LOOKED)
            continue;
        text_add_format(text, "%s  %-40s  %s\n", has_head ? "" : "\nNot looked at\n",
                        judged->rule->id, judged->reason ? judged->reason : "");
        has_head = true;
    }
}

static void add_clauses(struct text *text, const char *label, const struct clauses *clauses) {
    for (size_t i = 0; i < clauses->count; i++)
        text_add_format(text, "%-9s %s\n", i ? "" : label, clauses->at[i].text);
}

static void add_field(struct text *text, const char *label, const char *value) {
    struct span rest = span_of(value);
    for (bool is_first = true; rest.length > 0; is_first = false) {
        struct span line = span_cut(&rest, '\n');
        text_add_format(text, "%-9s %.*s\n", is_first ? label : "", SPAN_FORMAT(line));
    }
}

void report_rule(const struct rule *rule, struct text *text) {
    text_add_format(text, "%s  (%s, %s)\n%s\n\n", rule->id, rule->service,
                    severity_names[rule->severity], rule->title);
    add_field(text, "why", rule->why);
    add_field(text, "breaks", rule->breaks);
    add_clauses(text, "applies", &rule->applies);
    add_clauses(text, "where", &rule->where);
    add_clauses(text, "wanted", &rule->wanted);
    add_field(text, "fix", rule->fix);
    add_field(text, "sources", rule->sources);
    add_field(text, "answers", rule->answers);
    add_field(text, "harmful", rule->harmful);
    add_field(text, "written", rule->written);
    text_add_format(text, "%-9s %s:%d\n", "from", rule->file, rule->line);
}
