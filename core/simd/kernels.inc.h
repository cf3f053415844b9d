/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.inc.h - every distance kernel, written once over the primitives of a vec_<isa>.h.
 *
 * Included by each kernels_<isa>.c after its vec header, which supplies
 *   VEC_ISA                     the name of the instruction set
 *   vf, VF_LANES                a register of floats and how many it holds (1, 4, 8 or 16)
 *   VF_ROWS                     rows (1, 2 or 4) whose sums fit the registers together
 *   vf_zero vf_load vf_add vf_sub vf_mul vf_abs
 *   vf_load_part(p, count)      the first count < VF_LANES floats, zeros behind; reads no further
 *   vf_load_once(p)             vf_load, kept in a register although it is used several times
 *   vf_fold(v)                  lanes folded by halves: lane j += lane j + w, w = VF_LANES/2 .. 1;
 *                               where infinities of both signs met, -INFINITY and not NaN
 *   vf_fold_x4(v, out)          vf_fold of four registers at about the price of one and a half
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
 * equal by hand); blocks of 64 and a second copy of the x4 kernels without the rest (2 % at most);
 * asking for NaN by comparing, which takes every sum through a general register or a blend: the
 * maximum with -INFINITY that vf_fold is made of took 5 to 12 % off a dot of AVX2. */
#include "simd/kernels.h"

#define VEC_PASTE_(name, isa) name##_##isa
#define VEC_PASTE(name, isa)  VEC_PASTE_(name, isa)

enum { LANES = 32, SUMS = LANES / VF_LANES, INT_SUMS = 2 };

/* The sums must live in registers, so their loops must be unrolled wholly, by every compiler. */
#ifndef UNROLL
#define UNROLL _Pragma("GCC unroll 32")
#endif

#define INLINE static inline __attribute__((always_inline))

/* Always a constant where it is passed, so that nothing is left of asking for it. */
typedef enum operation { DOT, L2, L1 } operation;

INLINE vf add(operation what, vf sum, vf a, vf b)
{
    if (what == DOT) return vf_add(sum, vf_mul(a, b));
    vf difference = vf_sub(a, b);
    return vf_add(sum, what == L2 ? vf_mul(difference, difference) : vf_abs(difference));
}

/* All sums folded into one register. */
INLINE vf fold_sums(const vf sums[SUMS])
{
    vf half[SUMS];
    UNROLL
    for (size_t j = 0; j < SUMS; j++)
        half[j] = sums[j];
    UNROLL
    for (size_t w = SUMS / 2; w > 0; w /= 2) {
        UNROLL
        for (size_t j = 0; j < w; j++)
            half[j] = vf_add(half[j], half[j + w]);
    }
    return half[0];
}

INLINE vf add_last(operation what, vf sums[SUMS], const float *a, const float *b, size_t count)
{
    size_t j = 0;
    for (; (j + 1) * VF_LANES <= count; j++)
        sums[j] = add(what, sums[j], vf_load(a + j * VF_LANES), vf_load(b + j * VF_LANES));
    size_t part = count - j * VF_LANES;
    if (part > 0) {
        vf x = vf_load_part(a + j * VF_LANES, part);
        sums[j] = add(what, sums[j], x, vf_load_part(b + j * VF_LANES, part));
    }
    return fold_sums(sums);
}

/* The last 1..31 elements. Out of line because it indexes the sums by a variable: gcc would keep
 * them in memory for the loop over blocks too. */
static __attribute__((noinline)) vf add_rest(operation what, vf sums[SUMS], const float *a,
                                             const float *b, size_t count)
{
    switch (what) {
    case DOT:
        return add_last(DOT, sums, a, b, count);
    case L2:
        return add_last(L2, sums, a, b, count);
    default:
        return add_last(L1, sums, a, b, count);
    }
}

/* The sums of a with `rows` vectors at once, over a whole number of blocks. They stay in registers,
 * as long as all loops over them are unrolled. */
INLINE void sum_blocks(operation what, size_t rows, const float *a, const float *const *b,
                       size_t whole, vf sums[][SUMS])
{
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t j = 0; j < SUMS; j++)
            sums[r][j] = vf_zero();
    }
    for (size_t i = 0; i < whole; i += LANES) {
        UNROLL
        for (size_t j = 0; j < SUMS; j++) {
            vf x = rows == 1 ? vf_load(a + i + j * VF_LANES) : vf_load_once(a + i + j * VF_LANES);
            UNROLL
            for (size_t r = 0; r < rows; r++)
                sums[r][j] = add(what, sums[r][j], x, vf_load(b[r] + i + j * VF_LANES));
        }
    }
}

static __attribute__((noinline)) float finish(operation what, vf sums[SUMS], const float *a,
                                              const float *b, size_t count)
{
    return vf_fold(add_rest(what, sums, a, b, count));
}

/* Finished in a call of its own, or gcc prepares its stack frame for vectors that have no rest. */
INLINE float one(operation what, const float *a, const float *b, size_t n)
{
    vf sums[1][SUMS];
    const size_t whole = n - n % LANES;
    sum_blocks(what, 1, a, &b, whole, sums);
    if (whole == n) return vf_fold(fold_sums(sums[0]));
    vf stored[SUMS];
    UNROLL
    for (size_t j = 0; j < SUMS; j++)
        stored[j] = sums[0][j];
    return finish(what, stored, a + whole, b + whole, n - whole);
}

INLINE void four(operation what, const float *a, const float *const b[4], size_t n, float out[4])
{
    vf folded[4];
    const size_t whole = n - n % LANES;
    UNROLL
    for (size_t first = 0; first < 4; first += VF_ROWS) {
        vf sums[VF_ROWS][SUMS];
        sum_blocks(what, VF_ROWS, a, b + first, whole, sums);
        UNROLL
        for (size_t r = 0; r < VF_ROWS; r++) {
            vf stored[SUMS];
            folded[first + r] = fold_sums(sums[r]);
            if (whole == n) continue;
            UNROLL
            for (size_t j = 0; j < SUMS; j++)
                stored[j] = sums[r][j];
            folded[first + r] = add_rest(what, stored, a + whole, b[first + r] + whole, n - whole);
        }
    }
    vf_fold_x4(folded, out);
}

static float dot_f32(const float *a, const float *b, size_t n)
{
    return one(DOT, a, b, n);
}
static float l2_f32(const float *a, const float *b, size_t n)
{
    return one(L2, a, b, n);
}
static float l1_f32(const float *a, const float *b, size_t n)
{
    return one(L1, a, b, n);
}

static void dot_f32_x4(const float *a, const float *const b[4], size_t n, float out[4])
{
    four(DOT, a, b, n, out);
}

static void l2_f32_x4(const float *a, const float *const b[4], size_t n, float out[4])
{
    four(L2, a, b, n, out);
}

static void l1_f32_x4(const float *a, const float *const b[4], size_t n, float out[4])
{
    four(L1, a, b, n, out);
}

/* Integers add exactly in any order, so these may use as many sums as they like. Two chains are as
 * fast as four on every CPU measured, and with four V8 runs out of registers in some builds (29
 * against 20 ns for 384 bytes). */
static int32_t dot_u7i8(const uint8_t *a, const int8_t *b, size_t n)
{
    vi sums[INT_SUMS];
    UNROLL
    for (size_t j = 0; j < INT_SUMS; j++)
        sums[j] = vi_zero();
    for (size_t block = n / (INT_SUMS * VI_BYTES); block > 0; block--) {
        UNROLL
        for (size_t j = 0; j < INT_SUMS; j++)
            sums[j] = vi_dot(sums[j], a + j * VI_BYTES, b + j * VI_BYTES);
        a += INT_SUMS * VI_BYTES;
        b += INT_SUMS * VI_BYTES;
    }
    size_t i = 0, rest = n % (INT_SUMS * VI_BYTES);
    for (; i + VI_BYTES <= rest; i += VI_BYTES)
        sums[0] = vi_dot(sums[0], a + i, b + i);
    int32_t sum = vi_sum(vi_add(sums[0], sums[1]));
    for (; i < rest; i++)
        sum += a[i] * b[i];
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
        for (size_t r = 0; r < 4; r++)
            out[r] += a[i] * b[r][i];
    }
}

#include "simd/kernels_codes.inc.h"

#define VEC_TEXT_(isa) #isa
#define VEC_TEXT(isa)  VEC_TEXT_(isa)

/* Declared here because only dispatch.c, which lists the tables of its target, names it. */
extern const oct_kernels VEC_PASTE(oct_kernels, VEC_ISA);
const oct_kernels VEC_PASTE(oct_kernels, VEC_ISA) = {
    .name = VEC_TEXT(VEC_ISA),
    .dot_f32 = dot_f32,
    .l2_f32 = l2_f32,
    .l1_f32 = l1_f32,
    .dot_f32_x4 = dot_f32_x4,
    .l2_f32_x4 = l2_f32_x4,
    .l1_f32_x4 = l1_f32_x4,
    .dot_u7i8 = dot_u7i8,
    .dot_u7i8_x4 = dot_u7i8_x4,
    .l1_u8 = l1_u8,
    .hamming = hamming,
    .dot_packed = dot_packed,
    .dot_u7u4 = dot_u7u4,
    .dot_u7u4_x4 = dot_u7u4_x4,
};
