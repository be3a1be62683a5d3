/* The accounts of this machine, from passwd(5), shadow(5), group(5), their homes and, where there
 * is one, /var/log/lastlog. Of a password only its scheme is said (crypt(5)), never the hash.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/files.h"
#include "probe/found.h"
#include "probe/words.h"

enum { ACCOUNTS_MOST = 5000, FIRST_PERSON = 1000, NOBODY = 65534, LASTLOG_ROW_BYTES = 292 };

struct account {
    char *name, *home;
    uid_t uid;
    bool may_log_in;
    bool has_password;   /* a hash, so that it opens something */
    int64_t changed_day; /* of the password; 0: not known */
};

struct accounts {
    struct look *look;
    struct account at[ACCOUNTS_MOST];
    size_t count;
};

static void read_passwd(struct accounts *accounts) {
    const struct passwd *user;
    setpwent();
    while ((user = getpwent()) && accounts->count < ACCOUNTS_MOST) {
        if (user->pw_name[0] == '+' || user->pw_name[0] == '-')
            continue; /* "+@people::::::" of NIS is nobody (nsswitch.conf(5), compat) */
        struct account *account = &accounts->at[accounts->count++];
        *account = (struct account){span_copy(span_of(user->pw_name)),
                                    span_copy(span_of(user->pw_dir)), user->pw_uid,
                                    may_log_in(user->pw_shell), false, 0};
        must(account->name && account->home);
    }
    endpwent();
}

static struct account *find(struct accounts *accounts, struct span name) {
    for (size_t i = 0; i < accounts->count; i++)
        if (span_is(name, accounts->at[i].name))
            return &accounts->at[i];
    return NULL;
}

static const char *scheme_of(struct span hash) {
    static const struct {
        const char *prefix, *scheme;
    } schemes[] = {
        {"$y$", "yescrypt"}, {"$gy$", "gost-yescrypt"}, {"$7$", "scrypt"},   {"$2", "bcrypt"},
        {"$6$", "sha512"},   {"$5$", "sha256"},         {"$sha1", "sha1"}, {"$md5", "sunmd5"},
        {"$1$", "md5"},      {"$3$", "nt"},             {"_", "bsdi"},
    };
    for (size_t i = 0; i < ELEMENTS_OF(schemes); i++)
        if (span_starts_with(hash, span_of(schemes[i].prefix)))
            return schemes[i].scheme;
    return "des";
}

static void say_password(struct accounts *accounts, struct account *account, struct span field,
                         struct found *without) {
    bool is_locked = field.length > 0 && (field.at[0] == '!' || field.at[0] == '*');
    while (field.length > 0 && field.at[0] == '!')
        field = span_skip(field, 1);
    bool has_hash = field.length > 1 && field.at[0] != '*';
    if (field.length == 0 && !is_locked)
        found_one(without, account->name, "empty password");
    if (has_hash)
        look_say_text(accounts->look, "hash", account->name, scheme_of(field));
    account->has_password = has_hash && !is_locked;
    if (account->uid == 0)
        look_say_text(accounts->look, "root_password", account->name,
                      account->has_password ? "yes" : "no");
}

static void say_shadow(struct accounts *accounts) {
    cleanup_text struct text text = {0};
    struct found without = {accounts->look, "no_password", 0};
    struct span line;
    int error = look_file("/etc/shadow", &text);
    if (error < 0) {
        static const char *const keys[] = {"no_password", "hash", "root_password", "idle_days"};
        for (size_t i = 0; i < ELEMENTS_OF(keys); i++)
            look_say_not(accounts->look, keys[i], "/etc/shadow: %s", strerror(-error));
        return;
    }
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        struct account *account = find(accounts, span_cut(&line, ':'));
        struct span hash = span_cut(&line, ':');
        if (!account)
            continue;
        if (span_to_integer(span_cut(&line, ':'), 0, 1000000, &account->changed_day) < 0)
            account->changed_day = 0;
        say_password(accounts, account, hash, &without);
    }
    found_end(&without);
}

static void say_numbers(struct accounts *accounts) {
    struct found roots = {accounts->look, "second_root", 0};
    struct found twice = {accounts->look, "same_uid", 0};
    struct found shells = {accounts->look, "system_shell", 0};
    for (size_t i = 0; i < accounts->count; i++) {
        const struct account *one = &accounts->at[i];
        if (one->uid == 0 && strcmp(one->name, "root") != 0)
            found_one(&roots, one->name, "has uid 0");
        /* Debian's postgres has one, and its tools need it. */
        if (one->uid != 0 && one->may_log_in && strcmp(one->name, "postgres") != 0 &&
            (one->uid < FIRST_PERSON || one->uid == NOBODY))
            found_one(&shells, one->name, "uid %u has a shell", one->uid);
        for (size_t j = 0; j < i; j++)
            if (accounts->at[j].uid == one->uid && one->uid != 0)
                found_one(&twice, one->name, "has the uid of %s", accounts->at[j].name);
    }
    found_end(&roots);
    found_end(&twice);
    found_end(&shells);
}

/* Whoever is in these groups is root by one more command. */
static void say_groups(struct accounts *accounts) {
    static const char *const mighty[] = {"docker", "lxd", "incus-admin", "disk", "shadow", "kmem"};
    struct found like_root = {accounts->look, "like_root", 0};
    const struct group *group;
    setgrent();
    while ((group = getgrent()))
        for (size_t i = 0; i < ELEMENTS_OF(mighty); i++)
            for (char **member = group->gr_mem; strcmp(group->gr_name, mighty[i]) == 0 && *member;
                 member++)
                found_one(&like_root, *member, "is in group %s", group->gr_name);
    endgrent();
    found_end(&like_root);
}

static void say_homes(struct accounts *accounts) {
    struct found loose = {accounts->look, "loose_home", 0};
    struct found open = {accounts->look, "open_home", 0};
    for (size_t i = 0; i < accounts->count; i++) {
        const struct account *one = &accounts->at[i];
        char words[MODE_WORDS_MAX];
        struct stat status;
        if (!one->may_log_in || stat(one->home, &status) < 0)
            continue;
        if ((status.st_mode & S_IWOTH) || (status.st_uid != one->uid && status.st_uid != 0))
            found_one(&loose, one->name, "%s is %s", one->home, mode_words(&status, words));
        else if (status.st_mode & (S_IROTH | S_IXOTH))
            found_one(&open, one->name, "%s is %s", one->home, mode_words(&status, words));
    }
    found_end(&loose);
    found_end(&open);
}

/* lastlog(8): a row of struct lastlog for each uid, the time first, in four bytes. */
static int64_t last_login(int fd, uid_t uid) {
    uint32_t at = 0;
    ssize_t got = pread(fd, &at, sizeof(at), (off_t)uid * LASTLOG_ROW_BYTES);
    return got == sizeof(at) ? (int64_t)at : 0;
}

/* Days since a person who could log in last did; since the password was set when never. */
static void say_idle(struct accounts *accounts) {
    cleanup_close int fd = open("/var/log/lastlog", O_RDONLY | O_CLOEXEC);
    int64_t today = clock_now_us() / DAY_US;
    if (fd < 0) {
        look_say_not(accounts->look, "idle_days", "/var/log/lastlog: %s", strerror(errno));
        return;
    }
    for (size_t i = 0; i < accounts->count; i++) {
        const struct account *one = &accounts->at[i];
        int64_t at = last_login(fd, one->uid);
        if (!one->may_log_in || one->uid == 0 || !one->has_password || one->uid == NOBODY)
            continue;
        if (at > 0 || one->changed_day > 0)
            look_say_format(accounts->look, "idle_days", one->name, "%lld",
                            (long long)(today - (at ? at / 86400 : one->changed_day)));
    }
}

void probe_accounts(struct look *look) {
    struct accounts *accounts = calloc(1, sizeof(*accounts));
    must(accounts);
    accounts->look = look;
    read_passwd(accounts);
    say_shadow(accounts);
    say_numbers(accounts);
    say_groups(accounts);
    say_homes(accounts);
    say_idle(accounts);
    for (size_t i = 0; i < accounts->count; i++) {
        free(accounts->at[i].name);
        free(accounts->at[i].home);
    }
    free(accounts);
}
