/* A judgement as people and programs read it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/judge.h"
#include "control/json.h"

/* {score, grade, passed, findings: [{id, service, severity, title, why, breaks, evidence, fix,
 * sources}], skipped: [{id, reason}]}; evidence and fix are arrays of lines. */
js *report_json(const struct judgement *judgement);

/* For a terminal: the grade, three things to do first, then the findings by service, the gravest
 * first; with shows_all also what passed. */
void report_text(const struct judgement *judgement, bool shows_all, struct text *text);

/* All about one rule. */
void report_rule(const struct rule *rule, struct text *text);
