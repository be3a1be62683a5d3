/* The parts of the DNS probe. Each says all it can of one subject with what is known by now, and is
 * asked again when more is (probe/dns.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/dns_records.h"
#include "probe/mail_names.h"

struct dns_look {
    struct look *look;
    struct dns *dns;
    const struct mail_names *names;
    const struct sts_fetched *fetched; /* probe/sts_fetch.h */
};

/* Asks, and is true when the answer is known. When nobody could answer: says so of `key` and of the
 * question, and is false. */
bool dns_known(struct dns_look *at, const char *key, const char *subject, const char *name,
               enum dns_type type, const struct dns_answer **ret_answer);

/* Is the address among the A or AAAA records of that name? */
bool dns_has_address(struct dns_look *at, const char *name, const struct address *address);

/* Does that name lead to this machine? 1, 0, or -EAGAIN when nobody can know (it has no address of
 * its own that the internet could reach, or the answer is not there). */
int dns_is_here(struct dns_look *at, const char *name);

/* The first TXT record that begins with `head` (a version, "v=DMARC1"), appended; how many do. */
size_t dns_text_of(const struct dns_answer *answer, const char *head, struct text *text);

/* A host that mail goes to or comes from: addresses, alias, DNSSEC, TLSA, CAA. */
void dns_say_host(struct dns_look *at, const char *host);
/* An address that mail is sent from: PTR and back, and blocklists. */
void dns_say_address(struct dns_look *at, const struct address *address);
/* A domain of mail. */
void dns_say_domain(struct dns_look *at, const struct mail_domain *domain);
/* SPF of a domain or of the host's own name; sends: does this machine send in its name? */
void dns_say_spf(struct dns_look *at, const char *domain, bool sends);
/* Scripts and cron tables of root's that ask a blocklist for an address as it is written, and so
 * never find it. */
void dns_say_scripts(struct look *look, const struct mail_names *names);
/* A DKIM key that this machine signs with. */
void dns_say_key(struct dns_look *at, const struct mail_key *key);
