/* Frames: layout and checks, all made from messages.def. A receiver trusts nothing in a frame
 * before frame_check() has looked at it, also from a peer of ours: the sensor reads what attackers
 * wrote, and may one day say what they want it to say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/wire.h"

#include <errno.h>

const char *const role_names[ROLES] = {"hauberkd", "sensor", "decider", "enforcer", "checker"};

const char *const bouncer_names[BOUNCERS] = {"fail2ban", "CrowdSec", "sshguard", "DenyHosts"};

const char *const protocol_words[PROTOCOLS] = {
    [PROTOCOL_UNTOLD] = "",
    [PROTOCOL_IMAP] = "imap",
    [PROTOCOL_POP3] = "pop3",
    [PROTOCOL_SUBMISSION] = "submission",
    [PROTOCOL_SIEVE] = "managesieve",
};

static bool printable(const char *at, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (at[i] < 0x20 || at[i] > 0x7e)
            return false;
    return true;
}

static bool valid_prefix(const struct prefix *prefix) {
    if (prefix->length > (prefix_is_v4(prefix) ? 32 : 128))
        return false;
    struct prefix cut = prefix_cut(&prefix->address, prefix->length);
    return prefix_equals(prefix, &cut);
}

static bool valid_ranges(const struct wire_range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (ranges[i].first > ranges[i].last || (i > 0 && ranges[i].first <= ranges[i - 1].last))
            return false;
    return true;
}

/* Comparisons with the ends of a type are always true; they are written for the table's sake. */
#pragma GCC diagnostic ignored "-Wtype-limits"

#define RECORD(name)                                                 \
    static bool valid_##name(const struct wire_##name *record may_be_unused) {
#define END(name) \
    return true;  \
    }
#define U8(field, least, most) NUMBER(field, least, most)
#define U16(field, least, most) NUMBER(field, least, most)
#define U32(field, least, most) NUMBER(field, least, most)
#define U64(field, least, most) NUMBER(field, least, most)
#define I64(field, least, most) NUMBER(field, least, most)
#define NUMBER(field, least, most)                               \
    if (record->field < (least) || record->field > (most))       \
        return false;
#define FLAG(field)        \
    if (record->field > 1) \
        return false;
#define PREFIX(field)                     \
    if (!valid_prefix(&record->field))    \
        return false;
#define ADDRESS(field)
#define DIGEST(field)
#define BYTES(field, most)             \
    if (record->field.length > (most)) \
        return false;
#define NAME(field, most)                                                                  \
    if (record->field.length > (most) || !printable(record->field.at, record->field.length)) \
        return false;
#define RANGES(field, most)                                                              \
    if (record->range_count > (most) || !valid_ranges(record->field, record->range_count)) \
        return false;
#define MESSAGE(...)
#include "wire/messages.def"
#undef RECORD
#undef END
#undef U8
#undef U16
#undef U32
#undef U64
#undef I64
#undef NUMBER
#undef FLAG
#undef PREFIX
#undef ADDRESS
#undef DIGEST
#undef BYTES
#undef NAME
#undef RANGES
#undef MESSAGE

typedef bool valid_fn(const void *record);

#define RECORD(...)
#define END(name)                                  \
    static bool check_##name(const void *record) { \
        return valid_##name(record);               \
    }
#define U8(...)
#define U16(...)
#define U32(...)
#define U64(...)
#define I64(...)
#define FLAG(...)
#define PREFIX(...)
#define ADDRESS(...)
#define DIGEST(...)
#define BYTES(...)
#define NAME(...)
#define RANGES(...)
#define MESSAGE(...)
#include "wire/messages.def"
#undef END
#undef MESSAGE

static const struct kind {
    const char *name;
    enum role from, to;
    uint32_t head_size, item_size, most;
    valid_fn *head_is_valid, *item_is_valid;
    const char *says;
} kinds[MESSAGES] = {
#define END(...)
#define MESSAGE(NAME_, from_, to_, head_, item_, most_, says_)                              \
    [SAY_##NAME_] = {#NAME_, from_, to_, sizeof(struct wire_##head_), sizeof(struct wire_##item_), \
                     most_, check_##head_, check_##item_, says_},
#include "wire/messages.def"
};

#define END(...)
#undef MESSAGE
#define MESSAGE(NAME_, from_, to_, head_, item_, most_, says_)                               \
    _Static_assert(sizeof(struct frame_head) + sizeof(struct wire_##head_) +                 \
                           (size_t)(most_) * sizeof(struct wire_##item_) <=                  \
                       FRAME_MAX,                                                            \
                   #NAME_ " fits a frame");
#undef END
#define END(...)
#include "wire/messages.def"

const char *message_name(enum message_type type) {
    return type < MESSAGES ? kinds[type].name : "?";
}

size_t message_head_size(enum message_type type) {
    return kinds[type].head_size;
}

size_t message_item_size(enum message_type type) {
    return kinds[type].item_size;
}

uint32_t message_most_items(enum message_type type) {
    return kinds[type].most;
}

static bool may_say(const struct kind *kind, enum role from, enum role to) {
    return (kind->from == ANY || kind->from == from) && (kind->to == ANY || kind->to == to);
}

static int refuse(const char **reterr_what, const char *what) {
    *reterr_what = what;
    return -EPROTO;
}

int frame_check(const void *frame, size_t length, enum role from, enum role to,
                struct message *ret, const char **reterr_what) {
    const struct frame_head *head = frame;
    if (length < sizeof(*head) || length > FRAME_MAX || head->length != length)
        return refuse(reterr_what, "wrong length");
    if (head->type >= MESSAGES)
        return refuse(reterr_what, "unknown type");
    const struct kind *kind = &kinds[head->type];
    if (!may_say(kind, from, to))
        return refuse(reterr_what, "not this peer's to say");
    if (head->items > kind->most)
        return refuse(reterr_what, "too many items");
    if (length != sizeof(*head) + kind->head_size + (size_t)head->items * kind->item_size)
        return refuse(reterr_what, "wrong size for its type");
    const uint8_t *body = (const uint8_t *)frame + sizeof(*head);
    if (!kind->head_is_valid(body))
        return refuse(reterr_what, "a field out of its limits");
    const uint8_t *items = body + kind->head_size;
    for (uint32_t i = 0; i < head->items; i++)
        if (!kind->item_is_valid(items + (size_t)i * kind->item_size))
            return refuse(reterr_what, "an item's field out of its limits");
    *ret = (struct message){head->type, body, items, head->items, ret->fd};
    return 0;
}

size_t frame_build(void *into, enum message_type type, const void *head, const void *items,
                   uint32_t count) {
    must(type < MESSAGES);
    const struct kind *kind = &kinds[type];
    must(count <= kind->most);
    size_t length = sizeof(struct frame_head) + kind->head_size + (size_t)count * kind->item_size;
    struct frame_head frame = {(uint16_t)type, (uint16_t)count, (uint32_t)length};
    uint8_t *at = into;
    memcpy(at, &frame, sizeof(frame));
    if (kind->head_size)
        memcpy(at + sizeof(frame), head, kind->head_size);
    if (count)
        memcpy(at + sizeof(frame) + kind->head_size, items, (size_t)count * kind->item_size);
    return length;
}
