/* A person's will: bans, unbans and pardons. See decider.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "bans/private.h"

#include <errno.h>

#include "base/clock.h"

int decider_ban_by_hand(struct decider *decider, const struct prefix *prefix, int64_t seconds,
                        struct span why, bool cut, int64_t now_us, struct why *reterr_why) {
    char text[PREFIX_TEXT_MAX];
    bool is_v4 = prefix_is_v4(prefix);
    prefix_format(prefix, text);
    if (decider_is_exempt(decider, JAIL_BY_HAND, prefix))
        return why_set(
            reterr_why, -EPERM, NULL, 0,
            "%s is or holds an address that is never banned (this machine's own, its "
            "gateway, its resolver, or one of `admin` or `ignoreip`); see `hauberk config`",
            text);
    if (prefix->length < (is_v4 ? 8 : 19))
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "%s is too wide: at most a /%d can be banned at once", text,
                       is_v4 ? 8 : 19);
    if (!is_v4 && prefix->length > 64 && prefix->length < 128)
        return why_set(reterr_why, -EINVAL, NULL, 0,
                       "%s: of IPv6, single addresses and networks up to /64 can be banned", text);
    if (!projection_takes_net(decider->projection, SCOPE_ALL, prefix))
        return why_set(reterr_why, -ENOSPC, NULL, 0,
                       "%s cannot be banned: %d networks that are neither single addresses nor "
                       "IPv6 /64s are banned already, and no more can be; lift some of them, or "
                       "ban one network around several",
                       text, NETS_MAX);
    struct ban ban = {.key = ledger_key_of(JAIL_BY_HAND, prefix), .scope = SCOPE_ALL,
                      .since_us = now_us,
                      .until_us = seconds < 0 ? UNTIL_PERMANENT : now_us + seconds * SECOND_US};
    safe_copy(ban.reason, sizeof(ban.reason), why.length ? why : SPAN("banned by hand"));
    bool cuts = cut || !known_has_prefix(decider->known, prefix, now_us, NULL);
    struct ban *made = bans_add(decider->bans, &ban, cuts);
    if (!made)
        return why_set(reterr_why, -ENOSPC, NULL, 0,
                       "the book of bans is full (%u), and all of them were made by hand or for "
                       "ever; raise bans-most in hauberk.conf",
                       decider->config->bans_most);
    if (decider->calls.on_ban)
        decider->calls.on_ban(decider->context, &(struct decision){.ban = made,
                                                                   .first_us = now_us,
                                                                   .newest_us = now_us,
                                                                   .cuts = cuts});
    return 0;
}

void decider_pardon(struct decider *decider, const struct prefix *prefix, int jail,
                    int64_t at_us) {
    pardons_add(decider->pardons, prefix, jail, at_us);
}

uint32_t hand_lift(struct decider *decider, const struct prefix *prefix, int jail, int64_t at_us,
                   int64_t now_us) {
    uint32_t place = 0;
    uint32_t lifted = 0;
    for (struct ban *ban; (ban = bans_next(decider->bans, &place));) {
        if (ban_is_over(ban, now_us) || ban->since_us > at_us ||
            (jail >= 0 && ban->key.jail != jail) || !prefix_overlaps(&ban->key.id, prefix))
            continue;
        ledger_forget(decider->ledger, ban->key.jail, &ban->key.id);
        bans_end(decider->bans, ban, now_us);
        lifted++;
    }
    return lifted;
}

uint32_t decider_unban(struct decider *decider, const struct prefix *prefix, int jail,
                       int64_t at_us, int64_t now_us) {
    uint32_t lifted = hand_lift(decider, prefix, jail, at_us, now_us);
    ledger_forget_prefix(decider->ledger, prefix, jail);
    decider_pardon(decider, prefix, jail, at_us);
    return lifted;
}
