/* SPDX-License-Identifier: Apache-2.0
 *
 * quant_scalar.c - one signed byte a component, on one interval for all components.
 *
 *     code r = round((x - centre) / step), -126..126,   step = half the interval / 126
 *
 * The interval holds the share `quantile` of all components, as much cut off above as below; 1 is
 * from the smallest to the largest. Components outside are clipped.
 *
 * Queries have 7 bits, because the fastest products of bytes want one unsigned operand below 128
 * (simd/kernels.h): u = q + 64 with q in -63..63. So rows are twice as exact as the graph's own
 * codes (simd/codes.h) in the same bytes; those need equal codes on both sides, to build.
 *
 *   Cosine, Dot   the query has a step of its own, from its largest component. The product with the
 *                 centre is the same for all rows. Extra: -64 * sum r, which undoes the 64 of u.
 *   Euclid        the centre doesn't matter to distances, but both sides need one scale: a step of
 *                 the query is two of the row's. In squares of the former, -|q - r|^2 is
 *                 q*r - r*r/4 - q*q; r*r/4, rounded down, is in the extra, q*q the same for all.
 *   Manhattan     is no product. Rows and query are the bytes r + 128, compared by |a - b|.
 *
 * Range, 65536 components: |u*r| <= 1.05e9, 64 * sum r <= 5.3e8, sum r*r / 4 <= 2.6e8; their sum
 * stays inside int32. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "index/quant_codes.h"

enum {
    STEPS = 126, /* of a row's code on each side of 0 */
    QUERY_STEPS = 63,
    QUERY_CENTRE = 64,
    BYTE_CENTRE = 128, /* Manhattan */
    SAMPLE_VALUES = 1 << 20,
    STEP_VALUES = 1 << 17 /* looked at in one step of training */
};

enum { STEP, CENTRE }; /* header.values */

/* Steps below this would make reciprocals overflow. */
#define STEP_MIN 0x1p-110f

typedef struct scalar_query {
    double factor; /* similarity = factor * score + offset */
    double offset;
    uint64_t reserved[6]; /* the code begins at a multiple of 64 */
    uint8_t code[];
} scalar_query;
STATIC_ASSERT(sizeof(scalar_query) == QUANT_ALIGN_BYTES, "the code is aligned");

static bool is_manhattan(const quant_header *header)
{
    return header->metric == OCT_METRIC_MANHATTAN;
}

static void plan(quant_header *header)
{
    header->param_floats = 0;
    header->extra_words = is_manhattan(header) ? 0 : 1;
    header->row_bytes = (uint32_t)oct_quant_aligned(header->dim, QUANT_ALIGN_BYTES);
}

static oct_status validate(const oct_quant *quant, oct_error *error)
{
    float step = quant->header.values[STEP];
    float centre = quant->header.values[CENTRE];
    if (step >= STEP_MIN && step <= FLT_MAX && fabsf(centre) <= FLT_MAX) return OCT_OK;
    return oct_fail(error, OCT_CORRUPT, "codes: the interval is not one that training makes");
}

/* ---- training --------------------------------------------------------------------------- */

/* Bits of a float in the order of its value. */
static uint32_t ordered_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | UINT32_C(0x80000000);
}

static float from_ordered(uint32_t bits)
{
    float value;
    bits = bits >> 31 ? bits & UINT32_C(0x7fffffff) : ~bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* What training has done. A quantile is found eight bits at a time: a pass over the sample counts
 * the components that begin with `prefix` by their next eight bits. */
typedef struct scalar_work {
    float low, high;
    uint32_t next; /* row to look at, or one of the sample */
    bool any;
    bool has_low;        /* the lower quantile is found */
    uint32_t known_bits; /* of the prefix */
    uint32_t prefix;
    uint64_t rank; /* of the component looked for, among those with the prefix; 0 = smallest */
    uint64_t counts[256];
} scalar_work;

/* Rows to look at in one step. */
static uint32_t rows_per_step(const quant_training *training)
{
    return MAX((uint32_t)STEP_VALUES / training->flat->dim, 1u);
}

/* Extend the range by the next rows; true when all were seen. */
static bool widen(const quant_training *training, scalar_work *work)
{
    const oct_flat *flat = training->flat;
    uint32_t end = work->next + MIN(flat->count - work->next, rows_per_step(training));
    for (; work->next < end; work->next++) {
        if (!oct_flat_has(flat, work->next)) continue;
        const float *row = oct_flat_row(flat, work->next);
        if (!work->any) work->low = work->high = row[0];
        work->any = true;
        for (uint32_t i = 0; i < flat->dim; i++) {
            work->low = MIN(work->low, row[i]);
            work->high = MAX(work->high, row[i]);
        }
    }
    return work->next == flat->count;
}

/* Count the components of the next of the sample's first `vectors`; true when all are. */
static bool count_components(const quant_training *training, scalar_work *work, uint32_t vectors)
{
    uint32_t end = work->next + MIN(vectors - work->next, rows_per_step(training));
    uint32_t shift = 24 - work->known_bits;
    for (; work->next < end; work->next++) {
        uint32_t place = (uint32_t)((uint64_t)work->next * training->sample_count / vectors);
        const float *row = oct_flat_row(training->flat, training->sample[place]);
        for (uint32_t i = 0; i < training->flat->dim; i++) {
            uint32_t bits = ordered_bits(row[i]);
            if (shift == 24 || bits >> (shift + 8) == work->prefix)
                work->counts[bits >> shift & 255]++;
        }
    }
    return work->next == vectors;
}

/* All are counted: the bucket that has the rank is the prefix's next eight bits. */
static void extend_prefix(scalar_work *work)
{
    uint32_t bucket = 0;
    while (bucket < 255 && work->rank >= work->counts[bucket])
        work->rank -= work->counts[bucket++];
    work->prefix = work->prefix << 8 | bucket;
    work->known_bits += 8;
    work->next = 0;
    memset(work->counts, 0, sizeof work->counts);
}

/* Look at more of the sample; true when both quantiles are found. */
static bool find_quantiles(const quant_training *training, scalar_work *work)
{
    uint32_t dim = training->flat->dim;
    uint32_t vectors = MIN(training->sample_count, MAX((uint32_t)SAMPLE_VALUES / dim, 64u));
    if (vectors == 0) return true;
    uint64_t values = (uint64_t)vectors * dim;
    double outside = (1.0 - (double)training->quant->header.quantile) / 2;
    uint64_t cut = MIN((uint64_t)((double)values * outside), (values - 1) / 2);
    if (work->known_bits == 0 && work->next == 0)
        work->rank = work->has_low ? values - 1 - cut : cut;
    if (!count_components(training, work, vectors)) return false;
    extend_prefix(work);
    if (work->known_bits < 32) return false;
    float found = from_ordered(work->prefix);
    bool both = work->has_low;
    if (both)
        work->high = found;
    else
        work->low = found;
    work->has_low = true;
    work->known_bits = work->prefix = 0;
    return both;
}

static bool train(quant_training *training)
{
    scalar_work *work = training->work;
    quant_header *header = &training->quant->header;
    bool all = header->quantile < 1.0f;
    all = all ? find_quantiles(training, work) : widen(training, work);
    if (!all) return false;
    double low = (double)work->low, high = (double)work->high;
    header->values[CENTRE] = (float)((low + high) / 2);
    header->values[STEP] = MAX((float)((high - low) / (2 * STEPS)), STEP_MIN);
    return true;
}

static size_t train_bytes(const quant_header *header)
{
    UNUSED(header);
    return sizeof(scalar_work);
}

static size_t encode_bytes(const quant_header *header)
{
    UNUSED(header);
    return 0;
}

/* ---- coding ----------------------------------------------------------------------------- */

/* round(x), -most..most. Truncation rounds what was moved above 0. */
static int32_t round_clipped(double x, int32_t most)
{
    x = x < (double)most ? x : (double)most;
    x = x > (double)-most ? x : (double)-most;
    return (int32_t)(x + 256.5) - 256;
}

static void encode(const oct_quant *quant, const float *vector, void *work, uint8_t *row,
                   uint32_t *extra)
{
    const quant_header *header = &quant->header;
    const double per_step = 1.0 / (double)header->values[STEP];
    const double centre = (double)header->values[CENTRE];
    const bool bytes = is_manhattan(header);
    int32_t sum = 0, squares = 0;
    UNUSED(work);
    for (uint32_t i = 0; i < header->dim; i++) {
        int32_t code = round_clipped(((double)vector[i] - centre) * per_step, STEPS);
        row[i] = (uint8_t)(bytes ? code + BYTE_CENTRE : code);
        sum += code;
        squares += code * code;
    }
    memset(row + header->dim, 0, header->row_bytes - header->dim);
    if (bytes) return;
    int32_t bias = -QUERY_CENTRE * sum;
    if (header->metric == OCT_METRIC_EUCLID) bias -= squares / 4;
    memcpy(extra, &bias, sizeof bias);
}

static size_t query_bytes(const quant_header *header)
{
    return sizeof(scalar_query) + header->row_bytes;
}

/* Cosine and Dot: a step of the query's own. */
static void prepare_product(const oct_quant *quant, const float *vector, scalar_query *query)
{
    const quant_header *header = &quant->header;
    float most = 0.0f;
    double sum = 0;
    for (uint32_t i = 0; i < header->dim; i++) {
        most = MAX(most, fabsf(vector[i]));
        sum += (double)vector[i];
    }
    double step = MAX((double)most / (double)QUERY_STEPS, (double)STEP_MIN);
    for (uint32_t i = 0; i < header->dim; i++)
        query->code[i] =
            (uint8_t)(round_clipped((double)vector[i] / step, QUERY_STEPS) + QUERY_CENTRE);
    query->factor = step * (double)header->values[STEP];
    query->offset = sum * (double)header->values[CENTRE];
}

static void prepare_euclid(const oct_quant *quant, const float *vector, scalar_query *query)
{
    const quant_header *header = &quant->header;
    const double step = 2 * (double)header->values[STEP];
    const double centre = (double)header->values[CENTRE];
    int64_t squares = 0;
    for (uint32_t i = 0; i < header->dim; i++) {
        int32_t code = round_clipped(((double)vector[i] - centre) / step, QUERY_STEPS);
        query->code[i] = (uint8_t)(code + QUERY_CENTRE);
        squares += code * code;
    }
    query->factor = step * step; /* -|q - r|^2 = step^2 * (score - |q|^2) */
    query->offset = -(double)squares * query->factor;
}

static void prepare(const oct_quant *quant, const float *vector, void *memory)
{
    scalar_query *query = memory;
    const quant_header *header = &quant->header;
    if (is_manhattan(header)) {
        encode(quant, vector, NULL, query->code, NULL);
        query->factor = (double)header->values[STEP];
        query->offset = 0;
        return;
    }
    memset(query->code + header->dim, 0, header->row_bytes - header->dim);
    if (header->metric == OCT_METRIC_EUCLID)
        prepare_euclid(quant, vector, query);
    else
        prepare_product(quant, vector, query);
}

/* ---- scores ----------------------------------------------------------------------------- */

static void score_bytes(const oct_quant *quant, const scalar_query *query, const uint32_t *offsets,
                        uint32_t count, int32_t *scores)
{
    size_t bytes = quant->header.row_bytes;
    for (uint32_t i = 0; i < count; i++)
        scores[i] = -quant->kernels->l1_u8(query->code, oct_quant_row(quant, offsets[i]), bytes);
}

static void score(const oct_quant *quant, const void *memory, const uint32_t *offsets,
                  uint32_t count, int32_t *scores)
{
    const scalar_query *query = memory;
    const int32_t *bias = (const int32_t *)(const void *)quant->extras;
    size_t bytes = quant->header.row_bytes;
    uint32_t i = 0;
    if (is_manhattan(&quant->header)) {
        score_bytes(quant, query, offsets, count, scores);
        return;
    }
    for (; i + 4 <= count; i += 4) {
        const int8_t *rows[4];
        for (uint32_t j = 0; j < 4; j++)
            rows[j] = (const int8_t *)oct_quant_row(quant, offsets[i + j]);
        quant->kernels->dot_u7i8_x4(query->code, rows, bytes, scores + i);
        for (uint32_t j = 0; j < 4; j++)
            scores[i + j] = oct_quant_add(scores[i + j], bias[offsets[i + j]]);
    }
    for (; i < count; i++) {
        const int8_t *row = (const int8_t *)oct_quant_row(quant, offsets[i]);
        scores[i] =
            oct_quant_add(quant->kernels->dot_u7i8(query->code, row, bytes), bias[offsets[i]]);
    }
}

static float similarity(const oct_quant *quant, const void *memory, int32_t value)
{
    const scalar_query *query = memory;
    double estimate = query->factor * (double)value + query->offset;
    bool distance = quant->metric == OCT_METRIC_EUCLID || is_manhattan(&quant->header);
    if (distance && estimate > 0) estimate = 0;
    return oct_quant_float(estimate);
}

const quant_kind oct_quant_scalar = { .plan = plan,
                                      .validate = validate,
                                      .train_bytes = train_bytes,
                                      .encode_bytes = encode_bytes,
                                      .train = train,
                                      .encode = encode,
                                      .query_bytes = query_bytes,
                                      .prepare = prepare,
                                      .score = score,
                                      .similarity = similarity };
