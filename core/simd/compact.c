/* SPDX-License-Identifier: Apache-2.0
 *
 * compact.c - float16 and uint8 rows; those of turbo4 through turbo.h.
 *
 * Similarities are computed without a decoded copy of the row: blocks of 32 numbers are decoded
 * into a local array and added to the 32 sums of kernels.inc.h in the same order, so that the bits
 * are those of the float kernels. The loops over 32 have a constant length, which is what compilers
 * need to make vectors of them; an intrinsic per instruction set would be faster still, but compact
 * rows are mostly read for a few points a query (rescoring), not for all.
 *
 * Rejected: decoding whole rows into scratch memory (every scan would need some, of up to
 * 65,536 floats). */
#include "simd/compact.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "simd/turbo.h"

enum { SUMS = 32 };

size_t oct_compact_row_bytes(oct_datatype datatype, size_t n)
{
    static const size_t bytes[OCT_DATATYPE_TURBO4] = { 4, 2, 1 };
    ASSERT((unsigned)datatype < OCT_DATATYPE_COUNT);
    return datatype == OCT_DATATYPE_TURBO4 ? oct_turbo_row_bytes(n) : bytes[datatype] * n;
}

bool oct_compact_is_sound(oct_datatype datatype, const void *row)
{
    return datatype != OCT_DATATYPE_TURBO4 || oct_turbo_is_sound(row);
}

/* ---- binary16 --------------------------------------------------------------------------- */

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Without branches, for the vectorizer: a normal number's exponent is moved by a multiplication
 * with a power of two; a subnormal one is the difference of two numbers with the exponent of
 * 0.5. */
float oct_half_decode(uint16_t half)
{
    uint32_t word = (uint32_t)half << 16, twice = word + word;
    float normal = float_of((twice >> 4) + (UINT32_C(0xE0) << 23)) * 0x1.0p-112f;
    float subnormal = float_of((twice >> 17) | (UINT32_C(126) << 23)) - 0.5f;
    uint32_t size = twice < (UINT32_C(1) << 27) ? bits_of(subnormal) : bits_of(normal);
    return float_of((word & UINT32_C(0x80000000)) | size);
}

uint16_t oct_half_encode(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, size = bits & INT32_MAX;
    if (size >= bits_of(65520.0f)) return (uint16_t)(sign | 0x7bff); /* would round to infinity */
    if (size < bits_of(0x1.0p-14f)) { /* subnormal: in units of 2^-24; adding 0.5 rounds */
        uint32_t sum = bits_of(float_of(size) + 0.5f);
        return (uint16_t)(sign | (sum - bits_of(0.5f)));
    }
    uint32_t rounded = size + 0xfff + (size >> 13 & 1); /* half of the last place, ties to even */
    return (uint16_t)(sign | ((rounded - (UINT32_C(112) << 23)) >> 13));
}

/* ---- whole rows ------------------------------------------------------------------------- */

static uint8_t byte_of(float value)
{
    if (!(value > 0.0f)) return 0;
    return value >= 255.0f ? 255 : (uint8_t)value;
}

void oct_compact_round(oct_datatype datatype, float *values, size_t n)
{
    if (datatype == OCT_DATATYPE_FLOAT16)
        for (size_t i = 0; i < n; i++)
            values[i] = oct_half_decode(oct_half_encode(values[i]));
    if (datatype == OCT_DATATYPE_UINT8)
        for (size_t i = 0; i < n; i++)
            values[i] = (float)byte_of(values[i]);
}

void oct_compact_encode(oct_datatype datatype, const float *values, size_t n, void *row)
{
    uint8_t *bytes = row;
    if (datatype == OCT_DATATYPE_FLOAT32) memcpy(row, values, n * sizeof *values);
    if (datatype == OCT_DATATYPE_FLOAT16)
        for (size_t i = 0; i < n; i++) {
            uint16_t half = oct_half_encode(values[i]);
            bytes[2 * i] = (uint8_t)half;
            bytes[2 * i + 1] = (uint8_t)(half >> 8);
        }
    if (datatype == OCT_DATATYPE_UINT8)
        for (size_t i = 0; i < n; i++)
            bytes[i] = byte_of(values[i]);
    if (datatype == OCT_DATATYPE_TURBO4) oct_turbo_encode(values, (uint32_t)n, row);
}

static inline float half_at(const uint8_t *row, size_t i)
{
    return oct_half_decode((uint16_t)(row[2 * i] | row[2 * i + 1] << 8));
}

void oct_compact_decode(oct_datatype datatype, const void *row, size_t n, float *values)
{
    const uint8_t *bytes = row;
    if (datatype == OCT_DATATYPE_FLOAT32) memcpy(values, row, n * sizeof *values);
    if (datatype == OCT_DATATYPE_FLOAT16)
        for (size_t i = 0; i < n; i++)
            values[i] = half_at(bytes, i);
    if (datatype == OCT_DATATYPE_UINT8)
        for (size_t i = 0; i < n; i++)
            values[i] = (float)bytes[i];
    if (datatype == OCT_DATATYPE_TURBO4) oct_turbo_decode(row, 0, n, values);
}

/* ---- similarities ----------------------------------------------------------------------- */

/* The folding of kernels.inc.h. */
static float fold(float sums[SUMS])
{
    for (size_t w = SUMS / 2; w > 0; w /= 2)
        for (size_t j = 0; j < w; j++)
            sums[j] += sums[j + w];
    return sums[0] == sums[0] ? sums[0] : -INFINITY;
}

static void add_dot(float sums[SUMS], const float a[SUMS], const float b[SUMS])
{
    for (size_t j = 0; j < SUMS; j++)
        sums[j] += a[j] * b[j];
}

static void add_l2(float sums[SUMS], const float a[SUMS], const float b[SUMS])
{
    for (size_t j = 0; j < SUMS; j++)
        sums[j] += (a[j] - b[j]) * (a[j] - b[j]);
}

static void add_l1(float sums[SUMS], const float a[SUMS], const float b[SUMS])
{
    for (size_t j = 0; j < SUMS; j++)
        sums[j] += fabsf(a[j] - b[j]);
}

/* 32 numbers of a row from `at` on, or those before `n` and zeros: padding can't be seen. */
static void decode_block(oct_datatype datatype, const uint8_t *row, size_t at, size_t n,
                         float out[SUMS])
{
    size_t count = MIN(n - at, (size_t)SUMS);
    if (count < SUMS) memset(out, 0, SUMS * sizeof *out);
    if (datatype == OCT_DATATYPE_TURBO4)
        oct_turbo_decode(row, at, count, out);
    else
        oct_compact_decode(datatype, row + oct_compact_row_bytes(datatype, at), count, out);
}

float oct_compact_similarity(oct_metric metric, oct_datatype datatype, const float *query,
                             const void *row, size_t n, float *square)
{
    float sums[SUMS] = { 0 }, squares[SUMS] = { 0 }, block[SUMS], rest[SUMS] = { 0 };
    for (size_t at = 0; at < n; at += SUMS) {
        const float *part = query + at;
        if (n - at < SUMS) part = memcpy(rest, part, (n - at) * sizeof *part);
        decode_block(datatype, row, at, n, block);
        if (metric == OCT_METRIC_EUCLID)
            add_l2(sums, part, block);
        else if (metric == OCT_METRIC_MANHATTAN)
            add_l1(sums, part, block);
        else
            add_dot(sums, part, block);
        if (square) add_dot(squares, block, block);
    }
    if (square) *square = fold(squares);
    float sum = fold(sums);
    bool distance = metric == OCT_METRIC_EUCLID || metric == OCT_METRIC_MANHATTAN;
    return distance ? 0.0f - sum : sum;
}
