/* Compiling filters: see rules.h. Patterns are matched as bytes (no UTF mode): log lines may hold
 * anything, and no pattern of a log filter gains by more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/rules.h"

#include <errno.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A line costs at most this many steps; the worst honest one of ours takes some hundred. */
enum { MATCH_LIMIT = 200000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 4096, JIT_STACK = 256 << 10 };
enum { OVECTOR_PAIRS = 64 };

static const struct {
    const char *name;
    enum rule_group group;
} group_names[] = {
    {"ip4", GROUP_IP4},         {"ip6", GROUP_IP6},           {"user", GROUP_USER},
    {"fid", GROUP_ID},          {"mlfid", GROUP_SESSION_LINE}, {"nofail", GROUP_NOFAIL},
    {"mlfforget", GROUP_FORGET}, {"mlfgained", GROUP_GAINED}, {"content", GROUP_CONTENT},
    {"session", GROUP_SESSION}, {"attempts", GROUP_ATTEMPTS}, {"nouser", GROUP_NO_USER},
    {"summary", GROUP_SUMMARY}, {"protocol", GROUP_PROTOCOL}, {"database", GROUP_DATABASE},
    {"method", GROUP_METHOD},   {"secured", GROUP_SECURED},   {"delivered", GROUP_DELIVERED},
    {"again", GROUP_AGAIN},     {"void", GROUP_VOID},
};

/* Loose forms: what they find is parsed by inet_pton afterwards. The look-ahead wants two colons,
 * so that "12:34" of a time is never taken for an address. */
#define FORM_IP4 "(?:::[fF]{4}:)?(?P<ip4>[0-9]{1,3}(?:\\.[0-9]{1,3}){3})"
#define FORM_IP6 "(?P<ip6>(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]+(?:\\.[0-9]{1,3}){0,3})"
static const struct {
    const char *tag, *form;
} tags[] = {
    {"<HOST>", "\\[?(?:" FORM_IP4 "|" FORM_IP6 ")\\]?"},
    {"<ADDR>", "\\[?(?:" FORM_IP4 "|" FORM_IP6 ")\\]?"},
    {"<IP4>", FORM_IP4},
    {"<IP6>", "\\[?" FORM_IP6 "\\]?"},
    {"<F-ID/>", "(?P<fid>\\S+)"},
    {"<F-PORT/>", "(?P<fport>\\w+)"},
    {"<F-IP4/>", FORM_IP4},
    {"<F-IP6/>", "\\[?" FORM_IP6 "\\]?"},
};

struct rule {
    char *expanded;
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    bool has_jit;
    uint32_t numbers[RULE_GROUPS];     /* group number, 0: absent */
    uint8_t present[RULE_GROUPS];      /* those that are not */
    uint32_t present_count;
    uint32_t alt_user_numbers[8];      /* ascending, which is the order of appearance */
    uint32_t alt_user_count;
};

/* "<F-MLFID>" → "(?P<mlfid>", "</F-MLFID>" → ")". Returns the bytes consumed, 0: no such tag. */
static size_t expand_group_tag(struct span at, unsigned *depth, struct text *into) {
    bool closes = span_starts_with(at, SPAN("</F-"));
    if (!closes && !span_starts_with(at, SPAN("<F-")))
        return 0;
    size_t head = closes ? 4 : 3;
    const char *end = memchr(at.at, '>', at.length);
    if (!end || (size_t)(end - at.at) == head)
        return 0;
    struct span name = {at.at + head, (size_t)(end - at.at) - head};
    for (size_t i = 0; i < name.length; i++)
        if (!((name.at[i] >= 'A' && name.at[i] <= 'Z') || name.at[i] == '_' ||
              (name.at[i] >= '0' && name.at[i] <= '9')))
            return 0;
    if (closes) {
        if (*depth == 0)
            return 0; /* never opened: plain text, as fail2ban takes it */
        --*depth;
        text_add_char(into, ')');
    } else {
        ++*depth;
        text_add_string(into, "(?P<");
        if (span_is(name, "ID") || span_is(name, "PORT"))
            text_add_char(into, 'f');
        for (size_t i = 0; i < name.length; i++)
            text_add_char(into, (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 0x20
                                                                               : name.at[i]));
        text_add_char(into, '>');
    }
    return (size_t)(end - at.at) + 1;
}

static size_t expand_plain_tag(struct span at, struct text *into) {
    for (size_t i = 0; i < ELEMENTS_OF(tags); i++)
        if (span_starts_with(at, span_of(tags[i].tag))) {
            text_add_string(into, tags[i].form);
            return strlen(tags[i].tag);
        }
    return 0;
}

static char *expand_tags(struct span pattern) {
    cleanup_text struct text text = {0};
    unsigned depth = 0;
    while (pattern.length > 0) {
        size_t used = pattern.at[0] == '<' ? expand_plain_tag(pattern, &text) : 0;
        if (!used && pattern.at[0] == '<')
            used = expand_group_tag(pattern, &depth, &text);
        if (!used) {
            text_add_char(&text, pattern.at[0]);
            used = 1;
        }
        pattern = span_skip(pattern, used);
    }
    return text_take(&text);
}

/* The name table is sorted by name, so each finds its place by number. */
static void add_alt_user(struct rule *rule, uint32_t number) {
    if (rule->alt_user_count == ELEMENTS_OF(rule->alt_user_numbers))
        return;
    uint32_t place = rule->alt_user_count++;
    for (; place > 0 && rule->alt_user_numbers[place - 1] > number; place--)
        rule->alt_user_numbers[place] = rule->alt_user_numbers[place - 1];
    rule->alt_user_numbers[place] = number;
}

static void find_groups(struct rule *rule) {
    uint32_t count = 0;
    uint32_t entry_size = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(rule->code, PCRE2_INFO_NAMECOUNT, &count);
    (void)pcre2_pattern_info(rule->code, PCRE2_INFO_NAMEENTRYSIZE, &entry_size);
    (void)pcre2_pattern_info(rule->code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; i < count; i++, table += entry_size) {
        uint32_t number = (uint32_t)table[0] << 8 | table[1];
        const char *name = (const char *)table + 2;
        for (size_t g = 0; g < ELEMENTS_OF(group_names); g++)
            if (strcmp(name, group_names[g].name) == 0)
                rule->numbers[group_names[g].group] = number;
        if (strncmp(name, "alt_user", 8) == 0)
            add_alt_user(rule, number);
    }
    for (uint8_t group = 0; group < RULE_GROUPS; group++)
        if (rule->numbers[group])
            rule->present[rule->present_count++] = group;
}

static int compile(struct rule *rule, const struct config_pattern *pattern,
                   struct why *reterr_why) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    uint32_t groups = 0;
    rule->code = pcre2_compile((PCRE2_SPTR)rule->expanded, PCRE2_ZERO_TERMINATED, 0, &error,
                               &offset, NULL);
    if (!rule->code) {
        PCRE2_UCHAR text[160];
        pcre2_get_error_message(error, text, sizeof(text));
        return why_set(reterr_why, -EINVAL, pattern->origin.file, pattern->origin.line,
                       "the regex does not compile: %s, near '%.40s'", (const char *)text,
                       rule->expanded + (offset < strlen(rule->expanded) ? offset : 0));
    }
    (void)pcre2_pattern_info(rule->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups >= OVECTOR_PAIRS)
        return why_set(reterr_why, -E2BIG, pattern->origin.file, pattern->origin.line,
                       "the regex has %u groups; at most %d are possible", groups,
                       OVECTOR_PAIRS - 1);
    return 0;
}

static int prepare(struct rule *rule) {
    rule->data = pcre2_match_data_create(OVECTOR_PAIRS, NULL);
    rule->context = pcre2_match_context_create(NULL);
    if (!rule->data || !rule->context)
        return -ENOMEM;
    pcre2_set_match_limit(rule->context, MATCH_LIMIT);
    pcre2_set_depth_limit(rule->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(rule->context, HEAP_LIMIT_KIB);
    rule->has_jit = pcre2_jit_compile(rule->code, PCRE2_JIT_COMPLETE) == 0;
    if (rule->has_jit) {
        rule->stack = pcre2_jit_stack_create(16 << 10, JIT_STACK, NULL);
        if (!rule->stack)
            return -ENOMEM;
        pcre2_jit_stack_assign(rule->context, NULL, rule->stack);
    }
    return 0;
}

struct rule *rule_new(const struct config_pattern *pattern, enum rule_kind kind,
                      struct why *reterr_why) {
    struct rule *rule = calloc(1, sizeof(*rule));
    if (!rule || !(rule->expanded = expand_tags(span_of(pattern->text)))) {
        why_set(reterr_why, -ENOMEM, pattern->origin.file, pattern->origin.line, "out of memory");
        return rule_free(rule);
    }
    if (compile(rule, pattern, reterr_why) < 0)
        return rule_free(rule);
    if (prepare(rule) < 0) {
        why_set(reterr_why, -ENOMEM, pattern->origin.file, pattern->origin.line, "out of memory");
        return rule_free(rule);
    }
    find_groups(rule);
    if (kind == RULE_PREFIX && !rule->numbers[GROUP_CONTENT]) {
        why_set(reterr_why, -EINVAL, pattern->origin.file, pattern->origin.line,
                "prefregex has no <F-CONTENT>…</F-CONTENT>: what should the failregex look at?");
        return rule_free(rule);
    }
    return rule;
}

struct rule *rule_free(struct rule *rule) {
    if (!rule)
        return NULL;
    pcre2_jit_stack_free(rule->stack);
    pcre2_match_context_free(rule->context);
    pcre2_match_data_free(rule->data);
    pcre2_code_free(rule->code);
    free(rule->expanded);
    free(rule);
    return NULL;
}

static struct span group_span(const PCRE2_SIZE *vector, int count, uint32_t number,
                              struct span text) {
    if (number == 0 || (int)number >= count || vector[2 * number] == PCRE2_UNSET)
        return (struct span){NULL, 0};
    return (struct span){text.at + vector[2 * number],
                         vector[2 * number + 1] - vector[2 * number]};
}

int rule_match(const struct rule *rule, struct span text, struct rule_match *ret_match) {
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.at ? text.at : "");
    int count = rule->has_jit ? pcre2_jit_match(rule->code, subject, text.length, 0, 0, rule->data,
                                                rule->context)
                              : pcre2_match(rule->code, subject, text.length, 0, 0, rule->data,
                                            rule->context);
    if (count == PCRE2_ERROR_NOMATCH)
        return 0;
    if (count < 0)
        return -E2BIG;
    if (!ret_match)
        return 1;
    const PCRE2_SIZE *vector = pcre2_get_ovector_pointer(rule->data);
    *ret_match = (struct rule_match){0};
    for (uint32_t i = 0; i < rule->present_count; i++) {
        uint8_t group = rule->present[i];
        ret_match->groups[group] = group_span(vector, count, rule->numbers[group], text);
    }
    for (uint32_t i = 0; i < rule->alt_user_count; i++) {
        struct span *user = &ret_match->groups[GROUP_USER];
        if (user->length == 0)
            *user = group_span(vector, count, rule->alt_user_numbers[i], text);
    }
    return 1;
}

bool rule_has_group(const struct rule *rule, enum rule_group group) {
    return rule->numbers[group] != 0;
}

bool rule_has_jit(const struct rule *rule) {
    return rule->has_jit;
}

struct span rule_expanded(const struct rule *rule) {
    return span_of(rule->expanded);
}

static int compile_all(const struct config_patterns *patterns, enum rule_kind kind,
                       struct rule ***ret_rules, uint32_t *ret_count, struct why *reterr_why) {
    *ret_rules = calloc(patterns->count ? patterns->count : 1, sizeof(struct rule *));
    if (!*ret_rules)
        return why_set(reterr_why, -ENOMEM, NULL, 0, "out of memory");
    for (uint32_t i = 0; i < patterns->count; i++) {
        (*ret_rules)[i] = rule_new(&patterns->at[i], kind, reterr_why);
        if (!(*ret_rules)[i])
            return -EINVAL;
        *ret_count = i + 1;
    }
    return 0;
}

uint32_t filter_pattern_count(const struct filter_rules *rules) {
    return rules->fail_count + rules->success_count;
}

const struct rule *filter_rule(const struct filter_rules *rules, uint32_t pattern) {
    return pattern < rules->fail_count ? rules->fail[pattern]
                                       : rules->success[pattern - rules->fail_count];
}

/* Every pattern's needed set, and all joined; or else the prefix's own. What a pattern behind a
 * prefix sees may begin with the line too (^<F-CONTENT>), so all of them may touch where the date
 * was. */
static void find_literals(struct filter_rules *rules) {
    uint32_t count = filter_pattern_count(rules);
    struct literal_set all = {0};
    rules->literals_of_each = calloc(count + 1, sizeof(*rules->literals_of_each));
    must(rules->literals_of_each);
    for (uint32_t i = 0; i < count; i++) {
        struct literal_set *one = &rules->literals_of_each[i];
        *one = literals_of(rule_expanded(filter_rule(rules, i)), true);
        all = i == 0 ? *one : literal_set_either(&all, one);
        if (all.count == 0)
            break;
    }
    if (all.count == 0) {
        free(take_pointer(rules->literals_of_each));
        if (rules->prefix)
            all = literals_of(rule_expanded(rules->prefix), true);
    }
    rules->literals = all;
}

struct filter_rules *filter_rules_new(const struct config_filter *filter, struct why *reterr_why) {
    struct filter_rules *rules = calloc(1, sizeof(*rules));
    if (!rules) {
        why_set(reterr_why, -ENOMEM, NULL, 0, "out of memory");
        return NULL;
    }
    rules->config = filter;
    if (filter->prefix.text &&
        !(rules->prefix = rule_new(&filter->prefix, RULE_PREFIX, reterr_why)))
        return filter_rules_free(rules);
    if (compile_all(&filter->fail, RULE_FAIL, &rules->fail, &rules->fail_count, reterr_why) < 0 ||
        compile_all(&filter->success, RULE_SUCCESS, &rules->success, &rules->success_count,
                    reterr_why) < 0 ||
        compile_all(&filter->ignore, RULE_IGNORE, &rules->ignore, &rules->ignore_count,
                    reterr_why) < 0)
        return filter_rules_free(rules);
    find_literals(rules);
    return rules;
}

static void free_all(struct rule **rules, uint32_t count) {
    for (uint32_t i = 0; rules && i < count; i++)
        rule_free(rules[i]);
    free(rules);
}

struct filter_rules *filter_rules_free(struct filter_rules *rules) {
    if (!rules)
        return NULL;
    rule_free(rules->prefix);
    free_all(rules->fail, rules->fail_count);
    free_all(rules->success, rules->success_count);
    free_all(rules->ignore, rules->ignore_count);
    free(rules->literals_of_each);
    free(rules);
    return NULL;
}
