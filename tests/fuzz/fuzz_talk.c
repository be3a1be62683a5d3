/* Foreign bytes as what a service says: to the reader of TLS's first flight, to each dialect from its
 * greeting to STARTTLS, and as nginx's file. A flight that is whole stays the same whatever comes
 * behind it, and is not whole before its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/socket.h>

#include "base/clock.h"
#include "base/hash.h"
#include "probe/dialect.h"
#include "probe/listeners.h"
#include "probe/nginx.h"
#include "probe/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SAID_MOST_BYTES = 32 << 10 };

static void read_flight(struct span bytes) {
    struct tls_answer answer;
    struct tls_answer shorter;
    if (tls_answer_read(bytes, &answer) != 1 || !answer.version)
        return;
    for (size_t length = bytes.length; length-- > 0;) {
        int status = tls_answer_read((struct span){bytes.at, length}, &shorter);
        must(status >= 0);
        if (status == 0)
            return;
        must(shorter.version == answer.version && shorter.suite == answer.suite);
    }
}

static void listen_to(struct span bytes, enum dialect dialect) {
    int pair[2];
    cleanup_text struct text banner = {0};
    cleanup_text struct text able = {0};
    struct span rest;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    cleanup_talk struct talk talk = {.fd = pair[0],
                                     .until_us = clock_monotonic_us() + 5 * SECOND_US};
    if (bytes.length > SAID_MOST_BYTES)
        bytes.length = SAID_MOST_BYTES;
    must(bytes.length == 0 || send(pair[1], bytes.at, bytes.length, 0) == (ssize_t)bytes.length);
    must(shutdown(pair[1], SHUT_WR) == 0);
    if (dialect_greeted(&talk, dialect, &banner, &able) >= 0 &&
        dialect_ask_able(&talk, dialect, &able) >= 0) {
        (void)able_has(text_span(&able), "SASL", &rest);
        (void)dialect_offers_tls(text_span(&able));
        must(dialect_start_tls(&talk, dialect) <= 0);
    }
    close(pair[1]);
}

static void ignore(void *context, const struct nginx_statement *statement) {
    (void)context;
    must(statement->line >= 1 && statement->name.length > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct span all = {(const char *)bytes, size};
    struct address address;
    hash_open();
    read_flight(all);
    for (enum dialect dialect = DIALECT_SMTP; dialect < DIALECTS; dialect++)
        listen_to(all, dialect);
    nginx_read_text("fuzz", all, ignore, NULL);
    (void)listeners_find(all, 25, &address);
    return 0;
}
