/* Heads of files: see identity.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/identity.h"

static size_t step_length(unsigned step) {
    return (size_t)64 << step;
}

static uint64_t step_digest(struct span head, unsigned step) {
    struct digest digest = digest_of((struct span){head.at, step_length(step)});
    uint64_t short_digest;
    memcpy(&short_digest, digest.at, sizeof(short_digest));
    return short_digest;
}

static void set_head(struct identity *identity, struct span head) {
    identity->head = digest_of(head);
    identity->head_length = (uint32_t)head.length;
    for (unsigned step = 0; step < HEAD_STEPS; step++)
        identity->steps[step] = step_length(step) <= head.length ? step_digest(head, step) : 0;
}

void identity_read_head(struct identity *identity, struct stream *stream) {
    char head[FILE_HEAD_BYTES];
    ssize_t got = stream_read(stream, 0, head, sizeof(head));
    set_head(identity, (struct span){head, got > 0 ? (size_t)got : 0});
}

static bool head_matches(struct span head, const struct identity *identity) {
    if (identity->head_length == 0 || head.length < identity->head_length)
        return false;
    struct digest digest = digest_of((struct span){head.at, identity->head_length});
    return digest_equals(&digest, &identity->head);
}

bool identity_fits(const struct identity *identity, struct stream *stream) {
    char head[FILE_HEAD_BYTES];
    ssize_t got = stream_read(stream, 0, head, sizeof(head));
    return got > 0 && head_matches((struct span){head, (size_t)got}, identity);
}

bool identity_fits_cut(const struct identity *identity, struct stream *stream) {
    char head[FILE_HEAD_BYTES];
    ssize_t got = stream_read(stream, 0, head, sizeof(head));
    if (got <= 0 || (size_t)got >= identity->head_length)
        return false;
    for (unsigned step = HEAD_STEPS; step-- > 0;)
        if (step_length(step) <= (size_t)got)
            return step_digest((struct span){head, (size_t)got}, step) == identity->steps[step];
    return false; /* too short to be known again */
}

void identity_lengthen_head(struct identity *identity, struct stream *stream, uint64_t size) {
    char head[FILE_HEAD_BYTES];
    if (identity->head_length >= FILE_HEAD_BYTES || identity->head_length >= size ||
        !stream_is_plain(stream))
        return;
    ssize_t got = stream_read(stream, 0, head, size < sizeof(head) ? (size_t)size : sizeof(head));
    if (got > (ssize_t)identity->head_length &&
        (identity->head_length == 0 || head_matches((struct span){head, (size_t)got}, identity)))
        set_head(identity, (struct span){head, (size_t)got});
}

struct identity identity_from(struct span bytes) {
    struct identity identity = {0};
    if (bytes.length == sizeof(identity))
        memcpy(&identity, bytes.at, sizeof(identity));
    if (identity.version != IDENTITY_VERSION || identity.head_length > FILE_HEAD_BYTES)
        identity = (struct identity){0};
    return identity;
}

bool identity_equals(const struct identity *a, const struct identity *b) {
    return a->base == b->base && digest_equals(&a->head, &b->head);
}

bool streams_have_same_head(struct stream *a, struct stream *b) {
    struct identity identity = {0};
    identity_read_head(&identity, a);
    return identity_fits(&identity, b);
}
