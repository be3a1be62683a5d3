/* OpenSSH's server, as `sshd -T` says it would act: the whole under subject "", and for each user
 * with a shell whatever a Match block makes different for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>

#include "probe/found.h"
#include "probe/words.h"
#include "probe/sshd_folder.h"

enum { USERS_MOST = 40 };

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

/* False after saying why not. */
static bool ask(struct look *look, const char *user, struct text *options) {
    char match[200];
    cleanup_text struct text complaint = {0};
    /* A documentation address: the options are those of somebody from anywhere. */
    snprintf(match, sizeof(match), "user=%s,host=unknown,addr=192.0.2.1", user);
    const char *const arguments[] = {"sshd", "-T", user[0] ? "-C" : NULL, match, NULL};
    int status = look_run(look, arguments, options, &complaint);
    if (status < 0)
        look_say_not(look, NULL, "sshd -T: %s", strerror(-status));
    else if (status > 0)
        look_say_not(look, NULL, "sshd -T: %.300s",
                     complaint.length ? complaint.at : "it failed without a word");
    else if (!user[0])
        say_complaints(look, text_span(&complaint));
    return status == 0;
}

static void say_options(struct look *look, struct span options, const char *subject,
                        struct span known) {
    struct span line;
    while (next_line(&options, &line)) {
        char name[READING_NAME_MAX];
        struct span whole = line;
        struct span key = cut_key(&line);
        struct span others = known;
        struct span other;
        bool is_known = false;
        while (known.at && !is_known && next_line(&others, &other))
            is_known = span_equals(other, whole);
        if (is_known || key.length >= sizeof(name))
            continue;
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(key));
        look_say(look, name, subject, line);
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

void probe_sshd(struct look *look) {
    cleanup_text struct text options = {0};
    if (!look_has_program("/usr/sbin/sshd")) {
        look_say_text(look, "there", "", "no");
        return;
    }
    look_say_text(look, "there", "", "yes");
    sshd_folder_say(look);
    say_version(look);
    if (!ask(look, "", &options))
        return;
    say_options(look, text_span(&options), "", (struct span){0});
    setpwent();
    const struct passwd *user;
    for (int count = 0; count < USERS_MOST && (user = getpwent());) {
        cleanup_text struct text own = {0};
        char subject[80];
        if (!may_log_in(user->pw_shell))
            continue;
        count++;
        if (!ask(look, user->pw_name, &own))
            break;
        snprintf(subject, sizeof(subject), "user %.70s", user->pw_name);
        say_options(look, text_span(&own), subject, text_span(&options));
    }
    endpwent();
}
