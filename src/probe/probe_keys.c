/* SSH's keys. The host's own: /etc/ssh/ssh_host_*. Those that open the door: the files that
 * AuthorizedKeysFile names, for every account that may have a shell, a subject for each line.
 * And private keys that lie in people's .ssh, with how they are locked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>

#include "base/clock.h"
#include "probe/found.h"
#include "probe/keyblob.h"
#include "probe/words.h"

/* Readings are for other probes as well, and a user's file may hold any number of keys. */
enum { KEYS_MOST = 5000, KEYS_OF_USER_MOST = 200, BLOB_MAX = 2048, FILES_MOST = 4,
       PRIVATE_MOST = 20000 };

struct seen {
    char *blob, *user;
};

struct keys {
    struct look *look;
    struct found shared, loose, triple_des, unlocked;
    struct seen seen[KEYS_MOST];
    size_t seen_count;
    size_t said, said_of_user;
    unsigned private_files;
    bool saw_all; /* of the private ones */
    const struct passwd *user;
    char patterns[FILES_MOST][256]; /* of AuthorizedKeysFile */
    size_t pattern_count;
};

/* ---- the host's ---- */

static void say_host_key(void *context, const char *path) {
    struct keys *keys = context;
    cleanup_text struct text text = {0};
    struct public_key key;
    char private[300];
    char words[MODE_WORDS_MAX];
    struct stat status;
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    struct span line;
    if (!next_line(&rest, &line) || !public_key_read(line, &key))
        return;
    look_say_text(keys->look, "host_type", path, key.type);
    look_say_format(keys->look, "host_bits", path, "%u", key.bits);
    snprintf(private, sizeof(private), "%.*s", (int)strlen(path) - 4, path);
    if (stat(private, &status) == 0)
        look_say_text(keys->look, "host_mode", private, mode_words(&status, words));
}

/* ---- those that may log in ---- */

static void remember(struct keys *keys, const struct public_key *key, const char *subject) {
    for (size_t i = 0; i < keys->seen_count; i++) {
        const struct seen *seen = &keys->seen[i];
        if (span_is(key->blob, seen->blob)) {
            if (strcmp(seen->user, keys->user->pw_name) != 0)
                found_one(&keys->shared, subject, "also opens %s", seen->user);
            return;
        }
    }
    struct seen *seen = &keys->seen[keys->seen_count++];
    seen->blob = span_copy(key->blob);
    seen->user = span_copy(span_of(keys->user->pw_name));
    must(seen->blob && seen->user);
}

static void leave_rest(struct keys *keys, const char *path) {
    static const char *const told[] = {"type", "bits", "options", "shared"};
    for (size_t i = 0; i < ELEMENTS_OF(told); i++)
        look_say_not(keys->look, told[i], "%s: too many keys; of this user %zu were looked at",
                     path, keys->said_of_user);
}

static void say_lines(struct keys *keys, const char *path, struct span text) {
    for (unsigned number = 1; text.length > 0; number++) {
        struct span line = span_trim(span_cut(&text, '\n'));
        struct public_key key;
        char subject[500];
        if (line.length == 0 || line.at[0] == '#' || !public_key_read(line, &key))
            continue;
        if (keys->said == KEYS_MOST || keys->said_of_user == KEYS_OF_USER_MOST) {
            leave_rest(keys, path);
            return;
        }
        keys->said++;
        keys->said_of_user++;
        snprintf(subject, sizeof(subject), "%.60s %.400s:%u", keys->user->pw_name, path, number);
        look_say_text(keys->look, "type", subject, key.type);
        look_say_format(keys->look, "bits", subject, "%u", key.bits);
        look_say(keys->look, "options", subject, key.options.length ? key.options : SPAN("none"));
        remember(keys, &key, subject);
    }
}

static void say_file(struct keys *keys, const char *path) {
    cleanup_text struct text text = {0};
    char why[300];
    struct stat status;
    int error = stat(path, &status) < 0 ? -errno : look_file(path, &text);
    if (error == -ENOENT || error == -ENOTDIR)
        return;
    if (error < 0) {
        look_say_not(keys->look, "type", "%s: %s", path, strerror(-error));
        look_say_not(keys->look, "bits", "%s: %s", path, strerror(-error));
        return;
    }
    if (writable_by_others(path, keys->user->pw_uid, why))
        found_one(&keys->loose, path, "%s", why);
    look_say_format(keys->look, "age_days", path, "%lld",
                    (long long)((clock_now_us() / SECOND_US - status.st_mtim.tv_sec) / 86400));
    say_lines(keys, path, text_span(&text));
}

/* %h the home, %u the name, %U the number, %% a per cent; from the home when not absolute. */
static void expand(const char *pattern, const struct passwd *user, char *into, size_t room) {
    size_t length = 0;
    into[0] = '\0';
    if (pattern[0] != '/' && strncmp(pattern, "%h", 2) != 0)
        length = (size_t)snprintf(into, room, "%.200s/", user->pw_dir);
    for (const char *at = pattern; *at && length + 300 < room; at++) {
        if (*at != '%') {
            length += (size_t)snprintf(into + length, room - length, "%c", *at);
            continue;
        }
        at++;
        if (*at == 'h' || *at == 'u')
            length += (size_t)snprintf(into + length, room - length, "%.200s",
                                       *at == 'h' ? user->pw_dir : user->pw_name);
        else if (*at == 'U')
            length += (size_t)snprintf(into + length, room - length, "%u", user->pw_uid);
        else if (*at == '%')
            length += (size_t)snprintf(into + length, room - length, "%%");
        else
            break;
    }
}

static void read_patterns(struct keys *keys) {
    static const char *const arguments[] = {"sshd", "-T", NULL};
    cleanup_text struct text output = {0};
    struct span line;
    struct span files = SPAN(".ssh/authorized_keys .ssh/authorized_keys2");
    int status = look_run(keys->look, arguments, &output, NULL);
    struct span rest = text_span(&output);
    while (status == 0 && next_line(&rest, &line))
        if (span_is(cut_key(&line), "authorizedkeysfile"))
            files = line;
    for (struct span word; keys->pattern_count < FILES_MOST && (word = span_word(&files)).length;)
        snprintf(keys->patterns[keys->pattern_count++], sizeof(keys->patterns[0]), "%.*s",
                 SPAN_FORMAT(word));
}

/* ---- private ones ---- */

static void look_at_private(void *context, const char *path) {
    struct keys *keys = context;
    cleanup_text struct text text = {0};
    char word[KEY_WORD_MAX];
    if (keys->private_files++ >= PRIVATE_MOST) {
        keys->saw_all = false;
        return;
    }
    read_quietly(path, &text);
    const char *lock = private_key_lock(text_span(&text), word);
    if (lock && strcmp(lock, "DES-EDE3") == 0)
        found_one(&keys->triple_des, path, "locked with DES-EDE3");
    if (lock && strcmp(lock, "none") == 0)
        found_one(&keys->unlocked, path, "no passphrase");
}

/* Accounts without a shell too: a key opens SFTP and tunnels to them. One file that is everybody's
 * is told of once for each who has a shell. */
static void say_user(struct keys *keys) {
    char path[1200];
    bool has_shell = may_log_in(keys->user->pw_shell);
    keys->said_of_user = 0;
    for (size_t i = 0; i < keys->pattern_count; i++) {
        bool is_everybodys = keys->patterns[i][0] == '/' && !strchr(keys->patterns[i], '%');
        if (strcmp(keys->patterns[i], "none") == 0 || (is_everybodys && !has_shell))
            continue;
        expand(keys->patterns[i], keys->user, path, sizeof(path));
        say_file(keys, path);
    }
    snprintf(path, sizeof(path), "%.200s/.ssh/*", keys->user->pw_dir);
    if (!each_path(path, look_at_private, keys))
        keys->saw_all = false;
}

void probe_keys(struct look *look) {
    struct keys *keys = calloc(1, sizeof(*keys));
    must(keys);
    keys->look = look;
    keys->saw_all = true;
    keys->shared = (struct found){look, "shared", 0};
    keys->loose = (struct found){look, "loose", 0};
    keys->triple_des = (struct found){look, "triple_des", 0};
    keys->unlocked = (struct found){look, "unlocked", 0};
    look_say_text(look, "there", "", look_has_program("/usr/sbin/sshd") ? "yes" : "no");
    each_path("/etc/ssh/ssh_host_*_key.pub", say_host_key, keys);
    read_patterns(keys);
    setpwent();
    while ((keys->user = getpwent()))
        say_user(keys);
    endpwent();
    found_end_of_root(&keys->shared);
    found_end_of_root(&keys->loose);
    found_end_of_root(&keys->triple_des);
    found_end_of_root(&keys->unlocked);
    if (!keys->saw_all) {
        look_say_not(look, "triple_des", "there are too many files in people's .ssh");
        look_say_not(look, "unlocked", "there are too many files in people's .ssh");
    }
    for (size_t i = 0; i < keys->seen_count; i++) {
        free(keys->seen[i].blob);
        free(keys->seen[i].user);
    }
    free(keys);
}
