/* Necessary literals: see literals.h. A recursive descent over the pattern. Every part gives the
 * best requirement found in it; a sequence keeps the best of its parts, an alternation joins the
 * requirements of all its branches (or has none), an optional part has none. Inside a sequence,
 * plain characters make a run, and a group that stands for a few plain texts continues it with each
 * of them ("Connection (?:closed|reset) by" is two literals); everything else ends the run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/literals.h"

#include <ctype.h>

struct reader {
    struct span left;
    bool folds_case;
    bool is_lost; /* something that is not understood: no requirement at all */
    bool strips;  /* leading non-word bytes of every literal: see at_text_start */
    unsigned depth;
};

enum { DEEPEST = 32 };

/* What a part of the pattern tells. */
struct part {
    struct literal_set needed; /* what it matches contains one of them */
    struct literal_set exact;  /* it matches these texts and nothing else; none: not known */
};

static struct part read_alternation(struct reader *reader);

static uint32_t shortest(const struct literal_set *set) {
    uint32_t length = UINT32_MAX;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->at[i].length < length)
            length = set->at[i].length;
    return set->count ? length : 0;
}

bool literal_set_is_better(const struct literal_set *a, const struct literal_set *b) {
    uint32_t a_length = shortest(a);
    uint32_t b_length = shortest(b);
    /* Beyond sixteen bytes length says little; fewer literals say more. */
    a_length = a_length > 16 ? 16 : a_length;
    b_length = b_length > 16 ? 16 : b_length;
    return a_length != b_length ? a_length > b_length : a->count < b->count;
}

struct literal_set literal_set_either(const struct literal_set *a, const struct literal_set *b) {
    struct literal_set both = {0};
    if (a->count == 0 || b->count == 0)
        return both;
    both = *a;
    for (uint32_t i = 0; i < b->count; i++) {
        bool is_there = false;
        for (uint32_t j = 0; j < both.count && !is_there; j++)
            is_there = both.at[j].length == b->at[i].length &&
                       both.at[j].folds_case == b->at[i].folds_case &&
                       memcmp(both.at[j].at, b->at[i].at, b->at[i].length) == 0;
        if (is_there)
            continue;
        if (both.count == LITERALS_MAX)
            return (struct literal_set){0};
        both.at[both.count++] = b->at[i];
    }
    return both;
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static void strip(struct literal *literal) {
    size_t skip = 0;
    while (skip < literal->length && !is_word(literal->at[skip]))
        skip++;
    memmove(literal->at, literal->at + skip, literal->length - skip);
    literal->length = (uint8_t)(literal->length - skip);
}

static void offer_run(const struct reader *reader, const struct literal_set *run,
                      struct literal_set *best) {
    struct literal_set found = *run;
    for (uint32_t i = 0; reader->strips && i < found.count; i++)
        strip(&found.at[i]);
    if (shortest(&found) >= LITERAL_LENGTH_MIN && literal_set_is_better(&found, best))
        *best = found;
}

static void end_run(const struct reader *reader, struct literal_set *run,
                    struct literal_set *best) {
    offer_run(reader, run, best);
    run->count = 0;
}

/* Every text of the one followed by every text of the other. False: too many, too long, or not of
 * one case. */
static bool join(const struct literal_set *heads, const struct literal_set *tails,
                 struct literal_set *ret_joined) {
    struct literal_set joined = {0};
    for (uint32_t i = 0; i < heads->count; i++)
        for (uint32_t k = 0; k < tails->count; k++) {
            const struct literal *head = &heads->at[i];
            const struct literal *tail = &tails->at[k];
            if (joined.count == LITERALS_MAX || head->folds_case != tail->folds_case ||
                head->length + tail->length > LITERAL_LENGTH_MAX)
                return false;
            struct literal *one = &joined.at[joined.count++];
            *one = *head;
            memcpy(one->at + one->length, tail->at, tail->length);
            one->length = (uint8_t)(one->length + tail->length);
        }
    *ret_joined = joined;
    return true;
}

/* The run goes on with one of these texts, or begins anew with them. False: anew. */
static bool add_to_run(const struct reader *reader, struct literal_set *run,
                       const struct literal_set *texts, struct literal_set *best) {
    if (texts->count > 1)
        offer_run(reader, run, best); /* fewer literals may be better than longer ones */
    bool goes_on = run->count > 0 && join(run, texts, run);
    if (goes_on)
        return true;
    bool was_empty = run->count == 0;
    end_run(reader, run, best);
    *run = *texts;
    return was_empty;
}

/* A quantifier behind an atom: least is how often the atom must be there. False: none. */
static bool read_quantifier(struct reader *reader, unsigned *ret_least) {
    if (reader->left.length == 0)
        return false;
    char c = reader->left.at[0];
    size_t length = 1;
    if (c == '*' || c == '?') {
        *ret_least = 0;
    } else if (c == '+') {
        *ret_least = 1;
    } else if (c == '{') {
        const char *end = memchr(reader->left.at, '}', reader->left.length);
        struct span inside = {reader->left.at + 1, 0};
        if (!end)
            return false;
        inside.length = (size_t)(end - inside.at);
        struct span rest = inside;
        struct span first = span_cut(&rest, ',');
        int64_t least = 0;
        if (inside.length == 0)
            return false;
        for (size_t i = 0; i < inside.length; i++)
            if (!isdigit((unsigned char)inside.at[i]) && inside.at[i] != ',')
                return false; /* a plain brace */
        if (first.length && span_to_integer(first, 0, 100000, &least) < 0)
            return false;
        *ret_least = least > 0 ? 1 : 0;
        length = inside.length + 2;
    } else {
        return false;
    }
    reader->left = span_skip(reader->left, length);
    if (reader->left.length && (reader->left.at[0] == '?' || reader->left.at[0] == '+'))
        reader->left = span_skip(reader->left, 1); /* lazy or possessive */
    return true;
}

static void skip_class(struct reader *reader) {
    size_t at = 1;
    if (at < reader->left.length && reader->left.at[at] == '^')
        at++;
    if (at < reader->left.length && reader->left.at[at] == ']')
        at++;
    while (at < reader->left.length && reader->left.at[at] != ']') {
        if (reader->left.at[at] == '[' && at + 1 < reader->left.length &&
            reader->left.at[at + 1] == ':')
            reader->is_lost = true; /* [:alpha:]: rare, and its bracket would fool us */
        at += reader->left.at[at] == '\\' ? 2 : 1;
    }
    if (at >= reader->left.length)
        reader->is_lost = true;
    reader->left = span_skip(reader->left, at + 1);
}

/* Behind "(?": what kind of group? Sets *ret_counts when its content must be matched in place. */
static void read_group_head(struct reader *reader, bool *ret_counts, bool *ret_is_setting) {
    struct span *left = &reader->left;
    *ret_counts = false;
    *ret_is_setting = false;
    if (span_starts_with(*left, SPAN(":"))) {
        *left = span_skip(*left, 1);
        *ret_counts = true;
    } else if (span_starts_with(*left, SPAN("P<")) ||
               (left->length > 1 && left->at[0] == '<' && isalpha((unsigned char)left->at[1]))) {
        (void)span_cut(left, '>');
        *ret_counts = true;
    } else if (span_starts_with(*left, SPAN("=")) || span_starts_with(*left, SPAN("!"))) {
        *left = span_skip(*left, 1);
    } else if (span_starts_with(*left, SPAN("<=")) || span_starts_with(*left, SPAN("<!"))) {
        *left = span_skip(*left, 2);
    } else if (span_starts_with(*left, SPAN("i)")) || span_starts_with(*left, SPAN("i:"))) {
        reader->folds_case = true;
        *ret_is_setting = left->at[1] == ')';
        *ret_counts = !*ret_is_setting;
        *left = span_skip(*left, 2);
    } else {
        reader->is_lost = true; /* conditions, back references, other flags */
    }
}

static struct part read_group(struct reader *reader) {
    bool counts = true;
    bool folded = reader->folds_case;
    bool is_setting = false;
    reader->left = span_skip(reader->left, 1);
    if (reader->left.length && reader->left.at[0] == '?') {
        reader->left = span_skip(reader->left, 1);
        read_group_head(reader, &counts, &is_setting);
        if (reader->is_lost || is_setting)
            return (struct part){0};
    } else if (reader->left.length && reader->left.at[0] == '*') {
        reader->is_lost = true; /* (*VERB) */
        return (struct part){0};
    }
    struct part inner = read_alternation(reader);
    if (reader->left.length == 0 || reader->left.at[0] != ')')
        reader->is_lost = true;
    reader->left = span_skip(reader->left, 1);
    reader->folds_case = folded;
    return counts ? inner : (struct part){0};
}

/* An escape stands for a plain character or for something that ends the run. */
static bool read_escape(struct reader *reader, char *ret_plain) {
    char c = reader->left.length > 1 ? reader->left.at[1] : '\0';
    if (isalnum((unsigned char)c) && !strchr("bBdDsSwW", c)) {
        reader->is_lost = true; /* \x41, \Q, \K, back references: not worth the risk */
        return false;
    }
    reader->left = span_skip(reader->left, 2);
    *ret_plain = c;
    return !isalnum((unsigned char)c) && c != '\0';
}

static struct part read_sequence(struct reader *reader) {
    struct literal_set best = {0};
    struct literal_set run = {0};
    bool is_exact = true; /* the run is all there is */
    while (!reader->is_lost && reader->left.length > 0) {
        char c = reader->left.at[0];
        if (c == '|' || c == ')')
            break;
        struct part part = {0};
        bool is_plain = false;
        if (c == '(') {
            part = read_group(reader);
        } else if (c == '[') {
            skip_class(reader);
        } else if (c == '\\') {
            is_plain = read_escape(reader, &c);
        } else {
            is_plain = c != '.' && c != '^' && c != '$';
            reader->left = span_skip(reader->left, 1);
        }
        if (is_plain)
            part.exact = (struct literal_set){
                .count = 1, .at[0] = {.at = {c}, .length = 1, .folds_case = reader->folds_case}};
        unsigned least = 1;
        bool is_quantified = read_quantifier(reader, &least);
        if (part.exact.count && least > 0)
            is_exact = add_to_run(reader, &run, &part.exact, &best) && is_exact;
        if (part.exact.count == 0 || is_quantified) {
            end_run(reader, &run, &best);
            is_exact = false;
        }
        if (part.exact.count == 0 && least > 0 && literal_set_is_better(&part.needed, &best))
            best = part.needed; /* of an exact one the run holds more */
    }
    struct part whole = {.needed = best};
    if (is_exact)
        whole.exact = run;
    end_run(reader, &run, &whole.needed);
    return whole;
}

static struct part read_alternation(struct reader *reader) {
    if (++reader->depth > DEEPEST)
        reader->is_lost = true;
    bool folded = reader->folds_case;
    struct part all = read_sequence(reader);
    while (!reader->is_lost && reader->left.length > 0 && reader->left.at[0] == '|') {
        reader->left = span_skip(reader->left, 1);
        struct part branch = read_sequence(reader);
        all.needed = literal_set_either(&all.needed, &branch.needed);
        all.exact = literal_set_either(&all.exact, &branch.exact);
    }
    reader->folds_case = folded;
    reader->depth--;
    return reader->is_lost ? (struct part){0} : all;
}

struct literal_set literals_of(struct span pattern, bool at_text_start) {
    struct reader reader = {.left = pattern, .strips = at_text_start};
    struct literal_set set = read_alternation(&reader).needed;
    if (reader.is_lost || reader.left.length > 0)
        return (struct literal_set){0};
    return set;
}

static char fold(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool stands_at(const struct literal *literal, const char *at) {
    if (!literal->folds_case)
        return memcmp(at, literal->at, literal->length) == 0;
    for (size_t i = 0; i < literal->length; i++)
        if (fold(at[i]) != fold(literal->at[i]))
            return false;
    return true;
}

bool literal_set_is_in(const struct literal_set *set, struct span text) {
    for (uint32_t i = 0; i < set->count; i++)
        for (size_t at = 0; at + set->at[i].length <= text.length; at++)
            if (stands_at(&set->at[i], text.at + at))
                return true;
    return false;
}
