/* What the files say of web server, PHP and webmail that a request cannot show.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <strings.h>

#include "probe/nginx.h"
#include "probe/probe.h"
#include "probe/words.h"

/* ---- nginx ---- */

struct places {
    struct text listing, unlogged, wrapper;
};

static void add_place(struct text *places, const struct nginx_statement *statement) {
    text_add_format(places, "%s%s:%d", places->length ? " " : "", statement->file,
                    statement->line);
}

/* Icons are often not logged; a whole server that is not is another matter. */
static void look_at_statement(void *context, const struct nginx_statement *statement) {
    struct places *places = context;
    bool is_whole = span_is(statement->block, "server") || span_is(statement->block, "http");
    if (span_is(statement->name, "autoindex") && span_is(statement->value, "on"))
        add_place(&places->listing, statement);
    if (span_is(statement->name, "access_log") && span_is(statement->value, "off") && is_whole)
        add_place(&places->unlogged, statement);
    if (span_starts_with(statement->name, SPAN("fastcgi_param")) &&
        (memmem(statement->value.at, statement->value.length, "X_SCRIPT_FILENAME", 17) ||
         memmem(statement->value.at, statement->value.length, "cgi-bin.php", 11)))
        add_place(&places->wrapper, statement);
}

static void say_places(struct look *look, const char *key, struct text *places) {
    look_say(look, key, "", places->length ? text_span(places) : SPAN("none"));
    text_free(places);
}

static void look_at_nginx(struct look *look) {
    struct places places = {0};
    bool is_there = nginx_read(look_at_statement, &places);
    if (is_there) {
        say_places(look, "nginx.autoindex", &places.listing);
        say_places(look, "nginx.unlogged", &places.unlogged);
        say_places(look, "nginx.cgi_wrapper", &places.wrapper);
    } else if (access("/etc/nginx/nginx.conf", F_OK) == 0) {
        look_say_not(look, "nginx.autoindex", "/etc/nginx/nginx.conf cannot be read");
    }
}

/* ---- PHP ---- */

/* With what PHP itself takes where nothing is said. */
static const struct {
    const char *name, *value;
} php_settings[] = {
    {"expose_php", "on"},           {"allow_url_fopen", "on"},
    {"allow_url_include", "off"},   {"display_errors", "on"},
    {"open_basedir", ""},           {"disable_functions", ""},
    {"session.cookie_secure", ""},  {"session.cookie_httponly", ""},
    {"session.cookie_samesite", ""}, {"session.use_strict_mode", ""},
};

static struct span without_quotes(struct span value) {
    value = span_trim(value);
    return value.length >= 2 && value.at[0] == '"' && value.at[value.length - 1] == '"'
               ? (struct span){value.at + 1, value.length - 2}
               : value;
}

/* "name = value ; comment": the last one in the text. */
static bool find_setting(struct span text, const char *name, struct span *ret_value) {
    struct span line;
    bool is_found = false;
    while (next_line(&text, &line)) {
        struct span value = line;
        struct span key = span_trim(span_cut(&value, '='));
        if (!value.at || !span_is(key, name))
            continue;
        value = span_trim(value);
        bool is_quoted = value.length > 0 && value.at[0] == '"';
        *ret_value = without_quotes(is_quoted ? value : span_cut(&value, ';'));
        is_found = true;
    }
    return is_found;
}

static const char *plain(struct span value, char into[400]) {
    static const char *const on[] = {"on", "1", "yes", "true", "stdout"};
    static const char *const off[] = {"off", "0", "no", "false"};
    snprintf(into, 400, "%.*s", SPAN_FORMAT(value));
    for (size_t i = 0; i < ELEMENTS_OF(on); i++)
        if (strcasecmp(into, on[i]) == 0)
            return "on";
    for (size_t i = 0; i < ELEMENTS_OF(off); i++)
        if (strcasecmp(into, off[i]) == 0)
            return "off";
    return into[0] ? into : "none";
}

static void say_php(struct look *look, const char *subject, struct span pool, struct span ini) {
    static const char *const forms[] = {"php_admin_value[%s]", "php_admin_flag[%s]",
                                        "php_value[%s]", "php_flag[%s]"};
    for (size_t i = 0; i < ELEMENTS_OF(php_settings); i++) {
        char key[READING_NAME_MAX];
        char buffer[400];
        struct span value = span_of(php_settings[i].value);
        (void)find_setting(ini, php_settings[i].name, &value);
        for (size_t j = ELEMENTS_OF(forms); j-- > 0;) {
            char name[100];
            snprintf(name, sizeof(name), forms[j], php_settings[i].name);
            (void)find_setting(pool, name, &value);
        }
        snprintf(key, sizeof(key), "php.%s", php_settings[i].name);
        look_say_text(look, key, subject, plain(value, buffer));
    }
}

static void say_pool(struct look *look, const char *subject, struct span pool) {
    static const char *const names[] = {"user", "listen", "listen.mode", "listen.owner"};
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        char key[READING_NAME_MAX];
        struct span value = SPAN("none");
        (void)find_setting(pool, names[i], &value);
        snprintf(key, sizeof(key), "pool.%s", names[i]);
        look_say(look, key, subject, value);
    }
}

static void add_files(const char *pattern, struct text *text) {
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (look_file(found.gl_pathv[i], text) >= 0)
            text_add_char(text, '\n');
    }
    globfree(&found);
}

/* PHP inside Apache has no pool: "mods-enabled/php8.2.load" reads /etc/php/8.2/apache2. */
static void look_at_php_in_apache(struct look *look) {
    glob_t modules;
    if (glob("/etc/apache2/mods-enabled/php*.load", 0, NULL, &modules) != 0)
        return;
    for (size_t i = 0; i < modules.gl_pathc; i++) {
        const char *version = strrchr(modules.gl_pathv[i], '/') + strlen("/php");
        char path[300];
        char pattern[400];
        cleanup_text struct text ini = {0};
        snprintf(path, sizeof(path), "/etc/php/%.*s/apache2/php.ini",
                 (int)strcspn(version, "l") - 1, version);
        add_files(path, &ini);
        if (ini.length == 0)
            continue;
        snprintf(pattern, sizeof(pattern), "%.*s/conf.d/*.ini",
                 (int)(strrchr(path, '/') - path), path);
        add_files(pattern, &ini);
        say_php(look, path, (struct span){0}, text_span(&ini));
    }
    globfree(&modules);
}

static void look_at_php(struct look *look) {
    glob_t pools;
    if (glob("/etc/php/*/fpm/pool.d/*.conf", 0, NULL, &pools) != 0)
        return;
    for (size_t i = 0; i < pools.gl_pathc; i++) {
        const char *path = pools.gl_pathv[i];
        const char *end = strstr(path, "/pool.d/");
        char pattern[500];
        cleanup_text struct text pool = {0};
        cleanup_text struct text ini = {0};
        int error = look_file(path, &pool);
        if (error < 0) {
            look_say_not(look, "php.expose_php", "%s: %s", path, strerror(-error));
            continue;
        }
        snprintf(pattern, sizeof(pattern), "%.*s/php.ini", (int)(end - path), path);
        add_files(pattern, &ini);
        snprintf(pattern, sizeof(pattern), "%.*s/conf.d/*.ini", (int)(end - path), path);
        add_files(pattern, &ini);
        say_php(look, path, text_span(&pool), text_span(&ini));
        say_pool(look, path, text_span(&pool));
    }
    globfree(&pools);
}

/* ---- Roundcube ---- */

#define ROUNDCUBE "/etc/roundcube/"
/* What Roundcube's sample has for a key; as good as none. */
#define SAMPLE_KEY "rcmail-!24ByteDESkey*Str"

/* $config['name'] = VALUE; */
static bool find_config(struct span text, const char *name, struct span *ret_value) {
    char head[100];
    struct span line;
    bool is_found = false;
    snprintf(head, sizeof(head), "$config['%s']", name);
    while (next_line(&text, &line)) {
        if (!span_starts_with(line, span_of(head)))
            continue;
        struct span value = line;
        (void)span_cut(&value, '=');
        if (!value.at)
            continue;
        value = span_trim(value);
        const char *semicolon = memrchr(value.at, ';', value.length);
        if (semicolon)
            value.length = (size_t)(semicolon - value.at);
        value = span_trim(value);
        if (value.length >= 2 && (value.at[0] == '\'' || value.at[0] == '"'))
            value = (struct span){value.at + 1, value.length - 2};
        *ret_value = value;
        is_found = true;
    }
    return is_found;
}

static const char *worth_of_key(struct span key) {
    return span_is(key, SAMPLE_KEY) ? "default" : key.length < 24 ? "short" : "own";
}

static void look_at_roundcube(struct look *look) {
    static const char *const names[] = {
        "enable_installer", "imap_host", "smtp_host", "login_rate_limit", "session_lifetime",
        "ip_check", "useragent", "log_logins", "force_https", "use_https", "x_frame_options",
        "cipher_method", "log_driver", "debug_level",
    };
    cleanup_text struct text defaults = {0};
    cleanup_text struct text own = {0};
    struct span key = SPAN("");
    int error = look_file(ROUNDCUBE "config.inc.php", &own);
    if (error == -ENOENT)
        return;
    if (error < 0) {
        look_say_not(look, "roundcube.des_key", ROUNDCUBE "config.inc.php: %s", strerror(-error));
        return;
    }
    if (look_file(ROUNDCUBE "defaults.inc.php", &defaults) < 0)
        text_clear(&defaults); /* what is not set is "none" then */
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        char name[READING_NAME_MAX];
        struct span value = SPAN("none");
        if (!find_config(text_span(&own), names[i], &value))
            (void)find_config(text_span(&defaults), names[i], &value);
        snprintf(name, sizeof(name), "roundcube.%s", names[i]);
        look_say(look, name, "", value.length ? value : SPAN("none"));
    }
    (void)find_config(text_span(&defaults), "des_key", &key);
    (void)find_config(text_span(&own), "des_key", &key);
    look_say_text(look, "roundcube.des_key", "", worth_of_key(key));
}

void probe_web(struct look *look) {
    look_at_nginx(look);
    look_at_php(look);
    look_at_php_in_apache(look);
    look_at_roundcube(look);
}
