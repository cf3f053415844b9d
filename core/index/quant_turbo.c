/* SPDX-License-Identifier: Apache-2.0
 *
 * quant_turbo.c - rotate, then round every component to one of a few fixed levels: 4, 2, 1.5 or 1
 * bits a component.
 *
 * After TurboQuant (Zandieh, Daliri, Hadian, Mirrokni 2025, arXiv:2504.19874), in the form Qdrant's
 * articles describe: a random rotation makes the components of any vector nearly normal, so that
 * levels made once for the normal distribution (Lloyd-Max) fit all data and nothing is trained;
 * and, from RaBitQ (Gao and Long 2024), a factor per row that makes up for what rounding took from
 * its length. Departures: the rotation is ours, and there is no per-component shift, which gained a
 * hundredth of recall at most on the embeddings measured.
 *
 *   y = R x / |x|, z = sqrt(n) * y; code = level nearest to z; t = its value as a byte
 *   x.q is estimated by |q| * step * (sum t*c) * f, where c are the 7-bit steps of the rotated
 *   query and f = |x| / sum y*t, so that x.x is estimated exactly.
 *
 * R: simd/rotation.h. 1.5 bits is 1 bit over n = 1.5 * dim components: the vector is rotated into
 * a larger space. Everything is + - * / and sqrt in one order: equal bits on all targets.
 *
 * Extras: f, sum of t (the query's bytes are c + 64), and but for Cosine and Dot |x|^2. A score is
 * the estimate itself, a float whose bits are put in order. Manhattan's distance is no function of
 * lengths and products; its estimate is Euclid's times the ratio of the two over pairs of rows. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "index/quant_codes.h"
#include "simd/rotation.h"

enum { STEPS = 63, CENTRE = 64, PAIRS = 2048, LEVELS_MAX = 16 };

enum { RATIO = 0 };                         /* header.values: Manhattan over Euclid */
enum { FACTOR, LEVEL_SUM, SQUARED_LENGTH }; /* extras */

typedef struct turbo_query {
    double unit;    /* of the estimated product: |q| * step */
    double length2; /* |q|^2 */
    uint64_t reserved[6];
    uint8_t code[]; /* [values]; behind it, while preparing, n floats */
} turbo_query;
STATIC_ASSERT(sizeof(turbo_query) == QUANT_ALIGN_BYTES, "the code is aligned");

/* Levels for the normal distribution: the bytes they are to products, and the borders between. */
typedef struct turbo_levels {
    oct_packing packing;
    float borders[LEVELS_MAX - 1];
} turbo_levels;

static const turbo_levels levels1 = { { 1, { -127, 127 } }, { 0.0f } };
static const turbo_levels levels2 = { { 2, { -127, -38, 38, 127 } },
                                      { -0.981599f, 0.0f, 0.981599f } };
static const turbo_levels levels4 = {
    { 4, { -127, -96, -75, -58, -44, -31, -18, -6, 6, 18, 31, 44, 58, 75, 96, 127 } },
    { -2.400803f, -1.843532f, -1.437139f, -1.099286f, -0.799550f, -0.522404f, -0.258222f, 0.0f,
      0.258222f, 0.522404f, 0.799550f, 1.099286f, 1.437139f, 1.843532f, 2.400803f }
};

static const turbo_levels *levels_of(const quant_header *header)
{
    if (header->bits == OCT_TURBO_BITS4) return &levels4;
    return header->bits == OCT_TURBO_BITS2 ? &levels2 : &levels1;
}

/* Components of the rotated vector. */
static uint32_t rotated(const quant_header *header)
{
    return header->bits == OCT_TURBO_BITS1_5 ? header->dim + (header->dim + 1) / 2 : header->dim;
}

/* Values a row has room for, at least `rotated`. */
static size_t values_of(const quant_header *header)
{
    return (size_t)header->row_bytes * 8 / levels_of(header)->packing.bits;
}

static bool is_product(const quant_header *header)
{
    return header->metric == OCT_METRIC_COSINE || header->metric == OCT_METRIC_DOT;
}

static void plan(quant_header *header)
{
    size_t bits = (size_t)rotated(header) * levels_of(header)->packing.bits;
    header->param_floats = 0;
    header->extra_words = is_product(header) ? 2 : 3;
    header->row_bytes = (uint32_t)oct_quant_aligned((bits + 7) / 8, (size_t)OCT_PACKED_ALIGN);
}

static float extra_float(const oct_quant *quant, uint32_t offset, uint32_t which)
{
    float value;
    memcpy(&value, quant->extras + (size_t)offset * quant->header.extra_words + which,
           sizeof value);
    return value;
}

static oct_status validate(const oct_quant *quant, oct_error *error)
{
    bool good = quant->header.values[RATIO] >= 0;
    for (uint32_t i = 0; i < quant->header.count && good; i++) {
        good = fabsf(extra_float(quant, i, FACTOR)) <= FLT_MAX;
        if (good && !is_product(&quant->header))
            good = fabsf(extra_float(quant, i, SQUARED_LENGTH)) <= FLT_MAX;
    }
    return good ? OCT_OK : oct_fail(error, OCT_CORRUPT, "codes: a row's factor is no number");
}

/* ---- coding ----------------------------------------------------------------------------- */

/* The rotated vector, of length one, in y [n]; its squared length before. */
static double prepare_rotated(const quant_header *header, const float *vector, float *y)
{
    const uint32_t n = rotated(header);
    double squares = 0;
    for (uint32_t i = 0; i < header->dim; i++)
        squares += (double)vector[i] * (double)vector[i];
    double length = sqrt(squares);
    for (uint32_t i = 0; i < header->dim; i++)
        y[i] = length > 0 ? (float)((double)vector[i] / length) : 0.0f;
    for (uint32_t i = header->dim; i < n; i++)
        y[i] = 0.0f;
    oct_rotate(y, n);
    return squares;
}

static size_t train_bytes(const quant_header *header) /* finishing needs a query */
{
    return sizeof(turbo_query) + values_of(header) + rotated(header) * sizeof(float);
}

static size_t encode_bytes(const quant_header *header)
{
    return rotated(header) * sizeof(float);
}

static bool train(quant_training *training)
{
    UNUSED(training);
    return true;
}

static void encode(const oct_quant *quant, const float *vector, void *work, uint8_t *row,
                   uint32_t *extra)
{
    const quant_header *header = &quant->header;
    const turbo_levels *levels = levels_of(header);
    const uint32_t n = rotated(header), bits = levels->packing.bits;
    const uint32_t borders = (1u << bits) - 1;
    const float scale = sqrtf((float)n);
    float *y = work;
    double squares = prepare_rotated(header, vector, y), product = 0;
    int32_t sum = 0;
    memset(row, 0, header->row_bytes);
    for (uint32_t i = 0; i < n; i++) {
        float z = y[i] * scale;
        uint32_t code = 0;
        for (uint32_t b = 0; b < borders; b++)
            code += z > levels->borders[b];
        uint32_t field = i / header->row_bytes;
        row[i % header->row_bytes] |= (uint8_t)(code << (field * bits));
        int32_t level = levels->packing.table[code];
        sum += level;
        product += (double)y[i] * level;
    }
    float factor = product > 0 ? oct_quant_float(sqrt(squares) / product) : 0.0f;
    memcpy(extra + FACTOR, &factor, sizeof factor);
    memcpy(extra + LEVEL_SUM, &sum, sizeof sum);
    if (is_product(header)) return;
    float length2 = oct_quant_float(squares);
    memcpy(extra + SQUARED_LENGTH, &length2, sizeof length2);
}

static size_t query_bytes(const quant_header *header)
{
    return train_bytes(header);
}

static void prepare(const oct_quant *quant, const float *vector, void *memory)
{
    const quant_header *header = &quant->header;
    turbo_query *query = memory;
    const uint32_t n = rotated(header);
    const size_t values = values_of(header); /* a multiple of 16: floats may follow */
    float *y = (float *)(void *)(query->code + values);
    float most = 0.0f;
    query->length2 = prepare_rotated(header, vector, y);
    for (uint32_t i = 0; i < n; i++)
        most = MAX(most, fabsf(y[i]));
    const double per_step = most > 0.0f ? (double)STEPS / (double)most : 0;
    for (uint32_t i = 0; i < n; i++)
        query->code[i] = (uint8_t)((double)y[i] * per_step + ((double)CENTRE + 0.5));
    memset(query->code + n, 0, values - n);
    query->unit = sqrt(query->length2) * (double)most / (double)STEPS;
}

/* ---- scores ----------------------------------------------------------------------------- */

/* The bits of a float as an integer of the same order, and back. */
static int32_t pack(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

static float unpack(int32_t score)
{
    int32_t bits = score < 0 ? score ^ INT32_MAX : score;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void score(const oct_quant *quant, const void *memory, const uint32_t *offsets,
                  uint32_t count, int32_t *scores)
{
    const turbo_query *query = memory;
    const quant_header *header = &quant->header;
    const oct_packing *packing = &levels_of(header)->packing;
    const bool product = is_product(header);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row = oct_quant_row(quant, offsets[i]);
        const uint32_t *extra = quant->extras + (size_t)offsets[i] * header->extra_words;
        int32_t sum = quant->kernels->dot_packed(query->code, row, header->row_bytes, packing);
        sum = (int32_t)((uint32_t)sum - (uint32_t)CENTRE * extra[LEVEL_SUM]);
        double estimate =
            query->unit * (double)sum * (double)extra_float(quant, offsets[i], FACTOR);
        if (!product)
            estimate = 2 * estimate - query->length2 -
                       (double)extra_float(quant, offsets[i], SQUARED_LENGTH);
        scores[i] = pack(oct_quant_float(estimate));
    }
}

static float similarity(const oct_quant *quant, const void *memory, int32_t value)
{
    float estimate = unpack(value);
    UNUSED(memory);
    if (is_product(&quant->header)) return estimate;
    estimate = MIN(estimate, 0.0f);
    if (quant->metric == OCT_METRIC_EUCLID) return estimate;
    return 0.0f - sqrtf(0.0f - estimate) * quant->header.values[RATIO];
}

/* How much longer Manhattan's distances are than Euclid's, over pairs of rows. */
static void finish(quant_training *training)
{
    const oct_flat *flat = training->flat;
    const uint32_t samples = training->sample_count;
    double manhattan = 0, euclid = 0;
    if (flat->metric != OCT_METRIC_MANHATTAN) return;
    for (uint32_t k = 0; k < PAIRS && samples > 1; k++) {
        uint32_t a = (uint32_t)((uint64_t)k * samples / PAIRS);
        uint32_t b = (a + 1 + (uint32_t)((uint64_t)k * 7919 % (samples - 1))) % samples;
        const float *x = oct_flat_row(flat, training->sample[a]);
        const float *y = oct_flat_row(flat, training->sample[b]);
        double squares = 0;
        for (uint32_t i = 0; i < flat->dim; i++) {
            double difference = (double)x[i] - (double)y[i];
            manhattan += fabs(difference);
            squares += difference * difference;
        }
        euclid += sqrt(squares);
    }
    training->quant->header.values[RATIO] = euclid > 0 ? oct_quant_float(manhattan / euclid) : 1.0f;
}

const quant_kind oct_quant_turbo = { .plan = plan,
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
