/* HTTPS as RFC 8461, 3.3 wants it: the certificate must be good for the name, only "200" counts, no
 * redirect is followed. Blocking, with a time limit on the socket: it is this machine that answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/sts_fetch.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { FETCH_SECONDS = 2 };

static void explain(struct sts_file *file, int error, const char *what, const char *why) {
    file->error = error;
    snprintf(file->why, sizeof(file->why), "%s: %s", what, why);
}

static int connect_to(const struct address *address) {
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    struct timeval limit = {.tv_sec = FETCH_SECONDS};
    memcpy(&to.sin6_addr, address->at, 16); /* IPv4 as ::ffff:a.b.c.d, which the socket takes */
    cleanup_close int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        return -errno;
    return take_fd(&fd);
}

static const char *complaint_of(SSL *ssl) {
    long verdict = SSL_get_verify_result(ssl);
    unsigned long error = ERR_get_error();
    return verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
           : error              ? ERR_reason_error_string(error)
                                : "the connection ended";
}

static void converse(SSL *ssl, const char *host, struct sts_file *file) {
    char request[DNS_NAME_MAX + 120];
    size_t length = 0;
    int got;
    snprintf(request, sizeof(request),
             "GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: %s\r\nUser-Agent: hauberk\r\n\r\n",
             host);
    if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, (int)strlen(request)) <= 0) {
        explain(file, -EPROTO, host, complaint_of(ssl));
        return;
    }
    char *text = file->text;
    while (length + 1 < sizeof(file->text) &&
           (got = SSL_read(ssl, text + length, (int)(sizeof(file->text) - 1 - length))) > 0)
        length += (size_t)got;
    text[length] = '\0';
    char *body = strstr(text, "\r\n\r\n");
    if (length < 12 || strncmp(text, "HTTP/1.", 7) != 0 || strncmp(text + 8, " 200", 4) != 0 ||
        !body) {
        char status[60];
        safe_copy(status, sizeof(status), (struct span){text, strcspn(text, "\r\n")});
        explain(file, -ENOENT, host, status[0] ? status : "no answer");
        return;
    }
    memmove(text, body + 4, strlen(body + 4) + 1);
    file->error = 0;
}

static void fetch_over(int fd, const char *host, struct sts_file *file) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    if (context) {
        (void)SSL_CTX_set_default_verify_paths(context);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        ssl = SSL_new(context);
    }
    if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1 &&
        SSL_set1_host(ssl, host) == 1)
        converse(ssl, host, file);
    else
        explain(file, -ENOMEM, host, "no TLS");
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void fetch(struct dns_look *at, struct sts_file *file) {
    char host[DNS_NAME_MAX + 10];
    snprintf(host, sizeof(host), "mta-sts.%s", file->domain);
    int is_here = dns_is_here(at, host);
    if (dns_is_over(at->dns)) {
        explain(file, -EAGAIN, host, "no time was left to fetch it");
    } else if (dns_ask(at->dns, host, DNS_A)->count + dns_ask(at->dns, host, DNS_AAAA)->count ==
               0) {
        explain(file, -ENOENT, host, "it has no address");
    } else if (is_here != 1) {
        explain(file, -EREMOTE, host, "it leads to another machine and is not fetched");
    } else {
        for (size_t i = 0; i < at->names->own_count; i++) {
            const struct address *own = &at->names->own[i];
            if (!dns_has_address(at, host, own))
                continue;
            cleanup_close int fd = connect_to(own);
            if (fd >= 0)
                fetch_over(fd, host, file);
            else
                explain(file, fd, host, strerror(-fd));
            return;
        }
    }
}

bool sts_fetch_all(struct dns_look *at, struct sts_fetched *ret_fetched) {
    for (size_t i = 0; i < at->names->domain_count; i++) {
        const char *domain = at->names->domains[i].name;
        char name[DNS_NAME_MAX + 10];
        cleanup_text struct text text = {0};
        snprintf(name, sizeof(name), "_mta-sts.%s", domain);
        if (dns_text_of(dns_ask(at->dns, name, DNS_TXT), "v=STSv1", &text) == 0 ||
            ret_fetched->count == ELEMENTS_OF(ret_fetched->files))
            continue;
        struct sts_file *file = &ret_fetched->files[ret_fetched->count++];
        snprintf(file->domain, sizeof(file->domain), "%s", domain);
        fetch(at, file);
    }
    return ret_fetched->count > 0;
}

const struct sts_file *sts_find(const struct sts_fetched *fetched, const char *domain) {
    for (size_t i = 0; i < fetched->count; i++)
        if (strcmp(fetched->files[i].domain, domain) == 0)
            return &fetched->files[i];
    return NULL;
}
