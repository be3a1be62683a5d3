/* Counting. The rate is compared with fail2ban's own arithmetic (FailTicket.adjustTime and
 * FailManager.addFailure of 1.0), written here as plainly as there; then order, eviction, dirty
 * keys, known-good memory and joins.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "ledger/account.h"
#include "ledger/bursts.h"
#include "ledger/joins.h"
#include "ledger/known.h"
#include "ledger/uses.h"
#include "ledger/ledger.h"

#define FIND_US (600 * SECOND_US)
#define BEGIN_US (INT64_C(1790000000) * SECOND_US)

static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static struct prefix host(uint32_t number) {
    struct address address = {.at = {[10] = 0xff, [11] = 0xff, 198, 18}};
    address.at[12] = (uint8_t)(10 + (number >> 24));
    address.at[13] = (uint8_t)(number >> 16);
    address.at[14] = (uint8_t)(number >> 8);
    address.at[15] = (uint8_t)number;
    return prefix_of(&address);
}

static struct counter *count(struct ledger *ledger, uint16_t jail, const struct prefix *id,
                             int64_t at_us, uint32_t weight, int64_t find_us) {
    struct ledger_key key = ledger_key_of(jail, id);
    struct failure failure = {.weight = weight};
    return ledger_count(ledger, &key, at_us, &failure, find_us);
}

static struct counter *find(struct ledger *ledger, uint16_t jail, const struct prefix *id) {
    struct ledger_key key = ledger_key_of(jail, id);
    return ledger_find(ledger, &key);
}

/* ---- the rate ---- */

struct ticket {
    bool is_there;
    int64_t retry, first, last;
};

/* Python's round(): halves to the even neighbour. a / b > 0. */
static int64_t round_half_even(int64_t a, int64_t b) {
    int64_t whole = a / b;
    int64_t twice = 2 * (a % b);
    return whole + (twice > b || (twice == b && whole % 2));
}

static void add_failure(struct ticket *ticket, int64_t at, int64_t attempts, int64_t max_time) {
    if (ticket->is_there && at - ticket->last > max_time)
        ticket->is_there = false; /* what cleanup() would have removed before */
    if (!ticket->is_there) {
        *ticket = (struct ticket){true, attempts, at, at};
        return;
    }
    if (at > ticket->last) {
        if (ticket->first < at - max_time) {
            ticket->retry = round_half_even(ticket->retry * max_time, at - ticket->first);
            ticket->first = at - max_time;
        }
        ticket->last = at;
    }
    ticket->retry += attempts;
}

static void the_rate_is_fail2bans(void **state) {
    (void)state;
    uint32_t rescaled = 0;
    for (uint64_t play = 1; play <= 2000; play++) {
        struct ledger *ledger = ledger_new(10);
        struct ticket ticket = {0};
        struct prefix id = host(1);
        int64_t now = BEGIN_US / SECOND_US;
        seed = play;
        uint32_t gap = 1 + chance(700);
        for (int i = 0; i < 60; i++) {
            now += chance(gap);
            /* Out of order at times, as lines of several processes are. */
            int64_t at = chance(6) ? now : now - chance(300);
            uint32_t attempts = 1 + chance(4) / 3 * chance(5);
            int64_t first = ticket.first;
            add_failure(&ticket, at, attempts, FIND_US / SECOND_US);
            rescaled += ticket.is_there && ticket.first != first;
            const struct counter *counter = count(ledger, 0, &id, at * SECOND_US,
                                                         attempts * WEIGHT_ONE, FIND_US);
            if (counter->weight != ticket.retry * WEIGHT_ONE ||
                counter->first_us != ticket.first * SECOND_US ||
                counter->last_us != ticket.last * SECOND_US)
                fail_msg("play %llu, step %d: weight %u, fail2ban %lld",
                         (unsigned long long)play, i, counter->weight, (long long)ticket.retry);
        }
        ledger_free(ledger);
    }
    assert_true(rescaled > 5000); /* or the arithmetic was never needed */
}

static void an_event_out_of_order_counts_and_moves_no_time(void **state) {
    (void)state;
    struct ledger *ledger = ledger_new(10);
    struct prefix id = host(1);
    count(ledger, 0, &id, BEGIN_US, WEIGHT_ONE, FIND_US);
    static const int64_t before_us[] = {1, SECOND_US, FIND_US, FIND_US + 1, 7 * DAY_US};
    for (size_t i = 0; i < ELEMENTS_OF(before_us); i++) {
        const struct counter *counter =
            count(ledger, 0, &id, BEGIN_US - before_us[i], WEIGHT_ONE, FIND_US);
        assert_int_equal(counter->failures, i + 2);
        assert_int_equal(counter->weight, (i + 2) * WEIGHT_ONE);
        assert_true(counter->first_us == BEGIN_US && counter->last_us == BEGIN_US);
    }
    ledger_free(ledger);
}

static void a_record_begins_anew_after_findtime(void **state) {
    (void)state;
    for (int64_t beyond = 0; beyond < 2; beyond++) {
        struct ledger *ledger = ledger_new(10);
        struct prefix id = host(1);
        count(ledger, 0, &id, BEGIN_US, WEIGHT_ONE, FIND_US);
        const struct counter *counter =
            count(ledger, 0, &id, BEGIN_US + FIND_US + beyond, WEIGHT_ONE, FIND_US);
        assert_int_equal(counter->failures, beyond ? 1 : 2);
        ledger_free(ledger);
    }
}

static void jails_count_apart(void **state) {
    (void)state;
    struct ledger *ledger = ledger_new(10);
    struct prefix id = host(1);
    count(ledger, 1, &id, BEGIN_US, WEIGHT_ONE, FIND_US);
    count(ledger, 2, &id, BEGIN_US, WEIGHT_ONE, FIND_US);
    assert_int_equal(find(ledger, 1, &id)->failures, 1);
    ledger_forget_prefix(ledger, &id, 2);
    assert_non_null(find(ledger, 1, &id));
    assert_null(find(ledger, 2, &id));
    ledger_forget_prefix(ledger, &id, -1);
    assert_null(find(ledger, 1, &id));
    ledger_free(ledger);
}

/* ---- bursts ---- */

static void a_full_memory_of_mistakes_goes_on_folding(void **state) {
    (void)state;
    enum { ROOM = 200, TRIES = 2000 };
    struct bursts *bursts = bursts_new(ROOM, 0);
    struct address address;
    uint32_t folded = 0;
    assert_true(address_parse(SPAN("203.0.113.5"), &address) >= 0);
    for (uint64_t i = 1; i <= TRIES; i++) { /* each account twice, a second apart: one mistake */
        int64_t at_us = (int64_t)i * 10000;
        assert_false(bursts_fold(bursts, SPAN("imap"), &address, i, at_us));
        folded += i > 50 && bursts_fold(bursts, SPAN("imap"), &address, i - 50, at_us);
        assert_true(bursts_count(bursts) <= ROOM);
    }
    /* The draw takes one of the oldest, not always the oldest itself. */
    assert_true(folded > TRIES * 9 / 10);
    assert_true(bursts_evicted(bursts) >= TRIES - ROOM);
    struct burst_key key;
    uint32_t gone = 0;
    while (bursts_take_dirty(bursts, &key)) /* the store is told of them, too */
        gone += bursts_find(bursts, &key) == NULL;
    assert_true(gone >= bursts_evicted(bursts) - 100);
    bursts_free(bursts);
}

/* ---- eviction ---- */

static void the_heavy_ones_outlive_a_flood(void **state) {
    (void)state;
    enum { MOST = 1000, HEAVY = 50, FLOOD = 100000 };
    struct ledger *ledger = ledger_new(MOST);
    for (uint32_t i = 0; i < HEAVY; i++) {
        struct prefix id = host(i);
        for (int k = 0; k < 2; k++)
            count(ledger, 0, &id, BEGIN_US, WEIGHT_ONE, FIND_US);
    }
    for (uint32_t i = 0; i < FLOOD; i++) {
        struct prefix id = host(1000 + i);
        count(ledger, 0, &id, BEGIN_US + i * 1000, WEIGHT_ONE, FIND_US);
        assert_true(ledger_size(ledger) <= MOST);
    }
    for (uint32_t i = 0; i < HEAVY; i++) {
        struct prefix id = host(i);
        assert_non_null(find(ledger, 0, &id));
    }
    assert_int_equal(ledger_evicted(ledger), FLOOD + HEAVY - MOST);
    /* What has run out goes before what is light: heavy as they were, they are the first now. */
    for (uint32_t i = 0; i < FLOOD; i++) {
        struct prefix id = host(1000000 + i);
        count(ledger, 0, &id, BEGIN_US + 2 * FIND_US + i * 1000, WEIGHT_ONE, FIND_US);
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < HEAVY; i++) {
        struct prefix id = host(i);
        left += find(ledger, 0, &id) != NULL;
    }
    assert_int_equal(left, 0);
    ledger_free(ledger);
}

/* ---- what the store is told ---- */

static void dirty_keys_name_every_change(void **state) {
    (void)state;
    enum { IDS = 200 };
    static const struct failure one = {.weight = WEIGHT_ONE, .attempts = 1};
    struct ledger *ledger = ledger_new(100); /* with evictions */
    static struct counter stored[IDS];
    static bool is_stored[IDS];
    seed = 3;
    for (int round = 0; round < 300; round++) {
        for (uint32_t i = chance(40); i > 0; i--) {
            struct prefix id = host(chance(IDS));
            if (chance(10) == 0)
                ledger_forget(ledger, 0, &id);
            else if (chance(10) == 0)
                ledger_take_back(ledger, 0, &id, &one);
            else
                count(ledger, 0, &id, BEGIN_US + round * SECOND_US, WEIGHT_ONE, FIND_US);
        }
        struct ledger_key key;
        while (ledger_take_dirty(ledger, &key)) {
            uint32_t number = key.id.address.at[14] * 256u + key.id.address.at[15];
            const struct counter *counter = ledger_find(ledger, &key);
            is_stored[number] = counter != NULL;
            if (counter)
                stored[number] = *counter;
        }
        for (uint32_t i = 0; i < IDS; i++) {
            struct prefix id = host(i);
            const struct counter *counter = find(ledger, 0, &id);
            assert_int_equal(counter != NULL, is_stored[i]);
            if (counter)
                assert_true(counter->weight == stored[i].weight &&
                            counter->failures == stored[i].failures &&
                            counter->first_us == stored[i].first_us &&
                            counter->last_us == stored[i].last_us &&
                            counter->began_us == stored[i].began_us);
        }
    }
    ledger_free(ledger);
}

static int64_t find_time(void *context, const struct ledger_key *key) {
    (void)context;
    return key->jail ? 10 * FIND_US : FIND_US;
}

static void a_sweep_drops_what_has_run_out(void **state) {
    (void)state;
    struct ledger *ledger = ledger_new(10);
    struct prefix id = host(1);
    count(ledger, 0, &id, BEGIN_US, WEIGHT_ONE, FIND_US);
    count(ledger, 1, &id, BEGIN_US, WEIGHT_ONE, 10 * FIND_US);
    ledger_sweep(ledger, BEGIN_US + FIND_US, find_time, NULL);
    assert_int_equal(ledger_size(ledger), 2);
    ledger_sweep(ledger, BEGIN_US + FIND_US + 1, find_time, NULL);
    assert_int_equal(ledger_size(ledger), 1);
    assert_non_null(find(ledger, 1, &id));
    ledger_free(ledger);
}

/* ---- known-good ---- */

static bool has_account(const struct known *known, const struct address *address, const char *name,
                        int64_t now_us) {
    struct account account = account_of(span_of(name));
    return known_has_account(known, address, &account, now_us);
}

static void domains_are_told_apart_where_they_are_named(void **state) {
    (void)state;
    static const struct {
        const char *known, *tried;
        bool is_same;
    } cases[] = {{"alice", "Alice", true},
                 {"alice", "alice@example.org", true},
                 {"alice@example.org", "alice", true},
                 {"alice@example.org", "EXAMPLE\\alice", true},
                 {"alice@example.org", "ALICE@Example.org", true},
                 {"info@mine.example", "info@yours.example", false},
                 {"alice", "bob", false},
                 {"alice", "bob@example.org", false},
                 {"alice@example.org", "bob", false},
                 {"alice", "", false},
                 {"", "", false}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct known *known = known_new(10);
        struct prefix id = host(1);
        known_add(known, &id.address, span_of(cases[i].known), BEGIN_US);
        if (has_account(known, &id.address, cases[i].tried, BEGIN_US) != cases[i].is_same)
            fail_msg("%s, %s", cases[i].known, cases[i].tried);
        known_free(known);
    }
}


static void a_success_is_known_for_thirty_days(void **state) {
    (void)state;
    struct known *known = known_new(100);
    struct prefix v4 = host(1);
    struct prefix v6 = {0};
    struct prefix net = {0};
    assert_int_equal(prefix_parse(SPAN("2001:db8:1:2::5"), &v6), 0);
    assert_int_equal(prefix_parse(SPAN("2001:db8:1:2::/64"), &net), 0);
    known_add(known, &v4.address, SPAN("alice"), BEGIN_US);
    known_add(known, &v6.address, SPAN("bob"), BEGIN_US);
    assert_int_equal(known_count_addresses(known), 2);
    assert_true(has_account(known, &v4.address, "alice", BEGIN_US + KNOWN_LIFE_US));
    assert_false(has_account(known, &v4.address, "alice", BEGIN_US + KNOWN_LIFE_US + 1));
    assert_false(has_account(known, &v4.address, "bob", BEGIN_US));
    assert_false(has_account(known, &v4.address, "", BEGIN_US));
    assert_true(known_has_prefix(known, &net, BEGIN_US, NULL));
    static const struct {
        const char *prefix;
        bool is_known;
    } cases[] = {{"2001:db8:1:2::5", true},     {"2001:db8:1:2::6", false},
                 {"2001:db8:1:3::/64", false},  {"2001:db8::/48", false},
                 {"2001:db8::/32", true},       {"2001:db8:1:2::/80", true},
                 {"2001:db8:1:2::4/126", true}, {"2001:db8:1:2::8/126", false}};
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct prefix prefix = {0};
        assert_int_equal(prefix_parse(span_of(cases[i].prefix), &prefix), 0);
        if (known_has_prefix(known, &prefix, BEGIN_US, NULL) != cases[i].is_known)
            fail_msg("%s", cases[i].prefix);
    }
    /* Of several addresses: the first and the last login there, and all of them. */
    struct known_entry entry = {0};
    struct prefix wide = {0};
    assert_int_equal(prefix_parse(SPAN("2001:db8::/32"), &wide), 0);
    assert_int_equal(prefix_parse(SPAN("2001:db8:9::1"), &v6), 0);
    known_add(known, &v6.address, SPAN("carol"), BEGIN_US - HOUR_US);
    known_add(known, &v6.address, SPAN("carol"), BEGIN_US + 5);
    assert_true(known_has_prefix(known, &wide, BEGIN_US, &entry));
    assert_int_equal(entry.successes, 3);
    assert_true(entry.first_us == BEGIN_US - HOUR_US && entry.last_us == BEGIN_US + 5);
    assert_true(known_has_prefix(known, &net, BEGIN_US, &entry));
    assert_int_equal(entry.successes, 1);
    known_forget_account(known, SPAN("Alice"));
    assert_false(has_account(known, &v4.address, "alice", BEGIN_US));
    /* The address had its success all the same. */
    assert_int_equal(known_count_addresses(known), 3);
    known_forget_prefix(known, &v6); /* with its /64 */
    assert_int_equal(known_count_addresses(known), 2);
    assert_false(has_account(known, &v6.address, "carol", BEGIN_US));
    known_sweep(known, BEGIN_US + KNOWN_LIFE_US + 6);
    assert_int_equal(known_count_addresses(known), 0);
    assert_false(known_has_prefix(known, &net, BEGIN_US, NULL));
    known_free(known);
}

/* ---- uses ---- */

static const struct use *use_of(const struct uses *uses, const char *account, const char *service) {
    struct use_key key = {{0}, {0}};
    snprintf(key.account, sizeof(key.account), "%s", account);
    snprintf(key.service, sizeof(key.service), "%s", service);
    return uses_find(uses, &key);
}

static uint32_t count_uses(const struct uses *uses) {
    uint32_t place = 0;
    uint32_t count = 0;
    while (uses_next(uses, &place))
        count++;
    return count;
}

static void logins_are_told_apart_by_account_and_service(void **state) {
    (void)state;
    struct uses *uses = uses_new(100);
    struct use_key key;
    uses_add(uses, SPAN("alice"), SPAN("imap"), SECRECY_SECURED, BEGIN_US);
    uses_add(uses, SPAN("alice"), SPAN("imap"), SECRECY_CLEAR, BEGIN_US - HOUR_US);
    uses_add(uses, SPAN("alice"), SPAN("imap"), SECRECY_CLEAR, BEGIN_US - 2 * HOUR_US);
    uses_add(uses, SPAN("alice"), SPAN("pop3"), SECRECY_SECURED, BEGIN_US);
    uses_add(uses, SPAN("bob"), SPAN("sshd"), SECRECY_UNTOLD, BEGIN_US);
    uses_add(uses, SPAN(""), SPAN("sshd"), SECRECY_UNTOLD, BEGIN_US);
    assert_int_equal(count_uses(uses), 3);
    const struct use *use = use_of(uses, "alice", "imap");
    assert_non_null(use);
    assert_int_equal(use->logins, 3);
    assert_int_equal(use->clear, 2);
    assert_int_equal(use->untold, 0);
    assert_true(use->first_us == BEGIN_US - 2 * HOUR_US && use->last_us == BEGIN_US);
    assert_true(use->clear_us == BEGIN_US - HOUR_US);
    assert_int_equal(use_of(uses, "alice", "pop3")->clear_us, 0);
    assert_int_equal(use_of(uses, "bob", "sshd")->untold, 1);

    /* Each changed one is told once, and again when it changes again or goes. */
    uint32_t told = 0;
    while (uses_take_dirty(uses, &key))
        told++;
    assert_int_equal(told, 3);
    uses_add(uses, SPAN("bob"), SPAN("sshd"), SECRECY_UNTOLD, BEGIN_US + DAY_US);
    uses_forget_account(uses, SPAN("ALICE"));
    assert_int_equal(count_uses(uses), 1);
    for (told = 0; uses_take_dirty(uses, &key); told++)
        assert_true(!uses_find(uses, &key) == (strcmp(key.account, "alice") == 0));
    assert_int_equal(told, 3);

    uses_sweep(uses, BEGIN_US + DAY_US + USE_LIFE_US);
    assert_int_equal(count_uses(uses), 1);
    uses_sweep(uses, BEGIN_US + DAY_US + USE_LIFE_US + 1);
    assert_int_equal(count_uses(uses), 0);
    assert_true(uses_take_dirty(uses, &key));
    uses_free(uses);
}

/* An account as long as an event can have it, of a service as long as there is none. */
static void long_names_are_cut(void **state) {
    (void)state;
    char account[96];
    char service[64];
    struct uses *uses = uses_new(10);
    uint32_t place = 0;
    memset(account, 'a', sizeof(account));
    memset(service, 's', sizeof(service));
    uses_add(uses, (struct span){account, sizeof(account)}, (struct span){service, sizeof(service)},
             SECRECY_UNTOLD, BEGIN_US);
    const struct use *use = uses_next(uses, &place);
    assert_int_equal(strlen(use->key.account), sizeof(account));
    assert_int_equal(strlen(use->key.service), USE_SERVICE_MAX - 1);
    struct uses *restored = uses_new(10);
    assert_true(uses_restore(restored, use));
    assert_non_null(uses_find(restored, &use->key));
    uses_free(restored);
    uses_free(uses);
}

static void full_of_uses_the_longest_unused_go(void **state) {
    (void)state;
    struct uses *uses = uses_new(300);
    for (uint32_t i = 0; i < 5000; i++) {
        char account[16];
        snprintf(account, sizeof(account), "a%u", i);
        uses_add(uses, span_of(account), SPAN("imap"), SECRECY_SECURED, BEGIN_US + i * SECOND_US);
        uses_add(uses, SPAN("daily"), SPAN("imap"), SECRECY_SECURED, BEGIN_US + i * SECOND_US);
        assert_non_null(use_of(uses, "daily", "imap"));
    }
    assert_int_equal(count_uses(uses), 300);
    uses_free(uses);
}

static void a_full_memory_forgets_the_oldest(void **state) {
    (void)state;
    struct known *known = known_new(300);
    struct prefix often = host(1);
    for (uint32_t i = 0; i < 5000; i++) {
        struct prefix id = host(100 + i);
        known_add(known, &id.address, SPAN("x"), BEGIN_US + i * SECOND_US);
        known_add(known, &often.address, SPAN("x"), BEGIN_US + i * SECOND_US);
        assert_true(known_has_prefix(known, &often, BEGIN_US + i * SECOND_US, NULL));
    }
    assert_true(known_count_addresses(known) <= 300);
    known_free(known);
}

/* ---- joins ---- */

/* A line of service "a", about one account at one address. */
static struct join_line line_of(const char *session, const char *account, uint16_t attempts) {
    return (struct join_line){.service = SPAN("a"), .session = span_of(session),
                              .account = span_of(account), .address = host(1).address,
                              .attempts = attempts, .at_us = BEGIN_US};
}

static uint32_t weigh(struct joins *joins, const char *session, uint16_t attempts) {
    struct join_line line = line_of(session, "bob", attempts);
    return joins_weigh(joins, &line);
}

static void a_sum_counts_only_what_is_left(void **state) {
    (void)state;
    struct joins *joins = joins_new(100);
    assert_int_equal(weigh(joins, "session", 0), 1);
    assert_int_equal(weigh(joins, "session", 0), 1);
    assert_int_equal(weigh(joins, "session", 3), 1);
    assert_int_equal(weigh(joins, "session", 3), 0);
    assert_int_equal(weigh(joins, "session", 9), 2); /* five at most */
    /* The sum is of all accounts that were tried. */
    struct join_line line = line_of("session", "alice", 5);
    assert_int_equal(joins_weigh(joins, &line), 0);
    /* Another service, address or session, and none at all. */
    line = line_of("session", "bob", 3);
    line.service = SPAN("b");
    assert_int_equal(joins_weigh(joins, &line), 3);
    line = line_of("session", "bob", 3);
    line.address = host(2).address;
    assert_int_equal(joins_weigh(joins, &line), 3);
    line = line_of("ession", "bob", 3);
    line.service = SPAN("as");
    assert_int_equal(joins_weigh(joins, &line), 3);
    assert_int_equal(weigh(joins, "", 3), 3);
    assert_int_equal(weigh(joins, "", 3), 3);
    /* Its life over, it counts in full again. */
    line = line_of("session", "bob", 5);
    line.at_us = BEGIN_US + JOIN_LIFE_US;
    assert_int_equal(joins_weigh(joins, &line), 0);
    line.at_us = BEGIN_US + 2 * JOIN_LIFE_US + 1;
    assert_int_equal(joins_weigh(joins, &line), 5);
    joins_free(joins);
}

static void a_login_takes_one_back_of_its_account(void **state) {
    (void)state;
    struct joins *joins = joins_new(100);
    struct join_line bob = line_of("session", "bob", 0);
    struct join_line alice = line_of("session", "alice", 0);
    assert_int_equal(joins_take_back(joins, &bob), 0);
    assert_int_equal(joins_weigh(joins, &bob), 1);
    assert_int_equal(joins_take_back(joins, &alice), 0);
    assert_int_equal(joins_take_back(joins, &bob), 1);
    assert_int_equal(joins_take_back(joins, &bob), 0);
    /* What was taken back is not told again, and what was not is. */
    assert_int_equal(joins_weigh(joins, &bob), 1);
    assert_int_equal(weigh(joins, "session", 2), 1);
    joins_free(joins);
}

static void what_several_databases_say_is_one_attempt(void **state) {
    (void)state;
    enum { SQL = 1, PAM = 32, FILE = 7 };
    static const struct {
        int64_t after_us;
        uint8_t database;
        const char *account;
        uint32_t weight;
    } cases[] = {
        {0, SQL, "bob", 1},
        {2 * SECOND_US, PAM, "bob", 0},         /* PAM takes its time */
        {100, FILE, "bob", 0},
        {100, FILE, "alice", 1},                /* another account is another attempt */
        {2 * SECOND_US, SQL, "bob", 1},         /* the first one again: a new attempt */
        {SECOND_US, SQL, "bob", 0},             /* two of a kind, one attempt */
        {0, 0, "bob", 1},                       /* a line that names no database */
        {0, 0, "bob", 1},
        {0, SQL, "bob", 1},
        {11 * SECOND_US, PAM, "bob", 1},        /* too late to be the same */
    };
    struct joins *joins = joins_new(100);
    int64_t at_us = BEGIN_US;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct join_line line = line_of("session", cases[i].account, 0);
        line.database = cases[i].database;
        line.at_us = at_us += cases[i].after_us;
        if (joins_weigh(joins, &line) != cases[i].weight)
            fail_msg("case %zu", i);
    }
    joins_free(joins);
}

static void a_flood_of_sessions_is_counted_all_the_same(void **state) {
    (void)state;
    struct joins *joins = joins_new(100);
    char text[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "s%d", i);
        assert_int_equal(weigh(joins, text, i % 2 ? 2 : 0), i % 2 ? 2 : 1);
    }
    joins_free(joins);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_fail2bans),
        cmocka_unit_test(an_event_out_of_order_counts_and_moves_no_time),
        cmocka_unit_test(a_record_begins_anew_after_findtime),
        cmocka_unit_test(jails_count_apart),
        cmocka_unit_test(a_full_memory_of_mistakes_goes_on_folding),
        cmocka_unit_test(the_heavy_ones_outlive_a_flood),
        cmocka_unit_test(dirty_keys_name_every_change),
        cmocka_unit_test(a_sweep_drops_what_has_run_out),
        cmocka_unit_test(domains_are_told_apart_where_they_are_named),
        cmocka_unit_test(a_success_is_known_for_thirty_days),
        cmocka_unit_test(logins_are_told_apart_by_account_and_service),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(full_of_uses_the_longest_unused_go),
        cmocka_unit_test(a_full_memory_forgets_the_oldest),
        cmocka_unit_test(a_sum_counts_only_what_is_left),
        cmocka_unit_test(a_login_takes_one_back_of_its_account),
        cmocka_unit_test(what_several_databases_say_is_one_attempt),
        cmocka_unit_test(a_flood_of_sessions_is_counted_all_the_same),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
