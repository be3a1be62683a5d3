/* Writes a ClientHello and reads the server's first flight, up to what it says of its key exchange.
 * RFC 8446 (TLS 1.3), 5246 (1.2), 6101 (SSL 3), 8422 (curves), 7627 (extended master secret), 5746
 * (renegotiation). Every length is the sender's claim: take() gives no byte beyond what is there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/tls_hello.h"

#include <errno.h>

#include "base/hash.h"

enum record { RECORD_CHANGE = 20, RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };
enum message { CLIENT_HELLO = 1, SERVER_HELLO = 2, CERTIFICATE = 11, KEY_EXCHANGE = 12, DONE = 14 };
enum extension {
    SERVER_NAME = 0,
    SUPPORTED_GROUPS = 10,
    POINT_FORMATS = 11,
    SIGNATURES = 13,
    MASTER_SECRET = 23,
    TICKET = 35,
    SUPPORTED_VERSIONS = 43,
    KEY_SHARE = 51,
    RENEGOTIATION = 0xff01,
};
enum { RECORD_HEAD = 5, MESSAGE_HEAD = 4, RANDOM_BYTES = 32, FLIGHT_MOST_BYTES = 1 << 17 };

/* ---- writing ---- */

static void add_number(struct text *text, size_t bytes, size_t number) {
    while (bytes-- > 0)
        text_add_char(text, (char)(number >> (8 * bytes)));
}

/* A part that begins with its own length, written when it is over. */
static size_t begin_part(struct text *text, size_t bytes) {
    add_number(text, bytes, 0);
    return text->length;
}

static void end_part(struct text *text, size_t bytes, size_t begin) {
    size_t length = text->length - begin;
    for (size_t i = 0; i < bytes && !text->error; i++)
        text->at[begin - 1 - i] = (char)(length >> (8 * i));
}

static void add_list(struct text *text, const uint16_t *numbers, size_t count) {
    size_t list = begin_part(text, 2);
    for (size_t i = 0; i < count; i++)
        add_number(text, 2, numbers[i]);
    end_part(text, 2, list);
}

static void add_extensions(struct text *text, const struct tls_offer *offer) {
    size_t all = begin_part(text, 2);
    size_t part;
    if (offer->name && offer->name[0]) {
        add_number(text, 2, SERVER_NAME);
        part = begin_part(text, 2);
        add_number(text, 2, strlen(offer->name) + 3);
        text_add_char(text, 0);
        add_number(text, 2, strlen(offer->name));
        text_add_string(text, offer->name);
        end_part(text, 2, part);
    }
    if (offer->group_count > 0) {
        add_number(text, 2, SUPPORTED_GROUPS);
        part = begin_part(text, 2);
        add_list(text, offer->groups, offer->group_count);
        end_part(text, 2, part);
    }
    if (offer->version >= TLS_1_2) {
        add_number(text, 2, SIGNATURES);
        part = begin_part(text, 2);
        add_list(text, offer->signatures, offer->signature_count);
        end_part(text, 2, part);
    }
    if (offer->version == TLS_1_3) {
        text_add(text, SPAN("\0\x2b\0\3\2\3\4")); /* supported versions: 1.3 alone */
        text_add(text, SPAN("\0\x33\0\2\0\0"));   /* key share: none */
    } else {
        text_add(text, SPAN("\0\x0b\0\2\1\0")); /* point formats: uncompressed */
        text_add(text, SPAN("\0\x17\0\0"));     /* extended master secret */
        text_add(text, SPAN("\0\x23\0\0"));     /* a ticket, please */
        text_add(text, SPAN("\xff\1\0\1\0"));   /* safe renegotiation */
    }
    end_part(text, 2, all);
}

void tls_offer_write(const struct tls_offer *offer, struct text *into) {
    unsigned legacy = offer->version > TLS_1_2 ? TLS_1_2 : offer->version;
    text_add_char(into, RECORD_HANDSHAKE);
    add_number(into, 2, offer->version == SSL_3 ? SSL_3 : TLS_1_0);
    size_t record = begin_part(into, 2);
    text_add_char(into, CLIENT_HELLO);
    size_t message = begin_part(into, 3);
    add_number(into, 2, legacy);
    for (size_t i = 0; i < RANDOM_BYTES / sizeof(uint64_t); i++) {
        uint64_t random = random_u64();
        text_add(into, (struct span){(const char *)&random, sizeof(random)});
    }
    text_add_char(into, 0); /* no session to go on with */
    add_list(into, offer->suites, offer->suite_count);
    if (offer->version == TLS_1_3)
        text_add(into, SPAN("\1\0")); /* no compression */
    else
        text_add(into, SPAN("\2\1\0")); /* deflate, or none */
    if (offer->version != SSL_3)
        add_extensions(into, offer);
    end_part(into, 3, message);
    end_part(into, 2, record);
}

/* ---- reading ---- */

/* Takes a number off the front; false, and *bytes is emptied, when there is not so much. */
static bool take(struct span *bytes, size_t count, size_t *ret_number) {
    size_t number = 0;
    if (bytes->length < count) {
        bytes->length = 0;
        return false;
    }
    for (size_t i = 0; i < count; i++)
        number = number << 8 | (uint8_t)bytes->at[i];
    *bytes = span_skip(*bytes, count);
    *ret_number = number;
    return true;
}

/* Takes what follows its own length. */
static bool take_part(struct span *bytes, size_t count, struct span *ret_part) {
    size_t length;
    if (!take(bytes, count, &length) || length > bytes->length)
        return false;
    *ret_part = (struct span){bytes->at, length};
    *bytes = span_skip(*bytes, length);
    return true;
}

static void read_extension(size_t kind, struct span body, struct tls_answer *answer) {
    size_t number;
    if (kind == SUPPORTED_VERSIONS && take(&body, 2, &number))
        answer->version = (unsigned)number;
    if (kind == KEY_SHARE && take(&body, 2, &number))
        answer->group = (unsigned)number;
    answer->has_master_secret |= kind == MASTER_SECRET;
    answer->has_safe_renegotiation |= kind == RENEGOTIATION;
    answer->has_tickets |= kind == TICKET;
}

static int read_server_hello(struct span body, struct tls_answer *answer) {
    size_t version;
    size_t suite;
    size_t compression;
    size_t kind;
    struct span session;
    struct span extensions;
    struct span one;
    if (!take(&body, 2, &version) || body.length < RANDOM_BYTES)
        return -EPROTO;
    body = span_skip(body, RANDOM_BYTES);
    if (!take_part(&body, 1, &session) || !take(&body, 2, &suite) || !take(&body, 1, &compression))
        return -EPROTO;
    answer->version = (unsigned)version;
    answer->suite = (unsigned)suite;
    answer->compresses = compression != 0;
    if (!take_part(&body, 2, &extensions))
        return 0; /* SSL 3 has none */
    while (take(&extensions, 2, &kind) && take_part(&extensions, 2, &one))
        read_extension(kind, one, answer);
    return 0;
}

static unsigned bits_of(struct span number) {
    while (number.length > 0 && number.at[0] == 0)
        number = span_skip(number, 1);
    if (number.length == 0)
        return 0;
    unsigned top = 8;
    while (!((uint8_t)number.at[0] >> (top - 1)))
        top--;
    return (unsigned)(8 * (number.length - 1)) + top;
}

/* Curve or prime, then the public value, then the signature over both. */
static int read_key_exchange(struct span body, struct tls_answer *answer) {
    const struct tls_suite *suite = tls_suite_find(answer->suite);
    struct span part = {0};
    size_t number;
    if (!suite || tls_suite_is_static(suite))
        return 0; /* one for export, whose key nobody asks for */
    if (tls_suite_is_ecdhe(suite)) {
        size_t form;
        if (!take(&body, 1, &form) || form != 3 || !take(&body, 2, &number) ||
            !take_part(&body, 1, &part))
            return -EPROTO;
        answer->group = (unsigned)number;
    } else if (tls_suite_is_dhe(suite)) {
        if (!take_part(&body, 2, &part))
            return -EPROTO;
        answer->dh_bits = bits_of(part);
        if (!take_part(&body, 2, &part) || !take_part(&body, 2, &part))
            return -EPROTO;
    }
    if (answer->version == TLS_1_2 && !tls_suite_is_anonymous(suite) && take(&body, 2, &number))
        answer->signature = (unsigned)number;
    return 0;
}

/* 1 when nothing more is to be learned. */
static int read_message(size_t kind, struct span body, struct tls_answer *answer) {
    int error;
    switch (kind) {
    case SERVER_HELLO:
        error = read_server_hello(body, answer);
        return error < 0 ? error : answer->version == TLS_1_3;
    case KEY_EXCHANGE:
        error = answer->version ? read_key_exchange(body, answer) : -EPROTO;
        return error < 0 ? error : 1;
    case DONE: return answer->version ? 1 : -EPROTO;
    default: return answer->version ? 0 : -EPROTO;
    }
}

static int read_messages(struct span flight, struct tls_answer *answer) {
    size_t kind;
    struct span body;
    int status = 0;
    while (status == 0 && take(&flight, 1, &kind) && take_part(&flight, 3, &body))
        status = read_message(kind, body, answer);
    return status;
}

int tls_answer_read(struct span bytes, struct tls_answer *ret_answer) {
    struct tls_answer answer = {0};
    cleanup_text struct text flight = {0}; /* messages may lie across records */
    size_t kind;
    size_t version;
    struct span body;
    bool is_over = false;
    while (!is_over && take(&bytes, 1, &kind)) {
        if (kind == RECORD_CHANGE && flight.length > 0)
            break; /* TLS 1.3 puts one behind what we wait for */
        if (kind != RECORD_ALERT && kind != RECORD_HANDSHAKE)
            return -EPROTO;
        if (!take(&bytes, 2, &version) || !take_part(&bytes, 2, &body))
            break;
        if (version >> 8 != 3)
            return -EPROTO;
        if (kind == RECORD_HANDSHAKE) {
            text_add(&flight, body);
            continue;
        }
        size_t level = 0;
        size_t alert = 0;
        if (!take(&body, 1, &level) || !take(&body, 1, &alert))
            return -EPROTO;
        if (level == 1 && alert != 0)
            continue; /* a warning, as of a name the server does not know */
        answer.alert = (unsigned)alert;
        is_over = true;
    }
    if (flight.length > FLIGHT_MOST_BYTES)
        return -EPROTO;
    int status = read_messages(text_span(&flight), &answer);
    if (status < 0)
        return status;
    if (status == 0 && !is_over)
        return 0;
    *ret_answer = answer;
    return 1;
}
