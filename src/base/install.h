/* Where this installation lies, found from the running program: an installed tree works wherever
 * it was put, and a build tree works in place.
 *
 *   PREFIX/bin/hauberk, PREFIX/sbin/hauberkd → PREFIX/libexec/hauberk, PREFIX/share/hauberk
 *   BUILD/src/hauberk, BUILD/src/hauberkd    → BUILD/src, and the checkout BUILD was made from
 *                                              (BUILD/source, written by meson)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>

struct install_paths {
    char libexec[PATH_MAX]; /* the roles */
    char data[PATH_MAX];    /* filters/ and jails/ */
};

bool install_find(struct install_paths *ret_paths);
