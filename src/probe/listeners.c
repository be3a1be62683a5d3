/* A line of these files (proc(5)): "0: 0100007F:0019 00000000:0000 0A …". Addresses are 32-bit
 * words in the order of this machine, in hexadecimal; 0A is listening.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/listeners.h"

#include <stdio.h>

#include "base/files.h"
#include "probe/words.h"

enum { TABLE_MOST_BYTES = 8 << 20, WORD_DIGITS = 8 };

bool listeners_read(struct text *table) {
    bool is_read = file_read("/proc/net/tcp", TABLE_MOST_BYTES, table) >= 0;
    return (file_read("/proc/net/tcp6", TABLE_MOST_BYTES, table) >= 0) | is_read;
}

static bool read_hexadecimal(struct span digits, uint32_t *ret_number) {
    uint32_t number = 0;
    for (size_t i = 0; i < digits.length; i++) {
        char c = digits.at[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16 || i == WORD_DIGITS)
            return false;
        number = number << 4 | digit;
    }
    *ret_number = number;
    return digits.length > 0;
}

static bool read_address(struct span digits, struct address *ret_address) {
    struct address address = {.at = {[10] = 0xff, [11] = 0xff}};
    size_t words = digits.length / WORD_DIGITS;
    if (digits.length != WORD_DIGITS && digits.length != 4 * WORD_DIGITS)
        return false;
    for (size_t i = 0; i < words; i++) {
        uint32_t word;
        if (!read_hexadecimal((struct span){digits.at + i * WORD_DIGITS, WORD_DIGITS}, &word))
            return false;
        memcpy(address.at + (words == 1 ? 12 : 4 * i), &word, sizeof(word));
    }
    *ret_address = address;
    return true;
}

static bool is_any(const struct address *address) {
    static const struct address six = {.at = {0}};
    static const struct address four = {.at = {[10] = 0xff, [11] = 0xff}};
    return memcmp(address, &six, sizeof(six)) == 0 || memcmp(address, &four, sizeof(four)) == 0;
}

/* The address itself, or loopback where it listens on all. */
static void make_reachable(struct address *address) {
    if (!is_any(address))
        return;
    must(address_parse(address_is_v4(address) ? SPAN("127.0.0.1") : SPAN("::1"), address) >= 0);
}

static bool is_loopback(const struct address *address) {
    static const uint8_t six[16] = {[15] = 1};
    return (address_is_v4(address) && address->at[12] == 127) ||
           memcmp(address->at, six, sizeof(six)) == 0;
}

/* The next of the table's listeners on that port, cut off *table. */
static bool next_listener(struct span *table, uint16_t port, struct address *ret_address) {
    struct span line;
    while (next_line(table, &line)) {
        uint32_t number;
        (void)span_word(&line);
        struct span local = span_word(&line);
        (void)span_word(&line);
        if (!span_is(span_word(&line), "0A"))
            continue;
        struct span digits = span_cut(&local, ':');
        if (read_hexadecimal(local, &number) && number == port && read_address(digits, ret_address))
            return true;
    }
    return false;
}

static bool find(struct span table, uint16_t port, struct address *ret_address, bool *ret_is_open) {
    struct address address;
    bool is_found = false;
    *ret_is_open = false;
    while (next_listener(&table, port, &address)) {
        *ret_is_open = *ret_is_open || !is_loopback(&address);
        make_reachable(&address);
        if (!is_found || (is_loopback(&address) && !is_loopback(ret_address)))
            *ret_address = address;
        is_found = true;
    }
    return is_found;
}

bool listeners_hear(struct span table, uint16_t port, const struct address *address) {
    struct address one;
    while (next_listener(&table, port, &one))
        if (memcmp(&one, address, sizeof(one)) == 0 ||
            (is_any(&one) && (address_is_v4(address) || !address_is_v4(&one))))
            return true;
    return false;
}

bool listeners_find(struct span table, uint16_t port, struct address *ret_address) {
    bool is_open;
    return find(table, port, ret_address, &is_open);
}

bool listeners_find_open(struct span table, uint16_t port, struct address *ret_address) {
    bool is_open;
    return find(table, port, ret_address, &is_open) && is_open;
}
