/* Which users OpenSSH's server treats differently: by the Match blocks of its configuration
 * (sshd_config(5)) with what it includes. Only what tells users apart is read here; what a block
 * then does is sshd's own to say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/text.h"

enum { SSHD_PATTERNS_MOST = 64 };

struct sshd_match {
    bool is_there;     /* is there any block */
    bool asks_user;    /* does any ask who it is */
    bool is_unclear;   /* it asks more than is known here: no two users may be taken as alike */
    struct text words; /* what the blocks set, in small letters, a line each, some of them twice */

    struct sshd_pattern {
        char *text;
        bool is_of_groups;
    } patterns[SSHD_PATTERNS_MOST];
    size_t pattern_count;
    unsigned files;
};

/* Relative names in Include are looked up in that file's folder. */
void sshd_match_read(const char *path, struct sshd_match *match);
void sshd_match_free(struct sshd_match *match);

/* Users of one kind get the same settings: which of the patterns match the name or one of the
 * groups, a bit each. */
uint64_t sshd_match_kind(const struct sshd_match *match, const char *user, gid_t group);
