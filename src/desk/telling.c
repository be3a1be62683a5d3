/* The owner is told: what is worth a mail is made a notice and a letter, the letter goes to
 * hauberkd, which sends it (notify/, supervise/mails.h). And `hauberk notify`, which shows what was
 * told.
 *
 * A letter leaves when its notice is stored, so that lines which are read again after a crash do
 * not tell it again; a disk that refuses holds nothing back. What no way could carry waits for the
 * summary.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "desk/answers.h"

#include <errno.h>
#include <stdio.h>

#include "base/files.h"
#include "base/log.h"
#include "notify/compose.h"
#include "notify/mail.h"

#define NOT_IN_FORCE_AFTER_US MINUTE_US
#define WRONG_AFTER_US (10 * MINUTE_US) /* who is editing it need not be told */
enum { SHOWN_NOTICES = 30 };

enum stage { LETTER_WRITTEN, LETTER_IN_COMMIT, LETTER_OUT };

struct letter {
    struct letter *next;
    enum stage stage;
    uint32_t ticket;
    enum mail_way way;
    uint64_t notice; /* its number */
    uint64_t client; /* who asked for a test; 0 nobody */
    char subject[MAIL_SUBJECT_MAX];
    struct text text;
};

void desk_begin_telling(struct desk *desk) {
    char name[256] = "";
    cleanup_text struct text mailname = {0};
    (void)gethostname(name, sizeof(name) - 1);
    if (file_read("/etc/mailname", 1024, &mailname) < 0)
        text_clear(&mailname); /* not on every machine */
    (void)mail_choose_host(name, text_span(&mailname), desk->telling.host);
    desk->telling.notices =
        notices_new(desk->config->notify_most, desk->config->notify_daily_minute);
}

static struct letter *letter_free(struct letter *letter) {
    struct letter *next = letter->next;
    text_free(&letter->text);
    free(letter);
    return next;
}

void desk_end_telling(struct desk *desk) {
    while (desk->telling.letters)
        desk->telling.letters = letter_free(desk->telling.letters);
    desk->telling.notices = notices_free(desk->telling.notices);
}

/* ---- letters ---- */

static bool has_way(const struct desk *desk, enum mail_way way) {
    return (way == MAIL_SENDMAIL ? desk->config->notify : desk->config->notify_command)[0] != '\0';
}

static bool has_any_way(const struct desk *desk) {
    return has_way(desk, MAIL_SENDMAIL) || has_way(desk, MAIL_COMMAND);
}

static void write_letter(struct desk *desk, enum mail_way way, const struct story *story,
                         const struct notice *notice, uint64_t client) {
    struct letter *letter = calloc(1, sizeof(*letter));
    must(letter);
    *letter = (struct letter){.next = desk->telling.letters, .ticket = ++desk->telling.next_ticket,
                              .way = way, .notice = notice->number, .client = client};
    struct mail_head head = {.host = desk->telling.host, .to = desk->config->notify,
                             .subject = story->subject, .kind = notice_kind_names[notice->kind],
                             .at_us = notice->at_us, .number = notice->number};
    (void)mail_subject(head.host, story->subject, letter->subject);
    if (way == MAIL_SENDMAIL)
        mail_write(&head, text_span(&story->body), &letter->text);
    else
        mail_write_body(text_span(&story->body), &letter->text);
    desk->telling.letters = letter;
}

static void write_letters(struct desk *desk, const struct story *story, const struct notice *notice,
                          uint64_t client) {
    for (enum mail_way way = 0; way < MAIL_WAYS; way++)
        if (has_way(desk, way))
            write_letter(desk, way, story, notice, client);
    desk_changed(desk);
}

static void letter_is_done(struct desk *desk, const struct letter *letter, bool is_sent,
                           const char *what);

static void remove_letter(struct desk *desk, const struct letter *letter) {
    for (struct letter **at = &desk->telling.letters; *at; at = &(*at)->next)
        if (*at == letter) {
            *at = letter_free(*at);
            return;
        }
}

static void send_letter(struct desk *desk, struct letter *letter) {
    struct wire_mail mail = {.ticket = letter->ticket, .way = (uint8_t)letter->way,
                             .size = (uint32_t)letter->text.length};
    wire_set_bytes(mail.subject, span_of(letter->subject));
    letter->stage = LETTER_OUT;
    cleanup_close int fd = letter->text.length > 0 && letter->text.length <= MAIL_MOST_BYTES
                               ? memory_seal("hauberk-mail", text_span(&letter->text))
                               : -EMSGSIZE;
    int error = fd < 0 ? fd : channel_send_fd(desk->supervisor, SAY_MAIL, &mail, fd);
    if (error < 0) {
        letter_is_done(desk, letter, false, strerror(-error));
        remove_letter(desk, letter);
    }
}

void desk_seal_letters(struct desk *desk) {
    for (struct letter *letter = desk->telling.letters; letter; letter = letter->next)
        if (letter->stage == LETTER_WRITTEN)
            letter->stage = LETTER_IN_COMMIT;
}

/* Oldest first: new ones stand at the head of the list. */
static struct letter *oldest_in_commit(const struct desk *desk) {
    struct letter *oldest = NULL;
    for (struct letter *letter = desk->telling.letters; letter; letter = letter->next)
        if (letter->stage == LETTER_IN_COMMIT)
            oldest = letter;
    return oldest;
}

void desk_send_letters(struct desk *desk) {
    for (struct letter *letter; (letter = oldest_in_commit(desk));)
        send_letter(desk, letter);
}

static const char *way_name(enum mail_way way) {
    return way == MAIL_SENDMAIL ? "mail" : "command";
}

static bool is_out(const struct desk *desk, const struct letter *but,
                   bool (*counts)(const struct letter *, const struct letter *)) {
    for (const struct letter *other = desk->telling.letters; other; other = other->next)
        if (other != but && counts(other, but))
            return true;
    return false;
}

static bool is_of_client(const struct letter *other, const struct letter *letter) {
    return other->client == letter->client;
}

static bool is_of_notice(const struct letter *other, const struct letter *letter) {
    return other->notice == letter->notice;
}

static void answer_test(struct desk *desk, const struct letter *letter, bool is_sent,
                        const char *what) {
    js *row = js_object();
    js_set_string(row, "way", way_name(letter->way));
    js_set_string(row, "to", letter->way == MAIL_SENDMAIL ? desk->config->notify
                                                          : desk->config->notify_command);
    js_set_flag(row, "sent", is_sent);
    js_set_string(row, "why_not", is_sent ? NULL : what);
    control_row(desk->control, letter->client, row);
    desk->telling.test_failed = desk->telling.test_failed || !is_sent;
    if (!is_out(desk, letter, is_of_client))
        control_end(desk->control, letter->client, desk->telling.test_failed ? 1 : 0, "%s", "");
}

static void letter_is_done(struct desk *desk, const struct letter *letter, bool is_sent,
                           const char *what) {
    struct telling *telling = &desk->telling;
    char *fault = telling->faults[letter->way];
    if (is_sent) {
        fault[0] = '\0';
        telling->reached = letter->notice;
    } else {
        if (fault[0] == '\0')
            log_warning("the owner cannot be told by %s: %s", way_name(letter->way), what);
        snprintf(fault, sizeof(telling->faults[0]), "%s", what);
    }
    if (letter->client) {
        answer_test(desk, letter, is_sent, what);
        return;
    }
    if (!is_out(desk, letter, is_of_notice) && telling->reached != letter->notice) {
        notices_take_back(telling->notices, letter->notice);
        desk_changed(desk);
    }
}

void desk_mail_is_done(struct desk *desk, const struct wire_mailed *mailed) {
    char what[201];
    snprintf(what, sizeof(what), "%.*s", SPAN_FORMAT(wire_bytes(mailed->text)));
    for (struct letter *letter = desk->telling.letters; letter; letter = letter->next)
        if (letter->ticket == mailed->ticket && letter->stage == LETTER_OUT) {
            letter_is_done(desk, letter, mailed->is_sent, what);
            remove_letter(desk, letter);
            return;
        }
}

/* ---- what is told at once ---- */

static void tell(struct desk *desk, enum notice_kind kind, const char *about,
                 const struct prefix *id, const struct story *story) {
    int64_t now_us = clock_now_us();
    struct notices *notices = desk->telling.notices;
    bool may_mail = has_any_way(desk) && notices_may_mail(notices, now_us);
    struct notice *notice = notices_add(notices, kind, about, id, story->sentence, now_us);
    if (!notice)
        return;
    if (may_mail) {
        notices_set_mailed(notice, now_us);
        write_letters(desk, story, notice, 0);
    }
    desk_changed(desk);
}

void desk_tell_suspicion(struct desk *desk, const struct suspicion *suspicion) {
    cleanup_story struct story story = {0};
    char account[sizeof(suspicion->event->account.at) + 1];
    snprintf(account, sizeof(account), "%.*s", SPAN_FORMAT(wire_bytes(suspicion->event->account)));
    compose_suspicious(&story, &suspicion->id, account, suspicion->failures, suspicion->is_banned);
    tell(desk, NOTICE_SUSPICIOUS, account, &suspicion->id, &story);
}

void desk_tell_ban(struct desk *desk, const struct decision *decision) {
    cleanup_story struct story story = {0};
    const struct ban *ban = decision->ban;
    int64_t now_us = clock_now_us();
    bool is_known = decision->is_own ||
                    known_has_prefix(desk->decider->known, &ban->key.id, now_us, NULL);
    if (ban->key.jail == JAIL_BY_HAND || desk->decider->observes || !is_known)
        return;
    compose_own_banned(&story, &ban->key.id, ban->reason, ban->until_us, now_us);
    tell(desk, NOTICE_OWN_BANNED, "", &ban->key.id, &story);
}

void desk_tell_lost(struct desk *desk, const char *log, uint64_t bytes) {
    cleanup_story struct story story = {0};
    compose_lost(&story, log, bytes);
    tell(desk, NOTICE_LOST, log, NULL, &story);
}

/* Since when something holds; 0 while it does not. */
static bool has_lasted(int64_t *since_us, bool holds, int64_t for_us) {
    int64_t now_us = clock_monotonic_us();
    if (!holds)
        *since_us = 0;
    else if (*since_us == 0)
        *since_us = now_us;
    return holds && now_us - *since_us >= for_us;
}

static void tell_force(struct desk *desk) {
    cleanup_story struct story story = {0};
    const char *why = desk_why_not_effective(desk);
    bool is_wanted = desk->decider->observes || desk->paused_until_us; /* a person's will */
    if (!has_lasted(&desk->telling.not_in_force_us, why && !is_wanted, NOT_IN_FORCE_AFTER_US))
        return;
    compose_not_in_force(&story, why);
    tell(desk, NOTICE_NOT_IN_FORCE, "", NULL, &story);
}

static void tell_configuration(struct desk *desk) {
    cleanup_story struct story story = {0};
    char fault[sizeof(desk->in_force.text.at) + 1];
    if (!has_lasted(&desk->telling.wrong_us, desk->in_force.disk_is_wrong, WRONG_AFTER_US))
        return;
    snprintf(fault, sizeof(fault), "%.*s", SPAN_FORMAT(wire_bytes(desk->in_force.text)));
    compose_configuration(&story, fault);
    tell(desk, NOTICE_CONFIGURATION, "", NULL, &story);
}

static void tell_blind(struct desk *desk) {
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        cleanup_story struct story story = {0};
        char text[SIGHT_TEXT_MAX];
        const char *fault = desk_jail_is_read(desk, j) ? desk_sight_fault(desk, j, text) : NULL;
        if (!fault)
            continue;
        compose_blind(&story, desk->config->jails[j].name, fault);
        tell(desk, NOTICE_BLIND, desk->config->jails[j].name, NULL, &story);
    }
}

/* ---- the summary ---- */

static void add_name(struct text *list, const char *name) {
    text_add_format(list, "%s%s", list->length ? ", " : "", name);
}

static void name_jails(const struct desk *desk, struct text *waiting, struct text *blind) {
    for (uint32_t j = 0; j < desk->config->jail_count; j++) {
        char text[SIGHT_TEXT_MAX];
        if (!desk->config->jails[j].is_enabled)
            continue;
        if (!desk_jail_is_read(desk, j))
            add_name(waiting, desk->config->jails[j].name);
        else if (desk_sight_fault(desk, j, text))
            add_name(blind, desk->config->jails[j].name);
    }
}

static uint32_t take_tallies(const struct row_tally *rows, size_t count, struct day_count *into,
                             uint32_t most) {
    uint32_t taken = 0;
    for (; taken < count && taken < most; taken++)
        into[taken] = (struct day_count){rows[taken].name, rows[taken].count};
    return taken;
}

static void take_spared(const struct store_day *stored, struct day *day,
                        char names[SUMMARY_NAMED][PREFIX_TEXT_MAX]) {
    for (size_t i = 0; i < stored->spared.count && i < SUMMARY_NAMED; i++)
        day->spared[day->spared_count++] = (struct day_count){
            address_format(&stored->spared.at[i].address, names[i]), stored->spared.at[i].count};
}

static void take_untold(const struct desk *desk, struct day *day) {
    const struct notice *notice;
    for (uint32_t n = 0; (notice = notices_newest(desk->telling.notices, n)); n++) {
        if (notice->state != NOTICE_WAITING)
            continue;
        if (day->untold_count < SUMMARY_WAITING)
            day->untold[day->untold_count++] = notice->text;
        day->untold_in_all++;
    }
}

static void sum_up(void *context, const struct store_day *stored) {
    struct desk *desk = context;
    cleanup_story struct story story = {0};
    cleanup_text struct text waiting = {0};
    cleanup_text struct text blind = {0};
    char spared[SUMMARY_NAMED][PREFIX_TEXT_MAX];
    int64_t now_us = clock_now_us();
    struct day day = {.since_us = desk->telling.summed_since_us, .now_us = now_us,
                      .bans_in_all = stored->bans_in_all, .strangers = stored->strangers,
                      .losses = stored->losses, .store_error = desk->store_error};
    desk->telling.is_summing = false;
    if (stored->error < 0) /* tried again at the next sweep */
        return;
    name_jails(desk, &waiting, &blind);
    day.waiting = waiting.length ? waiting.at : "";
    day.blind = blind.length ? blind.at : "";
    day.ban_count = take_tallies(stored->bans.at, stored->bans.count, day.bans, SUMMARY_JAILS);
    day.attacked_count =
        take_tallies(stored->attacked.at, stored->attacked.count, day.attacked, SUMMARY_NAMED);
    take_spared(stored, &day, spared);
    take_untold(desk, &day);
    bool has_news = compose_summary(&story, &day) && has_any_way(desk);
    struct notice *notice =
        notices_sum_up(desk->telling.notices, has_news ? story.sentence : "nothing to say",
                       has_news, now_us);
    if (notice && has_news)
        write_letters(desk, &story, notice, 0);
    desk_changed(desk);
}

static void tell_summary(struct desk *desk, int64_t now_us) {
    int64_t since_us = notices_summary_since(desk->telling.notices, now_us);
    if (since_us == 0 || desk->telling.is_summing)
        return;
    desk->telling.summed_since_us = since_us;
    desk_commit_now(desk); /* what is told of is stored */
    desk->telling.is_summing = store_ask_day(desk->store, since_us, sum_up, desk) >= 0;
}

void desk_sweep_telling(struct desk *desk, int64_t now_us) {
    desk_sweep_sight(desk, now_us);
    tell_force(desk);
    tell_configuration(desk);
    tell_blind(desk);
    tell_summary(desk, now_us);
}

void desk_collect_notices(struct desk *desk, struct store_batch *batch) {
    const struct notice *notice;
    while ((notice = notices_take_dirty(desk->telling.notices)))
        *rows_add(&batch->notices) = *notice;
}

/* ---- the word ---- */

static void test(struct desk *desk, const struct question *question) {
    cleanup_story struct story story = {0};
    if (!question->is_root) {
        control_end(desk->control, question->client, 1, "%s", "only root may send a test");
        return;
    }
    if (!has_any_way(desk)) {
        control_end(
            desk->control, question->client, 1, "%s",
            "there is no way to tell anybody: set notify or notify-command under [hauberk]");
        return;
    }
    compose_test(&story);
    struct notice *notice = notices_add(desk->telling.notices, NOTICE_TEST, "", NULL,
                                        story.sentence, clock_now_us());
    if (!notice) {
        control_end(desk->control, question->client, 1, "%s", "no place for one more notice");
        return;
    }
    notices_set_mailed(notice, notice->at_us);
    desk->telling.test_failed = false;
    write_letters(desk, &story, notice, question->client);
    desk_commit_now(desk);
    if (desk->store_error[0]) { /* it will not be stored soon, and a test is about mail */
        desk_seal_letters(desk);
        desk_send_letters(desk);
    }
}

/* Root's weekly audit, which runs by itself and cannot mail. */
static void take_audit(struct desk *desk, const struct question *question) {
    cleanup_story struct story story = {0};
    if (!question->is_root) {
        control_end(desk->control, question->client, 1, "%s", "only root may send an audit");
        return;
    }
    compose_audit(&story, js_string(question->args, "audit", ""),
                  js_string(question->args, "body", ""));
    tell(desk, NOTICE_AUDIT, "", NULL, &story);
    desk_commit_now(desk);
    control_end(desk->control, question->client, 0, "%s", "");
}

void desk_word_notify(struct desk *desk, const struct question *question) {
    if (js_string(question->args, "audit", NULL)) {
        take_audit(desk, question);
        return;
    }
    if (js_flag(question->args, "test", false)) {
        test(desk, question);
        return;
    }
    const struct notice *notice;
    uint32_t count = 0;
    while (notices_newest(desk->telling.notices, count) && count < SHOWN_NOTICES)
        count++;
    while (count > 0 && (notice = notices_newest(desk->telling.notices, --count))) {
        js *row = js_object();
        js_set_time(row, "at", notice->at_us);
        js_set_string(row, "kind", notice_kind_names[notice->kind]);
        js_set_string(row, "state", notice_state_names[notice->state]);
        js_set_string(row, "about", notice->about[0] ? notice->about : NULL);
        js_set_string(row, "text", notice->text);
        control_row(desk->control, question->client, row);
    }
    control_end(desk->control, question->client, 0, "%s", "");
}

js *desk_status_telling(const struct desk *desk) {
    js *one = js_object();
    js_set_string(one, "to", desk->config->notify[0] ? desk->config->notify : NULL);
    js_set_string(one, "command",
                  desk->config->notify_command[0] ? desk->config->notify_command : NULL);
    const char *mail_fault = desk->telling.faults[MAIL_SENDMAIL];
    const char *command_fault = desk->telling.faults[MAIL_COMMAND];
    js_set_string(one, "mail_fault", mail_fault[0] ? mail_fault : NULL);
    js_set_string(one, "command_fault", command_fault[0] ? command_fault : NULL);
    return one;
}
