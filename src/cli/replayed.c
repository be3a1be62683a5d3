/* Telling of a replay: see replayed.h. The page is what a person decides by: how much there is, who
 * of one's own would have been hit, whose password may be lost, and who attacks most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/replayed.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"

enum { SHOWN_OF_A_KIND = 10 };

/* All bans of one address or network. */
struct offender {
    struct prefix id;
    uint32_t bans, failures;
    const struct replayed_ban *last;
};

bool replayed_hits_own_users(const struct replayed *found) {
    for (size_t i = 0; i < found->ban_count; i++)
        if (found->bans[i].collateral)
            return true;
    return false;
}

/* ---- JSON ---- */

static double cpu_seconds(void) {
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void add_time(struct text *text, const char *key, int64_t at_us) {
    char at[CLOCK_TEXT_MAX];
    if (at_us > 0)
        text_add_format(text, "\"%s\": \"%s\"", key, clock_format_utc(at_us, at));
    else
        text_add_format(text, "\"%s\": null", key);
}

static void add_ban(struct text *text, const struct replayed *found,
                    const struct replayed_ban *ban) {
    char address[PREFIX_TEXT_MAX];
    text_add_format(text, "{\"address\": \"%s\", \"prefix\": %u, \"jail\": ",
                    address_format(&ban->id.address, address), ban->id.length);
    text_add_json(text, span_of(decider_jail_name(found->decider, ban->jail)));
    text_add_string(text, ", ");
    add_time(text, "at", ban->at_us);
    text_add_format(text, ", \"at_us\": %lld, ", (long long)ban->at_us);
    add_time(text, "until", ban->until_us);
    text_add_format(text, ", \"failures\": %u, \"reason\": ", ban->failures);
    text_add_json(text, span_of(ban->reason));
    text_add_format(text, ", \"collateral\": %u, \"suspicious\": %u}", ban->collateral,
                    ban->suspicious);
}

static void add_suspicion(struct text *text, const struct replayed *found,
                          const struct replayed_suspicion *one) {
    char address[PREFIX_TEXT_MAX];
    text_add_format(text, "{\"address\": \"%s\", \"account\": ",
                    address_format(&one->address, address));
    text_add_json(text, span_of(one->account));
    text_add_string(text, ", \"jail\": ");
    text_add_json(text, span_of(decider_jail_name(found->decider, one->jail)));
    text_add_string(text, ", ");
    add_time(text, "at", one->at_us);
    text_add_format(text, ", \"at_us\": %lld, \"failures\": %u, \"banned\": %s}",
                    (long long)one->at_us, one->failures, one->is_banned ? "true" : "false");
}

/* Written piece by piece: as one JSON value in memory it would be larger than everything else. */
void replayed_print_json(const struct replayed *found) {
    const struct config *config = found->decider->config;
    cleanup_text struct text text = {0};
    text_add_format(&text,
                    "{\n  \"lines\": %llu,\n  \"bytes\": %llu,\n"
                    "  \"events\": {\"failure\": %llu, \"success\": %llu},\n  ",
                    (unsigned long long)found->lines, (unsigned long long)found->bytes,
                    (unsigned long long)found->failures, (unsigned long long)found->successes);
    add_time(&text, "first", found->first_us);
    text_add_string(&text, ",\n  ");
    add_time(&text, "last", found->last_us);
    text_add_string(&text, ",\n  \"jails\": {");
    const char *comma = "";
    for (uint32_t j = 0; j < config->jail_count; j++) {
        if (!config->jails[j].is_enabled)
            continue;
        const struct jail_counts *counts = &found->decider->jail_counts[j];
        text_add_format(&text, "%s\n    ", comma);
        text_add_json(&text, span_of(config->jails[j].name));
        text_add_format(&text, ": {\"failures\": %llu, \"successes\": %llu, \"bans\": %llu}",
                        (unsigned long long)counts->failures,
                        (unsigned long long)counts->successes, (unsigned long long)counts->bans);
        comma = ",";
    }
    text_add_string(&text, "\n  },\n  \"bans\": [");
    for (size_t i = 0; i < found->ban_count; i++) {
        text_add_string(&text, i ? ",\n    " : "\n    ");
        add_ban(&text, found, &found->bans[i]);
        fputs(text.at, stdout);
        text_clear(&text);
    }
    text_add_format(&text, "%s],\n  \"suspicions\": [", found->ban_count ? "\n  " : "");
    for (size_t i = 0; i < found->suspicion_count; i++) {
        text_add_string(&text, i ? ",\n    " : "\n    ");
        add_suspicion(&text, found, &found->suspicions[i]);
        fputs(text.at, stdout);
        text_clear(&text);
    }
    text_add_format(&text, "%s],\n  \"seconds\": %.3f,\n  \"cpu_seconds\": %.3f\n}\n",
                    found->suspicion_count ? "\n  " : "", found->seconds, cpu_seconds());
    fputs(text.at, stdout);
}

/* ---- the page ---- */

static void print_ban(const struct replayed_ban *ban, const char *note) {
    char address[PREFIX_TEXT_MAX];
    char at[CLOCK_TEXT_MAX];
    printf("  %s  %-24s %s%s\n", clock_format_local(ban->at_us, 0, at),
           prefix_format(&ban->id, address), ban->reason, note);
}

static void print_jails(const struct replayed *found) {
    const struct config *config = found->decider->config;
    printf("\n%-16s %10s %10s %8s\n", "jail", "failures", "logins", "bans");
    for (uint32_t j = 0; j < config->jail_count; j++) {
        const struct jail_counts *counts = &found->decider->jail_counts[j];
        if (config->jails[j].is_enabled)
            printf("%-16s %10llu %10llu %8llu\n", config->jails[j].name,
                   (unsigned long long)counts->failures, (unsigned long long)counts->successes,
                   (unsigned long long)counts->bans);
    }
}

static const char *plural(uint64_t count) {
    return count == 1 ? "" : "s";
}

static uint32_t collateral_of(const struct replayed_ban *ban) {
    return ban->collateral;
}

static uint32_t suspicious_of(const struct replayed_ban *ban) {
    return ban->suspicious;
}

/* The bans that a question picks, the first of them in lines. */
static void print_picked(const struct replayed *found, const char *title, const char *told,
                         uint32_t (*count_of)(const struct replayed_ban *ban)) {
    size_t picked = 0;
    for (size_t i = 0; i < found->ban_count; i++)
        picked += count_of(&found->bans[i]) > 0;
    if (picked == 0)
        return;
    printf("\n! %s (%zu):\n", title, picked);
    size_t shown = 0;
    for (size_t i = 0; i < found->ban_count && shown < SHOWN_OF_A_KIND; i++) {
        char note[80];
        uint32_t count = count_of(&found->bans[i]);
        if (count == 0)
            continue;
        snprintf(note, sizeof(note), "; %u login%s %s", count, plural(count), told);
        print_ban(&found->bans[i], note);
        shown++;
    }
    if (picked > shown)
        printf("  … and %zu more; hauberk replay --bans lists all\n", picked - shown);
}

/* Those from addresses that no ban was in force for: what no ban's line would tell. */
static void print_suspicions(const struct replayed *found) {
    size_t count = 0;
    for (size_t i = 0; i < found->suspicion_count; i++)
        count += !found->suspicions[i].is_banned;
    if (count == 0)
        return;
    printf("\n! Suspicious, and not banned: first login of an account after failures (%zu):\n",
           count);
    size_t shown = 0;
    for (size_t i = 0; i < found->suspicion_count && shown < SHOWN_OF_A_KIND; i++) {
        const struct replayed_suspicion *one = &found->suspicions[i];
        char address[PREFIX_TEXT_MAX];
        char at[CLOCK_TEXT_MAX];
        if (one->is_banned)
            continue;
        printf("  %s  %-24s %s, after %u failures (jail %s)\n",
               clock_format_local(one->at_us, 0, at), address_format(&one->address, address),
               one->account, one->failures, decider_jail_name(found->decider, one->jail));
        shown++;
    }
    if (count > shown)
        printf("  … and %zu more\n", count - shown);
}

static int by_id_then_time(const void *a, const void *b) {
    const struct replayed_ban *one = *(const struct replayed_ban *const *)a;
    const struct replayed_ban *other = *(const struct replayed_ban *const *)b;
    int order = memcmp(&one->id, &other->id, sizeof(one->id));
    return order ? order : (one->at_us > other->at_us) - (one->at_us < other->at_us);
}

static bool is_worse(const struct offender *a, const struct offender *b) {
    return a->bans != b->bans ? a->bans > b->bans : a->failures > b->failures;
}

/* Puts it into its place among the worst. */
static void rank(struct offender worst[SHOWN_OF_A_KIND], size_t *count,
                 const struct offender *one) {
    size_t at = *count;
    if (at == SHOWN_OF_A_KIND && !is_worse(one, &worst[at - 1]))
        return;
    *count += at < SHOWN_OF_A_KIND;
    at = *count - 1;
    for (; at > 0 && is_worse(one, &worst[at - 1]); at--)
        worst[at] = worst[at - 1];
    worst[at] = *one;
}

static void print_worst(const struct replayed *found) {
    struct offender worst[SHOWN_OF_A_KIND];
    size_t count = 0;
    size_t addresses = 0;
    if (found->ban_count == 0) {
        printf("\nNobody would have been banned.\n");
        return;
    }
    const struct replayed_ban **sorted = calloc(found->ban_count, sizeof(*sorted));
    must(sorted);
    for (size_t i = 0; i < found->ban_count; i++)
        sorted[i] = &found->bans[i];
    qsort(sorted, found->ban_count, sizeof(*sorted), by_id_then_time);
    for (size_t i = 0; i < found->ban_count; addresses++) {
        struct offender one = {.id = sorted[i]->id};
        for (; i < found->ban_count && prefix_equals(&sorted[i]->id, &one.id); i++) {
            one.bans++;
            one.failures += sorted[i]->failures;
            one.last = sorted[i];
        }
        rank(worst, &count, &one);
    }
    printf("\nBanned most, of %zu address%s:\n", addresses, addresses == 1 ? "" : "es");
    for (size_t i = 0; i < count; i++) {
        char address[PREFIX_TEXT_MAX];
        printf("  %-24s %4u ban%s %5u failures   last: %s\n", prefix_format(&worst[i].id, address),
               worst[i].bans, worst[i].bans == 1 ? " " : "s", worst[i].failures,
               worst[i].last->reason);
    }
    free(sorted);
}

void replayed_print_page(const struct replayed *found, bool wants_bans) {
    char first[CLOCK_TEXT_MAX];
    char last[CLOCK_TEXT_MAX];
    for (size_t i = 0; wants_bans && i < found->ban_count; i++)
        print_ban(&found->bans[i], "");
    printf("%s%llu line%s of ", wants_bans && found->ban_count ? "\n" : "",
           (unsigned long long)found->lines, plural(found->lines));
    if (found->logs)
        printf("%u file%s", found->logs, plural(found->logs));
    else
        printf("the journal");
    if (found->first_us)
        printf(", logins from %s to %s", clock_format_minute(found->first_us, 0, first),
               clock_format_minute(found->last_us, 0, last));
    printf("; read in %.2f s, nothing enforced.\n", found->seconds);
    print_jails(found);
    print_picked(found, "Your own users who would have been banned", "had succeeded before",
                 collateral_of);
    print_picked(found, "Suspicious: logins after the failures", "succeeded", suspicious_of);
    print_suspicions(found);
    print_worst(found);
}
