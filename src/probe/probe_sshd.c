/* OpenSSH's server, as `sshd -T` says it would act: the whole under subject "", and for each user
 * with a shell whatever a Match block makes different for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <strings.h>

#include "probe/found.h"
#include "probe/words.h"

#define FOLDER "/etc/ssh/sshd_config.d/*.conf"

enum { USERS_MOST = 200 };

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

/* False after saying why not. No user: what holds where there is no Match. */
static bool ask(struct look *look, const char *user, struct text *options) {
    char match[200];
    cleanup_text struct text complaint = {0};
    /* Documentation addresses: the options are those of somebody from anywhere. */
    snprintf(match, sizeof(match), "user=%s,host=unknown,addr=192.0.2.1,laddr=192.0.2.2,lport=22",
             user);
    const char *const arguments[] = {"sshd", "-T", user[0] ? "-C" : NULL, match, NULL};
    int status = look_run(look, arguments, options, &complaint);
    if (status < 0)
        look_say_not(look, NULL, "sshd -T: %s", strerror(-status));
    else if (status > 0)
        look_say_not(look, NULL, "sshd -T: %.300s",
                     complaint.length ? complaint.at : "it failed without a word");
    else if (!user[0] || strcmp(user, "nobody") == 0)
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

/* ---- the files themselves ---- */

static bool is_keyword(struct span word, const char *keyword) {
    return word.length == strlen(keyword) && strncasecmp(word.at, keyword, word.length) == 0;
}

struct files {
    struct text matches; /* what the Match lines ask for */
    bool hides_matches;  /* an Include that might have more */
    bool reads_folder; /* before any setting that may stand in it: the first holds */
};

static void read_file_of(struct files *files, struct span text) {
    static const char *const harmless[] = {"Port", "ListenAddress", "AddressFamily", "HostKey",
                                           "Subsystem", "Include"};
    struct span line;
    bool is_first = true;
    while (next_line(&text, &line)) {
        struct span key = cut_key(&line);
        bool is_include = is_keyword(key, "Include");
        bool is_folder = is_include &&
                         (span_is(line, FOLDER) || span_is(line, "sshd_config.d/*.conf"));
        bool is_harmless = false;
        for (size_t i = 0; i < ELEMENTS_OF(harmless); i++)
            is_harmless = is_harmless || is_keyword(key, harmless[i]);
        files->reads_folder = files->reads_folder || (is_folder && is_first);
        if (is_keyword(key, "Match"))
            text_add_format(&files->matches, "%.*s\n", SPAN_FORMAT(line));
        files->hides_matches = files->hides_matches || (is_include && !is_folder);
        is_first = is_first && is_harmless;
    }
}

static void take_addition(void *context, const char *path) {
    struct files *files = context;
    cleanup_text struct text text = {0};
    bool reads_folder = files->reads_folder;
    read_quietly(path, &text);
    read_file_of(files, text_span(&text));
    files->reads_folder = reads_folder;
}

static void look_at_files(struct look *look, struct files *files) {
    cleanup_text struct text text = {0};
    int error = look_file("/etc/ssh/sshd_config", &text);
    if (error < 0) {
        look_say_not(look, "folder", "/etc/ssh/sshd_config: %s", strerror(-error));
        files->hides_matches = true;
        return;
    }
    read_file_of(files, text_span(&text));
    look_say_text(look, "folder", "", files->reads_folder ? "read first" : "not read first");
    each_path(FOLDER, take_addition, files);
}

/* Can a Match block name him, or one of his groups? Of patterns only sshd knows. */
static bool may_be_named(const struct files *files, const struct passwd *user) {
    enum { GROUPS_MOST = 64 };
    gid_t groups[GROUPS_MOST];
    int count = GROUPS_MOST;
    const char *matches = files->matches.length ? files->matches.at : "";
    if (files->hides_matches || matches[strcspn(matches, "*?!")] || strstr(matches, user->pw_name))
        return true;
    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
        return true;
    for (int i = 0; i < count; i++) {
        const struct group *group = getgrgid(groups[i]);
        if (group && strstr(matches, group->gr_name))
            return true;
    }
    return false;
}

/* What Match blocks make different for a user. */
static void say_users(struct look *look, const struct files *files, struct span options) {
    const struct passwd *user;
    int count = 0;
    setpwent();
    while ((user = getpwent())) {
        cleanup_text struct text own = {0};
        char subject[80];
        if (!may_log_in(user->pw_shell) || !may_be_named(files, user))
            continue;
        if (count++ == USERS_MOST) {
            look_say_not(look, NULL, "sshd -T was asked for the first %d users only", USERS_MOST);
            break;
        }
        if (!ask(look, user->pw_name, &own))
            break;
        snprintf(subject, sizeof(subject), "user %.70s", user->pw_name);
        say_options(look, text_span(&own), subject, options);
    }
    endpwent();
}

void probe_sshd(struct look *look) {
    cleanup_text struct text options = {0};
    if (!look_has_program("/usr/sbin/sshd")) {
        look_say_text(look, "there", "", "no");
        return;
    }
    look_say_text(look, "there", "", "yes");
    struct files files = {0};
    look_at_files(look, &files);
    bool has_match = files.matches.length > 0 || files.hides_matches;
    say_version(look);
    /* Where there is Match, what holds for somebody whom no block names: "Match all" and its like
     * are for everybody, and of some blocks sshd wants to be told who asks. */
    if (ask(look, has_match ? "nobody" : "", &options)) {
        say_options(look, text_span(&options), "", (struct span){0});
        if (has_match)
            say_users(look, &files, text_span(&options));
    }
    text_free(&files.matches);
}
