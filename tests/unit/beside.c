/* What stands beside a source: see beside.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "beside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

struct beside beside;
char trail[1 << 16];
static size_t trail_length;

void beside_begin(void) {
    memset(&beside, 0, sizeof(beside));
    trail_length = 0;
    trail[0] = '\0';
}

void beside_restart(void) {
    beside.position = beside.committed;
    beside.lost = beside.committed_lost;
    beside.start_count = beside.request_count = 0;
    beside.sight_is_due = false;
}

static void add_request(struct request request) {
    assert_true(beside.request_count < REQUESTS);
    beside.requests[beside.request_count++] = request;
}

void beside_ask_open(void *context, uint16_t sibling, uint32_t ticket) {
    (void)context;
    add_request((struct request){false, sibling, ticket});
}

void beside_ask_list(void *context) {
    (void)context;
    add_request((struct request){.is_list = true});
}

void beside_tell_sight(void *context, uint64_t mark, uint64_t start, struct span identity) {
    (void)context;
    assert_false(beside.position.is_known);
    assert_true(identity.length <= 256);
    beside.position.is_known = 1;
    beside.position.mark = mark;
    beside.position.done = beside.position.resume = start;
    wire_set_bytes(beside.position.done_identity, identity);
    wire_set_bytes(beside.position.resume_identity, identity);
    beside.sight_is_due = true;
}

bool beside_next_request(struct request *ret_request) {
    if (beside.request_count == 0)
        return false;
    *ret_request = beside.requests[0];
    memmove(beside.requests, beside.requests + 1,
            --beside.request_count * sizeof(beside.requests[0]));
    return true;
}

static int newest_first(const void *a, const void *b) {
    const struct wire_sibling *one = a;
    const struct wire_sibling *other = b;
    return (one->modified_us < other->modified_us) - (one->modified_us > other->modified_us);
}

void beside_sort_listed(void) {
    qsort(beside.listed, beside.listed_count, sizeof(beside.listed[0]), newest_first);
}

void beside_note_start(uint64_t start) {
    if (beside.start_count == STARTS)
        memmove(beside.starts, beside.starts + 1,
                --beside.start_count * sizeof(beside.starts[0]));
    beside.starts[beside.start_count++] = start;
}

bool beside_commit(void) {
    bool is_sight = beside.sight_is_due;
    beside.committed = beside.position;
    beside.committed_lost = beside.lost;
    beside.sight_is_due = false;
    return is_sight;
}

void note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(trail + trail_length, sizeof(trail) - trail_length, format, arguments);
    va_end(arguments);
    if (added > 0 && trail_length + (size_t)added < sizeof(trail))
        trail_length += (size_t)added;
}

void play_all(int64_t last, void (*play)(uint64_t number)) {
    const char *only = getenv("HAUBERK_SEED");
    const char *many = getenv("HAUBERK_PLAYS");
    int64_t first = 1;
    if (only && span_to_integer(span_of(only), 1, INT64_MAX, &first) >= 0)
        last = first;
    else if (many)
        assert_true(span_to_integer(span_of(many), 1, INT64_MAX, &last) >= 0);
    for (int64_t number = first; number <= last; number++)
        play((uint64_t)number);
}
