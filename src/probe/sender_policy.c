/* The grammar of RFC 7208, sections 4.6.1, 5 and 6, without evaluating macros.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/sender_policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "base/text.h"

static bool alike(struct span text, const char *word) {
    return text.length == strlen(word) && strncasecmp(text.at, word, text.length) == 0;
}

bool spf_is_one(struct span text) {
    return text.length >= 6 && strncasecmp(text.at, "v=spf1", 6) == 0 &&
           (text.length == 6 || text.at[6] == ' ');
}

static int wrong(struct why *why, struct span term, const char *what) {
    char safe[120];
    safe_copy(safe, sizeof(safe), term);
    return why_set(why, -EINVAL, NULL, 0, "'%s': %s", safe, what);
}

/* Cuts "/24", "//64" or "/24//64" off the end of a target. */
static bool cut_bits(struct span *target, struct spf_term *term) {
    struct span rest = *target;
    struct span name = span_cut(&rest, '/');
    int64_t bits;
    term->v4_bits = 32;
    term->v6_bits = 128;
    if (!rest.at)
        return true;
    *target = name;
    if (rest.length == 0 || rest.at[0] != '/') {
        struct span v4 = span_cut(&rest, '/');
        if (span_to_integer(v4, 0, 32, &bits) < 0)
            return false;
        term->v4_bits = (uint8_t)bits;
        if (!rest.at)
            return true;
    }
    if (rest.length < 2 || rest.at[0] != '/' ||
        span_to_integer(span_skip(rest, 1), 0, 128, &bits) < 0)
        return false;
    term->v6_bits = (uint8_t)bits;
    return true;
}

static bool keep_target(struct span target, struct spf_term *term) {
    if (target.length > 0 && target.at[target.length - 1] == '.')
        target.length--;
    if (target.length == 0 || target.length >= SPF_TARGET_MAX)
        return false;
    for (size_t i = 0; i < target.length; i++) {
        if (!isgraph((unsigned char)target.at[i]))
            return false;
        term->has_macro = term->has_macro || target.at[i] == '%';
        term->target[i] = (char)tolower((unsigned char)target.at[i]);
    }
    term->target[target.length] = '\0';
    return term->has_macro || strchr(term->target, '.') != NULL;
}

/* What follows the mechanism's name, the colon still before it. */
static int read_operand(struct span whole, struct span rest, struct spf_term *term,
                        struct why *why) {
    bool has_target = rest.length > 0 && rest.at[0] == ':';
    struct span target = has_target ? span_skip(rest, 1) : rest;
    switch (term->what) {
    case SPF_ALL:
        return rest.length ? wrong(why, whole, "nothing may follow 'all'") : 0;
    case SPF_IP4:
    case SPF_IP6:
        if (!has_target || prefix_parse(target, &term->prefix) < 0 ||
            prefix_is_v4(&term->prefix) != (term->what == SPF_IP4))
            return wrong(why, whole, "that is no address or network of this family");
        return 0;
    case SPF_A:
    case SPF_MX:
        if (!cut_bits(&target, term))
            return wrong(why, whole, "that is no prefix length");
        if ((has_target && !keep_target(target, term)) || (!has_target && target.length > 0))
            return wrong(why, whole, "that is no domain");
        return 0;
    case SPF_PTR:
        if ((has_target && !keep_target(target, term)) || (!has_target && target.length > 0))
            return wrong(why, whole, "that is no domain");
        return 0;
    case SPF_INCLUDE:
    case SPF_EXISTS:
    case SPF_REDIRECT:
        if (!has_target || !keep_target(target, term))
            return wrong(why, whole, "a domain is missing");
        return 0;
    }
    return 0;
}

static int read_mechanism(struct span word, struct spf_term *term, struct why *why) {
    static const char *const names[] = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"};
    struct span rest = word;
    *term = (struct spf_term){.qualifier = '+'};
    if (rest.length > 0 && strchr("+-~?", rest.at[0])) {
        term->qualifier = rest.at[0];
        rest = span_skip(rest, 1);
    }
    size_t length = 0;
    while (length < rest.length && isalnum((unsigned char)rest.at[length]))
        length++;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        if (alike((struct span){rest.at, length}, names[i])) {
            term->what = (enum spf_what)i;
            return read_operand(word, span_skip(rest, length), term, why);
        }
    return wrong(why, word, "SPF knows no such word");
}

/* "redirect=x", "exp=x", and any other name, which is to be passed over (RFC 7208, 6). */
static bool is_modifier(struct span word, struct span *ret_name, struct span *ret_value) {
    size_t length = 0;
    while (length < word.length &&
           (isalnum((unsigned char)word.at[length]) || strchr("-_.", word.at[length])))
        length++;
    if (length == 0 || length == word.length || word.at[length] != '=' ||
        !isalpha((unsigned char)word.at[0]))
        return false;
    *ret_name = (struct span){word.at, length};
    *ret_value = span_skip(word, length + 1);
    return true;
}

int spf_read(struct span text, struct spf *ret_spf, struct why *reterr_why) {
    unsigned redirects = 0;
    ret_spf->count = 0;
    if (!spf_is_one(text))
        return why_set(reterr_why, -EINVAL, NULL, 0, "it does not begin with v=spf1");
    text = span_skip(text, 6);
    for (struct span word; (word = span_word(&text)).length > 0;) {
        struct span name;
        struct span value;
        struct spf_term term = {.what = SPF_REDIRECT, .qualifier = '+'};
        bool modifies = is_modifier(word, &name, &value);
        if (modifies && !alike(name, "redirect"))
            continue;
        if (modifies && (!keep_target(value, &term) || ++redirects > 1))
            return wrong(reterr_why, word, "one redirect, with a domain, is allowed");
        int error = modifies ? 0 : read_mechanism(word, &term, reterr_why);
        if (error < 0)
            return error;
        if (ret_spf->count == SPF_TERMS_MOST)
            return why_set(reterr_why, -EINVAL, NULL, 0, "more than %d terms", SPF_TERMS_MOST);
        ret_spf->terms[ret_spf->count++] = term;
    }
    return 0;
}

bool spf_term_asks(const struct spf_term *term) {
    return term->what != SPF_ALL && term->what != SPF_IP4 && term->what != SPF_IP6;
}

char spf_all(const struct spf *spf) {
    char all = 0;
    for (size_t i = 0; i < spf->count; i++) {
        if (spf->terms[i].what == SPF_ALL)
            return spf->terms[i].qualifier;
        if (spf->terms[i].what == SPF_REDIRECT)
            all = '>';
    }
    return all;
}
