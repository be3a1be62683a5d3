/* OpenSSH's server, as `sshd -T` says it would act: the whole under subject "", and for each user
 * with a shell whatever a Match block makes different for them. Asked once for all whom the blocks
 * do not tell apart.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "probe/found.h"
#include "probe/sshd_match.h"
#include "probe/words.h"
#include "probe/sshd_folder.h"

enum { KINDS_MOST = 500, SAID_MOST_BYTES = 1 << 20 };
#define ASKING_MOST_US (6 * SECOND_US)

/* What sshd -T complains of while it goes on: words that mean nothing any more. */
static void say_complaints(struct look *look, struct span complaint) {
    struct found dead = {look, "dead_word", 0};
    struct span line;
    while (next_line(&complaint, &line)) {
        const char *about = memmem(line.at, line.length, "Deprecated option ", 18);
        if (!about)
            about = memmem(line.at, line.length, "Unsupported option ", 19);
        if (about)
            found_one(&dead, "", "%.*s", SPAN_FORMAT(line));
    }
    found_end(&dead);
}

/* For that user, or (NULL) before any block is looked at. False after saying why not. */
static bool ask(struct look *look, const char *user, const char *port, struct text *options) {
    char match[400];
    cleanup_text struct text complaint = {0};
    /* Documentation addresses: the options are those of somebody from anywhere. */
    snprintf(match, sizeof(match),
             "user=%.250s,host=unknown,addr=192.0.2.1,laddr=192.0.2.2,lport=%s", user ? user : "",
             port);
    const char *const arguments[] = {"sshd", "-T", user ? "-C" : NULL, match, NULL};
    int status = look_run(look, arguments, options, &complaint);
    if (status < 0)
        look_say_not(look, NULL, "sshd -T: %s", strerror(-status));
    else if (status > 0)
        look_say_not(look, NULL, "sshd -T: %.300s",
                     complaint.length ? complaint.at : "it failed without a word");
    else if (!user || !user[0])
        say_complaints(look, text_span(&complaint));
    return status == 0;
}

static void say_options(struct look *look, struct span options, const char *subject) {
    struct span line;
    while (next_line(&options, &line)) {
        char name[READING_NAME_MAX];
        struct span key = cut_key(&line);
        if (key.length >= sizeof(name))
            continue;
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(key));
        look_say(look, name, subject, line);
    }
}

/* The lines that are not among those known. */
static void keep_different(struct span options, struct span known, struct text *into) {
    struct span line;
    while (next_line(&options, &line)) {
        struct span others = known;
        struct span other;
        bool is_known = false;
        while (!is_known && next_line(&others, &other))
            is_known = span_equals(other, line);
        if (!is_known) {
            text_add(into, line);
            text_add_char(into, '\n');
        }
    }
}

static void say_version(struct look *look) {
    cleanup_text struct text output = {0};
    cleanup_text struct text complaint = {0};
    static const char *const arguments[] = {"ssh", "-V", NULL};
    if (look_run(look, arguments, &output, &complaint) != 0 || !complaint.length) {
        look_say_not(look, "version", "ssh -V does not tell it");
        return;
    }
    struct span rest = span_of(complaint.at); /* "OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL …" */
    (void)span_cut(&rest, '_');
    look_say(look, "version", "", span_word(&rest));
}

/* ---- users ---- */

struct asked {
    struct kind {
        uint64_t bits;
        struct text options; /* those that are otherwise than in general */
    } kinds[KINDS_MOST];
    size_t kind_count;
    unsigned users, not_asked;
    size_t said_bytes;
};

static const struct kind *find_kind(const struct asked *asked, uint64_t bits) {
    for (size_t i = 0; i < asked->kind_count; i++)
        if (asked->kinds[i].bits == bits)
            return &asked->kinds[i];
    return NULL;
}

static void find_port(struct span options, char port[12]) {
    struct span line;
    while (next_line(&options, &line))
        if (span_is(cut_key(&line), "port") && line.length < 12)
            snprintf(port, 12, "%.*s", SPAN_FORMAT(line));
}

/* What is set for the user's kind, NULL when nobody may be asked any more. */
static const struct kind *kind_of(struct look *look, struct asked *asked,
                                  const struct sshd_match *match, const struct passwd *user,
                                  struct span known_options, int64_t until_us) {
    cleanup_text struct text options = {0};
    char port[12] = "22";
    if (clock_monotonic_us() > until_us)
        return NULL;
    uint64_t bits = sshd_match_kind(match, user->pw_name, user->pw_gid);
    const struct kind *known = match->is_unclear ? NULL : find_kind(asked, bits);
    if (known)
        return known;
    if (asked->kind_count == KINDS_MOST)
        return NULL;
    find_port(known_options, port);
    if (!ask(look, user->pw_name, port, &options))
        return NULL;
    struct kind *kind = &asked->kinds[asked->kind_count++];
    *kind = (struct kind){.bits = bits};
    keep_different(text_span(&options), known_options, &kind->options);
    return kind;
}

/* What the blocks set is not known of those. */
static void say_not_asked(struct look *look, const struct asked *asked,
                          const struct sshd_match *match) {
    struct span words = text_span(&match->words);
    struct span word;
    while (asked->not_asked > 0 && next_line(&words, &word)) {
        char name[READING_NAME_MAX];
        snprintf(name, sizeof(name), "%.*s", (int)(word.length < 60 ? word.length : 60), word.at);
        look_say_not(look, name,
                     "Match blocks may set it, and sshd was not asked for %u of %u users with a "
                     "shell: there are too many",
                     asked->not_asked, asked->users);
    }
}

static void say_users(struct look *look, struct span known, const struct sshd_match *match) {
    struct asked *asked = calloc(1, sizeof(*asked));
    const struct passwd *user;
    int64_t until_us = clock_monotonic_us() + ASKING_MOST_US;
    must(asked);
    setpwent();
    while ((user = getpwent())) {
        char subject[80];
        if (!may_log_in(user->pw_shell))
            continue;
        asked->users++;
        const struct kind *kind = asked->said_bytes < SAID_MOST_BYTES
                                      ? kind_of(look, asked, match, user, known, until_us)
                                      : NULL;
        if (!kind) {
            asked->not_asked++;
            continue;
        }
        size_t before = look_mark(look);
        snprintf(subject, sizeof(subject), "user %.70s", user->pw_name);
        say_options(look, text_span(&kind->options), subject);
        asked->said_bytes += look_mark(look) - before;
        if (!match->asks_user)
            break; /* the others get the same */
    }
    endpwent();
    say_not_asked(look, asked, match);
    for (size_t i = 0; i < asked->kind_count; i++)
        text_free(&asked->kinds[i].options);
    free(asked);
}

/* A block of the port's makes sshd give up when no port is told; told one, it looks at all. */
static bool ask_all(struct look *look, const struct sshd_match *match, struct text *options) {
    size_t before = look_mark(look);
    bool is_told = ask(look, NULL, "", options);
    if (is_told || !match->is_there)
        return is_told;
    look_back(look, before);
    text_clear(options);
    return ask(look, "", "22", options);
}

void probe_sshd(struct look *look) {
    cleanup_text struct text options = {0};
    struct sshd_match match;
    if (!look_has_program("/usr/sbin/sshd")) {
        look_say_text(look, "there", "", "no");
        return;
    }
    look_say_text(look, "there", "", "yes");
    sshd_folder_say(look);
    say_version(look);
    sshd_match_read("/etc/ssh/sshd_config", &match);
    if (ask_all(look, &match, &options)) {
        say_options(look, text_span(&options), "");
        if (match.is_there)
            say_users(look, text_span(&options), &match);
    }
    sshd_match_free(&match);
}
