/* SPDX-License-Identifier: Apache-2.0
 *
 * vec_wasm128.h - the 128-bit registers of WebAssembly SIMD, the reference build for browsers.
 *
 * Of relaxed SIMD (only kernels_relaxed.c is compiled with it) two instructions are used, where
 * their results may not differ between engines: the dot product of bytes, whose second operand is
 * one of 7 bits here, so that no engine may take it for negative and no sum of two products leaves
 * 16 bits; and the table look-up, whose places are all inside the table. */
#ifndef OCTANT_SIMD_VEC_WASM128_H
#define OCTANT_SIMD_VEC_WASM128_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

#define VEC_ISA wasm128
enum { VF_LANES = 4, VF_ROWS = 1, VI_BYTES = 16 };
typedef v128_t vf;
typedef v128_t vi;

static inline vf vf_zero(void)
{
    return wasm_f32x4_const_splat(0.0f);
}
static inline vf vf_load(const float *p)
{
    return wasm_v128_load(p);
}
static inline vf vf_load_once(const float *p)
{
    return vf_load(p);
}
static inline vf vf_load_part(const float *p, size_t count)
{
    if (count == 1) return wasm_v128_load32_zero(p);
    vf pair = wasm_v128_load64_zero(p);
    return count == 2 ? pair : wasm_v128_load32_lane(p + 2, pair, 2);
}
static inline vf vf_add(vf a, vf b)
{
    return wasm_f32x4_add(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return wasm_f32x4_sub(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return wasm_f32x4_mul(a, b);
}
static inline vf vf_abs(vf v)
{
    return wasm_f32x4_abs(v);
}
static inline float vf_fold(vf v)
{
    v = wasm_f32x4_add(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
    float sum = wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1);
    return sum > -INFINITY ? sum : -INFINITY;
}
/* The sums of a and b folded once: two of a, two of b. */
static inline vf vf_fold_pair(vf a, vf b)
{
    return wasm_f32x4_add(wasm_i32x4_shuffle(a, b, 0, 1, 4, 5),
                          wasm_i32x4_shuffle(a, b, 2, 3, 6, 7));
}
static inline void vf_fold_x4(const vf v[4], float out[4])
{
    vf p = vf_fold_pair(v[0], v[1]), q = vf_fold_pair(v[2], v[3]);
    p = wasm_f32x4_add(wasm_i32x4_shuffle(p, q, 0, 2, 4, 6), wasm_i32x4_shuffle(p, q, 1, 3, 5, 7));
    wasm_v128_store(out, wasm_f32x4_pmax(wasm_f32x4_const_splat(-INFINITY), p));
}

static inline vi vi_zero(void)
{
    return wasm_i32x4_const_splat(0);
}
static inline vi vi_add(vi a, vi b)
{
    return wasm_i32x4_add(a, b);
}
/* a[i] lie in 0..127. */
#ifdef __wasm_relaxed_simd__
static inline vi vi_dot(vi sum, const uint8_t *a, const int8_t *b)
{
    return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_v128_load(b), wasm_v128_load(a), sum);
}
#else
/* Loads that widen are one instruction on x86 and ARM; widening the upper half of a register
 * takes two on x86. */
static inline vi vi_dot(vi sum, const uint8_t *a, const int8_t *b)
{
    sum = vi_add(sum, wasm_i32x4_dot_i16x8(wasm_u16x8_load8x8(a), wasm_i16x8_load8x8(b)));
    return vi_add(sum, wasm_i32x4_dot_i16x8(wasm_u16x8_load8x8(a + 8), wasm_i16x8_load8x8(b + 8)));
}
#endif
static inline int32_t vi_sum(vi v)
{
    v = wasm_i32x4_add(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
    return wasm_i32x4_extract_lane(v, 0) + wasm_i32x4_extract_lane(v, 1);
}

/* Bytes and packed codes (kernels_codes.inc.h). */
typedef v128_t vb;
static inline vb vb_load(const uint8_t *p)
{
    return wasm_v128_load(p);
}
static inline vb vb_load_part(const uint8_t *p, size_t count)
{
    return count ? wasm_v128_load(p) : wasm_i32x4_const_splat(0);
}
static inline vb vb_table(const int8_t table[16])
{
    return wasm_v128_load(table);
}
static inline vb vb_field(vb v, int shift, uint8_t mask)
{
    return wasm_v128_and(wasm_u8x16_shr(v, (uint32_t)shift), wasm_i8x16_splat((int8_t)mask));
}
/* index[i] lie in 0..15, a[i] in 0..127; `table` is in `first`. */
#ifdef __wasm_relaxed_simd__
static inline vi vi_lookup_dot(vi sum, vb a, vb index, vb first, const int8_t table[16])
{
    (void)table;
    v128_t v = wasm_i8x16_relaxed_swizzle(first, index);
    return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(v, a, sum);
}
#else
static inline vi vi_lookup_dot(vi sum, vb a, vb index, vb first, const int8_t table[16])
{
    (void)table;
    v128_t v = wasm_i8x16_swizzle(first, index);
    sum = vi_add(
        sum, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(a), wasm_i16x8_extend_low_i8x16(v)));
    return vi_add(sum, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(a),
                                            wasm_i16x8_extend_high_i8x16(v)));
}
#endif
/* Packed rows of 4 bits: low[i] and high[i] lie in 0..127. */
typedef v128_t vn;
static inline vn vn_zero(void)
{
    return vi_zero();
}
#ifdef __wasm_relaxed_simd__
typedef v128_t vq;
static inline vq vq_load(const uint8_t *p)
{
    return vb_load(p);
}
static inline vn vn_dot(vn sum, vq low, vq high, vb row)
{
    v128_t x = wasm_i16x8_relaxed_dot_i8x16_i7x16(vb_field(row, 0, 15), low);
    v128_t y = wasm_i16x8_relaxed_dot_i8x16_i7x16(vb_field(row, 4, 15), high);
    return wasm_i16x8_add(sum, wasm_i16x8_add(x, y));
}
#else
/* Every second byte in a lane of 16 bits, so that nothing has to be widened. */
typedef struct vq {
    v128_t even, odd;
} vq;
static inline vq vq_load(const uint8_t *p)
{
    vb v = vb_load(p);
    return (vq){ wasm_v128_and(v, wasm_i16x8_splat(255)), wasm_u16x8_shr(v, 8) };
}
static inline vn vn_dot(vn sum, vq low, vq high, vb row)
{
    const v128_t mask = wasm_i16x8_splat(15);
    v128_t x = wasm_i16x8_mul(low.even, wasm_v128_and(row, mask));
    v128_t y = wasm_i16x8_mul(high.even, wasm_v128_and(wasm_u16x8_shr(row, 4), mask));
    sum = wasm_i16x8_add(sum, wasm_i16x8_add(x, y));
    x = wasm_i16x8_mul(low.odd, wasm_v128_and(wasm_u16x8_shr(row, 8), mask));
    y = wasm_i16x8_mul(high.odd, wasm_u16x8_shr(row, 12));
    return wasm_i16x8_add(sum, wasm_i16x8_add(x, y));
}
#endif
static inline vi vi_widen(vi sum, vn v)
{
    return vi_add(sum, wasm_i32x4_extadd_pairwise_i16x8(v));
}
static inline vi vi_add_bytes(vi sum, v128_t v)
{
    return vi_add(sum, wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(v)));
}
static inline vi vi_l1(vi sum, vb a, vb b)
{
    return vi_add_bytes(sum, wasm_v128_or(wasm_u8x16_sub_sat(a, b), wasm_u8x16_sub_sat(b, a)));
}
static inline vi vi_hamming(vi sum, vb a, vb b)
{
    return vi_add_bytes(sum, wasm_i8x16_popcnt(wasm_v128_xor(a, b)));
}

#endif
