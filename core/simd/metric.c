/* SPDX-License-Identifier: Apache-2.0
 *
 * metric.c - the four distances of Qdrant over the kernels. The normalisation is Qdrant's to the
 * letter (its limits, a division and not a multiplication by 1/length), because the stored vector
 * is what a client reads back. Only the order of adding in the squared length is ours. */
#include "simd/metric.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "simd/compact.h"
#include "simd/turbo.h"

static const float LENGTH_TOLERANCE = 1.0e-6f;

/* Minus is written 0 - x throughout: it gives +0 for a distance of 0, where -x gives -0. */
float oct_metric_similarity(const oct_kernels *kernels, oct_metric metric, const float *a,
                            const float *b, size_t n)
{
    if (metric == OCT_METRIC_EUCLID) return 0.0f - kernels->l2_f32(a, b, n);
    if (metric == OCT_METRIC_MANHATTAN) return 0.0f - kernels->l1_f32(a, b, n);
    return kernels->dot_f32(a, b, n);
}

void oct_metric_similarity_x4(const oct_kernels *kernels, oct_metric metric, const float *a,
                              const float *const b[4], size_t n, float out[4])
{
    if (metric != OCT_METRIC_EUCLID && metric != OCT_METRIC_MANHATTAN) {
        kernels->dot_f32_x4(a, b, n, out);
        return;
    }
    if (metric == OCT_METRIC_EUCLID)
        kernels->l2_f32_x4(a, b, n, out);
    else
        kernels->l1_f32_x4(a, b, n, out);
    for (int i = 0; i < 4; i++)
        out[i] = 0.0f - out[i];
}

float oct_metric_score(oct_metric metric, float similarity)
{
    if (metric == OCT_METRIC_EUCLID) return sqrtf(0.0f - similarity);
    if (metric == OCT_METRIC_MANHATTAN) return 0.0f - similarity;
    return similarity;
}

bool oct_metric_descending(oct_metric metric)
{
    return metric == OCT_METRIC_COSINE || metric == OCT_METRIC_DOT;
}

/* The float `steps` places above a non-negative one (below when negative). */
static float neighbour(float value, int32_t steps)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += (uint32_t)steps;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* The smallest sum of squares whose root reaches `distance` > 0. The square is at most a few
 * places off; where it underflows to 0, roots grow so fast that a few places suffice too. */
static float smallest_sum(float distance)
{
    float sum = distance * distance;
    while (sum > 0.0f && sqrtf(sum) >= distance)
        sum = neighbour(sum, -1);
    while (sqrtf(sum) < distance)
        sum = neighbour(sum, 1);
    return sum;
}

float oct_metric_threshold(oct_metric metric, float score_threshold)
{
    if (oct_metric_descending(metric)) return score_threshold;
    if (score_threshold <= 0.0f) return 0.0f;
    if (metric == OCT_METRIC_MANHATTAN) return 0.0f - score_threshold;
    return 0.0f - smallest_sum(score_threshold);
}

void oct_metric_preprocess(const oct_kernels *kernels, oct_metric metric, float *vector, size_t n)
{
    if (metric != OCT_METRIC_COSINE) return;
    float length2 = kernels->dot_f32(vector, vector, n);
    if (length2 < FLT_EPSILON || fabsf(length2 - 1.0f) <= LENGTH_TOLERANCE) return;
    float length = sqrtf(length2);
    for (size_t i = 0; i < n; i++)
        vector[i] /= length;
}

bool oct_metric_query_differs(const oct_vector_params *params)
{
    return params->metric == OCT_METRIC_COSINE && params->datatype == OCT_DATATYPE_UINT8;
}

static void preprocess_rows(const oct_kernels *kernels, const oct_vector_params *params,
                            float *values, size_t count)
{
    for (size_t at = 0; at < count; at += params->size)
        oct_metric_preprocess(kernels, params->metric, values + at, params->size);
}

static void each_row(void (*work)(oct_metric, float *, uint32_t), const oct_vector_params *params,
                     float *values, size_t count)
{
    for (size_t at = 0; at < count; at += params->size)
        work(params->metric, values + at, params->size);
}

void oct_metric_prepare(const oct_kernels *kernels, const oct_vector_params *params, float *values,
                        size_t count)
{
    if (params->kind == OCT_VECTOR_SPARSE) return;
    if (params->datatype != OCT_DATATYPE_UINT8) preprocess_rows(kernels, params, values, count);
    if (params->datatype == OCT_DATATYPE_TURBO4)
        each_row(oct_turbo_round, params, values, count);
    else
        oct_compact_round(params->datatype, values, count);
}

void oct_metric_prepare_given(const oct_kernels *kernels, const oct_vector_params *params,
                              float *values, size_t count)
{
    if (!oct_metric_shown_differs(params)) {
        oct_metric_prepare(kernels, params, values, count);
        return;
    }
    preprocess_rows(kernels, params, values, count);
    each_row(oct_turbo_turn, params, values, count);
}

bool oct_metric_shown_differs(const oct_vector_params *params)
{
    return params->kind != OCT_VECTOR_SPARSE && params->datatype == OCT_DATATYPE_TURBO4;
}

void oct_metric_restore(const oct_vector_params *params, float *values, size_t count)
{
    if (oct_metric_shown_differs(params)) each_row(oct_turbo_restore, params, values, count);
}

void oct_metric_prepare_query(const oct_kernels *kernels, const oct_vector_params *params,
                              float *values, size_t count)
{
    if (oct_metric_query_differs(params)) preprocess_rows(kernels, params, values, count);
}

float oct_metric_over_length(float dot, float square)
{
    return square > 0.0f ? dot / sqrtf(square) : 0.0f;
}
