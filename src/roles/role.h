/* What every role's main() begins with, in the same order: options, configuration, inherited
 * descriptors, sandbox, loop. The roles can be compared by diff.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/loop.h"
#include "base/why.h"
#include "sandbox/sandbox.h"
#include "wire/channel.h"
#include "wire/inherited.h"

struct role_options {
    const char *config_folder, *data_folder, *state_folder, *runtime_folder;
    struct digest digest; /* of the configuration hauberkd had checked */
    uid_t uid;
    gid_t gid;
    bool observe;
};

/* Reads the options hauberkd gave; exits when they make no sense (nobody else starts a role). */
struct role_options role_begin(enum role role, int argc, char **argv);

/* Ends the process with the reason in the log. */
never_returns void role_fail(const struct why *why);

void role_enter_sandbox(enum role role, const struct role_options *options,
                        const char *writable_folder, const char *readable_folder);

/* The channel to hauberkd. PING is answered here and QUIT ends the loop, after on_quit (may be
 * NULL); everything else goes to on_message. The channel's end ends the process at once. */
struct role_supervisor {
    struct loop *loop;
    struct channel *channel;
    int (*on_message)(void *context, struct message *message);
    void (*on_quit)(void *context, bool lift);
    void *context;
};
void role_connect_supervisor(struct role_supervisor *supervisor, enum role me);

/* For other channels' on_end: a peer that misbehaves, or closes its end, is named to hauberkd,
 * which restarts all. */
int role_peer_ended(struct role_supervisor *supervisor, enum role peer, int error,
                    const char *what);
