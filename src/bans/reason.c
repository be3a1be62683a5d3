/* Reasons: see reason.h. What was tried is named after the protocol where the lines told of one, and
 * after the filter's service where they did not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/reason.h"

#include <stdio.h>

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

void reason_describe(const struct config *config, const struct config_jail *jail,
                     const struct counter *counter, char into[BAN_REASON_MAX]) {
    char span[DURATION_TEXT_MAX];
    char find[DURATION_TEXT_MAX];
    cleanup_text struct text text = {0};
    const char *password =
        jail->counts_returns ? NULL : password_of(span_of(config->filters[jail->filter].service));
    text_add_format(&text, "%u ", counter->attempts);
    if (jail->counts_returns)
        text_add_string(&text, counter->attempts == 1 ? "ban again" : "bans again");
    else if (password)
        name_passwords(&text, password, counter);
    else
        text_add_string(&text, counter->attempts == 1 ? "failure" : "failures");
    if (counter->failures == 1 && counter->attempts > 1)
        text_add_string(&text, " told in one line");
    else
        text_add_format(&text, " in %s",
                        duration_format((counter->last_us - counter->began_us) / SECOND_US, span));
    text_add_format(&text, "; the limit is %lld in %s (jail %s)", (long long)jail->max_retry,
                    duration_format(jail->find_seconds, find), jail->name);
    snprintf(into, BAN_REASON_MAX, "%s", text.at ? text.at : "");
}
