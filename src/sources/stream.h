/* Bytes of a log file by offset, whether it lies there plain or compressed (gzip, xz, zstd, bzip2).
 * Plain files are read at any offset; compressed ones only forwards, with the last block kept so
 * that an incomplete last line can be asked for again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"

struct stream;

/* Takes the descriptor. `is_compressed`: look for a compression, else plain whatever it holds.
 * -errno and the descriptor closed on failure. */
must_use int stream_open(int fd, bool is_compressed, struct stream **ret_stream);
struct stream *stream_free(struct stream *stream);

/* Up to `most` bytes from `offset`; 0 at the end, -errno. Compressed: offset not before the start
 * of the last block read, else -ESPIPE. */
ssize_t stream_read(struct stream *stream, uint64_t offset, void *into, size_t most);

/* Size now; for compressed streams what has been read so far. -errno. */
int stream_size(const struct stream *stream, uint64_t *ret_size);
/* When the file was last changed, 0 when that cannot be told. */
int64_t stream_modified_us(const struct stream *stream);
bool stream_is_plain(const struct stream *stream);
