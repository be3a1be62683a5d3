/* The wire. Valid frames and every possible violation of one field are made from messages.def
 * itself, so a new message is tested the moment it is written. Then real channels: who speaks out
 * of turn, lies, sends too much, does not listen, or dies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/build.h"
#include "wire/channel.h"

static uint64_t seed = 7;

static uint64_t random_bits(void) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 32) ^ (seed << 13);
}

static uint32_t chance(uint32_t below) {
    return (uint32_t)(random_bits() >> 11) % below;
}

/* One of [least, most], the ends more often than not. */
static uint64_t random_between(uint64_t least, uint64_t most) {
    uint64_t span = most - least; /* right for signed ends too, modulo 2^64 */
    if (chance(3) == 0)
        return chance(2) ? least : most;
    return span == UINT64_MAX ? random_bits() : least + random_bits() % (span + 1);
}

/* ---- from the table: a random valid record, and its n-th violation ---- */

#pragma GCC diagnostic ignored "-Wtype-limits"

static struct prefix random_prefix(void) {
    struct address address = {0};
    for (int i = 0; i < 16; i++)
        address.at[i] = (uint8_t)random_bits();
    if (chance(2)) {
        memset(address.at, 0, 10);
        address.at[10] = address.at[11] = 0xff;
    }
    return prefix_cut(&address, (uint8_t)chance(address_is_v4(&address) ? 33 : 129));
}

static void fill_bytes(char *at, uint16_t *length, uint32_t most, bool printable) {
    *length = (uint16_t)random_between(0, most);
    for (uint32_t i = 0; i < *length; i++)
        at[i] = printable ? (char)(0x20 + chance(0x5f)) : (char)random_bits();
}

static void fill_ranges(struct wire_range *ranges, uint8_t count) {
    uint16_t next = 0;
    for (uint8_t i = 0; i < count; i++) {
        ranges[i].first = (uint16_t)(next + chance(100));
        ranges[i].last = (uint16_t)(ranges[i].first + chance(100));
        next = (uint16_t)(ranges[i].last + 1);
    }
}

#define RECORD(name) static void fill_##name(void *record_) {                   \
        struct wire_##name *record may_be_unused = record_;
#define END(name) }
#define FILL(field, type, least, most) \
    record->field = (type)random_between((uint64_t)(least), (uint64_t)(most));
#define U8(field, least, most) FILL(field, uint8_t, least, most)
#define U16(field, least, most) FILL(field, uint16_t, least, most)
#define U32(field, least, most) FILL(field, uint32_t, least, most)
#define U64(field, least, most) FILL(field, uint64_t, least, most)
#define I64(field, least, most) FILL(field, int64_t, least, most)
#define FLAG(field) record->field = (uint8_t)chance(2);
#define PREFIX(field) record->field = random_prefix();
#define ADDRESS(field) record->field = random_prefix().address;
#define DIGEST(field) record->field.at[0] = (uint8_t)random_bits();
#define BYTES(field, most) fill_bytes(record->field.at, &record->field.length, most, false);
#define NAME(field, most) fill_bytes(record->field.at, &record->field.length, most, true);
#define RANGES(field, most) fill_ranges(record->field, record->range_count);
#define MESSAGE(...)
#include "wire/messages.def"
#undef RECORD
#undef END
#undef FILL
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

static bool break_prefix(struct prefix *prefix, int which) {
    struct prefix v4 = {0};
    struct prefix v6 = {0};
    must(prefix_parse(SPAN("192.0.2.0/24"), &v4) == 0);
    must(prefix_parse(SPAN("2001:db8::/32"), &v6) == 0);
    *prefix = which % 2 ? v6 : v4;
    if (which < 2)
        prefix->length = which ? 129 : 33;
    else
        prefix->address.at[15] = 1; /* a bit behind the length */
    return true;
}

/* Each violation counts `which` down; at zero it is made. False: there are no more. */
#define RECORD(name) static bool break_##name(void *record_, int which) {          \
        struct wire_##name *record may_be_unused = record_;
#define END(name) \
    (void)which;  \
    return false; \
    }
#define BREAK(field, type, lowest, highest, least, most)                 \
    if ((least) > (lowest) && which-- == 0) {                            \
        record->field = (type)((uint64_t)(least)-1);                     \
        return true;                                                     \
    }                                                                    \
    if ((most) < (highest) && which-- == 0) {                            \
        record->field = (type)((uint64_t)(most) + 1);                    \
        return true;                                                     \
    }
#define U8(field, least, most) BREAK(field, uint8_t, 0, UINT8_MAX, least, most)
#define U16(field, least, most) BREAK(field, uint16_t, 0, UINT16_MAX, least, most)
#define U32(field, least, most) BREAK(field, uint32_t, 0, UINT32_MAX, least, most)
#define U64(field, least, most) BREAK(field, uint64_t, 0, UINT64_MAX, least, most)
#define I64(field, least, most) BREAK(field, int64_t, INT64_MIN, INT64_MAX, least, most)
#define FLAG(field)                                \
    if (which-- == 0) {                            \
        record->field = (uint8_t)(2 + chance(254)); \
        return true;                               \
    }
#define PREFIX(field)                                      \
    if (which < 4)                                         \
        return break_prefix(&record->field, which);        \
    which -= 4;
#define ADDRESS(field)
#define DIGEST(field)
#define BYTES(field, most)                        \
    if (which-- == 0) {                           \
        record->field.length = (uint16_t)((most) + 1); \
        return true;                              \
    }
#define NAME(field, most)                                             \
    BYTES(field, most)                                                \
    for (int c = 0; c < 4; c++)                                       \
        if (which-- == 0) {                                           \
            record->field.length = 1;                                 \
            record->field.at[0] = (char)"\x1f\x7f\x80\x00"[c];        \
            return true;                                              \
        }
#define RANGES(field, most)                                           \
    if (which-- == 0) {                                               \
        record->range_count = 1;                                      \
        record->field[0] = (struct wire_range){2, 1};                 \
        return true;                                                  \
    }                                                                 \
    if (which-- == 0) {                                               \
        record->range_count = 2;                                      \
        record->field[0] = (struct wire_range){5, 9};                 \
        record->field[1] = (struct wire_range){9, 12};                \
        return true;                                                  \
    }
#define MESSAGE(...)
#include "wire/messages.def"
#undef RECORD
#undef END
#undef BREAK
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

static const struct shape {
    enum role from, to;
    uint32_t most;
    void (*fill_head)(void *record), (*fill_item)(void *record);
    bool (*break_head)(void *record, int which), (*break_item)(void *record, int which);
} shapes[MESSAGES] = {
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
#define MESSAGE(NAME_, from_, to_, head_, item_, most_, says_)                                   \
    [SAY_##NAME_] = {from_, to_, most_, fill_##head_, fill_##item_, break_##head_, break_##item_},
#include "wire/messages.def"
};

static _Alignas(8) uint8_t frame[FRAME_MAX + 4096];
static _Alignas(8) uint8_t head[FRAME_MAX];
static _Alignas(8) uint8_t items[FRAME_MAX];

static size_t build_random(enum message_type type, uint32_t count) {
    const struct shape *shape = &shapes[type];
    memset(head, 0, sizeof(head));
    memset(items, 0, sizeof(items));
    shape->fill_head(head);
    for (uint32_t i = 0; i < count; i++)
        shape->fill_item(items + i * message_item_size(type));
    return frame_build(frame, type, head, items, count);
}

static bool may(enum role rule, enum role one) {
    return rule == ANY || rule == one;
}

static enum role some(enum role rule) {
    return rule == ANY ? SENSOR : rule;
}

static int check(size_t length, enum message_type type) {
    struct message message = {.fd = -1};
    const char *what = NULL;
    int error = frame_check(frame, length, some(shapes[type].from), some(shapes[type].to),
                            &message, &what);
    if (error < 0)
        assert_non_null(what);
    return error;
}

static void every_message_arrives_as_it_was_sent(void **state) {
    (void)state;
    for (int type = 0; type < MESSAGES; type++)
        for (int round = 0; round < 40; round++) {
            uint32_t count = chance(2) ? shapes[type].most : chance(shapes[type].most + 1);
            size_t length = build_random((enum message_type)type, count);
            struct message message = {.fd = -1};
            const char *what = NULL;
            assert_int_equal(message_most_items((enum message_type)type), shapes[type].most);
            if (frame_check(frame, length, some(shapes[type].from), some(shapes[type].to),
                            &message, &what) < 0)
                fail_msg("%s: %s", message_name((enum message_type)type), what);
            assert_int_equal(message.type, type);
            assert_int_equal(message.count, count);
            assert_memory_equal(message.head, head, message_head_size(message.type));
            assert_memory_equal(message.items, items, count * message_item_size(message.type));
        }
}

static void every_field_out_of_its_limits_is_refused(void **state) {
    (void)state;
    uint32_t violations = 0;
    for (int t = 0; t < MESSAGES; t++) {
        enum message_type type = (enum message_type)t;
        const struct shape *shape = &shapes[type];
        uint32_t count = shape->most < 5 ? shape->most : 5;
        for (int which = 0;; which++) {
            size_t length = build_random(type, count);
            if (!shape->break_head(frame + sizeof(struct frame_head), which))
                break;
            violations++;
            if (check(length, type) != -EPROTO)
                fail_msg("%s: violation %d of its head passes", message_name(type), which);
        }
        for (int which = 0; count; which++) {
            size_t length = build_random(type, count);
            uint8_t *item = frame + sizeof(struct frame_head) + message_head_size(type) +
                            chance(count) * message_item_size(type);
            if (!shape->break_item(item, which))
                break;
            violations++;
            if (check(length, type) != -EPROTO)
                fail_msg("%s: violation %d of an item passes", message_name(type), which);
        }
    }
    assert_true(violations > 100); /* or the table was not read */
}

static void nobody_says_what_is_anothers_to_say(void **state) {
    (void)state;
    for (int t = 0; t < MESSAGES; t++) {
        size_t length = build_random((enum message_type)t, 0);
        for (int from = 0; from < ROLES; from++)
            for (int to = 0; to < ROLES; to++) {
                struct message message = {.fd = -1};
                const char *what = NULL;
                bool is_fine = may(shapes[t].from, (enum role)from) &&
                               may(shapes[t].to, (enum role)to);
                int error = frame_check(frame, length, (enum role)from, (enum role)to, &message,
                                        &what);
                if ((error == 0) != is_fine)
                    fail_msg("%s from %s to %s", message_name((enum message_type)t),
                             role_names[from], role_names[to]);
            }
    }
}

static void frames_of_another_length_are_refused(void **state) {
    (void)state;
    for (int t = 0; t < MESSAGES; t++) {
        enum message_type type = (enum message_type)t;
        uint32_t count = shapes[t].most ? 1 + chance(shapes[t].most) : 0;
        struct frame_head *frame_head = (struct frame_head *)(void *)frame;
        size_t length = build_random(type, count);
        assert_int_equal(check(length, type), 0);
        for (size_t shorter = 0; shorter < length; shorter += 1 + shorter / 16)
            assert_int_equal(check(shorter, type), -EPROTO);
        assert_int_equal(check(length + 8, type), -EPROTO);
        frame_head->length = (uint32_t)(length + 8); /* and says so */
        assert_int_equal(check(length + 8, type), -EPROTO);
        frame_head->length = (uint32_t)(length - 8);
        assert_int_equal(check(length - 8, type), -EPROTO);
        frame_head->length = (uint32_t)length;
        frame_head->items++;
        assert_int_equal(check(length, type), -EPROTO);
        frame_head->items = UINT16_MAX;
        assert_int_equal(check(length, type), -EPROTO);
        frame_head->items = (uint16_t)count;
        static const uint16_t types[] = {MESSAGES, MESSAGES + 1, UINT16_MAX};
        for (size_t i = 0; i < ELEMENTS_OF(types); i++) {
            frame_head->type = types[i];
            assert_int_equal(check(length, type), -EPROTO);
        }
    }
}

static void random_bytes_never_read_beyond(void **state) {
    (void)state;
    for (int i = 0; i < 200000; i++) {
        enum message_type type = (enum message_type)chance(MESSAGES);
        size_t length = build_random(type, chance(2) ? 0 : chance(shapes[type].most % 4 + 1));
        for (uint32_t flips = chance(6); flips > 0; flips--)
            frame[chance((uint32_t)length)] = (uint8_t)random_bits();
        cleanup_free uint8_t *exact = aligned_alloc(8, (length + 7) & ~(size_t)7);
        memcpy(exact, frame, length);
        struct message message = {.fd = -1};
        const char *what = NULL;
        (void)!frame_check(exact, length, (enum role)chance(ROLES), (enum role)chance(ROLES),
                           &message, &what);
    }
}

/* ---- channels ---- */

struct side {
    struct loop *loop;
    struct channel *channel;
    int messages, clears, ends, error;
    char what[100];
    int passed_fd;
    uint64_t last_value;
    bool in_order, frees_on_message, frees_on_end, ends_loop_on_message;
    int until; /* ends the loop after so many messages */
};

static int on_message(void *context, struct message *message) {
    struct side *side = context;
    side->messages++;
    if (message->type == SAY_PING) {
        const struct wire_nonce *nonce = message->head;
        side->in_order = side->in_order && nonce->value == side->last_value + 1;
        side->last_value = nonce->value;
    }
    if (message->fd >= 0)
        side->passed_fd = take_fd(&message->fd);
    if (side->frees_on_message)
        side->channel = channel_free(side->channel);
    if (side->messages == side->until || side->frees_on_message)
        loop_end(side->loop, 0);
    return 0;
}

static int on_clear(void *context) {
    struct side *side = context;
    side->clears++;
    return 0;
}

static int on_end(void *context, int error, const char *what) {
    struct side *side = context;
    side->ends++;
    side->error = error;
    snprintf(side->what, sizeof(side->what), "%s", what);
    if (side->frees_on_end)
        side->channel = channel_free(side->channel);
    loop_end(side->loop, 0);
    return 0;
}

static const struct channel_calls calls = {on_message, on_clear, on_end};

static int too_long(void *context) {
    (void)context;
    fail_msg("nothing happened for ten seconds");
    return -ETIMEDOUT;
}

/* A loop ends once; each part of a test that waits has its own. */
static void run(struct side *side) {
    struct watch *patience = loop_add_timer(side->loop, 10 * INT64_C(1000000), too_long, NULL);
    assert_true(loop_run(side->loop) >= 0);
    loop_forget(patience);
}

static struct side new_side(void) {
    return (struct side){.loop = loop_new(), .passed_fd = -1, .in_order = true};
}

/* The sensor as hauberkd's peer, at one end; the other end is ours to send from, raw. */
static int open_raw(struct side *side) {
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    *side = new_side();
    side->channel = channel_new(side->loop, ends[0], SENSOR, SUPERVISOR, &calls, side);
    return ends[1];
}

static void close_raw(struct side *side, int fd) {
    side->channel = channel_free(side->channel);
    side->loop = loop_free(side->loop);
    cleanup_close_fd(&side->passed_fd);
    if (fd >= 0)
        close(fd);
}

static void send_raw(int fd, const void *at, size_t length) {
    assert_int_equal(send(fd, at, length, MSG_NOSIGNAL), length);
}

static void send_message(int fd, enum message_type type, const void *body) {
    size_t length = frame_build(frame, type, body, NULL, 0);
    send_raw(fd, frame, length);
}

static void say_hello(int fd) {
    struct wire_hello hello = {*build_digest()};
    send_message(fd, SAY_HELLO, &hello);
}

static void expect_end(struct side *side, int error, const char *what) {
    run(side);
    assert_int_equal(side->ends, 1);
    assert_int_equal(side->error, error);
    if (!strstr(side->what, what))
        fail_msg("\"%s\" is not about \"%s\"", side->what, what);
}

static void who_speaks_before_hello_is_cut_off(void **state) {
    (void)state;
    struct side side;
    int fd = open_raw(&side);
    send_message(fd, SAY_PING, &(struct wire_nonce){1});
    expect_end(&side, -EPROTO, "HELLO");
    assert_int_equal(side.messages, 0);
    close_raw(&side, fd);
}

static void another_build_is_cut_off(void **state) {
    (void)state;
    struct side side;
    int fd = open_raw(&side);
    struct wire_hello hello = {*build_digest()};
    hello.build.at[15] ^= 1;
    send_message(fd, SAY_HELLO, &hello);
    expect_end(&side, -EPROTO, "build");
    close_raw(&side, fd);
}

static void a_second_hello_is_cut_off(void **state) {
    (void)state;
    struct side side;
    int fd = open_raw(&side);
    say_hello(fd);
    say_hello(fd);
    expect_end(&side, -EPROTO, "twice");
    close_raw(&side, fd);
}

static void forged_frames_are_cut_off(void **state) {
    (void)state;
    for (int kind = 0; kind < 7; kind++) {
        struct side side;
        int fd = open_raw(&side);
        say_hello(fd);
        send_message(fd, SAY_PING, &(struct wire_nonce){1});
        memset(frame, 0, sizeof(frame));
        if (kind == 0) { /* not hauberkd's to say */
            send_message(fd, SAY_READY, NULL);
        } else if (kind == 1) { /* no head */
            send_raw(fd, "x", 1);
        } else if (kind == 2) { /* over the limit of a frame */
            send_raw(fd, frame, FRAME_MAX + 8);
        } else if (kind == 3) { /* zeros */
            send_raw(fd, frame, 4096);
        } else if (kind == 4) { /* a flag that is 2 */
            send_message(fd, SAY_QUIT, &(struct wire_quit){.lift = 2});
        } else if (kind == 5) { /* one byte too many */
            size_t length = frame_build(frame, SAY_PING, &(struct wire_nonce){2}, NULL, 0);
            send_raw(fd, frame, length + 1);
        } else { /* cut short, and the head says so */
            size_t length = frame_build(frame, SAY_PING, &(struct wire_nonce){2}, NULL, 0);
            ((struct frame_head *)(void *)frame)->length = (uint32_t)length - 4;
            send_raw(fd, frame, length - 4);
        }
        expect_end(&side, -EPROTO, "");
        assert_int_equal(side.messages, 1); /* what was right before it was heard */
        assert_int_equal(channel_send(side.channel, SAY_READY, NULL, NULL, 0), -EPIPE);
        close_raw(&side, fd);
    }
}

static int count_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void send_descriptors(int fd, const int *fds, size_t count) {
    size_t length = frame_build(frame, SAY_PING, &(struct wire_nonce){2}, NULL, 0);
    struct iovec part = {frame, length};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room,
                            .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
    assert_int_equal(sendmsg(fd, &header, MSG_NOSIGNAL), length);
}

static void descriptors_too_many_are_closed_and_the_peer_cut_off(void **state) {
    (void)state;
    for (size_t count = 2; count <= 8; count++) {
        struct side side;
        int fd = open_raw(&side);
        int some_fds[8] = {2, 2, 2, 2, 2, 2, 2, 2};
        say_hello(fd);
        loop_forget(loop_add_timer(side.loop, -1, too_long, NULL)); /* the loop's own, made once */
        int before = count_descriptors();
        send_descriptors(fd, some_fds, count);
        expect_end(&side, -EPROTO, "");
        assert_int_equal(count_descriptors(), before);
        close_raw(&side, fd);
    }
}

/* One that nobody takes is closed behind the callback. */
static void a_descriptor_comes_along_or_is_closed(void **state) {
    (void)state;
    struct side side;
    int fd = open_raw(&side);
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    say_hello(fd);
    side.until = 1;
    send_descriptors(fd, &ends[1], 1);
    run(&side);
    assert_true(side.passed_fd >= 0);
    assert_true(fcntl(side.passed_fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(side.passed_fd, "y", 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(ends[0]);
    close(ends[1]);
    close_raw(&side, fd);
}

static void a_peer_that_dies_is_told_once(void **state) {
    (void)state;
    for (int with_queue = 0; with_queue < 2; with_queue++) {
        struct side side;
        int fd = open_raw(&side);
        for (int i = 0; with_queue && i < 100000; i++)
            if (channel_send(side.channel, SAY_PONG, &(struct wire_nonce){1}, NULL, 0) < 0)
                break;
        assert_true(channel_is_clear(side.channel) != (bool)with_queue);
        close(fd);
        run(&side);
        assert_int_equal(side.ends, 1);
        assert_int_equal(side.messages, 0);
        assert_true(side.error == 0 || side.error == -EPIPE);
        close_raw(&side, -1);
    }
}

static void the_last_words_of_a_peer_are_heard(void **state) {
    (void)state;
    struct side side;
    int fd = open_raw(&side);
    say_hello(fd);
    for (uint64_t i = 1; i <= 100; i++)
        send_message(fd, SAY_PING, &(struct wire_nonce){i});
    close(fd);
    expect_end(&side, 0, "gone");
    assert_int_equal(side.messages, 100);
    assert_true(side.in_order);
    close_raw(&side, -1);
}

static void a_channel_may_be_freed_where_it_speaks(void **state) {
    (void)state;
    for (int at_end = 0; at_end < 2; at_end++) {
        struct side side;
        int fd = open_raw(&side);
        side.frees_on_message = !at_end;
        side.frees_on_end = at_end;
        say_hello(fd);
        if (!at_end) {
            send_message(fd, SAY_PING, &(struct wire_nonce){1});
            send_message(fd, SAY_PING, &(struct wire_nonce){2});
        }
        if (at_end)
            close(fd);
        run(&side);
        assert_null(side.channel);
        assert_int_equal(side.messages, !at_end);
        close_raw(&side, at_end ? -1 : fd);
    }
}

/* Two channels in one loop. The listener does not listen; the queue fills, refuses, and then all
 * that was accepted arrives in order, descriptors included. */
static void a_full_queue_refuses_and_loses_nothing(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    struct side speaker = new_side();
    struct side listener = new_side();
    loop_free(listener.loop);
    listener.loop = speaker.loop;
    speaker.channel = channel_new(speaker.loop, ends[0], SUPERVISOR, SENSOR, &calls, &speaker);
    uint64_t sent = 0;
    int error = 0;
    while ((error = channel_send(speaker.channel, SAY_PING, &(struct wire_nonce){sent + 1}, NULL,
                                 0)) == 0)
        sent++;
    assert_int_equal(error, -ENOBUFS);
    assert_true(sent * 16 < 2 * (uint64_t)CHANNEL_QUEUE_MAX + (4 << 20));
    assert_false(channel_is_clear(speaker.channel));
    assert_int_equal(channel_send(speaker.channel, SAY_PING, &(struct wire_nonce){0}, NULL, 0),
                     -ENOBUFS);
    listener.channel = channel_new(speaker.loop, ends[1], SENSOR, SUPERVISOR, &calls, &listener);
    listener.until = (int)sent;
    run(&listener);
    assert_int_equal(listener.messages, sent);
    assert_true(listener.in_order);
    assert_int_equal(speaker.ends + listener.ends, 0);
    assert_int_equal(speaker.clears, 1);
    assert_true(channel_is_clear(speaker.channel));
    channel_free(speaker.channel);
    channel_free(listener.channel);
    loop_free(speaker.loop);
}

static void a_descriptor_waits_in_the_queue(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    struct side speaker = new_side();
    struct side listener = new_side();
    loop_free(listener.loop);
    listener.loop = speaker.loop;
    speaker.channel = channel_new(speaker.loop, ends[0], SUPERVISOR, SENSOR, &calls, &speaker);
    uint64_t sent = 0;
    while (channel_is_clear(speaker.channel))
        assert_int_equal(channel_send(speaker.channel, SAY_PING,
                                      &(struct wire_nonce){++sent}, NULL, 0), 0);
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct stat told;
    struct stat heard;
    assert_int_equal(fstat(file, &told), 0);
    struct wire_opened opened = {.ticket = 5};
    assert_int_equal(channel_send_fd(speaker.channel, SAY_OPENED, &opened, file), 0);
    close(file);
    listener.channel = channel_new(speaker.loop, ends[1], SENSOR, SUPERVISOR, &calls, &listener);
    listener.until = (int)sent + 1;
    run(&listener);
    assert_true(listener.passed_fd >= 0);
    assert_int_equal(fstat(listener.passed_fd, &heard), 0);
    assert_true(told.st_rdev == heard.st_rdev);
    close(listener.passed_fd);
    channel_free(speaker.channel);
    channel_free(listener.channel);
    loop_free(speaker.loop);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_arrives_as_it_was_sent),
        cmocka_unit_test(every_field_out_of_its_limits_is_refused),
        cmocka_unit_test(nobody_says_what_is_anothers_to_say),
        cmocka_unit_test(frames_of_another_length_are_refused),
        cmocka_unit_test(random_bytes_never_read_beyond),
        cmocka_unit_test(who_speaks_before_hello_is_cut_off),
        cmocka_unit_test(another_build_is_cut_off),
        cmocka_unit_test(a_second_hello_is_cut_off),
        cmocka_unit_test(forged_frames_are_cut_off),
        cmocka_unit_test(descriptors_too_many_are_closed_and_the_peer_cut_off),
        cmocka_unit_test(a_descriptor_comes_along_or_is_closed),
        cmocka_unit_test(a_peer_that_dies_is_told_once),
        cmocka_unit_test(the_last_words_of_a_peer_are_heard),
        cmocka_unit_test(a_channel_may_be_freed_where_it_speaks),
        cmocka_unit_test(a_full_queue_refuses_and_loses_nothing),
        cmocka_unit_test(a_descriptor_waits_in_the_queue),
    };
    hash_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
