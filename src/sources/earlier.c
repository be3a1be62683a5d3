/* Looking back: see earlier.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/earlier.h"

#include "base/clock.h"
#include "base/log.h"

#define LOOK_BACK_US (30 * DAY_US) /* as long as a login is remembered */
enum { USUAL_RATIO = 10 };         /* logs become 8 to 15 times smaller */

static uint64_t likely_size(const struct wire_sibling *sibling) {
    return compressed_ending(wire_bytes(sibling->path)) ? sibling->size * USUAL_RATIO
                                                        : sibling->size;
}

/* The file we follow itself, renamed since it was sighted; NULL: it is none of them. */
static const struct wire_sibling *find_present(const struct siblings *siblings,
                                               const struct identity *present) {
    for (uint32_t i = 0; present->inode && i < siblings->count; i++)
        if (siblings->at[i].inode == present->inode && siblings->at[i].device == present->device)
            return &siblings->at[i];
    return NULL;
}

/* Into files[], newest first. */
static void sort_in(struct earlier *earlier, const struct wire_sibling *sibling) {
    uint32_t place = earlier->count++;
    while (place > 0 && sibling_is_newer(sibling, &earlier->files[place - 1].facts)) {
        earlier->files[place] = earlier->files[place - 1];
        place--;
    }
    earlier->files[place] = (struct earlier_file){.facts = *sibling};
}

/* What there is no time for is the oldest: of a plain file its beginning, of others all. */
static void keep_newest(struct earlier *earlier, uint64_t room) {
    uint32_t kept = 0;
    while (kept < earlier->count && room > 0) {
        struct earlier_file *file = &earlier->files[kept];
        uint64_t size = likely_size(&file->facts);
        bool is_plain = size == file->facts.size;
        if (size > room && !is_plain)
            break;
        if (size > room)
            file->start = size - room;
        room -= size < room ? size : room;
        kept++;
    }
    if (kept < earlier->count)
        log_notice("what %.*s and older logs of its row hold is not looked at: it is too much",
                   SPAN_FORMAT(wire_bytes(earlier->files[kept].facts.path)));
    earlier->count = kept;
}

static void turn_round(struct earlier *earlier) {
    for (uint32_t i = 0; i < earlier->count / 2; i++) {
        struct earlier_file one = earlier->files[i];
        earlier->files[i] = earlier->files[earlier->count - 1 - i];
        earlier->files[earlier->count - 1 - i] = one;
    }
}

void earlier_choose(struct earlier *earlier, const struct siblings *siblings,
                    const struct identity *present, uint64_t size, int64_t now_us) {
    const struct wire_sibling *itself = find_present(siblings, present);
    *earlier = (struct earlier){0};
    for (uint32_t i = 0; i < siblings->count; i++) {
        const struct wire_sibling *one = &siblings->at[i];
        if (sibling_is_rotated(siblings, one) && one != itself && one->size > 0 &&
            one->modified_us >= now_us - LOOK_BACK_US &&
            !(itself && sibling_is_newer(one, itself)))
            sort_in(earlier, one);
    }
    keep_newest(earlier, size < EARLIER_BYTES ? EARLIER_BYTES - size : 0);
    turn_round(earlier);
}

bool earlier_is_over(const struct earlier *earlier) {
    return earlier->at >= earlier->count;
}

int earlier_find(const struct earlier *earlier, const struct siblings *siblings) {
    const struct wire_sibling *wanted = &earlier->files[earlier->at].facts;
    struct wire_sibling found =
        siblings_find(siblings, wanted->device, wanted->inode, wanted->modified_us);
    for (uint32_t i = 0; found.inode && i < siblings->count; i++)
        if (siblings->at[i].inode == found.inode && siblings->at[i].device == found.device)
            return (int)i;
    return -1;
}

void earlier_begin(struct earlier *earlier, struct stream *stream) {
    earlier->stream = stream;
    earlier->offset = earlier->files[earlier->at].start;
    earlier->is_in_long_line = earlier->offset > 0; /* begin with a whole line */
}

void earlier_next(struct earlier *earlier) {
    earlier->stream = stream_free(earlier->stream);
    earlier->offset = 0;
    earlier->at++;
}

void earlier_end(struct earlier *earlier) {
    earlier->stream = stream_free(earlier->stream);
    earlier->count = earlier->at = 0;
}

uint64_t earlier_ordinal(const struct earlier *earlier) {
    uint64_t base = EARLIER_ROOM - (earlier->count - earlier->at) * EARLIER_FILE_ROOM;
    if (earlier_is_over(earlier))
        return EARLIER_ROOM;
    return base + (earlier->stream ? earlier->offset : earlier->files[earlier->at].start);
}

uint64_t earlier_left(const struct earlier *earlier) {
    uint64_t left = 0;
    for (uint32_t i = earlier->at; i < earlier->count; i++) {
        uint64_t size = likely_size(&earlier->files[i].facts);
        uint64_t read = i == earlier->at && earlier->stream ? earlier->offset
                                                            : earlier->files[i].start;
        left += size > read ? size - read : 0;
    }
    return left;
}

struct span earlier_path(const struct earlier *earlier) {
    return wire_bytes(earlier->files[earlier->at].facts.path);
}
