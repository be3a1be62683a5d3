/* Lists are found by asking again and again: everything weak is offered, the server takes one, and
 * the next time that one is left out, until it refuses. Each question is a connection of its own,
 * for which some servers start a process, so what is well is not listed.
 *
 * Before TLS 1.2 only suites that are broken are looked for, the version itself being what is wrong
 * there; SSL 2 is not asked for at all: no library in Debian has spoken it for years.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/tls_port.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

#include "base/clock.h"
#include "probe/certificate.h"
#include "probe/served.h"
#include "probe/tls_hello.h"

/* A server that says nothing for so long will not say anything. */
#define ANSWER_US (4 * SECOND_US)
enum { NUMBERS_ROOM = 192, TICKETS_WAIT_US = 100000, LEAVE_US = 50000 };

struct numbers {
    uint16_t at[NUMBERS_ROOM];
    size_t count;
};

struct work {
    struct look *look;
    const struct tls_port *port;
    int error; /* the first one; nothing more is asked then */
    bool speaks[TLS_1_3 - SSL_3 + 1];
    struct numbers suites; /* of the highest version before 1.3 */
    unsigned highest;      /* that version; 0: none */
};

/* RFC 8446, 4.2.3, and the older ones of RFC 5246: SHA-256 and better, then SHA-1 and SHA-224. */
static const uint16_t signatures[] = {0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804,
                                      0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401,
                                      0x0501, 0x0601, 0x081a, 0x081b, 0x081c, 0x0203,
                                      0x0201, 0x0303, 0x0301, 0x0402, 0x0202, 0x0302};

/* ---- asking ---- */

static int64_t answer_until(const struct tls_port *port) {
    int64_t until_us = clock_monotonic_us() + ANSWER_US;
    return until_us < port->until_us ? until_us : port->until_us;
}

/* Brings a connection to where TLS begins. */
static int reach(const struct tls_port *port, struct talk *talk) {
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    int error = talk_begin(talk, NULL, &port->address, port->number, answer_until(port));
    if (error < 0 || port->dialect == DIALECT_TLS)
        return error;
    error = dialect_greeted(talk, port->dialect, &banner, &able);
    if (error >= 0 && port->dialect == DIALECT_SMTP) /* the others need not be asked first */
        error = dialect_ask_able(talk, port->dialect, &able);
    return error < 0 ? error : dialect_start_tls(talk, port->dialect);
}

/* 0, also when the server refuses (ret_answer->version is 0 then). */
static int ask_once(const struct tls_port *port, const struct tls_offer *offer,
                    struct tls_answer *ret_answer) {
    char bytes[4096];
    struct tls_answer answer = {0};
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text record = {0};
    cleanup_text struct text flight = {0};
    int status = reach(port, &talk);
    if (status < 0)
        return status;
    tls_offer_write(offer, &record);
    status = talk_say(&talk, text_span(&record));
    while (status == 0) {
        ssize_t count = talk_bytes(&talk, bytes, sizeof(bytes));
        if (count == -ETIMEDOUT)
            return -ETIMEDOUT;
        if (count <= 0)
            break; /* it hung up: another way to refuse */
        text_add(&flight, (struct span){bytes, (size_t)count});
        status = tls_answer_read(text_span(&flight), &answer);
    }
    talk_leave(&talk, LEAVE_US);
    if (status == -EPROTO || status == -ETIMEDOUT)
        return status;
    *ret_answer = answer;
    return 0;
}

static struct tls_offer make_offer(const struct work *work, unsigned version,
                                   const struct numbers *suites, const struct numbers *groups) {
    return (struct tls_offer){
        .version = version,
        .suites = suites->at,
        .suite_count = suites->count,
        .groups = groups->at,
        .group_count = groups->count,
        .signatures = signatures,
        .signature_count = ELEMENTS_OF(signatures),
        .name = work->port->name,
    };
}

/* True: the server agrees to that version, with one of these. */
static bool ask(struct work *work, unsigned version, const struct numbers *suites,
                const struct numbers *groups, struct tls_answer *ret_answer) {
    struct tls_offer offer = make_offer(work, version, suites, groups);
    if (work->error < 0 || suites->count == 0)
        return false;
    *ret_answer = (struct tls_answer){0};
    work->error = ask_once(work->port, &offer, ret_answer);
    return work->error == 0 && ret_answer->version == version;
}

static void add(struct numbers *numbers, unsigned number) {
    if (numbers->count < NUMBERS_ROOM)
        numbers->at[numbers->count++] = (uint16_t)number;
}

static bool take_out(struct numbers *numbers, unsigned number) {
    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->at[i] == number) {
            memmove(&numbers->at[i], &numbers->at[i + 1],
                    (--numbers->count - i) * sizeof(numbers->at[0]));
            return true;
        }
    return false;
}

static struct numbers all_groups(void) {
    struct numbers groups = {0};
    for (size_t i = 0; i < tls_group_count; i++)
        add(&groups, tls_groups[i].number);
    return groups;
}

static bool is_any(const struct tls_suite *suite) {
    return suite->number != 0;
}

static bool is_broken_or_anonymous(const struct tls_suite *suite) {
    return tls_suite_is_broken(suite) || tls_suite_is_anonymous(suite);
}

/* Those of TLS 1.3, or of all before it. */
static struct numbers suites_for(unsigned version, bool (*which)(const struct tls_suite *suite)) {
    struct numbers suites = {0};
    for (size_t i = 0; i < tls_suite_count; i++)
        if (tls_suite_is_13(&tls_suites[i]) == (version == TLS_1_3) && which(&tls_suites[i]))
            add(&suites, tls_suites[i].number);
    return suites;
}

/* Which of `offered` the server takes. The first answer goes to ret_first. */
static struct numbers find_suites(struct work *work, unsigned version, struct numbers offered) {
    struct numbers found = {0};
    struct numbers groups = all_groups();
    struct tls_answer answer;
    while (ask(work, version, &offered, &groups, &answer) && take_out(&offered, answer.suite))
        add(&found, answer.suite);
    return found;
}

/* ---- suites ---- */

static bool is_insufficient(const struct tls_suite *suite) {
    return tls_suite_worth(suite) == TLS_INSUFFICIENT;
}

static bool is_phase_out(const struct tls_suite *suite) {
    return tls_suite_worth(suite) == TLS_PHASE_OUT;
}

static bool is_well(const struct tls_suite *suite) {
    return tls_suite_worth(suite) <= TLS_SUFFICIENT;
}

/* What was found is so even if time ran out; that there is nothing must have been seen. */
static void say_list(struct work *work, const char *key, const struct text *names) {
    if (names->length)
        look_say(work->look, key, work->port->subject, text_span(names));
    else if (work->error >= 0)
        look_say_text(work->look, key, work->port->subject, "none");
}

static void say_suites(struct work *work, const char *key, const struct numbers *found,
                       bool (*which)(const struct tls_suite *suite)) {
    cleanup_text struct text names = {0};
    for (size_t i = 0; i < found->count; i++) {
        const struct tls_suite *suite = tls_suite_find(found->at[i]);
        if (suite && which(suite)) {
            text_add_string(&names, names.length ? " " : "");
            text_add_string(&names, suite->name);
        }
    }
    say_list(work, key, &names);
}

static void say_all_suites(struct work *work, const struct numbers *found) {
    static const struct {
        const char *key;
        bool (*which)(const struct tls_suite *suite);
    } lists[] = {
        {"suites_insufficient", is_insufficient}, {"suites_phase_out", is_phase_out},
        {"suites_broken", tls_suite_is_broken},   {"suites_anonymous", tls_suite_is_anonymous},
        {"suites_static", tls_suite_is_static},   {"suites_dhe", tls_suite_is_dhe},
        {"suites_cbc", tls_suite_is_cbc},
    };
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++)
        say_suites(work, lists[i].key, found, lists[i].which);
}

/* Does the server choose, or the client? It is asked with the weak suites first, then last. */
static void look_at_choice(struct work *work) {
    struct numbers weak_first = work->suites;
    struct numbers weak_last = suites_for(work->highest, is_well);
    struct numbers groups = all_groups();
    struct tls_answer first;
    struct tls_answer second;
    for (size_t i = 0; i < weak_last.count; i++)
        add(&weak_first, weak_last.at[i]);
    for (size_t i = 0; i < work->suites.count; i++)
        add(&weak_last, work->suites.at[i]);
    if (work->suites.count > 0 && ask(work, work->highest, &weak_first, &groups, &first) &&
        ask(work, work->highest, &weak_last, &groups, &second))
        look_say_text(work->look, "choice", work->port->subject,
                      first.suite == second.suite ? "server" : "client");
}

static void append(struct numbers *to, struct numbers those) {
    for (size_t i = 0; i < those.count; i++) {
        (void)take_out(to, those.at[i]);
        add(to, those.at[i]);
    }
}

static void look_at_suites(struct work *work) {
    struct numbers found = {0};
    for (unsigned version = SSL_3; version <= TLS_1_3; version++) {
        if (!work->speaks[version - SSL_3])
            continue;
        if (version != TLS_1_3 && version != work->highest) {
            append(&found, find_suites(work, version, suites_for(version, is_broken_or_anonymous)));
            continue;
        }
        append(&found, find_suites(work, version, suites_for(version, is_insufficient)));
        append(&found, find_suites(work, version, suites_for(version, is_phase_out)));
        if (version != TLS_1_3)
            work->suites = found;
    }
    say_all_suites(work, &found);
    look_at_choice(work);
}

/* ---- versions, and what a first answer shows besides ---- */

static void say_yes(struct work *work, const char *key, bool is_so) {
    look_say_text(work->look, key, work->port->subject, is_so ? "yes" : "no");
}

static void look_at_versions(struct work *work) {
    cleanup_text struct text names = {0};
    struct numbers groups = all_groups();
    struct tls_answer old = {0};
    for (unsigned version = SSL_3; version <= TLS_1_3; version++) {
        struct tls_answer answer;
        struct numbers suites = suites_for(version, is_any);
        if (!ask(work, version, &suites, &groups, &answer))
            continue;
        work->speaks[version - SSL_3] = true;
        text_add_string(&names, names.length ? " " : "");
        text_add_string(&names, tls_version_name(version));
        if (version != TLS_1_3) {
            work->highest = version;
            old = answer;
        }
    }
    if (work->error < 0)
        return; /* half a list would say that a version is missing */
    say_list(work, "versions", &names);
    if (!work->highest)
        return;
    say_yes(work, "compression", old.compresses);
    say_yes(work, "safe_renegotiation", old.has_safe_renegotiation);
    if (old.version > SSL_3)
        say_yes(work, "master_secret", old.has_master_secret);
    say_yes(work, "tickets", old.has_tickets);
}

/* ---- groups, primes, signatures ---- */

/* Before 1.3 the good groups stay on offer behind the weak ones: without its own curve among them a
 * certificate cannot be used. */
static void find_weak_groups(struct work *work, unsigned version, const struct numbers *suites,
                             struct numbers *found) {
    struct numbers offered = {0};
    struct tls_answer answer;
    for (size_t i = 0; i < tls_group_count; i++)
        if (tls_groups[i].worth >= TLS_PHASE_OUT)
            add(&offered, tls_groups[i].number);
    for (size_t i = 0; i < tls_group_count && version != TLS_1_3; i++)
        if (tls_groups[i].worth < TLS_PHASE_OUT)
            add(&offered, tls_groups[i].number);
    while (ask(work, version, suites, &offered, &answer)) {
        const struct tls_group *group = tls_group_find(answer.group);
        if (!group || group->worth < TLS_PHASE_OUT || !take_out(&offered, group->number))
            return;
        (void)take_out(found, group->number);
        add(found, group->number);
    }
}

static void look_at_groups(struct work *work) {
    struct numbers found = {0};
    struct numbers new_suites = suites_for(TLS_1_3, is_any);
    struct numbers old_suites = suites_for(TLS_1_2, tls_suite_is_ecdhe);
    struct numbers hybrids = {{0x11eb, 0x11ec, 0x11ed}, 3};
    struct tls_answer answer;
    cleanup_text struct text names = {0};
    bool is_new = work->speaks[TLS_1_3 - SSL_3];
    if (is_new)
        find_weak_groups(work, TLS_1_3, &new_suites, &found);
    if (work->highest)
        find_weak_groups(work, work->highest, &old_suites, &found);
    for (size_t i = 0; i < found.count; i++)
        text_add_format(&names, "%s%s", i ? " " : "", tls_group_find(found.at[i])->name);
    say_list(work, "groups_weak", &names);
    bool is_hybrid = is_new && ask(work, TLS_1_3, &new_suites, &hybrids, &answer);
    if (work->error >= 0)
        say_yes(work, "post_quantum", is_hybrid);
}

static void look_at_primes(struct work *work) {
    struct numbers suites = {0};
    struct numbers none = {0};
    struct tls_answer answer;
    for (size_t i = 0; i < work->suites.count; i++)
        if (tls_suite_is_dhe(tls_suite_find(work->suites.at[i])))
            add(&suites, work->suites.at[i]);
    if (ask(work, work->highest, &suites, &none, &answer) && answer.dh_bits)
        look_say_format(work->look, "dh_bits", work->port->subject, "%u", answer.dh_bits);
}

static bool has_signature(const struct tls_suite *suite) {
    return (tls_suite_is_ecdhe(suite) || tls_suite_is_dhe(suite)) && !tls_suite_is_anonymous(suite);
}

static bool is_one_of(unsigned number, const uint16_t *these, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (these[i] == number)
            return true;
    return false;
}

/* What would it sign with if the client knew nothing better? RFC 5246, 7.4.1.4.1. */
static void look_at_signatures(struct work *work) {
    static const struct {
        const char *name;
        uint16_t numbers[3];
    } weak[] = {
        {"SHA-224", {0x0303, 0x0301, 0x0302}},
        {"SHA-1", {0x0203, 0x0201, 0x0202}},
        {"MD5", {0x0101, 0x0102, 0x0103}},
    };
    struct numbers suites = suites_for(TLS_1_2, has_signature);
    struct numbers groups = all_groups();
    cleanup_text struct text names = {0};
    for (size_t i = 0; i < ELEMENTS_OF(weak) && work->highest == TLS_1_2; i++) {
        struct tls_answer answer = {0};
        struct tls_offer offer = make_offer(work, TLS_1_2, &suites, &groups);
        offer.signatures = weak[i].numbers;
        offer.signature_count = ELEMENTS_OF(weak[i].numbers);
        if (work->error >= 0)
            work->error = ask_once(work->port, &offer, &answer);
        if (answer.version && is_one_of(answer.signature, weak[i].numbers, 3))
            text_add_format(&names, "%s%s", names.length ? " " : "", weak[i].name);
    }
    if (work->highest == TLS_1_2)
        say_list(work, "signatures_weak", &names);
}

/* ---- whole handshakes, by the library ---- */

static int secure(struct work *work, struct talk *talk, const struct talk_wish *wish) {
    int error = reach(work->port, talk);
    return error < 0 ? error : talk_secure(talk, wish);
}

static void say_certificate(struct work *work, SSL *tls, const char *subject) {
    char fingerprint[FINGERPRINT_MAX];
    X509 *certificate = SSL_get1_peer_certificate(tls);
    if (certificate) {
        certificate_say(work->look, subject, certificate, SSL_get_peer_cert_chain(tls),
                        work->port->name);
        certificate_fingerprint(certificate, fingerprint);
        served_say_on_disk(work->look, subject, work->port->number, fingerprint);
    }
    X509_free(certificate);
}

static bool is_rsa(SSL *tls) {
    X509 *certificate = SSL_get1_peer_certificate(tls);
    EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate) : NULL;
    bool is_so = key && EVP_PKEY_is_a(key, "RSA");
    X509_free(certificate);
    return is_so;
}

/* A second certificate for those who want the other kind of key. */
static void look_at_other_certificate(struct work *work, bool is_first_rsa) {
    char subject[100];
    cleanup_talk struct talk talk = {.fd = -1};
    struct talk_wish wish = {.name = work->port->name,
                             .version = TLS1_2_VERSION, /* whose suites name the kind of key */
                             .suites = is_first_rsa ? "aECDSA:@SECLEVEL=0" : "aRSA:@SECLEVEL=0"};
    int error = secure(work, &talk, &wish);
    if (error == -ETIMEDOUT)
        look_say_not(work->look, "certificate", "%s: no time was left for its other certificate",
                     work->port->subject);
    if (error < 0 || is_rsa(talk.tls) == is_first_rsa)
        return;
    snprintf(subject, sizeof(subject), "%s, for %s", work->port->subject,
             is_first_rsa ? "ECDSA" : "RSA");
    look_say_format(work->look, "port", subject, "%u", work->port->number);
    say_certificate(work, talk.tls, subject);
}

static void look_at_certificates(struct work *work) {
    cleanup_talk struct talk talk = {.fd = -1};
    struct talk_wish wish = {.name = work->port->name};
    int error = secure(work, &talk, &wish);
    /* A server that has no certificate for 1.3 does not fall back by itself. */
    if (error == -EPROTO) {
        talk_end(&talk);
        wish.version = TLS1_2_VERSION;
        error = secure(work, &talk, &wish);
    }
    if (error < 0) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        look_say_not(work->look, "certificate", "%s: no handshake succeeds: %s",
                     work->port->subject, reason ? reason : strerror(-error));
        ERR_clear_error();
        if (error == -ETIMEDOUT)
            work->error = error;
        return;
    }
    say_certificate(work, talk.tls, work->port->subject);
    if (SSL_version(talk.tls) == TLS1_3_VERSION) {
        talk_listen(&talk, TICKETS_WAIT_US);
        SSL_SESSION *session = SSL_get0_session(talk.tls);
        say_yes(work, "early_data", session && SSL_SESSION_get_max_early_data(session) > 0);
    }
    bool is_first_rsa = is_rsa(talk.tls);
    talk_end(&talk); /* a server may serve one after the other */
    look_at_other_certificate(work, is_first_rsa);
}

static void look_at_renegotiation(struct work *work) {
    cleanup_talk struct talk talk = {.fd = -1};
    struct talk_wish wish = {.name = work->port->name, .version = TLS1_2_VERSION};
    if (work->highest == TLS_1_2 && secure(work, &talk, &wish) >= 0) {
        /* One that stays silent refuses as well. */
        talk.until_us = clock_monotonic_us() + SECOND_US / 2;
        say_yes(work, "renegotiation", talk_renegotiate(&talk) >= 0);
    }
    ERR_clear_error();
}

/* ---- all of it ---- */

static bool offers_tls(struct work *work) {
    const struct tls_port *port = work->port;
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    work->error = talk_begin(&talk, NULL, &port->address, port->number, answer_until(port));
    if (port->dialect == DIALECT_TLS)
        return true;
    if (work->error >= 0)
        work->error = dialect_greeted(&talk, port->dialect, &banner, &able);
    if (work->error >= 0)
        work->error = dialect_ask_able(&talk, port->dialect, &able);
    return dialect_offers_tls(text_span(&able));
}

void tls_port_look(struct look *look, const struct tls_port *port) {
    struct work work = {.look = look, .port = port};
    bool is_offered = offers_tls(&work);
    if (work.error >= 0) {
        say_yes(&work, "offered", is_offered);
        look_say_format(look, "port", port->subject, "%u", port->number);
        if (!is_offered)
            return;
        look_at_certificates(&work); /* what matters most, should time run out */
        look_at_versions(&work);
        look_at_suites(&work);
        look_at_groups(&work);
        look_at_primes(&work);
        look_at_signatures(&work);
        look_at_renegotiation(&work);
    }
    if (work.error < 0)
        look_say_not(look, NULL, "%s: %s", port->subject,
                     work.error == -EPROTO ? "what it answers is no TLS" : strerror(-work.error));
}
