/* SPDX-License-Identifier: Apache-2.0
 *
 * flat.h - the float rows of one vector field of one segment, and exact search over them. */
#ifndef OCTANT_INDEX_FLAT_H
#define OCTANT_INDEX_FLAT_H

#include "base/bits.h"
#include "base/topk.h"
#include "octant/host.h"
#include "octant/types.h"
#include "simd/compact.h"
#include "simd/kernels.h"

/* Everything is borrowed and outlives what uses it. Rows are finite numbers, and already of length
 * one for Cosine. */
typedef struct oct_flat {
    const oct_kernels *kernels;
    const float *rows;       /* [count][dim]; rows of absent points are never read; NULL with
                              * another datatype than float32 */
    const uint8_t *compact;  /* rows of another datatype, likewise (simd/compact.h) */
    const uint64_t *present; /* bit per point: has this vector; NULL = every point has it */
    const uint64_t *ends;    /* multivectors: [count] rows of a point and of those before it; NULL:
                              * every point has one row, which is its offset's */
    uint32_t count;          /* points of the segment: offsets 0..count-1 */
    uint32_t dim;            /* 1..OCT_VECTOR_SIZE_MAX */
    oct_metric metric;
    oct_datatype datatype;
    /* Called before rows are read, with the range about to be read, so that storage can verify it
     * (oct_container_touch has this shape). NULL when the rows need no such call. Any thread. */
    oct_status (*touch)(void *arg, const void *at, size_t bytes, oct_error *error);
    void *touch_arg;
    /* Rows that are kept on disk: neither rows nor compact is set, and this copies bytes
     * [at, at + bytes) of them, verified. Any thread. Else NULL. */
    oct_status (*read)(const void *arg, uint64_t at, void *target, size_t bytes, oct_error *error);
    const void *read_arg;
    const oct_alloc *alloc;        /* gives the memory they are read into */
    const struct oct_quant *quant; /* small codes of the rows (index/quant.h), or NULL */
} oct_flat;

/* How one search is limited. All zero: no limits. */
typedef struct oct_flat_limits {
    const uint64_t *allowed;      /* bit per point: may be returned; NULL = all */
    bool (*cancelled)(void *arg); /* asked about every 1000 distances; NULL = never cancelled */
    void *cancelled_arg;
} oct_flat_limits;

static inline bool oct_flat_has(const oct_flat *flat, uint32_t offset)
{
    return !flat->present || oct_bits_get(flat->present, offset);
}

/* Rows of a point and the first of them. */
static inline uint32_t oct_flat_rows_of(const oct_flat *flat, uint32_t offset, size_t *first)
{
    *first = offset;
    if (!flat->ends) return 1;
    *first = offset ? (size_t)flat->ends[offset - 1] : 0;
    return (uint32_t)(flat->ends[offset] - *first);
}
/* Rows of all points; those of absent ones count, except in multivectors. */
static inline uint64_t oct_flat_row_count(const oct_flat *flat)
{
    return flat->ends && flat->count > 0 ? flat->ends[flat->count - 1] : flat->count;
}

/* Of float rows only. */
static inline const float *oct_flat_row(const oct_flat *flat, uint32_t offset)
{
    return flat->rows + (size_t)offset * flat->dim;
}

/* A row as it is stored. */
static inline size_t oct_flat_row_bytes(const oct_flat *flat)
{
    return oct_compact_row_bytes(flat->datatype, flat->dim);
}
static inline const uint8_t *oct_flat_stored(const oct_flat *flat, size_t row)
{
    const uint8_t *rows = flat->rows ? (const uint8_t *)flat->rows : flat->compact;
    return rows + row * oct_flat_row_bytes(flat);
}

/* Memory for rows that are read. All zero at the start. */
typedef struct oct_flat_buffer {
    const oct_alloc *alloc;
    uint8_t *memory;
    size_t bytes;
} oct_flat_buffer;

void oct_flat_buffer_free(oct_flat_buffer *buffer);
/* Rows [row, row + count) as they are stored, verified: where they lie, or read into the buffer,
 * which dies with the next call. NOMEM, or what touch or read answers. */
OCT_MUST_CHECK oct_status oct_flat_get(const oct_flat *flat, size_t row, size_t count,
                                       oct_flat_buffer *buffer, const uint8_t **out,
                                       oct_error *error);

/* The numbers of rows as they are stored; false when one is none of the datatype. */
bool oct_flat_decode(const oct_flat *flat, const uint8_t *stored, size_t rows, float *values);

/* Verify rows [row, row + count) before they are read; rows on disk need no such call. What touch
 * answers. */
OCT_MUST_CHECK oct_status oct_flat_touch(const oct_flat *flat, size_t row, size_t count,
                                         oct_error *error);

/* The similarity (higher is better, as in oct_hit) of a prepared query (simd/metric.h) and a
 * present point's row (its number; that of a point is its offset). It is not touched first, and
 * not on disk. */
float oct_flat_score(const oct_flat *flat, const float *query, size_t row);

/* The same for a row as it is stored, wherever it lies (aligned as its numbers are). */
float oct_flat_score_stored(const oct_flat *flat, const float *query, const uint8_t *row);

/* The same of four points, for scattered rows: bit for bit what four calls give, and faster. Only
 * where the second function says that the rows can be scored so. */
void oct_flat_score_four(const oct_flat *flat, const float *query, const uint32_t offsets[4],
                         float scores[4]);
bool oct_flat_scores_fours(const oct_flat *flat);

/* The same for any row of numbers that `flat` could hold. */
float oct_flat_similarity(const oct_flat *flat, const float *query, const float *row);

/* Offer every present, allowed point to `best`. `query` is [dim], prepared as the rows are.
 * CANCELLED, or what touch answers; `best` then holds an undefined part. */
OCT_MUST_CHECK oct_status oct_flat_scan(const oct_flat *flat, const float *query,
                                        const oct_flat_limits *limits, oct_topk *best,
                                        oct_error *error);

/* The same for the listed points only: `offsets` [offset_count], each < count, without repeats,
 * ascending for speed. Points that are absent or not allowed are passed over. */
OCT_MUST_CHECK oct_status oct_flat_scan_list(const oct_flat *flat, const float *query,
                                             const uint32_t *offsets, uint32_t offset_count,
                                             const oct_flat_limits *limits, oct_topk *best,
                                             oct_error *error);

#endif
