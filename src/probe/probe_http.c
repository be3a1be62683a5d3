/* What the web server shows: the answers of ports 80 and 443 to a handful of requests under this
 * host's own name, and what must not be there for anybody to fetch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/hash.h"
#include "probe/crowdsec.h"
#include "probe/hosts.h"
#include "probe/listeners.h"
#include "probe/probe.h"
#include "probe/served.h"
#include "probe/talk.h"
#include "probe/words.h"

#define ANSWER_US (3 * SECOND_US)
enum { BODY_MOST_BYTES = 64 << 10 };

struct site {
    struct look *look;
    struct address address;
    uint16_t port;
    const char *subject, *name;
};

struct page {
    int code; /* 0: it hung up without an answer */
    struct text head, body;
};

static void page_free(struct page *page) {
    text_free(&page->head);
    text_free(&page->body);
}
#define cleanup_page at_scope_end(page_free)

/* ---- asking ---- */

static int read_page(struct talk *talk, struct page *page) {
    struct span line;
    int64_t code;
    int error = talk_line(talk, &line);
    if (error < 0)
        return error == -ENODATA ? 0 : error;
    if (!span_starts_with(line, SPAN("HTTP/1.")) || line.length < 12 ||
        span_to_integer((struct span){line.at + 9, 3}, 100, 599, &code) < 0)
        return -EPROTO;
    page->code = (int)code;
    while ((error = talk_line(talk, &line)) >= 0 && line.length > 0) {
        text_add(&page->head, line);
        text_add_char(&page->head, '\n');
    }
    while (error >= 0 && page->body.length < BODY_MOST_BYTES &&
           (error = talk_line(talk, &line)) >= 0) {
        text_add(&page->body, line);
        text_add_char(&page->body, '\n');
    }
    return 0; /* a body that ends early, or has a line too long, is enough of one */
}

static int ask(const struct site *site, const char *method, const char *path, const char *host,
               struct page *page) {
    cleanup_talk struct talk talk = {.fd = -1};
    cleanup_text struct text request = {0};
    struct talk_wish wish = {.name = site->name};
    int error = talk_begin(&talk, NULL, &site->address, site->port,
                           clock_monotonic_us() + ANSWER_US);
    if (error >= 0 && site->port == 443)
        error = talk_secure(&talk, &wish);
    text_add_format(&request,
                    "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: hauberk-audit\r\n"
                    "Accept: */*\r\nConnection: close\r\n\r\n",
                    method, path, host);
    if (error >= 0)
        error = talk_say(&talk, text_span(&request));
    return error < 0 ? error : read_page(&talk, page);
}

static int get(const struct site *site, const char *path, struct page *page) {
    return ask(site, "GET", path, site->name ? site->name : "localhost", page);
}

/* The value of a header of that name; the first, if there are several. */
static bool find_header(const struct page *page, const char *name, struct span *ret_value) {
    struct span line;
    for (struct span rest = text_span(&page->head); next_line(&rest, &line);) {
        struct span value = line;
        struct span key = span_cut(&value, ':');
        if (value.at && key.length == strlen(name) && strncasecmp(key.at, name, key.length) == 0) {
            *ret_value = span_trim(value);
            return true;
        }
    }
    return false;
}

static bool body_has(const struct page *page, const char *words) {
    return page->body.at && strcasestr(page->body.at, words) != NULL;
}

static void say_yes(const struct site *site, const char *key, bool is_so) {
    look_say_text(site->look, key, site->subject, is_so ? "yes" : "no");
}

/* ---- the first page ---- */

static void say_headers(const struct site *site, const struct page *page) {
    static const char *const names[] = {
        "server", "x-powered-by", "strict-transport-security", "content-security-policy",
        "x-content-type-options", "x-frame-options", "referrer-policy",
    };
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        char key[READING_NAME_MAX];
        struct span value;
        snprintf(key, sizeof(key), "header.%s", names[i]);
        look_say(site->look, key, site->subject,
                 find_header(page, names[i], &value) && value.length ? value : SPAN("none"));
    }
}

/* "max-age=63072000; includeSubDomains": the seconds. */
static void say_hsts(const struct site *site, const struct page *page) {
    struct span value;
    struct span age = SPAN("0");
    if (find_header(page, "strict-transport-security", &value)) {
        const char *at = memmem(value.at, value.length, "max-age=", 8);
        if (at) {
            struct span rest = span_skip(value, (size_t)(at - value.at) + 8);
            while (rest.length > 0 && rest.at[0] == '"')
                rest = span_skip(rest, 1);
            age.length = 0;
            age.at = rest.at;
            while (age.length < rest.length && rest.at[age.length] >= '0' &&
                   rest.at[age.length] <= '9')
                age.length++;
        }
    }
    look_say(site->look, "hsts_seconds", site->subject, age);
}

static bool has_attribute(struct span cookie, const char *attribute) {
    (void)span_cut(&cookie, ';');
    while (cookie.at) {
        struct span one = span_trim(span_cut(&cookie, ';'));
        if (one.length >= strlen(attribute) &&
            strncasecmp(one.at, attribute, strlen(attribute)) == 0)
            return true;
    }
    return false;
}

/* Cookies that scripts may read, or that would be sent in clear. Roundcube marks one of language or
 * none; what counts is that each has both. */
static void say_cookies(const struct site *site, const struct page *page) {
    cleanup_text struct text weak = {0};
    struct span line;
    for (struct span rest = text_span(&page->head); next_line(&rest, &line);) {
        struct span value = line;
        struct span key = span_cut(&value, ':');
        if (!value.at || key.length != 10 || strncasecmp(key.at, "set-cookie", 10) != 0)
            continue;
        struct span name = span_trim(value);
        name = span_cut(&name, '=');
        bool is_over = memmem(value.at, value.length, "=-del-", 6) != NULL;
        if (is_over || (has_attribute(value, "Secure") && has_attribute(value, "HttpOnly")))
            continue;
        text_add_string(&weak, weak.length ? " " : "");
        text_add(&weak, name);
    }
    look_say(site->look, "cookies_weak", site->subject,
             weak.length ? text_span(&weak) : SPAN("none"));
}

/* ---- what must not be there ---- */

/* A path nobody has: a server that answers it with a page answers everything with one. */
static bool answers_everything(const struct site *site) {
    char path[100];
    cleanup_page struct page page = {0};
    snprintf(path, sizeof(path), "/hauberk-audit-%016llx", (unsigned long long)random_u64());
    return get(site, path, &page) >= 0 && page.code == 200;
}

static void say_files(const struct site *site, bool answers_all) {
    static const struct {
        const char *path, *holds;
    } files[] = {
        {"/.git/HEAD", "ref:"},   {"/.git/config", "[core]"}, {"/.env", "="},
        {"/.htpasswd", ":"},      {"/.svn/entries", ""},
        {"/config/config.inc.php", "$config"},                {"/logs/errors.log", "["},
        {"/backup.sql", "INSERT"},
    };
    cleanup_text struct text found = {0};
    for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
        cleanup_page struct page page = {0};
        if (answers_all && strlen(files[i].holds) < 2)
            continue; /* nothing would tell it from any other page, in JSON for one */
        if (get(site, files[i].path, &page) < 0 || page.code != 200 ||
            !body_has(&page, files[i].holds) || body_has(&page, "<html"))
            continue;
        text_add_format(&found, "%s%s", found.length ? " " : "", files[i].path);
    }
    look_say(site->look, "secrets", site->subject,
             found.length ? text_span(&found) : SPAN("none"));
}

/* Would it see us come from an address of the internet, our own? */
static bool is_own_outside(const struct site *site) {
    struct prefix own = prefix_of(&site->address);
    return strcmp(network_kind(&own), "public") == 0;
}

static void say_installer(const struct site *site) {
    static const char *const paths[] = {"/installer/", "/roundcube/installer/",
                                        "/webmail/installer/"};
    cleanup_text struct text found = {0};
    for (size_t i = 0; i < ELEMENTS_OF(paths); i++) {
        cleanup_page struct page page = {0};
        if (get(site, paths[i], &page) >= 0 && page.code == 200 &&
            body_has(&page, "Roundcube Webmail Installer"))
            text_add_format(&found, "%s%s", found.length ? " " : "", paths[i]);
    }
    look_say(site->look, "installer", site->subject,
             found.length ? text_span(&found) : SPAN("none"));
}

static void say_listing(const struct site *site, const struct page *first) {
    cleanup_page struct page icons = {0};
    bool is_listed = first->code == 200 && body_has(first, "<title>Index of /");
    if (!is_listed && get(site, "/icons/", &icons) >= 0 && icons.code == 200)
        is_listed = body_has(&icons, "<title>Index of /");
    say_yes(site, "listing", is_listed);
}

static void say_security_txt(const struct site *site) {
    cleanup_page struct page page = {0};
    say_yes(site, "security_txt",
            get(site, "/.well-known/security.txt", &page) >= 0 && page.code == 200 &&
                body_has(&page, "Contact:"));
}

/* Only who sends the question back shows it; many answer a method they do not know like GET. */
static void say_trace(const struct site *site) {
    cleanup_page struct page page = {0};
    if (ask(site, "TRACE", "/", site->name ? site->name : "localhost", &page) >= 0)
        say_yes(site, "trace", page.code == 200 && body_has(&page, "TRACE / HTTP"));
}

/* Does it show something under a name that is not its own? */
static void say_default(const struct site *site) {
    cleanup_page struct page page = {0};
    int error = ask(site, "GET", "/", "hauberk-audit.invalid", &page);
    if (error >= 0)
        say_yes(site, "any_name", page.code == 200);
}

/* ---- a port ---- */

/* Port 80 is there to send people to 443. What answers neither with a page nor at all is fine. */
static void say_redirect(const struct site *site, const struct page *page) {
    struct span location;
    bool leads = page->code >= 301 && page->code <= 308 &&
                 find_header(page, "location", &location) &&
                 location.length >= 8 && strncasecmp(location.at, "https://", 8) == 0;
    look_say_text(site->look, "to_https", site->subject,
                  leads                                       ? "yes"
                  : page->code == 0 || page->code >= 400 ? "nothing"
                                                          : "no");
}

static int look_at_port(const struct site *site) {
    cleanup_page struct page page = {0};
    int error = get(site, "/", &page);
    if (error < 0)
        return error;
    look_say_format(site->look, "port", site->subject, "%u", site->port);
    look_say_format(site->look, "code", site->subject, "%d", page.code);
    if (site->port == 80)
        say_redirect(site, &page);
    if (page.code == 0)
        return 0;
    bool answers_all = answers_everything(site);
    say_headers(site, &page);
    if (site->port == 443) {
        say_hsts(site, &page);
        say_security_txt(site);
    }
    say_cookies(site, &page);
    say_yes(site, "soft_404", answers_all);
    const char *reason = is_own_outside(site) ? crowdsec_why_not("http*") : NULL;
    if (reason) {
        look_say_not(site->look, "secrets", "%s: %s", site->subject, reason);
        look_say_not(site->look, "installer", "%s: %s", site->subject, reason);
    } else {
        say_files(site, answers_all);
        say_installer(site);
    }
    say_listing(site, &page);
    say_trace(site);
    say_default(site);
    return 0;
}

void probe_http(struct look *look) {
    static const uint16_t ports[] = {80, 443};
    char name[256] = "";
    cleanup_text struct text table = {0};
    bool is_there = false;
    if (!listeners_read(&table)) {
        look_say_not(look, NULL, "/proc/net/tcp cannot be read");
        return;
    }
    bool has_name = served_host_name(look, name, sizeof(name));
    for (size_t i = 0; i < ELEMENTS_OF(ports); i++) {
        char subject[40];
        struct site site = {.look = look, .port = ports[i], .subject = subject,
                            .name = has_name ? name : NULL};
        if (!listeners_find_open(text_span(&table), ports[i], &site.address))
            continue;
        is_there = true;
        snprintf(subject, sizeof(subject), "port %u", ports[i]);
        int error = look_at_port(&site);
        if (error < 0)
            look_say_not(look, NULL, "%s: %s", subject,
                         error == -EPROTO ? "it does not speak HTTP" : strerror(-error));
    }
    look_say_text(look, "there", "", is_there ? "yes" : "no");
}
