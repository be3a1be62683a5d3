/* hauberk why: one answer to "why is this address out", with its evidence and the way back in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/cli.h"
#include "cli/refusers.h"

enum { LINES_SHOWN = 10 };

struct answer {
    js *bans, *evidence, *history, *facts, *kernel;
    js *others; /* who else refuses the address; NULL: not looked */
};

static bool take_row(void *context, const js *row) {
    struct answer *answer = context;
    const struct {
        const char *kind;
        js *array;
    } arrays[] = {{"ban", answer->bans}, {"evidence", answer->evidence},
                  {"history", answer->history}};
    for (size_t i = 0; i < ELEMENTS_OF(arrays); i++)
        if (js_get(row, arrays[i].kind))
            js_append(arrays[i].array, js_copy(js_get(row, arrays[i].kind)));
    if (js_get(row, "facts"))
        answer->facts = js_copy(js_get(row, "facts"));
    if (js_get(row, "kernel"))
        answer->kernel = js_copy(js_get(row, "kernel"));
    return true;
}

static void print_ban(const char *subject, const js *ban, const struct answer *answer,
                      int64_t now_us) {
    char until[CLOCK_TEXT_MAX];
    char left[DURATION_TEXT_MAX];
    int64_t until_us = cli_time(ban, "until");
    bool is_enforced = js_flag(ban, "enforced", false);
    printf("%s may not reach %s ", subject, js_string(ban, "ports", "its ports"));
    if (until_us)
        printf("until %s (%s more).", clock_format_minute(until_us, now_us, until),
               duration_format((until_us - now_us) / SECOND_US, left));
    else
        printf("until somebody lifts the ban.");
    int64_t packets = js_number(answer->kernel, "packets", 0);
    const char *why_not = js_string(answer->facts, "why_not", NULL);
    if (is_enforced && js_flag(answer->kernel, "in_kernel", false))
        printf("  In the kernel: yes, %lld packet%s refused.\n", (long long)packets,
               packets == 1 ? "" : "s");
    else
        printf("  In the kernel: no%s%s.\n", why_not ? " - " : "", why_not ? why_not : "");
    printf("Why: %s.\n", js_string(ban, "reason", ""));
}

static const char *what_it_says(const js *evidence) {
    const char *verdict = js_string(evidence, "verdict", "");
    if (strcmp(verdict, "success") == 0)
        return "logged in";
    return js_flag(evidence, "unknown_account", false) ? "no such account" : "wrong password";
}

static const char *how_it_counted(const js *evidence) {
    static const struct {
        const char *verdict, *words;
    } notes[] = {{"joined", "  (the same attempt, told twice)"},
                 {"after_ban", "  (while banned)"},
                 {"exempt", "  (not counted: never banned)"},
                 {"folded", "  (part of the mistake above)"},
                 {"own", "  (has logged in from here: wider limit)"},
                 {"memory", "  (before hauberk first looked)"},
                 {"pardoned", "  (before it was let in again)"}};
    for (size_t i = 0; i < ELEMENTS_OF(notes); i++)
        if (strcmp(js_string(evidence, "verdict", ""), notes[i].verdict) == 0)
            return notes[i].words;
    return "";
}

static void print_evidence(const js *evidence, int64_t now_us, bool is_account) {
    char at[CLOCK_TEXT_MAX];
    const char *source = "";
    size_t count = js_count(evidence);
    size_t first = count > LINES_SHOWN ? count - LINES_SHOWN : 0;
    if (first)
        printf("  … %zu more before\n", first);
    for (size_t i = first; i < count; i++) {
        const js *one = js_at(evidence, i);
        const char *this_source = js_string(one, "source", "");
        const char *who = js_string(one, is_account ? "address" : "account", "");
        printf("  %s  %-17s  %-16s  %s%s\n",
               clock_format_local(js_number(one, "at_us", 0), now_us, at), who[0] ? who : "-",
               what_it_says(one), strcmp(source, this_source) == 0 ? "…" : this_source,
               how_it_counted(one));
        source = this_source;
    }
}

static const char *times_of(int64_t count, char into[32]) {
    snprintf(into, 32, count == 1 ? "once" : "%lld times", (long long)count);
    return into;
}

static void print_known(const js *facts, const js *bans, int64_t now_us) {
    int64_t returns = 0;
    char times[32];
    for (size_t i = 0; i < js_count(bans); i++)
        if (js_number(js_at(bans, i), "returns", 0) > returns)
            returns = js_number(js_at(bans, i), "returns", 0);
    if (js_flag(facts, "exempt", false))
        printf("Never banned: it is %s.\n", js_string(facts, "exempt_why", "exempt"));
    char last[CLOCK_TEXT_MAX];
    int64_t successes = js_number(facts, "successes", 0);
    if (js_flag(facts, "known", false))
        printf("Known here? Yes: %lld login%s succeeded from it, the last at %s.",
               (long long)successes, successes == 1 ? "" : "s",
               clock_format_local(cli_time(facts, "known_last"), now_us, last));
    else
        printf("Known here? No: no login from this address ever succeeded.");
    if (js_count(bans) == 0)
        printf("\n");
    else if (returns == 0)
        printf("   Returns: first ban.\n");
    else
        printf("   Returns: it came back %s; each ban is twice as long.\n",
               times_of(returns, times));
}

/* What was noted of it beside its bans, oldest first. */
static void print_notes(const js *history, int64_t now_us) {
    static const char *const kinds[] = {"spared", "trust", "untrust", "note"};
    size_t shown = 0;
    for (size_t i = js_count(history); i > 0; i--) {
        const js *one = js_at(history, i - 1);
        const char *kind = js_string(one, "kind", "");
        char at[CLOCK_TEXT_MAX];
        bool is_note = false;
        for (size_t k = 0; k < ELEMENTS_OF(kinds); k++)
            is_note = is_note || strcmp(kind, kinds[k]) == 0;
        if (is_note && shown++ < LINES_SHOWN)
            printf("  %s  %s%s\n", clock_format_local(cli_time(one, "at"), now_us, at),
                   strcmp(kind, "trust") == 0     ? "trusted: "
                   : strcmp(kind, "untrust") == 0 ? "no longer trusted: "
                                                  : "",
                   js_string(one, "text", ""));
    }
}

static void print_answer(const char *subject, const struct answer *answer) {
    int64_t now_us = clock_now_us();
    bool is_account = !answer->facts;
    for (size_t i = 0; i < js_count(answer->bans); i++)
        print_ban(subject, js_at(answer->bans, i), answer, now_us);
    if (!is_account && js_count(answer->bans) == 0)
        printf("%s is not banned.%s\n", subject,
               js_count(answer->evidence) ? "  What is known of it:" : "");
    else if (is_account)
        printf("%s\n", js_count(answer->evidence) ? "Tried from:" : "Nothing is known of it.");
    print_evidence(answer->evidence, now_us, is_account);
    if (js_string(answer->facts, "store_error", NULL))
        printf("(The database does not answer: lines are not shown.)\n");
    if (is_account)
        return;
    print_notes(answer->history, now_us);
    print_known(answer->facts, answer->bans, now_us);
    for (size_t i = 0; i < js_count(answer->others); i++)
        printf("%s%s\n", i ? "                 " : "Also refused by: ",
               js_at_string(answer->others, i, ""));
    if (js_count(answer->bans))
        printf("Let it in now:   hauberk unban %s\n", subject);
}

static void print_json(const char *subject, const struct answer *answer) {
    cleanup_js js *all = js_object();
    js_set_string(all, "subject", subject);
    js_set(all, "bans", js_copy(answer->bans));
    js_set(all, "evidence", js_copy(answer->evidence));
    js_set(all, "history", js_copy(answer->history));
    if (answer->facts)
        js_set(all, "facts", js_copy(answer->facts));
    if (answer->kernel)
        js_set(all, "kernel", js_copy(answer->kernel));
    if (answer->others)
        js_set(all, "also_refused_by", js_copy(answer->others));
    cli_print_json(all);
}

int word_why(struct cli *cli) {
    if (cli->argument_count != 1)
        return cli_fail(EXIT_USAGE, "why wants one address or account");
    const char *subject = cli->arguments[0];
    struct answer answer = {js_array(), js_array(), js_array(), NULL, NULL, NULL};
    struct prefix prefix;
    js *args = js_object();
    js_set_string(args, "subject", subject);
    int exit_code = cli_ask(cli, "why", args, take_row, &answer);
    if (exit_code == EXIT_FINE && geteuid() == 0 &&
        prefix_parse(span_of(subject), &prefix) >= 0 && prefix_is_host(&prefix))
        answer.others = refusers_of(&prefix.address);
    if (exit_code == EXIT_FINE && cli->wants_json)
        print_json(subject, &answer);
    else if (exit_code == EXIT_FINE)
        print_answer(subject, &answer);
    js_free(answer.bans);
    js_free(answer.evidence);
    js_free(answer.history);
    js_free(answer.facts);
    js_free(answer.kernel);
    js_free(answer.others);
    return exit_code == -ENOENT ? cli_no_daemon(cli) : exit_code;
}
