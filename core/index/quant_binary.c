/* SPDX-License-Identifier: Apache-2.0
 *
 * quant_binary.c - one, one and a half or two bits a component, compared by counting bits.
 *
 *     one_bit             x > t
 *     two_bits            x > low, and dim bits further x >= high
 *     one_and_half_bits   the same, but neighbours share their second bit: either's
 *
 * t is 0 for Cosine and Dot, as in Qdrant, and the component's mean for Euclid and Manhattan, where
 * all components may be positive. low and high are two thirds of a standard deviation from the mean
 * (Qdrant's); a component that is always the same has x > 0 and no second bit.
 *
 * A query is coded like a row, or, for scalar4bits and scalar8bits, as numbers of 4 or 8 bits,
 * 0..R for -m..m, m its largest component (without the mean where t is one). Bit p of all those
 * numbers is plane p, and the weighted count of differing bits (simd/kernels.h)
 *     h = sum over bits r of (r ? R - L : L) = n*R/2 - R/2m * sum of +-x
 * gives the sum of the query's components with the row's signs, x = (n*R/2 - h) * 2m/R. Coded like
 * a row, m and R are 1 and x is the agreements less the disagreements. The score is -h.
 *
 * Estimates: similarity = a + b * x, fitted to 2,048 pairs of rows when all are coded. For Cosine
 * and a query coded like a row x grows with the angle, not with its cosine: there the line is bent
 * by a sine. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "index/quant_codes.h"
#include "simd/fmath.h"
#include "simd/metric.h"

enum {
    STEP_VALUES = 1 << 17, /* looked at in one step of training */
    PAIRS = 2048,
    PLANES_MAX = 8
};

enum { LINE_BASE, LINE_SLOPE }; /* header.values */

#define SIGMAS (2.0 / 3.0)

typedef struct binary_query {
    double unit; /* x = (half - h) * unit */
    double half;
    uint32_t planes;
    uint32_t reserved[11]; /* the planes begin at a multiple of 64 */
    uint8_t bits[];        /* [planes][row_bytes] */
} binary_query;
STATIC_ASSERT(sizeof(binary_query) == QUANT_ALIGN_BYTES, "the planes are aligned");

static bool one_bit(const quant_header *header)
{
    return header->encoding == OCT_BINARY_ONE_BIT;
}

/* Bits of one row. */
static uint32_t row_bits(const quant_header *header)
{
    uint32_t dim = header->dim;
    if (one_bit(header)) return dim;
    return dim + (header->encoding == OCT_BINARY_TWO_BITS ? dim : (dim + 1) / 2);
}

static uint32_t planes_of(const quant_header *header)
{
    if (header->query_encoding == OCT_QUERY_ENCODING_SCALAR4BITS) return 4;
    return header->query_encoding == OCT_QUERY_ENCODING_SCALAR8BITS ? 8 : 1;
}

/* Are components counted from their mean? */
static bool centred(const quant_header *header)
{
    return header->metric == OCT_METRIC_EUCLID || header->metric == OCT_METRIC_MANHATTAN;
}

static bool bent(const quant_header *header)
{
    return header->metric == OCT_METRIC_COSINE && planes_of(header) == 1;
}

static void plan(quant_header *header)
{
    header->param_floats = one_bit(header) ? header->dim : 3 * header->dim; /* t, low, high */
    header->extra_words = 0;
    header->row_bytes =
        (uint32_t)oct_quant_aligned((row_bits(header) + 7) / 8, (size_t)OCT_PACKED_ALIGN);
}

static oct_status validate(const oct_quant *quant, oct_error *error)
{
    if (quant->header.values[LINE_SLOPE] >= 0) return OCT_OK;
    return oct_fail(error, OCT_CORRUPT, "codes: the line of the estimates falls");
}

/* ---- training --------------------------------------------------------------------------- */

static size_t query_bytes(const quant_header *header)
{
    return sizeof(binary_query) + (size_t)planes_of(header) * header->row_bytes;
}

/* Two sums per component; afterwards, a query. */
static size_t train_bytes(const quant_header *header)
{
    return MAX(2 * header->dim * sizeof(double), query_bytes(header));
}

static size_t encode_bytes(const quant_header *header)
{
    UNUSED(header);
    return 0;
}

static void set_thresholds(const quant_training *training)
{
    const quant_header *header = &training->quant->header;
    const double *sums = training->work, *squares = sums + header->dim;
    double count = MAX((double)training->sample_count, 1.0);
    for (uint32_t i = 0; i < header->dim; i++) {
        double mean = sums[i] / count;
        double variance = squares[i] / count - mean * mean;
        double deviation = variance > 0 ? sqrt(variance) : 0;
        bool constant = deviation < (double)FLT_EPSILON;
        training->params[i] = centred(header) ? oct_quant_float(mean) : 0.0f;
        if (one_bit(header)) continue;
        training->params[header->dim + i] =
            constant ? 0.0f : oct_quant_float(mean - SIGMAS * deviation);
        training->params[2 * header->dim + i] =
            constant ? FLT_MAX : oct_quant_float(mean + SIGMAS * deviation);
    }
}

static bool train(quant_training *training)
{
    const quant_header *header = &training->quant->header;
    double *sums = training->work, *squares = sums + header->dim;
    uint32_t rows = MAX((uint32_t)STEP_VALUES / header->dim, 1u);
    uint32_t first = (uint32_t)MIN((uint64_t)training->step * rows, training->sample_count);
    uint32_t end = MIN(first + rows, training->sample_count);
    for (uint32_t k = first; k < end; k++) {
        const float *row = oct_flat_row(training->flat, training->sample[k]);
        for (uint32_t i = 0; i < header->dim; i++) {
            double x = (double)row[i];
            sums[i] += x;
            squares[i] += x * x;
        }
    }
    if (end < training->sample_count) return false;
    set_thresholds(training);
    return true;
}

/* ---- coding ----------------------------------------------------------------------------- */

static void set_bit(uint8_t *bits, uint32_t at)
{
    bits[at / 8] |= (uint8_t)(1u << (at % 8));
}

static void encode(const oct_quant *quant, const float *vector, void *work, uint8_t *row,
                   uint32_t *extra)
{
    const quant_header *header = &quant->header;
    const uint32_t dim = header->dim;
    const float *low = quant->params + (one_bit(header) ? 0 : dim), *high = low + dim;
    const uint32_t share = header->encoding == OCT_BINARY_TWO_BITS ? 1 : 2;
    UNUSED(work);
    UNUSED(extra);
    memset(row, 0, header->row_bytes);
    for (uint32_t i = 0; i < dim; i++)
        if (vector[i] > low[i]) set_bit(row, i);
    for (uint32_t i = 0; i < dim && !one_bit(header); i++)
        if (vector[i] >= high[i]) set_bit(row, dim + i / share);
}

/* The number 0..range for component `i` of a row's bits: of the pair's larger where they share. */
static uint32_t level(const oct_quant *quant, const float *vector, uint32_t i, double most,
                      uint32_t range)
{
    const uint32_t dim = quant->header.dim;
    const float *centre = quant->params;
    uint32_t at = i < dim ? i : i - dim;
    double x;
    if (i >= dim && quant->header.encoding == OCT_BINARY_ONE_AND_HALF_BITS) {
        at *= 2;
        x = (double)vector[at] - (double)centre[at];
        if (at + 1 < dim) x = MAX(x, (double)vector[at + 1] - (double)centre[at + 1]);
    } else {
        x = (double)vector[at] - (double)centre[at];
    }
    double share = most > 0 ? (x + most) / (2 * most) : 0.5;
    return (uint32_t)(share * range + 0.5);
}

static void prepare_planes(const oct_quant *quant, const float *vector, binary_query *query)
{
    const quant_header *header = &quant->header;
    const uint32_t bits = row_bits(header), range = (1u << query->planes) - 1;
    double most = 0;
    for (uint32_t i = 0; i < header->dim; i++)
        most = MAX(most, fabs((double)vector[i] - (double)quant->params[i]));
    memset(query->bits, 0, (size_t)query->planes * header->row_bytes);
    for (uint32_t i = 0; i < bits; i++) {
        uint32_t number = level(quant, vector, i, most, range);
        for (uint32_t p = 0; p < query->planes; p++)
            if (number >> p & 1) set_bit(query->bits + (size_t)p * header->row_bytes, i);
    }
    query->half = (double)bits * range / 2;
    query->unit = 2 * most / range;
}

static void prepare(const oct_quant *quant, const float *vector, void *memory)
{
    binary_query *query = memory;
    query->planes = planes_of(&quant->header);
    if (query->planes > 1) {
        prepare_planes(quant, vector, query);
        return;
    }
    encode(quant, vector, NULL, query->bits, NULL);
    query->half = (double)row_bits(&quant->header) / 2;
    query->unit = 2;
}

/* ---- scores ----------------------------------------------------------------------------- */

static void score(const oct_quant *quant, const void *memory, const uint32_t *offsets,
                  uint32_t count, int32_t *scores)
{
    const binary_query *query = memory;
    size_t bytes = quant->header.row_bytes;
    for (uint32_t i = 0; i < count; i++)
        scores[i] = -quant->kernels->hamming(query->bits, oct_quant_row(quant, offsets[i]), bytes,
                                             query->planes);
}

static double agreement(const binary_query *query, int32_t value)
{
    return (query->half + (double)value) * query->unit;
}

static float similarity(const oct_quant *quant, const void *memory, int32_t value)
{
    const quant_header *header = &quant->header;
    const double quarter = 1.5707963267948966;
    double estimate = (double)header->values[LINE_BASE] +
                      (double)header->values[LINE_SLOPE] * agreement(memory, value);
    if (bent(header)) estimate = oct_sin(MAX(MIN(estimate, quarter), -quarter));
    if (centred(header) && estimate > 0) estimate = 0;
    return oct_quant_float(estimate);
}

/* Fit the line to pairs of sampled rows, the first of each as the query. */
static void finish(quant_training *training)
{
    oct_quant *quant = training->quant;
    const oct_flat *flat = training->flat;
    const uint32_t samples = training->sample_count;
    double x_sum = 0, y_sum = 0, xx_sum = 0, xy_sum = 0, count = 0;
    void *memory = training->work;
    for (uint32_t k = 0; k < PAIRS && samples > 1; k++) {
        uint32_t a = (uint32_t)((uint64_t)k * samples / PAIRS);
        uint32_t b = (a + 1 + (uint32_t)((uint64_t)k * 7919 % (samples - 1))) % samples;
        const float *vector = oct_flat_row(flat, training->sample[a]);
        int32_t value;
        prepare(quant, vector, memory);
        score(quant, memory, &training->sample[b], 1, &value);
        double x = agreement(memory, value);
        double y =
            (double)oct_quant_float((double)oct_flat_score(flat, vector, training->sample[b]));
        x_sum += x;
        y_sum += y;
        xx_sum += x * x;
        xy_sum += x * y;
        count++;
    }
    if (count < 1) return;
    double spread = xx_sum - x_sum * x_sum / count;
    double slope = spread > 0 ? (xy_sum - x_sum * y_sum / count) / spread : 0;
    quant->header.values[LINE_SLOPE] = oct_quant_float(MAX(slope, 0.0));
    quant->header.values[LINE_BASE] =
        oct_quant_float((y_sum - (double)quant->header.values[LINE_SLOPE] * x_sum) / count);
}

const quant_kind oct_quant_binary = { .plan = plan,
                                      .validate = validate,
                                      .train_bytes = train_bytes,
                                      .encode_bytes = encode_bytes,
                                      .train = train,
                                      .encode = encode,
                                      .finish = finish,
                                      .query_bytes = query_bytes,
                                      .prepare = prepare,
                                      .score = score,
                                      .similarity = similarity };
