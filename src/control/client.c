/* The asking side: see client.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/client.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

int client_open(const char *runtime_folder, int *ret_fd) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (snprintf(name.sun_path, sizeof(name.sun_path), "%s/control", runtime_folder) >=
        (int)sizeof(name.sun_path))
        return -ENAMETOOLONG;
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = CLIENT_PATIENCE_SEC};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

int client_send(int fd, const char *word, js *args) {
    cleanup_text struct text text = {0};
    cleanup_js js *question = js_object();
    js_set_string(question, "word", word);
    js_set(question, "args", args ? args : js_object());
    js_write(question, false, &text);
    return send(fd, text.at, text.length, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int wait_for(int fd, int seconds) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&one, 1, seconds < 0 ? -1 : seconds * 1000);
    while (ready < 0 && errno == EINTR);
    return ready < 0 ? -errno : ready == 0 ? -ETIMEDOUT : 0;
}

int client_take(int fd, js **ret_packet) {
    static char packet[64 << 10];
    ssize_t got = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EINTR ? -EAGAIN : got < 0 ? -errno : -ECONNRESET;
    js *object = js_parse((struct span){packet, (size_t)got});
    js_make_safe(object); /* what hauberkd says may have been said to it by an attacker */
    *ret_packet = object;
    return 0;
}

/* Nobody has read what we sent (unix(7), SIOCOUTQ). */
static bool question_lies_there(int fd) {
    int unread = 0;
    return ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

int client_ask(int fd, const char *word, js *args, int seconds,
               bool (*each)(void *context, const js *row), void *context,
               bool (*on_wait)(void *context), struct text *text, struct why *reterr_why) {
    int error = client_send(fd, word, args);
    if (error >= 0 && wait_for(fd, CLIENT_PATIENCE_SEC) == -ETIMEDOUT && question_lies_there(fd) &&
        !(on_wait && on_wait(context)))
        return why_set(reterr_why, -EBUSY, NULL, 0, "hauberkd runs, but takes no questions");
    for (;;) {
        cleanup_js js *object = NULL;
        if (error >= 0)
            error = wait_for(fd, seconds);
        if (error >= 0)
            error = client_take(fd, &object);
        if (error == -EAGAIN) {
            error = 0;
            continue;
        }
        if (error < 0)
            return why_set(reterr_why, error, NULL, 0,
                           error == -ETIMEDOUT
                               ? "hauberkd does not answer within %d s"
                               : "hauberkd closed the connection (is it restarting?)",
                           seconds);
        const js *row = js_get(object, "row");
        const js *end = js_get(object, "end");
        if (row && each && !each(context, row))
            return 0;
        if (end) {
            text_add_string(text, js_string(end, "text", ""));
            return (int)js_number(end, "exit", 1);
        }
    }
}
