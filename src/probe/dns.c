/* libunbound does the asking and validating, in a thread of its own; questions and answers lie in a
 * table here. Everything is bounded: questions, records, time; for the answers may be made by
 * somebody who wants this to take long.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/dns.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unbound.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "base/hash.h"

enum { QUESTIONS_MOST = 800, CLASS_IN = 1 };
#define RESOLVER_LIMIT_US (SECOND_US * 3 / 2)

struct question {
    struct dns *dns;
    char name[DNS_NAME_MAX];
    enum dns_type type;
    struct dns_answer answer;
    struct span records[DNS_RECORDS_MOST];
    struct ub_result *result; /* what the answer points into */
    char canonical[DNS_NAME_MAX];
    char why[300];
};

struct dns {
    struct ub_ctx *unbound;
    bool validates;
    int64_t until_us;
    size_t open; /* questions asked and not answered */
    bool has_new;
    struct question *questions[QUESTIONS_MOST];
    size_t count;
};

static const struct dns_answer too_many = {.state = DNS_FAILED, .why = "too many questions"};
static const struct dns_answer no_host_name = {.state = DNS_FAILED, .why = "this is no host name"};

/* ---- opening ---- */

static int set_options(struct ub_ctx *unbound) {
    static const char *const options[][2] = {
        {"do-not-query-localhost:", "no"}, /* the resolver is often here */
        {"unblock-lan-zones:", "yes"},     /* what the resolver says of private addresses counts */
        {"insecure-lan-zones:", "yes"},    {"trust-anchor-signaling:", "no"},
        {"outgoing-range:", "128"},        {"edns-buffer-size:", "1232"},
        {"qname-minimisation:", "no"}, /* one forwarder learns all anyway */
    };
    for (size_t i = 0; i < ELEMENTS_OF(options); i++) {
        int error = ub_ctx_set_option(unbound, options[i][0], options[i][1]);
        if (error)
            return error;
    }
    return 0;
}

struct dns *dns_open(const char *const resolvers[], size_t count, const char *anchors,
                     int64_t limit_us, struct why *reterr_why) {
    struct dns *dns = calloc(1, sizeof(*dns));
    must(dns);
    dns->until_us = clock_monotonic_us() + limit_us;
    dns->validates = anchors != NULL;
    dns->unbound = ub_ctx_create();
    int error = dns->unbound ? 0 : UB_NOMEM;
    if (!error) {
        (void)ub_ctx_debugout(dns->unbound, NULL);
        error = set_options(dns->unbound);
    }
    for (size_t i = 0; i < count && !error; i++)
        error = ub_ctx_set_fwd(dns->unbound, resolvers[i]);
    if (!error && anchors)
        error = ub_ctx_add_ta_file(dns->unbound, anchors);
    if (!error)
        error = ub_ctx_async(dns->unbound, 1);
    if (!error) {
        /* Answered by the library itself otherwise. Settings cannot be changed behind that. */
        (void)ub_ctx_zone_remove(dns->unbound, "test.");
        (void)ub_ctx_zone_remove(dns->unbound, "invalid.");
        return dns;
    }
    (void)why_set(reterr_why, -EIO, anchors, 0, "libunbound: %s", ub_strerror(error));
    return dns_close(dns);
}

struct dns *dns_close(struct dns *dns) {
    if (!dns)
        return NULL;
    if (dns->unbound)
        ub_ctx_delete(dns->unbound); /* ends the thread; nothing is called back after that */
    for (size_t i = 0; i < dns->count; i++) {
        ub_resolve_free(dns->questions[i]->result);
        free(dns->questions[i]);
    }
    free(dns);
    return NULL;
}

/* ---- asking ---- */

static void fail(struct question *question, const char *why) {
    snprintf(question->why, sizeof(question->why), "%s", why);
    question->answer.state = DNS_FAILED;
    question->answer.why = question->why;
}

static void fail_late(struct question *question) {
    fail(question, "no answer came in time");
    question->answer.is_late = true;
}

static enum dns_trust trust_of(const struct dns *dns, const struct ub_result *result) {
    return !dns->validates  ? DNS_UNKNOWN
           : result->bogus  ? DNS_BOGUS
           : result->secure ? DNS_SECURE
                            : DNS_INSECURE;
}

static void keep_canonical(struct question *question, const char *name) {
    size_t length = name ? strlen(name) : 0;
    while (length > 0 && name[length - 1] == '.')
        length--;
    if (length == 0 || length >= sizeof(question->canonical))
        return;
    for (size_t i = 0; i < length; i++)
        question->canonical[i] = (char)tolower((unsigned char)name[i]);
    question->canonical[length] = '\0';
    if (strcmp(question->canonical, question->name) != 0)
        question->answer.canonical = question->canonical;
}

/* Called from ub_process(). */
static void take(void *context, int error, struct ub_result *result) {
    struct question *question = context;
    struct dns_answer *answer = &question->answer;
    enum { NO_ERROR = 0, SERVER_FAILURE = 2, NO_NAME = 3, REFUSED = 5 };
    question->dns->open--;
    if (error || !result) {
        fail(question, ub_strerror(error));
        return;
    }
    question->result = result;
    answer->trust = trust_of(question->dns, result);
    if (result->bogus) {
        fail(question, result->why_bogus ? result->why_bogus : "its signatures are not good");
    } else if (result->rcode != NO_ERROR && result->rcode != NO_NAME) {
        answer->trust = DNS_UNKNOWN;
        fail(question, result->rcode == SERVER_FAILURE ? "the servers of the name fail (SERVFAIL)"
                       : result->rcode == REFUSED      ? "refused"
                                                       : "an error of the server");
    } else {
        keep_canonical(question, result->canonname);
        while (result->havedata && answer->count < DNS_RECORDS_MOST &&
               result->data[answer->count]) {
            question->records[answer->count] = (struct span){result->data[answer->count],
                                                             (size_t)result->len[answer->count]};
            answer->count++;
        }
        answer->records = question->records;
        answer->state = answer->count ? DNS_FOUND : result->nxdomain ? DNS_NO_NAME : DNS_EMPTY;
    }
}

static bool is_askable(const char *name) {
    size_t length = strlen(name);
    size_t label = 0;
    if (strcmp(name, ".") == 0)
        return true;
    if (length >= DNS_NAME_MAX - 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        label = name[i] == '.' ? 0 : label + 1;
        if (label > 63 || (name[i] == '.' && (i == 0 || name[i - 1] == '.')) ||
            (!isalnum((unsigned char)name[i]) && !strchr("-_./+=*", name[i])))
            return false;
    }
    return length > 0;
}

const struct dns_answer *dns_ask(struct dns *dns, const char *name, enum dns_type type) {
    for (size_t i = 0; i < dns->count; i++)
        if (dns->questions[i]->type == type && strcasecmp(dns->questions[i]->name, name) == 0)
            return &dns->questions[i]->answer;
    if (!is_askable(name))
        return &no_host_name;
    if (dns->count == QUESTIONS_MOST)
        return &too_many;
    struct question *question = calloc(1, sizeof(*question));
    must(question);
    question->dns = dns;
    question->type = type;
    for (size_t i = 0; name[i]; i++)
        question->name[i] = (char)tolower((unsigned char)name[i]);
    dns->questions[dns->count++] = question;
    int number;
    int error = dns_is_over(dns) ? UB_SERVFAIL
                                 : ub_resolve_async(dns->unbound, question->name, (int)type,
                                                    CLASS_IN, question, take, &number);
    if (error && dns_is_over(dns)) {
        fail_late(question);
    } else if (error) {
        fail(question, ub_strerror(error));
    } else {
        dns->open++;
        dns->has_new = true;
    }
    return &question->answer;
}

bool dns_is_over(const struct dns *dns) {
    return clock_monotonic_us() >= dns->until_us;
}

bool dns_wait(struct dns *dns) {
    bool had_new = dns->has_new;
    dns->has_new = false;
    while (dns->open > 0 && !dns_is_over(dns)) {
        struct pollfd polled = {ub_fd(dns->unbound), POLLIN, 0};
        int64_t left_us = dns->until_us - clock_monotonic_us();
        if (poll(&polled, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0) > 0 &&
            ub_process(dns->unbound) != 0)
            dns->until_us = 0; /* its thread is gone */
    }
    for (size_t i = 0; i < dns->count && dns->open > 0; i++)
        if (dns->questions[i]->answer.state == DNS_PENDING)
            fail_late(dns->questions[i]);
    return had_new;
}

/* ---- addresses ---- */

void dns_reverse(const struct address *address, const char *zone, char into[DNS_NAME_MAX]) {
    const uint8_t *at = address->at;
    size_t length = 0;
    if (address_is_v4(address)) {
        snprintf(into, DNS_NAME_MAX, "%u.%u.%u.%u.%s", at[15], at[14], at[13], at[12],
                 zone ? zone : "in-addr.arpa");
        return;
    }
    for (int i = 15; i >= 0; i--)
        length += (size_t)snprintf(into + length, DNS_NAME_MAX - length, "%x.%x.", at[i] & 15,
                                   at[i] >> 4);
    snprintf(into + length, DNS_NAME_MAX - length, "%s", zone ? zone : "ip6.arpa");
}

/* ---- the resolver itself ---- */

static socklen_t resolver_address(const char *resolver, struct sockaddr_storage *ret_address) {
    struct span port_text = span_of(resolver);
    struct span host = span_cut(&port_text, '@');
    struct address address;
    int64_t port = 53;
    if (address_parse(host, &address) < 0 ||
        (port_text.at && span_to_integer(port_text, 1, 65535, &port) < 0))
        return 0;
    *ret_address = (struct sockaddr_storage){0};
    if (address_is_v4(&address)) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        memcpy(&v4->sin_addr, &address.at[12], 4);
        return sizeof(*v4);
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    memcpy(&v6->sin6_addr, address.at, 16);
    return sizeof(*v6);
}

int dns_resolver_validates(const char *resolver) {
    /* ". SOA", recursion desired, AD set: "tell me whether it is authentic" (RFC 6840, 5.7). */
    uint8_t packet[512] = {0, 0, 0x01, 0x20,         0, 1,       0, 0, 0,
                           0, 0, 0,    /* root */ 0, 0, DNS_SOA, 0, 1};
    enum { QUESTION_BYTES = 17, HEADER_BYTES = 12 };
    struct sockaddr_storage address;
    socklen_t size = resolver_address(resolver, &address);
    if (size == 0)
        return -EINVAL;
    cleanup_close int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const uint64_t random = random_u64();
    memcpy(packet, &random, 2);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, size) < 0 ||
        send(fd, packet, QUESTION_BYTES, MSG_NOSIGNAL) < 0)
        return -errno;
    int64_t until_us = clock_monotonic_us() + RESOLVER_LIMIT_US;
    for (int64_t left_us; (left_us = until_us - clock_monotonic_us()) > 0;) {
        struct pollfd polled = {fd, POLLIN, 0};
        if (poll(&polled, 1, (int)(left_us / 1000) + 1) <= 0)
            continue;
        ssize_t got = recv(fd, packet, sizeof(packet), 0);
        if (got < 0)
            return -errno;
        if (got >= HEADER_BYTES && memcmp(packet, &random, 2) == 0 && (packet[2] & 0x80))
            return (packet[3] & 0x20) != 0;
    }
    return -ETIMEDOUT;
}
