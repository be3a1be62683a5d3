/* Postfix and Dovecot are asked with their own programs, of the web servers the files are read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/served.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>

#include "probe/certificate.h"
#include "probe/nginx.h"
#include "probe/words.h"

bool served_host_name(struct look *look, char *into, size_t room) {
    cleanup_text struct text output = {0};
    static const char *const arguments[] = {"postconf", "-hx", "myhostname", NULL};
    char name[256] = "";
    if (look_run(look, arguments, &output, NULL) == 0)
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(span_trim(text_span(&output))));
    else if (gethostname(name, sizeof(name) - 1) < 0)
        return false;
    if (!strchr(name, '.') || strlen(name) >= room)
        return false;
    snprintf(into, room, "%s", name);
    return true;
}

static void add_path(struct text *paths, struct span path) {
    path = span_trim(path);
    if (path.length > 0 && path.at[0] == '<')
        path = span_trim(span_skip(path, 1));
    if (path.length > 0 && path.at[0] == '/') {
        text_add(paths, path);
        text_add_char(paths, '\n');
    }
}

/* The chain files hold a key and its certificates each, and stand for the others where given. */
static void add_postfix(struct look *look, struct text *paths) {
    cleanup_text struct text output = {0};
    static const char *const arguments[] = {
        "postconf", "-x", "smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_eccert_file",
        NULL};
    struct span line;
    if (look_run(look, arguments, &output, NULL) != 0)
        return;
    for (struct span rest = text_span(&output); next_line(&rest, &line);) {
        bool is_chain = span_is(cut_key(&line), "smtpd_tls_chain_files");
        for (struct span value = line; value.length > 0;)
            add_path(paths, span_cut(&value, ','));
        if (is_chain && paths->length > 0)
            return;
    }
}

/* 2.3 says "ssl_cert = </path"; 2.4 "ssl_server_cert_file = /path", or "cert_file" in a block. */
static void add_dovecot(struct look *look, struct text *paths) {
    static const char *const names[] = {"ssl_cert",        "ssl_alt_cert",
                                        "cert_file",       "alt_cert_file",
                                        "ssl_server_cert_file", "ssl_server_alt_cert_file"};
    cleanup_text struct text output = {0};
    static const char *const arguments[] = {"doveconf", "-n", NULL};
    struct span line;
    /* 2.4 prints all of it, then fails at writing a copy of it, which a probe may not. */
    if (look_run(look, arguments, &output, NULL) < 0)
        return;
    for (struct span rest = text_span(&output); next_line(&rest, &line);) {
        struct span name = cut_key(&line);
        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
            if (span_is(name, names[i]))
                add_path(paths, line);
    }
}

static void add_statement(void *paths, const struct nginx_statement *statement) {
    if (span_is(statement->name, "ssl_certificate"))
        add_path(paths, statement->value);
}

/* Apache's and nginx's together: only one of them has the port, and what is not served does not
 * matter as long as one of all is. */
static void add_web(struct text *paths) {
    glob_t found;
    (void)nginx_read(add_statement, paths);
    if (glob("/etc/apache2/sites-enabled/*", 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        cleanup_text struct text text = {0};
        struct span line;
        if (look_file(found.gl_pathv[i], &text) < 0)
            continue;
        for (struct span rest = text_span(&text); next_line(&rest, &line);)
            if (span_is(cut_key(&line), "SSLCertificateFile"))
                add_path(paths, line);
    }
    globfree(&found);
}

void served_say_on_disk(struct look *look, const char *subject, uint16_t port,
                        const char *served_fingerprint) {
    cleanup_text struct text paths = {0};
    char said[FINGERPRINT_MAX] = "";
    char why[200] = "";
    struct span path;
    switch (port) {
    case 25: case 465: case 587: add_postfix(look, &paths); break;
    case 110: case 143: case 993: case 995: case 4190: add_dovecot(look, &paths); break;
    case 443: add_web(&paths); break;
    default: break;
    }
    for (struct span rest = text_span(&paths); next_line(&rest, &path);) {
        char name[4096];
        char fingerprint[FINGERPRINT_MAX];
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(path));
        int error = certificate_fingerprint_of_file(name, fingerprint);
        if (error < 0)
            snprintf(why, sizeof(why), "%.120s: %s", name,
                     error == -EBADMSG ? "there is no certificate in it" : strerror(-error));
        else if (!said[0] || strcmp(fingerprint, served_fingerprint) == 0)
            memcpy(said, fingerprint, sizeof(said));
    }
    /* A file that no server has open (nginx's snippets name some) is missed by nobody. */
    if (said[0])
        look_say_text(look, "certificate_on_disk", subject, said);
    else if (why[0])
        look_say_not(look, "certificate_on_disk", "%s", why);
}
