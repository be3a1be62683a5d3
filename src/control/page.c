/* The first page: see page.h. Facts come from desk/first.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/page.h"

enum { USERS_SHOWN = 8 };

static void write_list(struct text *text, const js *list) {
    for (size_t i = 0; i < js_count(list); i++)
        text_add_format(text, "%s%s", i ? ", " : "", js_at_string(list, i, ""));
}

static void write_spared(struct text *text, const js *page) {
    const js *you = js_get(page, "you");
    text_add_string(text, "Never banned   this machine, its gateway and resolvers: ");
    write_list(text, js_get(page, "own"));
    text_add_char(text, '\n');
    if (js_count(you)) {
        text_add_string(text, "               you: ");
        write_list(text, you);
        text_add_char(text, '\n');
    } else {
        text_add_string(text, "               you? No administrator is logged in from elsewhere. "
                              "Name your address:\n               [hauberk] admin = ADDRESS in "
                              "/etc/hauberk/hauberk.conf, or `hauberk trust ADDRESS`\n");
    }
    long long known = (long long)js_number(page, "known_addresses", 0);
    text_add_format(text, "Known good     %lld address%s from which somebody has logged in\n",
                    known, known == 1 ? "" : "es");
}

static void write_jails(struct text *text, const js *jails) {
    for (size_t i = 0; i < js_count(jails); i++) {
        const js *jail = js_at(jails, i);
        const char *state = js_string(jail, "state", "");
        const char *why = js_string(jail, "why", NULL);
        bool has_logs = js_count(js_get(jail, "logs")) > 0;
        if (strcmp(state, "off") == 0)
            continue;
        text_add_format(text, "%-15s %-*s", js_string(jail, "jail", ""), has_logs || why ? 9 : 0,
                        state);
        write_list(text, js_get(jail, "logs"));
        text_add_format(text, "%s%s\n", why && has_logs ? " - " : "", why ? why : "");
    }
}

static void write_yesterday(struct text *text, const js *page) {
    const js *users = js_get(page, "own_users");
    long long bans = (long long)js_number(page, "would_have_banned", 0);
    text_add_format(text, "Yesterday      would have given %lld ban%s, %zu of your own users\n",
                    bans, bans == 1 ? "" : "s", js_count(users));
    for (size_t i = 0; i < js_count(users) && i < USERS_SHOWN; i++) {
        const js *user = js_at(users, i);
        text_add_format(
            text, "               %s (jail %s), who logs in from there: trusted for 30 days\n",
            js_string(user, "address", ""), js_string(user, "jail", ""));
    }
    if (js_count(users) > USERS_SHOWN)
        text_add_format(text, "               and %zu more: hauberk trusted\n",
                        js_count(users) - USERS_SHOWN);
}

void page_write(const js *page, struct text *text) {
    const js *bouncers = js_get(page, "bouncers");
    text_add_format(text, "hauberk's first look at this host, %s\n\n", js_string(page, "at", "?"));
    write_spared(text, page);
    text_add_char(text, '\n');
    write_jails(text, js_get(page, "jails"));
    text_add_char(text, '\n');
    write_yesterday(text, page);
    if (js_count(bouncers)) {
        text_add_string(text, "Also running   ");
        write_list(text, bouncers);
        text_add_string(text, "\n");
    }
    text_add_char(text, '\n');
    if (js_flag(page, "observing", false))
        text_add_format(text, "From now on    observing: bans nobody%s\n",
                        js_count(bouncers) ? ", because of the other one.\n"
                                             "               It stays so until observe = no is "
                                             "written under [hauberk]"
                                           : ", as configured");
    else
        text_add_string(text, "From now on    bans are enforced. Something wrong? hauberk why "
                              "ADDRESS, hauberk unban\n");
}
