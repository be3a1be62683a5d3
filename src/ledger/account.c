/* Accounts: see account.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger/account.h"

#include <string.h>

#include "base/hash.h"

enum { NAME_MOST = 96 };

static struct span user_part(struct span name) {
    const char *end = name.at + name.length;
    const char *begin = name.at;
    for (const char *at = begin; at < end; at++)
        if (*at == '\\' && at + 1 < end)
            begin = at + 1;
    for (const char *at = begin + 1; at < end; at++)
        if (*at == '@')
            end = at;
    return (struct span){begin, (size_t)(end - begin)};
}

uint64_t account_identity(struct span name) {
    char lower[NAME_MOST];
    if (!name.at || name.length == 0)
        return 0;
    name = user_part(name);
    size_t length = name.length < NAME_MOST ? name.length : NAME_MOST;
    for (size_t i = 0; i < length; i++) {
        char letter = name.at[i];
        lower[i] = letter >= 'A' && letter <= 'Z' ? (char)(letter + ('a' - 'A')) : letter;
    }
    uint64_t identity = hash_named((struct span){lower, length});
    return identity ? identity : 1;
}
