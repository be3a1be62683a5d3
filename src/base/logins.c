/* Sessions: see logins.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/logins.h"

#include <stdlib.h>
#include <systemd/sd-login.h>
#include <unistd.h>

struct logins {
    sd_login_monitor *monitor;
};

struct logins *logins_open(void) {
    if (access(LOGINS_FOLDER, R_OK | X_OK) < 0)
        return NULL;
    struct logins *logins = calloc(1, sizeof(*logins));
    must(logins);
    if (sd_login_monitor_new("session", &logins->monitor) < 0)
        return logins_close(logins);
    return logins;
}

struct logins *logins_close(struct logins *logins) {
    if (logins)
        sd_login_monitor_unref(logins->monitor);
    free(logins);
    return NULL;
}

int logins_fd(const struct logins *logins) {
    return sd_login_monitor_get_fd(logins->monitor);
}

void logins_seen(struct logins *logins) {
    (void)sd_login_monitor_flush(logins->monitor);
}

/* "closing": logged out, with something left running. */
static bool is_open(const char *session) {
    cleanup_free char *state = NULL;
    return sd_session_get_state(session, &state) >= 0 &&
           (strcmp(state, "active") == 0 || strcmp(state, "online") == 0);
}

static bool is_of_sshd(const char *session) {
    cleanup_free char *service = NULL;
    return sd_session_is_remote(session) > 0 &&
           sd_session_get_service(session, &service) >= 0 && strcmp(service, "sshd") == 0;
}

void logins_each(void (*each)(void *context, uid_t uid, const struct address *from),
                 void *context) {
    char **sessions = NULL;
    int count = sd_get_sessions(&sessions);
    for (int i = 0; i < count; i++) {
        cleanup_free char *host = NULL;
        struct address from;
        uid_t uid;
        if (is_of_sshd(sessions[i]) && is_open(sessions[i]) &&
            sd_session_get_uid(sessions[i], &uid) >= 0 &&
            sd_session_get_remote_host(sessions[i], &host) >= 0 &&
            address_parse(span_of(host), &from) >= 0)
            each(context, uid, &from);
        free(sessions[i]);
    }
    free(sessions);
}
