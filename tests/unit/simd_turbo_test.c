/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: rows of turbo4 are the numbers of the stored form, to the bit; rounding what is shown
 * changes nothing; vectors keep their length and most of their direction; rotated queries see the
 * distances there are; no bytes do harm; every target makes the same bytes.
 * Method: vectors of many shapes and sizes, from ones that fit the levels badly to ones near the
 * ends of the range of floats. */
#include <math.h>

#include "base/check.h"
#include "base/hash.h"
#include "simd/compact.h"
#include "simd/metric.h"
#include "simd/rotation.h"
#include "simd/turbo.h"
#include "unit/test.h"

enum { DIM_MAX = 1100, SHAPES = 9 };

static const uint32_t dims[] = { 1, 2, 3, 4, 5, 7, 8, 15, 31, 33, 64, 100, 127, 384, 1000, 1024 };

static float normal(void)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += test_random_float() * 0.5f;
    return sum;
}

static void make(uint32_t shape, float *out, uint32_t n)
{
    static const float sizes[SHAPES] = { 1, 1, 1, 1, 1, 1, 1e-33f, 1e36f, 30 };
    for (uint32_t i = 0; i < n; i++) {
        float value = normal();
        if (shape == 1) value = fabsf(value);
        if (shape == 2) value = test_random_below(20) ? 0.0f : value;
        if (shape == 3) value = 1;
        if (shape == 4) value = i ? 0.0f : 2.5f;
        if (shape == 5) value = (float)test_random_below(5) - 2;
        if (shape == 8) value = value * value * value;
        out[i] = value * sizes[shape];
    }
}

static oct_vector_params params_of(oct_metric metric, uint32_t n)
{
    return (oct_vector_params){ .size = n, .metric = metric, .datatype = OCT_DATATYPE_TURBO4 };
}

static bool same_floats(const float *a, const float *b, uint32_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

static double length_of(const float *x, uint32_t n)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    return sqrt(squares);
}

static void check_vector(oct_metric metric, uint32_t shape, uint32_t n)
{
    static float given[DIM_MAX], stored[DIM_MAX], shown[DIM_MAX], again[DIM_MAX];
    static uint8_t row[DIM_MAX];
    const oct_vector_params params = params_of(metric, n);
    const oct_kernels *kernels = oct_kernels_select(NULL);
    make(shape, given, n);
    memcpy(stored, given, n * sizeof *stored);
    oct_metric_prepare(kernels, &params, stored, n);
    oct_compact_encode(OCT_DATATYPE_TURBO4, stored, n, row + 1); /* of any alignment */
    CHECK(oct_compact_is_sound(OCT_DATATYPE_TURBO4, row + 1));
    oct_compact_decode(OCT_DATATYPE_TURBO4, row + 1, n, again);
    CHECK(same_floats(stored, again, n));
    memcpy(shown, stored, n * sizeof *shown);
    oct_metric_restore(&params, shown, n);
    memcpy(again, shown, n * sizeof *again);
    oct_metric_prepare(kernels, &params, again, n);
    CHECK(same_floats(stored, again, n));
    double length = length_of(given, n); /* a short one counts as 0 for Cosine, and stays */
    double wanted = metric == OCT_METRIC_COSINE && length > 3.5e-4 ? 1 : length;
    /* Beside the limit of Cosine, and below the least scale, it may go either way; Cosine can't
     * divide by a length whose square is beyond floats. */
    bool clear = fabs(length - 3.5e-4) > 1e-5 && length > 1e-33;
    clear = clear && (metric != OCT_METRIC_COSINE || length < 1e19);
    CHECK(!clear || fabs(length_of(shown, n) - wanted) <= wanted * 1e-4);
}

TEST(what_is_shown_is_stored_again)
{
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++)
        for (size_t d = 0; d < ARRAY_COUNT(dims); d++)
            for (uint32_t shape = 0; shape < SHAPES; shape++)
                for (uint32_t i = 0; i < (dims[d] < 100 ? 200u : 20u) && !test_failed; i++)
                    check_vector((oct_metric)metric, shape, dims[d]);
}

TEST(ends_of_the_range)
{
    static const float values[] = { 0.0f, -0.0f, 1e-45f, 1e-38f, 0x1.fffffep127f, -3e38f, 1.0f };
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++)
        for (size_t k = 0; k < ARRAY_COUNT(values); k++)
            for (uint32_t n = 1; n <= 40; n += 13) {
                float stored[64], again[64];
                uint8_t row[64];
                const oct_vector_params params = params_of((oct_metric)metric, n);
                for (uint32_t i = 0; i < n; i++)
                    stored[i] = i % 3 ? values[k] : -values[k];
                oct_turbo_round(params.metric, stored, n);
                oct_turbo_encode(stored, n, row);
                oct_turbo_decode(row, 0, n, again);
                CHECK(oct_turbo_is_sound(row));
                CHECK(same_floats(stored, again, n));
                oct_metric_restore(&params, again, n);
                for (uint32_t i = 0; i < n; i++)
                    CHECK(isfinite(stored[i]) && isfinite(again[i]));
                for (uint32_t i = 0; i < n && fabsf(values[k]) < 1e-37f; i++)
                    CHECK(stored[i] == 0 && !signbit(stored[i]));
            }
}

/* Similarities of rotated queries and stored forms are those of the vectors themselves; and what is
 * lost is what 4 bits lose. */
TEST(distances_are_kept)
{
    enum { N = 200, ROUNDS = 300 };
    const oct_kernels *kernels = oct_kernels_select(NULL);
    double lost = 0, all = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        float query[N], turned[N], given[N], stored[N], shown[N];
        const oct_vector_params params = params_of((oct_metric)(round % OCT_METRIC_COUNT), N);
        make(0, query, N);
        make(0, given, N);
        oct_metric_preprocess(kernels, params.metric, query, N);
        oct_metric_preprocess(kernels, params.metric, given, N);
        memcpy(turned, query, sizeof query);
        memcpy(stored, given, sizeof given);
        oct_metric_prepare_given(kernels, &params, turned, N);
        oct_metric_prepare(kernels, &params, stored, N);
        memcpy(shown, stored, sizeof stored);
        oct_metric_restore(&params, shown, N);
        float a = oct_metric_similarity(kernels, params.metric, turned, stored, N);
        float b = oct_metric_similarity(kernels, params.metric, query, shown, N);
        CHECK(fabsf(a - b) <= 1e-5f * (1 + fabsf(b)));
        for (uint32_t i = 0; i < N; i++) {
            lost += ((double)shown[i] - (double)given[i]) * ((double)shown[i] - (double)given[i]);
            all += (double)given[i] * (double)given[i];
        }
    }
    printf("    share of the squares lost: %.4f\n", lost / all);
    CHECK(lost / all < 0.012); /* Lloyd and Max's for 16 levels: 0.0095 */
}

static uint32_t crc_of_rows(void)
{
    static float values[DIM_MAX];
    static uint8_t row[DIM_MAX];
    uint32_t crc = 0, state = 1;
    for (uint32_t n = 1; n < DIM_MAX; n += 37) {
        for (uint32_t i = 0; i < n; i++) {
            state = state * 1664525u + 1013904223u;
            values[i] = ((float)(state >> 8) - 8388608.0f) * 0x1.0p-20f;
        }
        oct_turbo_round(n % 2 ? OCT_METRIC_DOT : OCT_METRIC_MANHATTAN, values, n);
        oct_turbo_encode(values, n, row);
        crc = oct_crc32c(crc, row, oct_turbo_row_bytes(n));
        oct_turbo_restore(n % 2 ? OCT_METRIC_DOT : OCT_METRIC_MANHATTAN, values, n);
        crc = oct_crc32c(crc, values, n * sizeof *values);
    }
    return crc;
}

TEST(every_target_makes_the_same_bytes)
{
    CHECK_EQ_U64(crc_of_rows(), 0x1fb148e2);
}

TEST(any_bytes_are_read)
{
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t row[24];
        float values[40];
        for (size_t j = 0; j < sizeof row; j++)
            row[j] = (uint8_t)test_random_below(256);
        if (i % 2) memset(row, (int)test_random_below(2) * 255, 2);
        oct_turbo_decode(row, 0, 40, values);
        for (uint32_t j = 0; j < 40; j++)
            CHECK(oct_turbo_is_sound(row) ? isfinite(values[j]) : values[j] == 0);
    }
}

TEST(rotation_and_back)
{
    for (size_t d = 0; d < ARRAY_COUNT(dims); d++) {
        static float y[DIM_MAX], before[DIM_MAX];
        uint32_t n = dims[d];
        make(0, y, n);
        memcpy(before, y, n * sizeof *y);
        double length = length_of(y, n);
        oct_rotate(y, n);
        CHECK(fabs(length_of(y, n) - length) <= length * 1e-5);
        oct_rotate_back(y, n);
        for (uint32_t i = 0; i < n; i++)
            CHECK(fabsf(y[i] - before[i]) <= 1e-5f * (float)length);
    }
}

TEST_MAIN(what_is_shown_is_stored_again, ends_of_the_range, distances_are_kept,
          every_target_makes_the_same_bytes, any_bytes_are_read, rotation_and_back)
