/* SPDX-License-Identifier: Apache-2.0
 *
 * multi.h - search in the multivectors of one segment: every point has one or more rows.
 *
 * The similarity of two multivectors is that of Qdrant's max_sim: for every row of the query the
 * best similarity to any row of the point, summed over the query's rows in order. It is exact
 * search, point after point: no graph is built over multivectors, because what is near in max_sim
 * is not near in any of the rows, and links chosen by max_sim itself cost rows x rows distances
 * each. */
#ifndef OCTANT_INDEX_MULTI_H
#define OCTANT_INDEX_MULTI_H

#include "index/flat.h"

/* The rows of all points, one point after another. */
typedef struct oct_multi {
    const oct_flat *flat; /* rows, dim, metric, touch; present and count are of points */
    const uint64_t *ends; /* [flat->count] rows of a point and of those before it */
} oct_multi;

typedef struct oct_multi_query {
    const float *values; /* [rows][dim], prepared as the stored rows are */
    uint32_t rows;       /* >= 1 */
} oct_multi_query;

/* The similarity of a query and `rows` rows (>= 1) of numbers that `flat` could hold. */
float oct_multi_similarity(const oct_flat *flat, const oct_multi_query *query, const float *values,
                           uint32_t rows);

/* Offer every present, allowed point to `best`. CANCELLED, or what touch answers; `best` then
 * holds an undefined part. */
OCT_MUST_CHECK oct_status oct_multi_scan(const oct_multi *multi, const oct_multi_query *query,
                                         const oct_flat_limits *limits, oct_topk *best,
                                         oct_error *error);

#endif
