/* The control server: see server.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"

enum { CLIENTS_MAX = 32, PACKET_MAX = 60 << 10, UNREAD_MAX = 64 << 20 };

struct packet {
    struct packet *next;
    size_t length;
    char bytes[];
};

struct client {
    struct control *control;
    uint64_t number;
    int fd;
    bool is_root, watches, is_ended;
    struct watch *watch;
    struct packet *first, **last;
    size_t unread;
    control_more_fn *more; /* of a long answer, or NULL */
    void *more_context;
    uint32_t cursor;
};

struct control {
    struct loop *loop;
    int fd;
    struct watch *watch;
    control_ask_fn *ask;
    void *context;
    struct client *clients[CLIENTS_MAX];
    uint64_t next_number;
    uint32_t watchers;
};

static void drop_client(struct client *client) {
    struct control *control = client->control;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i] == client)
            control->clients[i] = NULL;
    control->watchers -= client->watches;
    client->watch = loop_forget(client->watch);
    cleanup_close_fd(&client->fd);
    while (client->first) {
        struct packet *packet = client->first;
        client->first = packet->next;
        free(packet);
    }
    free(client);
}

static struct client *find_client(const struct control *control, uint64_t number) {
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i] && control->clients[i]->number == number)
            return control->clients[i];
    return NULL;
}

static void update_events(struct client *client) {
    bool has_more = client->first || client->more;
    watch_set_events(client->watch,
                     (client->more ? 0 : EPOLLIN) | (has_more ? (uint32_t)EPOLLOUT : 0));
}

/* False: the client is gone. */
static bool flush(struct client *client) {
    while (client->first) {
        struct packet *packet = client->first;
        ssize_t sent = send(client->fd, packet->bytes, packet->length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (sent < 0) {
            drop_client(client);
            return false;
        }
        client->first = packet->next;
        client->unread -= packet->length;
        free(packet);
    }
    if (!client->first)
        client->last = &client->first;
    update_events(client);
    return true;
}

static void send_object(struct client *client, js *object) {
    cleanup_text struct text text = {0};
    js_write(object, false, &text);
    js_free(object);
    if (text.length > PACKET_MAX || client->unread + text.length > UNREAD_MAX) {
        log_warning("a control client does not read its answers; it is let go");
        drop_client(client);
        return;
    }
    struct packet *packet = malloc(sizeof(*packet) + text.length);
    must(packet);
    packet->next = NULL;
    packet->length = text.length;
    memcpy(packet->bytes, text.at, text.length);
    *client->last = packet;
    client->last = &packet->next;
    client->unread += text.length;
    (void)flush(client);
}

void control_row(struct control *control, uint64_t number, js *row) {
    struct client *client = find_client(control, number);
    if (!client) {
        js_free(row);
        return;
    }
    js *object = js_object();
    js_set(object, "row", row);
    send_object(client, object);
}

void control_end(struct control *control, uint64_t number, int exit, const char *format, ...) {
    struct client *client = find_client(control, number);
    if (!client)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    client->more = NULL;
    js *end = js_object();
    js_set_number(end, "exit", exit);
    js_set_string(end, "text", text);
    js *object = js_object();
    js_set(object, "end", end);
    send_object(client, object);
}

void control_stream(struct control *control, uint64_t number, control_more_fn *more,
                    void *context) {
    struct client *client = find_client(control, number);
    if (!client)
        return;
    client->more = more;
    client->more_context = context;
    client->cursor = 0;
    update_events(client);
}

bool control_is_clear(const struct control *control, uint64_t number) {
    const struct client *client = find_client(control, number);
    return client && !client->first;
}

/* The cursor is handed in and out because the client may be let go meanwhile. */
static void stream_some(struct client *client) {
    struct control *control = client->control;
    uint64_t number = client->number;
    uint32_t cursor = client->cursor;
    client->more(client->more_context, number, &cursor);
    client = find_client(control, number);
    if (client)
        client->cursor = cursor;
}

void control_watch(struct control *control, uint64_t number) {
    struct client *client = find_client(control, number);
    if (client && !client->watches) {
        client->watches = true;
        control->watchers++;
    }
}

unsigned control_watchers(const struct control *control) {
    return control->watchers;
}

void control_tell(struct control *control, js *row) {
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i] && control->clients[i]->watches)
            control_row(control, control->clients[i]->number, js_copy(row));
    js_free(row);
}

static void take_question(struct client *client, struct span bytes) {
    struct control *control = client->control;
    cleanup_js js *object = js_parse(bytes);
    const char *word = object ? js_string(object, "word", NULL) : NULL;
    if (!word) {
        control_end(control, client->number, 2, "this was no question: {\"word\": …} is expected");
        return;
    }
    struct question question = {word, js_get(object, "args"), client->is_root, client->number};
    control->ask(control->context, &question);
}

static int client_ready(void *context, int fd, uint32_t events) {
    (void)fd;
    struct client *client = context;
    struct control *control = client->control;
    uint64_t number = client->number;
    if ((events & EPOLLOUT) && !flush(client))
        return 0;
    if ((events & EPOLLOUT) && client->more && !client->first) {
        stream_some(client);
        return 0;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return 0;
    static char packet[PACKET_MAX];
    ssize_t got = recv(client->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) {
        drop_client(client);
        return 0;
    }
    if ((size_t)got > sizeof(packet))
        control_end(control, number, 2, "a question has at most %d bytes", PACKET_MAX);
    else
        take_question(client, (struct span){packet, (size_t)got});
    return 0;
}

static int new_client(void *context, int fd, uint32_t events) {
    (void)events;
    struct control *control = context;
    int end = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (end < 0)
        return 0;
    int free_place = 0;
    while (free_place < CLIENTS_MAX && control->clients[free_place])
        free_place++;
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t length = sizeof(peer);
    if (free_place == CLIENTS_MAX ||
        getsockopt(end, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
        close(end);
        return 0;
    }
    struct client *client = calloc(1, sizeof(*client));
    must(client);
    client->control = control;
    client->number = ++control->next_number;
    client->fd = end;
    client->is_root = peer.uid == 0;
    client->last = &client->first;
    client->watch = loop_add_fd(control->loop, end, EPOLLIN, client_ready, client);
    control->clients[free_place] = client;
    return 0;
}

struct control *control_new(struct loop *loop, int fd, control_ask_fn *ask, void *context) {
    struct control *control = calloc(1, sizeof(*control));
    must(control);
    control->loop = loop;
    control->fd = fd;
    control->ask = ask;
    control->context = context;
    control->watch = loop_add_fd(loop, fd, EPOLLIN, new_client, control);
    return control;
}

struct control *control_free(struct control *control) {
    if (!control)
        return NULL;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i])
            drop_client(control->clients[i]);
    control->watch = loop_forget(control->watch);
    cleanup_close_fd(&control->fd);
    free(control);
    return NULL;
}
