/* Plays: text files beside this one, on a fake clock, against the real filters and the real
 * decider, with an enforcer that lives in memory. One TAP line for each NAME.play. A file named on
 * the command line is played alone.
 *
 *   set LINE                 a line of hauberk.conf; before everything else
 *   at YYYY-MM-DD HH:MM:SS   the clock (UTC)
 *   advance DURATION         … goes on; what is over ends
 *   log FILTER TEXT          a line written now: what follows the time and the host's name
 *   late DURATION FILTER TEXT  a line with the time of so long ago, read now
 *   early DURATION FILTER TEXT  a line whose time is yet to come
 *   memory FILTER TEXT       a line that stood in the log before hauberk first saw it
 *   failure FILTER ACCOUNT ADDRESS   a fact, without a line
 *   unknown FILTER ACCOUNT ADDRESS   a failure on an account that does not exist
 *   success FILTER ACCOUNT ADDRESS
 *   delivered FILTER ADDRESS         mail from there was delivered
 *   repeat N DURATION DEED   a deed so many times, so far apart; `#` in it is 1, 2, 3 …
 *   own ADDRESS              this machine's own address, as the enforcer tells it
 *   administrator ACCOUNT    of this machine
 *   trust PREFIX DURATION    by hand; `untrust PREFIX`
 *   ban PREFIX [DURATION]    by hand; `hand-cut PREFIX DURATION` with --cut
 *   unban PREFIX [JAIL]
 *   expect [no] ban PREFIX [JAIL [DURATION]]
 *   expect [no] kernel SCOPE PREFIX
 *   expect [no] cut          in the orders since the last expectation of it
 *   expect count JAIL ADDRESS NUMBER   failures counted so far
 *   expect evidence VERDICT NUMBER     lines kept with that verdict (counted, joined, …)
 *   expect reason TEXT       in the reason of the last ban
 *   expect bans NUMBER       made so far
 *   expect suspicions NUMBER logins told to the owner so far
 *   expect [no] spared [TEXT]  an exempt address reached a limit since the last expectation of it
 *   expect refused           the last order of a person
 *   expect lifted [NUMBER]   by the last unban; without a number: nothing is banned any more
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bans/decider.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/files.h"
#include "base/text.h"
#include "match/match.h"
#include "../readers.h"

enum { PLAYS_MAX = 200, ELEMENTS_MAX = 1000, FILTERS_MAX = 32 };
enum { AUTH_LOG, MAIL_LOG, LOGS };

static const char *const log_paths[LOGS] = {"/var/log/auth.log", "/var/log/mail.log"};
static const char *const verdicts[VERDICTS] = {"counted", "joined", "after-ban", "exempt",
                                               "memory", "pardoned", "success", "folded", "own"};

static struct play {
    const char *name;
    int line;
    bool has_failed;
    char settings[4096];
    char folder[64];
    struct config *config;
    struct filter_rules *rules[FILTERS_MAX];
    struct match *matches[LOGS];
    uint64_t ordinals[LOGS];
    struct decider *decider;
    int64_t now_us;
    bool is_memory;

    struct enforce_order elements[ELEMENTS_MAX]; /* the kernel's */
    uint32_t element_count;
    bool has_cut;
    uint32_t kept[VERDICTS];
    char reason[BAN_REASON_MAX];
    struct admins *admins;
    char spared[600]; /* what was told last */
    bool was_refused;
    uint32_t lifted, bans, suspicions;
} play;

static void fail(const char *format, ...) prints(1, 2);
static void fail(const char *format, ...) {
    va_list arguments;
    printf("# %s.play:%d: ", play.name, play.line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    play.has_failed = true;
}

/* ---- the enforcer ---- */

static bool is_over(int64_t until_us) {
    return until_us != UNTIL_PERMANENT && until_us <= play.now_us;
}

static struct enforce_order *element_of(uint16_t scope, const struct prefix *prefix) {
    for (uint32_t i = 0; i < play.element_count; i++)
        if (play.elements[i].scope == scope && prefix_equals(&play.elements[i].prefix, prefix))
            return &play.elements[i];
    return NULL;
}

static int carry_out(const struct enforce_order *order) {
    struct enforce_order *element = element_of(order->scope, &order->prefix);
    for (uint32_t i = 0; i < play.decider->own_count; i++)
        if (prefix_overlaps(&play.decider->own[i], &order->prefix)) {
            fail("an order against an own address");
            return EPERM;
        }
    if (order->is_drop) {
        if (element)
            *element = play.elements[--play.element_count];
        return 0;
    }
    if (!element && play.element_count < ELEMENTS_MAX)
        element = &play.elements[play.element_count++];
    must(element);
    *element = *order;
    play.has_cut = play.has_cut || order->cut;
    return 0;
}

static void pump(void) {
    struct enforce_order orders[64];
    for (uint32_t count; (count = projection_orders(play.decider->projection, play.now_us, orders,
                                                    ELEMENTS_OF(orders))) > 0;)
        for (uint32_t i = 0; i < count; i++)
            projection_receipt(play.decider->projection, orders[i].scope, &orders[i].prefix,
                               orders[i].is_drop, orders[i].until_us, carry_out(&orders[i]));
}

static void pass_time(int64_t to_us) {
    play.now_us = to_us;
    for (uint32_t i = 0; i < play.element_count;)
        if (is_over(play.elements[i].until_us))
            play.elements[i] = play.elements[--play.element_count];
        else
            i++;
    decider_sweep(play.decider, play.now_us);
    pump();
}

/* ---- the decider ---- */

static void keep_evidence(void *context, const struct evidence *evidence) {
    (void)context;
    play.kept[evidence->verdict]++;
}

static void note_ban(void *context, const struct decision *decision) {
    (void)context;
    memcpy(play.reason, decision->ban->reason, sizeof(play.reason));
    play.bans++;
}

static void note_suspicion(void *context, const struct suspicion *suspicion) {
    (void)context;
    (void)suspicion;
    play.suspicions++;
}

static void note_exempt(void *context, const struct exempt_case *one) {
    (void)context;
    snprintf(play.spared, sizeof(play.spared), "%s", one->text);
}

static bool begin(void) {
    static const struct decider_calls calls = {.on_evidence = keep_evidence,
                                               .on_ban = note_ban,
                                               .on_suspicion = note_suspicion,
                                               .on_exempt = note_exempt};
    char path[128];
    char text[900];
    struct why why = {0};
    memcpy(play.folder, "/tmp/hauberk-play-XXXXXX", sizeof("/tmp/hauberk-play-XXXXXX"));
    must(mkdtemp(play.folder));
    snprintf(path, sizeof(path), "%s/hauberk.conf", play.folder);
    must(file_append_durably(path, span_of(play.settings)) >= 0);
    int error = config_read(play.folder, SOURCE_ROOT, &play.config, &why);
    unlink(path);
    rmdir(play.folder);
    if (error < 0) {
        fail("%s", why_format(&why, text, sizeof(text)));
        return false;
    }
    play.decider = decider_new(play.config, &calls, NULL);
    play.admins = admins_new();
    play.decider->admins = play.admins;
    must(play.config->filter_count <= FILTERS_MAX);
    for (uint32_t i = 0; i < play.config->filter_count; i++) {
        play.rules[i] = filter_rules_new(&play.config->filters[i], &why);
        must(play.rules[i]);
    }
    for (uint16_t log = 0; log < LOGS; log++) {
        struct filter_rules *rules[FILTERS_MAX];
        uint16_t numbers[FILTERS_MAX];
        uint32_t count = 0;
        for (uint16_t i = 0; i < play.config->filter_count; i++)
            if ((strcmp(play.config->filters[i].name, "sshd") == 0) == (log == AUTH_LOG)) {
                rules[count] = play.rules[i];
                numbers[count++] = i;
            }
        play.matches[log] = match_new(rules, numbers, count, false, &why);
        must(play.matches[log]);
        decider_name_source(play.decider, log, jails_of_log(play.decider->config, log_paths[log]));
    }
    return true;
}

static void end(void) {
    for (int log = 0; log < LOGS; log++)
        match_free(play.matches[log]);
    for (int i = 0; i < FILTERS_MAX; i++)
        filter_rules_free(play.rules[i]);
    decider_free(play.decider);
    admins_free(play.admins);
    config_free(play.config);
}

static int filter_named(struct span name) {
    for (uint32_t i = 0; i < play.config->filter_count; i++)
        if (span_is(name, play.config->filters[i].name))
            return (int)i;
    fail("no filter %.*s", SPAN_FORMAT(name));
    return -1;
}

static uint16_t log_of(int filter) {
    return strcmp(play.config->filters[filter].name, "sshd") == 0 ? AUTH_LOG : MAIL_LOG;
}

struct heard {
    uint16_t log;
};

static void take_event(void *context, const struct wire_event *event) {
    const struct heard *heard = context;
    decider_event(play.decider, heard->log, event, play.is_memory, play.now_us);
}

static void say_log(struct span rest, int64_t at_us, bool is_memory) {
    struct span name = span_word(&rest);
    int filter = filter_named(name);
    char stamp[CLOCK_TEXT_MAX];
    cleanup_text struct text line = {0};
    if (filter < 0)
        return;
    struct heard heard = {log_of(filter)};
    text_add_format(&line, "%s mx %.*s\n", clock_format_utc(at_us, stamp),
                    SPAN_FORMAT(span_trim(rest)));
    play.is_memory = is_memory;
    match_feed(play.matches[heard.log], text_span(&line), play.ordinals[heard.log], play.now_us,
               take_event, &heard);
    play.ordinals[heard.log] += text_span(&line).length;
    pump();
}

static void say_fact(struct span rest, uint8_t kind, bool is_unknown) {
    int filter = filter_named(span_word(&rest));
    struct wire_event event = {.kind = kind, .has_address = 1, .at_us = play.now_us,
                               .no_such_account = is_unknown};
    struct span account = kind == EVENT_DELIVERED ? SPAN("") : span_word(&rest);
    if (filter < 0 || address_parse(span_trim(rest), &event.address) < 0) {
        fail("no address");
        return;
    }
    event.filter = (uint16_t)filter;
    event.line_end = ++play.ordinals[log_of(filter)];
    wire_set_bytes(event.account, account);
    decider_event(play.decider, log_of(filter), &event, false, play.now_us);
    pump();
}

/* ---- expectations ---- */

static bool read_prefix(struct span *rest, struct prefix *prefix) {
    struct span word = span_word(rest);
    if (prefix_parse(word, prefix) >= 0)
        return true;
    fail("%.*s is no address", SPAN_FORMAT(word));
    return false;
}

static void expect_ban(struct span rest, bool is_wanted) {
    struct prefix prefix;
    struct span jail_name;
    bool is_found = false;
    uint32_t place = 0;
    if (!read_prefix(&rest, &prefix))
        return;
    jail_name = span_word(&rest);
    struct span length_text = span_trim(rest);
    int64_t seconds = 0;
    if (length_text.length && duration_parse(length_text, &seconds) < 0)
        fail("%.*s is no duration", SPAN_FORMAT(length_text));
    for (const struct ban *ban; (ban = bans_next(play.decider->bans, &place));) {
        if (ban_is_over(ban, play.now_us) || !prefix_equals(&ban->key.id, &prefix) ||
            (jail_name.length &&
             !span_is(jail_name, decider_jail_name(play.decider, ban->key.jail))))
            continue;
        is_found = true;
        int64_t until_us = seconds < 0 ? UNTIL_PERMANENT : ban->since_us + seconds * SECOND_US;
        if (length_text.length && ban->until_us != until_us)
            fail("the ban lasts %lld s",
                 (long long)(ban->until_us < 0 ? -1 : (ban->until_us - ban->since_us) / SECOND_US));
    }
    if (is_found != is_wanted)
        fail(is_wanted ? "no such ban" : "is banned");
}

static void expect_kernel(struct span rest, bool is_wanted) {
    struct span name = span_word(&rest);
    struct prefix prefix;
    int scope = -1;
    for (uint16_t i = 0; i < play.config->scope_count; i++)
        if (span_is(name, play.config->scopes[i].name))
            scope = i;
    if (scope < 0)
        fail("no scope %.*s", SPAN_FORMAT(name));
    else if (read_prefix(&rest, &prefix) &&
             (element_of((uint16_t)scope, &prefix) != NULL) != is_wanted)
        fail(is_wanted ? "is not in the kernel" : "is in the kernel");
}

static void expect_count(struct span rest) {
    int jail = decider_find_jail(play.decider, span_word(&rest));
    struct address address;
    int64_t number = 0;
    if (jail < 0 || jail == JAIL_BY_HAND || address_parse(span_word(&rest), &address) < 0 ||
        span_to_integer(span_trim(rest), 0, 10000, &number) < 0) {
        fail("expect count JAIL ADDRESS NUMBER");
        return;
    }
    struct prefix id = decider_id(play.decider, &play.config->jails[jail], &address, play.now_us);
    struct ledger_key key = ledger_key_of((uint16_t)jail, &id);
    const struct counter *counter = ledger_find(play.decider->ledger, &key);
    if ((counter ? counter->failures : 0) != number)
        fail("%u are counted", counter ? counter->failures : 0);
}

static void expect_evidence(struct span rest) {
    struct span name = span_word(&rest);
    int64_t number = 0;
    for (int i = 0; i < VERDICTS; i++)
        if (span_is(name, verdicts[i])) {
            if (span_to_integer(span_trim(rest), 0, 10000, &number) < 0 ||
                play.kept[i] != number)
                fail("%u lines are %s", play.kept[i], verdicts[i]);
            return;
        }
    fail("no verdict %.*s", SPAN_FORMAT(name));
}

static void expect_number(struct span rest, uint32_t is, const char *what) {
    int64_t number = 0;
    if (span_to_integer(rest, 0, 1000000, &number) < 0 || is != number)
        fail("%u %s", is, what);
}

static void expect_lifted(struct span rest) {
    int64_t number = 0;
    uint32_t place = 0;
    if (rest.length) {
        if (span_to_integer(rest, 0, 10000, &number) < 0 || play.lifted != number)
            fail("%u were lifted", play.lifted);
        return;
    }
    for (const struct ban *ban; (ban = bans_next(play.decider->bans, &place));)
        if (!ban_is_over(ban, play.now_us))
            fail("there are bans");
    if (play.element_count)
        fail("the kernel holds something");
}

static void expect(struct span rest) {
    struct span what = span_word(&rest);
    bool is_wanted = !span_is(what, "no");
    if (!is_wanted)
        what = span_word(&rest);
    rest = span_trim(rest);
    if (span_is(what, "ban"))
        expect_ban(rest, is_wanted);
    else if (span_is(what, "kernel"))
        expect_kernel(rest, is_wanted);
    else if (span_is(what, "cut")) {
        if (play.has_cut != is_wanted)
            fail(is_wanted ? "nothing was cut" : "something was cut");
        play.has_cut = false;
    } else if (span_is(what, "count"))
        expect_count(rest);
    else if (span_is(what, "evidence"))
        expect_evidence(rest);
    else if (span_is(what, "bans"))
        expect_number(rest, play.bans, "bans were made");
    else if (span_is(what, "suspicions"))
        expect_number(rest, play.suspicions, "logins were suspicious");
    else if (span_is(what, "lifted"))
        expect_lifted(rest);
    else if (span_is(what, "spared")) {
        bool is_told = play.spared[0] && memmem(play.spared, strlen(play.spared),
                                                rest.at ? rest.at : "", rest.length);
        if (is_told != is_wanted)
            fail("told of the spared: %s", play.spared);
        play.spared[0] = '\0';
    } else if (span_is(what, "refused")) {
        if (play.was_refused != is_wanted)
            fail(is_wanted ? "it was not refused" : "it was refused");
    } else if (span_is(what, "reason")) {
        if (!memmem(play.reason, strlen(play.reason), rest.at, rest.length))
            fail("the reason is: %s", play.reason);
    } else
        fail("expect %.*s?", SPAN_FORMAT(what));
}

/* ---- deeds ---- */

static void set_clock(struct span rest) {
    int year, month, day, hour, minute, second;
    char text[32];
    snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(rest));
    if (sscanf(text, "%d-%d-%d %d:%d:%d", &year, &month, &day, &hour, &minute, &second) != 6) {
        fail("at YYYY-MM-DD HH:MM:SS");
        return;
    }
    pass_time(clock_days(year, month, day) * DAY_US + hour * HOUR_US + minute * MINUTE_US +
              second * SECOND_US);
}

static int64_t read_duration(struct span word) {
    int64_t seconds = 0;
    if (duration_parse(word, &seconds) < 0)
        fail("%.*s is no duration", SPAN_FORMAT(word));
    return seconds;
}

static void ban(struct span rest, bool cut) {
    struct prefix prefix;
    struct why why = {0};
    if (!read_prefix(&rest, &prefix))
        return;
    rest = span_trim(rest);
    int64_t seconds = rest.length ? read_duration(rest) : -1;
    play.was_refused = decider_ban_by_hand(play.decider, &prefix, seconds, SPAN("a play"), cut,
                                           play.now_us, &why) < 0;
    pump();
}

static void unban(struct span rest) {
    struct prefix prefix;
    if (!read_prefix(&rest, &prefix))
        return;
    rest = span_trim(rest);
    int jail = rest.length ? decider_find_jail(play.decider, rest) : -1;
    if (rest.length && jail < 0)
        fail("no jail %.*s", SPAN_FORMAT(rest));
    play.lifted = decider_unban(play.decider, &prefix, jail, play.now_us, play.now_us);
    pump();
}

static void trust(struct span rest) {
    struct prefix prefix;
    struct why why = {0};
    if (!read_prefix(&rest, &prefix))
        return;
    int64_t until_us = play.now_us + read_duration(span_trim(rest)) * SECOND_US;
    play.was_refused = decider_trust(play.decider, &prefix, until_us, SPAN("a play"), play.now_us,
                                     &why) < 0;
    play.lifted = decider_unban(play.decider, &prefix, -1, play.now_us, play.now_us);
    pump();
}

static void own(struct span rest) {
    struct prefix prefix;
    if (read_prefix(&rest, &prefix))
        decider_set_own(play.decider, &prefix, 1);
}

static void do_line(struct span line);

static void repeat(struct span rest) {
    int64_t times = 0;
    if (span_to_integer(span_word(&rest), 1, 100000, &times) < 0)
        fail("repeat N DURATION DEED");
    int64_t gap_us = read_duration(span_word(&rest)) * SECOND_US;
    for (int64_t i = 1; i <= times && !play.has_failed; i++) {
        cleanup_text struct text deed = {0};
        for (size_t at = 0; at < rest.length; at++)
            if (rest.at[at] == '#')
                text_add_format(&deed, "%lld", (long long)i);
            else
                text_add_char(&deed, rest.at[at]);
        do_line(span_trim(text_span(&deed)));
        pass_time(play.now_us + gap_us);
    }
}

static void do_line(struct span line) {
    struct span rest = line;
    struct span word = span_word(&rest);
    rest = span_trim(rest);
    if (span_is(word, "at"))
        set_clock(rest);
    else if (span_is(word, "advance"))
        pass_time(play.now_us + read_duration(rest) * SECOND_US);
    else if (span_is(word, "log"))
        say_log(rest, play.now_us, false);
    else if (span_is(word, "memory"))
        say_log(rest, play.now_us, true);
    else if (span_is(word, "late")) {
        int64_t ago_us = read_duration(span_word(&rest)) * SECOND_US;
        say_log(rest, play.now_us - ago_us, false);
    } else if (span_is(word, "early")) {
        int64_t ahead_us = read_duration(span_word(&rest)) * SECOND_US;
        say_log(rest, play.now_us + ahead_us, false);
    } else if (span_is(word, "failure"))
        say_fact(rest, EVENT_FAILURE, false);
    else if (span_is(word, "success"))
        say_fact(rest, EVENT_SUCCESS, false);
    else if (span_is(word, "unknown"))
        say_fact(rest, EVENT_FAILURE, true);
    else if (span_is(word, "delivered"))
        say_fact(rest, EVENT_DELIVERED, false);
    else if (span_is(word, "repeat"))
        repeat(rest);
    else if (span_is(word, "own"))
        own(rest);
    else if (span_is(word, "administrator")) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(rest));
        admins_add(play.admins, name, 0);
    } else if (span_is(word, "trust"))
        trust(rest);
    else if (span_is(word, "untrust")) {
        struct prefix prefix;
        if (read_prefix(&rest, &prefix) &&
            decider_untrust(play.decider, &prefix, play.now_us) == 0)
            fail("was not trusted");
    } else if (span_is(word, "ban"))
        ban(rest, false);
    else if (span_is(word, "hand-cut"))
        ban(rest, true);
    else if (span_is(word, "unban"))
        unban(rest);
    else if (span_is(word, "expect"))
        expect(rest);
    else
        fail("%.*s?", SPAN_FORMAT(word));
}

static void play_text(struct span text) {
    bool has_begun = false;
    uint32_t expectations = 0;
    while (text.at && !play.has_failed) {
        struct span line = span_trim(span_cut(&text, '\n'));
        play.line++;
        if (line.length == 0 || line.at[0] == '#')
            continue;
        if (span_starts_with(line, SPAN("set "))) {
            size_t used = strlen(play.settings);
            snprintf(play.settings + used, sizeof(play.settings) - used, "%.*s\n",
                     SPAN_FORMAT(span_skip(line, 4)));
            if (has_begun)
                fail("`set` comes first");
            continue;
        }
        if (!has_begun && !begin())
            return;
        has_begun = true;
        expectations += span_starts_with(line, SPAN("expect "));
        do_line(line);
    }
    if (has_begun)
        end();
    if (expectations == 0)
        fail("expects nothing");
}

static bool play_file(const char *path) {
    static char name[NAME_MAX + 1];
    cleanup_text struct text text = {0};
    const char *slash = strrchr(path, '/');
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(slash ? slash + 1 : path, "."),
             slash ? slash + 1 : path);
    memset(&play, 0, sizeof(play));
    play.name = name;
    if (file_read(path, 1 << 20, &text) < 0)
        fail("%s cannot be read", path);
    else
        play_text(text_span(&text));
    return !play.has_failed;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_play(const struct dirent *entry) {
    struct span name = span_of(entry->d_name);
    return name.length > 5 && span_is(span_skip(name, name.length - 5), ".play");
}

int main(int argc, char **argv) {
    struct dirent **entries = NULL;
    int failures = 0;
    setenv("TZ", "UTC", 1);
    hash_open();
    if (argc > 1)
        return play_file(argv[1]) ? 0 : 1;
    int count = scandir(SOURCE_ROOT "/tests/scenarios", &entries, is_play, by_name);
    must(count > 0);
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), SOURCE_ROOT "/tests/scenarios/%s", entries[i]->d_name);
        bool is_good = play_file(path);
        printf("%s %d - %s\n", is_good ? "ok" : "not ok", i + 1, play.name);
        failures += !is_good;
        free(entries[i]);
    }
    free(entries);
    return failures > 0;
}
