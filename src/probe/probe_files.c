/* Files that should not be as they are. Two walks (probe/walk.h), over the system's folders and
 * over all others, where people and programs put theirs, for what the whole world may write, what
 * runs with its owner's rights but is in no package, and private keys that everybody may read; and
 * a list of places whose contents must stay secret.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/files.h"
#include "probe/found.h"
#include "probe/walk.h"

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

/* Is it in one of these places, so that its reading tells of it? */
static bool is_told_elsewhere(const char *path) {
    for (size_t i = 0; i < ELEMENTS_OF(secrets); i++)
        for (size_t j = 0; secrets[i].kept != A_PASSWORD && secrets[i].patterns[j]; j++)
            if (fnmatch(secrets[i].patterns[j], path, FNM_PATHNAME) == 0)
                return true;
    return false;
}

/* ---- the walks ---- */

enum {
    SET_MOST = 5000,
    LIST_MOST_BYTES = 8 << 20,
    ENTRIES_MOST = 3000000,
    KEYS_MOST = 5000,
    KEY_MOST_BYTES = 32 << 10,
};
#define SYSTEM_MOST_US (5 * SECOND_US)
#define BOTH_MOST_US (8 * SECOND_US)

struct set_id {
    char *path;
    mode_t mode;
    bool is_known;
};

struct files {
    struct look *look;
    struct found writable, folder, elsewhere, key;
    bool is_elsewhere; /* the walk that is on */
    struct set_id set[SET_MOST];
    size_t set_count, set_more;
    unsigned keys_read;
};

/* Everybody may come to it, and write. */
static void look_for_writable(struct files *files, const struct walk_entry *entry) {
    const struct stat *status = entry->status;
    char words[MODE_WORDS_MAX];
    bool is_loose = S_ISREG(status->st_mode) ||
                    (S_ISDIR(status->st_mode) && !(status->st_mode & S_ISVTX));
    if (!is_loose || !entry->is_open || !(status->st_mode & S_IWOTH))
        return;
    struct found *found = files->is_elsewhere            ? &files->elsewhere
                          : S_ISDIR(status->st_mode) ? &files->folder
                                                     : &files->writable;
    found_one(found, entry->path, "%s", mode_words(status, words));
}

static void look_for_set_id(struct files *files, const struct walk_entry *entry) {
    mode_t mode = entry->status->st_mode;
    if (!S_ISREG(mode) || !(mode & (S_ISUID | S_ISGID)) || !(mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return;
    if (files->set_count == SET_MOST) {
        files->set_more++;
        return;
    }
    struct set_id *set = &files->set[files->set_count++];
    *set = (struct set_id){span_copy(span_of(entry->path)), mode, false};
    must(set->path);
}

/* ---- keys ---- */

static bool is_named_like_key(const char *name) {
    static const char *const patterns[] = {"*.key",  "*.pem",     "*.priv",    "*.private",
                                           "*.ppk",  "id_*",      "*privkey*", "*_rsa",
                                           "*_dsa",  "*_ed25519", "*_ecdsa",   "*private*key*"};
    for (size_t i = 0; i < ELEMENTS_OF(patterns); i++)
        if (fnmatch(patterns[i], name, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

/* Those that lie in programs' sources to test or show something, and that anybody can have. */
static bool is_for_show(const char *path) {
    static const char *const parts[] = {
        "/test/",     "/tests/",         "/testdata/",      "/test-data/",   "/fixtures/",
        "/spec/",     "/example/",       "/examples/",      "/doc/",         "/docs/",
        "/vendor/",   "/node_modules/",  "/site-packages/", "/dist-packages/", "/gems/",
    };
    for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
        if (strstr(path, parts[i]))
            return true;
    return strncmp(path, "/usr/", 5) == 0 && strncmp(path, "/usr/local/", 11) != 0;
}

static bool holds_private_key(const struct walk_entry *entry) {
    cleanup_text struct text text = {0};
    cleanup_close int fd = openat(entry->folder, entry->name,
                                  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 && file_read_fd(fd, KEY_MOST_BYTES, &text) == 0 && text.length > 0 &&
           memmem(text.at, text.length, "PRIVATE KEY-----", 16);
}

static void look_for_key(struct files *files, const struct walk_entry *entry) {
    const struct stat *status = entry->status;
    char words[MODE_WORDS_MAX];
    if (!S_ISREG(status->st_mode) || !entry->is_open || !(status->st_mode & S_IROTH) ||
        status->st_size > KEY_MOST_BYTES || !is_named_like_key(entry->name) ||
        is_for_show(entry->path) || is_told_elsewhere(entry->path) ||
        ++files->keys_read > KEYS_MOST)
        return;
    if (holds_private_key(entry))
        found_one(&files->key, entry->path, "%s", mode_words(status, words));
}

static void look_at_entry(void *context, const struct walk_entry *entry) {
    struct files *files = context;
    look_for_writable(files, entry);
    look_for_set_id(files, entry);
    look_for_key(files, entry);
}

/* ---- what packages brought ---- */

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const struct set_id *)a)->path, ((const struct set_id *)b)->path);
}

static void know(struct files *files, const char *path) {
    const struct set_id wanted = {.path = (char *)(uintptr_t)path};
    struct set_id *set = bsearch(&wanted, files->set, files->set_count, sizeof(*files->set),
                                 compare_paths);
    if (set)
        set->is_known = true;
}

/* /usr/bin/su may stand in a list as /bin/su. */
static void know_line(struct files *files, struct span line) {
    char path[PATH_MAX];
    if (line.length == 0 || line.length >= sizeof(path) - 4)
        return;
    snprintf(path, sizeof(path), "/usr%.*s", SPAN_FORMAT(line));
    know(files, path);
    know(files, path + 4);
}

static void take_list(void *context, const char *path) {
    cleanup_text struct text text = {0};
    if (file_read(path, LIST_MOST_BYTES, &text) < 0)
        return;
    struct span rest = text_span(&text);
    while (rest.length > 0)
        know_line(context, span_cut(&rest, '\n'));
}

/* Statoverrides are an administrator's word (dpkg-statoverride(1)): "root postdrop 2755 PATH". */
static void take_overrides(struct files *files) {
    cleanup_text struct text text = {0};
    read_quietly("/var/lib/dpkg/statoverride", &text);
    struct span rest = text_span(&text);
    while (rest.length > 0) {
        struct span line = span_cut(&rest, '\n');
        for (int i = 0; i < 3; i++)
            (void)span_word(&line);
        know_line(files, span_trim(line));
    }
}

static void say_cut(struct files *files, const struct walk *walk, const char *const *keys) {
    for (size_t i = 0; walk->cut[0] && keys[i]; i++)
        look_say_not(files->look, keys[i], "%s", walk->cut);
}

/* What was not seen is not told to be well. */
static void end_found(struct found *found, bool is_cut) {
    if (found->count > 0 || !is_cut)
        found_end_of_root(found);
}

static void say_set_ids(struct files *files, bool is_cut) {
    struct found set = {files->look, "set_id", 0};
    if (files->set_count > 0)
        qsort(files->set, files->set_count, sizeof(*files->set), compare_paths);
    each_path("/var/lib/dpkg/info/*.list", take_list, files);
    take_overrides(files);
    for (size_t i = 0; i < files->set_count; i++) {
        const struct set_id *one = &files->set[i];
        if (!one->is_known)
            found_one(&set, one->path, "%04o, of no package", one->mode & 07777);
        free(one->path);
    }
    if (files->set_more > 0)
        look_say_not(files->look, "set_id", "there are %zu more such programs than the %d compared "
                     "with the lists of packages", files->set_more, SET_MOST);
    end_found(&set, is_cut || files->set_more > 0);
}

static void say_walks(struct look *look) {
    static const char *const of_system[] = {"/etc", "/usr", "/root", "/opt", "/srv", "/var"};
    static const char *const elsewhere[] = {"/tmp", "/var/tmp", "/home", "/"};
    /* What users fill does not take the system's time; stores of mail are the mail server's. */
    static const char *const past[] = {"/var/tmp",  "/var/mail", "/var/vmail",  "/srv/chroot",
                                       "/srv/mail", "/srv/vmail", NULL};
    static const char *const past_elsewhere[] = {
        "/etc", "/usr", "/root", "/opt", "/srv", "/var", "/tmp", "/home", /* walked already */
        "/proc", "/sys", "/dev", "/run", "/media", "/home/vmail", "/home/mail", "/mail", NULL};
    struct files *files = calloc(1, sizeof(*files));
    struct walk *walks = calloc(2, sizeof(*walks));
    must(files && walks);
    int64_t now_us = clock_monotonic_us();
    *files = (struct files){.look = look,
                            .writable = {look, "world_writable", 0},
                            .folder = {look, "world_writable_folder", 0},
                            .elsewhere = {look, "writable_elsewhere", 0},
                            .key = {look, "private_key", 0}};
    walks[0] = (struct walk){.each = look_at_entry, .context = files, .past = past,
                             .most = ENTRIES_MOST, .until_us = now_us + SYSTEM_MOST_US};
    walks[1] = (struct walk){.each = look_at_entry, .context = files, .past = past_elsewhere,
                             .most = ENTRIES_MOST, .until_us = now_us + BOTH_MOST_US};
    walk_roots(&walks[0], of_system, ELEMENTS_OF(of_system));
    files->is_elsewhere = true;
    walk_roots(&walks[1], elsewhere, ELEMENTS_OF(elsewhere));

    say_cut(files, &walks[0], (const char *const[]){"world_writable", "world_writable_folder",
                                                    "set_id", "private_key", NULL});
    say_cut(files, &walks[1],
            (const char *const[]){"writable_elsewhere", "set_id", "private_key", NULL});
    if (files->keys_read > KEYS_MOST)
        look_say_not(look, "private_key", "looked into %d files that are named like keys, and gave "
                     "up", KEYS_MOST);
    bool is_cut[] = {walks[0].cut[0] != '\0', walks[1].cut[0] != '\0'};
    end_found(&files->writable, is_cut[0]);
    end_found(&files->folder, is_cut[0]);
    end_found(&files->elsewhere, is_cut[1]);
    end_found(&files->key, is_cut[0] || is_cut[1] || files->keys_read > KEYS_MOST);
    say_set_ids(files, is_cut[0] || is_cut[1]);
    free(walks);
    free(files);
}

void probe_files(struct look *look) {
    for (size_t i = 0; i < ELEMENTS_OF(secrets); i++) {
        struct secret secret = {{look, secrets[i].key, 0}, secrets[i].others,
                                secrets[i].kept};
        for (size_t j = 0; secrets[i].patterns[j]; j++)
            each_path(secrets[i].patterns[j], look_at_secret, &secret);
        found_end_of_root(&secret.found);
    }
    say_walks(look);
}
