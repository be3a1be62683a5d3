/* Of Rspamd's language as much is read as its file of keys needs. What lies in tables, databases
 * or the net is not looked for, and other_keys says so; so it does of other programs that sign.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/mail_keys.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "probe/words.h"

static void add_key(struct mail_names *names, const char *domain, const char *selector,
                    const char *path) {
    struct mail_key key = {0};
    if (names->key_count == MAIL_KEYS_MOST) {
        names->keys_left_out++;
        return;
    }
    snprintf(key.domain, sizeof(key.domain), "%s", domain);
    snprintf(key.selector, sizeof(key.selector), "%s", selector);
    snprintf(key.path, sizeof(key.path), "%s", path);
    names->keys[names->key_count++] = key;
}

/* UCL, as much of it as dkim_signing.conf needs: words, quoted or not, signs, comments. */
static struct span next_token(struct span *text) {
    for (;;) {
        *text = span_trim(*text);
        if (text->length == 0)
            return (struct span){0};
        if (text->at[0] == '#') {
            (void)span_cut(text, '\n');
        } else if (span_starts_with(*text, SPAN("/*"))) {
            const char *end = memmem(text->at, text->length, "*/", 2);
            *text = end ? span_skip(*text, (size_t)(end - text->at) + 2) : (struct span){0};
        } else {
            break;
        }
    }
    size_t length = 1;
    if (strchr("{}[]=:;,", text->at[0])) {
        struct span sign = {text->at, 1};
        *text = span_skip(*text, 1);
        return sign;
    }
    if (text->at[0] == '"') {
        while (length < text->length && text->at[length] != '"')
            length += text->at[length] == '\\' && length + 1 < text->length ? 2 : 1;
        struct span inside = {text->at + 1, length - 1};
        *text = span_skip(*text, length + 1);
        return inside;
    }
    while (length < text->length && !strchr("{}[]=:;,\" \t\r\n", text->at[length]))
        length++;
    struct span word = {text->at, length};
    *text = span_skip(*text, length);
    return word;
}

struct ucl_level {
    char key[NAME_MAX_BYTES], selector[64], path[300];
};

/* Keys that lie in tables, databases or the net are not looked for. */
static bool leads_elsewhere(struct span key, struct span value) {
    static const char *const settings[] = {"path_map",        "selector_map", "signing_table",
                                           "key_table",       "use_redis",    "use_vault",
                                           "use_http_headers"};
    for (size_t i = 0; i < ELEMENTS_OF(settings); i++)
        if (span_is(key, settings[i]))
            return !span_is(value, "false") && !span_is(value, "no");
    return false;
}

static void set_of_level(struct ucl_level *level, struct span key, struct span value) {
    if (span_is(key, "selector"))
        snprintf(level->selector, sizeof(level->selector), "%.*s", SPAN_FORMAT(value));
    if (span_is(key, "path"))
        snprintf(level->path, sizeof(level->path), "%.*s", SPAN_FORMAT(value));
}

void mail_keys_of_rspamd(struct span text, struct mail_names *names) {
    enum { LEVELS = 8 };
    struct ucl_level levels[LEVELS] = {{.selector = "dkim"}};
    size_t depth = 0;
    size_t first = names->key_count;
    struct span key = {0};
    bool has_key = false;
    for (struct span token; (token = next_token(&text)).at;) {
        bool is_sign = token.length == 1 && strchr("{}[]=:;,", token.at[0]);
        char sign = is_sign ? token.at[0] : '\0';
        if (sign == '{' || sign == '[') {
            if (++depth == LEVELS)
                return;
            levels[depth] = (struct ucl_level){0};
            snprintf(levels[depth].key, NAME_MAX_BYTES, "%.*s", has_key ? (int)key.length : 0,
                     has_key ? key.at : "");
            has_key = false;
        } else if (sign == '}' || sign == ']') {
            const struct ucl_level *level = &levels[depth];
            bool is_of_domain = depth >= 2 && strcmp(levels[1].key, "domain") == 0;
            if (is_of_domain && (level->selector[0] || level->path[0]))
                add_key(names, levels[2].key, level->selector, level->path);
            if (depth == 0)
                return;
            depth--;
            has_key = false;
        } else if (sign == ';' || sign == ',') {
            has_key = false;
        } else if (!is_sign && has_key) {
            set_of_level(&levels[depth], key, token);
            if (leads_elsewhere(key, token))
                snprintf(names->other_keys, sizeof(names->other_keys),
                         "Rspamd's %.*s is not looked into", SPAN_FORMAT(key));
            has_key = false;
        } else if (!is_sign) {
            key = token;
            has_key = true;
        }
    }
    for (size_t i = first; i < names->key_count; i++) {
        struct mail_key *one = &names->keys[i];
        if (!one->selector[0])
            snprintf(one->selector, sizeof(one->selector), "%s", levels[0].selector);
        if (!one->path[0])
            snprintf(one->path, sizeof(one->path), "%s", levels[0].path);
    }
    if (levels[0].path[0])
        add_key(names, "", levels[0].selector, levels[0].path);
}

void mail_keys_of_opendkim(struct span table, struct mail_names *names) {
    struct span line;
    while (next_line(&table, &line)) {
        (void)span_word(&line); /* its name in the SigningTable */
        struct span path = span_word(&line);
        struct span domain = span_cut(&path, ':');
        struct span selector = path.at ? span_cut(&path, ':') : path;
        char texts[3][300];
        if (!path.at || path.length == 0)
            continue;
        if (path.at[0] != '/' || span_is(domain, "%")) {
            snprintf(names->other_keys, sizeof(names->other_keys),
                     "OpenDKIM's table has keys that are not looked for");
            continue;
        }
        snprintf(texts[0], sizeof(texts[0]), "%.*s", SPAN_FORMAT(domain));
        snprintf(texts[1], sizeof(texts[1]), "%.*s", SPAN_FORMAT(selector));
        snprintf(texts[2], sizeof(texts[2]), "%.*s", SPAN_FORMAT(path));
        add_key(names, texts[0], texts[1], texts[2]);
    }
}

/* $domain and $selector in a path. */
static void fill_in(const char *template, const char *domain, const char *selector,
                    char into[300]) {
    size_t length = 0;
    into[0] = '\0';
    while (*template && length + 1 < 300) {
        bool is_domain = strncmp(template, "$domain", 7) == 0;
        bool is_selector = strncmp(template, "$selector", 9) == 0;
        if (is_domain || is_selector) {
            int added = snprintf(into + length, 300 - length, "%s", is_domain ? domain : selector);
            length += (size_t)added;
            template += is_domain ? 7 : 9;
        } else {
            into[length++] = *template ++;
            into[length] = '\0';
        }
    }
}

/* A key for every domain becomes one for each domain whose file is there, or may not be looked at.
 */
static void spread_keys(struct mail_names *names) {
    size_t count = names->key_count;
    for (size_t i = 0; i < count; i++) {
        struct mail_key template = names->keys[i];
        char path[300];
        if (template.domain[0]) {
            fill_in(template.path, template.domain, template.selector, names->keys[i].path);
            continue;
        }
        for (size_t j = 0; j < names->domain_count; j++) {
            fill_in(template.path, names->domains[j].name, template.selector, path);
            if (access(path, F_OK) == 0)
                add_key(names, names->domains[j].name, template.selector, path);
            else if (errno == EACCES)
                snprintf(names->other_keys, sizeof(names->other_keys),
                         "%.200s may not be looked for", template.path);
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < names->key_count; i++)
        if (names->keys[i].domain[0])
            names->keys[kept++] = names->keys[i];
    names->key_count = kept;
}

void mail_keys_find(struct mail_names *names) {
    static const char *const rspamd[] = {"/etc/rspamd/local.d/dkim_signing.conf",
                                         "/etc/rspamd/override.d/dkim_signing.conf"};
    cleanup_text struct text opendkim = {0};
    char value[300];
    for (size_t i = 0; i < ELEMENTS_OF(rspamd); i++) {
        cleanup_text struct text text = {0};
        if (look_file(rspamd[i], &text) >= 0)
            mail_keys_of_rspamd(text_span(&text), names);
    }
    if (look_file("/etc/opendkim.conf", &opendkim) >= 0) {
        struct span rest = text_span(&opendkim);
        struct span line;
        char domain[300] = "";
        char selector[300] = "";
        char path[300] = "";
        while (next_line(&rest, &line)) {
            struct span key = cut_key(&line);
            snprintf(value, sizeof(value), "%.*s", SPAN_FORMAT(line));
            cleanup_text struct text table = {0};
            char *file = strrchr(value, ':') ? strrchr(value, ':') + 1 : value;
            bool is_table = key.length == 8 && strncasecmp(key.at, "KeyTable", 8) == 0;
            if (is_table && look_file(file, &table) >= 0)
                mail_keys_of_opendkim(text_span(&table), names);
            else if (is_table)
                snprintf(names->other_keys, sizeof(names->other_keys),
                         "OpenDKIM's %.200s is not looked into", value);
            if (key.length == 6 && strncasecmp(key.at, "Domain", 6) == 0)
                snprintf(domain, sizeof(domain), "%s", value);
            if (key.length == 8 && strncasecmp(key.at, "Selector", 8) == 0)
                snprintf(selector, sizeof(selector), "%s", value);
            if (key.length == 7 && strncasecmp(key.at, "KeyFile", 7) == 0)
                snprintf(path, sizeof(path), "%s", value);
        }
        for (char *list = domain; path[0] && *list;) {
            size_t length = strcspn(list, ", ");
            char one[300];
            snprintf(one, sizeof(one), "%.*s", (int)length, list);
            if (one[0] && one[0] != '/')
                add_key(names, one, selector, path);
            list += length + (list[length] != '\0');
        }
    }
    static const char *const others[] = {"amavisd", "amavisd-new", "exim4", "dkimpy-milter"};
    for (size_t i = 0; i < ELEMENTS_OF(others); i++)
        if (look_has_program(others[i]))
            snprintf(names->other_keys, sizeof(names->other_keys),
                     "%s may sign, and its keys are not looked for", others[i]);
    spread_keys(names);
}
