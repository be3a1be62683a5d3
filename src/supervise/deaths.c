/* The owner is told that processes die again and again: see supervise.h. A decider that does not
 * live to make a commit cannot write a letter, so here, and only for this, hauberkd writes one: of
 * our own words, whom the checker read out of the configuration, and how each process ended.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "notify/compose.h"
#include "notify/mail.h"
#include "supervise/mails.h"
#include "supervise/supervise.h"

#define COUNTED_FOR_US HOUR_US
#define TOLD_FOR_US DAY_US
#define TRIED_FOR_US (10 * MINUTE_US)

static bool is_within(int64_t then_us, int64_t now_us, int64_t length_us) {
    return then_us && now_us - then_us < length_us;
}

bool deaths_count(struct deaths *deaths, int64_t now_us) {
    deaths->at_us[deaths->next] = now_us;
    deaths->next = (deaths->next + 1) % DEATHS_TO_TELL;
    if (!is_within(deaths->at_us[deaths->next], now_us, COUNTED_FOR_US) || /* the oldest of them */
        is_within(deaths->told_us, now_us, TOLD_FOR_US) ||
        is_within(deaths->tried_us, now_us, TRIED_FOR_US))
        return false;
    deaths->tried_us = now_us;
    return true;
}

void deaths_were_told(struct deaths *deaths, int64_t now_us) {
    deaths->told_us = now_us;
}

static void post(struct mails *mails, const struct checked_config *checked, enum mail_way way,
                 const struct wire_mail *mail, struct span letter) {
    struct wire_mail whole = *mail;
    whole.way = (uint8_t)way;
    whole.size = (uint32_t)letter.length;
    int fd = memory_seal("hauberk-mail", letter);
    if (fd < 0 || mails_take(mails, &whole, fd, checked->notify_command) < 0)
        log_warning("the owner cannot be told of it");
}

void deaths_tell(struct mails *mails, const struct checked_config *checked, const char *how) {
    cleanup_story struct story story = {0};
    cleanup_text struct text letter = {0};
    char name[256] = "";
    char host[MAIL_HOST_MAX];
    char subject[MAIL_SUBJECT_MAX];
    struct wire_mail mail = {.ticket = DEATHS_TICKET};
    (void)gethostname(name, sizeof(name) - 1);
    (void)mail_choose_host(name, SPAN(""), host);
    compose_deaths(&story, how);
    wire_set_bytes(mail.subject, span_of(mail_subject(host, story.subject, subject)));
    if (checked->notify_command[0]) {
        mail_write_body(text_span(&story.body), &letter);
        post(mails, checked, MAIL_COMMAND, &mail, text_span(&letter));
    }
    if (checked->notify[0]) {
        struct mail_head head = {.host = host, .to = checked->notify, .subject = story.subject,
                                 .kind = "deaths", .at_us = clock_now_us(),
                                 .number = random_u64() >> 1};
        text_clear(&letter);
        mail_write(&head, text_span(&story.body), &letter);
        post(mails, checked, MAIL_SENDMAIL, &mail, text_span(&letter));
    }
}
