/* The packages: which wait for a security update, as far as the lists of apt know that lie on this
 * disk (nothing is fetched); which come from elsewhere; which should not be on a mail server.
 *
 * A list belongs to a release file beside it (InRelease or Release), which tells Origin and Label.
 * Lists that apt keeps compressed (Acquire::GzipIndexes) it unpacks for us; what cannot be read is
 * told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/files.h"
#include "probe/debversion.h"
#include "probe/dpkg.h"
#include "probe/found.h"
#include "probe/known_holes.h"
#include "probe/words.h"

#define LISTS "/var/lib/apt/lists/"

enum { LIST_MOST_BYTES = 64 << 20, HEAD_BYTES = 4096 };

struct packages {
    struct look *look;
    struct installed installed;
    struct found pending, foreign_archive, foreign;
    unsigned security_lists;
    int64_t newest_list;
    char unread[2][300]; /* why a list could not be read: of security updates, of others */
};

/* ---- the lists ---- */

static void read_head(const char *path, struct text *text) {
    cleanup_text struct text whole = {0};
    if (file_read(path, LIST_MOST_BYTES, &whole) == 0) {
        struct span head = text_span(&whole);
        head.length = head.length < HEAD_BYTES ? head.length : HEAD_BYTES;
        text_add(text, head);
    }
}

/* An update is one of the same package and architecture that is later than what is installed. */
static void look_for_updates(struct packages *packages, struct span list, const char *archive) {
    struct span paragraph;
    while (next_paragraph(&list, &paragraph)) {
        const struct package *own =
            installed_find(&packages->installed, field_of(paragraph, "Package"));
        char name[200];
        if (!own)
            continue;
        struct span version = field_of(paragraph, "Version");
        struct span architecture = field_of(paragraph, "Architecture");
        bool is_same = span_equals(own->architecture, architecture) ||
                       span_is(architecture, "all") || span_is(own->architecture, "all");
        if (!is_same || debversion_compare(version, own->version) <= 0)
            continue;
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(own->name));
        found_one(&packages->pending, name, "%.*s; %.*s is in %s", SPAN_FORMAT(own->version),
                  SPAN_FORMAT(version), archive);
    }
}

/* What is installed exactly as a foreign archive has it. */
static void look_for_foreign(struct packages *packages, struct span list, struct span origin) {
    struct span paragraph;
    while (next_paragraph(&list, &paragraph)) {
        const struct package *own =
            installed_find(&packages->installed, field_of(paragraph, "Package"));
        char name[200];
        if (!own || !span_equals(own->version, field_of(paragraph, "Version")))
            continue;
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(own->name));
        found_one(&packages->foreign, name, "%.*s of %.*s", SPAN_FORMAT(own->version),
                  SPAN_FORMAT(origin));
    }
}

struct archive {
    struct packages *packages;
    bool is_debian, is_security;
    struct span origin, codename;
};

/* apt calls them …_Packages, with the ending of what they are compressed by; an index of
 * differences (…_Packages.diff_Index) is none. */
static bool is_list(const char *path, bool *ret_is_compressed) {
    static const char *const endings[] = {"", ".gz", ".xz", ".lz4", ".zst", ".bz2", ".lzma"};
    static const char name[] = "_Packages";
    size_t length = strlen(path);
    for (size_t i = 0; i < ELEMENTS_OF(endings); i++) {
        size_t end = sizeof(name) - 1 + strlen(endings[i]);
        if (length < end || strncmp(path + length - end, name, sizeof(name) - 1) != 0 ||
            strcmp(path + length - strlen(endings[i]), endings[i]) != 0)
            continue;
        *ret_is_compressed = i > 0;
        return true;
    }
    return false;
}

/* -errno, or what apt-helper ended with. */
static int read_list(struct look *look, const char *path, bool is_compressed, struct text *text) {
    const char *const unpacked[] = {"/usr/lib/apt/apt-helper", "cat-file", path, NULL};
    return is_compressed ? look_run(look, unpacked, text, NULL)
                         : file_read(path, LIST_MOST_BYTES, text);
}

static void take_list(void *context, const char *path) {
    struct archive *archive = context;
    struct packages *packages = archive->packages;
    cleanup_text struct text text = {0};
    char name[200];
    bool is_compressed;
    if (!is_list(path, &is_compressed) || (archive->is_debian && !archive->is_security))
        return;
    int error = read_list(packages->look, path, is_compressed, &text);
    if (error != 0) {
        snprintf(packages->unread[!archive->is_security], sizeof(packages->unread[0]),
                 "%.200s: %s", strrchr(path, '/') + 1,
                 error < 0 ? strerror(-error) : "apt-helper failed");
        return;
    }
    packages->security_lists += archive->is_security;
    snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(archive->codename));
    if (archive->is_security)
        look_for_updates(packages, text_span(&text), name);
    else
        look_for_foreign(packages, text_span(&text), archive->origin);
}

static void take_release(void *context, const char *path) {
    struct packages *packages = context;
    cleanup_text struct text head = {0};
    char pattern[600];
    struct stat status;
    read_head(path, &head);
    struct span text = text_span(&head);
    struct archive archive = {packages, false, false, field_of(text, "Origin"),
                              field_of(text, "Codename")};
    struct span label = field_of(text, "Label");
    archive.is_debian = span_is(archive.origin, "Debian") ||
                        span_is(archive.origin, "Debian Backports");
    archive.is_security = archive.is_debian && span_is(label, "Debian-Security");
    const char *end = strrchr(path, '_');
    if (!end)
        return;
    if (stat(path, &status) == 0 && status.st_mtim.tv_sec > packages->newest_list)
        packages->newest_list = status.st_mtim.tv_sec;
    if (!archive.is_debian)
        found_one(&packages->foreign_archive, strrchr(path, '/') + 1, "origin %.*s",
                  SPAN_FORMAT(archive.origin.length ? archive.origin : SPAN("untold")));
    snprintf(pattern, sizeof(pattern), "%.*s_*_Packages*", (int)(end - path), path);
    each_path(pattern, take_list, &archive);
}

static void say_lists(struct packages *packages) {
    each_path(LISTS "*_InRelease", take_release, packages);
    each_path(LISTS "*_Release", take_release, packages);
    struct stat stamp;
    /* apt touches this one also when no list has changed. */
    if (stat("/var/lib/apt/periodic/update-success-stamp", &stamp) == 0 &&
        stamp.st_mtim.tv_sec > packages->newest_list)
        packages->newest_list = stamp.st_mtim.tv_sec;
    if (stat(LISTS "partial", &stamp) == 0 && packages->newest_list &&
        stamp.st_mtim.tv_sec > packages->newest_list)
        packages->newest_list = stamp.st_mtim.tv_sec;
    if (packages->unread[0][0])
        look_say_not(packages->look, "pending_security", "%s", packages->unread[0]);
    else if (packages->security_lists == 0)
        look_say_not(packages->look, "pending_security", "apt has no list of security updates");
    if (packages->pending.count > 0 || packages->security_lists > 0)
        found_end(&packages->pending);
    found_end(&packages->foreign_archive);
    found_end(&packages->foreign);
    if (packages->unread[1][0])
        look_say_not(packages->look, "foreign", "%s", packages->unread[1]);
    if (packages->newest_list)
        look_say_format(packages->look, "lists_age", "", "%lld days",
                        (long long)((clock_now_us() / SECOND_US - packages->newest_list) / 86400));
    else
        look_say_text(packages->look, "lists_age", "", "9999 days");
}

/* ---- the sources ---- */

struct sources {
    bool has_security;
    struct found ppa, unsigned_source;
};

static bool has(struct span text, const char *what) {
    return memmem(text.at, text.length, what, strlen(what)) != NULL;
}

static void take_source(void *context, const char *path) {
    struct sources *sources = context;
    cleanup_text struct text text = {0};
    struct span line;
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        bool names_suite = span_starts_with(line, SPAN("deb ")) ||
                           span_starts_with(line, SPAN("deb\t")) ||
                           span_starts_with(line, SPAN("Suites:")) ||
                           span_starts_with(line, SPAN("deb ["));
        sources->has_security = sources->has_security || (names_suite && has(line, "-security"));
        if (has(line, "ppa.launchpad"))
            found_one(&sources->ppa, path, "%.*s", SPAN_FORMAT(line));
        if (has(line, "trusted=yes") || has(line, "allow-insecure=yes") ||
            has(line, "Trusted: yes"))
            found_one(&sources->unsigned_source, path, "%.*s", SPAN_FORMAT(line));
    }
}

static void say_sources(struct look *look) {
    struct sources sources = {false, {look, "ppa", 0}, {look, "unsigned_source", 0}};
    each_path("/etc/apt/sources.list", take_source, &sources);
    each_path("/etc/apt/sources.list.d/*.list", take_source, &sources);
    each_path("/etc/apt/sources.list.d/*.sources", take_source, &sources);
    look_say_text(look, "security_source", "", sources.has_security ? "yes" : "no");
    found_end(&sources.ppa);
    found_end(&sources.unsigned_source);
}

/* ---- what should not be there ---- */

static const struct {
    const char *key;
    const char *const *names;
    const char *why;
} kinds[] = {
    {"cleartext", (const char *const[]){"telnetd", "telnetd-ssl", "inetutils-telnetd", "rsh-server",
                                        "rsh-redone-server", "inetutils-inetd", "openbsd-inetd",
                                        "tftpd", "tftpd-hpa", "atftpd", "nis", "ypserv", "talkd",
                                        "inetutils-ftpd", "ftpd", NULL},
     "takes logins or files in clear"},
    {"compiler", (const char *const[]){"gcc", "g++", "clang", "tcc", "golang-go", "rustc", NULL},
     "makes programs"},
    {"relic", (const char *const[]){"denyhosts", "psad", "tiger", "dspam", "postgrey", "rkhunter",
                                    "chkrootkit", "logcheck", "opendkim", "opendmarc",
                                    "postfwd", "awstats", NULL},
     "is done otherwise today"},
    {"encfs", (const char *const[]){"encfs", NULL}, "encrypts weakly"},
};

static void say_unwanted(struct packages *packages) {
    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
        struct found found = {packages->look, kinds[i].key, 0};
        for (size_t j = 0; kinds[i].names[j]; j++) {
            const struct package *package =
                installed_find(&packages->installed, span_of(kinds[i].names[j]));
            if (package)
                found_one(&found, kinds[i].names[j], "%s (%.*s)", kinds[i].why,
                          SPAN_FORMAT(package->version));
        }
        found_end(&found);
    }
}

void probe_packages(struct look *look) {
    struct packages packages = {
        .look = look,
        .pending = {look, "pending_security", 0},
        .foreign_archive = {look, "foreign_archive", 0},
        .foreign = {look, "foreign", 0},
    };
    int error = installed_read(&packages.installed);
    if (error < 0) {
        look_say_not(look, NULL, "/var/lib/dpkg/status: %s", strerror(-error));
        return;
    }
    say_lists(&packages);
    say_sources(look);
    say_unwanted(&packages);
    known_holes_say(look, &packages.installed, "/var/lib/debsecan/history");
    installed_free(&packages.installed);
}
