/* SPDX-License-Identifier: Apache-2.0
 *
 * sealed_cold.c - parts of a sealed segment that stay in its file (the config says which: `memory`
 * and its older names), and the reading of versions and payloads, wherever they are.
 *
 * Rows that are cold are read one by one, or 64 KiB at a time by scans (index/flat.c), straight
 * into the memory of who asks: there is no cache of rows, since the system has one of pages, and a
 * search rescores other rows each time. Where no vector keeps its rows in memory, memory is
 * dear: the version and the end of the payload of each point, 16 bytes of which a search reads
 * those of its answers only, stay on disk, too.
 *
 * Payloads that are cold stay mapped where the vfs can do that: the system drops what is not used.
 * Elsewhere they are read one by one; filters without an index go over all of them in order, so a
 * read that goes on where the last one ended takes a window of 64 KiB. */
#include "segment/sealed_cold.h"

#include <string.h>

#include "base/alloc.h"

enum { WINDOW_BYTES = 64 << 10, WINDOW_GAP_BYTES = 4096, PIECE_ITEMS = 256 };

/* The bytes of the payload section last read. */
struct oct_sealed_window {
    oct_mutex mutex;
    uint64_t from;
    size_t bytes;
    uint8_t memory[WINDOW_BYTES];
};

static oct_status corrupt(const oct_sealed *segment, const char *what, oct_error *error)
{
    return oct_fail(error, OCT_CORRUPT, "%s: %s", segment->path, what);
}

/* ---- versions and ends --------------------------------------------------------------------- */

oct_status oct_sealed_leave_ends(oct_sealed *segment, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t end = 0, wanted = (uint64_t)segment->count * sizeof end;
    TRY(oct_container_place(segment->container, OCT_SECTION_VERSIONS, 0, &segment->versions_place,
                            error));
    TRY(oct_container_place(segment->container, OCT_SECTION_PAYLOAD_END, 0, &segment->ends_place,
                            error));
    if (segment->versions_place.bytes != wanted || segment->ends_place.bytes != wanted)
        return corrupt(segment, "a section has the wrong size", error);
    for (uint32_t i = 0, count; i < segment->count; i += count) {
        uint64_t ends[PIECE_ITEMS];
        count = MIN((uint32_t)PIECE_ITEMS, segment->count - i);
        TRY(oct_container_read(&segment->ends_place, i * sizeof *ends, ends, count * sizeof *ends,
                               error));
        for (uint32_t j = 0; j < count; j++) {
            if (ends[j] < end) return corrupt(segment, "payloads overlap", error);
            end = ends[j];
        }
    }
    segment->payload_bytes = end;
done:
    return status;
}

oct_status oct_sealed_version(const oct_sealed *segment, uint32_t offset, uint64_t *out,
                              oct_error *error)
{
    if (!segment->versions)
        return oct_container_read(&segment->versions_place, (uint64_t)offset * sizeof *out, out,
                                  sizeof *out, error);
    *out = segment->versions[offset];
    return OCT_OK;
}

/* Where the payload of a point begins, and how long it is. */
static oct_status payload_span(const oct_sealed *segment, uint32_t offset, uint64_t *start,
                               size_t *bytes, oct_error *error)
{
    uint64_t ends[2] = { 0, 0 }; /* of the point before, and of this one */
    uint32_t first = offset ? offset - 1 : 0, count = offset ? 2 : 1;
    if (segment->payload_ends) {
        memcpy(ends + 2 - count, segment->payload_ends + first, count * sizeof *ends);
    } else {
        oct_status status = oct_container_read(&segment->ends_place, first * sizeof *ends,
                                               ends + 2 - count, count * sizeof *ends, error);
        if (status != OCT_OK) return status;
        /* They were in order at opening; the file may have changed since. */
        if (ends[1] < ends[0] || ends[1] > segment->payload_bytes)
            return corrupt(segment, "payloads overlap", error);
    }
    *start = ends[0];
    if (ends[1] - ends[0] > SIZE_MAX) return oct_fail_nomem(error, "a payload");
    *bytes = (size_t)(ends[1] - ends[0]);
    return OCT_OK;
}

/* ---- payloads ------------------------------------------------------------------------------ */

oct_status oct_sealed_leave_payloads(oct_sealed *segment, uint64_t *bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_container_place(segment->container, OCT_SECTION_PAYLOADS, 0, &segment->payloads_place,
                            error));
    *bytes = segment->payloads_place.bytes;
    segment->window = oct_new_zeroed(segment->host->alloc, sizeof *segment->window);
    if (!segment->window) TRY(oct_fail_nomem(error, "a window"));
    status = oct_mutex_init(&segment->window->mutex);
    if (status == OCT_OK) return OCT_OK;
    oct_free(segment->host->alloc, segment->window, sizeof *segment->window);
    segment->window = NULL;
    TRY(oct_fail_nomem(error, "a window"));
done:
    return status;
}

void oct_sealed_cold_deinit(oct_sealed *segment)
{
    if (!segment->window) return;
    oct_mutex_deinit(&segment->window->mutex);
    oct_free(segment->host->alloc, segment->window, sizeof *segment->window);
}

static oct_status read_window(const oct_sealed *segment, uint64_t start, void *target, size_t bytes,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_section_place *place = &segment->payloads_place;
    struct oct_sealed_window *window = segment->window;
    uint64_t end = window->from + window->bytes;
    if (start >= window->from && start <= end && bytes <= end - start) {
        memcpy(target, window->memory + (start - window->from), bytes);
        return OCT_OK;
    }
    bool onward = start >= end && start - end <= WINDOW_GAP_BYTES && bytes <= WINDOW_BYTES;
    window->from = start + bytes;
    window->bytes = 0;
    if (!onward) return oct_container_read(place, start, target, bytes, error);
    size_t most = (size_t)MIN((uint64_t)WINDOW_BYTES, place->bytes - start);
    TRY(oct_container_read(place, start, window->memory, most, error));
    window->from = start;
    window->bytes = most;
    memcpy(target, window->memory, bytes);
done:
    return status;
}

oct_status oct_sealed_payload(const oct_sealed *segment, uint32_t offset, oct_arena *arena,
                              oct_str *out, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t start = 0;
    char *text;
    *out = (oct_str){ "", 0 };
    TRY(payload_span(segment, offset, &start, &out->bytes, error));
    if (out->bytes == 0) return OCT_OK;
    if (!segment->window) {
        out->at = segment->payloads + start;
        return oct_container_touch(segment->container, out->at, out->bytes, error);
    }
    TRY(oct_arena_array(arena, out->bytes, 1, &text, error));
    oct_mutex_lock(&segment->window->mutex);
    status = read_window(segment, start, text, out->bytes, error);
    oct_mutex_unlock(&segment->window->mutex);
    out->at = text;
done:
    return status;
}

oct_status oct_sealed_payload_bytes(const oct_sealed *segment, uint32_t offset, uint64_t *out,
                                    oct_error *error)
{
    uint64_t start = 0;
    size_t bytes = 0;
    oct_status status = payload_span(segment, offset, &start, &bytes, error);
    *out = bytes;
    return status;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static oct_status read_rows(const void *place, uint64_t at, void *target, size_t bytes,
                            oct_error *error)
{
    return oct_container_read(place, at, target, bytes, error);
}

oct_status oct_sealed_leave_rows(oct_sealed *segment, uint32_t v, uint64_t *bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_sealed_vector *vector = &segment->vectors[v];
    TRY(oct_container_place(segment->container, OCT_SECTION_VECTORS, v, &vector->place, error));
    *bytes = vector->place.bytes;
    vector->flat.read = read_rows;
    vector->flat.read_arg = &vector->place;
    vector->flat.alloc = segment->host->alloc;
done:
    return status;
}

oct_status oct_sealed_read_rows(const oct_sealed *segment, uint32_t v, size_t row, oct_arena *arena,
                                oct_named_vector *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = &segment->vectors[v].flat;
    size_t row_bytes = oct_flat_row_bytes(flat), rows = out->count / flat->dim;
    uint8_t *stored;
    float *values;
    TRY(oct_arena_array(arena, rows, row_bytes, &stored, error));
    TRY(oct_container_read(&segment->vectors[v].place, (uint64_t)row * row_bytes, stored,
                           rows * row_bytes, error));
    out->values = (const float *)(const void *)stored;
    if (flat->datatype == OCT_DATATYPE_FLOAT32) return OCT_OK;
    TRY(oct_arena_array(arena, out->count, sizeof *values, &values, error));
    if (!oct_flat_decode(flat, stored, rows, values))
        TRY(corrupt(segment, "a row is none of its datatype", error));
    out->values = values;
done:
    return status;
}
