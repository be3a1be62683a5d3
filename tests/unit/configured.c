/* A configuration to be read: see configured.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "configured.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/files.h"

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "." /* meson names it; by hand, run from the root of the tree */
#endif

char config_folder[96], data_folder[96];

static const char *const shipped[] = {"sshd", "postfix-sasl", "dovecot", "recidive"};

int configured_make(void **state) {
    if (scratch_make(state) < 0)
        return -1;
    snprintf(config_folder, sizeof(config_folder), "%s/etc", scratch_folder);
    snprintf(data_folder, sizeof(data_folder), "%s/data", scratch_folder);
    for (size_t i = 0; i < ELEMENTS_OF(shipped); i++) {
        cleanup_text struct text text = {0};
        char path[256];
        snprintf(path, sizeof(path), "%s/jails/%s.conf", SOURCE_ROOT, shipped[i]);
        if (file_read(path, 65536, &text) < 0)
            return -1;
        snprintf(path, sizeof(path), "data/jails/%s.conf", shipped[i]);
        write_bytes(path, text_span(&text));
        snprintf(path, sizeof(path), "data/filters/%s.conf", shipped[i]);
        write_file(path, "[Definition]\nfailregex = ^refused <HOST>$\n");
    }
    return 0;
}

void forget_owner(void) {
    assert_int_equal(remove_below(config_folder), 0);
}

struct config *read_with(const char *text) {
    struct config *config = NULL;
    struct why why = {0};
    if (text)
        write_file(CONF, text);
    if (config_read(config_folder, data_folder, &config, &why) < 0)
        fail_msg("%s:%d: %s", why.file, why.line, why.text);
    return config;
}

const struct config_jail *find_jail(const struct config *config, const char *name) {
    for (uint32_t i = 0; i < config->jail_count; i++)
        if (strcmp(config->jails[i].name, name) == 0)
            return &config->jails[i];
    fail_msg("no jail %s", name);
    return NULL;
}
