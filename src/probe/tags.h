/* The texts that say "tag=value; tag=value" in the DNS: DMARC, DKIM keys, MTA-STS, TLS reports; and
 * the policy file of MTA-STS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"
#include "base/why.h"

/* The next tag of *list. False at the end; what has no "=" comes as a name without value (.at
 * NULL). */
bool tag_next(struct span *list, struct span *ret_name, struct span *ret_value);
/* The value of a tag; .at NULL when there is none. */
struct span tag_value(struct span list, const char *name);
/* Does its first tag say `name`=`value`? That is how the records of each kind are known. */
bool tags_begin(struct span list, const char *name, const char *value);
/* -EINVAL for a text without "=" between two semicolons, or a tag that is there twice. */
must_use int tags_check(struct span list, struct why *reterr_why);

struct dmarc {
    struct span policy, subdomains, absent; /* p, sp, np: as in effect when one is left out */
    struct span reports;                    /* rua; .at NULL: none */
    unsigned percent;
    bool is_test; /* t=y */
};
/* RFC 7489 and its successor RFC 9989. */
must_use int dmarc_read(struct span text, struct dmarc *ret_dmarc, struct why *reterr_why);
/* The next address of a list of "mailto:a@b!10m": the part behind the @ in small letters. False at
 * the end; "" for what is no mail address. */
bool report_domain(struct span *list, char into[256]);

struct dkim {
    struct span type, hashes; /* "rsa" when not said; hashes .at NULL: all */
    bool is_test, is_revoked; /* t=y; p= empty */
    uint8_t key[4096];        /* p, decoded */
    size_t key_length;
};
/* RFC 6376, 3.6.1; RFC 8463. */
must_use int dkim_read(struct span text, struct dkim *ret_dkim, struct why *reterr_why);

/* v=STSv1; id=… (RFC 8461, 3.1) and v=TLSRPTv1; rua=… (RFC 8460, 3). */
must_use int sts_read(struct span text, struct why *reterr_why);
must_use int tls_reports_read(struct span text, struct why *reterr_why);

struct sts_policy {
    struct span mode; /* enforce, testing, none */
    unsigned max_age_sec;
    char hosts[2000]; /* as written, separated by commas */
};
must_use int sts_read_policy(struct span file, struct sts_policy *ret_policy,
                             struct why *reterr_why);
/* Is that MX among its hosts ("*.example.org" stands for one more label)? */
bool sts_covers(const struct sts_policy *policy, const char *host);
