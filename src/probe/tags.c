/* Strict where a receiver is: a record that a receiver passes over is wrong here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/tags.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

static bool alike(struct span text, const char *word) {
    return text.length == strlen(word) && strncasecmp(text.at, word, text.length) == 0;
}

static bool one_of(struct span text, const char *const words[], size_t count) {
    for (size_t i = 0; i < count; i++)
        if (alike(text, words[i]))
            return true;
    return false;
}

static int wrong(struct why *why, const char *what, struct span value) {
    char safe[120];
    safe_copy(safe, sizeof(safe), value);
    return why_set(why, -EINVAL, NULL, 0, "%s '%s'", what, safe);
}

/* ---- tags ---- */

bool tag_next(struct span *list, struct span *ret_name, struct span *ret_value) {
    while (list->at && list->length > 0) {
        struct span value = span_trim(span_cut(list, ';'));
        if (value.length == 0)
            continue;
        *ret_name = span_trim(span_cut(&value, '='));
        *ret_value = value.at ? span_trim(value) : value;
        return true;
    }
    return false;
}

struct span tag_value(struct span list, const char *name) {
    struct span tag;
    struct span value;
    while (tag_next(&list, &tag, &value))
        if (alike(tag, name))
            return value;
    return (struct span){0};
}

bool tags_begin(struct span list, const char *name, const char *value) {
    struct span tag;
    struct span first;
    return tag_next(&list, &tag, &first) && alike(tag, name) && first.at && span_is(first, value);
}

int tags_check(struct span list, struct why *reterr_why) {
    enum { TAGS_MOST = 64 };
    struct span seen[TAGS_MOST];
    size_t count = 0;
    struct span tag;
    struct span value;
    while (tag_next(&list, &tag, &value)) {
        if (!value.at)
            return wrong(reterr_why, "there is no '=' in", tag);
        for (size_t i = 0; i < count; i++)
            if (span_equals(seen[i], tag))
                return wrong(reterr_why, "there twice:", tag);
        if (count == TAGS_MOST)
            return why_set(reterr_why, -EINVAL, NULL, 0, "more than %d tags", TAGS_MOST);
        seen[count++] = tag;
    }
    return 0;
}

/* ---- DMARC ---- */

static int read_policy(struct span text, const char *name, struct span fallback,
                       struct span *ret_policy, struct why *why) {
    static const char *const policies[] = {"none", "quarantine", "reject"};
    struct span value = tag_value(text, name);
    *ret_policy = value.at ? value : fallback;
    if (!ret_policy->at)
        return why_set(why, -EINVAL, NULL, 0, "it has no p=");
    if (!one_of(*ret_policy, policies, ELEMENTS_OF(policies)))
        return wrong(why, "a policy is none, quarantine or reject, not", *ret_policy);
    return 0;
}

int dmarc_read(struct span text, struct dmarc *ret_dmarc, struct why *reterr_why) {
    *ret_dmarc = (struct dmarc){.percent = 100};
    if (!tags_begin(text, "v", "DMARC1"))
        return why_set(reterr_why, -EINVAL, NULL, 0, "it does not begin with v=DMARC1");
    int error = tags_check(text, reterr_why);
    if (error >= 0)
        error = read_policy(text, "p", (struct span){0}, &ret_dmarc->policy, reterr_why);
    if (error >= 0)
        error = read_policy(text, "sp", ret_dmarc->policy, &ret_dmarc->subdomains, reterr_why);
    if (error >= 0)
        error = read_policy(text, "np", ret_dmarc->subdomains, &ret_dmarc->absent, reterr_why);
    struct span percent = tag_value(text, "pct");
    int64_t number = 100;
    if (error >= 0 && percent.at && span_to_integer(percent, 0, 100, &number) < 0)
        error = wrong(reterr_why, "pct is from 0 to 100, not", percent);
    ret_dmarc->percent = (unsigned)number;
    ret_dmarc->is_test = alike(tag_value(text, "t"), "y");
    ret_dmarc->reports = tag_value(text, "rua");
    if (error >= 0 && ret_dmarc->reports.at && ret_dmarc->reports.length == 0)
        error = why_set(reterr_why, -EINVAL, NULL, 0, "rua= is empty");
    return error;
}

bool report_domain(struct span *list, char into[256]) {
    if (!list->at || list->length == 0)
        return false;
    struct span one = span_trim(span_cut(list, ','));
    struct span domain = one;
    into[0] = '\0';
    (void)span_cut(&domain, '@');
    domain = domain.at ? span_cut(&domain, '!') : domain;
    if (one.length < 7 || strncasecmp(one.at, "mailto:", 7) != 0 || domain.length == 0 ||
        domain.length >= 256)
        return true;
    for (size_t i = 0; i < domain.length; i++) {
        char c = (char)tolower((unsigned char)domain.at[i]);
        if (!isalnum((unsigned char)c) && !strchr("-._", c)) {
            into[0] = '\0';
            return true;
        }
        into[i] = c;
        into[i + 1] = '\0';
    }
    return true;
}

/* ---- DKIM ---- */

static int base64_value(char c) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? (int)(at - letters) : -1;
}

/* With blanks anywhere, as keys in zone files have them. The length, or -EINVAL. */
static ssize_t decode_base64(struct span text, uint8_t *into, size_t room) {
    uint32_t bits = 0;
    unsigned held = 0;
    size_t length = 0;
    bool is_over = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        int value = base64_value(c);
        if (isspace((unsigned char)c))
            continue;
        if (c == '=') {
            is_over = true;
            continue;
        }
        if (value < 0 || is_over)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (length == room)
            return -EINVAL;
        into[length++] = (uint8_t)(bits >> held);
    }
    return held < 6 ? (ssize_t)length : -EINVAL;
}

static bool list_has(struct span list, const char *word) {
    while (list.at && list.length > 0)
        if (alike(span_trim(span_cut(&list, ':')), word))
            return true;
    return false;
}

int dkim_read(struct span text, struct dkim *ret_dkim, struct why *reterr_why) {
    ret_dkim->key_length = 0;
    struct span version = tag_value(text, "v");
    struct span key = tag_value(text, "p");
    struct span type = tag_value(text, "k");
    struct span services = tag_value(text, "s");
    ret_dkim->type = type.at ? type : SPAN("rsa");
    ret_dkim->hashes = tag_value(text, "h");
    ret_dkim->is_test = list_has(tag_value(text, "t"), "y");
    ret_dkim->is_revoked = key.at && key.length == 0;
    int error = tags_check(text, reterr_why);
    if (error < 0)
        return error;
    if (version.at && !tags_begin(text, "v", "DKIM1"))
        return why_set(reterr_why, -EINVAL, NULL, 0, "v=DKIM1 must stand first");
    if (!key.at)
        return why_set(reterr_why, -EINVAL, NULL, 0, "it has no p=");
    if (!alike(ret_dkim->type, "rsa") && !alike(ret_dkim->type, "ed25519"))
        return wrong(reterr_why, "there is no type of keys", ret_dkim->type);
    if (services.at && !list_has(services, "*") && !list_has(services, "email"))
        return wrong(reterr_why, "it is not for mail: s=", services);
    ssize_t length = decode_base64(key, ret_dkim->key, sizeof(ret_dkim->key));
    if (length < 0)
        return why_set(reterr_why, -EINVAL, NULL, 0, "p= is no base64");
    ret_dkim->key_length = (size_t)length;
    return 0;
}

/* ---- MTA-STS and TLS reports ---- */

int sts_read(struct span text, struct why *reterr_why) {
    if (!tags_begin(text, "v", "STSv1"))
        return why_set(reterr_why, -EINVAL, NULL, 0, "it does not begin with v=STSv1");
    int error = tags_check(text, reterr_why);
    struct span id = tag_value(text, "id");
    bool is_id = id.length >= 1 && id.length <= 32;
    for (size_t i = 0; i < id.length; i++)
        is_id = is_id && isalnum((unsigned char)id.at[i]);
    if (error >= 0 && !is_id)
        error = wrong(reterr_why, "id is 1 to 32 letters and digits, not", id);
    return error;
}

int tls_reports_read(struct span text, struct why *reterr_why) {
    if (!tags_begin(text, "v", "TLSRPTv1"))
        return why_set(reterr_why, -EINVAL, NULL, 0, "it does not begin with v=TLSRPTv1");
    int error = tags_check(text, reterr_why);
    struct span list = tag_value(text, "rua");
    if (error >= 0 && list.length == 0)
        return why_set(reterr_why, -EINVAL, NULL, 0, "it has no rua=");
    while (error >= 0 && list.at && list.length > 0) {
        struct span one = span_trim(span_cut(&list, ','));
        bool is_mail = one.length > 7 && strncasecmp(one.at, "mailto:", 7) == 0 &&
                       memchr(one.at, '@', one.length);
        if (!is_mail && (one.length <= 8 || strncasecmp(one.at, "https://", 8) != 0))
            error = wrong(reterr_why, "reports go to mailto: or https://, not", one);
    }
    return error;
}

static bool add_host(struct sts_policy *policy, struct span host) {
    size_t length = strlen(policy->hosts);
    if (length + host.length + 2 > sizeof(policy->hosts))
        return false;
    snprintf(policy->hosts + length, sizeof(policy->hosts) - length, "%s%.*s", length ? "," : "",
             SPAN_FORMAT(host));
    return true;
}

int sts_read_policy(struct span file, struct sts_policy *ret_policy, struct why *reterr_why) {
    static const char *const modes[] = {"enforce", "testing", "none"};
    bool has_version = false;
    bool has_age = false;
    *ret_policy = (struct sts_policy){0};
    while (file.length > 0) {
        struct span value = span_trim(span_cut(&file, '\n'));
        struct span whole = value;
        int64_t seconds;
        if (value.length == 0)
            continue;
        struct span key = span_trim(span_cut(&value, ':'));
        value = value.at ? span_trim(value) : value;
        if (!value.at)
            return wrong(reterr_why, "a line without a colon:", whole);
        if (span_is(key, "version"))
            has_version = span_is(value, "STSv1");
        if (span_is(key, "mode"))
            ret_policy->mode = value;
        if (span_is(key, "max_age")) {
            if (span_to_integer(value, 0, 31557600, &seconds) < 0)
                return wrong(reterr_why, "max_age is from 0 to 31557600, not", value);
            ret_policy->max_age_sec = (unsigned)seconds;
            has_age = true;
        }
        if (span_is(key, "mx") && !add_host(ret_policy, value))
            return why_set(reterr_why, -EINVAL, NULL, 0, "too many mx lines");
    }
    if (!has_version || !has_age)
        return why_set(reterr_why, -EINVAL, NULL, 0, "it has no %s line",
                       has_version ? "max_age" : "'version: STSv1'");
    if (!one_of(ret_policy->mode, modes, ELEMENTS_OF(modes)))
        return wrong(reterr_why, "mode is enforce, testing or none, not", ret_policy->mode);
    if (!ret_policy->hosts[0] && !span_is(ret_policy->mode, "none"))
        return why_set(reterr_why, -EINVAL, NULL, 0, "it has no mx line");
    return 0;
}

bool sts_covers(const struct sts_policy *policy, const char *host) {
    struct span list = span_of(policy->hosts);
    while (list.at && list.length > 0) {
        struct span one = span_cut(&list, ',');
        const char *dot = strchr(host, '.');
        if (alike(one, host) ||
            (one.length > 2 && one.at[0] == '*' && dot && alike(span_skip(one, 1), dot)))
            return true;
    }
    return false;
}
