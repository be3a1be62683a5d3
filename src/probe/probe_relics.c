/* What the old guides leave behind: jails of fail2ban that see nothing or report wrongly, the
 * exchange of lists of DenyHosts, EncFS's volumes, the key of one's own authority on the server
 * itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "base/span.h"
#include "probe/found.h"
#include "probe/keyblob.h"
#include "probe/words.h"

struct relics {
    struct look *look;
    struct found blind_jail, category, one_strike, sync, encfs, authority_key;
};

static bool has(struct span text, const char *what) {
    return memmem(text.at, text.length, what, strlen(what)) != NULL;
}

/* ---- fail2ban ---- */

struct jail {
    char name[60];
    bool is_enabled, is_blind;
    char category[40], retries[12];
};

static bool is_mail(const char *jail) {
    return strstr(jail, "postfix") || strstr(jail, "dovecot") || strstr(jail, "smtp") ||
           strstr(jail, "sasl");
}

/* Numbers of abuse categories: 22 is SSH, 11 is spam by mail, 18 guessing of passwords. */
static bool says_ssh(const char *categories) {
    struct span rest = span_of(categories);
    while (rest.length > 0)
        if (span_is(span_trim(span_cut(&rest, ',')), "22"))
            return true;
    return false;
}

static void close_jail(struct relics *relics, const char *path, struct jail *jail) {
    if (jail->name[0] && jail->is_enabled) {
        if (jail->is_blind)
            found_one(&relics->blind_jail, jail->name, "waits for postfix.service, in %s", path);
        if (is_mail(jail->name) && says_ssh(jail->category))
            found_one(&relics->category, jail->name, "category %s, in %s", jail->category, path);
        if (strstr(jail->name, "rbl") && strcmp(jail->retries, "1") == 0)
            found_one(&relics->one_strike, jail->name, "maxretry = 1, in %s", path);
    }
    *jail = (struct jail){0};
}

static void take_category(struct span line, char into[40]) {
    const char *at = memmem(line.at, line.length, "abuseipdb_category=", 19);
    if (!at)
        return;
    struct span rest = span_skip(line, (size_t)(at - line.at) + 19);
    size_t length = 0;
    while (rest.length > 0 && (rest.at[0] == '"' || rest.at[0] == '\''))
        rest = span_skip(rest, 1);
    while (length < rest.length && length < 39 && strchr("0123456789,", rest.at[length]))
        length++;
    snprintf(into, 40, "%.*s", (int)length, rest.at);
}

static void take_jails(void *context, const char *path) {
    struct relics *relics = context;
    cleanup_text struct text text = {0};
    struct jail jail = {0};
    struct span line;
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        if (line.at[0] == '[') {
            close_jail(relics, path, &jail);
            struct span name = span_skip(line, 1);
            name = span_cut(&name, ']');
            snprintf(jail.name, sizeof(jail.name), "%.*s",
                     (int)(name.length < 59 ? name.length : 59), name.at);
            continue;
        }
        take_category(line, jail.category);
        struct span key = cut_key(&line);
        if (span_is(key, "enabled"))
            jail.is_enabled = span_is(line, "true") || span_is(line, "yes") || span_is(line, "1");
        if (span_is(key, "journalmatch") && has(line, "_SYSTEMD_UNIT=postfix.service") &&
            !has(line, "postfix@"))
            jail.is_blind = true;
        if (span_is(key, "maxretry"))
            snprintf(jail.retries, sizeof(jail.retries), "%.*s",
                     (int)(line.length < 11 ? line.length : 11), line.at);
    }
    close_jail(relics, path, &jail);
}

/* ---- the others ---- */

static void take_denyhosts(void *context, const char *path) {
    struct relics *relics = context;
    cleanup_text struct text text = {0};
    struct span line;
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        struct span key = cut_key(&line);
        if (span_is(key, "SYNC_SERVER") && line.length > 0)
            found_one(&relics->sync, path, "SYNC_SERVER = %.*s", SPAN_FORMAT(line));
    }
}

static void take_volume(void *context, const char *path) {
    struct relics *relics = context;
    found_one(&relics->encfs, path, "a volume of EncFS");
}

static void take_mounts(struct relics *relics) {
    cleanup_text struct text text = {0};
    struct span line;
    read_quietly("/proc/self/mounts", &text);
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        (void)span_word(&line);
        struct span where = span_word(&line);
        char path[300];
        snprintf(path, sizeof(path), "%.*s", (int)(where.length < 299 ? where.length : 299),
                 where.at);
        if (span_is(span_word(&line), "fuse.encfs"))
            found_one(&relics->encfs, path, "mounted by EncFS");
    }
}

static void take_authority(void *context, const char *path) {
    struct relics *relics = context;
    cleanup_text struct text text = {0};
    char word[KEY_WORD_MAX];
    read_quietly(path, &text);
    const char *lock = private_key_lock(text_span(&text), word);
    if (lock)
        found_one(&relics->authority_key, path, "locked: %s", lock);
}

void probe_relics(struct look *look) {
    static const char *const jails[] = {"/etc/fail2ban/jail.local", "/etc/fail2ban/jail.d/*.conf",
                                        "/etc/fail2ban/jail.d/*.local"};
    static const char *const volumes[] = {"/*/.encfs6.xml", "/*/*/.encfs6.xml",
                                          "/home/*/*/.encfs6.xml", "/var/mail/*/.encfs6.xml",
                                          "/srv/*/*/.encfs6.xml"};
    static const char *const authority_keys[] = {
        "/etc/ssl/private/cakey.pem", "/etc/ssl/private/cakey.key", "/etc/ssl/private/ca.key",
        "/etc/ssl/cakey.pem", "/etc/ssl/private/ca-key.pem", "/etc/ssl/private/ca.pem",
        "/root/cakey*", "/root/ca.key", "/root/*/cakey.pem", "/home/*/cakey.pem",
        "/etc/ssl/CA/private/*"};
    struct relics relics = {
        look, {look, "blind_jail", 0}, {look, "category", 0}, {look, "one_strike", 0},
        {look, "sync_server", 0}, {look, "encfs", 0}, {look, "authority_key", 0}};
    for (size_t i = 0; i < ELEMENTS_OF(jails); i++)
        each_path(jails[i], take_jails, &relics);
    each_path("/etc/denyhosts.conf", take_denyhosts, &relics);
    each_path("/etc/denyhosts/*.conf", take_denyhosts, &relics);
    take_mounts(&relics);
    for (size_t i = 0; i < ELEMENTS_OF(volumes); i++)
        if (!each_path(volumes[i], take_volume, &relics))
            look_say_not(look, "encfs", "%s: the folders hold too many files", volumes[i]);
    for (size_t i = 0; i < ELEMENTS_OF(authority_keys); i++)
        if (!each_path(authority_keys[i], take_authority, &relics))
            look_say_not(look, "authority_key", "%s: the folders hold too many files",
                         authority_keys[i]);
    found_end(&relics.blind_jail);
    found_end(&relics.category);
    found_end(&relics.one_strike);
    found_end(&relics.sync);
    found_end_of_root(&relics.encfs);
    found_end_of_root(&relics.authority_key);
}
