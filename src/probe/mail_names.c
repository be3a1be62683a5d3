/* Domains: hauberk.conf's `domains`, then what Postfix lists in main.cf, in plain files and in
 * tables that postmap(1) can print. What lies in a database is not asked; it is said that it is
 * there. Addresses: the source address is the kernel's choice for a way to the internet; choosing
 * sends nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/mail_names.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

#include "probe/mail_keys.h"
#include "probe/words.h"

/* ---- names ---- */

static bool ends_with(const char *name, const char *tail) {
    size_t length = strlen(name);
    size_t tail_length = strlen(tail);
    return length >= tail_length && strcasecmp(name + length - tail_length, tail) == 0 &&
           (length == tail_length || name[length - tail_length - 1] == '.');
}

bool name_is_reserved(const char *name) {
    static const char *const reserved[] = {
        "example",   "example.com", "example.net", "example.org", "test", "invalid",
        "localhost", "localdomain", "local",       "lan",         "home", "home.arpa",
        "internal",  "intranet",    "corp",        "onion",       "arpa",
    };
    if (!strchr(name, '.') || strncasecmp(name, "localhost.", 10) == 0)
        return true;
    for (size_t i = 0; i < ELEMENTS_OF(reserved); i++)
        if (ends_with(name, reserved[i]))
            return true;
    return false;
}

static bool copy_name(struct span text, char into[NAME_MAX_BYTES]) {
    if (text.length > 0 && text.at[text.length - 1] == '.')
        text.length--;
    if (text.length == 0 || text.length >= NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (!isalnum(c) && !strchr("-_.", c))
            return false;
        into[i] = (char)tolower(c);
    }
    into[text.length] = '\0';
    return true;
}

/* Whatever lies in a declared domain is asked of the resolver, as the owner wishes. */
static bool is_declared(const struct mail_names *names, const char *name) {
    for (size_t i = 0; i < names->domain_count; i++)
        if (strcmp(names->domains[i].from, "domains") == 0 &&
            ends_with(name, names->domains[i].name))
            return true;
    return false;
}

static void add_domain(struct mail_names *names, struct span text, const char *from) {
    struct mail_domain domain = {.from = from};
    bool declares = strcmp(from, "domains") == 0;
    if (!copy_name(text, domain.name) ||
        (!declares && name_is_reserved(domain.name) && !is_declared(names, domain.name)) ||
        strncmp(domain.name, "localhost.", 10) == 0)
        return;
    for (size_t i = 0; i < names->domain_count; i++)
        if (strcmp(names->domains[i].name, domain.name) == 0)
            return;
    if (names->domain_count == MAIL_DOMAINS_MOST)
        names->left_out++;
    else
        names->domains[names->domain_count++] = domain;
}

/* ---- Postfix's lists ---- */

static void add_first_words(struct mail_names *names, struct span lines, const char *from) {
    struct span line;
    while (next_line(&lines, &line)) {
        struct span word = span_word(&line);
        if (memchr(word.at, '.', word.length) && !memchr(word.at, '@', word.length))
            add_domain(names, word, from);
    }
}

static bool has_declared(const struct mail_names *names) {
    return names->domain_count > 0 && strcmp(names->domains[0].from, "domains") == 0;
}

/* virtual_alias_domains is mostly the table of aliases, and owners who have said which domains
 * there are need not be told again. */
static void add_table(struct look *look, struct mail_names *names, struct span table,
                      const char *from) {
    static const char *const printable[] = {"hash:", "btree:", "lmdb:", "cdb:", "texthash:"};
    char which[400];
    cleanup_text struct text output = {0};
    if (span_starts_with(table, SPAN("proxy:")))
        table = span_skip(table, 6);
    snprintf(which, sizeof(which), "%.*s", SPAN_FORMAT(table));
    int result = -EOPNOTSUPP;
    for (size_t i = 0; i < ELEMENTS_OF(printable); i++)
        if (span_starts_with(table, span_of(printable[i]))) {
            const char *const arguments[] = {"postmap", "-s", which, NULL};
            result = look_run(look, arguments, &output, NULL);
        }
    if (table.at[0] == '/')
        result = look_file(which, &output);
    if (result == 0)
        add_first_words(names, text_span(&output), from);
    else if (!has_declared(names) && strcmp(from, "virtual_alias_domains") != 0)
        look_say_text(look, "domains.unlisted", from, which);
}

static void add_list(struct look *look, struct mail_names *names, struct span list,
                     const char *from) {
    while (list.length > 0) {
        size_t length = 0;
        while (length < list.length && !strchr(", \t", list.at[length]))
            length++;
        struct span word = {list.at, length};
        list = span_skip(list, length + 1);
        if (length == 0 || word.at[0] == '!' || word.at[0] == '$')
            continue;
        if (memchr(word.at, ':', length) || word.at[0] == '/')
            add_table(look, names, word, from);
        else
            add_domain(names, word, from);
    }
}

static void add_certificates(struct mail_names *names, struct span list) {
    while (list.length > 0) {
        size_t length = 0;
        while (length < list.length && !strchr(", \t", list.at[length]))
            length++;
        if (length > 0 && list.at[0] == '/' && names->certificate_count < MAIL_CERTIFICATES_MOST)
            snprintf(names->certificates[names->certificate_count++], 300, "%.*s", (int)length,
                     list.at);
        list = span_skip(list, length + 1);
    }
}

struct postfix_says {
    struct span values[16];
};

enum parameter {
    HELO_NAME,
    DESTINATION,
    MAILBOX_DOMAINS,
    ALIAS_DOMAINS,
    RELAY_DOMAINS,
    PROTOCOLS,
    BIND_V4,
    BIND_V6,
    CHAIN_FILES,
    CERT_FILE,
    ECCERT_FILE,
    RELAY_HOST,
    TLS_LEVEL,
    PARAMETERS,
};
static const char *const parameter_names[PARAMETERS] = {
    "smtp_helo_name",           "mydestination",         "virtual_mailbox_domains",
    "virtual_alias_domains",    "relay_domains",         "inet_protocols",
    "smtp_bind_address",        "smtp_bind_address6",    "smtpd_tls_chain_files",
    "smtpd_tls_cert_file",      "smtpd_tls_eccert_file", "relayhost",
    "smtpd_tls_security_level",
};

static bool ask_postfix(struct look *look, struct text *output,
                        struct span ret_values[PARAMETERS]) {
    const char *arguments[PARAMETERS + 3] = {"postconf", "-x"};
    for (size_t i = 0; i < PARAMETERS; i++)
        arguments[i + 2] = parameter_names[i];
    int status = look_has_program("/usr/sbin/postconf") ? look_run(look, arguments, output, NULL)
                                                        : -ENOENT;
    struct span rest = text_span(output);
    struct span line;
    while (next_line(&rest, &line)) {
        struct span name = cut_key(&line);
        for (size_t i = 0; i < PARAMETERS; i++)
            if (span_is(name, parameter_names[i]))
                ret_values[i] = line;
    }
    return status == 0;
}

/* ---- addresses ---- */

bool address_is_public(const struct address *address) {
    static const char *const others[] = {
        "0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
        "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
        "::/96",          "fc00::/7",      "fe80::/10",      "ff00::/8",
    };
    for (size_t i = 0; i < ELEMENTS_OF(others); i++) {
        struct prefix prefix;
        must(prefix_parse(span_of(others[i]), &prefix) == 0);
        if (prefix_holds(&prefix, address))
            return false;
    }
    return true;
}

static void find_own(struct mail_names *names) {
    struct address all[OWN_ADDRESSES_MOST];
    size_t count = own_addresses(all);
    for (size_t i = 0; i < count; i++)
        if (address_is_public(&all[i]))
            names->own[names->own_count++] = all[i];
}

/* Connecting a datagram socket asks the kernel for a way and a source, and sends nothing. */
static bool find_source(int family, struct address *ret_address) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(25)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(25)};
    static const uint8_t far_v4[4] = {198, 41, 0, 4}; /* a.root-servers.net */
    static const uint8_t far_v6[16] = {0x20, 0x01, 0x05,        0x03,
                                       0xba, 0x3e, [13] = 0x02, [15] = 0x30};
    memcpy(&v4.sin_addr, far_v4, sizeof(far_v4));
    memcpy(&v6.sin6_addr, far_v6, sizeof(far_v6));
    const struct sockaddr *far = family == AF_INET ? (struct sockaddr *)&v4
                                                   : (struct sockaddr *)&v6;
    socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6);
    struct sockaddr_storage own;
    socklen_t own_size = sizeof(own);
    cleanup_close int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, far, size) == 0 &&
           getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
           address_of_socket((struct sockaddr *)&own, ret_address) &&
           address_is_public(ret_address);
}

static void find_sender(struct mail_names *names, int family, struct span bound) {
    struct address *sender = &names->senders[names->sender_count];
    bool is_bound = bound.length > 0 && address_parse(bound, sender) == 0;
    if ((is_bound && address_is_public(sender)) || (!is_bound && find_source(family, sender)))
        names->sender_count++;
}

/* ---- all of it ---- */

void mail_names_find(struct look *look, struct span declared, struct mail_names *ret_names) {
    static const enum parameter lists[] = {DESTINATION, MAILBOX_DOMAINS, ALIAS_DOMAINS,
                                           RELAY_DOMAINS};
    struct mail_names *names = ret_names;
    struct span says[PARAMETERS] = {{0}};
    cleanup_text struct text output = {0};
    *names = (struct mail_names){0};
    while (declared.at && declared.length > 0)
        add_domain(names, span_trim(span_cut(&declared, ',')), "domains");
    bool has_postfix = ask_postfix(look, &output, says);
    char own[NAME_MAX_BYTES] = "";
    if (!has_postfix && names->domain_count > 0 && gethostname(own, sizeof(own) - 1) == 0)
        says[HELO_NAME] = span_of(own); /* another mail server; they all greet with that */
    if (!copy_name(says[HELO_NAME], names->host) ||
        (name_is_reserved(names->host) && !is_declared(names, names->host)))
        names->host[0] = '\0';
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++)
        add_list(look, names, says[lists[i]], parameter_names[lists[i]]);
    names->has_relay = says[RELAY_HOST].length > 0;
    add_certificates(names, says[CHAIN_FILES].length > 0 ? says[CHAIN_FILES] : says[CERT_FILE]);
    if (says[CHAIN_FILES].length == 0)
        add_certificates(names, says[ECCERT_FILE]);
    find_own(names);
    struct span protocols = says[PROTOCOLS];
    bool is_all = !has_postfix ||
                  memmem(protocols.at ? protocols.at : "", protocols.length, "all", 3);
    if (is_all || memmem(protocols.at, protocols.length, "ipv4", 4))
        find_sender(names, AF_INET, says[BIND_V4]);
    if (is_all || memmem(protocols.at, protocols.length, "ipv6", 4))
        find_sender(names, AF_INET6, says[BIND_V6]);
    mail_keys_find(names);
}
