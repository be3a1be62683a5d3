/* hauberk replay: the same match and the same decider on old logs, on the log's own clock.
 *
 * Files of one rotation family (mail.log.2.gz, mail.log.1, mail.log) are read one after the other,
 * oldest first; families are merged by the time of their events. `now` is the largest event time so
 * far. Nothing is enforced and nothing written. Memory does not grow with the log: each family
 * holds the events of one block, and the decider is bounded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>

#include "bans/decider.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/cli.h"
#include "match/match.h"
#include "sandbox/sandbox.h"
#include "sources/stream.h"

enum { BLOCK_BYTES = 256 << 10, FAMILIES_MAX = 32, FILES_MAX = 512 };
#define SWEEP_EVERY_LOG_US (60 * SECOND_US)

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
    struct match *match;
    struct wire_event *events;
    uint32_t event_count, event_room, next;
    bool is_over;
};

struct replayed_ban {
    struct prefix id;
    uint16_t jail;
    uint32_t failures;
    int64_t at_us, until_us, first_us;
    uint32_t known_before; /* successes from there when it was banned */
    bool was_known_first;  /* before its first failure */
    char reason[BAN_REASON_MAX];
};

struct replay {
    struct decider *decider;
    struct family families[FAMILIES_MAX];
    uint32_t family_count;
    int64_t now_us, swept_us;
    uint64_t bytes, failures, successes;
    struct replayed_ban *bans;
    size_t ban_count, ban_room;
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
        family->logs[family->count++] = &logs[i];
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
    replay->bytes += used;
    return EXIT_FINE;
}

static int fill(struct replay *replay, struct family *family) {
    while (!family->is_over && family->next == family->event_count)
        if (read_block(replay, family) != EXIT_FINE)
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
        if (replay->now_us - replay->swept_us > SWEEP_EVERY_LOG_US) {
            decider_sweep(replay->decider, replay->now_us);
            replay->swept_us = replay->now_us;
        }
        if (event->kind == EVENT_FAILURE)
            replay->failures++;
        else if (event->kind == EVENT_SUCCESS)
            replay->successes++;
        decider_event(replay->decider, 0, event, false, replay->now_us);
        if (fill(replay, family) != EXIT_FINE)
            return EXIT_FAILED;
    }
    return EXIT_FINE;
}

/* ---- bans and their collateral ---- */

static void note_ban(void *context, const struct decision *decision) {
    struct replay *replay = context;
    struct known_entry known;
    if (replay->ban_count == replay->ban_room) {
        replay->ban_room = replay->ban_room ? replay->ban_room * 2 : 64;
        replay->bans = realloc(replay->bans, replay->ban_room * sizeof(*replay->bans));
        must(replay->bans);
    }
    struct replayed_ban *ban = &replay->bans[replay->ban_count++];
    *ban = (struct replayed_ban){.id = decision->ban->key.id,
                                 .jail = decision->ban->key.jail,
                                 .failures = decision->ban->failures,
                                 .at_us = decision->ban->since_us,
                                 .until_us = decision->ban->until_us,
                                 .first_us = decision->first_us};
    memcpy(ban->reason, decision->ban->reason, sizeof(ban->reason));
    if (known_has_prefix(replay->decider->known, &ban->id, replay->now_us, &known)) {
        ban->known_before = known.successes;
        ban->was_known_first = known.first_us < ban->first_us;
    }
}

/* Successes before its first failure are one's own users hit; those after it are the intruder's. */
static uint32_t collateral_of(const struct replayed_ban *ban) {
    return ban->was_known_first ? ban->known_before : 0;
}

static uint32_t suspicious_of(const struct replay *replay, const struct replayed_ban *ban) {
    struct known_entry known;
    if (!known_has_prefix(replay->decider->known, &ban->id, replay->now_us, &known))
        return 0;
    return known.successes - collateral_of(ban);
}

/* ---- telling ---- */

static uint64_t lines_of(const struct replay *replay) {
    uint64_t lines = 0;
    for (uint32_t i = 0; i < replay->family_count; i++)
        lines += match_counts(replay->families[i].match)->lines;
    return lines;
}

static double cpu_seconds(void) {
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Written piece by piece: as one JSON value in memory it would be larger than everything else. */
static void print_json(const struct replay *replay, double seconds) {
    const struct config *config = replay->decider->config;
    cleanup_text struct text text = {0};
    text_add_format(&text,
                    "{\n  \"lines\": %llu,\n  \"bytes\": %llu,\n"
                    "  \"events\": {\"failure\": %llu, \"success\": %llu},\n  \"jails\": {",
                    (unsigned long long)lines_of(replay), (unsigned long long)replay->bytes,
                    (unsigned long long)replay->failures, (unsigned long long)replay->successes);
    const char *comma = "";
    for (uint32_t j = 0; j < config->jail_count; j++) {
        if (!config->jails[j].is_enabled)
            continue;
        text_add_format(&text, "%s\n    ", comma);
        text_add_json(&text, span_of(config->jails[j].name));
        text_add_format(&text, ": {\"failures\": %llu, \"successes\": %llu, \"bans\": %llu}",
                        (unsigned long long)replay->decider->jail_counts[j].failures,
                        (unsigned long long)replay->decider->jail_counts[j].successes,
                        (unsigned long long)replay->decider->jail_counts[j].bans);
        comma = ",";
    }
    text_add_string(&text, "\n  },\n  \"bans\": [");
    for (size_t i = 0; i < replay->ban_count; i++) {
        const struct replayed_ban *ban = &replay->bans[i];
        char address[PREFIX_TEXT_MAX];
        char at[CLOCK_TEXT_MAX];
        char until[CLOCK_TEXT_MAX];
        text_add_format(&text, "%s\n    {\"address\": \"%s\", \"prefix\": %u, \"jail\": ",
                        i ? "," : "", address_format(&ban->id.address, address), ban->id.length);
        text_add_json(&text, span_of(decider_jail_name(replay->decider, ban->jail)));
        text_add_format(&text, ", \"at\": \"%s\", \"until\": ", clock_format_utc(ban->at_us, at));
        if (ban->until_us > 0)
            text_add_format(&text, "\"%s\"", clock_format_utc(ban->until_us, until));
        else
            text_add_string(&text, "null");
        text_add_format(&text, ", \"failures\": %u, \"reason\": ", ban->failures);
        text_add_json(&text, span_of(ban->reason));
        text_add_format(&text, ", \"collateral\": %u, \"suspicious\": %u}", collateral_of(ban),
                        suspicious_of(replay, ban));
        fputs(text.at, stdout);
        text_clear(&text);
    }
    text_add_format(&text, "%s],\n  \"seconds\": %.3f,\n  \"cpu_seconds\": %.3f\n}\n",
                    replay->ban_count ? "\n  " : "", seconds, cpu_seconds());
    fputs(text.at, stdout);
}

static void print_bans(const struct replay *replay) {
    for (size_t i = 0; i < replay->ban_count; i++) {
        const struct replayed_ban *ban = &replay->bans[i];
        char address[PREFIX_TEXT_MAX];
        char at[CLOCK_TEXT_MAX];
        uint32_t collateral = collateral_of(ban);
        uint32_t suspicious = suspicious_of(replay, ban);
        printf("%s  %-24s %s\n", clock_format_local(ban->at_us, 0, at),
               prefix_format(&ban->id, address), ban->reason);
        if (collateral)
            printf("    ! one of yours: %u logins had succeeded from there before\n", collateral);
        if (suspicious)
            printf("    ! suspicious: %u logins succeeded from there after its failures\n",
                   suspicious);
    }
}

static void print_text(const struct replay *replay, double seconds) {
    const struct config *config = replay->decider->config;
    print_bans(replay);
    printf("\n%-16s %10s %10s %8s\n", "jail", "failures", "successes", "bans");
    for (uint32_t j = 0; j < config->jail_count; j++)
        if (config->jails[j].is_enabled)
            printf("%-16s %10llu %10llu %8llu\n", config->jails[j].name,
                   (unsigned long long)replay->decider->jail_counts[j].failures,
                   (unsigned long long)replay->decider->jail_counts[j].successes,
                   (unsigned long long)replay->decider->jail_counts[j].bans);
    printf("%llu lines in %.2f s.\n", (unsigned long long)lines_of(replay), seconds);
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

static int tell(const struct replay *replay, bool wants_json, double seconds) {
    if (wants_json)
        print_json(replay, seconds);
    else
        print_text(replay, seconds);
    fflush(stdout);
    for (size_t i = 0; i < replay->ban_count; i++)
        if (collateral_of(&replay->bans[i]))
            return EXIT_LOOK;
    return EXIT_FINE;
}

int word_replay(struct cli *cli) {
    static struct replay replay;
    static struct log logs[FILES_MAX];
    static const struct decider_calls calls = {NULL, note_ban};
    struct filter_rules *rules[MATCH_FILTERS_MAX];
    uint16_t numbers[MATCH_FILTERS_MAX];
    uint32_t rule_count = 0;
    int64_t started_us = clock_monotonic_us();
    bool as_of_now = cli_take_flag(cli, "--as-of-now");
    if (cli->argument_count == 0 || cli->argument_count > FILES_MAX)
        return cli_fail(EXIT_USAGE, "replay wants one to %d files", FILES_MAX);
    struct config *config = cli_read_config(cli);
    if (!config || compile(config, rules, numbers, &rule_count) != EXIT_FINE)
        return EXIT_FAILED;
    for (int i = 0; i < cli->argument_count; i++) {
        logs[i].path = cli->arguments[i];
        find_family(&logs[i]);
    }
    replay.real_now_us = clock_now_us();
    replay.decider = decider_new(config, &calls, &replay);
    replay.decider->reads_all = true;
    if (as_of_now && add_own_as_of_now(&replay) != EXIT_FINE)
        return EXIT_FAILED;
    if (open_logs(logs, cli->argument_count) != EXIT_FINE || drop_rights() != EXIT_FINE ||
        make_families(&replay, logs, cli->argument_count, rules, numbers, rule_count) !=
            EXIT_FINE ||
        run(&replay) != EXIT_FINE)
        return EXIT_FAILED;
    return tell(&replay, cli->wants_json, (double)(clock_monotonic_us() - started_us) / 1e6);
}
