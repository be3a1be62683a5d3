/* Do updates come by themselves, does the release still get them, and does what runs know of them:
 * apt-config(8), unattended-upgrades' stamps, kernels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "probe/debversion.h"
#include "probe/dpkg.h"
#include "probe/found.h"
#include "probe/words.h"

/* Until when Debian, then its long term support, mends a release (the project's release pages). */
static const struct {
    const char *release;
    struct {
        int year, month, day;
    } full, lts;
} releases[] = {
    {"10", {2022, 9, 10}, {2024, 6, 30}},
    {"11", {2024, 8, 14}, {2026, 8, 31}},
    {"12", {2026, 6, 10}, {2028, 6, 30}},
    {"13", {2028, 8, 9}, {2030, 6, 30}},
};

static void say_support(struct look *look, const struct installed *installed) {
    cleanup_text struct text text = {0};
    char release[40] = "";
    int64_t today = clock_now_us() / DAY_US;
    read_quietly("/etc/os-release", &text);
    (void)shell_value(text_span(&text), "VERSION_ID", release, sizeof(release));
    for (size_t i = 0; i < ELEMENTS_OF(releases); i++) {
        if (strcmp(releases[i].release, release) != 0)
            continue;
        int64_t full = clock_days(releases[i].full.year, releases[i].full.month,
                                  releases[i].full.day);
        int64_t lts = clock_days(releases[i].lts.year, releases[i].lts.month, releases[i].lts.day);
        look_say_text(look, "support", "", today <= full ? "full" : today <= lts ? "lts" : "over");
        look_say_format(look, "support_days", "", "%lld",
                        (long long)(today <= lts ? lts - today : 0));
    }
    look_say_text(look, "tells_unsupported", "",
                  installed_find(installed, SPAN("debian-security-support")) ? "yes" : "no");
}

/* ---- by themselves ---- */

/* `apt-config dump`: NAME "VALUE"; */
static bool apt_value(struct span configuration, const char *name, struct span *ret_value) {
    struct span line;
    bool is_found = false;
    while (next_line(&configuration, &line)) {
        struct span word = span_word(&line);
        if (!span_is(word, name) || line.length < 3)
            continue;
        (void)span_cut(&line, '"');
        *ret_value = span_cut(&line, '"');
        is_found = true;
    }
    return is_found;
}

/* Does a pattern "origin=Debian,codename=…,label=Debian-Security" ever match the security archive?
 * Its suite is stable-security (oldstable-security …), its label Debian-Security. */
static bool matches_security(struct span pattern) {
    bool matches = true;
    bool is_narrow = false;
    while (pattern.length > 0) {
        struct span value = span_trim(span_cut(&pattern, ','));
        struct span name = span_cut(&value, '=');
        bool is_suite = span_is(name, "archive") || span_is(name, "a") ||
                        span_is(name, "suite");
        bool is_codename = span_is(name, "codename") || span_is(name, "n");
        bool has_security = memmem(value.at, value.length, "-security", 9) != NULL;
        if (is_suite || is_codename)
            matches = matches && has_security;
        if (span_is(name, "label") || span_is(name, "l"))
            matches = matches && span_is(value, "Debian-Security");
        is_narrow = is_narrow || is_suite || is_codename || value.length > 0;
    }
    return matches && is_narrow;
}

static bool covers_security(struct span configuration) {
    static const char *const lists[] = {"Unattended-Upgrade::Origins-Pattern::",
                                        "Unattended-Upgrade::Allowed-Origins::"};
    struct span line;
    while (next_line(&configuration, &line)) {
        struct span word = span_word(&line);
        (void)span_cut(&line, '"');
        struct span pattern = span_cut(&line, '"');
        if (span_is(word, lists[0]) && matches_security(pattern))
            return true;
        if (span_is(word, lists[1]) && memmem(pattern.at, pattern.length, "-security", 9))
            return true;
    }
    return false;
}

static void say_stamp(struct look *look, const char *key, const char *path) {
    struct stat status;
    if (stat(path, &status) == 0)
        look_say_format(look, key, "", "%lld days",
                        (long long)((clock_now_us() / SECOND_US - status.st_mtim.tv_sec) / 86400));
    else
        look_say_text(look, key, "", "none");
}

static void say_automatic(struct look *look, const struct installed *installed) {
    static const char *const arguments[] = {"apt-config", "dump", NULL};
    cleanup_text struct text output = {0};
    struct span value;
    int status = look_run(look, arguments, &output, NULL);
    bool is_there = installed_find(installed, SPAN("unattended-upgrades")) != NULL;
    if (status != 0) {
        look_say_not(look, "automatic", "apt-config dump: %s",
                     status < 0 ? strerror(-status) : "it failed");
        return;
    }
    struct span all = text_span(&output);
    bool is_on = apt_value(all, "APT::Periodic::Unattended-Upgrade", &value) &&
                 !span_is(value, "0") && value.length > 0;
    bool updates = apt_value(all, "APT::Periodic::Update-Package-Lists", &value) &&
                   !span_is(value, "0") && value.length > 0;
    look_say_text(look, "automatic", "",
                  !is_there          ? "not installed"
                  : is_on && updates ? "yes"
                                     : "no");
    if (!is_there || !is_on)
        return;
    look_say_text(look, "automatic_security", "", covers_security(all) ? "yes" : "no");
    /* Made by the first run; a machine set up today has none. */
    struct stat stamp;
    if (stat("/var/lib/apt/periodic/unattended-upgrades-stamp", &stamp) == 0)
        say_stamp(look, "automatic_age", "/var/lib/apt/periodic/unattended-upgrades-stamp");
}

/* ---- what runs ---- */

/* Debian's kernels tell their package's version in uname -v: "#1 SMP … Debian 6.1.119-1 (2024…" */
static struct span version_of(const struct utsname *running) {
    const char *version = strstr(running->version, "Debian ");
    struct span rest = span_of(version ? version + 7 : "");
    return span_word(&rest);
}

/* What is built for: "cloud-amd64" of 6.1.0-41-cloud-amd64 and of 6.12.57+deb13-cloud-amd64. The
 * number behind the first dash is of the version. Empty: Debian's kernels are not called so. */
static struct span flavour_of(struct span release) {
    (void)span_cut(&release, '-');
    struct span rest = release;
    struct span number = span_cut(&rest, '-');
    int64_t value;
    if (span_to_integer(number, 0, 100000, &value) == 0)
        release = rest;
    return release;
}

static bool is_backport(struct span version) {
    return version.length > 0 && memmem(version.at, version.length, "~bpo", 4);
}

/* The newest installed kernel of those that take the running one's place, by the release in its
 * package's name: of the same flavour, and from backports only if it is, too. */
static struct span newest_kernel(const struct installed *installed,
                                 const struct utsname *running) {
    struct span newest = {0};
    struct span flavour = flavour_of(span_of(running->release));
    for (size_t i = 0; i < installed->count && flavour.length > 0; i++) {
        const struct package *package = &installed->at[i];
        if (!span_starts_with(package->name, SPAN("linux-image-")))
            continue;
        struct span release = span_skip(package->name, 12);
        static const char unsigned_one[] = "-unsigned";
        size_t end = sizeof(unsigned_one) - 1;
        if (release.length > end &&
            memcmp(release.at + release.length - end, unsigned_one, end) == 0)
            release.length -= end;
        if (release.length == 0 || release.at[0] < '0' || release.at[0] > '9')
            continue; /* linux-image-amd64 only points to one */
        if (!span_equals(flavour_of(release), flavour) ||
            is_backport(package->version) != is_backport(version_of(running)))
            continue;
        if (!newest.at || debversion_compare(release, newest) > 0)
            newest = release;
    }
    return newest;
}

static bool is_replaced(const struct utsname *running, const struct installed *installed) {
    char name[200];
    snprintf(name, sizeof(name), "linux-image-%.100s", running->release);
    const struct package *package = installed_find(installed, span_of(name));
    struct span own = version_of(running);
    return package && own.length > 0 && debversion_compare(own, package->version) < 0;
}

static void say_reboot(struct look *look, const struct installed *installed,
                       const struct utsname *running) {
    cleanup_text struct text text = {0};
    struct span newest = newest_kernel(installed, running);
    read_quietly("/run/reboot-required.pkgs", &text);
    struct span packages = text_span(&text);
    struct span first = packages.length ? span_cut(&packages, '\n') : SPAN("a package");
    if (access("/run/reboot-required", F_OK) == 0)
        look_say_format(look, "reboot", "", "asked for by %.*s", SPAN_FORMAT(first));
    else if (newest.at && debversion_compare(span_of(running->release), newest) < 0)
        look_say_format(look, "reboot", "", "%s runs, %.*s is installed", running->release,
                        SPAN_FORMAT(newest));
    else if (is_replaced(running, installed))
        look_say_format(look, "reboot", "", "the image of %s was replaced", running->release);
    else
        look_say_text(look, "reboot", "", "none");
}

void probe_updates(struct look *look) {
    cleanup_installed struct installed installed = {0};
    int error = installed_read(&installed);
    if (error < 0) {
        look_say_not(look, NULL, "/var/lib/dpkg/status: %s", strerror(-error));
        return;
    }
    say_support(look, &installed);
    say_automatic(look, &installed);
    struct utsname running = {0};
    if (uname(&running) == 0)
        say_reboot(look, &installed, &running);
}
