/* Streams: see stream.h. Compression is libarchive's (raw format, any filter).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { KEPT_BYTES = 512 << 10 };

struct stream {
    int fd;
    struct archive *archive; /* NULL: plain */
    uint64_t position;       /* compressed: bytes given out or kept so far */
    size_t kept;             /* the last bytes before `position` */
    uint8_t *tail;
};

static int open_archive(struct stream *stream) {
    struct archive_entry *entry;
    stream->archive = archive_read_new();
    stream->tail = malloc(KEPT_BYTES);
    if (!stream->archive || !stream->tail)
        return -ENOMEM;
    archive_read_support_filter_gzip(stream->archive);
    archive_read_support_filter_xz(stream->archive);
    archive_read_support_filter_zstd(stream->archive);
    archive_read_support_filter_bzip2(stream->archive);
    archive_read_support_format_raw(stream->archive);
    archive_read_support_format_empty(stream->archive);
    if (archive_read_open_fd(stream->archive, stream->fd, 64 << 10) != ARCHIVE_OK)
        return -EIO;
    int result = archive_read_next_header(stream->archive, &entry);
    return result == ARCHIVE_OK || result == ARCHIVE_EOF ? 0 : -EIO;
}

int stream_open(int fd, bool is_compressed, struct stream **ret_stream) {
    struct stream *stream = calloc(1, sizeof(*stream));
    must(stream);
    stream->fd = fd;
    int error = is_compressed ? open_archive(stream) : 0;
    if (error < 0) {
        stream_free(stream);
        return error;
    }
    *ret_stream = stream;
    return 0;
}

struct stream *stream_free(struct stream *stream) {
    if (!stream)
        return NULL;
    archive_read_free(stream->archive);
    cleanup_close_fd(&stream->fd);
    free(stream->tail);
    free(stream);
    return NULL;
}

static void keep(struct stream *stream, const uint8_t *bytes, size_t length) {
    stream->position += length;
    if (length >= KEPT_BYTES) {
        memcpy(stream->tail, bytes + length - KEPT_BYTES, KEPT_BYTES);
        stream->kept = KEPT_BYTES;
        return;
    }
    size_t stay = stream->kept + length > KEPT_BYTES ? KEPT_BYTES - length : stream->kept;
    memmove(stream->tail, stream->tail + stream->kept - stay, stay);
    memcpy(stream->tail + stay, bytes, length);
    stream->kept = stay + length;
}

static ssize_t read_archive(struct stream *stream, uint64_t offset, uint8_t *into, size_t most) {
    static uint8_t skipped_bytes[64 << 10];
    while (stream->position < offset) {
        uint64_t left = offset - stream->position;
        size_t wanted = left < sizeof(skipped_bytes) ? (size_t)left : sizeof(skipped_bytes);
        la_ssize_t skipped = archive_read_data(stream->archive, skipped_bytes, wanted);
        if (skipped <= 0)
            return skipped < 0 ? -EIO : 0;
        keep(stream, skipped_bytes, (size_t)skipped);
    }
    size_t back = (size_t)(stream->position - offset);
    if (back > stream->kept)
        return -ESPIPE;
    size_t again = back < most ? back : most;
    memcpy(into, stream->tail + stream->kept - back, again);
    if (again == most)
        return (ssize_t)again;
    la_ssize_t got = archive_read_data(stream->archive, into + again, most - again);
    if (got < 0)
        return -EIO;
    keep(stream, into + again, (size_t)got);
    return (ssize_t)again + got;
}

ssize_t stream_read(struct stream *stream, uint64_t offset, void *into, size_t most) {
    if (stream->archive)
        return read_archive(stream, offset, into, most);
    ssize_t got;
    do
        got = pread(stream->fd, into, most, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

int stream_size(const struct stream *stream, uint64_t *ret_size) {
    struct stat status;
    if (stream->archive) {
        *ret_size = stream->position;
        return 0;
    }
    if (fstat(stream->fd, &status) < 0)
        return -errno;
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

int64_t stream_modified_us(const struct stream *stream) {
    struct stat status;
    if (fstat(stream->fd, &status) < 0)
        return 0;
    return (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
}

bool stream_is_plain(const struct stream *stream) {
    return !stream->archive;
}
