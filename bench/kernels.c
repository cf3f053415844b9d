/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.c - nanoseconds per distance for each instruction set, in cache.
 *
 * Method: one query against ROWS rows that fit in the second-level cache. Every contender (each
 * runnable instruction set, and on x86-64 a plain hand-written AVX2+FMA kernel as the reference)
 * runs once per round, so that a noisy neighbour hits all of them; the median over the rounds is
 * reported. One JSON line per result. `vs_reference` is time over the reference's time. The _x4
 * operations score four rows a call; their time too is for one distance, and the reference beside
 * them stays the kernel of one pair.
 *
 * Goals: avx2 dot_f32 within 1.15 of the reference; wasm128 under node within 2.5 of native avx2.
 *
 * Usage: kernels [ROUNDS [DIMENSION]] */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "relaxed.h"
#include "simd/kernels.h"

enum { ROWS = 64, DIMENSION_MAX = 1536, ROUNDS_MAX = 201, CONTENDERS_MAX = 8, BATCH_NS = 400000 };

typedef float (*float_kernel)(const float *a, const float *b, size_t n);
typedef void (*float_kernel_x4)(const float *a, const float *const b[4], size_t n, float out[4]);
typedef int32_t (*int_kernel)(const uint8_t *a, const int8_t *b, size_t n);
typedef void (*int_kernel_x4)(const uint8_t *, const int8_t *const[4], size_t, int32_t[4]);

#if defined(__x86_64__)
#include <immintrin.h>
#define HAS_REFERENCE 1
#define TARGET        __attribute__((target("avx2,fma")))

static TARGET float fold(__m256 s0, __m256 s1, __m256 s2, __m256 s3)
{
    __m256 v = _mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3));
    __m128 w = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    w = _mm_add_ps(w, _mm_movehl_ps(w, w));
    return _mm_cvtss_f32(_mm_add_ss(w, _mm_shuffle_ps(w, w, 1)));
}

static TARGET float reference_dot(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    return fold(s0, s1, s2, s3);
}

static TARGET float reference_l2(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i + 32 <= n; i += 32) {
        __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
        __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
        __m256 d2 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16));
        __m256 d3 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24));
        s0 = _mm256_fmadd_ps(d0, d0, s0);
        s1 = _mm256_fmadd_ps(d1, d1, s1);
        s2 = _mm256_fmadd_ps(d2, d2, s2);
        s3 = _mm256_fmadd_ps(d3, d3, s3);
    }
    return fold(s0, s1, s2, s3);
}

static TARGET __m256 absolute(const float *a, const float *b)
{
    __m256 difference = _mm256_sub_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b));
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), difference);
}

static TARGET float reference_l1(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i + 32 <= n; i += 32) {
        s0 = _mm256_add_ps(s0, absolute(a + i, b + i));
        s1 = _mm256_add_ps(s1, absolute(a + i + 8, b + i + 8));
        s2 = _mm256_add_ps(s2, absolute(a + i + 16, b + i + 16));
        s3 = _mm256_add_ps(s3, absolute(a + i + 24, b + i + 24));
    }
    return fold(s0, s1, s2, s3);
}

static TARGET __m256i products(const uint8_t *a, const int8_t *b)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)a);
    __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)b);
    return _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), _mm256_set1_epi16(1));
}

static TARGET int32_t reference_u7i8(const uint8_t *a, const int8_t *b, size_t n)
{
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    for (size_t i = 0; i + 64 <= n; i += 64) {
        s0 = _mm256_add_epi32(s0, products(a + i, b + i));
        s1 = _mm256_add_epi32(s1, products(a + i + 32, b + i + 32));
    }
    s0 = _mm256_add_epi32(s0, s1);
    __m128i w = _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1));
    w = _mm_add_epi32(w, _mm_shuffle_epi32(w, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(w, _mm_shuffle_epi32(w, 0xb1)));
}

static bool can_run_reference(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else
#define HAS_REFERENCE 0
#endif

typedef enum operation {
    DOT,
    L2,
    L1,
    U7I8,
    DOT_X4,
    L2_X4,
    L1_X4,
    U7I8_X4,
    U7U4_X4,
    OPERATIONS
} operation;
static const char *const operation_names[] = { "dot_f32",   "l2_f32",      "l1_f32",
                                               "dot_u7i8",  "dot_f32_x4",  "l2_f32_x4",
                                               "l1_f32_x4", "dot_u7i8_x4", "dot_u7u4_x4" };

typedef struct contender {
    oct_kernels kernels; /* the reference fills the single kernels of this table */
    double ns[ROUNDS_MAX];
} contender;

/* Aligned as the database aligns its vectors: where loads cross cache lines all get slower. */
static _Alignas(64) float rows[ROWS * DIMENSION_MAX];
static _Alignas(64) float query[DIMENSION_MAX];
static _Alignas(64) int8_t row_codes[ROWS * DIMENSION_MAX];
static _Alignas(64) uint8_t query_codes[DIMENSION_MAX];
static contender contenders[CONTENDERS_MAX];
static volatile float sink;

static double now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void fill_inputs(void)
{
    uint32_t state = 1;
    for (size_t i = 0; i < ROWS * DIMENSION_MAX; i++) {
        rows[i] = (float)next_random(&state) / 16777216.0f - 0.5f;
        row_codes[i] = (int8_t)(next_random(&state) % 128);
    }
    for (size_t i = 0; i < DIMENSION_MAX; i++) {
        query[i] = (float)next_random(&state) / 16777216.0f - 0.5f;
        query_codes[i] = (uint8_t)(next_random(&state) % 128);
    }
}

static float scan_float(float_kernel kernel, size_t dimension)
{
    float sum = 0;
    for (size_t r = 0; r < ROWS; r++)
        sum += kernel(query, rows + r * dimension, dimension);
    return sum;
}

static float scan_float_x4(float_kernel_x4 kernel, size_t dimension)
{
    float sum = 0;
    for (size_t r = 0; r < ROWS; r += 4) {
        const float *at = rows + r * dimension;
        const float *const b[4] = { at, at + dimension, at + 2 * dimension, at + 3 * dimension };
        float out[4];
        kernel(query, b, dimension, out);
        sum += out[0] + out[1] + out[2] + out[3];
    }
    return sum;
}

static float scan_int(int_kernel kernel, size_t dimension)
{
    int32_t sum = 0;
    for (size_t r = 0; r < ROWS; r++)
        sum ^= kernel(query_codes, row_codes + r * dimension, dimension);
    return (float)sum;
}

/* Rows of `bytes` bytes. */
static float scan_int_x4(int_kernel_x4 kernel, size_t bytes)
{
    int32_t sum = 0;
    for (size_t r = 0; r < ROWS; r += 4) {
        const int8_t *at = row_codes + r * bytes;
        const int8_t *const b[4] = { at, at + bytes, at + 2 * bytes, at + 3 * bytes };
        int32_t out[4];
        kernel(query_codes, b, bytes, out);
        sum ^= out[0] ^ out[1] ^ out[2] ^ out[3];
    }
    return (float)sum;
}

/* The kernel of one pair takes over where a contender (the reference) has none for four. */
static float scan(const oct_kernels *kernels, operation what, size_t dimension)
{
    const oct_kernels *k = kernels;
    if (what == DOT_X4 && k->dot_f32_x4) return scan_float_x4(k->dot_f32_x4, dimension);
    if (what == L2_X4 && k->l2_f32_x4) return scan_float_x4(k->l2_f32_x4, dimension);
    if (what == L1_X4 && k->l1_f32_x4) return scan_float_x4(k->l1_f32_x4, dimension);
    if (what == U7I8_X4 && k->dot_u7i8_x4) return scan_int_x4(k->dot_u7i8_x4, dimension);
    if (what == U7U4_X4 && k->dot_u7u4_x4) return scan_int_x4(k->dot_u7u4_x4, dimension / 2);
    if (what == DOT || what == DOT_X4) return scan_float(k->dot_f32, dimension);
    if (what == L2 || what == L2_X4) return scan_float(k->l2_f32, dimension);
    if (what == L1 || what == L1_X4) return scan_float(k->l1_f32, dimension);
    return scan_int(k->dot_u7i8, dimension);
}

static double time_scans(const oct_kernels *kernels, operation what, size_t dimension, int scans)
{
    double start = now_ns();
    for (int i = 0; i < scans; i++)
        sink = scan(kernels, what, dimension);
    return (now_ns() - start) / ((double)scans * (double)ROWS);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The reference, when there is one, is the last contender. */
static void measure(operation what, size_t dimension, size_t count, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (size_t c = 0; c < count; c++) {
            const oct_kernels *kernels = &contenders[c].kernels;
            /* Once to warm up and to see how many scans fill a batch. */
            double once = time_scans(kernels, what, dimension, 1) * (double)ROWS;
            int scans = (int)((double)BATCH_NS / (once + 100.0)) + 1;
            contenders[c].ns[round] = time_scans(kernels, what, dimension, scans);
        }
    }
    double reference = 0;
    for (size_t c = count; c-- > 0;) {
        qsort(contenders[c].ns, (size_t)rounds, sizeof contenders[c].ns[0], ascending);
        double median = contenders[c].ns[rounds / 2];
        if (strcmp(contenders[c].kernels.name, "reference") == 0) reference = median;
        printf("{\"bench\":\"kernels\",\"operation\":\"%s\",\"isa\":\"%s\",\"dimension\":%u,"
               "\"ns\":%.2f",
               operation_names[what], contenders[c].kernels.name, (unsigned)dimension, median);
        if (reference > 0) printf(",\"vs_reference\":%.3f", median / reference);
        printf("}\n");
    }
    fflush(stdout);
}

static size_t list_contenders(void)
{
    const oct_kernels *runnable[OCT_KERNELS_MAX];
    size_t count = oct_kernels_list(runnable, OCT_KERNELS_MAX);
    for (size_t i = 0; i < count; i++)
        contenders[i].kernels = *runnable[i];
    const oct_kernels *relaxed = bench_relaxed(runnable[count - 1]);
    if (relaxed) contenders[count++].kernels = *relaxed;
#if HAS_REFERENCE
    if (can_run_reference()) {
        contenders[count++].kernels = (oct_kernels){ .name = "reference",
                                                     .dot_f32 = reference_dot,
                                                     .l2_f32 = reference_l2,
                                                     .l1_f32 = reference_l1,
                                                     .dot_u7i8 = reference_u7i8 };
    }
#endif
    return count;
}

int main(int argc, char **argv)
{
    static const size_t dimensions[] = { 128, 384, 768, 1536 };
    int rounds = argc > 1 ? atoi(argv[1]) : 51;
    size_t only = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "kernels: ROUNDS must be 1..%d\n", (int)ROUNDS_MAX);
        return 2;
    }
    fill_inputs();
    size_t count = list_contenders();
    for (size_t d = 0; d < sizeof dimensions / sizeof dimensions[0]; d++) {
        if (only && only != dimensions[d]) continue;
        for (int what = 0; what < OPERATIONS; what++)
            measure((operation)what, dimensions[d], count, rounds);
    }
    return 0;
}
