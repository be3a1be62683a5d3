/* hauberk audit: what is weak on this machine, why, and how to mend it. Needs no hauberkd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "audit/collect.h"
#include "audit/report.h"
#include "cli/cli.h"

static int print(struct text *text) {
    if (text->length)
        fputs(text->at, stdout);
    return EXIT_FINE;
}

static int list_rules(const struct rules *rules) {
    for (size_t i = 0; i < rules->count; i++)
        printf("%-8s  %-9s  %-40s  %s\n", severity_names[rules->at[i].severity],
               rules->at[i].service, rules->at[i].id, rules->at[i].title);
    return EXIT_FINE;
}

static int explain(const struct rules *rules, const char *id) {
    cleanup_text struct text text = {0};
    const struct rule *rule = rules_find(rules, id);
    const char *nearest = rules_nearest(rules, id);
    if (!rule)
        return cli_fail(EXIT_USAGE, "there is no rule '%s'%s%s; hauberk audit --rules lists them",
                        id, nearest ? "; did you mean " : "", nearest ? nearest : "");
    report_rule(rule, &text);
    return print(&text);
}

static bool has_service(const struct rules *rules, const char *service) {
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->at[i].service, service) == 0)
            return true;
    return false;
}

static int audit(const struct cli *cli, const struct rules *rules, const char *service,
                 bool shows_all, bool shows_readings) {
    cleanup_text struct text text = {0};
    struct judgement judgement;
    struct readings *readings = readings_new();
    collect(cli->installed.libexec, rules, service, readings);
    audit_judge(rules, readings, service, &judgement);
    if (shows_readings) {
        readings_write(readings, &text);
    } else if (cli->wants_json) {
        cleanup_js js *report = report_json(&judgement);
        cli_print_json(report);
    } else {
        report_text(&judgement, shows_all, &text);
    }
    print(&text);
    int exit_code = judgement.found && !shows_readings ? EXIT_LOOK : EXIT_FINE;
    judgement_free(&judgement);
    readings_free(readings);
    return exit_code;
}

static int run(struct cli *cli, const struct rules *rules) {
    const char *service = NULL;
    const char *id = NULL;
    (void)cli_take_option(cli, "--service", &service);
    bool shows_rules = cli_take_flag(cli, "--rules");
    bool explains = cli_take_option(cli, "--explain", &id);
    bool shows_all = cli_take_flag(cli, "--all");
    bool shows_readings = cli_take_flag(cli, "--readings");
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "audit does not take '%s'; see hauberk audit --help",
                        cli->arguments[0]);
    if (service && !has_service(rules, service))
        return cli_fail(EXIT_USAGE, "no rule is about a service '%s'; hauberk audit --rules",
                        service);
    return shows_rules ? list_rules(rules)
           : explains  ? explain(rules, id)
                       : audit(cli, rules, service, shows_all, shows_readings);
}

int word_audit(struct cli *cli) {
    struct why why = {0};
    char folder[4200];
    snprintf(folder, sizeof(folder), "%s/hardening", cli->installed.data);
    struct rules *rules = rules_read(folder, &why);
    if (!rules)
        return cli_fail_why(EXIT_FAILED, &why);
    int exit_code = run(cli, rules);
    rules_free(rules);
    return exit_code;
}
