/* SPDX-License-Identifier: Apache-2.0
 *
 * multi.h - multivectors of one segment: every point has one or more rows (flat->ends).
 *
 * Where the field is quantized, every row has a code (flat->quant), and max_sim is taken over codes
 * first; the best by that may be scored again on the rows.
 *
 * The similarity of two multivectors is that of Qdrant's max_sim: for every row of the query the
 * best similarity to any row of the point, summed over the query's rows in order. Here stands exact
 * search, point after point; graphs of multivectors are those of hnsw.h. */
#ifndef OCTANT_INDEX_MULTI_H
#define OCTANT_INDEX_MULTI_H

#include "base/arena.h"
#include "index/flat.h"

typedef struct oct_multi_query {
    const float *values; /* [rows][dim], prepared as the stored rows are */
    uint32_t rows;       /* >= 1 */
} oct_multi_query;

/* The similarity of a query and `rows` rows (>= 1) of numbers that `flat` could hold. */
float oct_multi_similarity(const oct_flat *flat, const oct_multi_query *query, const float *values,
                           uint32_t rows);

/* The similarity of a query and a present point; rows on disk are read into the buffer. NOMEM, or
 * what touch or read answers. */
OCT_MUST_CHECK oct_status oct_multi_score(const oct_flat *flat, const oct_multi_query *query,
                                          uint32_t offset, oct_flat_buffer *buffer, float *out,
                                          oct_error *error);

/* Offer every present, allowed point to `best`. CANCELLED, or what touch answers; `best` then
 * holds an undefined part. */
OCT_MUST_CHECK oct_status oct_multi_scan(const oct_flat *flat, const oct_multi_query *query,
                                         const oct_flat_limits *limits, oct_topk *best,
                                         oct_error *error);

/* The same of the listed points, [count], which are present. */
OCT_MUST_CHECK oct_status oct_multi_scan_list(const oct_flat *flat, const oct_multi_query *query,
                                              const uint32_t *offsets, uint32_t count,
                                              oct_topk *best, oct_error *error);

/* A query prepared for quantized codes: its rows at a distance of oct_multi_prepared_bytes, the
 * first at a multiple of 64. */
size_t oct_multi_prepared_bytes(const struct oct_quant *quant);
/* Prepare `rows` rows [rows][dim]. */
void oct_multi_prepare(const oct_flat *flat, const float *values, uint32_t rows, uint8_t *prepared);
/* `sum` and, for every prepared row in turn, its best estimate among those of a point's rows. */
float oct_multi_add_codes(const oct_flat *flat, const uint8_t *prepared, uint32_t rows,
                          uint32_t offset, float sum);

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
OCT_MUST_CHECK oct_status oct_multi_scan_codes(const oct_flat *flat,
                                               const oct_multi_request *request, oct_arena *work,
                                               oct_topk *best, oct_error *error);

#endif
