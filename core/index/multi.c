/* SPDX-License-Identifier: Apache-2.0
 *
 * multi.c - max_sim, and a scan with it. The design is at the head of multi.h.
 *
 * A point's rows are taken four at a time, which shares the loads of the query's row; they stay in
 * the cache while all rows of the query pass over them. */
#include "index/multi.h"

#include <math.h>

#include "simd/metric.h"

enum { CANCEL_DISTANCES = 1024 }; /* distances between two looks at `cancelled` */

/* The best similarity of one row of the query to `rows` rows of floats. */
static float best_of(const oct_flat *flat, const float *query, const float *values, uint32_t rows)
{
    size_t dim = flat->dim;
    float best = -INFINITY;
    uint32_t i = 0;
    for (; flat->datatype != OCT_DATATYPE_UINT8 && i + 4 <= rows; i += 4) {
        const float *four[4];
        float scores[4];
        for (uint32_t j = 0; j < 4; j++)
            four[j] = values + (i + j) * dim;
        oct_metric_similarity_x4(flat->kernels, flat->metric, query, four, dim, scores);
        for (uint32_t j = 0; j < 4; j++)
            best = MAX(best, scores[j]);
    }
    for (; i < rows; i++)
        best = MAX(best, oct_flat_similarity(flat, query, values + i * dim));
    return best;
}

float oct_multi_similarity(const oct_flat *flat, const oct_multi_query *query, const float *values,
                           uint32_t rows)
{
    float sum = 0;
    for (uint32_t i = 0; i < query->rows; i++)
        sum += best_of(flat, query->values + (size_t)i * flat->dim, values, rows);
    return sum == sum ? sum : -INFINITY; /* infinities of both signs met */
}

/* The similarity to `rows` rows as they are stored. */
static float score_rows(const oct_flat *flat, const oct_multi_query *query, const uint8_t *stored,
                        uint32_t rows)
{
    float sum = 0;
    size_t bytes = oct_flat_row_bytes(flat);
    if (flat->datatype == OCT_DATATYPE_FLOAT32)
        return oct_multi_similarity(flat, query, (const float *)(const void *)stored, rows);
    for (uint32_t i = 0; i < query->rows; i++) {
        float best = -INFINITY;
        for (uint32_t j = 0; j < rows; j++)
            best = MAX(best, oct_flat_score_stored(flat, query->values + (size_t)i * flat->dim,
                                                   stored + j * bytes));
        sum += best;
    }
    return sum == sum ? sum : -INFINITY;
}

oct_status oct_multi_score(const oct_flat *flat, const oct_multi_query *query, uint32_t offset,
                           oct_flat_buffer *buffer, float *out, oct_error *error)
{
    size_t first;
    const uint8_t *stored;
    uint32_t rows = oct_flat_rows_of(flat, offset, &first);
    oct_status status = oct_flat_get(flat, first, rows, buffer, &stored, error);
    if (status == OCT_OK) *out = score_rows(flat, query, stored, rows);
    return status;
}

oct_status oct_multi_scan_list(const oct_flat *flat, const oct_multi_query *query,
                               const uint32_t *offsets, uint32_t count, oct_topk *best,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    oct_flat_buffer buffer = { .bytes = 0 };
    for (uint32_t i = 0; i < count; i++) {
        float score;
        TRY(oct_multi_score(flat, query, offsets[i], &buffer, &score, error));
        (void)oct_topk_push(best, (oct_hit){ score, offsets[i] }); /* it knows better */
    }
done:
    oct_flat_buffer_free(&buffer);
    return status;
}

oct_status oct_multi_scan(const oct_flat *flat, const oct_multi_query *query,
                          const oct_flat_limits *limits, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t distances = 0;
    oct_flat_buffer buffer = { .bytes = 0 };
    for (uint32_t i = 0; i < flat->count; i++) {
        if (!oct_flat_has(flat, i)) continue;
        if (limits->allowed && !oct_bits_get(limits->allowed, i)) continue;
        size_t first;
        float score;
        TRY(oct_multi_score(flat, query, i, &buffer, &score, error));
        (void)oct_topk_push(best, (oct_hit){ score, i }); /* it knows better */
        distances += (uint64_t)oct_flat_rows_of(flat, i, &first) * query->rows;
        if (distances < CANCEL_DISTANCES) continue;
        distances = 0;
        if (limits->cancelled && limits->cancelled(limits->cancelled_arg))
            TRY(oct_fail(error, OCT_CANCELLED, "search: cancelled during an exact scan"));
    }
done:
    oct_flat_buffer_free(&buffer);
    return status;
}
