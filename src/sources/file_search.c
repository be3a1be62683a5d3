/* Finding a file by its identity: at the path, else among the rotated siblings, whose heads are
 * compared one after the other; and beginning to read what was found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/file_inside.h"

#include "base/log.h"

void file_ask_open(struct file_source *file, uint16_t sibling) {
    file->calls.ask_open(file->context, sibling, ++file->ticket);
}

bool file_wants(const struct file_source *file) {
    return file->wanted.head_length > 0 || file->wanted.inode != 0;
}

bool file_is_wanted(const struct file_source *file, struct stream *stream,
                    const struct wire_opened *opened) {
    if (file->wanted.head_length > 0)
        return identity_fits(&file->wanted, stream);
    return opened->inode == file->wanted.inode && opened->device == file->wanted.device;
}

bool file_is_next(const struct file_source *file, uint64_t device, uint64_t inode) {
    return file->next && inode == file->next_facts.inode && device == file->next_facts.device;
}

void file_look_at_path(struct file_source *file) {
    if (file->phase != PHASE_READING && file->phase != PHASE_ABSENT) {
        file->look_pending = true;
        return;
    }
    file->look_pending = false;
    if (file->phase != PHASE_READING)
        file->phase = PHASE_LOOKING;
    file->is_looking = true;
    file_ask_open(file, 0);
}

void file_start_search(struct file_source *file, bool is_moving_on) {
    file->phase = PHASE_SEARCHING;
    file->is_moving_on = is_moving_on;
    file->siblings.count = file->relists = 0;
    if (file->is_looking) { /* that answer would come amid the search: look again afterwards */
        file->is_looking = false;
        file->look_pending = true;
        file->ticket++;
    }
    file->calls.ask_list(file->context);
}

void file_begin_reading(struct file_source *file, struct stream *stream,
                        const struct identity *identity, uint64_t offset) {
    stream_free(file->stream);
    file->stream = stream;
    file->offset = offset;
    file->is_in_long_line = false;
    file->is_sibling = file->is_final = false;
    file->gone_us = 0;
    file->phase = PHASE_READING;
    file_add_segment(file, identity);
    log_debug("reading inode %llu from offset %llu, which is ordinal %llu",
              (unsigned long long)identity->inode, (unsigned long long)offset,
              (unsigned long long)(identity->base + offset));
    if (file->look_pending)
        file_look_at_path(file);
}

/* A file from its beginning, behind everything read so far. */
void file_begin_new(struct file_source *file, struct stream *stream, uint64_t device,
                    uint64_t inode) {
    uint64_t base = file_source_done(file);
    bool is_last = !file->is_moving_on; /* the path's: no other file comes in between */
    bool holds_done = identity_fits(&file->done_in, stream);
    if (is_last && !holds_done && file->done_in.version && base < file->known_done) {
        /* The file that held `done` is gone:
         * what was read of it must not be counted in this one. */
        uint64_t end = file->done_in.base + file->done_in.seen_size;
        file->lost += end > file->known_done ? end - file->known_done : 0;
        base = file->known_done;
    }
    struct identity identity = {.version = IDENTITY_VERSION, .base = base, .device = device,
                                .inode = inode};
    identity_read_head(&identity, stream);
    /* Where a restart left `done` in this very file, its base is the one noted then. */
    if (holds_done)
        identity.base = file->done_in.base;
    if (holds_done || is_last)
        file->done_in = (struct identity){0};
    file_begin_reading(file, stream, &identity, 0);
}

/* Going on in the file we wanted. If it is shorter than what was read of it, with its head
 * unchanged, its tail was lost in a power cut: `done` is then at its end, and the ordinals of what
 * is left move so that they still end at what was done. A session may have begun in a file that is
 * gone: then all of this one is read again for it. */
void file_begin_wanted(struct file_source *file, struct stream *stream, uint64_t device,
                       uint64_t inode) {
    struct identity identity = file->wanted;
    bool holds_done = !file->done_in.version || identity_equals(&identity, &file->done_in);
    uint64_t ordinal = holds_done ? file->known_done : file->wanted_ordinal;
    uint64_t end = ordinal > identity.base ? ordinal - identity.base : 0;
    uint64_t offset = file->wanted_ordinal > identity.base ? file->wanted_ordinal - identity.base
                                                           : 0;
    uint64_t size = 0;
    char before = '\n';
    identity.device = device;
    identity.inode = inode;
    if (stream_is_plain(stream) && stream_size(stream, &size) >= 0 && size < end) {
        file->lost += end - size;
        identity.base = ordinal - size;
        identity.seen_size = size;
        offset = offset < size ? offset : size;
        if (size < identity.head_length)
            identity_read_head(&identity, stream);
    } else if (offset > 0) {
        (void)!stream_read(stream, offset - 1, &before, 1);
    }
    if (holds_done)
        file->done_in = (struct identity){0};
    file->wanted = (struct identity){0};
    file_begin_reading(file, stream, &identity, offset);
    file->is_in_long_line = before != '\n'; /* `done` lies within a line too long to be told */
}

static void give_up_search(struct file_source *file) {
    bool knows_another = !file->is_moving_on && file->done_in.head_length &&
                         !digest_equals(&file->done_in.head, &file->wanted.head);
    if (knows_another) { /* where sessions began is gone; where we had read to may be there */
        file->wanted = file->done_in;
        file->wanted_ordinal = file->known_done;
        stream_free(take_pointer(file->next));
        file->phase = PHASE_ABSENT;
        file_look_at_path(file);
        return;
    }
    if (!file->is_moving_on && file->wanted.head_length) {
        const struct identity *last = file->done_in.head_length ? &file->done_in : &file->wanted;
        uint64_t end = last->base + last->seen_size;
        uint64_t gone = end > file->known_done ? end - file->known_done : 0;
        file->lost += gone;
        int64_t modified_us = last->modified_us;
        log_warning("the log read before is gone (%llu bytes of it unread); going on with "
                    "the next one",
                    (unsigned long long)gone);
        file->wanted = (struct identity){0};
        file->done_in = (struct identity){0};
        file->segment_count = 0;
        file->gone_us = modified_us;
        if (modified_us) { /* but what was rotated after it may be there */
            file_start_search(file, true);
            return;
        }
    }
    file->is_moving_on = false;
    file->phase = PHASE_ABSENT;
    if (file->next) {
        struct stream *next = take_pointer(file->next);
        file_begin_new(file, next, file->next_facts.device, file->next_facts.inode);
    } else {
        file_look_at_path(file);
    }
}

static bool was_read(const struct file_source *file, struct stream *stream) {
    for (uint32_t i = 0; i < file->segment_count; i++)
        if (identity_fits(&file->segments[i].identity, stream))
            return true;
    for (uint32_t i = 0; i < FINISHED_KEPT; i++)
        if (identity_fits(&file->finished[i], stream))
            return true;
    return false;
}

/* It is no longer what the path names: that is to be looked at again. */
static void drop_next(struct file_source *file) {
    file->next = stream_free(file->next);
    file->look_pending = true;
}

/* The file that was read last, as the list names it. */
static struct wire_sibling finished_sibling(struct file_source *file) {
    if (file->gone_us)
        return (struct wire_sibling){.modified_us = file->gone_us};
    const struct identity *identity = &file_current(file)->identity;
    return siblings_find(&file->siblings, identity->device, identity->inode,
                         stream_modified_us(file->stream));
}

/* The next sibling worth opening, -1 for none: all of them when looking for an identity (newest
 * first); when moving on, those rotated after the file just finished, oldest first. */
static int choose_sibling(struct file_source *file) {
    int chosen = -1;
    struct wire_sibling here = file->is_moving_on ? finished_sibling(file)
                                                  : (struct wire_sibling){0};
    for (uint32_t i = 0; i < file->siblings.count; i++) {
        const struct wire_sibling *one = &file->siblings.at[i];
        if (file->tried >> i & 1)
            continue;
        if (!file->is_moving_on && !sibling_is_half_made(&file->siblings, one))
            return (int)i;
        if (file->is_moving_on && sibling_is_later(&file->siblings, one, &here) &&
            (chosen < 0 || sibling_is_newer(&file->siblings.at[chosen], one)))
            chosen = (int)i;
    }
    return chosen;
}

static void ask_next_sibling(struct file_source *file) {
    int chosen = choose_sibling(file);
    if (chosen < 0) {
        give_up_search(file);
        return;
    }
    file->tried |= UINT64_C(1) << chosen;
    file_ask_open(file, (uint16_t)(chosen + 1));
}

void file_search_listed(struct file_source *file) {
    const struct wire_sibling *siblings = file->siblings.at;
    file->tried = 0;
    for (uint32_t i = 0; file->is_moving_on && i < file->siblings.count; i++)
        if (file_is_next(file, siblings[i].device, siblings[i].inode))
            drop_next(file); /* rotated meanwhile: its turn comes in the row */
    ask_next_sibling(file);
}

/* Is it another one than the list says? An inode alone does not tell: that of a file just
 * compressed is free for the next one. */
bool file_was_renamed(const struct wire_sibling *sibling, const struct wire_opened *opened,
                      const struct stream *stream) {
    return opened->error || opened->inode != sibling->inode ||
           (stream && stream_modified_us(stream) != sibling->modified_us);
}

void file_sibling_opened(struct file_source *file, const struct wire_opened *opened, int fd) {
    const struct wire_sibling *sibling = &file->siblings.at[opened->sibling - 1];
    struct stream *stream = NULL;
    if (fd >= 0 &&
        stream_open(fd, compressed_ending(wire_bytes(sibling->path)) > 0, &stream) < 0)
        stream = NULL;
    if (file_was_renamed(sibling, opened, stream) &&
        file->relists < RELISTS_MAX) { /* rotated under our hands: list again */
        stream_free(stream);
        file->relists++;
        file->calls.ask_list(file->context);
        return;
    }
    if (!stream) {
        ask_next_sibling(file);
        return;
    }
    bool is_it = file->is_moving_on
                     ? !was_read(file, stream) && !file_is_next(file, opened->device, opened->inode)
                     : file_is_wanted(file, stream, opened);
    if (!is_it) {
        stream_free(stream);
        ask_next_sibling(file);
        return;
    }
    if (file->is_moving_on && file->next && streams_have_same_head(file->next, stream))
        drop_next(file); /* it was rotated and compressed meanwhile: this is it */
    if (file->is_moving_on)
        file_begin_new(file, stream, opened->device, opened->inode);
    else
        file_begin_wanted(file, stream, opened->device, opened->inode);
    file->is_sibling = true;
    file->is_final = !stream_is_plain(stream) || siblings_have_later(&file->siblings, sibling);
    file->is_moving_on = false;
}
