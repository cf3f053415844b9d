/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: binary16 numbers convert as IEEE 754 says, and similarities to compact rows are, to the
 * bit, those to the decoded rows by every instruction set's kernels.
 * Method: all 65,536 halves against their definition by sign, exponent and fraction; rounding
 * against the two neighbours of a number; random rows of all lengths up to 130. */
#include "simd/compact.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "simd/metric.h"
#include "test.h"

enum { DIM_MAX = 130 };

/* By the definition; halves that are no numbers aside. */
static double half_value(uint16_t half)
{
    double sign = half & 0x8000 ? -1.0 : 1.0, fraction = half & 0x3ff;
    int exponent = half >> 10 & 31;
    if (exponent == 0) return sign * fraction * 0x1.0p-24;
    return sign * (1024.0 + fraction) * ldexp(1.0, exponent - 25);
}

TEST(all_halves_are_what_they_say)
{
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t half = (uint16_t)i;
        if ((half >> 10 & 31) == 31) continue;
        CHECK((double)oct_half_decode(half) == half_value(half));
        CHECK_EQ_U64(oct_half_encode(oct_half_decode(half)), half);
    }
    CHECK(signbit(oct_half_decode(0x8000)) != 0);
}

static void check_rounding(float value)
{
    uint16_t half = oct_half_encode(value);
    CHECK(!signbit(value) == !(half & 0x8000));
    uint16_t size = half & 0x7fff;
    double error = fabs(half_value(half) - (double)value);
    CHECK(size <= 0x7bff);
    for (int step = -1; step <= 1; step += 2) {
        if ((size == 0 && step < 0) || (size == 0x7bff && step > 0)) continue;
        uint16_t next = (uint16_t)((half & 0x8000) | (size + step));
        double other = fabs(half_value(next) - (double)value);
        CHECK(error < other || (error == other && size % 2 == 0));
    }
}

TEST(numbers_round_to_the_nearest_half)
{
    for (uint32_t i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)test_random();
        if (i % 4) bits = (bits & 0x8fffffff) | (0x30000000 + (bits & 0x10000000)); /* small */
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value) || fabsf(value) > 65504.0f) continue;
        check_rounding(value);
    }
    for (uint32_t i = 0; i < 0x7bff; i++) { /* ties */
        double middle = (half_value((uint16_t)i) + half_value((uint16_t)(i + 1))) / 2;
        check_rounding((float)middle);
        check_rounding(-(float)middle);
    }
    CHECK_EQ_U64(oct_half_encode(65519.9f), 0x7bff);
    CHECK_EQ_U64(oct_half_encode(1e30f), 0x7bff);
    CHECK_EQ_U64(oct_half_encode(-3.4e38f), 0xfbff);
}

TEST(bytes_are_cut_and_clamped)
{
    float values[] = { -1.0f, -0.0f, 0.999f, 1.0f, 254.99f, 255.0f, 256.0f, 1e30f };
    static const float rounded[] = { 0, 0, 0, 1, 254, 255, 255, 255 };
    oct_compact_round(OCT_DATATYPE_UINT8, values, ARRAY_COUNT(values));
    CHECK(memcmp(values, rounded, sizeof rounded) == 0);
}

static void random_row(oct_datatype datatype, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = datatype == OCT_DATATYPE_UINT8 ? (float)test_random_below(256)
                                                : 100.0f * test_random_float();
    oct_compact_round(datatype, out, n);
}

static void compare(const oct_kernels *kernels, oct_datatype datatype, size_t n)
{
    float query[DIM_MAX], row[DIM_MAX], decoded[DIM_MAX], square;
    uint8_t stored[2 * DIM_MAX + 1];
    random_row(datatype, query, n);
    random_row(datatype, row, n);
    oct_compact_encode(datatype, row, n, stored + 1); /* of any alignment */
    oct_compact_decode(datatype, stored + 1, n, decoded);
    CHECK(memcmp(row, decoded, n * sizeof *row) == 0);
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++) {
        float a = oct_metric_similarity(kernels, (oct_metric)metric, query, row, n);
        float b = oct_compact_similarity((oct_metric)metric, datatype, query, stored + 1, n, NULL);
        CHECK(memcmp(&a, &b, sizeof a) == 0);
        b = oct_compact_similarity((oct_metric)metric, datatype, query, stored + 1, n, &square);
        CHECK(memcmp(&a, &b, sizeof a) == 0 && square == kernels->dot_f32(row, row, n));
    }
}

TEST(similarities_are_those_of_the_decoded_row)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    for (size_t n = 1; n <= DIM_MAX; n++)
        for (size_t k = 0; k < count; k++) {
            compare(tables[k], OCT_DATATYPE_FLOAT16, n);
            compare(tables[k], OCT_DATATYPE_UINT8, n);
        }
}

TEST_MAIN(all_halves_are_what_they_say, numbers_round_to_the_nearest_half,
          bytes_are_cut_and_clamped, similarities_are_those_of_the_decoded_row)
