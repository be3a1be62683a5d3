/* A conversation with a service on this machine, in clear or under TLS, of bounded size and time:
 * lines in, lines out. What the other side says is foreign text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <openssl/ssl.h>
#include <stdint.h>

#include "base/address.h"
#include "base/span.h"

enum { TALK_LINE_MOST_BYTES = 4096, TALK_MOST_BYTES = 1 << 20 };

struct talk {
    int fd; /* -1: none */
    int64_t until_us; /* monotonic: when all of it must be over */
    SSL *tls;         /* once talk_secure() was fine */
    SSL_CTX *context;
    size_t read_bytes; /* so far */
    size_t held;       /* of what was read and not yet taken */
    char at[TALK_LINE_MOST_BYTES], line[TALK_LINE_MOST_BYTES];
};
void talk_end(struct talk *talk); /* also when nothing was begun, or twice */
#define cleanup_talk at_scope_end(talk_end)

/* Connects; `from` may be NULL. -errno; -ETIMEDOUT at `until_us`. */
must_use int talk_begin(struct talk *talk, const struct address *from, const struct address *to,
                        uint16_t port, int64_t until_us);
must_use int talk_say(struct talk *talk, struct span bytes);
/* The next line without its end; it lies in `talk` until the next call. -ENODATA: the other side
 * ended; -EMSGSIZE: it says too much. */
must_use int talk_line(struct talk *talk, struct span *ret_line);
/* Some bytes as they come, without looking for lines: how many (0 at the end), or -errno. */
must_use ssize_t talk_bytes(struct talk *talk, char *into, size_t room);

struct talk_wish {
    const char *name;       /* of the server, for its choice of a certificate; NULL: none */
    int version;            /* the only TLS version, as OpenSSL numbers it; 0: any */
    const char *suites;     /* OpenSSL's list, before TLS 1.3; NULL: all */
};
/* A TLS handshake that trusts everybody: the certificate is looked at afterwards. -EPROTO: it
 * failed, the reason is OpenSSL's. */
must_use int talk_secure(struct talk *talk, const struct talk_wish *wish);
/* Lets the library go on with whatever the other side sent (tickets). */
void talk_listen(struct talk *talk, int64_t for_us);
/* Says that nothing more will come, in clear, and waits for the other side to end: a server with a
 * process for each connection, and a limit on them, has one less before the next begins. */
void talk_leave(struct talk *talk, int64_t for_us);
/* Asks for a second handshake inside TLS 1.2: 0 if the server is willing. */
must_use int talk_renegotiate(struct talk *talk);
