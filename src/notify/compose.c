/* The words: see compose.h. Whatever came from elsewhere goes in through text_add_safe().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify/compose.h"

#include <stdio.h>

#include "base/clock.h"

void story_free(struct story *story) {
    text_free(&story->body);
}

static void say(struct story *story, const char *line) {
    text_add_safe(&story->body, span_of(line));
    text_add_char(&story->body, '\n');
}

/* A command, set off, so that it can be copied. */
static void say_command(struct story *story, const char *command) {
    text_add_format(&story->body, "\n    %s\n", command);
}

static void begin(struct story *story, const char *subject, const char *sentence) {
    snprintf(story->subject, sizeof(story->subject), "%s", subject);
    safe_copy(story->sentence, sizeof(story->sentence), span_of(sentence));
    text_clear(&story->body);
    text_add_format(&story->body, "%s.\n\n", story->sentence);
}

static void say_command_for(struct story *story, const char *word, const struct prefix *id) {
    char address[PREFIX_TEXT_MAX];
    char command[PREFIX_TEXT_MAX + 48];
    snprintf(command, sizeof(command), "%s %s", word, prefix_format(id, address));
    say_command(story, command);
}

void compose_suspicious(struct story *story, const struct prefix *id, const char *account,
                        uint32_t failures, bool is_banned) {
    char address[PREFIX_TEXT_MAX];
    char subject[120];
    char name[200];
    char sentence[400];
    prefix_format(id, address);
    safe_copy(name, sizeof(name), span_of(account[0] ? account : "somebody"));
    snprintf(subject, sizeof(subject), "suspicious login from %s", address);
    if (is_banned)
        snprintf(sentence, sizeof(sentence), "%s logged in from %s, which is banned", name,
                 address);
    else
        snprintf(sentence, sizeof(sentence),
                 "%s logged in from %s, after %u failures from there within a day", name, address,
                 failures);
    begin(story, subject, sentence);
    say(story, "The password was right, so hauberk did nothing about it. If this was not the "
               "account's owner, change its password now.");
    say(story, "The lines that tell of it:");
    say_command_for(story, "hauberk why", id);
}

void compose_own_banned(struct story *story, const struct prefix *id, const char *reason,
                        int64_t until_us, int64_t now_us) {
    char address[PREFIX_TEXT_MAX];
    char until[CLOCK_TEXT_MAX];
    char subject[120];
    char sentence[400];
    char more[200];
    prefix_format(id, address);
    snprintf(subject, sizeof(subject), "%s is banned, from where users log in", address);
    snprintf(sentence, sizeof(sentence),
             "%s, from where somebody has logged in within 30 days, is banned", address);
    begin(story, subject, sentence);
    text_add_string(&story->body, "Why: ");
    say(story, reason);
    if (until_us > 0)
        snprintf(more, sizeof(more), "The ban ends at %s.",
                 clock_format_minute(until_us, now_us, until));
    else
        snprintf(more, sizeof(more), "The ban ends when somebody lifts it.");
    say(story, more);
    say(story, "Connections that are open go on; new ones are refused. If it was a mistake:");
    say_command_for(story, "hauberk unban --false-positive", id);
}

void compose_not_in_force(struct story *story, const char *why) {
    char sentence[400];
    snprintf(sentence, sizeof(sentence), "Bans are not in force for more than a minute: %s", why);
    begin(story, "bans are not in force", sentence);
    say(story,
        "hauberk goes on reading and deciding, and enforces what it decided as soon as it can.");
    say(story, "How it stands now:");
    say_command(story, "hauberk status");
}

void compose_blind(struct story *story, const char *jail, const char *why) {
    char subject[120];
    char sentence[400];
    snprintf(subject, sizeof(subject), "jail %.40s may be blind", jail);
    snprintf(sentence, sizeof(sentence), "Jail %s may be blind: %s", jail, why);
    begin(story, subject, sentence);
    say(story, "Nobody is banned by it until that is mended. An upgrade may have changed the lines "
               "of its service, or its log is another one.");
    say(story, "What the jail reads, and with which filter:");
    say_command(story, "hauberk status; hauberk config");
}

void compose_lost(struct story *story, const char *log, uint64_t bytes) {
    char sentence[400];
    snprintf(sentence, sizeof(sentence), "%llu bytes of %.200s were gone before they were read",
             (unsigned long long)bytes, log);
    begin(story, "log lines were lost", sentence);
    say(story, "What they said was not counted. Another program cut or removed the log; a rotation "
               "that keeps the old file beside it, as Debian's does, loses nothing.");
    say(story, "What was lost of each log:");
    say_command(story, "hauberk status");
}

void compose_configuration(struct story *story, const char *fault) {
    begin(story, "the configuration on disk is wrong",
          "The configuration on disk is wrong, and an earlier one is in force");
    say(story, fault);
    say(story, "What is good there will be in force when this is mended and read again:");
    say_command(story, "hauberk reload");
}

void compose_deaths(struct story *story, const char *how) {
    begin(story, "its processes end again and again",
          "Processes of hauberk end again and again: seven times within an hour");
    say(story, how);
    say(story, "The bans that were in force stay until their time is over; what is logged now is "
               "read when this ends. They are started again within five seconds. The log "
               "says more:");
    say_command(story, "journalctl -u hauberk -n 100");
}

void compose_test(struct story *story) {
    begin(story, "a test", "This is what was asked for by `hauberk notify --test`");
    say(story, "Nothing has happened. What was told lately:");
    say_command(story, "hauberk notify");
}

void compose_audit(struct story *story, const char *sentence, const char *body) {
    snprintf(story->subject, sizeof(story->subject), "the audit has something new");
    safe_copy(story->sentence, sizeof(story->sentence), span_of(sentence));
    for (struct span rest = span_of(body); rest.length > 0;) {
        text_add_visible(&story->body, span_cut(&rest, '\n')); /* made safe by the probes */
        text_add_char(&story->body, '\n');
    }
}

/* ---- the summary ---- */

/* Lines are counted: there are at most SUMMARY_LINES_MOST, the first and the last among them. */
struct writing {
    struct story *story;
    struct text line;
    unsigned lines;
};

static void end_line(struct writing *writing) {
    say(writing->story, writing->line.at ? writing->line.at : "");
    writing->lines++;
    text_clear(&writing->line);
}

static void add_counts(struct writing *writing, const struct day_count *counts, uint32_t count,
                       const char *unit) {
    for (uint32_t i = 0; i < count; i++)
        text_add_format(&writing->line, "%s%s %llu%s", i ? ", " : "", counts[i].name,
                        (unsigned long long)counts[i].count, unit);
}

static void say_counts(struct writing *writing, const char *title, const struct day_count *counts,
                       uint32_t count, const char *unit) {
    if (count == 0)
        return;
    text_add_string(&writing->line, title);
    add_counts(writing, counts, count, unit);
    end_line(writing);
}

static void say_list(struct writing *writing, const char *title, const char *list) {
    if (list[0] == '\0')
        return;
    text_add_format(&writing->line, "%s%s", title, list);
    end_line(writing);
}

static void say_untold(struct writing *writing, const struct day *day) {
    if (day->untold_in_all == 0)
        return;
    text_add_string(&writing->line, "Not told before:");
    end_line(writing);
    for (uint32_t i = 0; i < day->untold_count; i++) {
        text_add_format(&writing->line, "  %s", day->untold[i]);
        end_line(writing);
    }
    if (day->untold_in_all > day->untold_count) {
        text_add_format(&writing->line, "  and %u more: hauberk notify",
                        day->untold_in_all - day->untold_count);
        end_line(writing);
    }
}

bool compose_summary(struct story *story, const struct day *day) {
    char since[CLOCK_TEXT_MAX];
    struct writing writing = {.story = story};
    if (!day->bans_in_all && !day->spared_count && !day->losses && !day->blind[0] &&
        !day->store_error[0] && !day->untold_in_all)
        return false;
    text_clear(&story->body);
    snprintf(story->subject, sizeof(story->subject), "%llu bans%s",
             (unsigned long long)day->bans_in_all,
             day->blind[0] || day->losses || day->store_error[0] || day->untold_in_all
                 ? ", and something to look at"
                 : "");
    snprintf(story->sentence, sizeof(story->sentence), "Summary: %llu bans",
             (unsigned long long)day->bans_in_all);
    text_add_format(&writing.line, "Since %s:",
                    clock_format_minute(day->since_us, day->now_us, since));
    end_line(&writing);
    text_add_format(&writing.line, "Banned: %llu%s", (unsigned long long)day->bans_in_all,
                    day->ban_count ? " (" : "");
    add_counts(&writing, day->bans, day->ban_count, "");
    text_add_string(&writing.line, day->ban_count ? ")" : "");
    end_line(&writing);
    say_counts(&writing, "Most attacked of your accounts, by addresses: ", day->attacked,
               day->attacked_count, "");
    if (day->strangers) {
        text_add_format(&writing.line, "Tried unknown accounts: %llu addresses",
                        (unsigned long long)day->strangers);
        end_line(&writing);
    }
    say_counts(&writing, "Spared, though they failed: ", day->spared, day->spared_count, " times");
    say_list(&writing, "Waiting for their logs: ", day->waiting);
    say_list(&writing, "May be blind: ", day->blind);
    if (day->losses) {
        text_add_format(&writing.line, "Log lines were gone before they were read: %llu times",
                        (unsigned long long)day->losses);
        end_line(&writing);
    }
    say_list(&writing, "The state cannot be stored: ", day->store_error);
    say_untold(&writing, day);
    text_add_string(&writing.line, "More: hauberk status; hauberk bans");
    end_line(&writing);
    must(writing.lines <= SUMMARY_LINES_MOST);
    text_free(&writing.line);
    return true;
}
