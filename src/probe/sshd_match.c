/* A configuration is read as sshd does: words and their values parted by blanks or =, in quotes
 * where there are blanks in them, Include with patterns, a Match that holds to the end of its file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/sshd_match.h"

#include <ctype.h>
#include <fnmatch.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "probe/found.h"
#include "probe/words.h"

enum { FILES_MOST = 200, DEPTH_MOST = 16, GROUPS_MOST = 256 };

struct reading_of {
    struct sshd_match *match;
    const char *folder;
    unsigned depth;
    bool is_in_block;
};

static bool is_word(struct span a, const char *b) {
    return a.length == strlen(b) && strncasecmp(a.at, b, a.length) == 0;
}

/* The next value: to a blank, or to the quote that ends it. */
static struct span cut_value(struct span *line) {
    *line = span_trim(*line);
    if (line->length > 0 && line->at[0] == '"') {
        *line = span_skip(*line, 1);
        return span_cut(line, '"');
    }
    return span_word(line);
}

static void add_patterns(struct sshd_match *match, struct span list, bool is_of_groups) {
    match->asks_user = true;
    while (list.length > 0) {
        struct span pattern = span_trim(span_cut(&list, ','));
        if (pattern.length > 0 && pattern.at[0] == '!')
            pattern = span_skip(pattern, 1); /* whether it matches is what tells users apart */
        if (match->pattern_count == SSHD_PATTERNS_MOST) {
            match->is_unclear = true;
            return;
        }
        char *text = span_copy(pattern);
        must(text);
        match->patterns[match->pattern_count++] = (struct sshd_pattern){text, is_of_groups};
    }
}

/* "Match User anna,bert Address 10.0.0.0/8", also with User=anna. */
static void take_match(struct sshd_match *match, struct span line) {
    static const char *const of_connections[] = {"Host", "LocalAddress", "LocalPort", "Address",
                                                 "RDomain"};
    match->is_there = true;
    while ((line = span_trim(line)).length > 0 && line.at[0] != '#') {
        struct span criterion = cut_key(&line);
        bool is_known = is_word(criterion, "all");
        if (is_known)
            continue;
        struct span value = cut_value(&line);
        if (is_word(criterion, "User") || is_word(criterion, "Group")) {
            add_patterns(match, value, is_word(criterion, "Group"));
            is_known = true;
        }
        for (size_t i = 0; i < ELEMENTS_OF(of_connections); i++)
            is_known = is_known || is_word(criterion, of_connections[i]);
        if (!is_known)
            match->asks_user = match->is_unclear = true;
    }
}

static void read_file(struct reading_of reading, const char *path);

static void take_file(void *context, const char *path) {
    const struct reading_of *reading = context;
    read_file(*reading, path);
}

static void take_include(struct reading_of reading, struct span line) {
    char pattern[600];
    reading.depth++;
    for (struct span value; (value = cut_value(&line)).length > 0;) {
        snprintf(pattern, sizeof(pattern), "%s%s%.*s", value.at[0] == '/' ? "" : reading.folder,
                 value.at[0] == '/' ? "" : "/", (int)(value.length < 400 ? value.length : 400),
                 value.at);
        each_path(pattern, take_file, &reading);
    }
}

static void add_word(struct sshd_match *match, struct span word) {
    for (size_t i = 0; i < word.length; i++)
        text_add_char(&match->words, (char)tolower((unsigned char)word.at[i]));
    text_add_char(&match->words, '\n');
}

static void read_file(struct reading_of reading, const char *path) {
    cleanup_text struct text text = {0};
    struct span line;
    if (reading.depth > DEPTH_MOST || reading.match->files++ >= FILES_MOST) {
        reading.match->is_unclear = reading.match->asks_user = true;
        return;
    }
    read_quietly(path, &text);
    struct span rest = text_span(&text);
    while (next_line(&rest, &line)) {
        struct span word = cut_key(&line);
        if (is_word(word, "Match")) {
            take_match(reading.match, line);
            reading.is_in_block = true;
        } else if (is_word(word, "Include")) {
            take_include(reading, line);
        } else if (reading.is_in_block) {
            add_word(reading.match, word);
        }
    }
}

void sshd_match_read(const char *path, struct sshd_match *match) {
    char folder[200];
    const char *slash = strrchr(path, '/');
    *match = (struct sshd_match){0};
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 0, path);
    read_file((struct reading_of){match, folder, 0, false}, path);
}

void sshd_match_free(struct sshd_match *match) {
    for (size_t i = 0; i < match->pattern_count; i++)
        free(match->patterns[i].text);
    text_free(&match->words);
    *match = (struct sshd_match){0};
}

/* sshd's patterns know * and ? only; what else fnmatch(3) knows is no name of a user. */
static bool is_like(const char *pattern, const char *name) {
    return fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}

uint64_t sshd_match_kind(const struct sshd_match *match, const char *user, gid_t group) {
    gid_t groups[GROUPS_MOST];
    char *names[GROUPS_MOST];
    int count = GROUPS_MOST;
    uint64_t kind = 0;
    if (getgrouplist(user, group, groups, &count) < 0)
        count = GROUPS_MOST;
    for (int i = 0; i < count; i++) {
        const struct group *entry = getgrgid(groups[i]);
        names[i] = span_copy(span_of(entry ? entry->gr_name : ""));
        must(names[i]);
    }
    for (size_t i = 0; i < match->pattern_count; i++) {
        const struct sshd_pattern *pattern = &match->patterns[i];
        bool is_so = !pattern->is_of_groups && is_like(pattern->text, user);
        for (int j = 0; pattern->is_of_groups && j < count; j++)
            is_so = is_so || is_like(pattern->text, names[j]);
        kind |= (uint64_t)is_so << i;
    }
    for (int i = 0; i < count; i++)
        free(names[i]);
    return kind;
}
