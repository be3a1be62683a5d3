/* The administrators' accounts: see admins.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/admins.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

enum { ADMINS_MOST = 1024, ACCOUNT_MAX = 97, GROUPS_MOST = 16, ENTRY_MAX = 64 << 10 };

struct admins {
    struct {
        char name[ACCOUNT_MAX];
        uid_t uid;
    } at[ADMINS_MOST];
    uint32_t count;
};

struct admins *admins_new(void) {
    struct admins *admins = calloc(1, sizeof(*admins));
    must(admins);
    return admins;
}

struct admins *admins_free(struct admins *admins) {
    free(admins);
    return NULL;
}

void admins_add(struct admins *admins, const char *name, uid_t uid) {
    if (admins->count == ADMINS_MOST || strlen(name) >= ACCOUNT_MAX ||
        admins_has_name(admins, span_of(name)))
        return;
    snprintf(admins->at[admins->count].name, ACCOUNT_MAX, "%s", name);
    admins->at[admins->count++].uid = uid;
}

bool admins_has_name(const struct admins *admins, struct span name) {
    for (uint32_t i = 0; i < admins->count; i++)
        if (span_is(name, admins->at[i].name))
            return true;
    return false;
}

const char *admins_name_of(const struct admins *admins, uid_t uid) {
    for (uint32_t i = 0; i < admins->count; i++)
        if (admins->at[i].uid == uid)
            return admins->at[i].name;
    return NULL;
}

static void add_member(struct admins *admins, const char *name, char *buffer) {
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwnam_r(name, &entry, buffer, ENTRY_MAX, &found) == 0 && found)
        admins_add(admins, found->pw_name, found->pw_uid);
}

/* Returns the group's number, or (gid_t)-1 when there is none of that name. */
static gid_t add_group(struct admins *admins, const char *name, char *buffer, char *member_buffer) {
    struct group entry;
    struct group *found = NULL;
    if (getgrnam_r(name, &entry, buffer, ENTRY_MAX, &found) != 0 || !found)
        return (gid_t)-1;
    for (char **member = found->gr_mem; *member; member++)
        add_member(admins, *member, member_buffer);
    return found->gr_gid;
}

struct admins *admins_read(const struct config *config) {
    struct admins *admins = admins_new();
    gid_t groups[GROUPS_MOST];
    uint32_t group_count = 0;
    cleanup_free char *buffer = malloc(2 * ENTRY_MAX);
    must(buffer);
    admins_add(admins, "root", 0);
    for (uint32_t i = 0; i < config->admin_groups.count && group_count < GROUPS_MOST; i++) {
        gid_t group =
            add_group(admins, config->admin_groups.at[i].text, buffer, buffer + ENTRY_MAX);
        if (group != (gid_t)-1)
            groups[group_count++] = group;
    }
    /* Who has uid 0, or one of the groups as the first one, is found in the local file only: a
     * directory service may have a million accounts. */
    FILE *file = fopen("/etc/passwd", "re");
    for (struct passwd *one; file && (one = fgetpwent(file));)
        for (uint32_t i = 0; i <= group_count; i++)
            if (i < group_count ? one->pw_gid == groups[i] : one->pw_uid == 0)
                admins_add(admins, one->pw_name, one->pw_uid);
    if (file)
        fclose(file);
    return admins;
}
