/* The decision where plays do not reach: facts no honest sensor would tell, a full book, and the
 * promise behind every restart: a decider made anew from what its dirty keys gave to the store
 * decides as one that was never stopped. (What a person would notice is in tests/scenarios.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "bans/decider.h"
#include "base/clock.h"
#include "base/files.h"
#include "../readers.h"

enum { ROWS_MAX = 4096 };
#define BEGIN_US (INT64_C(1790000000) * SECOND_US)

static struct config *config;
static uint16_t sshd, dovecot; /* filters and jails */
static int sshd_jail, dovecot_jail;
static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static uint16_t filter_named(const char *name) {
    for (uint16_t i = 0; i < config->filter_count; i++)
        if (strcmp(config->filters[i].name, name) == 0)
            return i;
    fail_msg("no filter %s", name);
    return 0;
}

static int jail_named(const char *name) {
    for (uint32_t i = 0; i < config->jail_count; i++)
        if (strcmp(config->jails[i].name, name) == 0)
            return (int)i;
    fail_msg("no jail %s", name);
    return 0;
}

static int open_config(void **state) {
    (void)state;
    struct why why = {0};
    char folder[] = "/tmp/hauberk-decider-XXXXXX";
    char path[64];
    hash_open();
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/hauberk.conf", folder);
    int error = file_append_durably(path, SPAN("[hauberk]\nbans-most = 1024\n"
                                               "ledger-addresses = 1024\nadmin = 192.0.2.200\n"
                                               "[DEFAULT]\nhumane = no\n"));
    if (error >= 0)
        error = config_read(folder, SOURCE_ROOT, &config, &why);
    unlink(path);
    rmdir(folder);
    if (error < 0) {
        print_error("%s\n", why.text);
        return -1;
    }
    sshd = filter_named("sshd");
    dovecot = filter_named("dovecot");
    sshd_jail = jail_named("sshd");
    dovecot_jail = jail_named("dovecot");
    return 0;
}

static int close_config(void **state) {
    (void)state;
    config = config_free(config);
    return 0;
}

static struct decider *decider(void) {
    struct decider *made = decider_new(config, &(struct decider_calls){0}, NULL);
    decider_name_source(made, 0, jails_of_log(made->config, "/var/log/auth.log"));
    decider_name_source(made, 1, jails_of_log(made->config, "/var/log/mail.log"));
    return made;
}

static struct address address_from(const char *text) {
    struct address address = {0};
    assert_int_equal(address_parse(span_of(text), &address), 0);
    return address;
}

static struct wire_event event_of(uint8_t kind, uint16_t filter, const struct address *address,
                                  int64_t at_us) {
    return (struct wire_event){.kind = kind, .filter = filter, .has_address = 1,
                               .address = *address, .at_us = at_us};
}

static struct counter *find_counter(struct decider *one, uint16_t jail, const struct prefix *id) {
    struct ledger_key key = ledger_key_of(jail, id);
    return ledger_find(one->ledger, &key);
}

static void fail_times(struct decider *one, uint16_t filter, const char *address, int times,
                       int64_t now_us) {
    struct address from = address_from(address);
    for (int i = 0; i < times; i++) {
        struct wire_event event = event_of(EVENT_FAILURE, filter, &from, now_us);
        decider_event(one, filter == sshd ? 0 : 1, &event, false, now_us);
    }
}

static const struct ban *ban_of(struct decider *one, int jail, const char *address,
                                int64_t now_us) {
    struct prefix id = {0};
    assert_int_equal(prefix_parse(span_of(address), &id), 0);
    return bans_find(one->bans, (uint16_t)jail, &id, now_us);
}

/* ---- what no honest sensor says ---- */

static void events_beyond_all_reason_do_no_harm(void **state) {
    (void)state;
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, BEGIN_US,
                                    INT64_MAX - 1, INT64_MAX};
    struct decider *one = decider();
    seed = 1;
    for (int i = 0; i < 20000; i++) {
        struct wire_event event = {.kind = (uint8_t)chance(EVENT_KINDS),
                                   .filter = (uint16_t)chance(chance(10) ? 3 : 4096),
                                   .has_address = chance(20) != 0,
                                   .at_us = times[chance(ELEMENTS_OF(times))],
                                   .attempts = (uint16_t)chance(1001)};
        for (int byte = 0; byte < 16; byte++)
            event.address.at[byte] = (uint8_t)(chance(3) ? 0 : chance(256));
        event.session.length = (uint16_t)chance(65);
        event.account.length = (uint16_t)chance(97);
        decider_event(one, (uint16_t)chance(SOURCES_MAX), &event, chance(2), BEGIN_US);
    }
    decider_sweep(one, BEGIN_US);
    decider_sweep(one, BEGIN_US + 60 * DAY_US);
    decider_free(one);
}

static void a_source_feeds_only_its_jails(void **state) {
    (void)state;
    struct decider *one = decider();
    struct address from = address_from("203.0.113.9");
    struct wire_event event = event_of(EVENT_FAILURE, sshd, &from, BEGIN_US);
    for (int i = 0; i < 5; i++)
        decider_event(one, 1, &event, false, BEGIN_US); /* the mail log says sshd things */
    assert_int_equal(bans_count(one->bans), 0);
    assert_int_equal(one->jail_counts[sshd_jail].failures, 0);
    decider_name_source(one, 1, UINT64_MAX); /* as in replay */
    for (int i = 0; i < 3; i++)
        decider_event(one, 1, &event, false, BEGIN_US);
    assert_non_null(ban_of(one, sshd_jail, "203.0.113.9", BEGIN_US));
    decider_free(one);
}

/* ---- rules ---- */

static void one_login_in_two_logs_is_joined(void **state) {
    (void)state;
    struct decider *one = decider();
    struct address from = address_from("203.0.113.9");
    decider_name_source(one, 2, jails_of_log(one->config, "/var/log/mail.log"));
    struct wire_event line = event_of(EVENT_FAILURE, dovecot, &from, BEGIN_US);
    wire_set_bytes(line.session, SPAN("abc"));
    decider_event(one, 1, &line, false, BEGIN_US);
    decider_event(one, 1, &line, false, BEGIN_US);
    line.attempts = 3;
    decider_event(one, 2, &line, false, BEGIN_US + SECOND_US);
    struct prefix id = prefix_of(&from);
    struct counter *counter = find_counter(one, (uint16_t)dovecot_jail, &id);
    assert_non_null(counter);
    assert_int_equal(counter->weight, 3 * WEIGHT_ONE);
    decider_free(one);
}

static void exemptions_hold_on_both_sides(void **state) {
    (void)state;
    struct decider *one = decider();
    struct why why = {0};
    struct prefix prefix = {0};
    static const char *const refused[] = {"192.0.2.200", "192.0.2.0/24", "192.0.2.192/27"};
    for (size_t i = 0; i < ELEMENTS_OF(refused); i++) {
        assert_int_equal(prefix_parse(span_of(refused[i]), &prefix), 0);
        assert_true(decider_is_exempt(one, JAIL_BY_HAND, &prefix));
        assert_int_equal(decider_ban_by_hand(one, &prefix, 60, SPAN(""), false, BEGIN_US, &why),
                         -EPERM);
    }
    static const char *const bad[] = {"10.0.0.0/7", "2001:db8::/18", "2001:db8::/65",
                                      "2001:db8::/127"};
    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        assert_int_equal(prefix_parse(span_of(bad[i]), &prefix), 0);
        assert_int_equal(decider_ban_by_hand(one, &prefix, 60, SPAN(""), false, BEGIN_US, &why),
                         -EINVAL);
    }
    /* An own network as wide as the address family would be: nothing can be banned. */
    struct prefix own = {0};
    assert_int_equal(prefix_parse(SPAN("203.0.113.0/24"), &own), 0);
    decider_set_own(one, &own, 1);
    fail_times(one, sshd, "203.0.113.9", 5, BEGIN_US);
    assert_int_equal(bans_count(one->bans), 0);
    decider_set_own(one, NULL, 0);
    fail_times(one, sshd, "203.0.113.9", 3, BEGIN_US);
    assert_int_equal(bans_count(one->bans), 1);
    decider_free(one);
}

static void a_full_book_makes_room_for_who_attacks_now(void **state) {
    (void)state;
    struct decider *one = decider();
    char text[32];
    for (int i = 0; i < 1024; i++) {
        snprintf(text, sizeof(text), "198.18.%d.%d", i / 256, i % 256);
        fail_times(one, sshd, text, 3, BEGIN_US);
    }
    assert_int_equal(bans_count(one->bans), 1024);
    fail_times(one, sshd, "203.0.113.9", 3, BEGIN_US);
    assert_non_null(ban_of(one, sshd_jail, "203.0.113.9", BEGIN_US));
    assert_int_equal(bans_count(one->bans), 1024);
    assert_int_equal(bans_losses(one->bans).pushed_out, 1);
    struct prefix prefix = {0};
    struct why why = {0};
    assert_int_equal(prefix_parse(SPAN("203.0.113.10"), &prefix), 0);
    assert_int_equal(decider_ban_by_hand(one, &prefix, 60, SPAN(""), false, BEGIN_US, &why),
                     0);
    assert_int_equal(bans_count(one->bans), 1024);
    assert_int_equal(bans_losses(one->bans).pushed_out, 2);
    assert_int_equal(projection_counts(one->projection).wanted, 1024);
    /* When they are over nobody has to go. */
    int64_t later_us = BEGIN_US + DAY_US;
    decider_sweep(one, later_us);
    fail_times(one, sshd, "203.0.113.9", 3, later_us);
    assert_non_null(ban_of(one, sshd_jail, "203.0.113.9", later_us));
    assert_int_equal(bans_losses(one->bans).pushed_out, 2);
    decider_free(one);
}

static void findtime_is_exact_to_the_microsecond(void **state) {
    (void)state;
    int64_t find_us = config->jails[sshd_jail].find_seconds * SECOND_US;
    for (int64_t beyond = -1; beyond <= 1; beyond++) {
        struct decider *one = decider();
        struct address from = address_from("203.0.113.9");
        struct wire_event event = event_of(EVENT_FAILURE, sshd, &from, BEGIN_US);
        for (int i = 0; i < 3; i++) /* read late: the newest failure is just so old */
            decider_event(one, 0, &event, false, BEGIN_US + find_us + beyond);
        assert_int_equal(bans_count(one->bans), beyond <= 0);
        decider_free(one);
    }
}

static void times_are_clamped(void **state) {
    (void)state;
    struct decider *one = decider();
    struct address from = address_from("203.0.113.9");
    struct prefix id = prefix_of(&from);
    struct wire_event event = event_of(EVENT_FAILURE, sshd, &from, BEGIN_US + DAY_US);
    decider_event(one, 0, &event, false, BEGIN_US);
    assert_true(find_counter(one, (uint16_t)sshd_jail, &id)->last_us ==
                BEGIN_US + 60 * SECOND_US);
    struct address other = address_from("203.0.113.10");
    id = prefix_of(&other);
    event = event_of(EVENT_FAILURE, sshd, &other, 0);
    decider_event(one, 0, &event, false, BEGIN_US);
    assert_true(find_counter(one, (uint16_t)sshd_jail, &id)->last_us ==
                BEGIN_US - 7 * DAY_US);
    decider_free(one);
}

static void memory_of_a_month_is_forgotten(void **state) {
    (void)state;
    struct decider *one = decider();
    struct address from = address_from("198.51.100.7");
    struct prefix id = prefix_of(&from);
    struct wire_event event = event_of(EVENT_SUCCESS, sshd, &from, BEGIN_US - 31 * DAY_US);
    decider_event(one, 0, &event, true, BEGIN_US);
    assert_false(known_has_prefix(one->known, &id, BEGIN_US, NULL));
    event.at_us = BEGIN_US - 29 * DAY_US;
    decider_event(one, 0, &event, true, BEGIN_US);
    assert_true(known_has_prefix(one->known, &id, BEGIN_US, NULL));
    assert_false(known_has_prefix(one->known, &id, BEGIN_US + 2 * DAY_US, NULL));
    /* A success from the future cannot be good for longer than one of now. */
    event.at_us = BEGIN_US + 300 * DAY_US;
    decider_event(one, 0, &event, false, BEGIN_US);
    assert_false(known_has_prefix(one->known, &id, BEGIN_US + 31 * DAY_US, NULL));
    decider_free(one);
}

static void an_unban_does_not_reach_bans_made_after_it(void **state) {
    (void)state;
    struct decider *one = decider();
    struct prefix id = {0};
    assert_int_equal(prefix_parse(SPAN("203.0.113.9"), &id), 0);
    fail_times(one, sshd, "203.0.113.9", 3, BEGIN_US + MINUTE_US);
    /* Ordered while nobody was there, a minute before that ban. */
    assert_int_equal(decider_unban(one, &id, -1, BEGIN_US, BEGIN_US + 2 * MINUTE_US), 0);
    assert_non_null(ban_of(one, sshd_jail, "203.0.113.9", BEGIN_US + 2 * MINUTE_US));
    decider_free(one);
}

/* ---- stopped and made anew ---- */

#define SHADOW(type, key_type) \
    struct {                   \
        struct type at[ROWS_MAX]; \
        uint32_t count;        \
    }

static struct {
    SHADOW(counter, ledger_key) counters;
    SHADOW(join, digest) joins;
    SHADOW(burst, burst_key) bursts;
    SHADOW(known_entry, known_key) known;
    SHADOW(ban, ledger_key) bans;
    SHADOW(past, ledger_key) past;
} kept;

/* Puts a row in the place of the one with its key,
 * or takes that out when there is none any more. */
#define KEEP(rows, key_, row_)                                                        \
    do {                                                                              \
        uint32_t i_ = 0;                                                              \
        while (i_ < kept.rows.count &&                                                \
               memcmp(&kept.rows.at[i_].key, &(key_), sizeof(kept.rows.at[i_].key)) != 0) \
            i_++;                                                                     \
        if (row_) {                                                                   \
            assert_true(i_ < ROWS_MAX);                                               \
            kept.rows.at[i_] = *(row_);                                               \
            kept.rows.count += i_ == kept.rows.count;                                 \
        } else if (i_ < kept.rows.count) {                                            \
            kept.rows.at[i_] = kept.rows.at[--kept.rows.count];                       \
        }                                                                             \
    } while (0)

static void commit(struct decider *one) {
    struct ledger_key key;
    struct digest session;
    struct burst_key burst;
    struct known_key known;
    while (bursts_take_dirty(one->bursts, &burst))
        KEEP(bursts, burst, bursts_find(one->bursts, &burst));
    while (ledger_take_dirty(one->ledger, &key))
        KEEP(counters, key, ledger_find(one->ledger, &key));
    while (joins_take_dirty(one->joins, &session))
        KEEP(joins, session, joins_find(one->joins, &session));
    while (known_take_dirty(one->known, &known))
        KEEP(known, known, known_find(one->known, &known));
    while (bans_take_dirty(one->bans, &key))
        KEEP(bans, key, bans_record(one->bans, &key));
    while (bans_take_dirty_past(one->bans, &key))
        KEEP(past, key, bans_past(one->bans, key.jail, &key.id));
}

static struct decider *made_anew(void) {
    struct decider *one = decider();
    for (uint32_t i = 0; i < kept.counters.count; i++)
        assert_true(ledger_restore(one->ledger, &kept.counters.at[i]));
    for (uint32_t i = 0; i < kept.joins.count; i++)
        assert_true(joins_restore(one->joins, &kept.joins.at[i]));
    for (uint32_t i = 0; i < kept.bursts.count; i++)
        assert_true(bursts_restore(one->bursts, &kept.bursts.at[i]));
    for (uint32_t i = 0; i < kept.known.count; i++)
        assert_true(known_restore(one->known, &kept.known.at[i]));
    for (uint32_t i = 0; i < kept.bans.count; i++)
        assert_true(bans_restore(one->bans, &kept.bans.at[i], BEGIN_US));
    for (uint32_t i = 0; i < kept.past.count; i++)
        assert_true(bans_restore_past(one->bans, &kept.past.at[i]));
    return one;
}

static struct wire_event random_event(int64_t now_us) {
    struct address from = address_from(chance(3) ? "203.0.113.0" : "2001:db8:1:2::");
    from.at[15] = (uint8_t)chance(12);
    struct wire_event event =
        event_of(chance(12) ? EVENT_FAILURE : EVENT_SUCCESS, chance(2) ? sshd : dovecot, &from,
                 now_us - (int64_t)chance(chance(3) ? 2 : 900) * SECOND_US);
    if (chance(2)) {
        char session[8];
        snprintf(session, sizeof(session), "s%u", chance(20));
        wire_set_bytes(event.session, span_of(session));
        event.attempts = (uint16_t)chance(4);
    }
    static const char *const accounts[] = {"alice", "bob", "carol", "root", ""};
    wire_set_bytes(event.account, span_of(accounts[chance(ELEMENTS_OF(accounts))]));
    event.no_such_account = chance(4) == 0;
    return event;
}

static void compare(struct decider *a, struct decider *b, int64_t now_us, uint64_t number) {
    uint32_t place = 0;
    uint32_t count = 0;
    for (const struct ban *ban; (ban = bans_next(a->bans, &place));) {
        if (ban_is_over(ban, now_us))
            continue;
        const struct ban *other = bans_find(b->bans, ban->key.jail, &ban->key.id, now_us);
        if (!other || other->failures != ban->failures || other->until_us != ban->until_us ||
            other->returns != ban->returns || other->after_ban != ban->after_ban ||
            strcmp(other->reason, ban->reason) != 0)
            fail_msg("play %llu: %s, %u returns / %s, %u returns", (unsigned long long)number,
                     ban->reason, ban->returns, other ? other->reason : "no ban",
                     other ? other->returns : 0);
        count++;
    }
    place = 0;
    for (const struct ban *ban; (ban = bans_next(b->bans, &place));)
        count -= !ban_is_over(ban, now_us);
    assert_int_equal(count, 0);
}

static void be_humane(bool is_humane) {
    for (uint32_t i = 0; i < config->jail_count; i++)
        config->jails[i].is_humane = is_humane;
}

static void a_restart_changes_no_decision(void **state) {
    (void)state;
    uint64_t bans = 0;
    for (uint64_t number = 1; number <= 120; number++) {
        be_humane(number % 2);
        struct decider *whole = decider();
        struct decider *killed = decider();
        int64_t now_us = BEGIN_US;
        memset(&kept, 0, sizeof(kept));
        seed = number * UINT64_C(0x9e3779b97f4a7c15);
        for (int i = 0; i < 400; i++) {
            struct wire_event event = random_event(now_us);
            uint16_t source = event.filter == sshd ? 0 : 1;
            decider_event(whole, source, &event, false, now_us);
            decider_event(killed, source, &event, false, now_us);
            now_us += (int64_t)chance(chance(20) ? chance(3) ? 40 : 2 : 100000) * SECOND_US;
            if (chance(15) == 0) { /* committed, then killed */
                commit(killed);
                decider_free(killed);
                killed = made_anew();
                killed->log_time_us = whole->log_time_us;
            }
            if (chance(10) == 0) {
                decider_sweep(whole, now_us);
                decider_sweep(killed, now_us);
            }
            compare(whole, killed, now_us, number);
        }
        bans += whole->jail_counts[sshd_jail].bans + whole->jail_counts[dovecot_jail].bans;
        decider_free(whole);
        decider_free(killed);
    }
    be_humane(false);
    assert_true(bans > 1000); /* or nothing was compared */
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_beyond_all_reason_do_no_harm),
        cmocka_unit_test(a_source_feeds_only_its_jails),
        cmocka_unit_test(one_login_in_two_logs_is_joined),
        cmocka_unit_test(exemptions_hold_on_both_sides),
        cmocka_unit_test(a_full_book_makes_room_for_who_attacks_now),
        cmocka_unit_test(findtime_is_exact_to_the_microsecond),
        cmocka_unit_test(times_are_clamped),
        cmocka_unit_test(memory_of_a_month_is_forgotten),
        cmocka_unit_test(an_unban_does_not_reach_bans_made_after_it),
        cmocka_unit_test(a_restart_changes_no_decision),
    };
    return cmocka_run_group_tests(tests, open_config, close_config);
}
