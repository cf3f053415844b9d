/* SPDX-License-Identifier: Apache-2.0
 *
 * vec_neon.h - 128-bit registers of every AArch64 CPU. The dot-product extension is not assumed:
 * two u7 * i8 products fit 16 bits (32512), so a widening multiply and a widening multiply-add
 * are followed by one pairwise add to int32. NEON float math keeps denormals on AArch64. */
#ifndef OCTANT_SIMD_VEC_NEON_H
#define OCTANT_SIMD_VEC_NEON_H

#include <arm_neon.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_ISA neon
enum { VF_LANES = 4, VF_ROWS = 2, VI_BYTES = 16 }; /* 2 rows * 8 sums of the 32 registers */
typedef float32x4_t vf;
typedef int32x4_t vi;

static inline vf vf_zero(void)
{
    return vdupq_n_f32(0.0f);
}
static inline vf vf_load(const float *p)
{
    return vld1q_f32(p);
}
static inline vf vf_load_once(const float *p)
{
    return vf_load(p);
}
static inline vf vf_load_part(const float *p, size_t count)
{
    if (count == 1) return vld1q_lane_f32(p, vf_zero(), 0);
    vf pair = vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f));
    return count == 2 ? pair : vld1q_lane_f32(p + 2, pair, 2);
}
static inline vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
static inline vf vf_abs(vf v)
{
    return vabsq_f32(v);
}
static inline float vf_fold(vf v)
{
    float32x2_t pair = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    float sum = vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
    return sum > -INFINITY ? sum : -INFINITY;
}
static inline void vf_fold_x4(const vf v[4], float out[4])
{
    vf p = vcombine_f32(vadd_f32(vget_low_f32(v[0]), vget_high_f32(v[0])),
                        vadd_f32(vget_low_f32(v[1]), vget_high_f32(v[1])));
    vf q = vcombine_f32(vadd_f32(vget_low_f32(v[2]), vget_high_f32(v[2])),
                        vadd_f32(vget_low_f32(v[3]), vget_high_f32(v[3])));
    vst1q_f32(out, vmaxnmq_f32(vpaddq_f32(p, q), vdupq_n_f32(-INFINITY))); /* the number of two */
}

static inline vi vi_zero(void)
{
    return vdupq_n_s32(0);
}
static inline vi vi_add(vi a, vi b)
{
    return vaddq_s32(a, b);
}
static inline vi vi_dot(vi sum, const uint8_t *a, const int8_t *b)
{
    int8x16_t x = vreinterpretq_s8_u8(vld1q_u8(a));
    int8x16_t y = vld1q_s8(b);
    int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
    return vpadalq_s16(sum, vmlal_s8(low, vget_high_s8(x), vget_high_s8(y)));
}
static inline int32_t vi_sum(vi v)
{
    return vaddvq_s32(v);
}

/* Bytes and packed codes (kernels_codes.inc.h). */
typedef uint8x16_t vb;
static inline vb vb_load(const uint8_t *p)
{
    return vld1q_u8(p);
}
static inline vb vb_load_part(const uint8_t *p, size_t count)
{
    return count ? vld1q_u8(p) : vdupq_n_u8(0);
}
static inline vb vb_table(const int8_t table[16])
{
    return vreinterpretq_u8_s8(vld1q_s8(table));
}
static inline vb vb_field(vb v, int shift, uint8_t mask)
{
    return vandq_u8(vshlq_u8(v, vdupq_n_s8((int8_t)-shift)), vdupq_n_u8(mask));
}
static inline vi vi_lookup_dot(vi sum, vb a, vb index, vb first, const int8_t table[16])
{
    (void)table; /* it is in `first` */
    int8x16_t x = vreinterpretq_s8_u8(a);
    int8x16_t y = vreinterpretq_s8_u8(vqtbl1q_u8(first, index));
    int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
    return vpadalq_s16(sum, vmlal_s8(low, vget_high_s8(x), vget_high_s8(y)));
}
typedef uint8x16_t vq;
typedef uint16x8_t vn;
static inline vq vq_load(const uint8_t *p)
{
    return vb_load(p);
}
static inline vn vn_zero(void)
{
    return vdupq_n_u16(0);
}
static inline vn vn_dot(vn sum, vq low, vq high, vb row)
{
    vb x = vandq_u8(row, vdupq_n_u8(15)), y = vshrq_n_u8(row, 4);
    sum = vmlal_high_u8(vmlal_u8(sum, vget_low_u8(low), vget_low_u8(x)), low, x);
    return vmlal_high_u8(vmlal_u8(sum, vget_low_u8(high), vget_low_u8(y)), high, y);
}
static inline vi vi_widen(vi sum, vn v)
{
    return vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(sum), v));
}
static inline vi vi_add_bytes(vi sum, uint8x16_t v)
{
    return vi_add(sum, vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(v))));
}
static inline vi vi_l1(vi sum, vb a, vb b)
{
    return vi_add_bytes(sum, vabdq_u8(a, b));
}
static inline vi vi_hamming(vi sum, vb a, vb b)
{
    return vi_add_bytes(sum, vcntq_u8(veorq_u8(a, b)));
}

#endif
