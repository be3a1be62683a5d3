/* The order of deb-version(7): runs of non-digits by letters before signs, a tilde before all, even
 * before the end; runs of digits as numbers; in turn.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/debversion.h"

#include <ctype.h>

static int weight(struct span text, size_t at) {
    unsigned char c = at < text.length ? (unsigned char)text.at[at] : '\0';
    if (at >= text.length || isdigit(c))
        return 0;
    return c == '~' ? -1 : isalpha(c) ? c : c + 256;
}

static bool is_digit(struct span text, size_t at) {
    return at < text.length && isdigit((unsigned char)text.at[at]);
}

static int compare_numbers(struct span a, size_t *at, struct span b, size_t *bt) {
    while (*at < a.length && a.at[*at] == '0')
        ++*at;
    while (*bt < b.length && b.at[*bt] == '0')
        ++*bt;
    int first = 0;
    for (; is_digit(a, *at) && is_digit(b, *bt); ++*at, ++*bt)
        if (first == 0)
            first = a.at[*at] - b.at[*bt];
    if (is_digit(a, *at))
        return 1;
    return is_digit(b, *bt) ? -1 : first;
}

static int compare_part(struct span a, struct span b) {
    size_t at = 0;
    size_t bt = 0;
    while (at < a.length || bt < b.length) {
        while ((at < a.length && !is_digit(a, at)) || (bt < b.length && !is_digit(b, bt))) {
            int difference = weight(a, at) - weight(b, bt);
            if (difference)
                return difference;
            at++;
            bt++;
        }
        int numbers = compare_numbers(a, &at, b, &bt);
        if (numbers)
            return numbers;
    }
    return 0;
}

static struct span cut_epoch(struct span *version) {
    const char *colon = memchr(version->at, ':', version->length);
    return colon ? span_cut(version, ':') : SPAN("0");
}

static struct span cut_revision(struct span *version) {
    size_t length = version->length;
    while (length > 0 && version->at[length - 1] != '-')
        length--;
    if (length == 0)
        return SPAN("0");
    struct span revision = span_skip(*version, length);
    version->length = length - 1;
    return revision;
}

int debversion_compare(struct span a, struct span b) {
    a = span_trim(a);
    b = span_trim(b);
    struct span epochs[2] = {cut_epoch(&a), cut_epoch(&b)};
    struct span revisions[2] = {cut_revision(&a), cut_revision(&b)};
    int result = compare_part(epochs[0], epochs[1]);
    if (result == 0)
        result = compare_part(a, b);
    if (result == 0)
        result = compare_part(revisions[0], revisions[1]);
    return result < 0 ? -1 : result > 0 ? 1 : 0;
}
