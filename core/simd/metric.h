/* SPDX-License-Identifier: Apache-2.0
 *
 * metric.h - what a distance means: which way is better, what is stored, what is shown.
 *
 * Inside, every metric is a similarity, higher is better, so that heaps, graphs and thresholds
 * need no cases: the dot product (Cosine, Dot), minus the sum of squared differences (Euclid),
 * minus the sum of absolute differences (Manhattan). Only what leaves the database is turned into
 * Qdrant's score by oct_metric_score. Similarities of finite vectors are never NaN; they may be
 * infinite. */
#ifndef OCTANT_SIMD_METRIC_H
#define OCTANT_SIMD_METRIC_H

#include <stdbool.h>
#include <stddef.h>

#include "octant/types.h"
#include "simd/kernels.h"

/* Similarity of two preprocessed vectors of n dimensions. */
float oct_metric_similarity(const oct_kernels *kernels, oct_metric metric, const float *a,
                            const float *b, size_t n);

/* The same of one vector with four, faster; to the bit what four calls give. */
void oct_metric_similarity_x4(const oct_kernels *kernels, oct_metric metric, const float *a,
                              const float *const b[4], size_t n, float out[4]);

/* The score Qdrant shows for a similarity: itself for Cosine and Dot, the distance (>= +0) for
 * Euclid and Manhattan. */
float oct_metric_score(oct_metric metric, float similarity);

/* True when shown scores sort best first by falling value (Cosine, Dot), false when by rising
 * value (Euclid, Manhattan). */
bool oct_metric_descending(oct_metric metric);

/* The similarity T such that, for every similarity s of this metric, s > T exactly when
 * oct_metric_score(s) is strictly better than score_threshold, which is Qdrant's rule. A threshold
 * no distance can beat (Euclid or Manhattan <= 0) gives T >= every similarity. */
float oct_metric_threshold(oct_metric metric, float score_threshold);

/* Prepare a vector for storing or for a query, in place. Cosine divides it by its length, unless
 * its squared length is below FLT_EPSILON (zero) or within 1e-6 of 1 (already done); so doing it
 * twice changes nothing. The other metrics leave it alone. */
void oct_metric_preprocess(const oct_kernels *kernels, oct_metric metric, float *vector, size_t n);

/* Prepare all rows of a vector with these params (a dense one has one), `count` floats in all: as
 * above, but for uint8, whose rows keep their lengths; then round them to the datatype. Sparse
 * vectors stay as they are. */
void oct_metric_prepare(const oct_kernels *kernels, const oct_vector_params *params, float *values,
                        size_t count);

/* The same for the rows of a query, which are not rounded where similarities don't need it: turbo4.
 */
void oct_metric_prepare_given(const oct_kernels *kernels, const oct_vector_params *params,
                              float *values, size_t count);

/* Are stored rows others than those shown? And the way from the first to the second, in place. */
bool oct_metric_shown_differs(const oct_vector_params *params);
void oct_metric_restore(const oct_vector_params *params, float *values, size_t count);

/* A query with such params needs one step more: does it, and the step, on its prepared rows. It is
 * that of uint8 with Cosine, whose similarity is the dot product over the lengths: the query's is
 * divided out beforehand. */
bool oct_metric_query_differs(const oct_vector_params *params);
void oct_metric_prepare_query(const oct_kernels *kernels, const oct_vector_params *params,
                              float *values, size_t count);

/* Turns the dot product of such a query's row and a stored row, which has that sum of squares, into
 * their similarity. */
float oct_metric_over_length(float dot, float square);

#endif
