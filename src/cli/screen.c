/* The terminal: see screen.h. The few control sequences are ECMA-48's and xterm's, which every
 * terminal of the last decades understands (man 4 console_codes): 1049 is the second page, 25 the
 * cursor, 7 the wrapping of long lines, which would shift everything below them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/screen.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool is_taken, has_before;

static void put(struct span bytes) {
    while (bytes.length > 0) {
        ssize_t sent = write(STDOUT_FILENO, bytes.at, bytes.length);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return; /* a terminal that is gone; its signal ends us */
        if (sent > 0)
            bytes = span_skip(bytes, (size_t)sent);
    }
}

bool screen_is_there(void) {
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind && kind[0] && strcmp(kind, "dumb") != 0;
}

void screen_enter(void) {
    if (is_taken)
        return;
    is_taken = true;
    has_before = tcgetattr(STDIN_FILENO, &before) == 0;
    if (has_before) {
        struct termios view = before;
        view.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &view);
    }
    put(SPAN("\033[?1049h\033[?25l\033[?7l\033[2J"));
}

void screen_leave(void) {
    if (!is_taken)
        return;
    is_taken = false;
    put(SPAN("\033[?7h\033[?25h\033[?1049l"));
    if (has_before)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void screen_size(unsigned *ret_columns, unsigned *ret_lines) {
    struct winsize size = {0};
    bool is_told = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *ret_columns = is_told && size.ws_col ? size.ws_col : 80;
    *ret_lines = is_told && size.ws_row ? size.ws_row : 24;
}

void screen_show(const struct text *lines) {
    cleanup_text struct text bytes = {0};
    struct span left = text_span(lines);
    text_add_string(&bytes, "\033[H");
    while (left.length > 0) {
        text_add(&bytes, span_cut(&left, '\n'));
        text_add_string(&bytes, left.length > 0 ? "\033[K\n" : "\033[K");
    }
    text_add_string(&bytes, "\033[J");
    if (is_taken)
        put(text_span(&bytes));
}
