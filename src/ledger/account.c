/* Accounts: see account.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/account.h"

#include <string.h>

#include "base/hash.h"

enum { NAME_MOST = 96 };

static uint64_t hash_not_zero(const char *at, size_t length) {
    uint64_t hash = hash_named((struct span){at, length});
    return hash ? hash : 1;
}

struct account account_of(struct span name) {
    if (!name.at || name.length == 0)
        return (struct account){0};
    const char *backslash = memrchr(name.at, '\\', name.length - 1);
    struct span named = span_skip(name, backslash ? (size_t)(backslash + 1 - name.at) : 0);
    const char *at_sign = memchr(named.at + 1, '@', named.length - 1);
    size_t user_length = at_sign ? (size_t)(at_sign - named.at) : named.length;
    char lower[NAME_MOST];
    size_t length = named.length < NAME_MOST ? named.length : NAME_MOST;
    for (size_t i = 0; i < length; i++) {
        char letter = named.at[i];
        lower[i] = letter >= 'A' && letter <= 'Z' ? (char)(letter + ('a' - 'A')) : letter;
    }
    struct account account = {
        .user = hash_not_zero(lower, user_length < NAME_MOST ? user_length : NAME_MOST),
        .has_domain = at_sign != NULL};
    account.whole = account.has_domain ? hash_not_zero(lower, length) : account.user;
    return account;
}
