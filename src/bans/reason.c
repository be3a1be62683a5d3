/* Reasons: see reason.h. What was tried is named after the protocol where the lines told of one,
 * and after the filter's service where they did not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/reason.h"

#include <stdio.h>

#include "bans/weighing.h"
#include "base/clock.h"
#include "base/duration.h"
#include "wire/wire.h"

/* What comes before "password"; NULL: the service asks for none. */
static const char *password_of(struct span service) {
    static const struct {
        const char *service, *name;
    } names[] = {{"sshd", "SSH "}, {"dovecot", "mail "}, {"postfix-sasl", "SMTP "}};
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        if (span_is(service, names[i].service))
            return names[i].name;
    return NULL;
}

static const char *const protocol_names[PROTOCOLS] = {
    [PROTOCOL_IMAP] = "IMAP",
    [PROTOCOL_POP3] = "POP3",
    [PROTOCOL_SUBMISSION] = "submission",
    [PROTOCOL_SIEVE] = "ManageSieve",
};

/* "wrong IMAP passwords", "wrong mail passwords (IMAP, POP3)". */
static void name_passwords(struct text *text, const char *service_name,
                           const struct counter *counter) {
    uint32_t told = counter->protocols & ~(UINT32_C(1) << PROTOCOL_UNTOLD);
    bool is_one = told && !(told & (told - 1));
    text_add_string(text, "wrong ");
    for (int i = PROTOCOL_IMAP; is_one && i < PROTOCOLS; i++)
        if (told >> i & 1)
            text_add_format(text, "%s ", protocol_names[i]);
    text_add_format(text, "%spassword%s", is_one ? "" : service_name,
                    counter->attempts == 1 ? "" : "s");
    const char *separator = " (";
    for (int i = PROTOCOL_IMAP; !is_one && i < PROTOCOLS; i++)
        if (told >> i & 1) {
            text_add_format(text, "%s%s", separator, protocol_names[i]);
            separator = ", ";
        }
    if (told && !is_one)
        text_add_char(text, ')');
}

static void describe_limit(struct text *text, const struct config_jail *jail,
                           enum ban_cause cause) {
    char find[DURATION_TEXT_MAX];
    duration_format(cause == CAUSE_SLOW ? jail->slow_find_seconds : jail->find_seconds, find);
    if (cause == CAUSE_LIMIT)
        text_add_format(text, "the limit is %lld in %s", (long long)jail->max_retry, find);
    else if (cause == CAUSE_OWN_LIMIT)
        text_add_format(text, "the limit of accounts that log in from here is %lld in %s",
                        (long long)jail->max_retry * OWN_FACTOR, find);
    else
        text_add_format(text, "the slow limit is %lld in %s", (long long)jail->slow_max_retry,
                        find);
}

void reason_describe(const struct config *config, const struct config_jail *jail,
                     const struct counter *counter, enum ban_cause cause,
                     char into[BAN_REASON_MAX]) {
    char span[DURATION_TEXT_MAX];
    cleanup_text struct text text = {0};
    const char *password = jail->counts == COUNTS_FAILURES
                               ? password_of(span_of(config->filters[jail->filter].service))
                               : NULL;
    text_add_format(&text, "%u ", counter->attempts);
    if (jail->counts == COUNTS_RETURNS)
        text_add_string(&text, counter->attempts == 1 ? "ban again" : "bans again");
    else if (jail->counts == COUNTS_ACCOUNTS)
        text_add_string(&text, "addresses that do not exist");
    else if (password)
        name_passwords(&text, password, counter);
    else
        text_add_string(&text, counter->attempts == 1 ? "failure" : "failures");
    if (counter->failures == 1 && counter->attempts > 1)
        text_add_string(&text, " told in one line");
    else
        text_add_format(&text, " in %s",
                        duration_format((counter->last_us - counter->began_us) / SECOND_US, span));
    if (cause == CAUSE_SLOW && counter_accounts(counter) == COUNTER_ACCOUNTS)
        text_add_format(&text, " on %d accounts or more", COUNTER_ACCOUNTS);
    text_add_string(&text, "; ");
    describe_limit(&text, jail, cause);
    text_add_format(&text, " (jail %s)", jail->name);
    snprintf(into, BAN_REASON_MAX, "%s", text.at ? text.at : "");
}
