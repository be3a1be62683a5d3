/* What each role may do, and the dropping of everything else. One table (sandbox.c) states it per
 * role: user, capabilities, files, system calls.
 *
 * sandbox_enter() is called once, after the role has read its configuration and taken its
 * descriptors and before it says READY. It never half-succeeds for the caller: on any failure the
 * role must exit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/why.h"
#include "wire/wire.h"

struct sandbox_wish {
    enum role role;
    uid_t uid; /* (uid_t)-1: stay who we are (an ordinary user's replay) */
    gid_t gid;
    const char *writable_folder; /* the decider's state; NULL: nothing may be written */
    const char *readable_folder; /* NULL: nothing else may be read */
};

must_use int sandbox_enter(const struct sandbox_wish *wish, struct why *reterr_why);

/* Becomes that user, without capabilities and other groups, and no more: for a program that is to
 * have a user's ordinary rights, those of a setgid program it starts included. (uid_t)-1: stays. */
must_use int sandbox_become(uid_t uid, gid_t gid, struct why *reterr_why);

/* The users of the roles. With the package's users present these are their ids; otherwise numeric
 * ids from `base` upwards that no account owns (base, base+1, base+2 in the order decider, sensor,
 * enforcer). Not root: our own ids. */
struct sandbox_users {
    uid_t uid[ROLES];
    gid_t gid[ROLES];
    bool are_numeric; /* the named users do not exist */
};
must_use int sandbox_find_users(uid_t base, struct sandbox_users *ret_users,
                                struct why *reterr_why);

/* For a program that only looks, and for all it starts: nothing can be written to or made in any
 * file system but /dev/null and what lies in `writable_folder` (NULL: none), no program gains
 * rights by being started. Reading, running programs, talking to services and descriptors that are
 * open stay as they were.
 *
 * Landlock refuses opening for writing, making, removing and renaming; from Linux 6.2 on also
 * emptying. Seccomp refuses what landlock does not know, everywhere and whatever the folder:
 * emptying a file by its name or by opening it, modes, owners, times, attributes, flags. Without
 * landlock (a container that forbids it) seccomp refuses all but opening for writing, which the
 * rights of who started us hold. */
must_use int sandbox_read_only(const char *writable_folder, struct why *reterr_why);

/* For a program that looks at other processes, which sandbox_read_only() would not let it: it may
 * open for reading and nothing else; it starts no program and talks to nobody. */
must_use int sandbox_only_reading(struct why *reterr_why);

/* Puts an empty /tmp of our own, of at most some megabytes, in place of the machine's, for us and
 * what we start: it ends with us. For programs that cannot look without writing there first; to be
 * followed by sandbox_read_only("/tmp"). -EPERM for others than root. */
must_use int sandbox_own_tmp(struct why *reterr_why);
