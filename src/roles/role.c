/* The common opening of all roles: see role.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "roles/role.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "base/log.h"

static bool read_digest(const char *text, struct digest *ret_digest) {
    if (strlen(text) != 2 * DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        unsigned octet;
        if (sscanf(text + 2 * i, "%2x", &octet) != 1)
            return false;
        ret_digest->at[i] = (uint8_t)octet;
    }
    return true;
}

static uint32_t read_id(const char *text) {
    int64_t id = 0;
    if (span_to_integer(span_of(text), 0, UINT32_MAX, &id) < 0) {
        log_error("'%s' is no id", text);
        exit(2);
    }
    return (uint32_t)id;
}

struct role_options role_begin(enum role role, int argc, char **argv) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"data", required_argument, NULL, 'd'},
        {"state", required_argument, NULL, 's'},  {"runtime", required_argument, NULL, 'r'},
        {"digest", required_argument, NULL, 'D'}, {"uid", required_argument, NULL, 'u'},
        {"gid", required_argument, NULL, 'g'},    {"observe", no_argument, NULL, 'o'},
        {NULL, 0, NULL, 0}};
    struct role_options options = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    bool has_digest = false;
    log_open(role_names[role]);
    hash_open();
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'c')
            options.config_folder = optarg;
        else if (c == 'd')
            options.data_folder = optarg;
        else if (c == 's')
            options.state_folder = optarg;
        else if (c == 'r')
            options.runtime_folder = optarg;
        else if (c == 'D')
            has_digest = read_digest(optarg, &options.digest);
        else if (c == 'u')
            options.uid = read_id(optarg);
        else if (c == 'g')
            options.gid = read_id(optarg);
        else if (c == 'o')
            options.observe = true;
        else
            exit(2);
    }
    if (!options.config_folder || !options.data_folder || !options.state_folder ||
        !options.runtime_folder || (role != CHECKER && !has_digest)) {
        log_error("this program is started by hauberkd, not by hand");
        exit(2);
    }
    return options;
}

void role_fail(const struct why *why) {
    char text[900];
    log_error("%s", why_format(why, text, sizeof(text)));
    exit(1);
}

void role_enter_sandbox(enum role role, const struct role_options *options,
                        const char *writable_folder, const char *readable_folder) {
    struct sandbox_wish wish = {.role = role,
                                .uid = options->uid,
                                .gid = options->gid,
                                .writable_folder = writable_folder,
                                .readable_folder = readable_folder};
    struct why why = {0};
    if (sandbox_enter(&wish, &why) < 0)
        role_fail(&why);
}

static int from_supervisor(void *context, struct message *message) {
    struct role_supervisor *supervisor = context;
    if (message->type == SAY_PING)
        return channel_send(supervisor->channel, SAY_PONG, message->head, NULL, 0) == -ENOMEM
                   ? -ENOMEM
                   : 0;
    if (message->type == SAY_QUIT) {
        const struct wire_quit *quit = message->head;
        if (supervisor->on_quit)
            supervisor->on_quit(supervisor->context, quit->lift);
        loop_end(supervisor->loop, 0);
        return 0;
    }
    return supervisor->on_message ? supervisor->on_message(supervisor->context, message) : 0;
}

/* hauberkd is gone without a word: leave this instant, because the next one waits for our locks.
 * What is not committed is read again. */
static int supervisor_ended(void *context, int error, const char *what) {
    (void)context;
    if (error < 0)
        log_error("hauberkd %s; leaving", what);
    _exit(1);
}

void role_connect_supervisor(struct role_supervisor *supervisor, enum role me) {
    static const struct channel_calls calls = {.on_message = from_supervisor,
                                               .on_end = supervisor_ended};
    supervisor->channel = channel_new(supervisor->loop, ROLE_FD_SUPERVISOR, me, SUPERVISOR,
                                      &calls, supervisor);
}

int role_peer_ended(struct role_supervisor *supervisor, enum role peer, int error,
                    const char *what) {
    /* Without -EPROTO it died, most likely: hauberkd will know by its pid,
     * or finds that it lives. */
    struct wire_complaint complaint = {.about = (uint8_t)peer, .is_gone = error != -EPROTO};
    wire_set_bytes(complaint.text, span_of(what));
    if (error == -EPROTO)
        log_error("the %s %s", role_names[peer], what);
    (void)channel_send(supervisor->channel, SAY_MISBEHAVED, &complaint, NULL, 0);
    return 0;
}
