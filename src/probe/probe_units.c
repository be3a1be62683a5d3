/* What systemd knows: failed units, how far the mail services are shut in, and whether hauberk
 * runs and others beside it that ban. Needs systemd to run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/found.h"
#include "probe/words.h"

static const char *const mail_services[] = {
    "postfix.service", "postfix@-.service", "dovecot.service",  "rspamd.service",
    "nginx.service",   "apache2.service",   "unbound.service",  "redis-server.service",
    "mariadb.service", "php8.2-fpm.service", "php8.4-fpm.service",
};

static void say_failed(struct look *look) {
    static const char *const arguments[] = {"systemctl", "list-units", "--failed", "--plain",
                                            "--no-legend", "--no-pager", NULL};
    cleanup_text struct text output = {0};
    struct found failed = {look, "failed", 0};
    struct span line;
    int status = look_run(look, arguments, &output, NULL);
    if (status != 0) {
        look_say_not(look, "failed", "systemctl list-units: %s",
                     status < 0 ? strerror(-status) : "it failed");
        return;
    }
    struct span rest = text_span(&output);
    while (next_line(&rest, &line)) {
        char unit[200];
        struct span name = span_word(&line);
        snprintf(unit, sizeof(unit), "%.*s", SPAN_FORMAT(name));
        found_one(&failed, unit, "failed");
    }
    found_end(&failed);
}

/* `systemd-analyze security`: UNIT EXPOSURE WORD, a line each, of those that are loaded. */
static void say_exposure(struct look *look) {
    static const char *const arguments[] = {"systemd-analyze", "security", "--no-pager", NULL};
    cleanup_text struct text output = {0};
    struct span line;
    int status = look_run(look, arguments, &output, NULL);
    struct span rest = text_span(&output);
    if (status != 0)
        look_say_not(look, "exposure", "systemd-analyze security: %s",
                     status < 0 ? strerror(-status) : "it failed");
    while (status == 0 && next_line(&rest, &line)) {
        struct span unit = span_word(&line);
        struct span exposure = span_word(&line);
        for (size_t i = 0; i < ELEMENTS_OF(mail_services); i++)
            if (span_is(unit, mail_services[i]))
                look_say(look, "exposure", mail_services[i], exposure);
    }
}

static bool is_active(struct look *look, const char *unit) {
    const char *const arguments[] = {"systemctl", "is-active", "--quiet", unit, NULL};
    cleanup_text struct text output = {0};
    return look_run(look, arguments, &output, NULL) == 0;
}

void probe_units(struct look *look) {
    static const char *const banning[] = {"fail2ban.service", "denyhosts.service",
                                          "sshguard.service", "crowdsec.service", "psad.service"};
    struct found beside = {look, "bans_too", 0};
    if (access("/run/systemd/system", F_OK) < 0) {
        look_say_not(look, NULL, "systemd does not run here");
        return;
    }
    say_failed(look);
    say_exposure(look);
    bool has_hauberk = look_has_program("hauberkd");
    bool runs = has_hauberk && is_active(look, "hauberk.service");
    look_say_text(look, "hauberk", "", runs ? "active" : has_hauberk ? "off" : "not installed");
    for (size_t i = 0; i < ELEMENTS_OF(banning); i++)
        if (is_active(look, banning[i]))
            found_one(&beside, banning[i], "active");
    look_say_format(look, "banning", "", "%u", beside.count + (runs ? 1u : 0u));
    found_end(&beside);
}
