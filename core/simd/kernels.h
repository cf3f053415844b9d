/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.h - the table of distance functions that one instruction set supplies.
 *
 * Every table returns the same bits for the same input: the f32 kernels add in one fixed order
 * (see kernels.inc.h), the integer kernels are exact. So a score computed by a browser equals the
 * one computed by a server, and tests compare with ==.
 *
 * Contract of the f32 kernels: inputs are finite, any alignment, any n (0 gives +0). Sums may
 * overflow to infinity; where infinities of both signs meet, dot is -INFINITY (the worst score),
 * so that no kernel ever returns NaN. The rounding mode is to nearest and denormals are kept
 * (oct_cpu_keeps_denormals).
 *
 * All functions are pure and may be called from any thread. */
#ifndef OCTANT_SIMD_KERNELS_H
#define OCTANT_SIMD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octant/host.h"

enum {
    OCT_KERNELS_MAX = 4,   /* most tables any one target can run */
    OCT_PACKED_ALIGN = 16, /* bytes of quantized rows come in multiples of it */
    OCT_PACKED_LINE = 64   /* those of rows of 4 bits, in multiples of this */
};

/* What the bits of a packed row mean. */
struct oct_packing {
    uint32_t bits;    /* of one value: 1, 2 or 4 */
    int8_t table[16]; /* [1 << bits] */
};

typedef struct oct_kernels {
    const char *name; /* "scalar", "sse2", "avx2", "avx512", "neon", "wasm128", or the host's */

    /* Sum of a[i] * b[i], of (a[i] - b[i])^2, of |a[i] - b[i]|. */
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*l2_f32)(const float *a, const float *b, size_t n);
    float (*l1_f32)(const float *a, const float *b, size_t n);

    /* The same of one vector with four, sharing the loads of a and the folding of sums. Bit for bit
     * what four calls give. For rows in cache and scattered rows; rows that follow each other in
     * main memory are read faster one by one (index/flat.c). */
    void (*dot_f32_x4)(const float *a, const float *const b[4], size_t n, float out[4]);
    void (*l2_f32_x4)(const float *a, const float *const b[4], size_t n, float out[4]);
    void (*l1_f32_x4)(const float *a, const float *const b[4], size_t n, float out[4]);

    /* Exact sum of a[i] * b[i]. a[i] must lie in 0..127, b[i] is any int8. Fastest when n is a
     * multiple of 64. n <= OCT_VECTOR_SIZE_MAX (plus padding) keeps the sum inside int32. */
    int32_t (*dot_u7i8)(const uint8_t *a, const int8_t *b, size_t n);

    /* dot_u7i8 of one vector with four, sharing the loads of a: a sixth to a third faster. */
    void (*dot_u7i8_x4)(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4]);

    /* The kernels of quantized rows; n is a multiple of OCT_PACKED_ALIGN.
     * Exact sum of |a[i] - b[i]| of bytes. */
    int32_t (*l1_u8)(const uint8_t *a, const uint8_t *b, size_t n);

    /* The bits in which the n bytes of `row` differ from each of `count` planes [count][n], those
     * of plane p counted 2^p times. count is 1..8. */
    int32_t (*hamming)(const uint8_t *planes, const uint8_t *row, size_t n, uint32_t count);

    /* Exact sum of a[i] * b[i] where b is packed: byte k of the n of `row` holds, from its lowest
     * bits on, the values k, n + k, 2n + k, ... as places in a table. a[] lies in 0..127 and is
     * n * 8 / bits long. */
    int32_t (*dot_packed)(const uint8_t *a, const uint8_t *row, size_t n,
                          const oct_packing *packing);

    /* Exact sum of a[i] * b[i] where b is packed without a table: byte k of its n holds the values
     * k (its lower half) and n + k, both in 0..15. a[] lies in 0..127 and is 2n long; n is a
     * multiple of OCT_PACKED_LINE. And the same of one vector with four. */
    int32_t (*dot_u7u4)(const uint8_t *a, const int8_t *b, size_t n);
    void (*dot_u7u4_x4)(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4]);
} oct_kernels;

/* The best table this CPU can run, or the one called `force` (NULL and "" mean best).
 * NULL when this CPU or this build has no table of that name. Constant, never freed. Asks the CPU
 * on each call: call it once per open, not per distance. */
const oct_kernels *oct_kernels_select(const char *force);

/* Every table this CPU can run, "scalar" first and the best last. Writes at most `max` pointers to
 * `out` and returns how many it wrote. */
size_t oct_kernels_list(const oct_kernels **out, size_t max);

/* *out is a copy of `own` with the functions and the name of `offer` in it: when all of these are
 * there and answered a few thousand questions as the scalar kernels do. Else *out is `own` and the
 * result is false. */
bool oct_kernels_adopt(const oct_kernels *own, const oct_host_kernels *offer, oct_kernels *out);

#endif
