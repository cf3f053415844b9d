/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h - a growable byte buffer that can't be made without its maximum. */
#ifndef OCTANT_BASE_BUF_H
#define OCTANT_BASE_BUF_H

#include "base/check.h"
#include "octant/host.h"
#include "octant/types.h"

typedef struct oct_buf {
    const oct_alloc *alloc;
    uint8_t *at;
    size_t bytes;
    size_t capacity;
    size_t bytes_max;
} oct_buf;

void oct_buf_init(oct_buf *buf, const oct_alloc *alloc, size_t bytes_max);
void oct_buf_deinit(oct_buf *buf);
/* Keep the memory, forget the content. */
void oct_buf_clear(oct_buf *buf);

/* Make room for `more` bytes behind the content, so that appends up to it can't fail.
 * LIMIT beyond bytes_max, NOMEM; the content stays. */
OCT_MUST_CHECK oct_status oct_buf_reserve(oct_buf *buf, size_t more, oct_error *error);
OCT_MUST_CHECK oct_status oct_buf_append(oct_buf *buf, const void *source, size_t bytes,
                                         oct_error *error);
OCT_MUST_CHECK oct_status oct_buf_append_zeros(oct_buf *buf, size_t bytes, oct_error *error);
/* Little-endian integers. */
OCT_MUST_CHECK oct_status oct_buf_append_u8(oct_buf *buf, uint8_t value, oct_error *error);
OCT_MUST_CHECK oct_status oct_buf_append_u32(oct_buf *buf, uint32_t value, oct_error *error);
OCT_MUST_CHECK oct_status oct_buf_append_u64(oct_buf *buf, uint64_t value, oct_error *error);
/* u32 length, then the bytes. */
OCT_MUST_CHECK oct_status oct_buf_append_str(oct_buf *buf, oct_str text, oct_error *error);

/* A cursor that reads what the functions above wrote, from hostile bytes: each read checks the
 * rest and answers CORRUPT naming `what`. */
typedef struct oct_reader {
    const uint8_t *at;
    size_t bytes; /* left */
} oct_reader;

OCT_MUST_CHECK oct_status oct_read_bytes(oct_reader *reader, size_t bytes, const uint8_t **out,
                                         const char *what, oct_error *error);
OCT_MUST_CHECK oct_status oct_read_u8(oct_reader *reader, uint8_t *out, const char *what,
                                      oct_error *error);
OCT_MUST_CHECK oct_status oct_read_u32(oct_reader *reader, uint32_t *out, const char *what,
                                       oct_error *error);
OCT_MUST_CHECK oct_status oct_read_u64(oct_reader *reader, uint64_t *out, const char *what,
                                       oct_error *error);
OCT_MUST_CHECK oct_status oct_read_str(oct_reader *reader, oct_str *out, const char *what,
                                       oct_error *error);

#endif
