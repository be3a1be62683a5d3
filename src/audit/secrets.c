/* Every expression marks what it would hide, then all that is marked becomes one "…" for each run
 * of it: so they neither depend on their order nor see what others have hidden.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/secrets.h"

#include <regex.h>
#include <stdio.h>
#include <strings.h>

#include "probe/probe.h"

#define WORD                                                                                    \
    "(pass|passwd|password|passphrase|passwort|kennwort|pwd|secret|token|nonce|api[_-]?key|"    \
    "access[_-]?key|secret[_-]?key|auth[_-]?key|encryption[_-]?key|credentials?|psk)"
/* A quote that nothing closes goes to the end. */
#define REST "(\\\\x5c.|\"(x5c\"|[^\"])*(\"|$)|'[^']*('|$)|[^ \t\"'])+"

static struct {
    const char *beside; /* what must stand in the text, too */
    const char *expression;
    size_t behind;      /* the length of its end that is not hidden */
    regex_t compiled;
} secrets[] = {
#define SECRET(beside, before, secret, behind)                                                  \
    {beside, "(" before ")" secret behind, sizeof(behind) - 1, {0}},
#include "audit/secrets.def"
#undef SECRET
};
static regex_t names; /* of settings that are secrets as a whole */

static void compile(void) {
    static bool is_done;
    if (is_done)
        return;
    is_done = true;
    must(regcomp(&names, "(^|[._/-])[a-z0-9]*" WORD "$", REG_EXTENDED | REG_ICASE) == 0);
    for (size_t i = 0; i < ELEMENTS_OF(secrets); i++)
        must(regcomp(&secrets[i].compiled, secrets[i].expression, REG_EXTENDED | REG_ICASE) == 0);
}

struct hiding {
    char text[READING_LINE_MOST_BYTES + READING_NAME_MAX + sizeof(" = ")];
    bool is_hidden[READING_LINE_MOST_BYTES + READING_NAME_MAX + sizeof(" = ")];
};

static void mark(struct hiding *hiding, size_t which) {
    regmatch_t found[2];
    size_t length = strlen(hiding->text);
    for (size_t at = 0; at < length;) {
        if (regexec(&secrets[which].compiled, hiding->text + at, 2, found, at ? REG_NOTBOL : 0))
            return;
        size_t begin = at + (size_t)found[1].rm_eo;
        size_t end = at + (size_t)found[0].rm_eo - secrets[which].behind;
        for (size_t i = begin; i < end; i++)
            hiding->is_hidden[i] = true;
        at = end > at ? end : at + 1;
    }
}

static void write_from(const struct hiding *hiding, size_t from, struct text *into) {
    for (size_t i = from; hiding->text[i]; i++)
        if (!hiding->is_hidden[i])
            text_add_char(into, hiding->text[i]);
        else if (i == from || !hiding->is_hidden[i - 1])
            text_add_string(into, "…");
}

static bool says_nothing(struct span value) {
    return value.length == 0 || span_is(value, "yes") || span_is(value, "no") ||
           span_is(value, "none");
}

void secrets_hide(const char *name, struct span value, struct text *into) {
    struct hiding hiding = {0};
    bool is_setting = probe_reads_settings(name);
    compile();
    if (value.length > READING_LINE_MOST_BYTES ||
        (value.length && memchr(value.at, '\0', value.length))) {
        text_add_string(into, "…");
        return;
    }
    if (is_setting && regexec(&names, name, 0, NULL, 0) == 0) {
        text_add(into, says_nothing(value) ? value : SPAN("…"));
        return;
    }
    int head = is_setting ? snprintf(hiding.text, READING_NAME_MAX + 3, "%s = ", name) : 0;
    if (value.length)
        memcpy(hiding.text + head, value.at, value.length);
    /* "NOPASSWD: ALL" in sudoers is a tag of a command. */
    bool has_tags = strncmp(name, "sudo.", 5) == 0;
    for (size_t i = 0; i < ELEMENTS_OF(secrets); i++)
        if (strcasestr(hiding.text, secrets[i].beside) &&
            !(has_tags && strcmp(secrets[i].beside, ":") == 0))
            mark(&hiding, i);
    write_from(&hiding, (size_t)head, into);
}

static void hide_line(struct span line, struct text *into) {
    struct span rest = line;
    struct span first = span_cut(&rest, '\t');
    struct span second = rest.at ? span_cut(&rest, '\t') : (struct span){0};
    char name[READING_NAME_MAX];
    bool is_failure = span_is(first, "!");
    snprintf(name, sizeof(name), "%.*s", (int)(first.length < 90 ? first.length : 90), first.at);
    if (!rest.at || first.length >= READING_NAME_MAX) {
        secrets_hide("", line, into);
        return;
    }
    text_add(into, first);
    text_add_char(into, '\t');
    secrets_hide("", second, into);
    text_add_char(into, '\t');
    secrets_hide(is_failure ? "" : name, rest, into);
}

void secrets_hide_lines(struct span lines, struct text *into) {
    while (lines.length > 0) {
        struct span line = span_cut(&lines, '\n');
        if (line.length)
            hide_line(line, into);
        text_add_char(into, '\n');
    }
}
