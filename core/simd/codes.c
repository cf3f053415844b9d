/* SPDX-License-Identifier: Apache-2.0
 *
 * codes.c - fits a code space and codes vectors; the arithmetic of scores is in codes.h.
 *
 * Why symmetric steps and one interval for all dimensions: products then need one integer dot and
 * a bias, nothing per dimension. Why clip at a quantile: a few large components would otherwise
 * widen every step; clipped ones are made good by scoring the best again on floats. Why 7 bits:
 * u8 * i8 instructions neither saturate nor need a sign correction when one side is below 128.
 *
 * The quantile is found by counting the top 16 bits of |x| in two passes of 256 counters, so it
 * needs 2 KiB of stack and no sorting, and is exact up to 1/256 of its value. For bell-shaped
 * components, as embeddings mostly have, it is also close to where clipping and rounding together
 * lose least. Where a few components are far larger than the rest they decide the score, above all
 * for Dot: with one in 500 six times as large only 77 % of the true ten nearest were among the best
 * 20 by code. So the interval is widened while that makes the mean squared error smaller; then it
 * was 99 %. */
#include "simd/codes.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/check.h"

enum { CENTRE = 64, SAMPLE_VALUES = 1 << 20, SAMPLE_VECTORS_MIN = 64, WIDTHS = 12 };

/* Below this limit 63 / limit would overflow. Vectors so small are coded as zeros. */
#define LIMIT_MIN 0x1p-100f

bool oct_codes_supports(oct_metric metric)
{
    return metric == OCT_METRIC_COSINE || metric == OCT_METRIC_DOT || metric == OCT_METRIC_EUCLID;
}

size_t oct_codes_row_bytes(uint32_t dim)
{
    return ((size_t)dim + OCT_CODES_ALIGN - 1) / OCT_CODES_ALIGN * OCT_CODES_ALIGN;
}

static void init(oct_codes *codes, oct_metric metric, uint32_t dim, float scale)
{
    *codes = (oct_codes){ .scale = scale,
                          .dim = dim,
                          .row_bytes = (uint32_t)oct_codes_row_bytes(dim),
                          .metric = metric };
}

typedef struct sample {
    const oct_codes_source *source;
    uint32_t dim;
    uint32_t vectors; /* how many of the source's, evenly spaced */
} sample;

static const float *sample_vector(const sample *of, uint32_t k)
{
    uint64_t index = (uint64_t)k * of->source->count / of->vectors;
    return of->source->vector(of->source->self, (uint32_t)index);
}

/* Count the values of the sample by 8 bits of their magnitude's: bits shift .. shift + 7, of those
 * values whose higher bits equal `prefix`. */
static void count_magnitudes(const sample *of, uint32_t shift, uint32_t prefix,
                             uint64_t counts[256])
{
    memset(counts, 0, 256 * sizeof counts[0]);
    for (uint32_t k = 0; k < of->vectors; k++) {
        const float *vector = sample_vector(of, k);
        for (uint32_t i = 0; i < of->dim; i++) {
            uint32_t bits;
            memcpy(&bits, vector + i, sizeof bits);
            bits = (bits & 0x7fffffffu) >> shift;
            if (bits >> 8 == prefix) counts[bits & 255]++;
        }
    }
}

/* The bucket that holds the value of this rank (0 = smallest); *rank becomes its rank inside. */
static uint32_t find_bucket(const uint64_t counts[256], uint64_t *rank)
{
    uint32_t bucket = 0;
    while (bucket < 255 && *rank >= counts[bucket])
        *rank -= counts[bucket++];
    return bucket;
}

static float find_quantile(const sample *of)
{
    uint64_t counts[256];
    uint64_t values = (uint64_t)of->vectors * of->dim;
    uint64_t rank = values - values / 500 - 1; /* the quantile .998 */
    count_magnitudes(of, 23, 0, counts);
    uint32_t exponent = find_bucket(counts, &rank);
    count_magnitudes(of, 15, exponent, counts);
    uint32_t bits = (exponent << 8 | find_bucket(counts, &rank)) << 15 | 0x7fff;
    float limit; /* the largest value of the bucket */
    memcpy(&limit, &bits, sizeof limit);
    return limit;
}

/* For each of the rising limits, add up the squares of what clipping there takes off. */
static void add_clipped(const sample *of, const float limits[WIDTHS], double clipped[WIDTHS])
{
    for (uint32_t k = 0; k < of->vectors; k++) {
        const float *vector = sample_vector(of, k);
        for (uint32_t i = 0; i < of->dim; i++) {
            float magnitude = fabsf(vector[i]);
            for (int j = 0; j < WIDTHS && magnitude > limits[j]; j++) {
                double lost = (double)magnitude - (double)limits[j];
                clipped[j] += lost * lost;
            }
        }
    }
}

/* The limit, among `narrowest` times powers of about the root of 2, with the smallest squared
 * error: what clipping takes off, and a twelfth of a squared step per value for rounding. */
static float find_limit(const sample *of, float narrowest)
{
    float limits[WIDTHS];
    double clipped[WIDTHS] = { 0 };
    for (int j = 0; j < WIDTHS; j++)
        limits[j] = j == 0 ? narrowest : limits[j - 1] * (j % 2 ? 1.5f : 4.0f / 3);
    add_clipped(of, limits, clipped);
    int best = 0;
    double least = (double)INFINITY;
    for (int j = 0; j < WIDTHS && limits[j] <= FLT_MAX; j++) {
        double step = (double)limits[j] / (double)OCT_CODES_STEPS;
        double error = clipped[j] + step * step / 12 * of->vectors * of->dim;
        if (error < least) best = j;
        least = error < least ? error : least;
    }
    return limits[best];
}

void oct_codes_fit(oct_codes *codes, oct_metric metric, uint32_t dim,
                   const oct_codes_source *source)
{
    ASSERT(oct_codes_supports(metric));
    ASSERT(dim >= 1 && dim <= OCT_VECTOR_SIZE_MAX);
    float limit = LIMIT_MIN;
    if (source->count > 0) {
        uint32_t wanted = MAX((uint32_t)SAMPLE_VALUES / dim, (uint32_t)SAMPLE_VECTORS_MIN);
        sample chosen = { source, dim, MIN(source->count, wanted) };
        limit = find_limit(&chosen, MAX(find_quantile(&chosen), LIMIT_MIN));
    }
    init(codes, metric, dim, limit / (float)OCT_CODES_STEPS);
}

oct_status oct_codes_restore(oct_metric metric, uint32_t dim, float scale, oct_codes *codes,
                             oct_error *error)
{
    const float scale_min = LIMIT_MIN / (float)OCT_CODES_STEPS;
    const float scale_max = FLT_MAX / (float)OCT_CODES_STEPS;
    memset(codes, 0, sizeof *codes);
    if (!oct_codes_supports(metric))
        return oct_fail(error, OCT_CORRUPT, "codes: metric %d has no codes", (int)metric);
    if (dim < 1 || dim > OCT_VECTOR_SIZE_MAX)
        return oct_fail(error, OCT_CORRUPT, "codes: %" PRIu32 " dimensions, expected 1..%d", dim,
                        (int)OCT_VECTOR_SIZE_MAX);
    if (!(scale >= scale_min && scale <= scale_max))
        return oct_fail(error, OCT_CORRUPT, "codes: the scale is not one a fit makes");
    init(codes, metric, dim, scale);
    return OCT_OK;
}

int32_t oct_codes_encode(const oct_codes *codes, const float *vector, uint8_t *row)
{
    const float per_step = 1.0f / codes->scale;
    const float steps = (float)OCT_CODES_STEPS;
    int32_t sum = 0;
    int32_t squares = 0;
    for (uint32_t i = 0; i < codes->dim; i++) {
        float x = vector[i] * per_step;
        x = x < steps ? x : steps;
        x = x > -steps ? x : -steps;
        int32_t code = (int32_t)(x + ((float)CENTRE + 0.5f)); /* truncation rounds: it is > 0 */
        int32_t step = code - CENTRE;
        row[i] = (uint8_t)code;
        sum += step;
        squares += step * step;
    }
    memset(row + codes->dim, 0, codes->row_bytes - codes->dim);
    int32_t bias = -CENTRE * sum;
    return codes->metric == OCT_METRIC_EUCLID ? bias - squares / 2 : bias;
}

float oct_codes_similarity(const oct_codes *codes, int32_t symmetric_score)
{
    double width2 = (double)codes->scale * (double)codes->scale;
    double product = (double)symmetric_score - (double)(CENTRE * CENTRE) * (double)codes->dim;
    if (codes->metric == OCT_METRIC_EUCLID) product = product < 0 ? 2 * product : 0;
    double similarity = product * width2;
    if (similarity > (double)FLT_MAX) return FLT_MAX;
    return similarity < -(double)FLT_MAX ? -FLT_MAX : (float)similarity;
}
