/* Writing mails: see mail.h. Lines end with a newline alone, as sendmail(1) takes them; the limit
 * of 998 bytes a line is RFC 5322's (2.1.1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify/mail.h"

#include <stdio.h>

#include "base/clock.h"

enum { LINE_MOST = 900 };

static bool is_host_name(struct span name) {
    if (name.length == 0 || name.length >= MAIL_HOST_MAX || name.at[0] == '-' || name.at[0] == '.')
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-'))
            return false;
    }
    return true;
}

const char *mail_choose_host(const char *host_name, struct span mailname,
                             char into[MAIL_HOST_MAX]) {
    struct span name = span_of(host_name);
    struct span of_mail = span_trim(mailname);
    bool is_whole = is_host_name(name) && memchr(name.at, '.', name.length);
    if (!is_whole && is_host_name(of_mail))
        name = of_mail;
    if (!is_host_name(name))
        name = SPAN("localhost");
    snprintf(into, MAIL_HOST_MAX, "%.*s", SPAN_FORMAT(name));
    return into;
}

static void add_plain(struct text *text, const char *value) {
    for (; *value; value++)
        text_add_char(text, *value >= 0x20 && *value <= 0x7e ? *value : '?');
}

static void add_header(struct text *text, const char *name, const char *value) {
    text_add_string(text, name);
    text_add_string(text, ": ");
    add_plain(text, value);
    text_add_char(text, '\n');
}

const char *mail_subject(const char *host, const char *subject, char into[MAIL_SUBJECT_MAX]) {
    cleanup_text struct text text = {0};
    text_add_string(&text, "hauberk on ");
    add_plain(&text, host);
    text_add_string(&text, ": ");
    add_plain(&text, subject);
    snprintf(into, MAIL_SUBJECT_MAX, "%s", text.at ? text.at : "hauberk");
    return into;
}

void mail_write_body(struct span body, struct text *text) {
    while (body.at && body.length > 0) {
        struct span line = span_cut(&body, '\n');
        size_t length = line.length;
        if (length > LINE_MOST) /* not within a character of UTF-8 */
            for (length = LINE_MOST; length > 0 && ((unsigned char)line.at[length] & 0xc0) == 0x80;)
                length--;
        text_add(text, (struct span){line.at, length});
        text_add_char(text, '\n');
    }
}

void mail_write(const struct mail_head *head, struct span body, struct text *text) {
    char date[CLOCK_TEXT_MAX];
    char subject[MAIL_SUBJECT_MAX];
    char value[MAIL_HOST_MAX + 80];
    snprintf(value, sizeof(value), "hauberk <hauberk@%s>", head->host);
    add_header(text, "From", value);
    add_header(text, "To", head->to);
    add_header(text, "Subject", mail_subject(head->host, head->subject, subject));
    add_header(text, "Date", clock_format_mail(head->at_us, date));
    snprintf(value, sizeof(value), "<hauberk.%llu.%016llx@%s>",
             (unsigned long long)(head->at_us / SECOND_US), (unsigned long long)head->number,
             head->host);
    add_header(text, "Message-ID", value);
    add_header(text, "Auto-Submitted", "auto-generated"); /* RFC 3834: no vacation answers */
    add_header(text, "X-Hauberk", head->kind);
    add_header(text, "MIME-Version", "1.0");
    add_header(text, "Content-Type", "text/plain; charset=utf-8");
    add_header(text, "Content-Transfer-Encoding", "8bit");
    text_add_char(text, '\n');
    mail_write_body(body, text);
}
