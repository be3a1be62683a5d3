/* Accounts: see account.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/account.h"

#include <string.h>

#include "base/hash.h"

enum { NAME_MOST = 96 };

static uint64_t hash_folded(struct span name) {
    char lower[NAME_MOST];
    size_t length = name.length < NAME_MOST ? name.length : NAME_MOST;
    for (size_t i = 0; i < length; i++) {
        char letter = name.at[i];
        lower[i] = letter >= 'A' && letter <= 'Z' ? (char)(letter + ('a' - 'A')) : letter;
    }
    uint64_t hash = hash_named((struct span){lower, length});
    return hash ? hash : 1;
}

struct account account_of(struct span name) {
    if (!name.at || name.length == 0)
        return (struct account){0};
    const char *end = name.at + name.length;
    const char *begin = name.at;
    for (const char *at = begin; at + 1 < end; at++)
        if (*at == '\\')
            begin = at + 1;
    const char *user_end = end;
    for (const char *at = end - 1; at > begin; at--)
        if (*at == '@')
            user_end = at;
    struct account account = {.user = hash_folded((struct span){begin, (size_t)(user_end - begin)}),
                              .has_domain = user_end < end};
    account.whole = account.has_domain ? hash_folded((struct span){begin, (size_t)(end - begin)})
                                       : account.user;
    return account;
}
