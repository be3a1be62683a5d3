/* What hauberk's processes say to each other: fixed records in frames of at most 64 KiB over
 * SOCK_SEQPACKET pairs. The table is messages.def; this header makes the types of it.
 *
 * The processes are one package restarted together, so there are no versions: the first frame each
 * side sends is HELLO with the build's digest, and unequal builds part.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/hash.h"

/* CHECKER is the child that reads the configuration for hauberkd and hands back fixed records. */
enum role { SUPERVISOR, SENSOR, DECIDER, ENFORCER, CHECKER, ROLES, ANY = ROLES };
extern const char *const role_names[ROLES]; /* "hauberkd", "sensor", ... */

enum { SOURCES_MAX = 128, SIBLINGS_MAX = 64, EVENTS_MAX = 96, ORDERS_MAX = 800 };
enum { FRAME_MAX = 65536 };

/* EVENT_DELIVERED: mail from that address was accepted and put into a local mailbox.
 * EVENT_SKIPPED: a line that was left out (poison); only its evidence says anything. */
enum event_kind { EVENT_FAILURE, EVENT_SUCCESS, EVENT_DELIVERED, EVENT_SKIPPED, EVENT_KINDS };
/* By which protocol somebody came, where the line says so. */
enum protocol {
    PROTOCOL_UNTOLD,
    PROTOCOL_IMAP,
    PROTOCOL_POP3,
    PROTOCOL_SUBMISSION,
    PROTOCOL_SIEVE,
    PROTOCOLS
};
extern const char *const protocol_words[PROTOCOLS]; /* as Dovecot calls them; "" untold */
/* Could the password of a login be overheard? Untold where the log never says. */
enum secrecy { SECRECY_UNTOLD, SECRECY_SECURED, SECRECY_CLEAR, SECRECIES };
/* Other programs that ban addresses. */
enum bouncer { BOUNCER_FAIL2BAN, BOUNCER_CROWDSEC, BOUNCER_SSHGUARD, BOUNCER_DENYHOSTS, BOUNCERS };
extern const char *const bouncer_names[BOUNCERS];
enum { DATABASES = 32 }; /* password databases are told apart by a number below; see match.c */
enum source_state_kind { SOURCE_READING, SOURCE_WAITING, SOURCE_UNREADABLE, SOURCE_STATES };

/* How the owner is told: mail through sendmail, or the command he named. */
enum mail_way { MAIL_SENDMAIL, MAIL_COMMAND, MAIL_WAYS };
enum { MAIL_MOST_BYTES = 64 << 10 };

struct wire_range {
    uint16_t first, last;
};

#define RECORD(name) struct wire_##name {
#define END(name) } __attribute__((aligned(8))); /* so that items behind a head are aligned */
#define U8(field, least, most) uint8_t field;
#define U16(field, least, most) uint16_t field;
#define U32(field, least, most) uint32_t field;
#define U64(field, least, most) uint64_t field;
#define I64(field, least, most) int64_t field;
#define FLAG(field) uint8_t field;
#define PREFIX(field) struct prefix field;
#define ADDRESS(field) struct address field;
#define DIGEST(field) struct digest field;
#define BYTES(field, most)   \
    struct {                 \
        uint16_t length;     \
        char at[most];       \
    } field;
#define NAME(field, most) BYTES(field, most)
#define RANGES(field, most) struct wire_range field[most];
#define MESSAGE(...)
#include "wire/messages.def"
#undef RECORD
#undef END
#undef U8
#undef U16
#undef U32
#undef U64
#undef I64
#undef FLAG
#undef PREFIX
#undef ADDRESS
#undef DIGEST
#undef BYTES
#undef NAME
#undef RANGES
#undef MESSAGE

enum message_type {
#define RECORD(...)
#define END(...)
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
#define MESSAGE(NAME_, ...) SAY_##NAME_,
#include "wire/messages.def"
#undef RECORD
#undef END
#undef U8
#undef U16
#undef U32
#undef U64
#undef I64
#undef FLAG
#undef PREFIX
#undef ADDRESS
#undef DIGEST
#undef BYTES
#undef NAME
#undef RANGES
#undef MESSAGE
    MESSAGES
};

/* A frame on the wire. */
struct frame_head {
    uint16_t type;
    uint16_t items;
    uint32_t length; /* of the whole frame */
};

/* A frame that was received and found valid. Pointers are into the receiver's buffer and stay good
 * until the next receive. `fd` is a descriptor that came along, or -1; take_fd() it to keep it. */
struct message {
    enum message_type type;
    const void *head;
    const void *items;
    uint32_t count;
    int fd;
};

const char *message_name(enum message_type type);

/* Sizes, and how many items fit a frame of that type. */
size_t message_head_size(enum message_type type);
size_t message_item_size(enum message_type type);
uint32_t message_most_items(enum message_type type);

/* Checks a frame that `from` sent to `to`, every field against its limits. Fills all of *ret but
 * fd. -EPROTO with a word on what is wrong in *reterr_what (a static text). `frame` must be
 * aligned for uint64_t. */
must_use int frame_check(const void *frame, size_t length, enum role from, enum role to,
                         struct message *ret, const char **reterr_what);

/* Lays a frame out in `into` (FRAME_MAX bytes, aligned); returns its length. Head and items must be
 * of the type's records; what does not fit is a bug of the caller. */
size_t frame_build(void *into, enum message_type type, const void *head, const void *items,
                   uint32_t count);

/* Fills a BYTES or NAME field from a span, cut to its room. */
#define wire_set_bytes(field, span_)                                                   \
    do {                                                                               \
        struct span value_ = (span_);                                                  \
        (field).length =                                                               \
            (uint16_t)(value_.length < sizeof((field).at) ? value_.length : sizeof((field).at)); \
        if ((field).length)                                                            \
            memcpy((field).at, value_.at, (field).length);                             \
    } while (0)
#define wire_bytes(field) ((struct span){(field).at, (field).length})
