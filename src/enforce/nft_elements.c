/* The elements of our sets, to and from the kernel: attribute by attribute rather than through
 * libnftnl's objects, because a hundred thousand of them pass here at once. An interval is two
 * elements, its start and (flagged) the address behind its end; one that reaches the top of the
 * space has no end. The kernel hands them out in no useful order, and an expired start may be
 * missing while its end is still there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netlink.h>

#include "base/clock.h"
#include "enforce/private.h"

enum {
    ELEMENTS_PER_MESSAGE = 1000, /* 48 bytes each at most, in one attribute of at most 64 KiB */
};

/* ---- writing ----------------------------------------------------------------------------- */

void elements_begin(struct element_writer *writer, struct batch *batch, uint8_t command,
                    const char *set) {
    *writer = (struct element_writer){.batch = batch, .set = set, .command = command};
}

static void message_begin(struct element_writer *writer) {
    uint16_t flags = writer->command != NFT_MSG_NEWSETELEM ? 0
                     : writer->is_exclusive                ? NLM_F_CREATE | NLM_F_EXCL
                                                           : NLM_F_CREATE;
    writer->message = batch_next(writer->batch, writer->command, flags);
    mnl_attr_put_strz(writer->message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
    mnl_attr_put_strz(writer->message, NFTA_SET_ELEM_LIST_SET, writer->set);
    if (writer->set_id)
        mnl_attr_put_u32(writer->message, NFTA_SET_ELEM_LIST_SET_ID, htonl(writer->set_id));
    writer->list = mnl_attr_nest_start(writer->message, NFTA_SET_ELEM_LIST_ELEMENTS);
    writer->count = 0;
}

void elements_end(struct element_writer *writer) {
    if (!writer->message)
        return;
    mnl_attr_nest_end(writer->message, writer->list);
    batch_add(writer->batch, writer->message);
    writer->message = NULL;
}

void elements_key(struct element_writer *writer, const void *key, uint16_t key_bytes, bool is_end,
                  uint64_t timeout_ms) {
    if (!writer->message)
        message_begin(writer);
    struct nlmsghdr *message = writer->message;
    struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    if (is_end)
        mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
    if (timeout_ms > 0)
        mnl_attr_put_u64(message, NFTA_SET_ELEM_TIMEOUT, htobe64(timeout_ms));
    struct nlattr *value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, key_bytes, key);
    mnl_attr_nest_end(message, value);
    mnl_attr_nest_end(message, element);
    if (++writer->count >= ELEMENTS_PER_MESSAGE)
        elements_end(writer);
}

static const uint8_t *key_of(const struct address *address, uint16_t *ret_bytes) {
    bool is_v4 = address_is_v4(address);
    *ret_bytes = is_v4 ? 4 : 16;
    return address->at + (is_v4 ? 12 : 0);
}

struct range range_of(const struct prefix *prefix) {
    struct range range = {prefix->address, prefix->address};
    unsigned fixed = prefix->length + (prefix_is_v4(prefix) ? 96u : 0u);
    for (unsigned byte = fixed / 8; byte < 16; byte++) {
        unsigned free_bits = byte > fixed / 8 ? 0xffu : 0xffu >> fixed % 8;
        range.last.at[byte] = (uint8_t)(range.last.at[byte] | free_bits);
    }
    return range;
}

/* Adds or subtracts one in the lowest `bytes`; false if that passed the end of the space. */
static bool step(uint8_t *key, unsigned bytes, bool is_up) {
    for (unsigned i = bytes; i-- > 0;) {
        key[i] = (uint8_t)(is_up ? key[i] + 1 : key[i] - 1);
        if (key[i] != (is_up ? 0x00 : 0xff))
            return true;
    }
    return false;
}

void elements_range(struct element_writer *writer, const struct range *range, uint64_t timeout_ms) {
    uint16_t bytes;
    const uint8_t *first = key_of(&range->first, &bytes);
    elements_key(writer, first, bytes, false, timeout_ms);
    uint8_t behind[16];
    memcpy(behind, key_of(&range->last, &bytes), bytes);
    if (step(behind, bytes, true))
        elements_key(writer, behind, bytes, true, 0);
}

void elements_prefix(struct element_writer *writer, const struct prefix *prefix, bool is_interval,
                     uint64_t timeout_ms) {
    if (is_interval) {
        struct range range = range_of(prefix);
        elements_range(writer, &range, timeout_ms);
        return;
    }
    uint16_t bytes;
    const uint8_t *key = key_of(&prefix->address, &bytes);
    elements_key(writer, key, bytes, false, timeout_ms);
}

int element_drop(struct enforce *enforce, const char *set, const struct prefix *prefix,
                 bool is_interval) {
    struct element_writer writer;
    batch_begin(&enforce->batch);
    elements_begin(&writer, &enforce->batch, NFT_MSG_DELSETELEM, set);
    elements_prefix(&writer, prefix, is_interval, 0);
    elements_end(&writer);
    int error = batch_send(&enforce->batch, &enforce->netfilter);
    return error == -ENOENT ? 0 : error < 0 ? error : 1;
}

/* ---- reading ----------------------------------------------------------------------------- */

struct element {
    struct address key;
    bool is_end;
    int64_t left_ms; /* -1: no timeout */
    uint64_t packets; /* refused so far */
};

struct elements {
    struct element *at; /* owned */
    size_t count, room;
    bool is_v4;
};

static void elements_free(struct elements *elements) {
    free(elements->at);
}

/* The counter that came with the element: NFTA_EXPR_DATA's NFTA_COUNTER_PACKETS. */
static uint64_t read_counter(const struct nlattr *expression) {
    const struct nlattr *attribute, *inner;
    for_each_attribute (attribute, attributes_in(expression)) {
        if (mnl_attr_get_type(attribute) != NFTA_EXPR_DATA)
            continue;
        for_each_attribute (inner, attributes_in(attribute))
            if (mnl_attr_get_type(inner) == NFTA_COUNTER_PACKETS)
                return be64toh(mnl_attr_get_u64(inner));
    }
    return 0;
}

static int read_element(struct elements *elements, const struct nlattr *nest) {
    struct element element = {.left_ms = -1};
    const struct nlattr *attribute;
    bool has_key = false;
    for_each_attribute (attribute, attributes_in(nest)) {
        switch (mnl_attr_get_type(attribute)) {
        case NFTA_SET_ELEM_KEY: {
            const struct nlattr *value = mnl_attr_get_payload(attribute);
            size_t bytes = elements->is_v4 ? 4 : 16;
            if (mnl_attr_get_payload_len(attribute) < sizeof(*value) + bytes ||
                mnl_attr_get_payload_len(value) != bytes)
                return -EBADMSG;
            memcpy(element.key.at + 16 - bytes, mnl_attr_get_payload(value), bytes);
            if (elements->is_v4)
                element.key.at[10] = element.key.at[11] = 0xff;
            has_key = true;
            break;
        }
        case NFTA_SET_ELEM_FLAGS:
            element.is_end = ntohl(mnl_attr_get_u32(attribute)) & NFT_SET_ELEM_INTERVAL_END;
            break;
        case NFTA_SET_ELEM_EXPIRATION:
            element.left_ms = (int64_t)be64toh(mnl_attr_get_u64(attribute));
            break;
        case NFTA_SET_ELEM_EXPR:
            element.packets = read_counter(attribute);
            break;
        default:
            break;
        }
    }
    if (!has_key) /* a catch-all element, which is nobody's address */
        return 0;
    if (elements->count == elements->room) {
        size_t room = elements->room ? 2 * elements->room : 256;
        struct element *at = reallocarray(elements->at, room, sizeof(*at));
        if (!at)
            return -ENOMEM;
        elements->at = at;
        elements->room = room;
    }
    elements->at[elements->count++] = element;
    return 0;
}

static int read_elements(void *context, const struct nlmsghdr *message) {
    const struct nlattr *attribute, *element;
    for_each_attribute (attribute, attributes_of(message, sizeof(struct nfgenmsg))) {
        if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        for_each_attribute (element, attributes_in(attribute)) {
            int error = read_element(context, element);
            if (error < 0)
                return error;
        }
    }
    return 0;
}

static int compare_elements(const void *a, const void *b) {
    const struct element *left = a, *right = b;
    int by_key = memcmp(&left->key, &right->key, sizeof(left->key));
    return by_key != 0 ? by_key : (int)right->is_end - (int)left->is_end;
}

/* Gives [first, last] as the fewest prefixes; one, for what we have put ourselves. */
static void give_range(struct range range, int64_t expires_us, uint64_t packets, prefix_fn *each,
                       void *context) {
    bool is_v4 = address_is_v4(&range.first);
    if (memcmp(&range.first, &range.last, sizeof(range.first)) > 0)
        return;
    for (;;) {
        struct prefix prefix;
        struct range covered;
        uint8_t length = 0;
        do {
            prefix = prefix_cut(&range.first, length++);
            covered = range_of(&prefix);
        } while (memcmp(&covered.first, &range.first, sizeof(covered.first)) != 0 ||
                 memcmp(&covered.last, &range.last, sizeof(covered.last)) > 0);
        each(context, &prefix, expires_us, packets);
        range.first = covered.last;
        if (memcmp(&covered.last, &range.last, sizeof(covered.last)) == 0 ||
            !step(range.first.at + (is_v4 ? 12 : 0), is_v4 ? 4 : 16, true))
            return;
    }
}

static int64_t expires_us(const struct element *element, int64_t now_us) {
    return element->left_ms < 0 ? UNTIL_PERMANENT : now_us + element->left_ms * 1000;
}

static void give_intervals(struct elements *elements, int64_t now_us, prefix_fn *each,
                           void *context) {
    unsigned bytes = elements->is_v4 ? 4 : 16;
    const struct element *open = NULL;
    for (size_t i = 0; i <= elements->count; i++) {
        const struct element *element = i < elements->count ? &elements->at[i] : NULL;
        if (open) {
            struct address last;
            memset(last.at, 0xff, sizeof(last.at));
            if (elements->is_v4)
                memset(last.at, 0, 10);
            if (element) {
                last = element->key;
                step(last.at + 16 - bytes, bytes, false);
            }
            give_range((struct range){open->key, last}, expires_us(open, now_us), open->packets,
                       each, context);
        }
        open = element && !element->is_end ? element : NULL;
    }
}

int elements_read(struct netlink *link, const struct kernel_set *set, prefix_fn *each,
                  void *context) {
    at_scope_end(elements_free) struct elements elements = {.is_v4 = set->key_bytes == 4};
    int error = -EINTR;
    for (unsigned i = 0; i < DUMP_TRIES && error == -EINTR; i++) {
        uint8_t request[512 + NFT_SET_MAXNAMELEN];
        struct nlmsghdr *message = nftables_message(request, NFT_MSG_GETSETELEM, NLM_F_DUMP);
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->name);
        elements.count = 0;
        error = netlink_ask(link, message, read_elements, &elements);
    }
    if (error < 0)
        return error;
    int64_t now_us = clock_now_us();
    if (set->flags & NFT_SET_INTERVAL) {
        if (elements.count > 1)
            qsort(elements.at, elements.count, sizeof(*elements.at), compare_elements);
        give_intervals(&elements, now_us, each, context);
        return 0;
    }
    for (size_t i = 0; i < elements.count; i++) {
        struct prefix prefix = prefix_cut(&elements.at[i].key, kernel_set_length(set));
        each(context, &prefix, expires_us(&elements.at[i], now_us), elements.at[i].packets);
    }
    return 0;
}

void element_name_one(struct nlmsghdr *message, const char *table, const char *set, const void *key,
                      uint16_t bytes) {
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set);
    struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    struct nlattr *value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, bytes, key);
    mnl_attr_nest_end(message, value);
    mnl_attr_nest_end(message, element);
    mnl_attr_nest_end(message, list);
}

int element_get(struct netlink *link, const struct kernel_set *set, const struct prefix *prefix,
                prefix_fn *each, void *context) {
    at_scope_end(elements_free) struct elements elements = {.is_v4 = set->key_bytes == 4};
    uint8_t request[512 + NFT_SET_MAXNAMELEN];
    uint16_t bytes;
    const uint8_t *key = key_of(&prefix->address, &bytes);
    struct nlmsghdr *message = nftables_message(request, NFT_MSG_GETSETELEM, NLM_F_ACK);
    element_name_one(message, TABLE_NAME, set->name, key, bytes);
    int error = netlink_ask(link, message, read_elements, &elements);
    int64_t now_us = clock_now_us();
    for (size_t i = 0; error >= 0 && i < elements.count; i++)
        each(context, prefix, expires_us(&elements.at[i], now_us), elements.at[i].packets);
    return error;
}
