/* Who else refuses: see refusers.h. Of text that strangers wrote nothing is shown, only how often
 * it says so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/refusers.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "enforce/enforce.h"

enum { HOSTS_DENY_MOST = 1 << 20, LOG_TAIL_BYTES = 1 << 20 };

/* ---- /etc/hosts.deny: hosts_access(5), as far as it names addresses ---- */

/* "203.0.113.9", "203.0.113.", "203.0.113.0/24", "203.0.113.0/255.255.255.0", "[2001:db8::]/32" */
static bool pattern_holds(struct span pattern, const struct address *address) {
    char text[PREFIX_TEXT_MAX], plain[64];
    struct prefix prefix;
    struct address mask;
    bool is_v4 = address_is_v4(address);
    size_t length = 0;
    for (size_t i = 0; i < pattern.length && length < sizeof(plain) - 1; i++)
        if (pattern.at[i] != '[' && pattern.at[i] != ']')
            plain[length++] = pattern.at[i];
    struct span rest = {plain, length};
    if (is_v4 && length > 1 && plain[length - 1] == '.')
        return span_starts_with(span_of(address_format(address, text)), rest);
    if (prefix_parse(rest, &prefix) >= 0)
        return prefix_holds(&prefix, address);
    struct span network = span_cut(&rest, '/');
    if (!is_v4 || !rest.at || address_parse(rest, &mask) < 0 ||
        prefix_parse(network, &prefix) < 0 || !prefix_is_v4(&prefix))
        return false;
    for (size_t i = 12; i < 16; i++)
        if ((address->at[i] & mask.at[i]) != (prefix.address.at[i] & mask.at[i]))
            return false;
    return true;
}

bool hosts_deny_holds(struct span text, const struct address *address, unsigned *ret_line) {
    for (unsigned line = 1; text.at && text.length > 0; line++) {
        struct span rest = span_trim(span_cut(&text, '\n'));
        if (rest.length == 0 || rest.at[0] == '#')
            continue;
        (void)span_cut(&rest, ':'); /* the services */
        while (rest.at && rest.length > 0) {
            struct span words = span_cut(&rest, ',');
            for (struct span word; (word = span_word(&words)).length > 0;) {
                if (word.at[0] == ':' || span_is(word, "EXCEPT"))
                    break;
                /* "203.0.113.9: spawn …", where no address of IPv6 ends in one colon */
                if (word.at[word.length - 1] == ':' && memchr(word.at, '.', word.length))
                    word.length--;
                if (span_is(word, "ALL") || pattern_holds(word, address)) {
                    *ret_line = line;
                    return true;
                }
            }
        }
    }
    return false;
}

/* ---- sshd: PerSourcePenalties ---- */

uint32_t sshd_penalties_in(struct span log, const struct address *address) {
    char text[PREFIX_TEXT_MAX], from[PREFIX_TEXT_MAX + 16];
    uint32_t count = 0;
    snprintf(from, sizeof(from), " from [%s]:", address_format(address, text));
    while (log.at && log.length > 0) {
        struct span line = span_cut(&log, '\n');
        const char *said = memmem(line.at, line.length, ": drop connection #", 19);
        if (!said)
            continue;
        struct span rest = {said, line.length - (size_t)(said - line.at)};
        count += memmem(rest.at, rest.length, from, strlen(from)) &&
                 memmem(rest.at, rest.length, " penalty: ", 10);
    }
    return count;
}

static int read_tail(const char *path, struct text *text) {
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return -1;
    if (status.st_size > LOG_TAIL_BYTES)
        (void)lseek(fd, status.st_size - LOG_TAIL_BYTES, SEEK_SET);
    /* (what is appended meanwhile is left for the next time) */
    return file_read_fd(fd, 2 * LOG_TAIL_BYTES, text);
}

/* ---- all of them ---- */

static void add_table(void *context, const char *table, const char *set) {
    char text[300];
    snprintf(text, sizeof(text), "set %s of the nftables table %s", set, table);
    js_append_string(context, text);
}

js *refusers_of(const struct address *address) {
    js *found = js_array();
    struct why why = {0};
    struct enforce *enforce = NULL;
    cleanup_text struct text denied = {0}, log = {0};
    unsigned line = 0;
    char text[200];
    if (enforce_open(&enforce, &why) >= 0)
        (void)!enforce_list_others(enforce, address, add_table, found, &why);
    enforce_free(enforce);
    if (file_read("/etc/hosts.deny", HOSTS_DENY_MOST, &denied) >= 0 &&
        hosts_deny_holds(text_span(&denied), address, &line)) {
        snprintf(text, sizeof(text), "/etc/hosts.deny, line %u (services built with libwrap)",
                 line);
        js_append_string(found, text);
    }
    if (read_tail("/var/log/auth.log", &log) < 0)
        return found;
    uint32_t penalties = sshd_penalties_in(text_span(&log), address);
    if (penalties) {
        snprintf(text, sizeof(text),
                 "sshd itself, by PerSourcePenalties: %u connections dropped in the newest part of "
                 "/var/log/auth.log; a penalty ends by itself, mostly within minutes",
                 penalties);
        js_append_string(found, text);
    }
    return found;
}
