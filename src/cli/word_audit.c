/* hauberk audit: what is weak on this machine, why, and how to mend it. It looks by itself and
 * needs no hauberkd but for --mail. From before it looks it can write nothing but its own book and
 * the page it was asked for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "audit/collect.h"
#include "audit/report.h"
#include "audit/usage.h"
#include "base/clock.h"
#include "base/files.h"
#include "cli/cli.h"
#include "config/config.h"
#include "sandbox/sandbox.h"

struct wishes {
    const char *service, *html, *explain, *accept, *accept_why, *withdraw;
    bool shows_rules, shows_all, shows_readings, shows_changes, is_mailed, accepts_state;
};

/* What a full disk cuts off is not passed over. */
static int print(struct text *text) {
    if (text->length)
        fputs(text->at, stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        return cli_fail(EXIT_FAILED, "the output cannot be written: %s", strerror(errno));
    return EXIT_FINE;
}

/* ---- about rules ---- */

static int list_rules(const struct rules *rules) {
    for (size_t i = 0; i < rules->count; i++)
        printf("%-8s  %-9s  %-40s  %s\n", severity_names[rules->at[i].severity],
               rules->at[i].service, rules->at[i].id, rules->at[i].title);
    return EXIT_FINE;
}

static const struct rule *find_rule(const struct rules *rules, const char *id) {
    const struct rule *rule = rules_find(rules, id);
    const char *nearest = rules_nearest(rules, id);
    if (!rule)
        cli_fail(EXIT_USAGE, "there is no rule '%s'%s%s; hauberk audit --rules lists them", id,
                 nearest ? "; did you mean " : "", nearest ? nearest : "");
    return rule;
}

static int explain(const struct rules *rules, const char *id) {
    cleanup_text struct text text = {0};
    const struct rule *rule = find_rule(rules, id);
    if (!rule)
        return EXIT_USAGE;
    report_rule(rule, &text);
    return print(&text);
}

static int change_acceptance(const struct cli *cli, const struct rules *rules,
                             const struct wishes *wishes) {
    struct why why = {0};
    struct book *book = NULL;
    const char *id = wishes->accept ? wishes->accept : wishes->withdraw;
    if (wishes->accept && !wishes->accept_why)
        return cli_fail(EXIT_USAGE, "--except needs --why TEXT: whoever reads the next audit wants "
                                    "to know");
    /* What was accepted may be of a rule that is gone since. */
    if (wishes->accept && !find_rule(rules, id))
        return EXIT_USAGE;
    if (book_open(cli->state_folder, &book, &why) < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    bool was_there = true;
    if (wishes->accept)
        book_accept(book, id, wishes->accept_why, clock_now_us());
    else
        was_there = book_withdraw(book, id);
    int error = book_save(book, &why);
    book_close(book);
    if (error < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    if (!was_there)
        return cli_fail(EXIT_FAILED, "'%s' was not accepted", id);
    printf(wishes->accept
               ? "%s is an accepted risk from now on; it stays in sight and in the score.\n"
               : "%s is a finding again.\n",
           id);
    return EXIT_FINE;
}

/* ---- the audit ---- */

static int open_page(const struct wishes *wishes) {
    if (!wishes->html)
        return -1;
    /* Not blocked by a pipe, nor led elsewhere by a link; whoever could read an old page cannot
     * read this one. */
    int fd = open(wishes->html, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                  0600);
    return fd < 0 || fchmod(fd, 0600) < 0 ? -errno - 1 : fd;
}

static int write_page(const struct report *report, int fd, const char *path) {
    cleanup_text struct text page = {0};
    report_html(report, &page);
    int error = write_all(fd, text_span(&page));
    if (error < 0)
        return cli_fail(EXIT_FAILED, "%s: %s", path, strerror(-error));
    return EXIT_FINE;
}

/* Tells the owner through hauberkd what he was not told yet. */
static int mail_news(const struct cli *cli, const struct report *report, struct book *book) {
    struct audit_news news;
    struct why why = {0};
    if (!book_has_news(book, report->judgement))
        return EXIT_FINE;
    report_news(report, &news);
    js *args = js_object();
    js_set_string(args, "audit", news.sentence);
    js_set_text(args, "body", text_span(&news.body));
    text_free(&news.body);
    int exit_code = cli_ask(cli, "notify", args, NULL, NULL);
    if (exit_code == -ENOENT)
        return cli_no_daemon(cli);
    if (exit_code != EXIT_FINE)
        return exit_code;
    book_tell(book, report->judgement);
    return book_save(book, &why) < 0 ? cli_fail_why(EXIT_FAILED, &why) : EXIT_FINE;
}

static int show(const struct cli *cli, const struct wishes *wishes, const struct report *report) {
    cleanup_text struct text text = {0};
    if (cli->wants_json) {
        cleanup_js js *all = report_json(report);
        cli_print_json(all);
    } else if (wishes->shows_changes) {
        report_changes(report, &text);
    } else {
        report_text(report, wishes->shows_all, &text);
    }
    return print(&text);
}

/* What only hauberkd can say: who logs in, and how. */
static void ask_usage(const struct cli *cli, struct readings *readings, int64_t now_us) {
    struct why why = {0};
    cleanup_js js *rows = cli_logins(cli, &why);
    if (!rows) {
        usage_fail(readings, why.text);
        return;
    }
    size_t count = js_count(rows);
    struct usage_login *logins = calloc(count + 1, sizeof(*logins));
    must(logins);
    for (size_t i = 0; i < count; i++) {
        const js *row = js_at(rows, i);
        logins[i] = (struct usage_login){.account = js_string(row, "account", ""),
                                         .service = js_string(row, "service", ""),
                                         .first_us = cli_time(row, "first"),
                                         .last_us = cli_time(row, "last"),
                                         .clear_us = cli_time(row, "last_in_clear"),
                                         .logins = js_number(row, "logins", 0),
                                         .clear = js_number(row, "in_clear", -1)};
    }
    usage_add(readings, logins, count, now_us);
    free(logins);
}

/* With the book, which is NULL when there can be none. */
static int audit(const struct cli *cli, const struct rules *rules, const struct wishes *wishes,
                 struct book *book, int page_fd, struct collecting *collecting) {
    char host[256] = "this host";
    struct why why = {0};
    struct judgement judgement;
    int exit_code = EXIT_FINE;
    (void)gethostname(host, sizeof(host) - 1);
    struct readings *readings = readings_new();
    struct report report = {&judgement, book, host, clock_now_us()};
    collect_finish(collecting, readings);
    ask_usage(cli, readings, report.now_us);
    if (wishes->accepts_state && baseline_accept(book, readings, report.now_us, &why) < 0)
        exit_code = cli_fail_why(EXIT_FAILED, &why);
    if (book && !wishes->service)
        baseline_compare(book, readings);
    if (book && pace_take(book, readings, report.now_us, &why) < 0)
        exit_code = cli_fail_why(EXIT_FAILED, &why);
    audit_judge(rules, readings, wishes->service, &judgement);
    book_mark(book, &judgement, report.now_us);
    if (wishes->shows_readings) {
        cleanup_text struct text text = {0};
        readings_write(readings, &text);
        exit_code = print(&text) != EXIT_FINE ? EXIT_FAILED : exit_code;
    } else {
        exit_code = show(cli, wishes, &report) != EXIT_FINE ? EXIT_FAILED : exit_code;
        for (int i = SEVERITY_LOW; i < SEVERITIES; i++)
            if (exit_code == EXIT_FINE && report_count(&report, (enum severity)i))
                exit_code = EXIT_LOOK;
    }
    if (page_fd >= 0 && write_page(&report, page_fd, wishes->html) != EXIT_FINE)
        exit_code = EXIT_FAILED;
    if (wishes->is_mailed && mail_news(cli, &report, book) != EXIT_FINE)
        exit_code = EXIT_FAILED;
    if (book && !wishes->service) {
        book_take(book, &judgement, report.now_us);
        if (book_save(book, &why) < 0)
            exit_code = cli_fail_why(EXIT_FAILED, &why);
    }
    judgement_free(&judgement);
    readings_free(readings);
    return exit_code;
}

static struct collecting *look(const struct cli *cli, const struct rules *rules,
                               const struct wishes *wishes) {
    struct config *config = cli_read_config(cli); /* told when it is wrong; the audit goes on */
    const char *domains = config && config->domains ? config->domains : "";
    struct collecting *collecting =
        collect_begin(cli->installed.libexec, rules, wishes->service, domains);
    config_free(config);
    return collecting;
}

static int prepare_and_audit(const struct cli *cli, const struct rules *rules,
                             const struct wishes *wishes) {
    struct why why = {0};
    struct book *book = NULL;
    bool needs_book = wishes->shows_changes || wishes->is_mailed || wishes->accepts_state;
    if (book_open(cli->state_folder, &book, &why) < 0 && needs_book)
        return cli_fail_why(EXIT_FAILED, &why);
    cleanup_close int page_fd = open_page(wishes);
    int exit_code;
    if (page_fd < -1) {
        exit_code = cli_fail(EXIT_FAILED, "%s: %s", wishes->html, strerror(-page_fd - 1));
    } else {
        struct collecting *collecting = look(cli, rules, wishes);
        if (sandbox_read_only(book ? book_folder(book) : NULL, &why) < 0)
            exit_code = cli_fail_why(EXIT_FAILED, &why);
        else
            exit_code = audit(cli, rules, wishes, book, page_fd, collecting);
    }
    book_close(book);
    return exit_code;
}

static bool has_service(const struct rules *rules, const char *service) {
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->at[i].service, service) == 0)
            return true;
    return false;
}

static int check(const struct cli *cli, const struct rules *rules, const struct wishes *wishes) {
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "audit does not take '%s'; see hauberk audit --help",
                        cli->arguments[0]);
    if (wishes->service && !has_service(rules, wishes->service))
        return cli_fail(EXIT_USAGE, "no rule is about a service '%s'; hauberk audit --rules",
                        wishes->service);
    if (wishes->service && (wishes->shows_changes || wishes->is_mailed || wishes->accepts_state))
        return cli_fail(EXIT_USAGE, "--since-last, --mail and --accept are about all services");
    return EXIT_FINE;
}

static int run(struct cli *cli, const struct rules *rules) {
    struct wishes wishes = {0};
    (void)cli_take_option(cli, "--service", &wishes.service);
    (void)cli_take_option(cli, "--html", &wishes.html);
    (void)cli_take_option(cli, "--explain", &wishes.explain);
    (void)cli_take_option(cli, "--except", &wishes.accept);
    (void)cli_take_option(cli, "--why", &wishes.accept_why);
    (void)cli_take_option(cli, "--withdraw", &wishes.withdraw);
    wishes.shows_rules = cli_take_flag(cli, "--rules");
    wishes.shows_all = cli_take_flag(cli, "--all");
    wishes.shows_readings = cli_take_flag(cli, "--readings");
    wishes.shows_changes = cli_take_flag(cli, "--since-last");
    wishes.is_mailed = cli_take_flag(cli, "--mail");
    wishes.accepts_state = cli_take_flag(cli, "--accept");
    int exit_code = check(cli, rules, &wishes);
    if (exit_code != EXIT_FINE)
        return exit_code;
    if (wishes.shows_rules)
        return list_rules(rules);
    if (wishes.explain)
        return explain(rules, wishes.explain);
    if (wishes.accept || wishes.withdraw)
        return change_acceptance(cli, rules, &wishes);
    return prepare_and_audit(cli, rules, &wishes);
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
