/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.c - a growable byte buffer, and a cursor that reads back what it wrote.
 *
 * Growth doubles, so appending n bytes costs O(n); the maximum given at the start is the only
 * way a buffer ends up refusing. Every append reserves first and copies then, so a failure leaves
 * the content as it was. The reader treats its bytes as hostile: each read compares with what is
 * left and never adds to a pointer before that. */
#include "base/buf.h"

#include <string.h>

#include "base/alloc.h"
#include "base/endian.h"

void oct_buf_init(oct_buf *buf, const oct_alloc *alloc, size_t bytes_max)
{
    *buf = (oct_buf){ .alloc = alloc, .bytes_max = bytes_max };
}

void oct_buf_deinit(oct_buf *buf)
{
    oct_free(buf->alloc, buf->at, buf->capacity);
    oct_buf_init(buf, buf->alloc, buf->bytes_max);
}

void oct_buf_clear(oct_buf *buf)
{
    buf->bytes = 0;
}

static oct_status grow(oct_buf *buf, size_t needed, oct_error *error)
{
    enum { CAPACITY_MIN = 64 };
    size_t doubled = buf->capacity > buf->bytes_max / 2 ? buf->bytes_max : buf->capacity * 2;
    size_t capacity = MIN(MAX(MAX(doubled, needed), CAPACITY_MIN), buf->bytes_max);
    void *at = buf->alloc->resize(buf->alloc->self, buf->at, buf->capacity, capacity);
    if (!at) return oct_fail_nomem(error, "a buffer");
    buf->at = at;
    buf->capacity = capacity;
    return OCT_OK;
}

oct_status oct_buf_reserve(oct_buf *buf, size_t more, oct_error *error)
{
    if (more <= buf->capacity - buf->bytes) return OCT_OK;
    if (more > buf->bytes_max - buf->bytes)
        return oct_fail(error, OCT_LIMIT, "a buffer would need more than its %zu bytes",
                        buf->bytes_max);
    return grow(buf, buf->bytes + more, error);
}

oct_status oct_buf_append(oct_buf *buf, const void *source, size_t bytes, oct_error *error)
{
    oct_status status = oct_buf_reserve(buf, bytes, error);
    if (status != OCT_OK) return status;
    if (bytes > 0) memcpy(buf->at + buf->bytes, source, bytes);
    buf->bytes += bytes;
    return OCT_OK;
}

oct_status oct_buf_append_zeros(oct_buf *buf, size_t bytes, oct_error *error)
{
    oct_status status = oct_buf_reserve(buf, bytes, error);
    if (status != OCT_OK) return status;
    if (bytes > 0) memset(buf->at + buf->bytes, 0, bytes);
    buf->bytes += bytes;
    return OCT_OK;
}

oct_status oct_buf_append_u8(oct_buf *buf, uint8_t value, oct_error *error)
{
    return oct_buf_append(buf, &value, sizeof value, error);
}

oct_status oct_buf_append_u32(oct_buf *buf, uint32_t value, oct_error *error)
{
    uint8_t bytes[sizeof value];
    oct_store_u32(bytes, value);
    return oct_buf_append(buf, bytes, sizeof bytes, error);
}

oct_status oct_buf_append_u64(oct_buf *buf, uint64_t value, oct_error *error)
{
    uint8_t bytes[sizeof value];
    oct_store_u64(bytes, value);
    return oct_buf_append(buf, bytes, sizeof bytes, error);
}

oct_status oct_buf_append_str(oct_buf *buf, oct_str text, oct_error *error)
{
    enum { LENGTH_BYTES = 4 };
    if (text.bytes > UINT32_MAX || text.bytes > SIZE_MAX - LENGTH_BYTES)
        return oct_fail(error, OCT_LIMIT, "a string of %zu bytes is too long to store", text.bytes);
    oct_status status = oct_buf_reserve(buf, LENGTH_BYTES + text.bytes, error);
    if (status != OCT_OK) return status;
    oct_store_u32(buf->at + buf->bytes, (uint32_t)text.bytes);
    if (text.bytes > 0) memcpy(buf->at + buf->bytes + LENGTH_BYTES, text.at, text.bytes);
    buf->bytes += LENGTH_BYTES + text.bytes;
    return OCT_OK;
}

oct_status oct_read_bytes(oct_reader *reader, size_t bytes, const uint8_t **out, const char *what,
                          oct_error *error)
{
    if (bytes > reader->bytes) {
        *out = NULL;
        return oct_fail(error, OCT_CORRUPT, "%s: %zu bytes expected, %zu left", what, bytes,
                        reader->bytes);
    }
    *out = reader->at;
    if (bytes > 0) reader->at += bytes; /* an empty reader may hold NULL */
    reader->bytes -= bytes;
    return OCT_OK;
}

oct_status oct_read_u8(oct_reader *reader, uint8_t *out, const char *what, oct_error *error)
{
    const uint8_t *at;
    oct_status status = oct_read_bytes(reader, sizeof *out, &at, what, error);
    *out = status == OCT_OK ? *at : 0;
    return status;
}

oct_status oct_read_u32(oct_reader *reader, uint32_t *out, const char *what, oct_error *error)
{
    const uint8_t *at;
    oct_status status = oct_read_bytes(reader, sizeof *out, &at, what, error);
    *out = status == OCT_OK ? oct_load_u32(at) : 0;
    return status;
}

oct_status oct_read_u64(oct_reader *reader, uint64_t *out, const char *what, oct_error *error)
{
    const uint8_t *at;
    oct_status status = oct_read_bytes(reader, sizeof *out, &at, what, error);
    *out = status == OCT_OK ? oct_load_u64(at) : 0;
    return status;
}

oct_status oct_read_str(oct_reader *reader, oct_str *out, const char *what, oct_error *error)
{
    oct_reader rest = *reader; /* so that a failure moves nothing */
    uint32_t bytes;
    const uint8_t *at = NULL;
    oct_status status = oct_read_u32(&rest, &bytes, what, error);
    if (status == OCT_OK) status = oct_read_bytes(&rest, bytes, &at, what, error);
    if (status != OCT_OK) {
        *out = (oct_str){ NULL, 0 };
        return status;
    }
    *out = (oct_str){ (const char *)at, bytes };
    *reader = rest;
    return OCT_OK;
}
