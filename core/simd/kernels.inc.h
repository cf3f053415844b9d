/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.inc.h - every distance kernel, written once over the primitives of a vec_<isa>.h.
 *
 * Included by each kernels_<isa>.c after its vec header, which supplies
 *   VEC_ISA                     the name of the instruction set
 *   vf, VF_LANES                a register of floats and how many it holds (1, 4, 8 or 16)
 *   VF_ROWS                     rows of which dot_f32_x4 keeps the sums in registers at once
 *   vf_zero vf_load vf_add vf_sub vf_mul vf_abs
 *   vf_load_part(p, count)      the first count < VF_LANES floats, zeros behind; reads no further
 *   vf_load_once(p)             vf_load, kept in a register although it is used several times
 *   vf_fold(v)                  lanes folded by halves: lane j += lane j + w, w = VF_LANES/2 .. 1
 *   vi, VI_BYTES                a register of int32 sums; bytes one vi_dot consumes
 *   vi_zero vi_add vi_sum       vi_dot(sum, a, b): sum plus the products of VI_BYTES u7 and i8
 *
 * One answer: whatever the register width there are 32 partial sums, element i is added to sum
 * i mod 32 in order of i, and the sums are folded by halves (j += j + 16, + 8, + 4, + 2, + 1).
 * The elements after the last multiple of 32 go to their sums in the same way; the rest of their
 * last register is zeros. Padding cannot be seen: every sum starts at +0 and in rounding to
 * nearest a sum that starts at +0 is never -0, so adding 0 * 0, (0 - 0)^2 or |0 - 0| = +0 changes
 * nothing. Hence ISAs may pad differently. No FMA, and the build says -ffp-contract=off.
 *
 * 32 sums are what hides the latency of adds with 512-bit registers (2 chains) and with 256-bit
 * ones (4); more would not fit the 16 registers of SSE2 (8 used here). Changing it changes scores.
 *
 * Rejected: plain C for the vectorizer and 64-byte vector extensions (up to 6 and 10 times slower,
 * depending on the compiler); a file per kernel and ISA (the order of adding would have to be kept
 * equal by hand). */
#include <math.h>

#include "simd/kernels.h"

#define VEC_PASTE_(name, isa) name##_##isa
#define VEC_PASTE(name, isa) VEC_PASTE_(name, isa)

enum { LANES = 32, SUMS = LANES / VF_LANES, INT_SUMS = 2 };

/* The sums must live in registers, so their loops must be unrolled wholly, by every compiler. */
#ifndef UNROLL
#define UNROLL _Pragma("GCC unroll 32")
#endif

static inline vf add_dot(vf sum, vf a, vf b) { return vf_add(sum, vf_mul(a, b)); }
static inline vf add_l1(vf sum, vf a, vf b) { return vf_add(sum, vf_abs(vf_sub(a, b))); }
static inline vf add_l2(vf sum, vf a, vf b)
{
    vf difference = vf_sub(a, b);
    return vf_add(sum, vf_mul(difference, difference));
}

/* Infinities of both signs met: the worst score, and never NaN, whose bits differ between CPUs. */
static inline float not_nan(float sum) { return sum == sum ? sum : -INFINITY; }

static inline float fold_sums(const vf sums[SUMS])
{
    vf half[SUMS];
    UNROLL
    for (size_t j = 0; j < SUMS; j++) half[j] = sums[j];
    UNROLL
    for (size_t w = SUMS / 2; w > 0; w /= 2) {
        UNROLL
        for (size_t j = 0; j < w; j++) half[j] = vf_add(half[j], half[j + w]);
    }
    return not_nan(vf_fold(half[0]));
}

/* Each kernel is two functions: the loop over blocks of 32, whose sums never leave the registers,
 * and the rest, 1..31 elements, out of line because it indexes the sums by a variable and gcc
 * would then keep them in memory for both. */
#define DEFINE_KERNEL_F32(name, ADD)                                                   \
    static __attribute__((noinline)) float name##_rest(vf sums[SUMS], const float *a,  \
                                                       const float *b, size_t rest)    \
    {                                                                                  \
        size_t j = 0;                                                                  \
        for (; (j + 1) * VF_LANES <= rest; j++)                                        \
            sums[j] = ADD(sums[j], vf_load(a + j * VF_LANES), vf_load(b + j * VF_LANES)); \
        size_t part = rest - j * VF_LANES;                                             \
        if (part > 0) {                                                                \
            vf x = vf_load_part(a + j * VF_LANES, part);                               \
            sums[j] = ADD(sums[j], x, vf_load_part(b + j * VF_LANES, part));           \
        }                                                                              \
        return fold_sums(sums);                                                        \
    }                                                                                  \
    static __attribute__((noinline)) float name(const float *a, const float *b, size_t n) \
    {                                                                                  \
        vf sums[SUMS];                                                                 \
        UNROLL                                                                         \
        for (size_t j = 0; j < SUMS; j++) sums[j] = vf_zero();                         \
        for (size_t block = n / LANES; block > 0; block--) {                           \
            UNROLL                                                                     \
            for (size_t j = 0; j < SUMS; j++)                                          \
                sums[j] = ADD(sums[j], vf_load(a + j * VF_LANES),                      \
                              vf_load(b + j * VF_LANES));                              \
            a += LANES;                                                                \
            b += LANES;                                                                \
        }                                                                              \
        if (n % LANES == 0) return fold_sums(sums);                                    \
        vf stored[SUMS];                                                               \
        UNROLL                                                                         \
        for (size_t j = 0; j < SUMS; j++) stored[j] = sums[j];                         \
        return name##_rest(stored, a, b, n % LANES);                                   \
    }

DEFINE_KERNEL_F32(dot_f32, add_dot)
DEFINE_KERNEL_F32(l2_f32, add_l2)
DEFINE_KERNEL_F32(l1_f32, add_l1)

/* The dots of a with VF_ROWS vectors; each is dot_f32 to the bit. */
static inline void dot_f32_rows(const float *a, const float *const b[VF_ROWS], size_t n,
                                float out[VF_ROWS])
{
    vf sums[VF_ROWS][SUMS];
    const size_t whole = n - n % LANES;
    UNROLL
    for (size_t r = 0; r < VF_ROWS; r++) {
        UNROLL
        for (size_t j = 0; j < SUMS; j++) sums[r][j] = vf_zero();
    }
    for (size_t i = 0; i < whole; i += LANES) {
        UNROLL
        for (size_t j = 0; j < SUMS; j++) {
            vf shared = vf_load_once(a + i + j * VF_LANES);
            UNROLL
            for (size_t r = 0; r < VF_ROWS; r++)
                sums[r][j] = add_dot(sums[r][j], shared, vf_load(b[r] + i + j * VF_LANES));
        }
    }
    UNROLL
    for (size_t r = 0; r < VF_ROWS; r++) {
        if (whole == n) {
            out[r] = fold_sums(sums[r]);
        } else {
            vf stored[SUMS];
            UNROLL
            for (size_t j = 0; j < SUMS; j++) stored[j] = sums[r][j];
            out[r] = dot_f32_rest(stored, a + whole, b[r] + whole, n - whole);
        }
    }
}

static void dot_f32_x4(const float *a, const float *const b[4], size_t n, float out[4])
{
    for (size_t r = 0; r < 4; r += VF_ROWS) {
        if (VF_ROWS == 1) out[r] = dot_f32(a, b[r], n); /* no registers to share */
        else dot_f32_rows(a, b + r, n, out + r);
    }
}

/* Integers add exactly in any order, so these may use as many sums as they like. Two chains are as
 * fast as four on every CPU measured, and with four V8 runs out of registers in some builds (29
 * against 20 ns for 384 bytes). */
static int32_t dot_u7i8(const uint8_t *a, const int8_t *b, size_t n)
{
    vi sums[INT_SUMS];
    UNROLL
    for (size_t j = 0; j < INT_SUMS; j++) sums[j] = vi_zero();
    for (size_t block = n / (INT_SUMS * VI_BYTES); block > 0; block--) {
        UNROLL
        for (size_t j = 0; j < INT_SUMS; j++)
            sums[j] = vi_dot(sums[j], a + j * VI_BYTES, b + j * VI_BYTES);
        a += INT_SUMS * VI_BYTES;
        b += INT_SUMS * VI_BYTES;
    }
    size_t i = 0, rest = n % (INT_SUMS * VI_BYTES);
    for (; i + VI_BYTES <= rest; i += VI_BYTES) sums[0] = vi_dot(sums[0], a + i, b + i);
    int32_t sum = vi_sum(vi_add(sums[0], sums[1]));
    for (; i < rest; i++) sum += a[i] * b[i];
    return sum;
}

static void dot_u7i8_x4(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    const int8_t *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
    vi s0 = vi_zero(), s1 = vi_zero(), s2 = vi_zero(), s3 = vi_zero();
    size_t i = 0;
    for (; i + VI_BYTES <= n; i += VI_BYTES) {
        s0 = vi_dot(s0, a + i, b0 + i);
        s1 = vi_dot(s1, a + i, b1 + i);
        s2 = vi_dot(s2, a + i, b2 + i);
        s3 = vi_dot(s3, a + i, b3 + i);
    }
    out[0] = vi_sum(s0);
    out[1] = vi_sum(s1);
    out[2] = vi_sum(s2);
    out[3] = vi_sum(s3);
    for (; i < n; i++) {
        for (size_t r = 0; r < 4; r++) out[r] += a[i] * b[r][i];
    }
}

#include "simd/kernels_codes.inc.h"

#define VEC_TEXT_(isa) #isa
#define VEC_TEXT(isa) VEC_TEXT_(isa)

/* Declared here because only dispatch.c, which lists the tables of its target, names it. */
extern const oct_kernels VEC_PASTE(oct_kernels, VEC_ISA);
const oct_kernels VEC_PASTE(oct_kernels, VEC_ISA) = {
    .name = VEC_TEXT(VEC_ISA),
    .dot_f32 = dot_f32,
    .l2_f32 = l2_f32,
    .l1_f32 = l1_f32,
    .dot_f32_x4 = dot_f32_x4,
    .dot_u7i8 = dot_u7i8,
    .dot_u7i8_x4 = dot_u7i8_x4,
    .l1_u8 = l1_u8,
    .hamming = hamming,
    .dot_packed = dot_packed,
};
