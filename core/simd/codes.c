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
 * needs 2 KiB and no sorting, and is exact up to 1/256 of its value. For bell-shaped
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

enum { CENTRE = 64, SAMPLE_VALUES = 1 << 20, SAMPLE_VECTORS_MIN = 64 };

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

/* ---- fitting ----------------------------------------------------------------------------- */

/* The passes over the sample. */
enum { COUNT_EXPONENTS, COUNT_FRACTIONS, ADD_CLIPPED, PASSES };

static const float *sample_vector(const oct_codes_fitting *fit, uint32_t k)
{
    uint64_t index = (uint64_t)k * fit->source.count / fit->vectors;
    return fit->source.vector(fit->source.self, (uint32_t)index);
}

/* Count a vector's values by 8 bits of their magnitude's: bits shift .. shift + 7, of those values
 * whose higher bits equal the prefix. */
static void count_magnitudes(oct_codes_fitting *fit, const float *vector, uint32_t shift)
{
    for (uint32_t i = 0; i < fit->dim; i++) {
        uint32_t bits;
        memcpy(&bits, vector + i, sizeof bits);
        bits = (bits & 0x7fffffffu) >> shift;
        if (bits >> 8 == fit->prefix) fit->counts[bits & 255]++;
    }
}

/* The bucket that holds the value of the rank, which becomes its rank inside. */
static uint32_t find_bucket(oct_codes_fitting *fit)
{
    uint32_t bucket = 0;
    while (bucket < 255 && fit->rank >= fit->counts[bucket])
        fit->rank -= fit->counts[bucket++];
    memset(fit->counts, 0, sizeof fit->counts);
    return bucket;
}

/* For each of the rising limits, add up the squares of what clipping there takes off. */
static void add_clipped(oct_codes_fitting *fit, const float *vector)
{
    for (uint32_t i = 0; i < fit->dim; i++) {
        float magnitude = fabsf(vector[i]);
        for (int j = 0; j < OCT_CODES_WIDTHS && magnitude > fit->limits[j]; j++) {
            double lost = (double)magnitude - (double)fit->limits[j];
            fit->clipped[j] += lost * lost;
        }
    }
}

/* The limits to be tried: the quantile, which is the largest value of its bucket, times powers of
 * about the root of 2. */
static void set_limits(oct_codes_fitting *fit)
{
    uint32_t bits = (fit->prefix << 8 | find_bucket(fit)) << 15 | 0x7fff;
    float limit;
    memcpy(&limit, &bits, sizeof limit);
    fit->limits[0] = MAX(limit, LIMIT_MIN);
    for (int j = 1; j < OCT_CODES_WIDTHS; j++)
        fit->limits[j] = fit->limits[j - 1] * (j % 2 ? 1.5f : 4.0f / 3);
}

/* The limit with the smallest squared error: what clipping takes off, and a twelfth of a squared
 * step per value for rounding. */
static float best_limit(const oct_codes_fitting *fit)
{
    int best = 0;
    double least = (double)INFINITY;
    for (int j = 0; j < OCT_CODES_WIDTHS && fit->limits[j] <= FLT_MAX; j++) {
        double step = (double)fit->limits[j] / (double)OCT_CODES_STEPS;
        double error = fit->clipped[j] + step * step / 12 * fit->vectors * fit->dim;
        if (error < least) best = j;
        least = error < least ? error : least;
    }
    return fit->limits[best];
}

uint32_t oct_codes_fit_begin(oct_codes_fitting *fit, uint32_t dim, const oct_codes_source *source)
{
    ASSERT(dim >= 1 && dim <= OCT_VECTOR_SIZE_MAX);
    uint32_t wanted = MAX((uint32_t)SAMPLE_VALUES / dim, (uint32_t)SAMPLE_VECTORS_MIN);
    *fit =
        (oct_codes_fitting){ .source = *source, .dim = dim, .vectors = MIN(source->count, wanted) };
    uint64_t values = (uint64_t)fit->vectors * dim;
    fit->rank = values - values / 500 - 1; /* the quantile .998 */
    return PASSES * fit->vectors;
}

void oct_codes_fit_look(oct_codes_fitting *fit, uint32_t item)
{
    uint32_t pass = item / fit->vectors, k = item % fit->vectors;
    const float *vector = sample_vector(fit, k);
    if (k == 0 && pass == COUNT_FRACTIONS) fit->prefix = find_bucket(fit);
    if (k == 0 && pass == ADD_CLIPPED) set_limits(fit);
    if (pass == ADD_CLIPPED)
        add_clipped(fit, vector);
    else
        count_magnitudes(fit, vector, pass == COUNT_EXPONENTS ? 23 : 15);
}

void oct_codes_fit_end(const oct_codes_fitting *fit, oct_metric metric, oct_codes *codes)
{
    ASSERT(oct_codes_supports(metric));
    float limit = fit->vectors > 0 ? best_limit(fit) : LIMIT_MIN;
    init(codes, metric, fit->dim, limit / (float)OCT_CODES_STEPS);
}

void oct_codes_fit(oct_codes *codes, oct_metric metric, uint32_t dim,
                   const oct_codes_source *source)
{
    oct_codes_fitting fit;
    uint32_t items = oct_codes_fit_begin(&fit, dim, source);
    for (uint32_t i = 0; i < items; i++)
        oct_codes_fit_look(&fit, i);
    oct_codes_fit_end(&fit, metric, codes);
}

/* ---- coding ------------------------------------------------------------------------------ */

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

size_t oct_codes_packed_bytes(uint32_t dim)
{
    return oct_codes_row_bytes((dim + 1) / 2);
}

/* ---- rows of 4 bits --------------------------------------------------------------------- */

/* The value of a difference from the middle. */
static int32_t pack(int32_t difference, int32_t step)
{
    int32_t from = MAX(difference + 8 * step, 0);
    int32_t value = (from * (65536 / step + 1)) >> 16; /* from / step, as both are small */
    return MIN(value, 15);
}

/* Twice what is lost of it. */
static int32_t lost_twice(int32_t difference, int32_t value, int32_t step)
{
    return 2 * difference - (2 * value - 15) * step;
}

uint32_t oct_codes_fit_packing(const uint32_t differences[256])
{
    uint64_t variance = 0; /* four times, as errors are */
    uint64_t least = UINT64_MAX;
    uint32_t best = 0;
    for (int32_t d = -128; d < 128; d++)
        variance += (uint64_t)differences[d + 128] * (uint32_t)(4 * d * d);
    for (int32_t step = 1; step <= OCT_CODES_STEP_MAX; step++) {
        uint64_t error = 0;
        for (int32_t d = -128; d < 128; d++) {
            int32_t lost = lost_twice(d, pack(d, step), step);
            error += (uint64_t)differences[d + 128] * (uint32_t)(lost * lost);
        }
        if (error >= least) continue;
        least = error;
        best = (uint32_t)step;
    }
    return least <= variance / OCT_CODES_ERROR_SHARE ? best : 0;
}

int32_t oct_codes_pack(const oct_codes *codes, const oct_codes_packing *packing, const uint8_t *row,
                       uint8_t *packed)
{
    size_t bytes = oct_codes_packed_bytes(codes->dim);
    int32_t step = (int32_t)packing->step;
    int32_t squares = codes->metric == OCT_METRIC_EUCLID ? 2 : 0;
    int32_t sum = 0;
    int64_t more = 0;                    /* four times */
    for (size_t i = 0; i < bytes; i++) { /* what is written was read before */
        int32_t values[2] = { 0 };
        for (size_t half = 0; half < 2 && i + half * bytes < codes->dim; half++) {
            int32_t r = row[i + half * bytes] - CENTRE;
            int32_t middle = packing->middles[i + half * bytes] - CENTRE;
            int32_t value = pack(r - middle, step);
            values[half] = value;
            sum += value;
            more += (middle + r) * lost_twice(r - middle, value, step) - squares * r * r;
        }
        packed[i] = (uint8_t)(values[0] | values[1] << 4);
    }
    return (int32_t)(more / (4 * step)) - CENTRE * sum;
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
