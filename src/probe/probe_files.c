/* Files that should not be as they are. One walk over the system's folders, within their file
 * systems and a time, for what the whole world may write and what runs with its owner's rights but
 * is in no package; and a list of places whose contents must stay secret.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/files.h"
#include "probe/found.h"

enum { SET_MOST = 300, DEPTH_MOST = 40, LIST_MOST_BYTES = 8 << 20, ENTRIES_MOST = 3000000 };
#define WALK_MOST_US (7 * SECOND_US)

struct walk {
    struct look *look;
    struct found writable, folder;
    dev_t device;
    int64_t until_us;
    unsigned entries;
    char path[PATH_MAX];
    size_t length;
    struct set_id {
        char *path;
        mode_t mode;
        uid_t uid;
        bool is_known;
    } set[SET_MOST];
    size_t set_count;
};

/* ---- the walk ---- */

static void take_entry(struct walk *walk, const struct stat *status) {
    char words[MODE_WORDS_MAX];
    bool all_write = (status->st_mode & S_IWOTH) != 0;
    if (S_ISREG(status->st_mode) && all_write)
        found_one(&walk->writable, walk->path, "%s", mode_words(status, words));
    if (S_ISDIR(status->st_mode) && all_write && !(status->st_mode & S_ISVTX))
        found_one(&walk->folder, walk->path, "%s", mode_words(status, words));
    if (S_ISREG(status->st_mode) && (status->st_mode & (S_ISUID | S_ISGID)) &&
        (status->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) && walk->set_count < SET_MOST) {
        struct set_id *set = &walk->set[walk->set_count++];
        *set = (struct set_id){span_copy(span_of(walk->path)), status->st_mode, status->st_uid,
                               false};
        must(set->path);
    }
}

/* Whole systems of others, whose files are no business of this machine's packages, and stores of
 * millions of mails, which are the mail server's. */
static bool is_passed_over(const char *path) {
    static const char *const folders[] = {
        "/var/lib/docker",   "/var/lib/containers", "/var/lib/containerd", "/var/lib/lxc",
        "/var/lib/lxd",      "/var/lib/incus",      "/var/lib/machines",   "/var/lib/flatpak",
        "/var/lib/schroot",  "/var/lib/snapd",      "/var/lib/kubelet",    "/var/lib/libvirt",
        "/srv/chroot",       "/var/cache/pbuilder", "/var/mail",           "/var/vmail",
        "/srv/mail",         "/srv/vmail",
    };
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++)
        if (strcmp(path, folders[i]) == 0)
            return true;
    return false;
}

/* False when the time is over. Folders are read by descriptor, so a name that is exchanged under
 * our feet leads nowhere else. */
static bool walk_folder(struct walk *walk, int at, const char *name, unsigned depth) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    size_t length = walk->length;
    bool is_done = true;
    if (!folder) {
        cleanup_close_fd(&fd);
        return true;
    }
    for (const struct dirent *entry; is_done && (entry = readdir(folder));) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            length + strlen(entry->d_name) + 2 > sizeof(walk->path))
            continue;
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        walk->length = length + (size_t)snprintf(walk->path + length, sizeof(walk->path) - length,
                                                 "/%s", entry->d_name);
        take_entry(walk, &status);
        if ((++walk->entries & 255) == 0)
            is_done = walk->entries < ENTRIES_MOST && clock_monotonic_us() < walk->until_us;
        if (is_done && S_ISDIR(status.st_mode) && status.st_dev == walk->device &&
            depth < DEPTH_MOST && !is_passed_over(walk->path))
            is_done = walk_folder(walk, dirfd(folder), entry->d_name, depth + 1);
        walk->length = length;
        walk->path[length] = '\0';
    }
    closedir(folder);
    return is_done;
}

/* ---- what packages brought ---- */

/* /usr/bin/su may stand in a list as /bin/su. */
static void look_in_list(struct walk *walk, struct span list) {
    for (size_t i = 0; i < walk->set_count; i++) {
        struct set_id *set = &walk->set[i];
        const char *forms[] = {set->path,
                               set->path + (strncmp(set->path, "/usr/", 5) == 0 ? 4 : 0)};
        for (size_t j = 0; j < ELEMENTS_OF(forms) && !set->is_known; j++) {
            size_t length = strlen(forms[j]);
            const char *from = list.at;
            size_t left = list.length;
            const char *at;
            while (left > 0 && (at = memmem(from, left, forms[j], length))) {
                bool is_start = at == list.at || at[-1] == '\n';
                bool is_end = at + length == list.at + list.length || at[length] == '\n';
                set->is_known = set->is_known || (is_start && is_end);
                from = at + length;
                left = (size_t)(list.at + list.length - from);
            }
        }
    }
}

static void take_list(void *context, const char *path) {
    cleanup_text struct text text = {0};
    if (file_read(path, LIST_MOST_BYTES, &text) == 0 && text.length > 0)
        look_in_list(context, text_span(&text));
}

/* Statoverrides are an administrator's word (dpkg-statoverride(1)): "root postdrop 2755 PATH". */
static void take_overrides(struct walk *walk) {
    cleanup_text struct text text = {0};
    read_quietly("/var/lib/dpkg/statoverride", &text);
    struct span rest = text_span(&text);
    while (rest.length > 0) {
        struct span line = span_cut(&rest, '\n');
        for (int i = 0; i < 3; i++)
            (void)span_word(&line);
        line = span_trim(line);
        for (size_t i = 0; i < walk->set_count; i++)
            walk->set[i].is_known = walk->set[i].is_known || span_is(line, walk->set[i].path);
    }
}

static void say_set_ids(struct walk *walk, bool is_done) {
    struct found set = {walk->look, "set_id", 0};
    each_path("/var/lib/dpkg/info/*.list", take_list, walk);
    take_overrides(walk);
    for (size_t i = 0; i < walk->set_count; i++) {
        const struct set_id *one = &walk->set[i];
        if (!one->is_known)
            found_one(&set, one->path, "%04o, of no package", one->mode & 07777);
        free(one->path);
    }
    if (is_done)
        found_end_of_root(&set);
    else
        look_say_not(walk->look, "set_id", "only %u files were seen in time", walk->entries);
}

static void say_walk(struct look *look) {
    static const char *const roots[] = {"/etc", "/usr", "/var", "/opt", "/srv"};
    struct walk *walk = calloc(1, sizeof(*walk));
    must(walk);
    walk->look = look;
    walk->writable = (struct found){look, "world_writable", 0};
    walk->folder = (struct found){look, "world_writable_folder", 0};
    walk->until_us = clock_monotonic_us() + WALK_MOST_US;
    bool is_done = true;
    for (size_t i = 0; is_done && i < ELEMENTS_OF(roots); i++) {
        struct stat status;
        if (lstat(roots[i], &status) < 0)
            continue;
        walk->device = status.st_dev;
        walk->length = (size_t)snprintf(walk->path, sizeof(walk->path), "%s", roots[i]);
        is_done = walk_folder(walk, AT_FDCWD, roots[i], 0);
    }
    if (!is_done) {
        look_say_not(look, "world_writable", "only %u files were seen in time", walk->entries);
        look_say_not(look, "world_writable_folder", "only %u files were seen in time",
                     walk->entries);
    } else {
        found_end_of_root(&walk->writable);
        found_end_of_root(&walk->folder);
    }
    say_set_ids(walk, is_done);
    free(walk);
}

/* ---- what must stay secret ---- */

enum kept { ANYTHING, A_PASSWORD, A_KEY }; /* what makes a file a secret */

struct secret {
    struct found found;
    mode_t others; /* bits that should not be set */
    enum kept kept;
};

static bool ends_with(struct span text, const char *word) {
    size_t length = strlen(word);
    return text.length >= length &&
           strncasecmp(text.at + text.length - length, word, length) == 0;
}

/* Is that the name of a password, and not of a table, scheme or query about passwords? The last of
 * it tells: smtp_sasl_password_maps is in every main.cf that has a relay host. */
static bool names_password(struct span name) {
    static const char *const words[] = {"password", "passwd", "passphrase", "secret", "apikey",
                                        "api_key",  "dbpass", "authtoken"};
    while (name.length > 0 && strchr(" \t'\"]:", name.at[name.length - 1]))
        name.length--;
    for (size_t i = 0; i < ELEMENTS_OF(words); i++)
        if (ends_with(name, words[i]))
            return true;
    return false;
}

/* NAME = VALUE, and Dovecot's connect = host=… password=…, a line each. */
static bool tells_password(struct span text) {
    struct span rest = text;
    while (rest.length > 0) {
        struct span line = span_trim(span_cut(&rest, '\n'));
        const char *equals = line.length ? memchr(line.at, '=', line.length) : NULL;
        if (!equals || line.at[0] == '#' || line.at[0] == ';')
            continue;
        struct span value = span_trim(span_skip(line, (size_t)(equals - line.at) + 1));
        struct span name = {line.at, (size_t)(equals - line.at)};
        bool is_elsewhere = value.length == 0 || strchr("<;", value.at[0]);
        if ((!is_elsewhere && names_password(name)) ||
            (span_is(span_trim(name), "connect") && value.length > 0 &&
             memmem(value.at, value.length, "password=", 9)))
            return true;
    }
    return false;
}

static bool holds_password(const char *path) {
    cleanup_text struct text text = {0};
    read_quietly(path, &text);
    return tells_password(text_span(&text));
}

static bool holds_key(const char *path) {
    cleanup_text struct text text = {0};
    read_quietly(path, &text);
    return text.length > 0 && memmem(text.at, text.length, "PRIVATE KEY-----", 16);
}

static void look_at_secret(void *context, const char *path) {
    struct secret *secret = context;
    struct stat status;
    char words[MODE_WORDS_MAX];
    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode) || !(status.st_mode & secret->others))
        return;
    /* A folder above that lets nobody through protects as well. */
    char part[PATH_MAX];
    snprintf(part, sizeof(part), "%s", path);
    for (char *slash; (slash = strrchr(part, '/')) && slash > part;) {
        struct stat folder;
        *slash = '\0';
        if (stat(part, &folder) == 0 && !(folder.st_mode & S_IXOTH) &&
            !(status.st_mode & S_IWOTH))
            return;
    }
    if (secret->kept == ANYTHING ||
        (secret->kept == A_PASSWORD ? holds_password(path) : holds_key(path)))
        found_one(&secret->found, path, "%s", mode_words(&status, words));
}

static const struct {
    const char *key;
    mode_t others;
    enum kept kept;
    const char *const *patterns;
} secrets[] = {
    {"shadow", S_IROTH | S_IWOTH | S_IWGRP, ANYTHING,
     (const char *const[]){"/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-",
                           "/var/backups/*shadow*", NULL}},
    {"tls_key", S_IROTH | S_IWOTH | S_IWGRP, A_KEY,
     (const char *const[]){"/etc/ssl/private/*", "/etc/letsencrypt/archive/*/privkey*.pem",
                           "/etc/dovecot/private/*", "/etc/postfix/*.key", "/etc/nginx/*.key",
                           "/etc/nginx/ssl/*.key", "/etc/ssl/*.key", "/etc/ssl/certs/*.key", NULL}},
    {"mail_secret", S_IROTH | S_IWOTH, ANYTHING,
     (const char *const[]){"/etc/postfix/sasl_passwd", "/etc/postfix/sasl_passwd.db",
                           "/etc/postfix/sasl/sasl_passwd*", "/etc/dovecot/users",
                           "/etc/dovecot/passwd", "/etc/dovecot/*.passwd", "/etc/dovecot/passdb",
                           "/var/lib/rspamd/dkim/*.key", "/etc/opendkim/keys/*/*.private",
                           "/etc/dkimkeys/*.private", "/etc/dkimkeys/*.key", NULL}},
    {"password_file", S_IROTH | S_IWOTH, A_PASSWORD,
     (const char *const[]){"/etc/postfix/*.cf", "/etc/dovecot/*.ext", "/etc/dovecot/conf.d/*",
                           "/etc/dovecot/dovecot-sql*.conf*", "/etc/rspamd/local.d/*",
                           "/etc/rspamd/override.d/*", "/etc/fail2ban/action.d/*.local",
                           "/etc/fail2ban/action.d/abuseipdb.conf", "/etc/fail2ban/jail.local",
                           "/etc/roundcube/config.inc.php", "/etc/roundcube/debian-db*.php",
                           "/root/.my.cnf", "/etc/restic*", "/etc/borgmatic/*", NULL}},
};

void probe_files(struct look *look) {
    for (size_t i = 0; i < ELEMENTS_OF(secrets); i++) {
        struct secret secret = {{look, secrets[i].key, 0}, secrets[i].others,
                                secrets[i].kept};
        for (size_t j = 0; secrets[i].patterns[j]; j++)
            each_path(secrets[i].patterns[j], look_at_secret, &secret);
        found_end_of_root(&secret.found);
    }
    say_walk(look);
}
