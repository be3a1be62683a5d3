/* hauberk live: what happens, as it happens. On a terminal a view of it, drawn again when something
 * changed, at most four times a second; elsewhere a line for each event and ban.
 *
 * The view asks `watch` once and `status` every two seconds over one connection. When hauberkd
 * goes, which every reload looks like, it tries again every second. Signals come through the loop,
 * so the terminal is given back whatever ends the view.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "cli/cli.h"
#include "cli/screen.h"
#include "cli/view.h"

#define DRAW_EVERY_US (SECOND_US / 4)
#define ASK_EVERY_US (2 * SECOND_US)
#define CONNECT_EVERY_US SECOND_US
enum { PACKETS_PER_TURN = 256 };

struct live {
    const struct cli *cli;
    struct loop *loop;
    struct view *view;
    int fd; /* -1: not connected */
    struct watch *connection, *draw_timer, *ask_timer;
    int64_t drawn_us;
    struct text drawn; /* what the terminal shows */
};

/* ---- lines ---- */

static bool show_line(void *context, const js *row) {
    const struct cli *cli = context;
    cleanup_text struct text text = {0};
    if (cli->wants_json)
        js_write(row, false, &text);
    else
        view_format_line(row, clock_now_us(), &text);
    if (text.length)
        printf("%s\n", text.at);
    fflush(stdout);
    return !ferror(stdout);
}

static int show_lines(struct cli *cli) {
    int exit_code = cli_ask(cli, "watch", NULL, show_line, cli);
    return exit_code == -ENOENT ? cli_no_daemon(cli) : exit_code;
}

/* ---- the view ---- */

static int draw(void *context) {
    struct live *live = context;
    struct text lines = {0};
    unsigned columns;
    unsigned rows;
    live->drawn_us = clock_monotonic_us();
    screen_size(&columns, &rows);
    view_draw(live->view, columns, rows, clock_now_us(), &lines);
    if (!span_equals(text_span(&lines), text_span(&live->drawn)))
        screen_show(&lines);
    text_free(&live->drawn);
    live->drawn = lines;
    return 0;
}

static void draw_soon(struct live *live) {
    int64_t since_us = clock_monotonic_us() - live->drawn_us;
    if (!watch_is_armed(live->draw_timer))
        watch_set_timer(live->draw_timer, since_us < DRAW_EVERY_US ? DRAW_EVERY_US - since_us : 0);
}

static void draw_anew(struct live *live) {
    text_clear(&live->drawn);
    draw_soon(live);
}

static void disconnect(struct live *live) {
    live->connection = loop_forget(live->connection);
    cleanup_close_fd(&live->fd);
    view_lose(live->view);
    watch_set_timer(live->ask_timer, CONNECT_EVERY_US);
    draw_soon(live);
}

static int take_packets(void *context, int fd, uint32_t events) {
    struct live *live = context;
    (void)events;
    for (int i = 0; i < PACKETS_PER_TURN; i++) {
        cleanup_js js *packet = NULL;
        int error = client_take(fd, &packet);
        if (error == -EAGAIN)
            break;
        if (error < 0) {
            disconnect(live);
            return 0;
        }
        if (js_get(packet, "row"))
            view_take(live->view, js_get(packet, "row"), clock_now_us());
    }
    draw_soon(live);
    return 0;
}

static void begin_watching(struct live *live) {
    live->connection = loop_add_fd(live->loop, live->fd, EPOLLIN, take_packets, live);
    if (client_send(live->fd, "watch", NULL) < 0)
        disconnect(live);
}

/* Connects if need be, and asks for the state. */
static int ask(void *context) {
    struct live *live = context;
    watch_set_timer(live->ask_timer, ASK_EVERY_US);
    if (live->fd < 0) {
        if (client_open(live->cli->runtime_folder, &live->fd) < 0) {
            watch_set_timer(live->ask_timer, CONNECT_EVERY_US);
            return 0;
        }
        begin_watching(live);
    }
    if (live->fd >= 0 && client_send(live->fd, "status", NULL) < 0)
        disconnect(live);
    return 0;
}

static int take_keys(void *context, int fd, uint32_t events) {
    struct live *live = context;
    char keys[64];
    (void)events;
    ssize_t got = read(fd, keys, sizeof(keys));
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN) ||
        (got > 0 && memchr(keys, 'q', (size_t)got)))
        loop_end(live->loop, EXIT_FINE);
    return 0;
}

static int take_signal(void *context, int number, pid_t from) {
    struct live *live = context;
    (void)from;
    if (number == SIGTSTP) { /* Ctrl-Z: the shell has the terminal until we are continued */
        screen_leave();
        (void)kill(getpid(), SIGSTOP);
        screen_enter();
    }
    if (number == SIGTSTP || number == SIGWINCH)
        draw_anew(live);
    else
        loop_end(live->loop, EXIT_FINE);
    return 0;
}

static int show_view(const struct cli *cli) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    struct watch *inputs[ELEMENTS_OF(signals) + 1] = {NULL};
    struct live live = {.cli = cli, .fd = -1};
    int connected = cli_connect(cli, &live.fd);
    if (connected != EXIT_FINE)
        return connected == -ENOENT ? cli_no_daemon(cli) : connected;
    live.loop = loop_new();
    live.view = view_new();
    live.draw_timer = loop_add_timer(live.loop, -1, draw, &live);
    live.ask_timer = loop_add_timer(live.loop, 0, ask, &live);
    for (size_t i = 0; i < ELEMENTS_OF(signals); i++)
        inputs[i] = loop_add_signal(live.loop, signals[i], take_signal, &live);
    if (isatty(STDIN_FILENO))
        inputs[ELEMENTS_OF(signals)] =
            loop_add_fd(live.loop, STDIN_FILENO, EPOLLIN, take_keys, &live);
    screen_enter();
    begin_watching(&live);
    int exit_code = loop_run(live.loop);
    screen_leave();
    for (size_t i = 0; i < ELEMENTS_OF(inputs); i++)
        loop_forget(inputs[i]);
    loop_forget(live.connection);
    loop_forget(live.draw_timer);
    loop_forget(live.ask_timer);
    loop_free(live.loop);
    cleanup_close_fd(&live.fd);
    view_free(live.view);
    text_free(&live.drawn);
    return exit_code;
}

int word_live(struct cli *cli) {
    bool is_plain = cli_take_flag(cli, "--plain");
    if (cli->argument_count != 0)
        return cli_fail(EXIT_USAGE, "live takes --plain or --json, nothing else");
    return is_plain || cli->wants_json || !screen_is_there() ? show_lines(cli) : show_view(cli);
}
