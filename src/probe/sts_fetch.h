/* The policy files of MTA-STS: https://mta-sts.DOMAIN/.well-known/mta-sts.txt, of domains whose
 * name leads to this very machine. A policy that lies elsewhere is not fetched: the audit speaks to
 * nobody but this machine and its resolver.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/dns_say.h"

struct sts_file {
    char domain[DNS_NAME_MAX];
    int error; /* -errno, with `why`; 0: the text */
    char why[400];
    char text[8192]; /* RFC 8461 lets a client stop at 64 KiB; nobody's is longer than this */
};

struct sts_fetched {
    struct sts_file files[8];
    size_t count;
};

/* Of all domains that have an MTA-STS record; true when there was one to fetch. */
bool sts_fetch_all(struct dns_look *at, struct sts_fetched *ret_fetched);
const struct sts_file *sts_find(const struct sts_fetched *fetched, const char *domain);
