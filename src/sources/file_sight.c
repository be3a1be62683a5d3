/* First sight of a log, and what was rotated before we came: it is read for memory (earlier.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/file_inside.h"

#include <errno.h>

#include "base/log.h"

/* The mark is where the file ends now; a bounded part before it is read for memory, and of a log
 * that is not new what was rotated before we came. */
void file_tell_sight(struct file_source *file) {
    struct identity *identity = &file->wanted;
    uint64_t size = file->is_fresh ? 0 : identity->seen_size;
    uint64_t start = size > EARLIER_BYTES ? size - EARLIER_BYTES : 0;
    file->offset = start;
    if (!earlier_is_over(&file->earlier)) {
        identity->base = EARLIER_ROOM;
        start = earlier_ordinal(&file->earlier);
    }
    file->wanted_ordinal = identity->base + file->offset;
    file->phase = PHASE_SIGHTING;
    file->calls.tell_sight(file->context, identity->base + size, start,
                           (struct span){(const char *)identity, sizeof(*identity)});
}

void file_sight(struct file_source *file, struct stream *stream, const struct wire_opened *opened) {
    struct identity identity = {.version = IDENTITY_VERSION};
    uint64_t size = 0;
    if (stream && stream_size(stream, &size) >= 0) {
        identity.device = opened->device;
        identity.inode = opened->inode;
        identity.seen_size = size;
        identity.modified_us = stream_modified_us(stream);
        identity_read_head(&identity, stream);
    }
    file->wanted = identity;
    stream_free(file->stream);
    file->stream = stream;
    if (file->is_fresh) {
        file_tell_sight(file);
        return;
    }
    file->phase = PHASE_LISTING;
    file->calls.ask_list(file->context);
}

/* Now the log itself. */
static void begin_sighted(struct file_source *file) {
    struct stream *stream = take_pointer(file->stream);
    struct identity identity = file->wanted;
    uint64_t start = file->wanted_ordinal - identity.base;
    file->wanted = (struct identity){0};
    file->segment_count = 0;
    if (stream) {
        file_begin_reading(file, stream, &identity, start);
        file->is_in_long_line = start > 0; /* begin with a whole line */
        return;
    }
    file_add_segment(file, &identity);
    file->phase = PHASE_ABSENT;
    if (file->look_pending)
        file_look_at_path(file);
}

/* All of them were read: `done` moves to where the log itself begins. */
static void end_earlier(struct file_source *file) {
    earlier_end(&file->earlier);
    file->calls.tell_turn(file->context);
    if (!file->goes_on_earlier) {
        begin_sighted(file);
        return;
    }
    file->goes_on_earlier = false;
    if (file->wanted.head_length > 0)
        file->segment_count = 0;
    file->phase = PHASE_ABSENT;
    file_look_at_path(file);
}

void file_open_earlier(struct file_source *file) {
    for (; !earlier_is_over(&file->earlier); earlier_next(&file->earlier)) {
        int entry = earlier_find(&file->earlier, &file->siblings);
        if (entry >= 0) {
            file_ask_open(file, (uint16_t)(entry + 1));
            return;
        }
        log_notice("%.*s is gone before it could be looked at",
                   SPAN_FORMAT(earlier_path(&file->earlier)));
    }
    end_earlier(file);
}

void file_earlier_opened(struct file_source *file, const struct wire_opened *opened, int fd) {
    const struct wire_sibling *sibling = &file->siblings.at[opened->sibling - 1];
    struct stream *stream = NULL;
    int error = fd < 0 ? -(int)opened->error
                       : stream_open(fd, compressed_ending(wire_bytes(sibling->path)) > 0, &stream);
    if (file_was_renamed(sibling, opened, stream) && file->relists < RELISTS_MAX) {
        stream_free(stream);
        file->relists++;
        file->calls.ask_list(file->context);
        return;
    }
    if (stream && identity_fits(&file->wanted, stream)) { /* compressed since we sighted it */
        stream_free(stream);
        end_earlier(file);
        return;
    }
    if (stream) {
        log_debug("looking back into %.*s", SPAN_FORMAT(earlier_path(&file->earlier)));
        earlier_begin(&file->earlier, stream);
        return;
    }
    log_warning("%.*s cannot be looked at: %s", SPAN_FORMAT(earlier_path(&file->earlier)),
                fd < 0 ? strerror(-error) : "it is damaged");
    earlier_next(&file->earlier);
    file_open_earlier(file);
}

void file_sighted(struct file_source *file) {
    if (file->phase != PHASE_SIGHTING)
        return;
    if (earlier_is_over(&file->earlier)) {
        begin_sighted(file);
        return;
    }
    file_add_segment(file, &file->wanted); /* all that is told until then is in front of it */
    file->phase = PHASE_EARLIER;
    file->relists = 0;
    file_open_earlier(file);
}

/* What is damaged, or far too long, ends that file and no more than that. */
bool file_earlier_turn(struct file_source *file) {
    struct earlier *earlier = &file->earlier;
    if (!earlier->stream)
        return false;
    bool is_endless = earlier->offset + sizeof(file->buffer) > EARLIER_FILE_ROOM;
    ssize_t got = is_endless ? -EFBIG
                             : stream_read(earlier->stream, earlier->offset, file->buffer,
                                           sizeof(file->buffer));
    if (got < 0)
        log_warning("%.*s cannot be read to its end (%s); %llu bytes of it were",
                    SPAN_FORMAT(earlier_path(earlier)),
                    got == -EFBIG ? "it is too long" : "it is damaged",
                    (unsigned long long)earlier->offset);
    size_t used = got > 0 ? file_tell_block(file, (struct span){file->buffer, (size_t)got},
                                            earlier_ordinal(earlier), &earlier->is_in_long_line)
                          : 0;
    earlier->offset += used;
    if (used > 0) {
        file->calls.tell_turn(file->context);
        return true;
    }
    earlier_next(earlier);
    file_open_earlier(file);
    return file->phase == PHASE_READING;
}
