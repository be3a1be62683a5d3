/* One descriptor that never blocks and one moment at which everything must be over: each wait is a
 * poll(2) for what is left of the time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/talk.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include "base/clock.h"

void talk_end(struct talk *talk) {
    SSL_free(talk->tls);
    SSL_CTX_free(talk->context);
    talk->tls = NULL;
    talk->context = NULL;
    cleanup_close_fd(&talk->fd);
}

static int wait_for(const struct talk *talk, short events, int64_t until_us) {
    struct pollfd polled = {talk->fd, events, 0};
    for (;;) {
        int64_t left_us = until_us - clock_monotonic_us();
        if (left_us <= 0)
            return -ETIMEDOUT;
        int count = poll(&polled, 1, (int)(left_us / 1000) + 1);
        if (count > 0)
            return 0;
        if (count < 0 && errno != EINTR)
            return -errno;
    }
}

static socklen_t socket_address(const struct address *address, uint16_t port,
                                struct sockaddr_storage *into) {
    *into = (struct sockaddr_storage){0};
    if (address_is_v4(address)) {
        struct sockaddr_in *four = (struct sockaddr_in *)(void *)into;
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        memcpy(&four->sin_addr, address->at + 12, 4);
        return sizeof(*four);
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)into;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    memcpy(&six->sin6_addr, address->at, 16);
    return sizeof(*six);
}

int talk_begin(struct talk *talk, const struct address *from, const struct address *to,
               uint16_t port, int64_t until_us) {
    struct sockaddr_storage name;
    socklen_t length = socket_address(to, port, &name);
    *talk = (struct talk){.fd = -1, .until_us = until_us};
    talk->fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (talk->fd < 0)
        return -errno;
    if (from) {
        struct sockaddr_storage own;
        socklen_t own_length = socket_address(from, 0, &own);
        if (bind(talk->fd, (struct sockaddr *)&own, own_length) < 0)
            return -errno;
    }
    if (connect(talk->fd, (struct sockaddr *)&name, length) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    int error = wait_for(talk, POLLOUT, until_us);
    if (error < 0)
        return error;
    socklen_t size = sizeof(error);
    return getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

/* What a call of OpenSSL's that did not succeed waits for; -errno when it will never succeed. */
static int wait_for_tls(struct talk *talk, int result) {
    switch (SSL_get_error(talk->tls, result)) {
    case SSL_ERROR_WANT_READ: return wait_for(talk, POLLIN, talk->until_us);
    case SSL_ERROR_WANT_WRITE: return wait_for(talk, POLLOUT, talk->until_us);
    case SSL_ERROR_ZERO_RETURN: return -ENODATA;
    default: return -EPROTO;
    }
}

static ssize_t write_some(struct talk *talk, struct span bytes) {
    for (;;) {
        ERR_clear_error();
        ssize_t count = talk->tls
                            ? SSL_write(talk->tls, bytes.at, (int)bytes.length)
                            : send(talk->fd, bytes.at, bytes.length, MSG_NOSIGNAL);
        if (count > 0)
            return count;
        int error = talk->tls                             ? wait_for_tls(talk, (int)count)
                    : errno == EAGAIN || errno == EINTR ? wait_for(talk, POLLOUT, talk->until_us)
                                                          : -errno;
        if (error < 0)
            return error;
    }
}

int talk_say(struct talk *talk, struct span bytes) {
    while (bytes.length > 0) {
        ssize_t count = write_some(talk, bytes);
        if (count < 0)
            return (int)count;
        bytes = span_skip(bytes, (size_t)count);
    }
    return 0;
}

ssize_t talk_bytes(struct talk *talk, char *into, size_t room) {
    if (talk->read_bytes > TALK_MOST_BYTES)
        return -EMSGSIZE;
    for (;;) {
        ERR_clear_error();
        ssize_t count = talk->tls ? SSL_read(talk->tls, into, (int)room)
                                  : recv(talk->fd, into, room, 0);
        if (count > 0) {
            talk->read_bytes += (size_t)count;
            return count;
        }
        if (count == 0 && !talk->tls)
            return 0;
        int error = talk->tls                             ? wait_for_tls(talk, (int)count)
                    : errno == EAGAIN || errno == EINTR ? wait_for(talk, POLLIN, talk->until_us)
                                                          : -errno;
        if (error < 0)
            return error == -ENODATA ? 0 : error;
    }
}

int talk_line(struct talk *talk, struct span *ret_line) {
    for (;;) {
        char *end = memchr(talk->at, '\n', talk->held);
        if (end) {
            size_t length = (size_t)(end - talk->at);
            memcpy(talk->line, talk->at, length);
            talk->held -= length + 1;
            memmove(talk->at, end + 1, talk->held);
            *ret_line = span_trim((struct span){talk->line, length});
            return 0;
        }
        if (talk->held == sizeof(talk->at))
            return -EMSGSIZE;
        ssize_t count = talk_bytes(talk, talk->at + talk->held, sizeof(talk->at) - talk->held);
        if (count <= 0)
            return count < 0 ? (int)count : -ENODATA;
        talk->held += (size_t)count;
    }
}

/* Everything the library can do, as weak as it may be, whatever this host's openssl.cnf forbids its
 * programs: what is refused is the server's refusal. */
static SSL_CTX *make_context(const struct talk_wish *wish) {
    must(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    must(context);
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT |
                                           SSL_OP_ALLOW_CLIENT_RENEGOTIATION |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF);
    must(SSL_CTX_set_min_proto_version(context, wish->version ? wish->version : TLS1_VERSION));
    must(SSL_CTX_set_max_proto_version(context, wish->version));
    must(SSL_CTX_set_cipher_list(context, wish->suites ? wish->suites : "ALL:@SECLEVEL=0"));
    must(SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384:P-521:X448:P-224:secp256k1:P-192:"
                                           "brainpoolP256r1:brainpoolP384r1:brainpoolP512r1"));
    return context;
}

int talk_secure(struct talk *talk, const struct talk_wish *wish) {
    int error = 0;
    talk->context = make_context(wish);
    talk->tls = SSL_new(talk->context);
    must(talk->tls && SSL_set_fd(talk->tls, talk->fd));
    if (wish->name && wish->name[0])
        (void)SSL_set_tlsext_host_name(talk->tls, wish->name);
    talk->held = 0;
    while (error == 0) {
        ERR_clear_error();
        int result = SSL_connect(talk->tls);
        if (result == 1)
            return 0;
        error = wait_for_tls(talk, result);
    }
    return error == -ENODATA ? -EPROTO : error;
}

void talk_listen(struct talk *talk, int64_t for_us) {
    char byte;
    int64_t until_us = clock_monotonic_us() + for_us;
    for (;;) {
        ERR_clear_error();
        int result = SSL_peek(talk->tls, &byte, 1);
        if (result > 0 || SSL_get_error(talk->tls, result) != SSL_ERROR_WANT_READ ||
            wait_for(talk, POLLIN, until_us) < 0)
            return;
    }
}

void talk_leave(struct talk *talk, int64_t for_us) {
    char rest[4096];
    if (talk->fd < 0 || shutdown(talk->fd, SHUT_WR) < 0)
        return;
    talk->until_us = clock_monotonic_us() + for_us;
    while (talk_bytes(talk, rest, sizeof(rest)) > 0)
        continue;
}

int talk_renegotiate(struct talk *talk) {
    int error = 0;
    ERR_clear_error();
    if (!SSL_renegotiate(talk->tls))
        return -EPROTO;
    while (error == 0) {
        ERR_clear_error();
        int result = SSL_do_handshake(talk->tls);
        if (result == 1 && !SSL_renegotiate_pending(talk->tls))
            return 0;
        if (result != 1)
            error = wait_for_tls(talk, result);
        else
            error = wait_for(talk, POLLIN, talk->until_us);
    }
    return error;
}
