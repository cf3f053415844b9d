/* SPDX-License-Identifier: Apache-2.0
 *
 * multi.h - search in the multivectors of one segment: every point has one or more rows.
 *
 * Where the field is quantized, every row has a code (flat->quant), and max_sim is taken over codes
 * first; the best by that may be scored again on the rows.
 *
 * The similarity of two multivectors is that of Qdrant's max_sim: for every row of the query the
 * best similarity to any row of the point, summed over the query's rows in order. It is exact
 * search, point after point: no graph is built over multivectors, because what is near in max_sim
 * is not near in any of the rows, and links chosen by max_sim itself cost rows x rows distances
 * each. */
#ifndef OCTANT_INDEX_MULTI_H
#define OCTANT_INDEX_MULTI_H

#include "base/arena.h"
#include "index/flat.h"

/* The rows of all points, one point after another. */
typedef struct oct_multi {
    const oct_flat *flat; /* rows, dim, metric, touch, quant; present and count are of points */
    const uint64_t *ends; /* [flat->count] rows of a point and of those before it */
} oct_multi;

typedef struct oct_multi_query {
    const float *values; /* [rows][dim], prepared as the stored rows are */
    uint32_t rows;       /* >= 1 */
} oct_multi_query;

/* Rows of a point and the first of them. */
static inline uint32_t oct_multi_rows(const oct_multi *multi, uint32_t offset, uint64_t *first)
{
    *first = offset ? multi->ends[offset - 1] : 0;
    return (uint32_t)(multi->ends[offset] - *first);
}

/* The similarity of a query and `rows` rows (>= 1) of numbers that `flat` could hold. */
float oct_multi_similarity(const oct_flat *flat, const oct_multi_query *query, const float *values,
                           uint32_t rows);

/* The similarity of a query and a present point; rows on disk are read into the buffer. NOMEM, or
 * what touch or read answers. */
OCT_MUST_CHECK oct_status oct_multi_score(const oct_multi *multi, const oct_multi_query *query,
                                          uint32_t offset, oct_flat_buffer *buffer, float *out,
                                          oct_error *error);

/* Offer every present, allowed point to `best`. CANCELLED, or what touch answers; `best` then
 * holds an undefined part. */
OCT_MUST_CHECK oct_status oct_multi_scan(const oct_multi *multi, const oct_multi_query *query,
                                         const oct_flat_limits *limits, oct_topk *best,
                                         oct_error *error);

/* How a quantized field is searched. */
typedef struct oct_multi_request {
    oct_multi_query query;
    bool rescore;       /* score the best by code again on the rows */
    float oversampling; /* as oct_quant_rescored takes it */
    oct_flat_limits limits;
} oct_multi_request;

/* Offer the best points by code, comparing with every present, allowed one; with exact similarities
 * when they are rescored, with estimates when not. flat->quant is set. `work` gives memory. NOMEM,
 * LIMIT, CANCELLED, or what touch answers; `best` then holds an undefined part. */
OCT_MUST_CHECK oct_status oct_multi_scan_codes(const oct_multi *multi,
                                               const oct_multi_request *request, oct_arena *work,
                                               oct_topk *best, oct_error *error);

#endif
