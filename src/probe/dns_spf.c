/* What an SPF record means: how much it makes a receiver ask, and whether it lets this machine
 * send. The limits are RFC 7208's, 4.6.4: ten terms that ask, two that find nothing. Each record is
 * followed as far as a receiver would follow it and a little farther, so that the number told is
 * the number wanted, not "more than ten"; never endlessly.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/dns_say.h"
#include "probe/sender_policy.h"

enum { ASKS_MOST = 10, COUNTED_MOST = 40, DEPTH_MOST = 12, MX_MOST = 10 };

/* The record of a domain. 1 found and read; 0 none; -EINVAL wrong: `why`; -EAGAIN not known. */
static int find_policy(struct dns_look *at, const char *domain, struct spf *ret_spf,
                       struct text *ret_text, size_t *ret_count, struct why *why) {
    const struct dns_answer *answer = dns_ask(at->dns, domain, DNS_TXT);
    size_t count = 0;
    if (answer->state == DNS_PENDING || answer->state == DNS_FAILED)
        return -EAGAIN;
    for (size_t i = 0; i < answer->count; i++) {
        cleanup_text struct text one = {0};
        if (!record_txt(answer->records[i], &one) || !spf_is_one(text_span(&one)))
            continue;
        if (count++ == 0)
            text_add(ret_text, text_span(&one));
    }
    *ret_count = count;
    if (count == 0)
        return 0;
    if (count > 1)
        return why_set(why, -EINVAL, NULL, 0, "%s has %zu of them", domain, count);
    int error = spf_read(text_span(ret_text), ret_spf, why);
    return error < 0 ? error : 1;
}

static const char *target_of(const struct spf_term *term, const char *domain) {
    return term->target[0] ? term->target : domain;
}

/* ---- how much it asks ---- */

struct weight {
    unsigned asks, voids;
    char why[200]; /* what makes a receiver give up; "" nothing */
};

static bool finds_nothing(struct dns_look *at, const struct spf_term *term, const char *domain) {
    const char *target = target_of(term, domain);
    enum dns_state first = dns_ask(at->dns, target, term->what == SPF_MX ? DNS_MX : DNS_A)->state;
    enum dns_state second = term->what == SPF_A ? dns_ask(at->dns, target, DNS_AAAA)->state
                                                : DNS_EMPTY;
    return (first == DNS_EMPTY || first == DNS_NO_NAME) &&
           (second == DNS_EMPTY || second == DNS_NO_NAME);
}

static void weigh(struct dns_look *at, const char *domain, unsigned depth, struct weight *weight);

static void weigh_other(struct dns_look *at, const struct spf_term *term, unsigned depth,
                        struct weight *weight) {
    const struct dns_answer *answer = dns_ask(at->dns, term->target, DNS_TXT);
    cleanup_text struct text text = {0};
    struct why why = {0};
    struct spf *spf = malloc(sizeof(*spf));
    size_t count;
    must(spf);
    weight->voids += answer->state == DNS_EMPTY || answer->state == DNS_NO_NAME;
    int found = find_policy(at, term->target, spf, &text, &count, &why);
    free(spf);
    if (found == 0 && !weight->why[0])
        snprintf(weight->why, sizeof(weight->why), "%.150s has no SPF record", term->target);
    if (found == -EINVAL && !weight->why[0])
        snprintf(weight->why, sizeof(weight->why), "%.80s: %.100s", term->target, why.text);
    if (found == 1)
        weigh(at, term->target, depth + 1, weight);
}

static void weigh(struct dns_look *at, const char *domain, unsigned depth, struct weight *weight) {
    cleanup_text struct text text = {0};
    struct why why = {0};
    size_t count;
    struct spf *spf = malloc(sizeof(*spf));
    must(spf);
    if (find_policy(at, domain, spf, &text, &count, &why) != 1)
        spf->count = 0;
    bool has_all = spf_all(spf) && spf_all(spf) != '>';
    for (size_t i = 0; i < spf->count && weight->asks < COUNTED_MOST; i++) {
        const struct spf_term *term = &spf->terms[i];
        if (!spf_term_asks(term) || (term->what == SPF_REDIRECT && has_all))
            continue;
        weight->asks++;
        if (term->has_macro || depth == DEPTH_MOST)
            continue;
        if (term->what == SPF_INCLUDE || term->what == SPF_REDIRECT)
            weigh_other(at, term, depth, weight);
        else if (term->what == SPF_A || term->what == SPF_MX || term->what == SPF_EXISTS)
            weight->voids += finds_nothing(at, term, domain);
    }
    free(spf);
}

/* ---- whom it lets send ---- */

enum verdict { PASS, FAIL, SOFT_FAIL, NEUTRAL, NONE, ERROR, UNKNOWN, MACRO };
static const char *const verdict_names[] = {
    "pass", "fail", "softfail", "neutral", "none", "error", "unknown", "macro",
};

static enum verdict verdict_of(char qualifier) {
    return qualifier == '+'   ? PASS
           : qualifier == '-' ? FAIL
           : qualifier == '~' ? SOFT_FAIL
                              : NEUTRAL;
}

/* Does a name have an address in the same network of that many bits? */
static bool has_near_address(struct dns_look *at, const char *name, const struct address *address,
                             const struct spf_term *term) {
    bool is_v4 = address_is_v4(address);
    const struct dns_answer *answer = dns_ask(at->dns, name, is_v4 ? DNS_A : DNS_AAAA);
    struct prefix prefix = prefix_cut(address, is_v4 ? term->v4_bits : term->v6_bits);
    for (size_t i = 0; i < answer->count; i++) {
        struct address one;
        if (record_address(answer->records[i], &one) && address_is_v4(&one) == is_v4 &&
            prefix_holds(&prefix, &one))
            return true;
    }
    return false;
}

static bool has_near_mx(struct dns_look *at, const char *name, const struct address *address,
                        const struct spf_term *term) {
    const struct dns_answer *answer = dns_ask(at->dns, name, DNS_MX);
    bool is_near = false;
    for (size_t i = 0; i < answer->count && i < MX_MOST; i++) {
        unsigned preference;
        char host[DNS_NAME_MAX];
        is_near = (record_mx(answer->records[i], &preference, host) &&
                   has_near_address(at, host, address, term)) ||
                  is_near;
    }
    return is_near;
}

static enum verdict judge(struct dns_look *at, const char *domain, const struct address *address,
                          unsigned *asks, unsigned depth);

/* 1: the term is about that address; 0: not; else a verdict that ends it, negated. */
static int matches(struct dns_look *at, const struct spf_term *term, const char *domain,
                   const struct address *address, unsigned *asks, unsigned depth) {
    const char *target = target_of(term, domain);
    if (spf_term_asks(term) && ++*asks > ASKS_MOST)
        return -ERROR;
    if (term->has_macro || term->what == SPF_PTR)
        return -MACRO;
    switch (term->what) {
    case SPF_ALL:
        return 1;
    case SPF_IP4:
    case SPF_IP6:
        return prefix_holds(&term->prefix, address);
    case SPF_A:
        return has_near_address(at, target, address, term);
    case SPF_MX:
        return has_near_mx(at, target, address, term);
    case SPF_EXISTS:
        return dns_ask(at->dns, target, DNS_A)->count > 0;
    case SPF_INCLUDE: {
        enum verdict verdict = judge(at, target, address, asks, depth + 1);
        return verdict == PASS                                                 ? 1
               : verdict == FAIL || verdict == SOFT_FAIL || verdict == NEUTRAL ? 0
               : verdict == NONE                                               ? -ERROR
                                                                               : -(int)verdict;
    }
    case SPF_PTR:
    case SPF_REDIRECT:
        break;
    }
    return 0;
}

static enum verdict judge(struct dns_look *at, const char *domain, const struct address *address,
                          unsigned *asks, unsigned depth) {
    cleanup_text struct text text = {0};
    struct why why = {0};
    size_t count;
    struct spf *spf = malloc(sizeof(*spf));
    must(spf);
    int found = depth < DEPTH_MOST ? find_policy(at, domain, spf, &text, &count, &why) : -EINVAL;
    enum verdict verdict = found == 1         ? NEUTRAL
                           : found == 0       ? NONE
                           : found == -EAGAIN ? UNKNOWN
                                              : ERROR;
    const struct spf_term *redirect = NULL;
    for (size_t i = 0; found == 1 && i < spf->count; i++) {
        const struct spf_term *term = &spf->terms[i];
        if (term->what == SPF_REDIRECT) {
            redirect = term;
            continue;
        }
        int is_so = matches(at, term, domain, address, asks, depth);
        if (is_so != 0) {
            verdict = is_so > 0 ? verdict_of(term->qualifier) : (enum verdict) - is_so;
            redirect = NULL;
            break;
        }
    }
    if (redirect)
        verdict = ++*asks > ASKS_MOST   ? ERROR
                  : redirect->has_macro ? MACRO
                                        : judge(at, redirect->target, address, asks, depth + 1);
    free(spf);
    return verdict;
}

/* ---- saying ---- */

static void say_covers(struct dns_look *at, const char *domain) {
    for (size_t i = 0; i < at->names->sender_count; i++) {
        char subject[DNS_NAME_MAX + PREFIX_TEXT_MAX + 2];
        char printed[PREFIX_TEXT_MAX];
        unsigned asks = 0;
        enum verdict verdict = judge(at, domain, &at->names->senders[i], &asks, 0);
        snprintf(subject, sizeof(subject), "%s %s", domain,
                 address_format(&at->names->senders[i], printed));
        if (verdict != UNKNOWN)
            look_say_text(at->look, "spf.covers", subject, verdict_names[verdict]);
    }
}

void dns_say_spf(struct dns_look *at, const char *domain, bool sends) {
    const struct dns_answer *answer;
    cleanup_text struct text text = {0};
    struct why why = {0};
    struct weight weight = {0};
    size_t count = 0;
    struct spf *spf = malloc(sizeof(*spf));
    must(spf);
    spf->count = 0;
    answer = dns_ask(at->dns, domain, DNS_SPF); /* many servers have forgotten the type */
    if (answer->state != DNS_PENDING && answer->state != DNS_FAILED)
        look_say_text(at->look, "spf.type99", domain, answer->count ? "yes" : "no");
    if (dns_known(at, "spf", domain, domain, DNS_TXT, &answer)) {
        int found = find_policy(at, domain, spf, &text, &count, &why);
        look_say_text(at->look, "spf", domain, count ? text.at : "none");
        look_say_format(at->look, "spf.records", domain, "%zu", count);
        if (found == 1)
            weigh(at, domain, 0, &weight);
        if (found != 0 && count == 1) {
            char all = spf_all(spf);
            look_say_text(at->look, "spf.error", domain,
                          found < 0       ? why.text
                          : weight.why[0] ? weight.why
                                          : "none");
            look_say_format(at->look, "spf.lookups", domain, "%u", weight.asks);
            look_say_format(at->look, "spf.voids", domain, "%u", weight.voids);
            if (found == 1)
                look_say_text(at->look, "spf.all", domain,
                              all == '-'   ? "fail"
                              : all == '~' ? "softfail"
                              : all == '?' ? "neutral"
                              : all == '+' ? "pass"
                              : all == '>' ? "redirect"
                                           : "none");
            if (sends)
                say_covers(at, domain);
        }
    }
    free(spf);
}
