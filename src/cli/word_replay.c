/* hauberk replay: the same match and the same decider on old logs, on the log's own clock.
 *
 * The journal is a family per match that jails name, read by these jails only; every other family
 * is read by all jails. Files of one rotation family (mail.log.2.gz, mail.log.1, mail.log) are read
 * one after the other, oldest first; families are merged by the time of their events. `now` is the
 * largest event time so far. Nothing is enforced and nothing written. Memory does not grow with the
 * log: each family holds the events of one block, and the decider is bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#include "bans/decider.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/cli.h"
#include "cli/replayed.h"
#include "match/match.h"
#include "sandbox/sandbox.h"
#include "sources/past.h"
#include "sources/stream.h"
#include "supervise/supervise.h"

enum { BLOCK_BYTES = 256 << 10, FAMILIES_MAX = 32, FILES_MAX = 512 };
#define SWEEP_EVERY_LOG_US (10 * MINUTE_US) /* what has run out counts no more, swept or not */

struct log {
    const char *path;
    struct span family; /* the path without its rotation suffix */
    int64_t rank;       /* larger is newer */
    struct stream *stream;
};

struct family {
    struct log *logs[FILES_MAX];
    uint32_t count, at;
    uint64_t offset, ordinal;
    struct past *journal; /* instead of logs */
    uint64_t jails;       /* bit j: jail j reads it */
    struct match *match;
    struct wire_event *events;
    uint32_t event_count, event_room, next;
    bool is_over;
};

struct replay {
    struct decider *decider;
    struct family families[FAMILIES_MAX];
    uint32_t family_count;
    int64_t now_us, swept_us;
    struct replayed found;
    size_t ban_room, suspicion_room;
    int64_t real_now_us;
};

/* ---- files and families ---- */

static bool cut_ending(struct span *path, const char *ending) {
    size_t length = strlen(ending);
    if (path->length <= length || memcmp(path->at + path->length - length, ending, length) != 0)
        return false;
    path->length -= length;
    return true;
}

static bool is_compressed(struct span path) {
    return cut_ending(&path, ".gz") || cut_ending(&path, ".xz") || cut_ending(&path, ".zst") ||
           cut_ending(&path, ".bz2");
}

/* "mail.log.2.gz" → "mail.log", rank -2; "mail.log-20261120" → rank 20261120; "mail.log" newest. */
static void find_family(struct log *log) {
    struct span path = span_of(log->path);
    (void)(cut_ending(&path, ".gz") || cut_ending(&path, ".xz") || cut_ending(&path, ".zst") ||
           cut_ending(&path, ".bz2"));
    log->family = path;
    log->rank = INT64_MAX;
    size_t digits = 0;
    while (digits < path.length && isdigit((unsigned char)path.at[path.length - 1 - digits]))
        digits++;
    if (digits == 0 || digits + 1 >= path.length || digits > 15)
        return;
    char separator = path.at[path.length - 1 - digits];
    int64_t number = 0;
    if ((separator != '.' && separator != '-') ||
        span_to_integer(span_skip(path, path.length - digits), 0, INT64_MAX, &number) < 0)
        return;
    log->family.length -= digits + 1;
    log->rank = separator == '.' ? -number : number;
}

static int by_family_then_age(const void *a, const void *b) {
    const struct log *one = a;
    const struct log *other = b;
    size_t shorter = one->family.length < other->family.length ? one->family.length
                                                               : other->family.length;
    int order = memcmp(one->family.at, other->family.at, shorter);
    if (order != 0)
        return order;
    if (one->family.length != other->family.length)
        return one->family.length < other->family.length ? -1 : 1;
    return one->rank < other->rank ? -1 : one->rank > other->rank;
}

static int open_logs(struct log *logs, int count) {
    for (int i = 0; i < count; i++) {
        int fd = open(logs[i].path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return cli_fail(EXIT_FAILED, "%s cannot be read: %s", logs[i].path, strerror(errno));
        int error = stream_open(fd, is_compressed(span_of(logs[i].path)), &logs[i].stream);
        if (error < 0)
            return cli_fail(EXIT_FAILED, "%s cannot be read: %s", logs[i].path,
                            strerror(-error));
    }
    return EXIT_FINE;
}

static int make_families(struct replay *replay, struct log *logs, int count,
                         struct filter_rules *const *rules, const uint16_t *numbers,
                         uint32_t rule_count) {
    struct why why = {0};
    qsort(logs, (size_t)count, sizeof(*logs), by_family_then_age);
    for (int i = 0; i < count; i++) {
        bool is_new = i == 0 || !span_equals(logs[i].family, logs[i - 1].family);
        if (is_new && replay->family_count == FAMILIES_MAX)
            return cli_fail(EXIT_USAGE, "at most %d different logs at once", FAMILIES_MAX);
        if (is_new)
            replay->family_count++;
        struct family *family = &replay->families[replay->family_count - 1];
        if (is_new && !(family->match = match_new(rules, numbers, rule_count, false, &why)))
            return cli_fail_why(EXIT_FAILED, &why);
        family->jails = UINT64_MAX;
        family->logs[family->count++] = &logs[i];
    }
    return EXIT_FINE;
}

/* ---- the journal ---- */

static int open_row(const struct wire_sibling *files, uint32_t count, struct row *row) {
    for (uint32_t i = 0; i < count; i++) {
        char path[257];
        snprintf(path, sizeof(path), "%.*s", SPAN_FORMAT(wire_bytes(files[i].path)));
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
        if (fd < 0 && errno != ENOENT)
            return cli_fail(EXIT_FAILED, "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0)
            row->fds[row->count++] = fd;
    }
    return EXIT_FINE;
}

static struct family *family_of_match(struct replay *replay, const struct config *config,
                                      uint32_t jail) {
    for (uint32_t i = 0; i < replay->family_count; i++)
        for (uint32_t j = 0; j < jail; j++)
            if (replay->families[i].journal && (replay->families[i].jails >> j & 1) &&
                strcmp(config->jails[j].journal, config->jails[jail].journal) == 0)
                return &replay->families[i];
    return NULL;
}

/* A family for each match, all over the same files. Opened with all rights, read without. */
static int open_journal(struct replay *replay, const struct config *config, const char *folder,
                        int64_t since_us) {
    static struct wire_sibling files[SIBLINGS_MAX];
    uint32_t count = journal_list(folder, files);
    row_prepare();
    if (count == 0)
        return cli_fail(EXIT_FAILED, "there is no journal in %s",
                        folder ? folder : "/var/log/journal or /run/log/journal");
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct config_jail *jail = &config->jails[j];
        if (!jail->is_enabled || !jail->journal)
            continue;
        struct family *family = family_of_match(replay, config, j);
        if (!family && replay->family_count == FAMILIES_MAX)
            return cli_fail(EXIT_USAGE, "at most %d different logs at once", FAMILIES_MAX);
        if (!family) {
            struct row row = {0};
            family = &replay->families[replay->family_count++];
            if (open_row(files, count, &row) != EXIT_FINE)
                return EXIT_FAILED;
            int error = past_open(&row, jail->journal, since_us, &family->journal);
            if (error < 0)
                return cli_fail(EXIT_FAILED, "the journal cannot be read: %s", strerror(-error));
        }
        family->jails |= UINT64_C(1) << j;
    }
    return EXIT_FINE;
}

/* The rules of the filters of the jails that read it. */
static int make_journal_matches(struct replay *replay, const struct config *config,
                                struct filter_rules *const *rules) {
    struct why why = {0};
    for (uint32_t i = 0; i < replay->family_count; i++) {
        struct family *family = &replay->families[i];
        struct filter_rules *wanted[MATCH_FILTERS_MAX];
        uint16_t numbers[MATCH_FILTERS_MAX];
        uint32_t count = 0;
        for (uint32_t f = 0; f < config->filter_count && family->journal; f++) {
            bool is_wanted = false;
            for (uint32_t j = 0; j < config->jail_count; j++)
                is_wanted = is_wanted || ((family->jails >> j & 1) && config->jails[j].filter == f);
            if (is_wanted) {
                wanted[count] = rules[f];
                numbers[count++] = (uint16_t)f;
            }
        }
        if (family->journal && !(family->match = match_new(wanted, numbers, count, false, &why)))
            return cli_fail_why(EXIT_FAILED, &why);
    }
    return EXIT_FINE;
}

/* ---- reading ---- */

static void take_event(void *context, const struct wire_event *event) {
    struct family *family = context;
    if (family->event_count == family->event_room) {
        family->event_room = family->event_room ? family->event_room * 2 : 256;
        family->events = realloc(family->events, family->event_room * sizeof(*family->events));
        must(family->events);
    }
    family->events[family->event_count++] = *event;
}

static int read_journal_block(struct replay *replay, struct family *family) {
    static char buffer[BLOCK_BYTES];
    ssize_t got = past_read(family->journal, buffer, sizeof(buffer));
    if (got < 0)
        return cli_fail(EXIT_FAILED, "the journal cannot be read any further: %s",
                        strerror((int)-got));
    family->event_count = family->next = 0;
    family->is_over = got == 0;
    if (got > 0)
        match_feed(family->match, (struct span){buffer, (size_t)got}, family->ordinal,
                   replay->real_now_us, take_event, family);
    family->ordinal += (uint64_t)got;
    replay->found.bytes += (uint64_t)got;
    return EXIT_FINE;
}

/* One block of whole lines into events. A last line without its newline gets one. */
static int read_block(struct replay *replay, struct family *family) {
    static char buffer[BLOCK_BYTES + 1];
    struct log *log = family->logs[family->at];
    ssize_t got = stream_read(log->stream, family->offset, buffer, BLOCK_BYTES);
    if (got < 0)
        return cli_fail(EXIT_FAILED, "%s cannot be read any further: %s", log->path,
                        strerror((int)-got));
    family->event_count = family->next = 0;
    if (got == 0) {
        family->at++;
        family->offset = 0;
        family->is_over = family->at == family->count;
        return EXIT_FINE;
    }
    struct span block = {buffer, (size_t)got};
    const char *last = memrchr(buffer, '\n', block.length);
    size_t used = last ? (size_t)(last - buffer) + 1 : block.length;
    block.length = used;
    if (!last && used < BLOCK_BYTES)
        buffer[block.length++] = '\n';
    if (last || used < BLOCK_BYTES)
        match_feed(family->match, block, family->ordinal, replay->real_now_us, take_event, family);
    family->offset += used;
    family->ordinal += used;
    replay->found.bytes += used;
    return EXIT_FINE;
}

static int fill(struct replay *replay, struct family *family) {
    while (!family->is_over && family->next == family->event_count)
        if ((family->journal ? read_journal_block : read_block)(replay, family) != EXIT_FINE)
            return EXIT_FAILED;
    return EXIT_FINE;
}

static struct family *earliest(struct replay *replay) {
    struct family *best = NULL;
    for (uint32_t i = 0; i < replay->family_count; i++) {
        struct family *family = &replay->families[i];
        if (family->next < family->event_count &&
            (!best || family->events[family->next].at_us < best->events[best->next].at_us))
            best = family;
    }
    return best;
}

static int run(struct replay *replay) {
    for (uint32_t i = 0; i < replay->family_count; i++)
        if (fill(replay, &replay->families[i]) != EXIT_FINE)
            return EXIT_FAILED;
    for (struct family *family; (family = earliest(replay));) {
        const struct wire_event *event = &family->events[family->next++];
        if (event->at_us > replay->now_us)
            replay->now_us = event->at_us;
        if (replay->found.first_us == 0 || event->at_us < replay->found.first_us)
            replay->found.first_us = event->at_us;
        if (replay->now_us - replay->swept_us > SWEEP_EVERY_LOG_US) {
            decider_sweep(replay->decider, replay->now_us);
            replay->swept_us = replay->now_us;
        }
        if (event->kind == EVENT_FAILURE)
            replay->found.failures++;
        else if (event->kind == EVENT_SUCCESS)
            replay->found.successes++;
        decider_event(replay->decider, (uint16_t)(family - replay->families), event, false,
                      replay->now_us);
        if (fill(replay, family) != EXIT_FINE)
            return EXIT_FAILED;
    }
    return EXIT_FINE;
}

/* ---- bans and their collateral ---- */

static void note_ban(void *context, const struct decision *decision) {
    struct replay *replay = context;
    struct replayed *found = &replay->found;
    struct known_entry known;
    if (found->ban_count == replay->ban_room) {
        replay->ban_room = replay->ban_room ? replay->ban_room * 2 : 64;
        found->bans = realloc(found->bans, replay->ban_room * sizeof(*found->bans));
        must(found->bans);
    }
    struct replayed_ban *ban = &found->bans[found->ban_count++];
    *ban = (struct replayed_ban){.id = decision->ban->key.id,
                                 .jail = decision->ban->key.jail,
                                 .failures = decision->ban->failures,
                                 .at_us = decision->ban->since_us,
                                 .until_us = decision->ban->until_us};
    memcpy(ban->reason, decision->ban->reason, sizeof(ban->reason));
    /* Successes before its first failure: one's own users, hit. */
    if (known_has_prefix(replay->decider->known, &ban->id, replay->now_us, &known) &&
        known.first_us < decision->first_us)
        ban->collateral = known.successes;
}

static void note_suspicion(void *context, const struct suspicion *suspicion) {
    struct replay *replay = context;
    struct replayed *found = &replay->found;
    if (found->suspicion_count == replay->suspicion_room) {
        replay->suspicion_room = replay->suspicion_room ? replay->suspicion_room * 2 : 16;
        found->suspicions =
            realloc(found->suspicions, replay->suspicion_room * sizeof(*found->suspicions));
        must(found->suspicions);
    }
    struct replayed_suspicion *one = &found->suspicions[found->suspicion_count++];
    *one = (struct replayed_suspicion){.address = suspicion->event->address,
                                       .jail = suspicion->jail,
                                       .failures = suspicion->failures,
                                       .is_banned = suspicion->is_banned,
                                       .at_us = suspicion->at_us};
    safe_copy(one->account, sizeof(one->account), wire_bytes(suspicion->event->account));
}

/* Those after it are the intruder's, and known when all is read. */
static void find_suspicious(struct replay *replay) {
    struct known_entry known;
    for (size_t i = 0; i < replay->found.ban_count; i++) {
        struct replayed_ban *ban = &replay->found.bans[i];
        if (known_has_prefix(replay->decider->known, &ban->id, replay->now_us, &known) &&
            known.successes > ban->collateral)
            ban->suspicious = known.successes - ban->collateral;
    }
}

static void sum_up(struct replay *replay, uint32_t logs, double seconds) {
    struct replayed *found = &replay->found;
    find_suspicious(replay);
    for (uint32_t i = 0; i < replay->family_count; i++)
        found->lines += match_counts(replay->families[i].match)->lines;
    found->decider = replay->decider;
    found->last_us = replay->now_us;
    found->logs = logs;
    found->seconds = seconds;
}

/* ---- the word ---- */

/* Today's own addresses are exempt, as they are for the live guard. */
static int add_own_as_of_now(struct replay *replay) {
    struct prefix own[256];
    uint32_t count = 0;
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0)
        return cli_fail(EXIT_FAILED, "own addresses cannot be read: %s", strerror(errno));
    for (const struct ifaddrs *one = all; one && count < ELEMENTS_OF(own); one = one->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        struct address address;
        socklen_t size = one->ifa_addr && one->ifa_addr->sa_family == AF_INET6
                             ? sizeof(struct sockaddr_in6)
                             : sizeof(struct sockaddr_in);
        bool is_internet = one->ifa_addr && (one->ifa_addr->sa_family == AF_INET ||
                                             one->ifa_addr->sa_family == AF_INET6);
        if (is_internet &&
            getnameinfo(one->ifa_addr, size, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0 &&
            address_parse(span_of(text), &address) >= 0)
            own[count++] = prefix_of(&address);
    }
    freeifaddrs(all);
    decider_set_own(replay->decider, own, count);
    return EXIT_FINE;
}

static int drop_rights(void) {
    struct why why = {0};
    struct sandbox_users users;
    if (geteuid() != 0)
        return EXIT_FINE;
    if (sandbox_find_users(64900, &users, &why) < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    struct sandbox_wish wish = {
        .role = SENSOR, .uid = users.uid[SENSOR], .gid = users.gid[SENSOR]};
    if (sandbox_enter(&wish, &why) < 0)
        return cli_fail_why(EXIT_FAILED, &why);
    return EXIT_FINE;
}

static int compile(const struct config *config, struct filter_rules **rules, uint16_t *numbers,
                   uint32_t *ret_count) {
    struct why why = {0};
    if (config->filter_count > MATCH_FILTERS_MAX)
        return cli_fail(EXIT_FAILED, "at most %d filters can be replayed at once",
                        MATCH_FILTERS_MAX);
    for (uint32_t i = 0; i < config->filter_count; i++) {
        rules[i] = filter_rules_new(&config->filters[i], &why);
        if (!rules[i])
            return cli_fail_why(EXIT_FAILED, &why);
        numbers[i] = (uint16_t)i;
    }
    *ret_count = config->filter_count;
    return EXIT_FINE;
}

int word_replay(struct cli *cli) {
    static struct replay replay;
    static struct log logs[FILES_MAX];
    static const struct decider_calls calls = {NULL, note_ban, note_suspicion};
    struct filter_rules *rules[MATCH_FILTERS_MAX];
    uint16_t numbers[MATCH_FILTERS_MAX];
    uint32_t rule_count = 0;
    int64_t started_us = clock_monotonic_us();
    bool as_of_now = cli_take_flag(cli, "--as-of-now");
    bool wants_bans = cli_take_flag(cli, "--bans");
    bool wants_journal = cli_take_flag(cli, "--journal");
    const char *folder = NULL;
    const char *since = NULL;
    int64_t since_seconds = 0;
    wants_journal = cli_take_option(cli, "--journal-folder", &folder) || wants_journal;
    if (cli_take_option(cli, "--since", &since) &&
        (duration_parse(span_of(since), &since_seconds) < 0 || since_seconds < 0))
        return cli_fail(EXIT_USAGE, "--since wants how long ago, such as 2d or 12h, not '%s'",
                        since);
    if (since && !wants_journal)
        return cli_fail(EXIT_USAGE, "--since goes with --journal; files are read whole");
    if (wants_journal ? cli->argument_count > 0
                      : cli->argument_count == 0 || cli->argument_count > FILES_MAX)
        return cli_fail(EXIT_USAGE, "replay wants one to %d files, or --journal", FILES_MAX);
    struct config *config = cli_read_config(cli);
    if (!config || compile(config, rules, numbers, &rule_count) != EXIT_FINE)
        return EXIT_FAILED;
    for (int i = 0; i < cli->argument_count; i++) {
        logs[i].path = cli->arguments[i];
        find_family(&logs[i]);
    }
    replay.real_now_us = clock_now_us();
    replay.decider = decider_new(config, &calls, &replay);
    decider_store_nothing(replay.decider);
    replay.decider->admins = admins_read(config);
    if (as_of_now && add_own_as_of_now(&replay) != EXIT_FINE)
        return EXIT_FAILED;
    int64_t since_us = since ? replay.real_now_us - since_seconds * SECOND_US : 0;
    if (wants_journal && open_journal(&replay, config, folder, since_us) != EXIT_FINE)
        return EXIT_FAILED;
    if (open_logs(logs, cli->argument_count) != EXIT_FINE || drop_rights() != EXIT_FINE ||
        make_families(&replay, logs, cli->argument_count, rules, numbers, rule_count) !=
            EXIT_FINE ||
        make_journal_matches(&replay, config, rules) != EXIT_FINE)
        return EXIT_FAILED;
    for (uint32_t i = 0; i < replay.family_count; i++)
        decider_name_source(replay.decider, (uint16_t)i, replay.families[i].jails);
    if (run(&replay) != EXIT_FINE)
        return EXIT_FAILED;
    sum_up(&replay, (uint32_t)cli->argument_count,
           (double)(clock_monotonic_us() - started_us) / 1e6);
    if (cli->wants_json)
        replayed_print_json(&replay.found);
    else
        replayed_print_page(&replay.found, wants_bans);
    fflush(stdout);
    return replayed_hits_own_users(&replay.found) ? EXIT_LOOK : EXIT_FINE;
}
