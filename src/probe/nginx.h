/* nginx's configuration, statement by statement, from its files: `nginx -T` would say the same, but
 * opens its logs for writing, which a probe may not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "base/span.h"

struct nginx_statement {
    const char *file;
    int line;
    struct span block;       /* the word that opened what it stands in: server, location; or "" */
    struct span name, value; /* "autoindex", "on" */
};

/* The statements of one file's text, in their order. */
void nginx_read_text(const char *file, struct span text,
                     void (*each)(void *context, const struct nginx_statement *statement),
                     void *context);
/* Those of /etc/nginx/nginx.conf, conf.d, sites-enabled and snippets. False: there is no
 * nginx.conf, or it cannot be read. */
bool nginx_read(void (*each)(void *context, const struct nginx_statement *statement),
                void *context);
