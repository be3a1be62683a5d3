/* The status file has a paragraph for each package that dpkg has ever known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/dpkg.h"

#include <stdlib.h>
#include <strings.h>

#include "base/files.h"

enum { STATUS_MOST_BYTES = 64 << 20, PACKAGES_MOST = 100000 };

bool next_paragraph(struct span *text, struct span *ret_paragraph) {
    while (text->length > 0 && text->at[0] == '\n')
        *text = span_skip(*text, 1);
    if (text->length == 0)
        return false;
    const char *gap = memmem(text->at, text->length, "\n\n", 2);
    *ret_paragraph = (struct span){text->at, gap ? (size_t)(gap - text->at) : text->length};
    *text = span_skip(*text, ret_paragraph->length);
    return true;
}

struct span field_of(struct span paragraph, const char *name) {
    size_t length = strlen(name);
    while (paragraph.length > 0) {
        struct span line = span_cut(&paragraph, '\n');
        if (line.length > length && line.at[length] == ':' &&
            strncasecmp(line.at, name, length) == 0)
            return span_trim(span_skip(line, length + 1));
    }
    return (struct span){0};
}

static int compare_names(struct span a, struct span b) {
    size_t least = a.length < b.length ? a.length : b.length;
    int result = memcmp(a.at, b.at, least);
    return result ? result : a.length < b.length ? -1 : a.length > b.length;
}

static int compare(const void *a, const void *b) {
    return compare_names(((const struct package *)a)->name, ((const struct package *)b)->name);
}

int installed_read(struct installed *ret_installed) {
    struct installed installed = {0};
    struct span paragraph;
    int error = file_read("/var/lib/dpkg/status", STATUS_MOST_BYTES, &installed.text);
    if (error < 0) {
        text_free(&installed.text);
        return error;
    }
    installed.at = calloc(PACKAGES_MOST, sizeof(*installed.at));
    must(installed.at);
    struct span rest = text_span(&installed.text);
    while (installed.count < PACKAGES_MOST && next_paragraph(&rest, &paragraph)) {
        struct span status = field_of(paragraph, "Status");
        struct span name = field_of(paragraph, "Package");
        if (name.length == 0 || status.length < 10 ||
            memcmp(status.at + status.length - 10, " installed", 10) != 0)
            continue;
        installed.at[installed.count++] = (struct package){
            name, field_of(paragraph, "Architecture"), field_of(paragraph, "Version")};
    }
    if (installed.count)
        qsort(installed.at, installed.count, sizeof(*installed.at), compare);
    *ret_installed = installed;
    return 0;
}

void installed_free(struct installed *installed) {
    text_free(&installed->text);
    free(installed->at);
    installed->at = NULL;
    installed->count = 0;
}

const struct package *installed_find(const struct installed *installed, struct span name) {
    size_t first = 0;
    size_t behind = installed->count;
    while (first < behind) {
        size_t middle = first + (behind - first) / 2;
        if (compare_names(installed->at[middle].name, name) < 0)
            first = middle + 1;
        else
            behind = middle;
    }
    bool is_it = first < installed->count && span_equals(installed->at[first].name, name);
    return is_it ? &installed->at[first] : NULL;
}
