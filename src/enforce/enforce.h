/* The kernel's side: table inet hauberk, its sets and chain, and the cutting of what is already
 * connected. Speaks netlink itself (libmnl, libnftnl batches; no nft process). Used by the enforcer
 * role, and by the command line when no hauberkd runs (lift, drop, list).
 *
 * What it keeps in the kernel (DESIGN 3 "Enforce", 9):
 *   table inet hauberk, comment "made by hauberk; hauberk pause 1h lifts it"
 *     set exempt4, exempt6           interval sets without timeouts
 *     per scope S: S_4, S_6          hash sets of single addresses with timeouts
 *                  S_6_64            hash set of /64 networks (keys with the low half zero)
 *                  S_4_nets, S_6_nets  interval sets for every other prefix length
 *     chain guard { type filter hook prerouting priority -150; policy accept; }
 *       iif lo return; established and related packets towards us return; answers to connections
 *       of ours return (all but TCP to our ports below 1024, see nft_skeleton.c); exempt return;
 *       per scope and set: tcp dport {ranges} saddr @set counter drop
 *       (scope `all`: ct direction original saddr @set counter drop, any protocol;
 *       a shadow scope: no rules, so its elements refuse nothing)
 *     Several ranges of ports are an anonymous set of the rule.
 *
 * Addresses are bytes, times int64 µs UTC; errors are -errno with a sentence in reterr_why. All
 * calls are synchronous; none sleeps. Kernel facts: nf_tables(7) UAPI linux/netfilter/nf_tables.h,
 * sock_diag(7), rtnetlink(7).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/why.h"
#include "config/scopes.h" /* struct scope: which ports */

#define UNTIL_PERMANENT INT64_C(-1)

/* One element wanted in the kernel, or no longer wanted. */
struct enforce_order {
    uint16_t scope; /* index into the scopes of enforce_set_scopes() */
    bool is_drop;   /* take it out; fine if it is not there */
    bool cut;       /* after putting: end what is connected (see enforce_cut) */
    struct prefix prefix;
    int64_t until_us; /* UNTIL_PERMANENT: no timeout. One in the past is not put: -ETIME */
};

struct enforce; /* owns its sockets, the exempt list and the scopes */

/* Opens the sockets (this needs CAP_NET_ADMIN); nothing is changed in the kernel yet. */
must_use int enforce_open(struct enforce **ret_enforce, struct why *reterr_why);
struct enforce *enforce_free(struct enforce *enforce); /* the kernel keeps everything */

/* The addresses never to be banned, besides this machine's own addresses and its gateways, which
 * are read from rtnetlink here and again by enforce_read_own() whenever they changed. Replaces an
 * earlier list. At most 4096. */
must_use int enforce_set_exempt(struct enforce *enforce, const struct prefix *prefixes,
                                uint32_t count, struct why *reterr_why);

/* Adds what the kernel's exempt sets hold now, for whoever acts while no hauberkd runs and knows
 * less than it did: its sparings are kept and hold against enforce_apply() too. enforce_spare()
 * then adds to the sets that are there. Returns 1, or 0 where they are not: we have no table. */
must_use int enforce_keep_exempt(struct enforce *enforce, struct why *reterr_why);

/* Adds to the exempt sets until then (kept in memory; never removes another exemption). At most
 * 4096. When it is over it no longer refuses orders; the kernel's sets are tidied by the next
 * enforce_apply(), enforce_spare() or enforce_set_scopes(). */
must_use int enforce_spare(struct enforce *enforce, const struct prefix *prefix, int64_t until_us,
                           struct why *reterr_why);

/* Ends a sparing of exactly that prefix now; other exemptions of it stay. Fine if there is none. */
must_use int enforce_unspare(struct enforce *enforce, const struct prefix *prefix,
                             struct why *reterr_why);

/* Would an order for that prefix be refused? It contains or is contained in an exempt prefix, or
 * is wider than /8 (v4) or /19 (v6). */
bool enforce_is_exempt(const struct enforce *enforce, const struct prefix *prefix);

/* Makes the skeleton as described above, or mends the one that is there, in one transaction in
 * which no element is lost: sets that stay keep their elements, the chain's rules are replaced,
 * sets of scopes that are gone are removed. */
must_use int enforce_set_scopes(struct enforce *enforce, const struct scope *scopes,
                                uint32_t count, struct why *reterr_why);

/* Carries out orders in few batches. ret_results[i] is 0, or -EPERM (exempt or too wide), -ETIME
 * (already over), -EINVAL (no such scope, bits behind the prefix), -EEXIST (overlaps another
 * network of the set), -ENOENT (the set is gone) or the kernel's error; returns 0 when all are
 * done or refused by -EPERM or -ETIME, the first other error otherwise. Of several orders for one
 * element the last holds. A put always sets the timeout anew (add, delete, add in one batch:
 * kernel 6.1 keeps the old timeout on a plain add, and a bare delete of an element that expired
 * meanwhile voids the batch). A batch the kernel refuses is split until the bad order is alone.
 * Prefixes in one *_nets set must not overlap one another: the caller has resolved that. All drops
 * of a call come before its puts, so a network may take the place of those it covers. Orders for
 * networks first read the set they are for. Any number of orders; 100,000 addresses take about a
 * quarter of a second, three times as long while any program in any namespace listens to nf_tables.
 * From 100 orders on the watch descriptor is deaf meanwhile and tells afterwards whether somebody
 * else changed anything. */
must_use int enforce_apply(struct enforce *enforce, const struct enforce_order *orders,
                           uint32_t count, int *ret_results, struct why *reterr_why);

/* Ends what an address of the prefix has open to the scope's ports: destroys TCP sockets (and
 * connected UDP ones) whose *local* port is in the scope and that were accepted here (not our own
 * outgoing connections: those have a local port in no scope, or for scope `all` no listener on the
 * local port), and deletes conntrack entries whose original direction comes from the prefix to
 * such a port. Nothing of an exempt address is ended. A port of 1024 and above, where our own
 * outgoing connections may begin, counts only if something listens there. Returns the number ended
 * (a connection of this machine counts once), or -errno. enforce_apply() does this where `cut` is
 * set, for all orders together; there a failure is logged, for the ban itself holds. */
must_use int enforce_cut(struct enforce *enforce, uint16_t scope, const struct prefix *prefix,
                         struct why *reterr_why);

/* Calls `each` for every element of every set of our scopes. expires_us is absolute, or
 * UNTIL_PERMANENT. Elements of sets that belong to no scope are given with scope == UINT16_MAX.
 * Works before enforce_set_scopes() too (then everything is UINT16_MAX, set_name tells). A table
 * that is not there has no elements; the exempt sets are left out. The kernel walks a set anew for
 * every 32 KiB it hands out: 100,000 elements of one set take 0.3 s, a million 40 s. */
/* `packets`: refused so far by this element. */
typedef void enforce_element_fn(void *context, const char *set_name, uint16_t scope,
                                const struct prefix *prefix, int64_t expires_us,
                                uint64_t packets);
must_use int enforce_list(struct enforce *enforce, enforce_element_fn *each, void *context,
                          struct why *reterr_why);

/* The same for the elements that are, hold or lie in `prefix`. Hash sets are asked for the very key
 * (and the /64 around it), so this is quick however many bans there are. */
must_use int enforce_list_about(struct enforce *enforce, const struct prefix *prefix,
                                enforce_element_fn *each, void *context, struct why *reterr_why);

/* Calls `each` for every named set of other tables that holds the address and that a rule drops or
 * rejects by. Works without scopes. */
typedef void enforce_other_fn(void *context, const char *table, const char *set);
must_use int enforce_list_others(struct enforce *enforce, const struct address *address,
                                 enforce_other_fn *each, void *context, struct why *reterr_why);

/* Packets refused so far by the scope's rules (kept when enforce_set_scopes() writes them anew),
 * all sets together (rule counters; the per-element counter would cost per-CPU memory per ban). */
must_use int enforce_count_refused(struct enforce *enforce, uint16_t scope, uint64_t *ret_packets,
                                   struct why *reterr_why);

/* Deletes the whole table; fine if there is none. */
must_use int enforce_lift(struct enforce *enforce, struct why *reterr_why);

/* Takes `prefix` out of every set of every scope found in the kernel: exactly that prefix, and with
 * `covering` also every element that covers it. Returns how many. For `unban` without a daemon. */
must_use int enforce_drop_everywhere(struct enforce *enforce, const struct prefix *prefix,
                                     bool covering, struct why *reterr_why);

/* Watching: a descriptor that becomes readable when anybody changed an nftables object or our
 * addresses or routes changed. enforce_read_changes() empties it (also after ENOBUFS: then it says
 * both) and tells what matters; our own transactions are recognised by their netlink port id and
 * are not reported; the kernel's own expiry of elements is not reported either. */
int enforce_watch_fd(const struct enforce *enforce);
struct enforce_changes {
    bool table_touched; /* somebody else changed or deleted something in table inet hauberk */
    bool table_gone;    /* the table is no longer there */
    bool own_addresses; /* call enforce_read_own() */
    uint32_t by_port;   /* netlink port id (mostly the pid) of whoever did it, 0 unknown */
};
must_use int enforce_read_changes(struct enforce *enforce, struct enforce_changes *ret_changes,
                                  struct why *reterr_why);

/* Reads own addresses and gateways anew and brings the exempt sets up to date. */
must_use int enforce_read_own(struct enforce *enforce, struct why *reterr_why);

/* The own and gateway addresses last read, and all other exemptions but the sparings, which the
 * decider itself has told: for the decider, which must not even count them. Calls `each` once per
 * prefix. */
void enforce_each_exempt(const struct enforce *enforce,
                         void (*each)(void *context, const struct prefix *prefix, bool is_own),
                         void *context);
